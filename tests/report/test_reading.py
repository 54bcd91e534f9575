import json
from dataclasses import replace

import numpy as np
import pytest

from device_sim.records import read_shipped
from device_sim.scenarios import scenario_signals
from hub.dsp import analyse
from hub.dsp.nst import NstVerdict
from hub.errors import RecordError
from hub.model import FloatArray
from hub.records import Record
from hub.report.document import to_document
from hub.report.printed import write_report
from hub.report.reading import Reading, cut_analysis, read_traces
from hub.report.words import Language, Words

MIN = 240


def modelled(scenario: str, minutes: int = 40) -> Record:
    signals = scenario_signals(scenario, seed=2, duration_s=60 * minutes)
    return Record(name=scenario, fs=4.0, fhr=signals.fhr, toco=signals.toco, mhr=signals.mhr)


def test_a_stretch_is_read_in_the_light_of_what_lies_around_it():
    record = read_shipped("1017")
    (stretch,) = read_traces(record, from_s=1200, to_s=2400)
    whole = analyse(record.fhr[0], record.toco, fs=4.0, gestational_weeks=41.0)
    assert [c.level for c in stretch.analysis.segments] == [c.level for c in whole.segments[2:4]]
    np.testing.assert_array_equal(stretch.analysis.baseline_bpm, whole.baseline_bpm[4800:9600])
    inside = [d.onset_s - 1200 for d in whole.decelerations if d.onset_s < 2400 and d.end_s > 1200]
    assert [d.onset_s for d in stretch.analysis.decelerations] == inside
    assert stretch.analysis.rolling is None


def test_segments_begin_where_the_stretch_begins():
    (reading,) = read_traces(read_shipped("1017"), from_s=130, to_s=1900)
    assert [(c.start_s, c.end_s) for c in reading.analysis.segments] == [(0, 600), (600, 1200)]
    assert all(0 <= r.start_s <= r.end_s for c in reading.analysis.segments for r in c.reasons)


def test_an_analysis_cut_at_its_ends_is_the_same():
    found = analyse(read_shipped("1098").fhr[0])
    cut = cut_analysis(found, 0, found.baseline_bpm.size, 4.0)
    assert (cut.segments, cut.rolling, cut.decelerations) == (
        found.segments,
        found.rolling,
        found.decelerations,
    )


def test_the_age_is_that_of_the_file_unless_given():
    record = read_shipped("1017")
    assert read_traces(record, to_s=60)[0].gestational_weeks == 41
    assert read_traces(record, to_s=60, gestational_weeks=30.0)[0].gestational_weeks == 30


def test_sensors_of_one_fetus_are_read_as_one():
    fhr: FloatArray = np.full((2, 10 * MIN), np.nan)
    fhr[0, : 5 * MIN] = 140.0
    fhr[1, 4 * MIN :] = 138.0
    record = Record(name="r", fs=4.0, fhr=fhr)
    assert [r.trace for r in read_traces(record)] == [1, 2]
    (merged,) = read_traces(record, is_one_fetus=True)
    assert merged.n_traces == 1
    np.testing.assert_array_equal(merged.fhr[[0, 4 * MIN, 6 * MIN]], [140, 140, 138])


def test_a_maternal_rate_taken_for_fetal_is_listed():
    (reading,) = read_traces(modelled("maternal_capture"))
    assert reading.false_spans
    assert all(b - a >= 5 for a, b in reading.false_spans)


def test_nst_and_stv_are_for_records_before_labour_only():
    record = modelled("reassuring")
    (labour,) = read_traces(record)
    assert (labour.nst, labour.stv) == (None, None)
    (reading,) = read_traces(record, is_antenatal=True)
    assert reading.nst is not None
    assert reading.nst.verdict is NstVerdict.REACTIVE
    assert reading.stv is not None


def test_pressure_from_a_catheter_is_shown_in_place_of_toco():
    record = modelled("reassuring", 10)
    pressure = np.full(10 * MIN, 12.0)
    (reading,) = read_traces(replace(record, iup=pressure))
    np.testing.assert_array_equal(np.asarray(reading.toco), pressure)


@pytest.mark.parametrize(("from_s", "to_s"), [(600, 600), (700, 600), (6000, None), (-1, 60)])
def test_an_empty_stretch_is_refused(from_s: float, to_s: float | None):
    with pytest.raises(RecordError, match="expected a stretch inside its 600 s"):
        read_traces(modelled("reassuring", 10), from_s=from_s, to_s=to_s)


# ------------------------------------------------------------------ text and JSON


def lines_of(reading: Reading, language: Language = "en") -> list[str]:
    return list(write_report([reading], Words(language)))


@pytest.mark.parametrize("language", ["ja", "en"])
@pytest.mark.parametrize(
    "scenario", ["reassuring", "late_severe", "sinusoidal", "signal_loss", "maternal_capture"]
)
def test_every_sentence_of_a_report_is_written(scenario: str, language: Language):
    (reading,) = read_traces(modelled(scenario), gestational_weeks=39.0, is_antenatal=True)
    lines = lines_of(reading, language)
    assert not [
        line for line in lines if "{" in line or "reason." in line or "nst." in line or "stv." in line
    ]
    assert lines[0] in ("判読支援(参考)", "Reading aid, not a diagnosis")


def test_a_report_tells_every_event_and_every_segment():
    (reading,) = read_traces(modelled("late_severe"))
    lines, found = lines_of(reading), reading.analysis
    assert sum(" Level " in line or "Indeterminate" in line for line in lines) == len(found.segments)
    assert f"Decelerations: {len(found.decelerations)}" in lines
    assert f"Contractions: {len(found.contractions)}" in lines
    assert sum(line.startswith("  0:") and "late deceleration, severe" in line for line in lines) == sum(
        d.kind == "late" and d.severity == "severe" for d in found.decelerations
    )


def test_a_record_under_ten_minutes_has_no_level():
    (reading,) = read_traces(modelled("reassuring", 9))
    assert any("Indeterminate" in line for line in lines_of(reading))
    assert not any("Level" in line for line in lines_of(reading))


def test_the_document_is_json_without_nan():
    fhr = np.full((1, 10 * MIN), np.nan)
    document = to_document(read_traces(Record(name="lost", fs=4.0, fhr=fhr), is_antenatal=True))
    (trace,) = json.loads(json.dumps(document, allow_nan=False))["traces"]
    assert trace["series"]["baseline_bpm"] == [None] * 600
    assert trace["segments"][0]["level"] is None
    assert trace["stv"]["refusal"] == "signal"


def test_the_series_have_one_value_a_second_whatever_the_rate():
    fhr = np.full((1, 1200), 140.0)
    (trace,) = to_document(read_traces(Record(name="r", fs=2.0, fhr=fhr)))["traces"]
    assert len(trace["series"]["baseline_bpm"]) == 600
