"""A bad line: a TCP proxy whose faults can be changed while it carries."""

import asyncio
import contextlib
import random
import socket
import struct
from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

HELD_BYTES: Final = 256 * 1024
"""What the line holds in one direction before it reads no more: the sender feels it, as on a real line."""
READ_BYTES: Final = 16 * 1024
LOSS_WAIT_S: Final = 0.2
"""A lost segment costs TCP at least this much; the next loss in a row twice as much."""


class LineState(StrEnum):
    """What the line does with bytes and with newcomers."""

    OPEN = "open"
    BLACK_HOLE = "black_hole"
    """Connections stand and can be made; nothing moves in either direction until the line opens again."""
    HALF_OPEN = "half_open"
    """The far end is gone and the near end is not told: what it sends vanishes, nothing ever comes."""
    REFUSED = "refused"
    """Nobody listens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """How the line is.  Delay and rate hold for each direction; order is kept, as in any TCP stream."""

    state: LineState = LineState.OPEN
    delay_s: float = 0.0
    jitter_s: float = 0.0
    """Each piece is `delay_s` ± this much late, evenly spread."""
    bytes_per_s: float | None = None
    loss: float = 0.0
    """Share of pieces that are sent again after a time-out, which those behind them wait for."""
    chop_bytes: int | None = None
    """Pieces of at most this many bytes, each written by itself."""
    close_s: float = 0.0
    """One end learns this much later that the other one has closed."""


@dataclass(slots=True)
class LineCounts:
    """What has happened since the start."""

    connections: int = 0
    resets: int = 0
    bytes_up: int = 0
    bytes_down: int = 0


@dataclass(slots=True, eq=False)
class _Way:
    """One direction of one connection: what was read and may not be written yet."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    is_up: bool
    pieces: deque[tuple[float, bytes]] = field(default_factory=deque)
    held: int = 0
    due_s: float = 0.0
    has_ended: bool = False
    moved: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(slots=True, eq=False)
class _Pair:
    near: asyncio.StreamWriter
    far: asyncio.StreamWriter
    is_cut: bool = False
    """Half open: the far end is gone for good, whatever the line does later."""


class FaultProxy:
    """Listens on a port and carries each connection to another; set `faults` at any time."""

    def __init__(self, to_port: int, *, to_host: str = "127.0.0.1", seed: int = 0) -> None:
        self.port = 0
        self.counts = LineCounts()
        self._to = (to_host, to_port)
        self._rng = random.Random(seed)  # a bad run must be had again
        self._faults = Faults()
        self._changed = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._pairs: set[_Pair] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def faults(self) -> Faults:
        """How the line is now."""
        return self._faults

    async def start(self, port: int = 0) -> None:
        """Begin to listen; `port` tells where afterwards."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", port or self.port)
        self.port = int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Drop every connection and listen no more."""
        await self._close_listener()
        self.reset()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def set(self, faults: Faults) -> None:
        """Change the line; what stands is treated by the new faults from now on."""
        self._faults = faults
        if faults.state is LineState.REFUSED:
            await self._close_listener()
            self.reset()
        elif self._server is None:
            await self.start()
        if faults.state is LineState.HALF_OPEN:
            for pair in self._pairs:
                pair.is_cut = True
                _abort(pair.far)
        self._changed.set()
        self._changed = asyncio.Event()

    def reset(self) -> None:
        """Cut every connection at both ends with an RST."""
        for pair in list(self._pairs):
            self.counts.resets += 1
            _abort(pair.near)
            _abort(pair.far)

    async def _close_listener(self) -> None:
        if self._server is not None:
            server, self._server = self._server, None
            server.close()

    # ------------------------------------------------------------------ a connection

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        self.counts.connections += 1
        try:
            await self._until_carrying()
            far_reader, far_writer = await asyncio.open_connection(*self._to)
        except (OSError, asyncio.CancelledError):  # cancelled by `stop` alone, and nobody awaits this task
            _abort(writer)
            return
        for end in (writer, far_writer):
            end.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            end.transport.set_write_buffer_limits(high=READ_BYTES)
        pair = _Pair(writer, far_writer)
        self._pairs.add(pair)
        ways = (_Way(reader, far_writer, is_up=True), _Way(far_reader, writer, is_up=False))
        try:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.gather(*(self._carry(way, pair) for way in ways))
        finally:
            self._pairs.discard(pair)
            _abort(writer)
            _abort(far_writer)

    async def _carry(self, way: _Way, pair: _Pair) -> None:
        """Carry one direction to its end; an end that broke breaks the other one, unless the line is cut."""
        reading = asyncio.create_task(self._read(way, pair))
        try:
            await self._write(way, pair)
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def _read(self, way: _Way, pair: _Pair) -> None:
        loop = asyncio.get_running_loop()
        while True:
            while way.held > HELD_BYTES:
                way.moved.clear()
                await way.moved.wait()
            await self._until_carrying(pair)
            try:
                data = await way.reader.read(READ_BYTES)
            except OSError:
                data = b""
            faults = self._faults
            if not data:
                way.pieces.append((loop.time() + faults.close_s, b""))
                way.moved.set()
                return
            if pair.is_cut:
                continue
            step = faults.chop_bytes or len(data)
            for first in range(0, len(data), step):
                piece = data[first : first + step]
                way.due_s = max(way.due_s, loop.time() + self._lateness_s(faults))
                way.pieces.append((way.due_s, piece))
                way.held += len(piece)
            way.moved.set()

    def _lateness_s(self, faults: Faults) -> float:
        late_s = max(0.0, faults.delay_s + self._rng.uniform(-faults.jitter_s, faults.jitter_s))
        wait_s = max(LOSS_WAIT_S, 2 * faults.delay_s)
        while faults.loss and self._rng.random() < faults.loss and wait_s < 60:
            late_s += wait_s
            wait_s *= 2
        return late_s

    async def _write(self, way: _Way, pair: _Pair) -> None:
        loop = asyncio.get_running_loop()
        while True:
            while not way.pieces:
                way.moved.clear()
                await way.moved.wait()
            due_s, piece = way.pieces[0]
            await asyncio.sleep(max(0.0, due_s - loop.time()))
            await self._until_carrying(pair)
            way.pieces.popleft()
            way.held -= len(piece)
            way.moved.set()
            if pair.is_cut and not way.is_up:
                await asyncio.Event().wait()  # the near end hears nothing any more
            if not piece:
                with contextlib.suppress(OSError):
                    way.writer.write_eof()
                return
            with contextlib.suppress(OSError):
                way.writer.write(piece)
                await way.writer.drain()
            if way.is_up:
                self.counts.bytes_up += len(piece)
            else:
                self.counts.bytes_down += len(piece)
            if self._faults.bytes_per_s is not None:
                await asyncio.sleep(len(piece) / self._faults.bytes_per_s)

    async def _until_carrying(self, pair: _Pair | None = None) -> None:
        while self._faults.state is not LineState.OPEN and not (pair and pair.is_cut):
            await self._changed.wait()


def _abort(writer: asyncio.StreamWriter) -> None:
    """Close with an RST, so that the other end is told at once."""
    sock = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
