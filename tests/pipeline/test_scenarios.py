"""Every scenario of the simulator comes out of the pipeline as it states, alerts included."""

from dataclasses import dataclass, field

import pytest

from device_sim.frames import FrameMaker
from device_sim.scenarios import SCENARIOS, Scenario, scenario_source
from hub.model import (
    AlertPath,
    AlertTransition,
    BedAnalysis,
    BedState,
    Classification,
    DeviceState,
    FetusAnalysis,
    Lane,
    Priority,
    SiteState,
    SiteStatus,
)
from hub.pipeline import Pipeline, StoredSegment, run_analysis
from hub.wire import decode_wave, with_backfill_flag

T0_MS = 1_763_610_000_000
"""A multiple of ten minutes, so that segments begin with the stream."""
KEY = ("h001", "bed1")

ALERTS: dict[str, set[str]] = {
    "tachycardia": {"fhr_above_160"},
    "bradycardia": {"fhr_below_110", "fhr_below_110_prolonged", "level_3"},
    "severe_bradycardia": {"fhr_below_80", "fhr_below_110", "fhr_below_110_prolonged", "level_4"},
    "absent_variability": {"level_4"},
    "prolonged_severe": {"fhr_below_80", "level_4"},
    "sinusoidal": {"level_4"},
    "tachysystole": {"tachysystole"},
    "maternal_capture": {"coincidence"},
    "signal_loss": {"indeterminate"},
    "minimal_with_late": {"level_4"},
    "absent_with_late": {"level_5"},
    "tachycardia_minimal_with_late": {"level_5"},
}
"""Rules that must have raised after 40 minutes; a scenario that is not named need not raise any."""
QUIET = {"reassuring", "minimal_variability", "early", "marked_variability", "twins"}
"""Scenarios that must raise nothing at all."""


@dataclass
class Run:
    """What came out of one bed's stream."""

    pipeline: Pipeline
    transitions: list[AlertTransition] = field(default_factory=list)
    segments: list[StoredSegment] = field(default_factory=list)

    @property
    def analysis(self) -> BedAnalysis:
        view = self.pipeline.views(None, now_s=0.0, with_analysis=True)[0]
        assert view.analysis is not None
        return view.analysis

    @property
    def raised(self) -> set[str]:
        return {move.alert.rule for move in self.transitions if move.cause == "onset"}


def play(scenario: Scenario, *, seed: int, duration_s: int, lane: Lane = Lane.LIVE) -> Run:
    """Play a scenario second by second; time is data, so 40 minutes take seconds."""
    run = Run(Pipeline(boot_id="test", capacity_beds=4))
    maker = FrameMaker(*KEY, epoch=7, source=scenario_source(scenario.name, seed=seed))
    run.pipeline.push_status(KEY[0], SiteStatus(state=SiteState.ONLINE))
    run.pipeline.push_state(
        *KEY, BedState(state=DeviceState.OK, gestational_weeks=scenario.gestational_weeks)
    )
    for second in range(duration_s):
        now_ms, now_s = T0_MS + (second + 1) * 1000, second + 1.0
        payload = maker.make(second, T0_MS + second * 1000)
        if lane is Lane.FILL:
            payload = with_backfill_flag(payload)
        frame = decode_wave(payload, site=KEY[0], bed=KEY[1])
        run.pipeline.push_frame(frame, lane=lane, arrived_ms=now_ms, now_s=now_s)
        if second % 5 == 0:
            run.transitions += run.pipeline.tick(now_ms, now_s)
        if second % 60 == 59:
            outcome = run.pipeline.accept(run_analysis(run.pipeline.due_windows(0)), now_ms)
            run.transitions += outcome.transitions
            run.segments += outcome.segments
    return run


def settled(reading: FetusAnalysis, warm_up_s: float) -> list[Classification]:
    return [segment for segment in reading.segments if segment.start_s >= warm_up_s]


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS.keys())
def test_a_scenario_comes_out_as_it_states(scenario: Scenario):
    expected = scenario.expected
    run = play(scenario, seed=11, duration_s=2400)
    readings = run.analysis.fetuses
    assert len(readings) == (2 if scenario.is_twin else 1)
    for reading in readings:
        segments = settled(reading, expected.warm_up_s)
        assert segments
        assert {segment.level for segment in segments} == {expected.level}
        if expected.level is None:
            assert {segment.indeterminate for segment in segments} == {expected.indeterminate}
            assert reading.level is None
            continue
        assert {segment.cell for segment in segments} == {expected.cell}
        found = {(d.kind, d.severity) for d in reading.decelerations if d.onset_s >= expected.warm_up_s}
        assert found == set(expected.decelerations)
        assert any(segment.is_tachysystole for segment in segments) == expected.is_tachysystole
        assert bool(reading.accelerations) >= expected.has_accelerations
        assert all(segment.reasons for segment in segments)


@pytest.mark.parametrize("name", sorted(ALERTS))
def test_a_scenario_calls_for_the_alerts_that_it_must(name: str):
    run = play(SCENARIOS[name], seed=12, duration_s=2400)
    assert run.raised >= ALERTS[name]
    deep = [move.alert for move in run.transitions if move.alert.rule == "fhr_below_80"]
    assert all(alert.priority is Priority.HIGH and alert.path is AlertPath.RAW_RATE for alert in deep)


@pytest.mark.parametrize("name", sorted(QUIET))
def test_a_calm_scenario_calls_for_nobody(name: str):
    assert play(SCENARIOS[name], seed=13, duration_s=2400).raised == set()


