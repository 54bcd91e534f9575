"""JSON messages on the broker, between a site and the hub."""

from dataclasses import dataclass, field
from enum import StrEnum


class SiteState(StrEnum):
    ONLINE = "online"
    OFFLINE = "offline"


class DeviceState(StrEnum):
    OK = "ok"
    STALE = "stale"
    DISCONNECTED = "disconnected"
    UNCONFIGURED = "unconfigured"


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteStatus:
    """`ctg/v1/{site}/status`: retained, and the last will of the site's connection."""

    state: SiteState
    t_ms: int | None = None
    name: str | None = None
    version: str | None = None
    clock_error_ms: int | None = None
    beds: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BedState:
    """`ctg/v1/{site}/{bed}/state`: retained; what the site knows of the bed's device."""

    state: DeviceState
    since_ms: int | None = None
    driver: str | None = None
    device: str | None = None
    label: str | None = None
    gestational_weeks: float | None = None
    is_twin: bool = False


class EventKind(StrEnum):
    MARKER = "marker"
    NOTE = "note"
    NIBP = "nibp"
    SPO2 = "spo2"
    TEMPERATURE = "temperature"
    FAILURE = "failure"
    TOCO_ZERO = "toco_zero"
    ADVICE_CONFIRMED = "advice_confirmed"


@dataclass(frozen=True, slots=True, kw_only=True)
class BedEvent:
    """`ctg/v1/{site}/{bed}/event`: something that happened at the bed; `id` is a ULID."""

    id: str
    kind: EventKind
    t_ms: int
    text: str | None = None
    values: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ack:
    """`ctg/v1/{site}/{bed}/ack`: what of one epoch is committed in the database.

    Every seq up to and including `contiguous` is stored (-1: none); above it all
    up to `highest`, the highest stored seq, are stored except the inclusive ranges in
    `missing`.  Ranges may cover stored frames as well: those are sent again in vain.
    """

    epoch: int
    contiguous: int
    missing: tuple[tuple[int, int], ...] = ()
    highest: int | None = None
    """None in an ack that a hub before this field sent: then nothing above the last range is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """`ctg/v1/{site}/{bed}/advice`: a specialist's advice, to be confirmed by the site."""

    id: str
    t_ms: int
    author: str
    text: str
    strip_t_ms: int | None = None
