"""UDP as a port: each other end that speaks is a connection of its own."""

import asyncio
import logging

from site_agent.lines import MAX_CONNECTIONS
from site_agent.port import Clock, Port, PortState, Received, Turn

_log = logging.getLogger(__name__)

Address = tuple[str, int]
_RETRY_S = 5.0


class UdpPort(Port):
    """`udp:port` listens; `udp://host:port` speaks first to one device.

    A datagram comes as one block.  When the inbox is full datagrams are dropped: UDP cannot wait.
    """

    def __init__(
        self, spec: str, clock: Clock, *, local: Address | None = None, remote: Address | None = None
    ) -> None:
        super().__init__(spec, clock)
        self._local = local
        self._remote = remote
        self._numbers: dict[Address | None, int] = {}
        self._transport: asyncio.DatagramTransport | None = None
        self._n_dropped = 0

    @property
    def connections(self) -> tuple[int, ...]:
        """The other ends known now."""
        return tuple(self._numbers.values())

    async def write(self, data: bytes, connection: int | None = None) -> None:
        """Send one datagram to the other end of a connection (None: the newest)."""
        number = connection if connection is not None else max(self._numbers.values(), default=0)
        address = next((a for a, n in self._numbers.items() if n == number), None)
        if not data or self._transport is None or self._transport.is_closing():
            return
        if number in self._numbers.values():
            self._transport.sendto(data, None if self._remote else address)

    async def _run(self) -> None:
        while True:
            lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
            try:
                self._transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
                    lambda lost=lost: _Datagrams(self, lost),  # type: ignore[misc]  # bound in each round
                    local_addr=self._local,
                    remote_addr=self._remote,
                )
            except OSError as error:
                self._set_state(PortState.CLOSED, f"cannot be opened: {error}")
            else:
                await self._serve(self._transport, lost)
            await asyncio.sleep(_RETRY_S)

    async def _serve(self, transport: asyncio.DatagramTransport, lost: "asyncio.Future[str]") -> None:
        self._set_state(PortState.OPEN, "open")
        if self._remote is not None:
            self._join(None)
        try:
            self._set_state(PortState.CLOSED, await lost)
        finally:
            transport.abort()
            for address in list(self._numbers):
                self._leave(address)

    def take(self, data: bytes, address: Address | None) -> None:
        """Take one datagram in."""
        if self._is_full:
            self._n_dropped += 1
            if self._n_dropped == 1:
                _log.warning("port %s: inbox full: datagrams are dropped", self.spec)
            return
        key = None if self._remote else address
        if key not in self._numbers:
            self._join(key)
        self._tell(Received(data, self._clock.now_ms(), self._numbers[key]))

    def _join(self, address: Address | None) -> None:
        if len(self._numbers) >= MAX_CONNECTIONS:  # the oldest has most likely gone: UDP says no good-bye
            self._leave(next(iter(self._numbers)))
        self._numbers[address] = self._number()
        self._tell(Received(b"", self._clock.now_ms(), self._numbers[address], Turn.OPENED))

    def _leave(self, address: Address | None) -> None:
        number = self._numbers.pop(address)
        self._tell(Received(b"", self._clock.now_ms(), number, Turn.CLOSED))


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, port: UdpPort, lost: "asyncio.Future[str]") -> None:
        self._port = port
        self._lost = lost

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._port.take(data, (addr[0], addr[1]))

    def error_received(self, exc: Exception) -> None:
        # The other end is not there (yet); the driver asks again.
        _log.debug("datagram refused: %s", exc)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._lost.done():
            self._lost.set_result(f"lost: {exc}" if exc else "closed")
