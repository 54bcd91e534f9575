"""The clinical numbers of the analysis as data: JSOG definitions, contractions, signal quality, NST.

Every number carries its unit, its evidence tag and its source.  The level tables
are in `tables`, FIGO and NICHD in `comparison`.  Nothing here is signed off by an obstetrician.

Evidence tags: V2 two or more sources, V1 one source, K general knowledge that no
source could be read for, E an engineering choice that needs clinical agreement.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import floor, inf
from typing import Final

from hub.model import BaselineClass, DecelerationKind, Evidence, Severity, VariabilityClass

JSOG_2003: Final = "JSOG Perinatology Committee, definitions of 2003, Acta Obst Gynaec Jpn 55(8)"
JSOG_2002: Final = "JSOG definitions, draft of 2002, Acta Obst Gynaec Jpn 54(4)"
KANGO_ROO: Final = "Tateoka, Perinatal care manual 3rd ed., as shown by Kango-roo"
FUKUDA: Final = "Fukuda et al., Shusanki Igaku 2023 suppl., quoting the JSOG report of 2003"
GENERAL: Final = "general knowledge of the JSOG text, not read in a source"
OWN: Final = "engineering choice of this project"


@dataclass(frozen=True, slots=True)
class Limit:
    """One clinical number with its unit, its evidence tag and its source."""

    value: float
    unit: str
    evidence: Evidence
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """An interval of numbers; a bound left out is open."""

    gte: float = -inf
    gt: float = -inf
    lt: float = inf
    lte: float = inf

    def holds(self, value: float) -> bool:
        """Say whether `value` lies inside; NaN lies nowhere."""
        return self.gte <= value <= self.lte and self.gt < value < self.lt


# --------------------------------------------------------------- baseline

SEGMENT_S: Final = Limit(600.0, "s", "V1", KANGO_ROO)
BASELINE_STEP_BPM: Final = Limit(5.0, "bpm", "V1", FUKUDA)
BASELINE_EXCLUDED_VARIABILITY_BPM: Final = Limit(26.0, "bpm", "V1", FUKUDA)
"""Stretches with at least this much variability do not enter the baseline."""
BASELINE_SEVERAL_BPM: Final = Limit(26.0, "bpm", "V1", FUKUDA)
"""Candidate stretches that differ by at least this much: no baseline is judged."""
BASELINE_MIN_READABLE_S: Final = Limit(120.0, "s", "V1", FUKUDA)

BASELINE_RANGES: Final[Mapping[BaselineClass, tuple[Range, Evidence]]] = {
    BaselineClass.SEVERE_BRADYCARDIA: (Range(lt=80), "K"),
    BaselineClass.BRADYCARDIA: (Range(gte=80, lt=110), "V2"),
    BaselineClass.NORMAL: (Range(gte=110, lte=160), "V2"),
    BaselineClass.TACHYCARDIA: (Range(gt=160), "V2"),
}
"""Read on the baseline rounded to 5 bpm; whether raw would be right is open (question Q7)."""

# ------------------------------------------------------------ variability

VARIABILITY_RANGES: Final[Mapping[VariabilityClass, tuple[Range, Evidence]]] = {
    VariabilityClass.ABSENT: (Range(lte=0), "V2"),
    VariabilityClass.MINIMAL: (Range(gt=0, lte=5), "V2"),
    VariabilityClass.MODERATE: (Range(gte=6, lte=25), "V2"),
    VariabilityClass.MARKED: (Range(gte=26), "V2"),
}
"""Amplitude in whole bpm; 0 stands for "not visible to the eye", which has no number in the guideline."""
VARIABILITY_PIECE_S: Final = Limit(60.0, "s", "E", OWN)
ABSENT_CANDIDATE_BPM: Final = Limit(2.0, "bpm", "E", OWN)
"""Measured amplitudes up to this are a candidate for absent, to be confirmed by a person (Q8)."""
ABSENT_MIN_PIECES: Final = Limit(2.0, "1-minute pieces", "E", OWN)
"""Fewer pieces of real signal never make a candidate for absent."""

# ------------------------------------------------------------- sinusoidal

SINUSOIDAL_MIN_CPM: Final = Limit(2.0, "cycles/min", "V1", JSOG_2002)
SINUSOIDAL_MAX_CPM: Final = Limit(6.0, "cycles/min", "V1", JSOG_2002)
SINUSOIDAL_MIN_MEAN_BPM: Final = Limit(5.0, "bpm", "V1", JSOG_2002)
SINUSOIDAL_MAX_MEAN_BPM: Final = Limit(15.0, "bpm", "V1", JSOG_2002)
SINUSOIDAL_MAX_BPM: Final = Limit(35.0, "bpm", "V1", JSOG_2002)
SINUSOIDAL_TABLE_V_MIN: Final = Limit(10.0, "min", "K", GENERAL)
"""Table V also wants STV absent or markedly reduced, and no acceleration."""

# ---------------------------------------------------------- accelerations


@dataclass(frozen=True, slots=True)
class AccelerationRule:
    """The least rise and the least duration of an acceleration."""

    min_rise_bpm: float
    min_duration_s: float
    evidence: Evidence


ACCELERATION_TERM: Final = AccelerationRule(15.0, 15.0, "V2")
ACCELERATION_PRETERM: Final = AccelerationRule(10.0, 10.0, "V2")
ACCELERATION_TERM_WEEKS: Final = Limit(32.0, "weeks", "V2", JSOG_2003)
ACCELERATION_MAX_ONSET_TO_PEAK_S: Final = Limit(30.0, "s", "V1", JSOG_2003)
ACCELERATION_PROLONGED_S: Final = Limit(120.0, "s", "V1", JSOG_2003)
ACCELERATION_BASELINE_CHANGE_S: Final = Limit(600.0, "s", "V1", JSOG_2003)

# ---------------------------------------------------- decelerations

GRADUAL_ONSET_S: Final = Limit(30.0, "s", "V2", JSOG_2003)
"""From onset to the first bottom: from here on gradual, below it abrupt."""
VARIABLE_MIN_DROP_BPM: Final = Limit(15.0, "bpm", "V2", JSOG_2003)
VARIABLE_MIN_S: Final = Limit(15.0, "s", "V2", JSOG_2003)
PROLONGED_MIN_DROP_BPM: Final = Limit(15.0, "bpm", "K", GENERAL)
PROLONGED_MIN_S: Final = Limit(120.0, "s", "K", GENERAL)
DECELERATION_BASELINE_CHANGE_S: Final = Limit(600.0, "s", "K", GENERAL)


@dataclass(frozen=True, slots=True)
class SeverityRule:
    """Ranges that must hold together for a deceleration of `kind` to be severe."""

    kind: DecelerationKind
    evidence: Evidence
    drop_bpm: Range = Range()
    nadir_bpm: Range = Range()
    duration_s: Range = Range()


SEVERE: Final[tuple[SeverityRule, ...]] = (
    SeverityRule(DecelerationKind.LATE, "K", drop_bpm=Range(gte=15)),
    SeverityRule(DecelerationKind.VARIABLE, "K", nadir_bpm=Range(lt=70), duration_s=Range(gte=30)),
    SeverityRule(DecelerationKind.VARIABLE, "K", nadir_bpm=Range(gte=70, lt=80), duration_s=Range(gte=60)),
    SeverityRule(DecelerationKind.PROLONGED, "K", nadir_bpm=Range(lt=80)),
)
"""Duration is onset to recovery of the whole deceleration (open question Q3)."""

# -------------------------------------------------------------------- NST

NST_MIN_ACCELERATIONS: Final = Limit(2.0, "count", "V2", "JSOG/JAOG guideline, obstetrics")
NST_WINDOW_S: Final = Limit(1200.0, "s", "V2", "JSOG/JAOG guideline, obstetrics")
NST_EXTENDED_WINDOW_S: Final = Limit(2400.0, "s", "V2", "JSOG/JAOG guideline, obstetrics")
"""Not reactive in the first window: go on to this length before calling it non-reactive."""

# -------------------------------------------------------------------- STV

_SONICAID: Final = "Huntleigh Sonicaid Team manuals"
STV_EPOCH_S: Final = Limit(3.75, "s", "V2", _SONICAID)
STV_MAX_LOST_FRACTION: Final = Limit(0.5, "of the epochs of a minute", "K", "general knowledge of the method")
STV_MIN_RECORD_S: Final = Limit(3600.0, "s", "V2", _SONICAID)
"""A shorter record gives a value that must not be read yet."""
STV_HIGH_RANGE_MS: Final = Limit(32.0, "ms", "V1", _SONICAID)
STV_LOW_RANGE_MS: Final = Limit(30.0, "ms", "V1", _SONICAID)
STV_EPISODE_MIN: Final = Limit(5.0, "of 6 minutes in a row", "V1", _SONICAID)
STV_COARSEST_STEP_BPM: Final = Limit(0.25, "bpm", "E", OWN)
STV_LOWEST_FS_HZ: Final = Limit(4.0, "Hz", "E", OWN)
STV_REFERENCES_MS: Final[tuple[tuple[Range, Limit], ...]] = tuple(
    (weeks, Limit(bound_ms, "ms", "K", "TRUFFLE; ISUOG 2020, early growth restriction"))
    for weeks, bound_ms in (
        (Range(gte=26, lt=29), 2.6),
        (Range(gte=29, lt=32), 3.0),
        (Range(gte=32, lt=34), 3.5),
        (Range(gte=34), 4.5),
    )
)
"""Shown as lines to compare with in early growth restriction; nothing is concluded from them."""

# ------------------------------------------------------------ contractions

TACHYSYSTOLE_MORE_THAN: Final = Limit(5.0, "contractions/10 min", "V2", "JSOG/JAOG guideline; NICHD 2008")
TACHYSYSTOLE_NICHD_AVERAGE_S: Final = Limit(1800.0, "s", "V2", "NICHD 2008")
EXCESSIVE_IUP_MMHG: Final[Mapping[str, Limit]] = {
    "4-6 cm": Limit(70.0, "mmHg", "V1", "JAOG lecture; internal catheter only"),
    "7-8 cm": Limit(80.0, "mmHg", "V1", "JAOG lecture; internal catheter only"),
    "9 cm to stage 2": Limit(55.0, "mmHg", "V1", "JAOG lecture; internal catheter only"),
}
LONG_CONTRACTION_S: Final = Limit(45.0, "s", "V1", "JAOG glossary; contradicted elsewhere, never alarmed")
HYPERTONUS_S: Final = Limit(120.0, "s", "K", GENERAL)
CONTRACTION_WIDTH_FRACTION: Final = Limit(0.2, "of peak height", "K", GENERAL)
CONTRACTION_RESTING_WINDOW_S: Final = Limit(600.0, "s", "E", OWN)
CONTRACTION_RESTING_PERCENTILE: Final = Limit(10.0, "percentile", "E", OWN)
CONTRACTION_MIN_RISE: Final = Limit(15.0, "toco units", "E", OWN)
CONTRACTION_MIN_RISE_NOISE: Final = Limit(3.0, "times the noise", "E", OWN)
CONTRACTION_MIN_S: Final = Limit(30.0, "s", "E", OWN)
CONTRACTION_MAX_S: Final = Limit(180.0, "s", "E", OWN)
TOCO_ZERO_SUPPRESS_S: Final = Limit(10.0, "s", "E", OWN)

# ---------------------------------------------------------- signal quality

GOOD_SIGNAL_FRACTION: Final = Limit(0.8, "valid fraction", "E", OWN)
POOR_SIGNAL_FRACTION: Final = Limit(0.5, "valid fraction", "E", OWN)
LONG_GAP_S: Final = Limit(60.0, "s", "E", OWN)
"""A gap longer than this that may hide a prolonged deceleration: no level."""
FALL_BEFORE_GAP_BPM: Final = Limit(15.0, "bpm", "E", OWN)
"""Last valid value at least this far under the baseline: the fall is taken to go on."""
VARIABILITY_MAX_BRIDGE_S: Final = Limit(3.0, "s", "E", OWN)
MAX_BRIDGE_S: Final = Limit(15.0, "s", "E", OWN)
COINCIDENCE_BPM: Final = Limit(5.0, "bpm", "E", OWN)
COINCIDENCE_WINDOW_S: Final = Limit(60.0, "s", "E", OWN)
COINCIDENCE_RAISE_FRACTION: Final = Limit(0.6, "of valid pairs", "E", OWN)
COINCIDENCE_CLEAR_FRACTION: Final = Limit(0.3, "of valid pairs", "E", OWN)
COINCIDENCE_MIN_PAIRS: Final = Limit(30.0, "pairs", "E", OWN)
SWITCH_STEP_BPM: Final = Limit(25.0, "bpm", "E", OWN)
SWITCH_STEP_S: Final = Limit(5.0, "s", "E", OWN)
DOUBLING_TOLERANCE: Final = Limit(0.07, "of the doubled or halved value", "E", OWN)
DOPPLER_DOUBLED_BELOW_BPM: Final = Limit(60.0, "bpm", "K", GENERAL)
DOPPLER_HALVED_ABOVE_BPM: Final = Limit(180.0, "bpm", "K", GENERAL)

# ------------------------------------------------------------------ tiny lookups


def round_half_up(value: float, step: float = 1.0) -> float:
    """Round to the nearest multiple of a step, halves upwards.

    Parameters
    ----------
    value : float
        Number to round.
    step : float, optional
        Distance of the multiples, in the unit of `value`.

    Returns
    -------
    float
        Multiple of `step` nearest to `value`.

    Notes
    -----
    The baseline is given in steps of 5 bpm (V1: JSOG report of 2003); that halves
    go up, for it and for variability, is an engineering choice (E).

    Examples
    --------
    >>> round_half_up(107.5, 5.0), round_half_up(2.5)
    (110.0, 3.0)
    """
    return floor(value / step + 0.5) * step


def class_of_baseline(baseline_bpm: float) -> BaselineClass:
    """Class a baseline that is already rounded to 5 bpm.

    Parameters
    ----------
    baseline_bpm : float
        Baseline in beats/min; 110 and 160 both count as normal (V2) [1]_.

    Returns
    -------
    BaselineClass
        Row of the level tables; below 80 is a row of its own (K).

    Raises
    ------
    ValueError
        If `baseline_bpm` is not a number.

    References
    ----------
    .. [1] JSOG Perinatology Committee, definitions of 2003.

    Examples
    --------
    >>> class_of_baseline(160.0).value, class_of_baseline(165.0).value
    ('normal', 'tachycardia')
    """
    for name, (interval, _) in BASELINE_RANGES.items():
        if interval.holds(baseline_bpm):
            return name
    msg = f"baseline_bpm: expected a number in beats/min, got {baseline_bpm}"
    raise ValueError(msg)


def class_of_variability(variability_bpm: float) -> VariabilityClass:
    """Class a baseline variability amplitude, rounded half up to whole bpm.

    Parameters
    ----------
    variability_bpm : float
        Peak-to-trough amplitude in beats/min; 0 stands for not visible to the eye.

    Returns
    -------
    VariabilityClass
        Absent, minimal (to 5), moderate (6 to 25) or marked (from 26) (V2) [1]_.

    Raises
    ------
    ValueError
        If `variability_bpm` is not a number.

    References
    ----------
    .. [1] JSOG Perinatology Committee, definitions of 2003.

    Examples
    --------
    >>> class_of_variability(5.4).value, class_of_variability(5.5).value
    ('minimal', 'moderate')
    """
    whole_bpm = round_amplitude(variability_bpm)
    for name, (interval, _) in VARIABILITY_RANGES.items():
        if interval.holds(whole_bpm):
            return name
    msg = f"variability_bpm: expected an amplitude in beats/min, got {variability_bpm}"
    raise ValueError(msg)


def round_amplitude(variability_bpm: float) -> float:
    """Round a variability amplitude half up to whole bpm.

    Parameters
    ----------
    variability_bpm : float
        Peak-to-trough amplitude in beats/min.

    Returns
    -------
    float
        Whole beats/min (E); below 1 bpm, and if it is not a number, unchanged: what
        is visible must not be rounded down to "not visible".

    Examples
    --------
    >>> round_amplitude(5.5), round_amplitude(0.4)
    (6.0, 0.4)
    """
    return round_half_up(variability_bpm) if variability_bpm >= 1 else variability_bpm


def acceleration_rule(gestational_weeks: float | None) -> AccelerationRule:
    """Tell how high and how long an acceleration must be.

    Parameters
    ----------
    gestational_weeks : float or None
        Gestational age; None is read as 32 weeks or more, which accepts fewer
        accelerations and so never reassures wrongly (E).

    Returns
    -------
    AccelerationRule
        15 bpm and 15 s from 32 weeks on, 10 bpm and 10 s before (V2) [1]_.

    References
    ----------
    .. [1] JSOG Perinatology Committee, definitions of 2003.

    Examples
    --------
    >>> acceleration_rule(31.9).min_rise_bpm
    10.0
    """
    if gestational_weeks is not None and gestational_weeks < ACCELERATION_TERM_WEEKS.value:
        return ACCELERATION_PRETERM
    return ACCELERATION_TERM


def severity_of(kind: DecelerationKind, *, drop_bpm: float, nadir_bpm: float, duration_s: float) -> Severity:
    """Grade a deceleration as mild or severe.

    Parameters
    ----------
    kind : DecelerationKind
        Early ones are not graded; undetermined ones are graded as late (E).
    drop_bpm : float
        Baseline minus lowest point, in beats/min.
    nadir_bpm : float
        Lowest point, in beats/min.
    duration_s : float
        From onset to recovery, in s.

    Returns
    -------
    Severity
        Severe by the rules of `SEVERE` (all K: general knowledge of the JSOG text).

    Examples
    --------
    >>> severity_of(DecelerationKind.VARIABLE, drop_bpm=75, nadir_bpm=65, duration_s=40).value
    'severe'
    """
    if kind is DecelerationKind.EARLY:
        return Severity.UNGRADED
    graded_as = DecelerationKind.LATE if kind is DecelerationKind.UNDETERMINED else kind
    is_severe = any(
        rule.kind is graded_as
        and rule.drop_bpm.holds(drop_bpm)
        and rule.nadir_bpm.holds(nadir_bpm)
        and rule.duration_s.holds(duration_s)
        for rule in SEVERE
    )
    return Severity.SEVERE if is_severe else Severity.MILD
