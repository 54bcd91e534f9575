"""FIGO 2015 and NICHD 2008, shown for comparison only; the JSOG level drives the advice.

FIGO: Ayres-de-Campos et al., Int J Gynaecol Obstet 2015;131:13-24 (V2, the two
summaries read may go back to one author).  NICHD: Macones et al., Obstet Gynecol
2008;112:661-666 (V2).
"""

from dataclasses import replace
from typing import Final

from hub.dsp.findings import DecelerationFinding, Findings
from hub.dsp.rules import BASELINE_RANGES, Limit, Range
from hub.model import BaselineClass, DecelerationKind, VariabilityClass

_FIGO: Final = "FIGO 2015, Int J Gynaecol Obstet 131:13-24"
_NICHD: Final = "NICHD 2008, Obstet Gynecol 112:661-666"

FIGO_NORMAL_BASELINE_BPM: Final = Range(gte=110, lte=160)
FIGO_NORMAL_VARIABILITY_BPM: Final = Range(gte=5, lte=25)
FIGO_PATHOLOGICAL_BASELINE_BELOW_BPM: Final = Limit(100.0, "bpm", "V2", _FIGO)
FIGO_REDUCED_BELOW_BPM: Final = Limit(5.0, "bpm", "V2", _FIGO)
FIGO_REDUCED_LONGER_THAN_MIN: Final = Limit(50.0, "min", "V2", _FIGO)
FIGO_REDUCED_IN_DECELERATION_LONGER_THAN_MIN: Final = Limit(3.0, "min", "V2", _FIGO)
FIGO_INCREASED_ABOVE_BPM: Final = Limit(25.0, "bpm", "V2", _FIGO)
FIGO_INCREASED_LONGER_THAN_MIN: Final = Limit(30.0, "min", "V2", _FIGO)
FIGO_SINUSOIDAL_LONGER_THAN_MIN: Final = Limit(30.0, "min", "K", _FIGO)
FIGO_REPETITIVE_ABOVE_PCT: Final = Limit(50.0, "% of contractions", "V2", _FIGO)
FIGO_REPETITIVE_LONGER_THAN_MIN: Final = Limit(30.0, "min", "V2", _FIGO)
FIGO_REPETITIVE_REDUCED_LONGER_THAN_MIN: Final = Limit(20.0, "min", "V2", _FIGO)
FIGO_SINGLE_LONGER_THAN_S: Final = Limit(300.0, "s", "V2", _FIGO)
FIGO_PROLONGED_LONGER_THAN_S: Final = Limit(180.0, "s", "V2", _FIGO)
FIGO_DECELERATION_DEEPER_THAN_BPM: Final = Limit(15.0, "bpm", "V2", _FIGO)
FIGO_DECELERATION_LONGER_THAN_S: Final = Limit(15.0, "s", "V2", _FIGO)
FIGO_LATE_ONSET_LONGER_THAN_S: Final = Limit(30.0, "s", "V2", _FIGO)
FIGO_LATE_SHALLOW_FROM_BPM: Final = Limit(10.0, "bpm", "K", _FIGO)
"""Without accelerations and with reduced variability late includes 10 to 15 bpm."""

NICHD_RECURRENT_FROM_PCT: Final = Limit(50.0, "% of contractions in 20 min", "K", _NICHD)
NICHD_SINUSOIDAL_FROM_MIN: Final = Limit(20.0, "min", "K", _NICHD)


def classify_figo(findings: Findings) -> str | None:
    """Classify a window by FIGO 2015.

    Parameters
    ----------
    findings : Findings
        One window as read.

    Returns
    -------
    str or None
        ``normal``, ``suspicious`` or ``pathological`` [1]_; None if the baseline is
        not readable, or if unknown contractions leave two answers open.

    Notes
    -----
    Read strictly: a lone deceleration of 3 to 5 min is normal (question Q9), and
    the 20-minute rule for repetitive decelerations takes the variability of the
    window.  Repetitive means more than 50 % of contractions, each kind for itself.

    References
    ----------
    .. [1] D. Ayres-de-Campos et al., Int J Gynaecol Obstet 131:13-24, 2015.
    """
    if findings.baseline_bpm is None:
        return None
    if _is_told(findings):
        return _figo(findings)
    answers = {_figo(_assume(findings, pct)) for pct in (0.0, 100.0)}
    return answers.pop() if len(answers) == 1 else None


def classify_nichd(findings: Findings) -> str | None:
    """Classify a window by NICHD 2008.

    Parameters
    ----------
    findings : Findings
        One window as read.

    Returns
    -------
    str or None
        Category ``I``, ``II`` or ``III`` [1]_; None if the baseline is not readable,
        or if unknown contractions leave two answers open.

    Notes
    -----
    Recurrent means at least 50 % of contractions (K).  A prolonged deceleration is
    category II, and so is absent variability alone.

    References
    ----------
    .. [1] G. A. Macones et al., Obstet Gynecol 112:661-666, 2008.
    """
    if findings.baseline_bpm is None:
        return None
    if _is_told(findings):
        return _nichd(findings)
    answers = {_nichd(_assume(findings, pct)) for pct in (0.0, 100.0)}
    return answers.pop() if len(answers) == 1 else None


def _is_told(findings: Findings) -> bool:
    return not any(
        entry.pct_contractions is None or entry.pct_last_20_min is None for entry in findings.decelerations
    )


