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
    by: str | None = None
    """The person who did it, where one did."""


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
    events: tuple[str, ...] = ()
    """Ids of committed events of the bed; an ack with these is not retained and says nothing of frames."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """`ctg/v1/{site}/{bed}/advice`: a specialist's advice, to be confirmed by the site."""

    id: str
    t_ms: int
    author: str
    text: str
    strip_t_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteHealth:
    """`ctg/v1/{site}/health`: what the site's agent says of itself, every 30 s; None is not measured."""

    t_ms: int
    backlog_frames: int
    """Frames in the outbox that the hub has not confirmed."""
    oldest_unacked_ms: int | None = None
    outbox_bytes: int | None = None
    disk_free_percent: float | None = None
    cpu_percent: float | None = None
    memory_mb: float | None = None
    rtt_ms: float | None = None
    clock_offset_ms: float | None = None
    """Hub's clock less the site's, by the exchange on `…/time`."""
    clock_delay_ms: float | None = None
    """There and back of that exchange: the offset is wrong by half of it at most."""
    live_batch_s: float | None = None
    rejected: dict[str, int] = field(default_factory=dict)
    """What devices sent that was refused, by driver and fault, since the agent's start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FillCredit:
    """`ctg/v1/{site}/credit`: how many frames a second the hub takes from the site's fill lane now.

    Without a credit within `valid_s` of its arrival a site fills at its own modest rate.
    """

    frames_per_s: float
    valid_s: float = 30.0
    session: str | None = None
    """Another one than before: the hub was restarted or had lost the broker, and may not have what it
    has not acknowledged."""


class CommandKind(StrEnum):
    RESEND = "resend"
    RELOAD = "reload"
    LOG = "log"


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteCommand:
    """`ctg/v1/{site}/cmd`: one of three things that the hub may ask of an agent; all else is refused.

    `resend` names a bed and a span: frames that start in it are sent again although they were
    acknowledged (a restored database).  `reload` reads the configuration again.  `log` sets the
    level named in `text`.
    """

    id: str
    kind: CommandKind
    bed: str | None = None
    from_ms: int | None = None
    to_ms: int | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class TimeExchange:
    """`ctg/v1/{site}/time`: the site asks with `asked_ms`, the hub's answer carries all three.

    Times are Unix ms UTC, each on the clock of who wrote it; 0 is not yet known, so a message
    with `received_ms` 0 is a question.
    """

    asked_ms: int
    received_ms: int = 0
    answered_ms: int = 0