@pytest.mark.parametrize("name", ["severe_bradycardia", "absent_with_late", "tachycardia"])
def test_late_data_is_read_but_never_raises_a_live_alert(name: str):
    run = play(SCENARIOS[name], seed=14, duration_s=1800, lane=Lane.FILL)
    assert run.analysis.fetuses[0].level == SCENARIOS[name].expected.level
    assert run.raised <= {"silent"}


def test_a_coincidence_that_late_data_shows_waits_for_a_minute_of_its_own_live_signal():
    """A site comes back: half an hour of the mother's rate is filled in, and goes on live."""
    pipeline = Pipeline(boot_id="test", capacity_beds=4)
    maker = FrameMaker(*KEY, epoch=7, source=scenario_source("maternal_capture", seed=12))
    raised_after_s: list[int] = []
    for second in range(2400):
        is_late = second < 2280
        now_ms, now_s = T0_MS + (2280 if is_late else second + 1) * 1000, 2280.0 if is_late else second + 1.0
        payload = maker.make(second, T0_MS + second * 1000)
        frame = decode_wave(with_backfill_flag(payload) if is_late else payload, site=KEY[0], bed=KEY[1])
        lane = Lane.FILL if is_late else Lane.LIVE
        pipeline.push_frame(frame, lane=lane, arrived_ms=now_ms, now_s=now_s)
        if is_late:
            continue
        moves = pipeline.tick(now_ms, now_s)
        if second % 5 == 4:
            moves += pipeline.accept(run_analysis(pipeline.due_windows(0)), now_ms).transitions
        raised_after_s += [second - 2279 for move in moves if move.alert.rule == "coincidence"]
    assert raised_after_s
    assert min(raised_after_s) >= 60


@pytest.mark.parametrize("is_under_way", [False, True])
@pytest.mark.parametrize(("lead_s", "frames_per_s"), [(0, 300), (1, 300), (3, 300), (1, 1800)])
def test_half_an_hour_that_comes_late_while_the_bed_is_live_raises_no_level(
    lead_s: int, frames_per_s: int, is_under_way: bool
):
    """The history comes oldest first, in pieces, some of them while an analysis is under way."""
    pipeline = Pipeline(boot_id="test", capacity_beds=4)
    maker = FrameMaker(*KEY, epoch=7, source=scenario_source("minimal_with_late", seed=12))
    late_s, live_s = 1800, 150
    payloads = [maker.make(second, T0_MS + second * 1000) for second in range(late_s + live_s)]
    waiting, raised = payloads[:late_s], set()
    for second in range(late_s, late_s + live_s):
        now_ms, now_s = T0_MS + (second + 1) * 1000, second + 1.0
        frame = decode_wave(payloads[second], site=KEY[0], bed=KEY[1])
        pipeline.push_frame(frame, lane=Lane.LIVE, arrived_ms=now_ms, now_s=now_s)
        due = pipeline.due_windows() if is_under_way else None
        if second - late_s >= lead_s:
            for payload in waiting[:frames_per_s]:
                frame = decode_wave(with_backfill_flag(payload), site=KEY[0], bed=KEY[1])
                pipeline.push_frame(frame, lane=Lane.FILL, arrived_ms=now_ms, now_s=now_s)
            waiting = waiting[frames_per_s:]
        moves = pipeline.tick(now_ms, now_s)
        moves += pipeline.accept(run_analysis(due or pipeline.due_windows()), now_ms).transitions
        raised |= {move.alert.rule for move in moves if move.cause == "onset"}
    assert {rule for rule in raised if rule.startswith("level")} == set()
    analysis = pipeline.views(None, now_s=0.0, with_analysis=True)[0].analysis
    assert analysis is not None
    assert analysis.fetuses[0].level == 4  # read and shown all the same


def test_each_complete_segment_reaches_the_store_once():
    run = play(SCENARIOS["reassuring"], seed=15, duration_s=2400)
    starts = [one.origin_ms + round(one.classification.start_s * 1000) for one in run.segments]
    assert starts == [T0_MS + k * 600_000 for k in range(4)]


def test_a_segment_that_reads_otherwise_reaches_the_store_again():
    pipeline = Pipeline(boot_id="test", capacity_beds=4)
    maker = FrameMaker(*KEY, epoch=7, source=scenario_source("severe_bradycardia", seed=15))
    frames = [decode_wave(maker.make(k, T0_MS + k * 1000), site=KEY[0], bed=KEY[1]) for k in range(1500)]
    missing = range(700, 1100)
    stored: list[StoredSegment] = []

    def read(second: int) -> None:
        now_ms = T0_MS + second * 1000
        for _ in range(4):  # a bed that is behind goes on a minute at a time
            stored.extend(pipeline.accept(run_analysis(pipeline.due_windows()), now_ms).segments)

    for second, frame in enumerate(frames):
        if second not in missing:
            pipeline.push_frame(frame, lane=Lane.LIVE, arrived_ms=frame.end_ms, now_s=second + 1.0)
            if second % 30 == 29:
                read(second + 1)
    for second in missing:
        pipeline.push_frame(frames[second], lane=Lane.FILL, arrived_ms=frames[-1].end_ms, now_s=1500.0)
    pipeline.tick(T0_MS + 1_510_000, 1510.0)
    read(1510)
    starts_s = [round(one.origin_ms + one.classification.start_s * 1000 - T0_MS) // 1000 for one in stored]
    assert starts_s == [0, 600, 600]
    assert [one.classification.level for one in stored] == [4, None, 4]
