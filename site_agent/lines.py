"""Serial lines and TCP as ports: byte streams that come and go."""

import asyncio
import logging
import socket
from typing import Final

from site_agent.drivers.line import LineSettings
from site_agent.port import Clock, Port, PortState, Received, Turn

_log = logging.getLogger(__name__)

WRITE_BYTES: Final = 64 * 1024
"""What may wait to be written to a device that does not take it."""
MAX_CONNECTIONS: Final = 32
"""Most devices that speak to one listening port at a time."""
_FIRST_RETRY_S: Final = 0.25
_LAST_RETRY_S: Final = 5.0


class _Line(asyncio.Protocol):
    """One connection of a serial or TCP port."""

    def __init__(self, port: "LinePort", byte_ms: float) -> None:
        self._port = port
        self._byte_ms = byte_ms
        self.number = 0
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  # asyncio's word, for the type checker
        self.transport = transport
        self.number = self._port.add(self)

    def data_received(self, data: bytes) -> None:
        # The block ends now; on a slow line its first byte came earlier.
        self._port.take(data, self.number, early_ms=(len(data) - 1) * self._byte_ms)

    def connection_lost(self, exc: Exception | None) -> None:
        why = f"lost: {exc}" if exc else "closed by the other end"
        if not self.lost.done():
            self.lost.set_result(why)
        self._port.remove(self, why)


class LinePort(Port):
    """Serial lines and TCP: byte streams that come and go."""

    def __init__(self, spec: str, clock: Clock, *, byte_ms: float = 0.0) -> None:
        super().__init__(spec, clock)
        self._byte_ms = byte_ms
        self._lines: dict[int, _Line] = {}

    @property
    def connections(self) -> tuple[int, ...]:
        """The connections that are open now."""
        return tuple(self._lines)

    async def write(self, data: bytes, connection: int | None = None) -> None:
        """Give bytes to the device of a connection (None: the newest); dropped if it is away or stuck."""
        number = connection if connection is not None else max(self._lines, default=0)
        line = self._lines.get(number)
        transport = None if line is None else line.transport
        if not data or transport is None or transport.is_closing():
            return
        if transport.get_write_buffer_size() > WRITE_BYTES:
            _log.warning("port %s: the device takes nothing: %d bytes dropped", self.spec, len(data))
            return
        transport.write(data)

    def add(self, line: _Line) -> int:
        """Take a new connection in."""
        number = self._number()
        if len(self._lines) >= MAX_CONNECTIONS and line.transport is not None:
            _log.warning("port %s: more than %d connections: refused", self.spec, MAX_CONNECTIONS)
            line.transport.abort()
            return number
        self._lines[number] = line
        self._set_state(PortState.OPEN, "open")
        self._tell(Received(b"", self._clock.now_ms(), number, Turn.OPENED))
        return number

    def take(self, data: bytes, number: int, *, early_ms: float) -> None:
        """Take a block in; its first byte came `early_ms` before now."""
        self._tell(Received(data, self._clock.now_ms() - early_ms, number))

    def remove(self, line: _Line, why: str) -> None:
        """Let a connection go."""
        if self._lines.pop(line.number, None) is None:
            return
        if not self._lines:
            self._set_state(PortState.CLOSED, why)
        self._tell(Received(b"", self._clock.now_ms(), line.number, Turn.CLOSED))

    def _hold(self, is_full: bool) -> None:
        for line in self._lines.values():
            if line.transport is not None and not line.transport.is_closing():
                (line.transport.pause_reading if is_full else line.transport.resume_reading)()

    def _close_lines(self) -> None:
        for line in list(self._lines.values()):
            if line.transport is not None:
                line.transport.abort()


class _OutgoingPort(LinePort):
    """A port that we open: a serial line or a TCP connection to a device or converter."""

    async def _connect(self) -> _Line:
        raise NotImplementedError

    async def _run(self) -> None:
        retry_s = _FIRST_RETRY_S
        try:
            while True:
                opened_s = self._clock.now_s()
                try:
                    line = await self._connect()
                except OSError as error:  # a SerialException is one
                    self._set_state(PortState.CLOSED, f"cannot be opened: {error}")
                else:
                    await line.lost
                if self._clock.now_s() - opened_s > _LAST_RETRY_S:
                    retry_s = _FIRST_RETRY_S
                await asyncio.sleep(retry_s)
                retry_s = min(2 * retry_s, _LAST_RETRY_S)
        finally:
            self._close_lines()


class SerialPort(_OutgoingPort):
    """`serial:/dev/ttyUSB0`: a serial line, or anything that behaves as one."""

    def __init__(self, spec: str, clock: Clock, *, device: str, line: LineSettings) -> None:
        super().__init__(spec, clock, byte_ms=line.byte_ms)
        self._device = device
        self._settings = line

    async def _connect(self) -> _Line:
        # Only sites with serial lines need this library.
        import serial_asyncio_fast

        _, line = await serial_asyncio_fast.create_serial_connection(
            asyncio.get_running_loop(),
            lambda: _Line(self, self._byte_ms),
            self._device,
            baudrate=self._settings.baud,
            bytesize=self._settings.data_bits,
            parity=self._settings.parity,
            stopbits=self._settings.stop_bits,
            exclusive=True,  # two readers would each get half of the bytes
        )
        assert isinstance(line, _Line)  # noqa: S101  # it gives back what the factory made
        return line


class TcpPort(_OutgoingPort):
    """`tcp://host:port`: a device or a serial server that listens."""

    def __init__(self, spec: str, clock: Clock, *, host: str, number: int) -> None:
        super().__init__(spec, clock)
        self._address = (host, number)

    async def _connect(self) -> _Line:
        async with asyncio.timeout(10):
            transport, line = await asyncio.get_running_loop().create_connection(
                lambda: _Line(self, 0.0), *self._address
            )
        _notice_a_dead_peer(transport)
        return line


class TcpListenPort(LinePort):
    """`tcp-listen:[host:]port`: devices or a central system connect to us, several at a time."""

    def __init__(self, spec: str, clock: Clock, *, host: str | None, number: int) -> None:
        super().__init__(spec, clock)
        self._address = (host, number)

    async def _run(self) -> None:
        retry_s = _FIRST_RETRY_S
        while True:
            try:
                server = await asyncio.get_running_loop().create_server(
                    lambda: _Line(self, 0.0), *self._address, reuse_address=True
                )
            except OSError as error:
                self._set_state(PortState.CLOSED, f"cannot listen: {error}")
                await asyncio.sleep(retry_s)
                retry_s = min(2 * retry_s, _LAST_RETRY_S)
                continue
            self._set_state(PortState.CLOSED, "listening, nobody has connected")
            try:
                await server.serve_forever()
            finally:
                server.close()
                self._close_lines()

    def add(self, line: _Line) -> int:
        """Take a new connection in."""
        if line.transport is not None:
            _notice_a_dead_peer(line.transport)
        return super().add(line)


def _notice_a_dead_peer(transport: asyncio.BaseTransport) -> None:
    """Let the kernel ask whether the other end still lives: a cut cable closes no connection."""
    sock = transport.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    # With a request unanswered no such question is asked; then the last limit counts, in ms.
    limits = (("TCP_KEEPIDLE", 10), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3), ("TCP_USER_TIMEOUT", 20_000))
    for name, value in limits:
        if hasattr(socket, name):  # not every system has them
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
