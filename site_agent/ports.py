"""Opens the port that a text names; what a port does is in `site_agent.port`.

Streams come from serial lines and TCP (`site_agent.lines`), datagrams from UDP, whole files
from a folder, and recorded bytes from the raw log.
"""

from pathlib import Path

from hub.errors import SettingsError
from site_agent.datagrams import UdpPort
from site_agent.drivers.line import LineSettings
from site_agent.folder import FolderPort
from site_agent.lines import SerialPort, TcpListenPort, TcpPort
from site_agent.port import Clock, Port, PortState, Received, Turn
from site_agent.raw_log import ReplayPort

__all__ = ["Clock", "Port", "PortState", "Received", "Turn", "open_port"]


def open_port(spec: str, *, clock: Clock, line: LineSettings | None = None) -> Port:
    """Make the port that `spec` names; nothing is opened before `async with`.

    One of `serial:DEVICE`, `tcp://HOST:PORT`, `tcp-listen:[HOST:]PORT`, `udp://HOST:PORT`,
    `udp:[HOST:]PORT`, `folder:PATH`, `replay:FILE_OR_FOLDER`.  `line` is for serial ones.

    Raises
    ------
    SettingsError
        If the text is none of these.
    """
    kind, _, rest = spec.partition(":")
    if kind == "serial" and rest:
        return SerialPort(spec, clock, device=rest, line=line or LineSettings(1200))
    if kind in ("tcp", "udp") and rest.startswith("//"):
        host, number = _split_address(spec, rest[2:])
        if host:
            if kind == "tcp":
                return TcpPort(spec, clock, host=host, number=number)
            return UdpPort(spec, clock, remote=(host, number))
    if kind == "tcp-listen":
        host, number = _split_address(spec, rest)
        return TcpListenPort(spec, clock, host=host, number=number)
    if kind == "udp":
        host, number = _split_address(spec, rest)
        return UdpPort(spec, clock, local=(host or "0.0.0.0", number))  # noqa: S104  # any network card
    if kind == "folder" and rest:
        return FolderPort(spec, clock, folder=Path(rest))
    if kind == "replay" and rest:
        return ReplayPort(spec, clock, path=Path(rest))
    msg = (
        f"port: expected serial:DEVICE, tcp://HOST:PORT, tcp-listen:PORT, udp://HOST:PORT, udp:PORT, "
        f"folder:PATH or replay:FILE, got {spec!r}"
    )
    raise SettingsError(msg)


def _split_address(spec: str, text: str) -> tuple[str | None, int]:
    host, _, number = text.rpartition(":")
    if not (number.isascii() and number.isdigit() and 0 < int(number) < 65536):
        msg = f"port {spec!r}: expected a number from 1 to 65535 at its end, got {number!r}"
        raise SettingsError(msg)
    return host.strip("[]") or None, int(number)