def _assume(findings: Findings, pct: float) -> Findings:
    """Fill in the share of contractions where it is unknown."""
    filled = tuple(
        replace(
            entry,
            pct_contractions=pct if entry.pct_contractions is None else entry.pct_contractions,
            pct_last_20_min=pct if entry.pct_last_20_min is None else entry.pct_last_20_min,
        )
        for entry in findings.decelerations
    )
    return replace(findings, decelerations=filled)


def _figo(findings: Findings) -> str:
    if _is_figo_pathological(findings):
        return "pathological"
    is_normal = (
        FIGO_NORMAL_BASELINE_BPM.holds(_known(findings.baseline_bpm))
        and findings.variability_class is not VariabilityClass.SINUSOIDAL
        and findings.variability_bpm is not None
        and FIGO_NORMAL_VARIABILITY_BPM.holds(findings.variability_bpm)
        and not any(
            _is_figo_deceleration(entry, findings) and _is_repetitive(entry)
            for entry in findings.decelerations
        )
    )
    return "normal" if is_normal else "suspicious"


def _is_figo_pathological(findings: Findings) -> bool:
    return (
        _known(findings.baseline_bpm) < FIGO_PATHOLOGICAL_BASELINE_BELOW_BPM.value
        or findings.sinusoidal_min > FIGO_SINUSOIDAL_LONGER_THAN_MIN.value
        or _is_variability_pathological(findings)
        or any(_is_deceleration_pathological(entry, findings) for entry in findings.decelerations)
    )


def _is_variability_pathological(findings: Findings) -> bool:
    amplitude_bpm, minutes = findings.variability_bpm, findings.variability_duration_min
    if findings.low_variability_in_deceleration_min > FIGO_REDUCED_IN_DECELERATION_LONGER_THAN_MIN.value:
        return True
    if amplitude_bpm is None or findings.variability_class is VariabilityClass.SINUSOIDAL:
        return False
    if amplitude_bpm > FIGO_INCREASED_ABOVE_BPM.value:
        return minutes > FIGO_INCREASED_LONGER_THAN_MIN.value
    return _is_reduced(findings) and minutes > FIGO_REDUCED_LONGER_THAN_MIN.value


def _is_deceleration_pathological(entry: DecelerationFinding, findings: Findings) -> bool:
    if not _is_figo_deceleration(entry, findings):
        return False
    if entry.duration_s > FIGO_SINGLE_LONGER_THAN_S.value:
        return True
    is_prolonged = entry.duration_s > FIGO_PROLONGED_LONGER_THAN_S.value
    longer_than_min = (
        FIGO_REPETITIVE_REDUCED_LONGER_THAN_MIN if _is_reduced(findings) else FIGO_REPETITIVE_LONGER_THAN_MIN
    )
    is_lasting = _is_repetitive(entry) and entry.span_min > longer_than_min.value
    return is_lasting and (is_prolonged or _is_figo_late(entry))


def _is_figo_deceleration(entry: DecelerationFinding, findings: Findings) -> bool:
    if entry.duration_s <= FIGO_DECELERATION_LONGER_THAN_S.value:
        return False
    is_shallow_late = (
        _is_figo_late(entry)
        and entry.drop_bpm >= FIGO_LATE_SHALLOW_FROM_BPM.value
        and _is_reduced(findings)
        and not findings.has_acceleration
    )
    return is_shallow_late or entry.drop_bpm > FIGO_DECELERATION_DEEPER_THAN_BPM.value


def _is_figo_late(entry: DecelerationFinding) -> bool:
    is_gradual = entry.onset_to_nadir_s > FIGO_LATE_ONSET_LONGER_THAN_S.value
    return is_gradual and entry.timing != "coincident"


def _is_repetitive(entry: DecelerationFinding) -> bool:
    return _known(entry.pct_contractions) > FIGO_REPETITIVE_ABOVE_PCT.value


def _is_reduced(findings: Findings) -> bool:
    return findings.variability_bpm is not None and findings.variability_bpm < FIGO_REDUCED_BELOW_BPM.value


def _nichd(findings: Findings) -> str:
    baseline_bpm = _known(findings.baseline_bpm)
    kinds = {entry.kind for entry in findings.decelerations} - {None}
    recurrent = {
        entry.kind
        for entry in findings.decelerations
        if _known(entry.pct_last_20_min) >= NICHD_RECURRENT_FROM_PCT.value
    }
    late_or_variable = {DecelerationKind.LATE, DecelerationKind.UNDETERMINED, DecelerationKind.VARIABLE}
    normal_bpm, _ = BASELINE_RANGES[BaselineClass.NORMAL]
    is_absent_and_worse = findings.variability_class is VariabilityClass.ABSENT and (
        bool(recurrent & late_or_variable) or baseline_bpm < normal_bpm.gte
    )
    if is_absent_and_worse or findings.sinusoidal_min >= NICHD_SINUSOIDAL_FROM_MIN.value:
        return "III"
    is_first = (
        normal_bpm.holds(baseline_bpm)
        and findings.variability_class is VariabilityClass.MODERATE
        and not kinds & (late_or_variable | {DecelerationKind.PROLONGED})
    )
    return "I" if is_first else "II"


def _known(value: float | None) -> float:
    """Unwrap what `classify_figo` and `classify_nichd` have made sure is there."""
    if value is None:
        msg = "comparison: expected a known number, got None"
        raise ValueError(msg)
    return value
