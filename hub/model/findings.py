"""What the analysis finds on a strip, and how it reads it."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from hub.model.waves import FloatArray

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
    is_revised: bool = False
    """Told otherwise, or not at all, when it was no longer provisional: late data, or hindsight."""


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
    is_revised: bool = False
    """As for an acceleration."""


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
    is_provisional: bool = False
    """Ends within the last 2 min, so the samples behind it may still change it."""
    is_revised: bool = False
    """Another level or cell was told when it was no longer provisional: late data, or hindsight."""
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
