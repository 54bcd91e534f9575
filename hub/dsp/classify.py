"""From findings to a level: the JSOG level with its table cell, or 「判定不能」 with its reason."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hub.dsp import rules
from hub.dsp.comparison import classify_figo, classify_nichd
from hub.dsp.features import WindowFeatures
from hub.dsp.findings import DecelerationFinding, Findings, parse_findings
from hub.dsp.reasons import explain
from hub.dsp.tables import COLUMNS, Cell, canonical_modifiers, column_of, read_cell
from hub.model import (
    BaselineClass,
    Classification,
    Deceleration,
    DecelerationKind,
    Indeterminate,
    VariabilityClass,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class JsogReading:
    """What the JSOG tables say of one window; `cell` is None for 「判定不能」."""

    cell: Cell | None
    baseline_class: BaselineClass | None
    variability_class: VariabilityClass | None

    @property
    def level(self) -> int | None:
        """JSOG level 1-5, or None."""
        return None if self.cell is None else self.cell.level


def classify_findings(findings: Mapping[str, Any]) -> dict[str, Any]:
    """Classify findings that are already read off a trace.

    Parameters
    ----------
    findings : mapping
        In the form of `input` of a golden case: `baseline_bpm`,
        `variability_amplitude_bpm`, `variability_duration_min`,
        `accelerations_present`, `decelerations`, and optionally `sinusoidal`
        and `modifiers`.  The baseline is rounded half up to 5 bpm.

    Returns
    -------
    dict
        In the form of `expected` of a golden case: `jsog` (`level`, `cell`,
        `baseline_class`, `variability_class`, `deceleration_class`,
        `na_fallback`) [1]_, `figo2015` [2]_ and `nichd2008` [3]_.  Level and cell
        are None for 「判定不能」; a comparison is None if it cannot be told.

    Raises
    ------
    ValueError
        If something is missing, of a wrong type or out of range; the message says
        where, what was expected and what came.

    Notes
    -----
    The worst cell wins among several kinds of deceleration (K).  Of equally bad
    cells a printed one goes before an empty one with its fallback, and then the
    order of the columns decides (E).

    References
    ----------
    .. [1] T. Okai et al., J Obstet Gynaecol Res 36:925-928, 2010.
    .. [2] D. Ayres-de-Campos et al., Int J Gynaecol Obstet 131:13-24, 2015.
    .. [3] G. A. Macones et al., Obstet Gynecol 112:661-666, 2008.

    Examples
    --------
    >>> result = classify_findings(
    ...     {"baseline_bpm": 165, "variability_amplitude_bpm": 3, "decelerations": []}
    ... )
    >>> result["jsog"]["level"], result["jsog"]["cell"]
    (3, 'II/tachycardia/none')
    """
    read = parse_findings(findings)
    reading = read_jsog(read)
    return {
        "jsog": {
            "level": reading.level,
            "cell": reading.cell.reference if reading.cell else None,
            "baseline_class": _name(reading.baseline_class),
            "variability_class": _name(reading.variability_class),
            "deceleration_class": reading.cell.column if reading.cell else None,
            "na_fallback": reading.cell.is_fallback if reading.cell else False,
        },
        "figo2015": classify_figo(read),
        "nichd2008": classify_nichd(read),
    }


def read_jsog(findings: Findings) -> JsogReading:
    """Find the worst cell of the JSOG tables that the findings point to.

    Parameters
    ----------
    findings : Findings
        One window as read.

    Returns
    -------
    JsogReading
        Without a cell if the baseline or the variability is not readable, or if a
        sine-like pattern does not fulfil Table V (under 10 min, or with an
        acceleration): then there is no level, and never 1 or 2 (E).

    Notes
    -----
    The tables are those of Okai et al. 2010 (cells V1 and K, column order K).
    """
    baseline_class = None if findings.baseline_bpm is None else rules.class_of_baseline(findings.baseline_bpm)
    variability_class = findings.variability_class
    cell = None
    if baseline_class is not None and variability_class is not None and not findings.is_unsettled_sinusoidal:
        columns = {
            column_of(entry.kind, entry.severity)
            for entry in findings.decelerations
            if entry.kind is not None
        } or {"none"}
        cells = [
            read_cell(variability_class, baseline_class, column, findings.modifiers)
            for column in sorted(columns, key=COLUMNS.index)
        ]
        cell = max(cells, key=lambda candidate: (candidate.level, not candidate.is_fallback))
    return JsogReading(cell=cell, baseline_class=baseline_class, variability_class=variability_class)


def classify_window(features: WindowFeatures) -> Classification:
    """Classify one 10-minute window of one fetus.

    Parameters
    ----------
    features : WindowFeatures
        Everything the signal analysis says of the window.

    Returns
    -------
    Classification
        JSOG level with cell and reasons, or level None with the reason why it is
        「判定不能」; FIGO and NICHD beside it for comparison.

    Raises
    ------
    ValueError
        If `features.modifiers` holds an unknown name.

    Notes
    -----
    No level is given (all E) to a window that is incomplete, shows the maternal
    rate, has an unresolved doubling or halving, less than 50 % valid samples, a
    gap of more than 60 s that may hide a prolonged deceleration, several possible
    baselines (V1), less than 2 min of readable baseline (V1), no readable
    variability, or a sine-like pattern that does not fulfil Table V.  Between 50
    and 80 % valid samples the level is marked as poor signal.  An amplitude of up
    to 2 bpm is a candidate for absent variability that a person must confirm; it
    needs two 1-minute pieces of real signal.
    """
    read = _findings_of(features)
    reading = read_jsog(read)
    why = _why_indeterminate(features, read)
    if why is not None:
        reading = JsogReading(
            cell=None,
            baseline_class=reading.baseline_class,
            variability_class=reading.variability_class,
        )
    cell = reading.cell
    # A sine-like pattern that is too short was still read; a bad signal was not.
    is_comparable = why in (None, Indeterminate.SHORT_SINUSOIDAL)
    per_10min = features.contractions_per_10min
    classification = Classification(
        start_s=features.start_s,
        end_s=features.end_s,
        level=reading.level,
        indeterminate=why,
        cell=cell.reference if cell else None,
        baseline_class=reading.baseline_class,
        variability_class=reading.variability_class,
        deceleration_class=cell.column if cell else None,
        baseline_raw_bpm=features.baseline_raw_bpm,
        baseline_bpm=read.baseline_bpm,
        variability_bpm=features.variability_bpm,
        is_near_boundary=_is_near_boundary(features.baseline_raw_bpm, read.baseline_bpm),
        is_fallback=cell.is_fallback if cell else False,
        is_poor_signal=features.valid_fraction < rules.GOOD_SIGNAL_FRACTION.value,
        is_reassuring=cell is not None and cell.reference == "I/normal/none" and read.has_acceleration,
        is_rolling=features.is_rolling,
        needs_confirmation=cell is not None and reading.variability_class is VariabilityClass.ABSENT,
        valid_fraction=features.valid_fraction,
        longest_gap_s=features.longest_gap_s,
        contractions_per_10min=per_10min,
        is_tachysystole=per_10min is not None and per_10min > rules.TACHYSYSTOLE_MORE_THAN.value,
        acceleration_count=len(features.accelerations),
        figo=classify_figo(read) if is_comparable else None,
        nichd=classify_nichd(read) if is_comparable else None,
        evidence="K" if cell is not None and not cell.is_fallback else "E",
    )
    return explain(classification, features, cell)


def _why_indeterminate(features: WindowFeatures, read: Findings) -> Indeterminate | None:
    readable_s = features.baseline_readable_s
    refusals = (
        (Indeterminate.TOO_SHORT, not features.is_complete),
        (Indeterminate.MATERNAL_RATE, features.is_maternal_rate),
        (Indeterminate.DOUBLING_HALVING, features.is_doubling_halving),
        # Written so that a fraction that is not a number refuses too.
        (
            Indeterminate.TOO_LITTLE_SIGNAL,
            not features.valid_fraction >= rules.POOR_SIGNAL_FRACTION.value,
        ),
        (
            Indeterminate.LONG_GAP,
            features.is_fall_hidden and features.longest_gap_s > rules.LONG_GAP_S.value,
        ),
        (Indeterminate.SEVERAL_BASELINES, features.is_several_baselines),
        (
            Indeterminate.NO_BASELINE,
            read.baseline_bpm is None or not readable_s >= rules.BASELINE_MIN_READABLE_S.value,
        ),
        (Indeterminate.SHORT_SINUSOIDAL, read.is_unsettled_sinusoidal),
        (Indeterminate.TOO_LITTLE_SIGNAL, read.variability_class is None),
    )
    return next((why for why, is_refused in refusals if is_refused), None)


def _findings_of(features: WindowFeatures) -> Findings:
    raw_bpm = features.baseline_raw_bpm
    return Findings(
        baseline_bpm=(
            None if raw_bpm is None else rules.round_half_up(raw_bpm, rules.BASELINE_STEP_BPM.value)
        ),
        variability_bpm=features.variability_bpm,
        variability_class=_variability_class(features),
        variability_duration_min=features.variability_duration_min,
        low_variability_in_deceleration_min=features.deceleration_variability_low_min,
        has_acceleration=bool(features.accelerations),
        decelerations=tuple(_finding_of(event, features) for event in features.decelerations),
        sinusoidal_min=features.sinusoidal_min,
        modifiers=canonical_modifiers(features.modifiers),
    )


def _variability_class(features: WindowFeatures) -> VariabilityClass | None:
    if features.sinusoidal_min > 0:
        return VariabilityClass.SINUSOIDAL
    if features.variability_bpm is None:
        return None
    if features.variability_bpm > rules.ABSENT_CANDIDATE_BPM.value:
        return rules.class_of_variability(features.variability_bpm)
    is_seen_twice = features.variability_piece_count >= rules.ABSENT_MIN_PIECES.value
    return VariabilityClass.ABSENT if is_seen_twice else VariabilityClass.MINIMAL


def _finding_of(event: Deceleration, features: WindowFeatures) -> DecelerationFinding:
    recurrence = next((entry for entry in features.recurrences if entry.kind is event.kind), None)
    fraction = recurrence.fraction if recurrence else None
    recent = recurrence.last_20_min_fraction if recurrence else None
    return DecelerationFinding(
        kind=event.kind,
        severity=event.severity,
        timing=_timing_of(event),
        onset_to_nadir_s=event.onset_to_nadir_s,
        duration_s=event.end_s - event.onset_s,
        drop_bpm=event.depth_bpm,
        nadir_bpm=event.nadir_bpm,
        pct_contractions=None if fraction is None else 100.0 * fraction,
        pct_last_20_min=None if recent is None else 100.0 * recent,
        span_min=recurrence.span_min if recurrence else 0.0,
    )


def _timing_of(event: Deceleration) -> str:
    if event.kind is DecelerationKind.EARLY:
        return "coincident"
    if event.kind is DecelerationKind.VARIABLE:
        return "variable"
    is_delayed = event.kind is DecelerationKind.LATE or (event.lag_s is not None and event.lag_s > 0)
    return "delayed" if is_delayed else "none"


def _is_near_boundary(raw_bpm: float | None, rounded_bpm: float | None) -> bool:
    if raw_bpm is None or rounded_bpm is None:
        return False
    return rules.class_of_baseline(raw_bpm) is not rules.class_of_baseline(rounded_bpm)


def _name(entry: BaselineClass | VariabilityClass | None) -> str | None:
    return None if entry is None else entry.value
