"""The clinical numbers and tables, against an independent transcription."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.dsp import rules
from hub.dsp.rules import (
    acceleration_rule,
    class_of_baseline,
    class_of_variability,
    round_half_up,
    severity_of,
)
from hub.dsp.tables import (
    COLUMNS,
    DOCTOR_ACTION_JA,
    DOCTOR_RESPONSE,
    MIDWIFE_ACTION_JA,
    MIDWIFE_RESPONSE,
    TABLES,
    read_cell,
)
from hub.model import BaselineClass, DecelerationKind, Severity, VariabilityClass

# Columns: none, early, variable mild and severe, late mild and severe, prolonged mild and severe.
# "x" is a cell that is empty in print.
TRANSCRIPT = """
moderate normal             1 2 2 3 3 3 3 4
moderate tachycardia        2 2 3 3 3 4 3 4
moderate bradycardia        3 3 3 4 4 4 4 4
moderate severe_bradycardia 4 4 x 4 4 4 x x
minimal  normal             2 3 3 4 3 4 4 5
minimal  tachycardia        3 3 4 4 4 5 4 5
minimal  bradycardia        4 4 4 5 5 5 5 5
minimal  severe_bradycardia 5 5 x 5 5 5 x x
absent   normal             4 5 5 5 5 5 5 5
absent   tachycardia        4 5 5 5 5 5 5 5
absent   bradycardia        5 5 5 5 5 5 5 5
absent   severe_bradycardia 5 5 5 5 5 5 5 5
marked   normal             2 2 3 3 3 4 3 4
marked   tachycardia        2 2 3 3 3 4 3 4
marked   bradycardia        3 3 3 4 4 4 4 4
marked   severe_bradycardia 4 4 x 4 4 4 x x
sinusoidal normal             4 4 4 4 5 5 5 5
sinusoidal tachycardia        4 4 4 4 5 5 5 5
sinusoidal bradycardia        4 4 4 4 5 5 5 5
sinusoidal severe_bradycardia 4 4 4 4 5 5 5 5
"""
FALLBACK = {"moderate": 4, "minimal": 5, "marked": 4}
CELLS = [
    (variability, baseline, column, mark)
    for variability, baseline, *marks in (line.split() for line in TRANSCRIPT.strip().splitlines())
    for column, mark in zip(COLUMNS, marks, strict=True)
]


@pytest.mark.parametrize(("variability", "baseline", "column", "mark"), CELLS)
def test_every_cell_says_what_was_transcribed(
    variability: str, baseline: str, column: str, mark: str
) -> None:
    cell = read_cell(VariabilityClass(variability), BaselineClass(baseline), column)
    assert cell.is_fallback == (mark == "x")
    assert cell.level == (FALLBACK[variability] if mark == "x" else int(mark))


def test_the_mild_late_cell_of_table_ii_rises_with_growth_restriction_only() -> None:
    cell = read_cell(
        VariabilityClass.MINIMAL, BaselineClass.NORMAL, "late_mild", {"fgr_or_placental_abnormality"}
    )
    assert (cell.level, cell.reference) == (4, "II/normal/late_mild+footnote-3*")
    special = read_cell(VariabilityClass.MINIMAL, BaselineClass.NORMAL, "late_mild", {"special_cause"})
    assert (special.level, special.reference) == (3, "II/normal/late_mild")


@pytest.mark.parametrize("variability", VariabilityClass)
@pytest.mark.parametrize("baseline", BaselineClass)
@pytest.mark.parametrize("column", COLUMNS)
def test_no_recorded_background_lowers_a_level(
    variability: VariabilityClass, baseline: BaselineClass, column: str
) -> None:
    everything = {"fgr_or_placental_abnormality", "special_cause"}
    plain = read_cell(variability, baseline, column).level
    assert read_cell(variability, baseline, column, everything).level >= plain


def test_a_column_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="expected one of none, early"):
        read_cell(VariabilityClass.MODERATE, BaselineClass.NORMAL, "variable")


def test_each_table_has_a_level_for_each_column() -> None:
    for table in TABLES.values():
        assert all(len(row) == len(COLUMNS) for row in table.rows.values())
        assert table.fallback is not None or None not in [n for row in table.rows.values() for n in row]


@pytest.mark.parametrize(
    ("bpm", "expected"),
    [
        (75, "severe_bradycardia"),
        (80, "bradycardia"),
        (105, "bradycardia"),
        (110, "normal"),
        (160, "normal"),
        (165, "tachycardia"),
    ],
)
def test_both_ends_of_the_normal_baseline_are_normal(bpm: float, expected: str) -> None:
    assert class_of_baseline(bpm).value == expected


@given(st.floats(20, 300))
def test_every_baseline_has_exactly_one_class(bpm: float) -> None:
    assert sum(interval.holds(bpm) for interval, _ in rules.BASELINE_RANGES.values()) == 1


@given(st.floats(0, 200))
def test_every_amplitude_has_a_class(bpm: float) -> None:
    expected = "absent" if bpm == 0 else "minimal" if bpm < 5.5 else "moderate" if bpm < 25.5 else "marked"
    assert class_of_variability(bpm).value == expected


@pytest.mark.parametrize("lookup", [class_of_baseline, class_of_variability])
def test_a_number_that_is_none_has_no_class(lookup: Callable[[float], object]) -> None:
    with pytest.raises(ValueError, match="expected"):
        lookup(float("nan"))


@given(st.floats(30, 240))
def test_rounding_moves_a_baseline_by_at_most_half_a_step(bpm: float) -> None:
    rounded = round_half_up(bpm, 5.0)
    assert rounded % 5 == 0
    assert rounded - bpm > -2.5 - 1e-9
    assert rounded - bpm <= 2.5 + 1e-9


@pytest.mark.parametrize(
    ("kind", "drop", "nadir", "duration", "expected"),
    [
        ("late", 14.9, 125, 60, Severity.MILD),
        ("late", 15, 125, 60, Severity.SEVERE),
        ("undetermined", 15, 125, 60, Severity.SEVERE),
        ("variable", 70, 69.9, 29.9, Severity.MILD),
        ("variable", 70, 69.9, 30, Severity.SEVERE),
        ("variable", 70, 70, 59, Severity.MILD),
        ("variable", 70, 70, 60, Severity.SEVERE),
        ("variable", 60, 80, 119, Severity.MILD),
        ("prolonged", 60, 80, 300, Severity.MILD),
        ("prolonged", 60, 79.9, 120, Severity.SEVERE),
        ("early", 80, 60, 100, Severity.UNGRADED),
    ],
)
def test_severity_changes_exactly_at_its_limits(
    kind: str, drop: float, nadir: float, duration: float, expected: Severity
) -> None:
    graded = severity_of(DecelerationKind(kind), drop_bpm=drop, nadir_bpm=nadir, duration_s=duration)
    assert graded is expected


def test_unknown_weeks_are_read_as_term() -> None:
    assert acceleration_rule(None) == acceleration_rule(32) == rules.ACCELERATION_TERM
    assert acceleration_rule(31.9) == rules.ACCELERATION_PRETERM


def test_every_level_has_a_response_and_every_response_a_text() -> None:
    for responses, texts in ((DOCTOR_RESPONSE, DOCTOR_ACTION_JA), (MIDWIFE_RESPONSE, MIDWIFE_ACTION_JA)):
        assert set(responses) == {1, 2, 3, 4, 5}
        assert {name for names in responses.values() for name in names} == set(texts)


def test_every_number_has_a_unit_and_a_source() -> None:
    limits = [entry for entry in vars(rules).values() if isinstance(entry, rules.Limit)]
    assert len(limits) > 50
    assert all(entry.unit and entry.source for entry in limits)
