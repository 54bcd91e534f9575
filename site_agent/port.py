"""The face of every port of a device.

How it is used::

    async with open_port("serial:/dev/ttyUSB0", clock=clock, line=LineSettings(1200)) as port:
        async for received in port:              # ends only for `replay:`; else for ever
            if received.turn is Turn.OPENED:     # a connection begins: make a fresh driver for it
                drivers[received.connection] = make_driver(...)
            elif received.turn is Turn.CLOSED:   # it ended, and `port.why` says how
                del drivers[received.connection]
            else:
                items = drivers[received.connection].feed(received.data, received.t_ms)
            ...
            await port.write(reply, received.connection)
    port.state, port.why, port.connections, port.silence_s   # at any time, for the site's view

A port opens itself again for ever; whoever iterates is only told.  `received.t_ms` is the time
of the *first* byte of the block on the site's clock.  What waits unread is bounded: a full inbox stops
reading, so that the device or the kernel holds the rest.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator
from enum import StrEnum
from types import TracebackType
from typing import Final, NamedTuple, Protocol, Self

_log = logging.getLogger(__name__)

INBOX_BYTES: Final = 1024 * 1024
"""What may wait unread before reading stops: hours of a serial line, one burst of a fast one."""


class Clock(Protocol):
    """The two clocks of whoever runs the port: wall time labels, monotonic time measures."""

    def now_ms(self) -> float:
        """Wall clock, Unix ms UTC."""

    def now_s(self) -> float:
        """Monotonic clock, s."""


class PortState(StrEnum):
    OPEN = "open"
    CLOSED = "closed"


class Turn(StrEnum):
    """What a port tells."""

    OPENED = "opened"
    DATA = "data"
    CLOSED = "closed"


class Received(NamedTuple):
    """One block of bytes of one connection, or the news that a connection began or ended."""

    data: bytes
    t_ms: float
    connection: int
    turn: Turn = Turn.DATA


class Port:
    """Any port; see the module for how it is used.  `spec` is the text it was opened by."""

    def __init__(self, spec: str, clock: Clock) -> None:
        self.spec = spec
        self.state = PortState.CLOSED
        self.why = "not opened yet"
        self._clock = clock
        self._inbox: deque[Received] = deque()
        self._inbox_bytes = 0
        self._has_news = asyncio.Event()
        self._last_byte_s: float | None = None
        self._next_connection = 1
        self._task: asyncio.Task[None] | None = None

    @property
    def connections(self) -> tuple[int, ...]:
        """The connections that are open now."""
        return ()

    @property
    def silence_s(self) -> float | None:
        """Seconds since the last byte; None before the first."""
        return None if self._last_byte_s is None else self._clock.now_s() - self._last_byte_s

    async def write(self, data: bytes, connection: int | None = None) -> None:
        """Give bytes to the device of a connection (None: the newest).

        What cannot be written now is dropped: the protocols ask again.  Never raises.
        """

    async def __aenter__(self) -> Self:
        """Begin to open the port; it need not be there yet."""
        self._task = asyncio.create_task(self._run_to_the_end(), name=f"port {self.spec}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the port and whatever it opened."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self.state = PortState.CLOSED

    def __aiter__(self) -> AsyncIterator[Received]:
        """Give what comes, in order."""
        return self

    async def __anext__(self) -> Received:
        """Wait for the next block or the next news; raises what ended the port unforeseen."""
        while not self._inbox:
            if self._task is None:
                msg = f"{self.spec}: expected 'async with' round the port"
                raise RuntimeError(msg)
            if self._task.done():
                await self._task
                raise StopAsyncIteration
            self._has_news.clear()
            await self._has_news.wait()
        received = self._inbox.popleft()
        was_full = self._is_full
        self._inbox_bytes -= len(received.data)
        if was_full and not self._is_full:
            self._hold(False)
        return received

    @property
    def _is_full(self) -> bool:
        return self._inbox_bytes > INBOX_BYTES

    async def _run(self) -> None:
        """Open, wait until it is lost, open again."""
        raise NotImplementedError

    def _hold(self, is_full: bool) -> None:
        """Stop or go on reading."""

    async def _run_to_the_end(self) -> None:
        try:
            await self._run()
        finally:
            self._has_news.set()

    def _tell(self, received: Received) -> None:
        was_full = self._is_full
        self._inbox.append(received)
        self._inbox_bytes += len(received.data)
        if received.turn is Turn.DATA:
            self._last_byte_s = self._clock.now_s()
        if self._is_full and not was_full:
            self._hold(True)
        self._has_news.set()

    def _number(self) -> int:
        self._next_connection += 1
        return self._next_connection - 1

    def _set_state(self, state: PortState, why: str) -> None:
        """Keep the state; log a change once, not each repeat."""
        if (state, why) != (self.state, self.why):
            _log.info("port %s: %s: %s", self.spec, state, why)
        self.state, self.why = state, why
