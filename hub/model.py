"""Value types that every room may import: frozen, without behaviour beyond reading themselves."""

from dataclasses import dataclass, field
from enum import IntEnum, IntFlag, StrEnum
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

GRID_MS: Final = 250
"""Spacing of the sample grid of rings, strips and the analysis, in ms."""

FS_HZ: Final = 4.0
"""Sampling frequency of that grid, in Hz."""


# ---------------------------------------------------------------- wave frames


class Channel(IntEnum):
    """Channel identifiers of wave frame v1."""

    FHR1 = 0x01
    FHR2 = 0x02
    FHR3 = 0x03
    MHR = 0x10
    TOCO = 0x20
    IUP = 0x21
    FSPO2 = 0x30


HEART_RATES: Final = frozenset({Channel.FHR1, Channel.FHR2, Channel.FHR3, Channel.MHR})
"""Channels whose samples are Series 50 heart-rate words."""


class Transducer(IntEnum):
    """What measured a channel: the high nibble of the mode byte."""

    NONE = 0
    ULTRASOUND = 1
    DECG = 2
    MECG = 3
    EXTERNAL = 4
    IUP = 5
    UNKNOWN = 7


class SignalQuality(IntEnum):
    """Signal quality that the device reports with each heart-rate sample."""

    RED = 0
    YELLOW = 1
    GREEN = 2
    UNKNOWN = 3


class FrameFlag(IntFlag):
    """Low nibble of the version byte of a wave frame."""

    NONE = 0
    BACKFILL = 1
    CLOCK_UNSYNCHRONISED = 2
    TEST = 4
    CRC = 8


class MonitorStatus(IntFlag):
    """Status byte of a wave frame: what the fetal monitor says of itself."""

    NONE = 0
    ON = 1
    TELEMETRY = 2
    COINCIDENCE = 4
    MOVEMENT_PROFILE = 8
    TWIN_OFFSET = 16
    TICKS_INSERTED = 32
    TICKS_DELETED = 64
    DECG_LOGIC = 128


@dataclass(frozen=True, slots=True, eq=False)
class ChannelSamples:
    """One channel of a wave frame, exactly as it stands on the wire.

    `raw` holds the words of the wire, shape (n_ticks,): uint16 heart-rate words,
    uint8 for toco and FSpO2, int16 for IUP.  `hub.wire.to_values` turns them into
    bpm, monitor units, mmHg or %, with NaN for signal loss.
    """

    channel: Channel
    transducer: Transducer
    is_inop: bool
    raw: npt.NDArray[np.uint16] | npt.NDArray[np.uint8] | npt.NDArray[np.int16]


@dataclass(frozen=True, slots=True, eq=False)
class WaveFrame:
    """One decoded wave frame of one bed; (site, bed, epoch, seq) is its identity."""

    site: str
    bed: str
    epoch: int
    seq: int
    t0_ms: int
    period_ms: int
    n_ticks: int
    flags: FrameFlag
    status: MonitorStatus
    channels: tuple[ChannelSamples, ...]

    @property
    def end_ms(self) -> int:
        """Time at which the last tick of the frame ends, Unix ms UTC on the site's clock."""
        return self.t0_ms + self.n_ticks * self.period_ms


class Lane(StrEnum):
    """How a frame travelled: live, or filled in later."""

    LIVE = "live"
    FILL = "fill"


# ------------------------------------------------- JSON messages on the broker


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
    up to the highest stored seq are stored except the inclusive ranges in `missing`.
    """

    epoch: int
    contiguous: int
    missing: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """`ctg/v1/{site}/{bed}/advice`: a specialist's advice, to be confirmed by the site."""

    id: str
    t_ms: int
    author: str
    text: str
    strip_t_ms: int | None = None


# ------------------------------------------------------- findings of the analysis

Evidence = Literal["V2", "V1", "K", "E"]
"""Where a rule comes from: several sources, one source, general knowledge, engineering choice."""


class DecelerationKind(StrEnum):
    EARLY = "early"
    LATE = "late"
    VARIABLE = "variable"
    PROLONGED = "prolonged"
    UNDETERMINED = "undetermined"
    """Gradual, but the contractions are unknown; alarmed as late."""


