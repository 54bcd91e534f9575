"""From findings and window features to a level, or to 「判定不能」."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.dsp.cases import classify_cases
from hub.dsp.classify import classify_findings, classify_window
from hub.dsp.features import Recurrence, WindowFeatures
from hub.model import (
    Acceleration,
    Classification,
    Contraction,
    Deceleration,
    DecelerationKind,
    Indeterminate,
    Severity,
    VariabilityClass,
)

Case = dict[str, Any]
Floats = st.SearchStrategy[float]
Events = st.SearchStrategy[dict[str, Any]]

GOLDEN = json.loads((Path(__file__).parent / "golden-classification.json").read_text(encoding="utf-8"))
PLAIN: dict[str, Any] = {"baseline_bpm": 140, "variability_amplitude_bpm": 12, "decelerations": []}


def deceleration(
    onset: float = 12,
    duration: float = 40,
    drop: float = 30,
    nadir: float = 110,
    timing: str = "variable",
    pct: float | None = 40,
    span: float = 20,
) -> dict[str, Any]:
    return {
        "onset_to_nadir_s": onset,
        "timing": timing,
        "duration_s": duration,
        "drop_bpm": drop,
        "nadir_bpm": nadir,
        "pct_contractions": pct,
        "span_min": span,
    }


LATE = deceleration(onset=35, timing="delayed", duration=70, drop=25, nadir=115, pct=60)


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda case: case["id"])
def test_golden_case(case: Case) -> None:
    done = classify_cases({"cases": [case]})["cases"][0]
    assert done["mismatches"] == []


def test_there_are_54_golden_cases() -> None:
    assert len(GOLDEN["cases"]) == 54


def test_a_wrong_expectation_is_a_mismatch() -> None:
    case = json.loads(json.dumps(GOLDEN["cases"][0]))
    case["expected"]["jsog"]["level"] = 2
    case["expected"]["nichd2008"] = "III"
    fields = [entry["field"] for entry in classify_cases({"cases": [case]})["cases"][0]["mismatches"]]
    assert fields == ["jsog.level", "nichd2008"]


def test_a_case_that_cannot_be_read_does_not_stop_the_others() -> None:
    done = classify_cases({"cases": [{"input": {}}, {"input": PLAIN}], "set": "mine"})
    assert done["set"] == "mine"
    assert done["cases"][0]["result"] is None
    assert "baseline_bpm: expected" in done["cases"][0]["error"]
    assert done["cases"][1]["result"]["jsog"]["level"] == 1


def test_either_of_two_equally_bad_cells_is_accepted_but_no_other() -> None:
    case = json.loads(json.dumps(next(c for c in GOLDEN["cases"] if c["id"] == "G054")))
    case["expected"]["jsog"] |= {"cell": "II/normal/late_mild", "deceleration_class": "late_mild"}
    assert classify_cases({"cases": [case]})["cases"][0]["mismatches"] == []
    case["expected"]["jsog"] |= {"cell": "II/normal/early", "deceleration_class": "early"}
    assert classify_cases({"cases": [case]})["cases"][0]["mismatches"] != []


@pytest.mark.parametrize("document", [{}, {"cases": 3}, {"cases": [1]}, []])
def test_a_document_without_cases_is_refused(document: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="cases: expected a list"):
        classify_cases(document)


# ------------------------------------------------------------------ properties

ROWS = """
moderate   normal 12233334  tachycardia 22333434  bradycardia 33344444  severe_bradycardia 44444444
minimal    normal 23343445  tachycardia 33444545  bradycardia 44455555  severe_bradycardia 55555555
absent     normal 45555555  tachycardia 45555555  bradycardia 55555555  severe_bradycardia 55555555
marked     normal 22333434  tachycardia 22333434  bradycardia 33344444  severe_bradycardia 44444444
sinusoidal normal 44445555  tachycardia 44445555  bradycardia 44445555  severe_bradycardia 44445555
"""
LEVELS = {
    (words[0], name): [int(digit) for digit in digits]
    for words in (line.split() for line in ROWS.strip().splitlines())
    for name, digits in zip(words[1::2], words[2::2], strict=True)
}
BASELINES: dict[str, st.SearchStrategy[float]] = {
    "normal": st.floats(107.5, 162.4),
    "tachycardia": st.floats(162.5, 220),
    "bradycardia": st.floats(77.5, 107.4),
    "severe_bradycardia": st.floats(40, 77.4),
}
AMPLITUDES: dict[str, st.SearchStrategy[float | None]] = {
    "absent": st.just(0),
    "minimal": st.floats(1, 5.4),
    "moderate": st.floats(5.5, 25.4),
    "marked": st.floats(25.5, 80),
    "sinusoidal": st.none(),
}
GRADUAL, ABRUPT = st.floats(30, 60), st.floats(1, 29.9)


def events(onset: Floats, timing: list[str], duration: Floats, drop: Floats, nadir: Floats) -> Events:
    return st.builds(
        deceleration,
        onset=onset,
        timing=st.sampled_from(timing),
        duration=duration,
        drop=drop,
        nadir=nadir,
        pct=st.floats(0, 100),
        span=st.floats(0, 60),
    )


BY_COLUMN: list[Events] = [
    st.nothing(),
    events(GRADUAL, ["coincident"], st.floats(60, 119), st.floats(1, 60), st.floats(50, 160)),
    events(ABRUPT, ["variable", "none"], st.floats(15, 29), st.floats(15, 80), st.floats(50, 160)),
    events(ABRUPT, ["variable", "none"], st.floats(60, 119), st.floats(15, 80), st.floats(30, 79.9)),
    events(GRADUAL, ["delayed", "none"], st.floats(60, 119), st.floats(1, 14.9), st.floats(50, 160)),
    events(GRADUAL, ["delayed", "variable"], st.floats(60, 119), st.floats(15, 80), st.floats(50, 160)),
    events(GRADUAL | ABRUPT, ["delayed", "none"], st.floats(120, 599), st.floats(15, 80), st.floats(80, 160)),
    events(GRADUAL | ABRUPT, ["delayed", "none"], st.floats(120, 599), st.floats(15, 80), st.floats(30, 79)),
]


@pytest.mark.parametrize(("variability", "baseline"), LEVELS)
@given(data=st.data())
def test_the_worst_cell_of_every_row_wins(variability: str, baseline: str, data: st.DataObject) -> None:
    columns = data.draw(st.lists(st.integers(1, 7), max_size=3))
    findings = {
        "baseline_bpm": data.draw(BASELINES[baseline]),
        "variability_amplitude_bpm": data.draw(AMPLITUDES[variability]),
        "decelerations": [data.draw(BY_COLUMN[column]) for column in columns],
        "sinusoidal": {"duration_min": 10} if variability == "sinusoidal" else None,
    }
    result = classify_findings(findings)
    row = LEVELS[variability, baseline]
    assert result["jsog"]["level"] == max(row[column] for column in columns or [0])
    assert result["jsog"]["baseline_class"] == baseline
    assert result["jsog"]["variability_class"] == variability
    assert result["figo2015"] in {"normal", "suspicious", "pathological"}
    assert result["nichd2008"] in {"I", "II", "III"}


@given(st.floats(0.1, 9.9), st.booleans())
def test_a_short_sine_is_never_level_1_or_2(minutes: float, is_absent: bool) -> None:
    findings = PLAIN | {"sinusoidal": {"duration_min": minutes}}
    if is_absent:
        findings |= {"variability_amplitude_bpm": None}
    assert classify_findings(findings)["jsog"]["level"] is None


def test_a_sine_with_an_acceleration_is_not_table_v() -> None:
    findings = PLAIN | {"sinusoidal": {"duration_min": 30}, "accelerations_present": True}
    assert classify_findings(findings)["jsog"]["level"] is None


@pytest.mark.parametrize("unread", ["baseline_bpm", "variability_amplitude_bpm"])
def test_what_cannot_be_read_gives_no_level(unread: str) -> None:
    result = classify_findings(PLAIN | {unread: None})
    assert result["jsog"]["level"] is None
    assert result["jsog"]["cell"] is None


@pytest.mark.parametrize("event", [deceleration(drop=14.9), deceleration(duration=14.9)])
def test_an_abrupt_dip_that_is_shallow_or_short_is_no_deceleration(event: dict[str, Any]) -> None:
    assert classify_findings(PLAIN | {"decelerations": [event]})["jsog"]["deceleration_class"] == "none"


def test_ten_minutes_are_a_change_of_baseline_and_no_deceleration() -> None:
    event = deceleration(duration=600, onset=40, timing="none")
    assert classify_findings(PLAIN | {"decelerations": [event]})["jsog"]["deceleration_class"] == "none"


def test_a_recorded_special_cause_does_not_lower_the_level() -> None:
    findings = PLAIN | {"variability_amplitude_bpm": 0, "modifiers": {"special_cause": True}}
    assert classify_findings(findings)["jsog"]["level"] == 4


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"baseline_bpm": "140"}, "baseline_bpm: expected a number from 0 to 300 or null, got '140'"),
        ({"baseline_bpm": True}, "baseline_bpm"),
        ({"baseline_bpm": float("nan")}, "baseline_bpm"),
        ({"variability_amplitude_bpm": -1}, "variability_amplitude_bpm"),
        ({"decelerations": None}, "decelerations: expected a list, got None"),
        ({"decelerations": "late"}, "decelerations: expected a list"),
        ({"decelerations": [deceleration(timing="soon")]}, "decelerations.0..timing: expected one of"),
        ({"decelerations": [deceleration(), 3]}, "decelerations.1.: expected an object, got 3"),
        ({"decelerations": [deceleration(pct=101)]}, "decelerations.0..pct_contractions"),
        ({"decelerations": [deceleration() | {"drop_bpm": None}]}, "decelerations.0..drop_bpm"),
        ({"accelerations_present": 1}, "accelerations_present: expected true or false, got 1"),
        ({"sinusoidal": 5}, "sinusoidal"),
        ({"sinusoidal": {}}, "sinusoidal.duration_min: expected a number, got 'nothing'"),
        ({"modifiers": {"fgr": True}}, "modifiers: expected names out of"),
        ({"modifiers": []}, "modifiers: expected an object"),
    ],
)
def test_a_bad_finding_says_where_it_is_and_what_was_expected(change: dict[str, Any], where: str) -> None:
    with pytest.raises(ValueError, match=where):
        classify_findings(PLAIN | change)


def test_a_missing_list_of_decelerations_is_not_an_empty_one() -> None:
    with pytest.raises(ValueError, match="decelerations: expected a list, got None"):
        classify_findings({"baseline_bpm": 140, "variability_amplitude_bpm": 12})


# ------------------------------------------------------------------ comparison


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"baseline_bpm": 95}, "pathological"),
        ({"baseline_bpm": 100}, "suspicious"),
        ({"variability_amplitude_bpm": 5}, "normal"),
        ({"variability_amplitude_bpm": 4, "variability_duration_min": 50}, "suspicious"),
        ({"variability_amplitude_bpm": 4, "variability_duration_min": 51}, "pathological"),
        ({"variability_amplitude_bpm": 26, "variability_duration_min": 30}, "suspicious"),
        ({"variability_amplitude_bpm": 26, "variability_duration_min": 31}, "pathological"),
        ({"decelerations": [LATE | {"pct_contractions": 50, "span_min": 60}]}, "normal"),
        ({"decelerations": [LATE | {"pct_contractions": 51, "span_min": 30}]}, "suspicious"),
        ({"decelerations": [LATE | {"pct_contractions": 51, "span_min": 31}]}, "pathological"),
        ({"decelerations": [deceleration(duration=300)]}, "normal"),
        ({"decelerations": [deceleration(duration=301)]}, "pathological"),
        ({"decelerations": [deceleration(pct=90, span=60)]}, "suspicious"),
        ({"decelerations": [LATE | {"pct_contractions": None, "span_min": 10}]}, None),
        ({"baseline_bpm": None}, None),
    ],
)
def test_figo_changes_exactly_at_its_limits(change: dict[str, Any], expected: str | None) -> None:
    assert classify_findings(PLAIN | change)["figo2015"] == expected


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"variability_amplitude_bpm": 0}, "II"),
        ({"variability_amplitude_bpm": 0, "baseline_bpm": 105}, "III"),
        ({"variability_amplitude_bpm": 0, "decelerations": [LATE | {"pct_contractions": 49}]}, "II"),
        ({"variability_amplitude_bpm": 0, "decelerations": [LATE | {"pct_contractions": 50}]}, "III"),
        ({"variability_amplitude_bpm": 0, "decelerations": [LATE | {"pct_contractions": None}]}, None),
        ({"variability_amplitude_bpm": None, "sinusoidal": {"duration_min": 19}}, "II"),
        ({"variability_amplitude_bpm": None, "sinusoidal": {"duration_min": 20}}, "III"),
        ({"decelerations": [deceleration(duration=150)]}, "II"),
        ({"decelerations": [deceleration(onset=32, timing="coincident", pct=90)]}, "I"),
    ],
)
def test_nichd_changes_exactly_at_its_limits(change: dict[str, Any], expected: str | None) -> None:
    assert classify_findings(PLAIN | change)["nichd2008"] == expected


# --------------------------------------------------------------------- windows

WINDOW = WindowFeatures(
    start_s=600.0,
    end_s=1200.0,
    baseline_raw_bpm=138.0,
    baseline_readable_s=500.0,
    variability_bpm=12.0,
    variability_piece_count=8,
    variability_duration_min=10.0,
    are_contractions_known=True,
    contractions=(Contraction(onset_s=610.0, peak_s=640.0, end_s=670.0, amplitude=50.0),),
    contractions_per_10min=3,
    valid_fraction=0.97,
    longest_gap_s=4.0,
    is_coincidence_checked=True,
)
FALL = Deceleration(
    onset_s=700.0,
    nadir_s=740.0,
    end_s=780.0,
    depth_bpm=25.0,
    nadir_bpm=113.0,
    kind=DecelerationKind.LATE,
    severity=Severity.SEVERE,
    onset_to_nadir_s=40.0,
    lag_s=20.0,
    readable_fraction=0.9,
)
RISE = Acceleration(onset_s=650.0, peak_s=660.0, end_s=680.0, rise_bpm=20.0)


def codes(classification: Classification) -> list[str]:
    return [reason.code for reason in classification.reasons]


def test_a_quiet_window_is_level_1_and_says_why() -> None:
    classification = classify_window(WINDOW)
    assert (classification.level, classification.cell) == (1, "I/normal/none")
    assert (classification.figo, classification.nichd) == ("normal", "I")
    assert codes(classification) == [
        "cell",
        "baseline",
        "variability",
        "no_deceleration",
        "no_acceleration",
        "contractions",
        "signal",
    ]
    assert not classification.is_reassuring


def test_an_acceleration_makes_a_quiet_window_reassuring() -> None:
    assert classify_window(replace(WINDOW, accelerations=(RISE,))).is_reassuring
    assert not classify_window(replace(WINDOW, accelerations=(RISE,), decelerations=(FALL,))).is_reassuring


def test_each_deceleration_is_a_reason_on_its_own_span() -> None:
    classification = classify_window(replace(WINDOW, decelerations=(FALL, replace(FALL, onset_s=900.0))))
    falls = [reason for reason in classification.reasons if reason.code == "deceleration"]
    assert [reason.start_s for reason in falls] == [700.0, 900.0]
    assert falls[0].values["count"] == 2
    assert falls[0].values["readable_percent"] == 90.0
    assert falls[0].values["ongoing"] == "no"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"is_complete": False}, Indeterminate.TOO_SHORT),
        ({"is_maternal_rate": True}, Indeterminate.MATERNAL_RATE),
        ({"is_doubling_halving": True}, Indeterminate.DOUBLING_HALVING),
        ({"valid_fraction": 0.499}, Indeterminate.TOO_LITTLE_SIGNAL),
        ({"valid_fraction": float("nan")}, Indeterminate.TOO_LITTLE_SIGNAL),
        ({"is_fall_hidden": True, "longest_gap_s": 60.1}, Indeterminate.LONG_GAP),
        ({"is_several_baselines": True}, Indeterminate.SEVERAL_BASELINES),
        ({"baseline_raw_bpm": None}, Indeterminate.NO_BASELINE),
        ({"baseline_readable_s": 119.0}, Indeterminate.NO_BASELINE),
        ({"variability_bpm": None}, Indeterminate.TOO_LITTLE_SIGNAL),
        ({"sinusoidal_min": 9.9}, Indeterminate.SHORT_SINUSOIDAL),
    ],
)
def test_what_does_not_support_an_answer_gets_none(change: dict[str, Any], why: Indeterminate) -> None:
    classification = classify_window(replace(WINDOW, **change))
    assert classification.level is None
    assert classification.cell is None
    assert classification.indeterminate is why
    assert classification.reasons[0].code == "indeterminate"
    assert classification.reasons[0].values == {"why": why.value}


def test_a_long_gap_that_hides_nothing_is_no_refusal() -> None:
    assert classify_window(replace(WINDOW, longest_gap_s=90.0, valid_fraction=0.85)).level == 1


@pytest.mark.parametrize(("fraction", "is_poor"), [(0.5, True), (0.799, True), (0.8, False)])
def test_between_half_and_four_fifths_of_signal_the_level_is_marked_poor(
    fraction: float, is_poor: bool
) -> None:
    classification = classify_window(replace(WINDOW, valid_fraction=fraction))
    assert classification.level == 1
    assert classification.is_poor_signal is is_poor


@pytest.mark.parametrize(
    ("raw", "baseline", "is_near"),
    [
        (108.0, 110.0, True),
        (107.4, 105.0, False),
        (162.0, 160.0, True),
        (78.0, 80.0, True),
        (140, 140, False),
    ],
)
def test_a_baseline_whose_rounding_changes_its_class_is_marked(
    raw: float, baseline: float, is_near: bool
) -> None:
    classification = classify_window(replace(WINDOW, baseline_raw_bpm=raw))
    assert classification.baseline_bpm == baseline
    assert classification.is_near_boundary is is_near
    assert ("near_boundary" in codes(classification)) is is_near


def test_absent_variability_is_a_candidate_until_a_person_confirms_it() -> None:
    classification = classify_window(replace(WINDOW, variability_bpm=2.0))
    assert (classification.level, classification.variability_class) == (4, VariabilityClass.ABSENT)
    assert classification.needs_confirmation
    assert "absent_candidate" in codes(classification)


def test_absent_variability_never_comes_from_a_single_piece_of_signal() -> None:
    classification = classify_window(replace(WINDOW, variability_bpm=0.0, variability_piece_count=1))
    assert classification.variability_class is VariabilityClass.MINIMAL


def test_an_undetermined_deceleration_counts_as_late() -> None:
    fall = replace(FALL, kind=DecelerationKind.UNDETERMINED, lag_s=None)
    unknown = replace(
        WINDOW, decelerations=(fall,), are_contractions_known=False, contractions_per_10min=None
    )
    classification = classify_window(unknown)
    assert classification.cell == "I/normal/late_severe"
    assert "contractions_unknown" in codes(classification)
    assert classification.nichd == "II"


def test_recurrence_reaches_the_comparison_systems() -> None:
    recurrence = Recurrence(
        kind=DecelerationKind.LATE, count=9, span_min=35.0, fraction=0.6, last_20_min_fraction=0.5
    )
    features = replace(WINDOW, decelerations=(FALL,), recurrences=(recurrence,), variability_bpm=1.0)
    classification = classify_window(features)
    assert (classification.figo, classification.nichd) == ("pathological", "III")


def test_low_variability_inside_a_deceleration_counts_for_figo() -> None:
    assert classify_window(replace(WINDOW, deceleration_variability_low_min=3.1)).figo == "pathological"


def test_growth_restriction_lifts_the_mild_late_cell_and_says_so() -> None:
    fall = replace(FALL, depth_bpm=12.0, severity=Severity.MILD)
    features = replace(
        WINDOW, variability_bpm=4.0, decelerations=(fall,), modifiers=frozenset({"growth_restriction"})
    )
    classification = classify_window(features)
    assert (classification.level, classification.cell) == (4, "II/normal/late_mild+footnote-3*")
    assert "growth_restriction" in codes(classification)


def test_an_unknown_background_is_refused_not_dropped() -> None:
    with pytest.raises(ValueError, match="modifiers: expected names out of"):
        classify_window(replace(WINDOW, modifiers=frozenset({"growth"})))


def test_more_than_five_contractions_are_tachysystole() -> None:
    assert not classify_window(replace(WINDOW, contractions_per_10min=5)).is_tachysystole
    classification = classify_window(replace(WINDOW, contractions_per_10min=6))
    assert classification.is_tachysystole
    assert "tachysystole" in codes(classification)


def test_an_empty_cell_falls_back_and_says_so() -> None:
    fall = replace(
        FALL, kind=DecelerationKind.PROLONGED, severity=Severity.SEVERE, end_s=900.0, nadir_bpm=55.0
    )
    classification = classify_window(replace(WINDOW, baseline_raw_bpm=74.0, decelerations=(fall,)))
    assert (classification.level, classification.is_fallback) == (4, True)
    assert classification.cell == "I/severe_bradycardia/prolonged_severe+na-fallback"
    assert classification.evidence == "E"


@given(
    valid=st.floats(0, 1),
    readable=st.floats(0, 600),
    raw=st.none() | st.floats(40, 220),
    amplitude=st.none() | st.floats(0, 60),
    sine=st.floats(0, 40),
    flags=st.tuples(st.booleans(), st.booleans(), st.booleans(), st.booleans()),
)
def test_a_level_always_has_enough_signal_behind_it(
    valid: float,
    readable: float,
    raw: float | None,
    amplitude: float | None,
    sine: float,
    flags: tuple[bool, bool, bool, bool],
) -> None:
    is_maternal, is_doubled, is_several, is_complete = flags
    features = replace(
        WINDOW,
        valid_fraction=valid,
        baseline_readable_s=readable,
        baseline_raw_bpm=raw,
        variability_bpm=amplitude,
        sinusoidal_min=sine,
        is_maternal_rate=is_maternal,
        is_doubling_halving=is_doubled,
        is_several_baselines=is_several,
        is_complete=is_complete,
    )
    classification = classify_window(features)
    assert (classification.level is None) == (classification.indeterminate is not None)
    if classification.level is not None:
        assert valid >= 0.5
        assert readable >= 120
        assert is_complete
        assert not any((is_maternal, is_doubled, is_several))
        assert sine == 0 or (sine >= 10 and classification.level >= 4)
