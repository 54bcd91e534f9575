"""What an observer, human or program, reads off one window: the input of every classification."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, isfinite
from typing import Any, Final, NoReturn

from hub.dsp import rules
from hub.dsp.tables import canonical_modifiers
from hub.model import DecelerationKind, Severity, VariabilityClass

TIMINGS: Final = ("coincident", "delayed", "variable", "none")
"""Relation of the nadir to the peak of the contraction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecelerationFinding:
    """One kind of deceleration seen; `kind` is None if it is no deceleration by JSOG.

    `pct_contractions` is the share of contractions followed by it over `span_min`,
    None while contractions are unknown; `pct_last_20_min` the same for 20 minutes.
    """

    kind: DecelerationKind | None
    severity: Severity
    timing: str
    onset_to_nadir_s: float
    duration_s: float
    drop_bpm: float
    nadir_bpm: float
    pct_contractions: float | None
    pct_last_20_min: float | None
    span_min: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """One window as read; None means not readable.  `baseline_bpm` is rounded to 5 bpm."""

    baseline_bpm: float | None
    variability_bpm: float | None
    variability_class: VariabilityClass | None
    variability_duration_min: float
    low_variability_in_deceleration_min: float
    has_acceleration: bool
    decelerations: tuple[DecelerationFinding, ...]
    sinusoidal_min: float
    modifiers: frozenset[str]

    @property
    def is_unsettled_sinusoidal(self) -> bool:
        """A sine-like pattern that does not fulfil Table V: no level, and never 1 or 2 (E)."""
        if self.sinusoidal_min <= 0:
            return False
        return self.sinusoidal_min < rules.SINUSOIDAL_TABLE_V_MIN.value or self.has_acceleration


def kind_of_deceleration(
    *, onset_to_nadir_s: float, duration_s: float, drop_bpm: float, timing: str
) -> DecelerationKind | None:
    """Name the kind of one deceleration.

    Parameters
    ----------
    onset_to_nadir_s : float
        From onset to the first bottom, in s; from 30 s on gradual (V2) [1]_.
    duration_s : float
        From onset to recovery, in s; from 120 s on prolonged (K), from 600 s on a
        change of the baseline and no deceleration (K).
    drop_bpm : float
        Baseline minus lowest point, in beats/min; at least 15 for variable (V2)
        and prolonged (K), any depth for early and late (K).
    timing : {'coincident', 'delayed', 'variable', 'none'}
        Relation of the nadir to the peak of the contraction.

    Returns
    -------
    DecelerationKind or None
        A gradual one without a clear relation is undetermined, and treated as late
        (E).  None: too shallow, too short or too long to be a deceleration.

    References
    ----------
    .. [1] JSOG Perinatology Committee, definitions of 2003.

    Examples
    --------
    >>> kind_of_deceleration(
    ...     onset_to_nadir_s=35, duration_s=60, drop_bpm=12, timing="delayed"
    ... ).value
    'late'
    """
    if duration_s >= rules.DECELERATION_BASELINE_CHANGE_S.value:
        return None
    if duration_s >= rules.PROLONGED_MIN_S.value and drop_bpm >= rules.PROLONGED_MIN_DROP_BPM.value:
        return DecelerationKind.PROLONGED
    if onset_to_nadir_s >= rules.GRADUAL_ONSET_S.value:
        related = {"coincident": DecelerationKind.EARLY, "delayed": DecelerationKind.LATE}
        return related.get(timing, DecelerationKind.UNDETERMINED)
    if duration_s >= rules.VARIABLE_MIN_S.value and drop_bpm >= rules.VARIABLE_MIN_DROP_BPM.value:
        return DecelerationKind.VARIABLE
    return None