class Severity(StrEnum):
    MILD = "mild"
    SEVERE = "severe"
    UNGRADED = "ungraded"
    """Early decelerations are not graded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceleration:
    """A rise of the FHR above its baseline; times in s from the first sample."""

    onset_s: float
    peak_s: float
    end_s: float
    rise_bpm: float
    is_prolonged: bool = False
    is_provisional: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Deceleration:
    """A fall of the FHR below its baseline; times in s from the first sample.

    `onset_to_nadir_s` is measured to the first bottom, `nadir_bpm` is the lowest
    point of the whole.  `readable_fraction` is the share of the span that carried
    signal; `is_ongoing` says that it had not ended when the data did.
    """

    onset_s: float
    nadir_s: float
    end_s: float
    depth_bpm: float
    nadir_bpm: float
    kind: DecelerationKind
    severity: Severity
    onset_to_nadir_s: float
    lag_s: float | None = None
    """Nadir after the peak of its contraction, s; None without a contraction."""
    readable_fraction: float = 1.0
    is_ongoing: bool = False
    is_provisional: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Contraction:
    """A contraction; times in s from the first sample, amplitude over resting tone."""

    onset_s: float
    peak_s: float
    end_s: float
    amplitude: float


class BaselineClass(StrEnum):
    SEVERE_BRADYCARDIA = "severe_bradycardia"
    BRADYCARDIA = "bradycardia"
    NORMAL = "normal"
    TACHYCARDIA = "tachycardia"


class VariabilityClass(StrEnum):
    ABSENT = "absent"
    MINIMAL = "minimal"
    MODERATE = "moderate"
    MARKED = "marked"
    SINUSOIDAL = "sinusoidal"


class Indeterminate(StrEnum):
    """Why there is no level: 「判定不能」."""

    TOO_LITTLE_SIGNAL = "too_little_signal"
    NO_BASELINE = "no_baseline"
    SEVERAL_BASELINES = "several_baselines"
    LONG_GAP = "long_gap"
    MATERNAL_RATE = "maternal_rate"
    DOUBLING_HALVING = "doubling_halving"
    SHORT_SINUSOIDAL = "short_sinusoidal"
    TOO_SHORT = "too_short"
    FAULT = "fault"
    """The analysis itself failed; the other alert paths go on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One sentence of the why-panel: a catalogue key, its numbers, its span, its evidence tag.

    The sentence is `reason.{code}` in the text catalogue of the language shown.
    """

    code: str
    start_s: float
    end_s: float
    values: dict[str, float | str] = field(default_factory=dict)
    evidence: Literal["V2", "V1", "K", "E"] = "E"


@dataclass(frozen=True, slots=True, kw_only=True)
class Classification:
    """The reading of one 10-minute window: JSOG level with its cell, FIGO and NICHD beside it.

    `level` is 1-5, or None for 「判定不能」, and then `indeterminate` says why.
    `baseline_bpm` is rounded to 5, `baseline_raw_bpm` is not.  `is_rolling` marks
    the window that ends now, as against a complete segment.
    """

    start_s: float
    end_s: float
    level: int | None
    indeterminate: Indeterminate | None = None
    cell: str | None = None
    baseline_class: BaselineClass | None = None
    variability_class: VariabilityClass | None = None
    deceleration_class: str | None = None
    baseline_raw_bpm: float | None = None
    baseline_bpm: float | None = None
    variability_bpm: float | None = None
    is_near_boundary: bool = False
    is_fallback: bool = False
    is_poor_signal: bool = False
    is_reassuring: bool = False
    is_rolling: bool = False
    needs_confirmation: bool = False
    """Absent variability is only a candidate until a person confirms it."""
    valid_fraction: float = 0.0
    longest_gap_s: float = 0.0
    contractions_per_10min: int | None = None
    is_tachysystole: bool = False
    acceleration_count: int = 0
    reasons: tuple[Reason, ...] = ()
    figo: str | None = None
    nichd: str | None = None
    evidence: Literal["V2", "V1", "K", "E"] = "K"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Analysis:
    """All that is said of one fetus over one stretch of signal; arrays have shape (n_samples,)."""

    baseline_bpm: FloatArray
    variability_bpm: FloatArray
    false_signal: FloatArray
    accelerations: list[Acceleration]
    decelerations: list[Deceleration]
    contractions: list[Contraction]
    are_contractions_known: bool
    segments: list[Classification]
    rolling: Classification | None
    is_coincidence_checked: bool
    algorithm: str


# ---------------------------------------------------------------------- alerts


class Priority(StrEnum):
    """IEC 60601-1-8 priorities."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class AlertPath(StrEnum):
    """The three independent paths; a fault in one leaves the other two working."""

    RAW_RATE = "raw_rate"
    LEVEL = "level"
    TECHNICAL = "technical"


class AlertState(StrEnum):
    CLEAR = "clear"
    ACTIVE = "active"
    ACKNOWLEDGED = "acknowledged"
    LATCHED = "latched"


