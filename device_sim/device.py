"""The simulator as a device: speaks a monitor's own protocol over a pseudo-terminal or TCP."""

import asyncio
import errno
import logging
import os
import tty
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, Protocol, Self

from device_sim.line_faults import FaultyLine, LinePlan

_log = logging.getLogger(__name__)

TICK_S: Final = 0.25
_PIECE_BYTES: Final = 4
_MAX_WAITING: Final = 4096
"""A host that does not read loses what it does not take, as on a real line."""


class Monitor(Protocol):
    """A device as bytes."""

    n_blocks: int

    def power_on(self) -> bytes:
        """Give what it says when it is switched on."""

    def hear(self, data: bytes) -> bytes:
        """Give its answer."""

    def tick(self) -> bytes:
        """Let 250 ms go by and give what it sends."""

    def skip(self) -> None:
        """Let 250 ms go by without power."""


class Wire(Protocol):
    """The far end of the device's cable."""

    def send(self, data: bytes) -> None:
        """Give bytes to whoever listens; without a listener they are gone, as on a real line."""


@dataclass(kw_only=True)
class Device:
    """A monitor on a wire, in real time or `speed` times as fast."""

    monitor: Monitor
    plan: LinePlan = field(default_factory=LinePlan)
    seed: int = 1
    baud: int = 0
    """Bytes leave at this speed, 8N1; 0 is at once."""
    speed: float = 1.0

    def __post_init__(self) -> None:
        self.line = FaultyLine(self.plan, self.seed)
        self._wires: list[Wire] = []
        self._waiting: asyncio.Queue[bytes] = asyncio.Queue()
        self._elapsed_s = 0.0

    def attach(self, wire: Wire) -> None:
        """Plug a cable in."""
        self._wires.append(wire)

    def detach(self, wire: Wire) -> None:
        """Pull it out."""
        if wire in self._wires:
            self._wires.remove(wire)

    def hear(self, data: bytes) -> None:
        """Take what the host says."""
        if self.plan.has_cable(self._elapsed_s) and self.plan.has_power(self._elapsed_s):
            self._say(self.monitor.hear(data))

    async def run(self) -> None:
        """Be a device until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._live())
            group.create_task(self._transmit())

    async def _live(self) -> None:
        loop = asyncio.get_running_loop()
        start_s = loop.time()
        has_power = False
        n_ticks = 0
        while True:
            self._elapsed_s = n_ticks * TICK_S
            had_power, has_power = has_power, self.plan.has_power(self._elapsed_s)
            if has_power != had_power:
                _log.info("%.0f s: power %s", self._elapsed_s, "on" if has_power else "off")
            if has_power and not had_power:
                self._say(self.monitor.power_on())
            if has_power:
                self._say(self.monitor.tick())
            else:
                self.monitor.skip()
            n_ticks += 1
            await asyncio.sleep(max(start_s + n_ticks * TICK_S / self.speed - loop.time(), 0))

    def _say(self, data: bytes) -> None:
        if data:
            self._waiting.put_nowait(data)

    async def _transmit(self) -> None:
        while True:
            data = self.line.carry(await self._waiting.get())
            size = _PIECE_BYTES if self.baud else max(len(data), 1)
            for at in range(0, len(data), size):
                piece = data[at : at + size]
                if self.baud:
                    await asyncio.sleep(len(piece) * 10 / self.baud / self.speed)
                if self.plan.has_cable(self._elapsed_s):
                    for wire in list(self._wires):
                        wire.send(piece)


class Pty:
    """A pseudo-terminal whose far end an agent opens like a serial port: `path`."""

    def __init__(self, device: Device, link: Path | None = None) -> None:
        self._device = device
        self._link = link
        # The near end of the slave stays open, so that the host may come and go.
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.path = os.ttyname(self._slave)

    def __enter__(self) -> Self:
        """Begin to listen."""
        asyncio.get_running_loop().add_reader(self._master, self._read)
        if self._link is not None:
            self._link.unlink(missing_ok=True)
            self._link.symlink_to(self.path)
        self._device.attach(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close both ends: the host sees the cable go."""
        self._device.detach(self)
        asyncio.get_running_loop().remove_reader(self._master)
        os.close(self._master)
        os.close(self._slave)
        if self._link is not None:
            self._link.unlink(missing_ok=True)

    def send(self, data: bytes) -> None:
        """Write; what nobody reads is lost."""
        try:
            os.write(self._master, data)
        except BlockingIOError:
            return

    def _read(self) -> None:
        try:
            self._device.hear(os.read(self._master, 4096))
        except OSError as error:
            if error.errno not in (errno.EIO, errno.EAGAIN):
                raise


class _TcpWire(asyncio.Protocol):
    def __init__(self, device: Device) -> None:
        self._device = device
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)  # noqa: S101  # asyncio's word, for the type checker
        self._transport = transport
        self._device.attach(self)

    def data_received(self, data: bytes) -> None:
        self._device.hear(data)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._device.detach(self)

    def send(self, data: bytes) -> None:
        transport = self._transport
        if transport is not None and transport.get_write_buffer_size() < _MAX_WAITING:
            transport.write(data)


async def listen(device: Device, host: str, port: int) -> asyncio.Server:
    """Let hosts connect over TCP, as to a serial server."""
    return await asyncio.get_running_loop().create_server(lambda: _TcpWire(device), host, port)