def parse_findings(findings: Mapping[str, Any]) -> Findings:
    """Read findings in the form of the golden classification cases.

    Parameters
    ----------
    findings : mapping
        `baseline_bpm` and `variability_amplitude_bpm` (numbers or None) and
        `decelerations` (list) must be there; `accelerations_present`,
        `variability_duration_min`, `sinusoidal`, `modifiers` may be left out.

    Returns
    -------
    Findings
        The same, checked and named; the baseline rounded half up to 5 bpm (V1, E).

    Raises
    ------
    ValueError
        If something is missing, of a wrong type or out of range; the message says
        where, what was expected and what came.

    Examples
    --------
    >>> read = parse_findings(
    ...     {"baseline_bpm": 140, "variability_amplitude_bpm": 12, "decelerations": []}
    ... )
    >>> read.variability_class.value
    'moderate'
    """
    if not isinstance(findings, Mapping):
        _refuse("findings", "an object", findings)
    baseline_bpm = _number(findings, "baseline_bpm", high=300.0, may_be_null=True)
    amplitude_bpm = _number(findings, "variability_amplitude_bpm", high=200.0, may_be_null=True)
    if amplitude_bpm is not None:
        amplitude_bpm = rules.round_amplitude(amplitude_bpm)
    sinusoidal_min = _read_sinusoidal(findings.get("sinusoidal"))
    if sinusoidal_min > 0:
        variability_class: VariabilityClass | None = VariabilityClass.SINUSOIDAL
    elif amplitude_bpm is None:
        variability_class = None
    else:
        variability_class = rules.class_of_variability(amplitude_bpm)
    decelerations = findings.get("decelerations")
    if not isinstance(decelerations, Sequence) or isinstance(decelerations, str):
        _refuse("decelerations", "a list", decelerations)
    return Findings(
        baseline_bpm=(
            None if baseline_bpm is None else rules.round_half_up(baseline_bpm, rules.BASELINE_STEP_BPM.value)
        ),
        variability_bpm=amplitude_bpm,
        variability_class=variability_class,
        variability_duration_min=_number_or(findings, "variability_duration_min", 10.0),
        low_variability_in_deceleration_min=0.0,
        has_acceleration=_flag(findings, "accelerations_present"),
        decelerations=tuple(
            _read_deceleration(entry, f"decelerations[{i}]") for i, entry in enumerate(decelerations)
        ),
        sinusoidal_min=sinusoidal_min,
        modifiers=_read_modifiers(findings.get("modifiers")),
    )


def _read_deceleration(entry: object, where: str) -> DecelerationFinding:
    if not isinstance(entry, Mapping):
        _refuse(where, "an object", entry)
    timing = entry.get("timing")
    if timing not in TIMINGS:
        _refuse(f"{where}.timing", f"one of {', '.join(TIMINGS)}", timing)
    onset_to_nadir_s = _required(entry, "onset_to_nadir_s", where)
    duration_s = _required(entry, "duration_s", where)
    drop_bpm = _required(entry, "drop_bpm", where)
    nadir_bpm = _required(entry, "nadir_bpm", where)
    pct = None
    if entry.get("pct_contractions") is not None:
        pct = _number(entry, "pct_contractions", where, high=100.0)
    kind = kind_of_deceleration(
        onset_to_nadir_s=onset_to_nadir_s, duration_s=duration_s, drop_bpm=drop_bpm, timing=timing
    )
    return DecelerationFinding(
        kind=kind,
        severity=(
            Severity.UNGRADED
            if kind is None
            else rules.severity_of(kind, drop_bpm=drop_bpm, nadir_bpm=nadir_bpm, duration_s=duration_s)
        ),
        timing=timing,
        onset_to_nadir_s=onset_to_nadir_s,
        duration_s=duration_s,
        drop_bpm=drop_bpm,
        nadir_bpm=nadir_bpm,
        pct_contractions=pct,
        pct_last_20_min=pct,
        span_min=_number_or(entry, "span_min", 10.0, where),
    )


def _read_sinusoidal(entry: object) -> float:
    if entry is None:
        return 0.0
    if not isinstance(entry, Mapping):
        _refuse("sinusoidal", "an object with duration_min, or null", entry)
    return _required(entry, "duration_min", "sinusoidal")


def _read_modifiers(entry: object) -> frozenset[str]:
    if entry is None:
        return frozenset()
    if not isinstance(entry, Mapping):
        _refuse("modifiers", "an object of true and false", entry)
    return canonical_modifiers(name for name in entry if _flag(entry, name, "modifiers"))


def _flag(mapping: Mapping[str, Any], key: str, where: str = "") -> bool:
    value = mapping.get(key, False)
    if not isinstance(value, bool):
        _refuse(_path(where, key), "true or false", value)
    return value


def _required(mapping: Mapping[str, Any], key: str, where: str) -> float:
    value = _number(mapping, key, where)
    if value is None:
        _refuse(_path(where, key), "a number", value)
    return value


def _number_or(mapping: Mapping[str, Any], key: str, default: float, where: str = "") -> float:
    return default if mapping.get(key) is None else _required(mapping, key, where)


def _number(
    mapping: Mapping[str, Any], key: str, where: str = "", *, high: float = inf, may_be_null: bool = False
) -> float | None:
    if key not in mapping:
        _refuse(_path(where, key), "a number", "nothing")
    value = mapping[key]
    if value is None and may_be_null:
        return None
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not isfinite(value) or not 0 <= value <= high:
        wanted = "a number from 0" + (f" to {high:g}" if isfinite(high) else "")
        _refuse(_path(where, key), wanted + (" or null" if may_be_null else ""), value)
    return float(value)


def _path(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key


def _refuse(where: str, expected: str, came: object) -> NoReturn:
    msg = f"{where}: expected {expected}, got {came!r}"
    raise ValueError(msg)