class AckReason(StrEnum):
    """Why an alert may rest: keys 1 to 4 on the consoles."""

    WATCHING = "watching"
    AT_BEDSIDE = "at_bedside"
    ARTEFACT = "artefact"
    TREATED = "treated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One alert of one bed as it stands; repeats update it, `id` is deterministic.

    The sentence is `alert.{rule}` in the text catalogue, filled from `values`.
    """

    id: str
    site: str
    bed: str
    fetus: int | None
    rule: str
    path: AlertPath
    priority: Priority
    state: AlertState
    is_present: bool
    onset_ms: int
    raised_ms: int
    changed_ms: int
    values: dict[str, float | str] = field(default_factory=dict)
    acknowledged_by: str | None = None
    acknowledged_ms: int | None = None
    ack_reason: AckReason | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertTransition:
    """An alert moved: what was stored and pushed, in order, never dropped."""

    alert: Alert
    from_state: AlertState
    to_state: AlertState
    cause: str
    t_ms: int
    by: str | None = None


# --------------------------------------------------- what the consoles are told


@dataclass(frozen=True, slots=True, kw_only=True)
class FetusVitals:
    """Numbers of one fetus, refreshed each second; None where there is no current signal."""

    fetus: int
    fhr_bpm: float | None
    quality: SignalQuality
    signal_fraction: float
    """Share of the last 10 minutes that carries signal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BedVitals:
    """State and numbers of one bed, refreshed each second.

    `head_ms` is the end of the newest sample on the site's clock.  `age_ms` is the
    time since the newest live frame arrived, measured on the hub's monotonic clock
    at the `t_ms` of the message; a console adds its own time since receipt.
    """

    head_ms: int | None
    age_ms: int | None
    clock_offset_ms: int | None
    link: SiteState | None
    device: DeviceState | None
    is_test: bool
    fetuses: tuple[FetusVitals, ...]
    mhr_bpm: float | None
    toco: float | None
    iup_mmhg: float | None
    is_coincident: bool
    """The device itself reports that maternal and fetal rate coincide."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelSpan:
    """A stretch of the ribbon: one level (None: 判定不能) of one fetus."""

    start_ms: int
    end_ms: int
    level: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FetusAnalysis:
    """The latest reading of one fetus.  All `*_s` in it count from `origin_ms`.

    `level` is the shown level: raised at once, lowered only at a segment's end;
    None is 「判定不能」 and `last_level` with `last_level_ms` is what stood before.
    `baseline_bpm[i]` stands at `origin_ms + i * baseline_step_ms`; None: not assessable.
    """

    fetus: int
    origin_ms: int
    computed_ms: int
    level: int | None
    level_since_ms: int
    last_level: int | None
    last_level_ms: int | None
    rolling: Classification | None
    segments: tuple[Classification, ...]
    baseline_step_ms: int
    baseline_bpm: tuple[float | None, ...]
    accelerations: tuple[Acceleration, ...]
    decelerations: tuple[Deceleration, ...]
    suspect_spans_s: tuple[tuple[float, float], ...]
    """Spans in which the FHR is probably the mother's or otherwise false."""
    ribbon: tuple[LevelSpan, ...]
    is_coincidence_checked: bool
    algorithm: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BedAnalysis:
    """What the analysis says of one bed; contractions count from the fetus' `origin_ms` (shared)."""

    fetuses: tuple[FetusAnalysis, ...]
    contractions: tuple[Contraction, ...]
    are_contractions_known: bool
    contractions_per_10min: int | None
    is_tachysystole: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BedView:
    """One bed as both consoles show it.  `analysis` is None in an update that does not change it."""

    site: str
    bed: str
    site_name: str | None
    label: str | None
    gestational_weeks: float | None
    vitals: BedVitals
    analysis: BedAnalysis | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveMessage:
    """One JSON message of `/ws/v1/live`: a snapshot of everything, or one second's update."""

    type: Literal["snapshot", "update"]
    seq: int
    t_ms: int
    boot_id: str
    beds: tuple[BedView, ...]
    alerts: tuple[Alert, ...]
    """Snapshot: all that are not clear.  Update: those that changed, cleared ones included."""
    events: dict[str, tuple[BedEvent, ...]] = field(default_factory=dict)
    """New bed events by `site/bed`."""


@dataclass(frozen=True, slots=True)
class WaveEntry:
    """One wave frame inside a wave batch, as bytes, with the time it reached the hub."""

    site: str
    bed: str
    arrived_ms: int
    payload: bytes
