"""Every byte a device sent, with its time, in a ring of files; and those files as a port.

A log is a folder of segments named by the time of their first block.  A block stands as::

    "RB" · f64 arrival, Unix ms · u32 connection · u8 turn · u32 length · data · u32 CRC-32 of all before

A cut or damaged segment is read up to its fault and on from the next whole block.
"""

import asyncio
import logging
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from site_agent.port import Clock, Port, PortState, Received, Turn

_log = logging.getLogger(__name__)

KEEP_DAYS: Final = 7.0
KEEP_BYTES: Final = 512 * 1024 * 1024
"""About 60 days of a Series 50 line, 7 days of five at most."""
SEGMENT_BYTES: Final = 4 * 1024 * 1024
_SEGMENT_MS: Final = 6 * 3600e3
_DAY_MS: Final = 86_400e3
_HEAD: Final = struct.Struct(">2sdIBI")
_CRC: Final = struct.Struct(">I")
_MAGIC: Final = b"RB"
_TURNS: Final = (Turn.OPENED, Turn.DATA, Turn.CLOSED)
_LONGEST: Final = 64 * 1024 * 1024


class RawLog:
    """The raw log of one port; the oldest segments go when it is too large or too old.

    It is evidence, not the outbox: blocks go to the kernel at once but nothing waits for the disk,
    and a full disk costs the log, never the ticks.
    """

    def __init__(self, folder: Path, *, keep_days: float = KEEP_DAYS, keep_bytes: int = KEEP_BYTES) -> None:
        self._folder = folder
        self._keep_ms = keep_days * _DAY_MS
        self._keep_bytes = keep_bytes
        self._segment_bytes = min(SEGMENT_BYTES, max(keep_bytes // 8, 1024))
        self._file: BinaryIO | None = None
        self._written = 0
        self._since_ms = 0.0
        self.n_lost = 0
        """Blocks that the disk did not take."""

    def append(self, received: Received) -> None:
        """Write one block.  Never raises for the disk's sake: what it does not take is counted."""
        record = encode_block(received)
        try:
            if self._file is None or self._is_done(received.t_ms):
                self._begin_segment(received.t_ms)
            if self._file is not None:
                self._file.write(record)
                self._written += len(record)
        except OSError as error:
            self.n_lost += 1
            if self.n_lost == 1:
                _log.warning("raw log %s: not written from now on: %s", self._folder, error)
            self.close()

    def close(self) -> None:
        """Close the open segment; the next block begins a new one."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _is_done(self, t_ms: float) -> bool:
        return self._written >= self._segment_bytes or not 0 <= t_ms - self._since_ms < _SEGMENT_MS

    def _begin_segment(self, t_ms: float) -> None:
        self.close()
        self._folder.mkdir(parents=True, exist_ok=True)
        self._prune(t_ms)
        start_ms = max(round(t_ms), 0)
        while (path := self._folder / f"{start_ms:013d}.raw").exists():
            start_ms += 1
        self._file = path.open("xb", buffering=0)
        self._written, self._since_ms = 0, t_ms

    def _prune(self, t_ms: float) -> None:
        segments = list_segments(self._folder)
        sizes = [path.stat().st_size for path in segments]
        while segments and sum(sizes) > self._keep_bytes - self._segment_bytes:
            segments.pop(0).unlink()
            sizes.pop(0)
        # One at a time: a clock that jumps ahead must not wipe the evidence.
        if len(segments) > 1 and t_ms - int(segments[1].stem) > self._keep_ms:
            segments[0].unlink()


def encode_block(received: Received) -> bytes:
    """Give one block as it stands in a segment."""
    head = _HEAD.pack(
        _MAGIC, received.t_ms, received.connection, _TURNS.index(received.turn), len(received.data)
    )
    body = head + received.data
    return body + _CRC.pack(zlib.crc32(body))


def list_segments(folder: Path) -> list[Path]:
    """Segments of a log, oldest first."""
    return sorted(path for path in folder.glob("*.raw") if path.stem.isdecimal())


def read_raw(path: Path) -> Iterator[Received]:
    """Read a segment, or all of a log's folder, in order; faults are passed over with a warning."""
    for segment in list_segments(path) if path.is_dir() else [path]:
        content = segment.read_bytes()
        at = n_passed = 0
        while at < len(content):
            block, n_bytes = _decode_block(content, at)
            if block is not None:
                yield block
                at += n_bytes
                continue
            following = content.find(_MAGIC, at + 1)
            end = following if following >= 0 else len(content)
            n_passed += end - at
            at = end
        if n_passed:
            _log.warning("%s: %d bytes are no whole blocks and were passed over", segment, n_passed)


def _decode_block(content: bytes, at: int) -> tuple[Received | None, int]:
    if len(content) - at < _HEAD.size + _CRC.size or content[at : at + 2] != _MAGIC:
        return None, 0
    _, t_ms, connection, turn, length = _HEAD.unpack_from(content, at)
    end = at + _HEAD.size + length
    if length > _LONGEST or turn >= len(_TURNS) or end + _CRC.size > len(content):
        return None, 0
    if _CRC.unpack_from(content, end)[0] != zlib.crc32(content[at:end]):
        return None, 0
    data = content[at + _HEAD.size : end]
    return Received(data, t_ms, connection, _TURNS[turn]), end + _CRC.size - at


class ReplayPort(Port):
    """`replay:/file.raw`: recorded bytes with their times, as fast as they are taken; then it ends."""

    def __init__(self, spec: str, clock: Clock, *, path: Path) -> None:
        super().__init__(spec, clock)
        self._path = path
        self._may_go_on = asyncio.Event()
        self._may_go_on.set()
        self._numbers: dict[int, int] = {}

    @property
    def connections(self) -> tuple[int, ...]:
        """The recorded connections that are open at this point of the recording."""
        return tuple(self._numbers.values())

    def _hold(self, is_full: bool) -> None:
        (self._may_go_on.clear if is_full else self._may_go_on.set)()

    async def _run(self) -> None:
        t_ms = 0.0
        try:
            self._set_state(PortState.OPEN, "open")
            for received in read_raw(self._path):
                t_ms = received.t_ms
                self._play(received)
                await self._may_go_on.wait()
        except OSError as error:
            self._set_state(PortState.CLOSED, f"cannot be read: {error}")
            return
        for number in list(self._numbers):
            self._close(number, t_ms)
        self._set_state(PortState.CLOSED, "the recording has ended")

    def _play(self, received: Received) -> None:
        """Give one recorded block under a number of this run: each start of an agent counts from 1."""
        number = received.connection
        if received.turn is Turn.OPENED or number not in self._numbers:
            self._close(number, received.t_ms)
            self._numbers[number] = self._number()
            self._tell(Received(b"", received.t_ms, self._numbers[number], Turn.OPENED))
        if received.turn is Turn.DATA:
            self._tell(received._replace(connection=self._numbers[number]))
        elif received.turn is Turn.CLOSED:
            self._close(number, received.t_ms)

    def _close(self, number: int, t_ms: float) -> None:
        if number in self._numbers:
            self._tell(Received(b"", t_ms, self._numbers.pop(number), Turn.CLOSED))
