"""What the store gives back after live frames have come goes behind them, and never in their place."""

from dataclasses import replace

import numpy as np

from hub.model import (
    Alert,
    AlertPath,
    AlertState,
    Channel,
    FrameFlag,
    Lane,
    LevelSpan,
    MonitorStatus,
    Priority,
    Transducer,
    WaveFrame,
)
from hub.pipeline import Pipeline, run_analysis
from hub.wire import decode_wave, samples_from_values, to_values

T0_MS = 1_763_610_000_000
KEY = ("h", "b")


def second(at: int, rate_bpm: float, *, epoch: int) -> WaveFrame:
    block = samples_from_values(Channel.FHR1, [rate_bpm] * 4, transducer=Transducer.ULTRASOUND)
    return WaveFrame(*KEY, epoch, at, T0_MS + at * 1000, 250, 4, FrameFlag.NONE, MonitorStatus.ON, (block,))


def push_live(pipeline: Pipeline, first: int, last: int, rate_bpm: float) -> None:
    for at in range(first, last):
        frame = second(at, rate_bpm, epoch=2)
        pipeline.push_frame(frame, lane=Lane.LIVE, arrived_ms=frame.end_ms, now_s=float(at + 1))
        pipeline.tick(frame.end_ms, float(at + 1))


def drawn_bpm(pipeline: Pipeline) -> list[float]:
    values: list[float] = []
    for entry in pipeline.recent_waves(KEY, 60.0):
        frame = decode_wave(entry.payload, site=entry.site, bed=entry.bed)
        values += to_values(frame.channels[0])[::4].tolist()
    return values


def test_stored_frames_go_before_the_live_ones_that_came_first():
    pipeline = Pipeline(boot_id="test", capacity_beds=4)
    push_live(pipeline, 30, 60, 150.0)
    stored = [(second(at, 140.0, epoch=1), Lane.LIVE, T0_MS) for at in range(45)]
    pipeline.restore_frames(stored)
    assert drawn_bpm(pipeline) == [140.0] * 30 + [150.0] * 30
    (view,) = pipeline.views(None, now_s=60.0, with_analysis=False)
    assert (view.vitals.fetuses[0].fhr_bpm, view.vitals.age_ms) == (150.0, 0)


def test_a_bed_is_read_again_with_what_was_restored():
    pipeline = Pipeline(boot_id="test", capacity_beds=4)
    push_live(pipeline, 900, 960, 150.0)
    pipeline.accept(run_analysis(pipeline.due_windows()), T0_MS + 960_000)
    pipeline.restore_frames((second(at, 150.0, epoch=1), Lane.LIVE, T0_MS) for at in range(900))
    push_live(pipeline, 960, 980, 150.0)
    pipeline.accept(run_analysis(pipeline.due_windows()), T0_MS + 980_000)
    (view,) = pipeline.views(None, now_s=980.0, with_analysis=True)
    assert view.analysis is not None
    assert len(view.analysis.fetuses[0].segments) == 1
    assert np.isfinite([x for x in view.analysis.fetuses[0].baseline_bpm if x is not None]).sum() > 180


def test_a_stored_alert_that_was_raised_anew_meanwhile_gives_way_and_another_goes_on():
    pipeline = Pipeline(boot_id="test", capacity_beds=4)
    push_live(pipeline, 0, 2, 150.0)
    moves = [move for at in range(3, 12) for move in pipeline.tick(T0_MS + at * 1000, float(at))]
    (raised,) = [move.alert for move in moves if move.alert.rule == "silent"]
    known = replace(raised, id="h.b.0.silent.5", onset_ms=5, raised_ms=6, changed_ms=6)
    other = Alert(
        id="h.b.1.fhr_below_80.5",
        site="h",
        bed="b",
        fetus=1,
        rule="fhr_below_80",
        path=AlertPath.RAW_RATE,
        priority=Priority.HIGH,
        state=AlertState.LATCHED,
        is_present=False,
        onset_ms=5,
        raised_ms=6,
        changed_ms=7,
    )
    assert pipeline.restore_alerts([known, other]) == [known]
    assert {alert.id for alert in pipeline.alerts()} == {raised.id, other.id}


def test_a_stored_ribbon_goes_before_what_was_read_meanwhile():
    pipeline = Pipeline(boot_id="test", capacity_beds=4)
    spans = [LevelSpan(start_ms=600_000 * k, end_ms=600_000 * (k + 1), level=k + 1) for k in range(4)]
    pipeline.restore_ribbon(*KEY, 1, spans[2:3])
    pipeline.restore_ribbon(*KEY, 1, [*spans[:2], replace(spans[2], level=5), spans[3]])
    bed = pipeline._beds[KEY]
    assert list(bed.fetus(1).ribbon) == spans[:3]
