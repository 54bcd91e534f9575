"""The drivers by name: how each is made, what ports it takes, how its line is set."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from hub.errors import SettingsError
from site_agent.device import Driver
from site_agent.drivers.file_drop import FileDrop
from site_agent.drivers.ge115 import Ge115
from site_agent.drivers.hl7_mllp import Hl7Mllp
from site_agent.drivers.intellivue import IntelliVue
from site_agent.drivers.line import LineSettings
from site_agent.drivers.series50 import Series50

Options = Mapping[str, object]


class PortKind(StrEnum):
    """What a driver's bytes may come over: the first word of a port's name."""

    SERIAL = "serial"
    TCP = "tcp"
    TCP_LISTEN = "tcp-listen"
    UDP = "udp"
    FOLDER = "folder"
    REPLAY = "replay"


_STREAMS: Final = frozenset({PortKind.SERIAL, PortKind.TCP, PortKind.TCP_LISTEN, PortKind.REPLAY})


@dataclass(frozen=True, slots=True, kw_only=True)
class DriverKind:
    """One protocol; `make` gives a fresh driver for a connection from the options of the configuration."""

    name: str
    summary: str
    make: Callable[[Options], Driver]
    ports: frozenset[PortKind]
    line: LineSettings | None = None
    """How a serial line is set unless the configuration says otherwise; None where there is none."""


DRIVERS: Final[Mapping[str, DriverKind]] = {
    kind.name: kind
    for kind in (
        DriverKind(
            name="series50",
            summary="Philips/HP M1350 family, Corometrics 250cx, HP-compatible ports",
            make=lambda options: Series50(**_take(options, has_fspo2=bool)),
            ports=_STREAMS,
            line=LineSettings(1200),
        ),
        DriverKind(
            name="ge115",
            summary="GE Corometrics 120 and 170 series, Model 115 modes",
            make=lambda options: Ge115(**_take(options, mode=str)),
            ports=_STREAMS,
            line=LineSettings(9600),
        ),
        DriverKind(
            name="hl7-mllp",
            summary="a central system that sends ORU^R01",
            make=lambda options: Hl7Mllp(**_take(options, channels=Mapping, utc_offset_min=int)),
            ports=frozenset({PortKind.TCP, PortKind.TCP_LISTEN, PortKind.REPLAY}),
        ),
        DriverKind(
            name="intellivue",
            summary="Philips Avalon and IntelliVue, LAN Data Export",
            make=lambda options: IntelliVue(**_take(options, handles=Mapping)),
            ports=frozenset({PortKind.UDP, PortKind.REPLAY}),
        ),
        DriverKind(
            name="file-drop",
            summary="finished files: CSV, EDF and EDF+, WFDB, NPZ, MFER",
            make=lambda options: FileDrop(**_take(options, utc_offset_min=int)),
            ports=frozenset({PortKind.FOLDER, PortKind.REPLAY}),
        ),
    )
}
"""Every driver there is."""


def find_driver(name: str, port: str | None = None) -> DriverKind:
    """Give the kind of that name, fit for the port if one is named.

    Raises
    ------
    SettingsError
        If there is none, or it does not take that kind of port.
    """
    kind = DRIVERS.get(name)
    if kind is None:
        msg = f"driver: expected one of {', '.join(DRIVERS)}, got {name!r}"
        raise SettingsError(msg)
    if port is not None and port.partition(":")[0] not in kind.ports:
        msg = f"driver {name}: expected a port {', '.join(sorted(kind.ports))}, got {port!r}"
        raise SettingsError(msg)
    return kind


def make_driver(name: str, options: Options | None = None) -> Driver:
    """Make a fresh driver for one connection.

    Raises
    ------
    SettingsError
        If there is no such driver, or an option is unknown or of another kind.
    """
    kind = find_driver(name)
    try:
        return kind.make(options or {})
    except (ValueError, TypeError) as error:
        msg = f"driver {name}: {error}"
        raise SettingsError(msg) from error


def _take(options: Options, **kinds: type) -> dict[str, Any]:
    """Give the options that were set, each of its kind; an unknown one is an error."""
    for name, value in options.items():
        if name not in kinds:
            msg = f"expected options {', '.join(kinds) or 'none'}, got {name!r}"
            raise ValueError(msg)
        if not isinstance(value, kinds[name]):
            msg = f"{name}: expected {kinds[name].__name__}, got {value!r}"
            raise TypeError(msg)
    return dict(options)
