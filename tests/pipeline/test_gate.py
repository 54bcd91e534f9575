"""A resent frame, a wrong clock or a second feed never silences an alarm nor shows another trace as live."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest

from hub.acquisition.timeline import Arrival
from hub.model import (
    AlertTransition,
    BedState,
    Channel,
    DeviceState,
    FrameFlag,
    Lane,
    MonitorStatus,
    Priority,
    SiteState,
    SiteStatus,
    Transducer,
    WaveFrame,
)
from hub.pipeline import Pipeline, run_analysis
from hub.wire import samples_from_values

T0_MS = 1_763_610_000_000
DAY_MS = 86_400_000


def second(
    seq: int, rate_bpm: float, *, epoch: int = 1, offset_ms: int = 0, channel: Channel = Channel.FHR1
) -> WaveFrame:
    block = samples_from_values(channel, [rate_bpm] * 4, transducer=Transducer.ULTRASOUND)
    t0_ms = T0_MS + seq * 1000 + offset_ms
    return WaveFrame("h", "b", epoch, seq, t0_ms, 250, 4, FrameFlag.TEST, MonitorStatus.ON, (block,))


class Hub:
    """A pipeline whose clock the test moves."""

    def __init__(self) -> None:
        self.pipeline = Pipeline(boot_id="test", capacity_beds=4)
        self.moves: list[AlertTransition] = []
        self.at = 0

    def live(self, frame: WaveFrame) -> Arrival | None:
        return self.pipeline.push_frame(frame, lane=Lane.LIVE, arrived_ms=self.now_ms, now_s=float(self.at))

    def fill(self, frames: Iterable[WaveFrame]) -> None:
        for frame in frames:
            self.pipeline.push_frame(frame, lane=Lane.FILL, arrived_ms=self.now_ms, now_s=float(self.at))

    def tick(self) -> None:
        self.at += 1
        self.moves += self.pipeline.tick(self.now_ms, float(self.at))
        if self.at % 10 == 0:
            self.moves += self.pipeline.accept(
                run_analysis(self.pipeline.due_windows()), self.now_ms
            ).transitions

    @property
    def now_ms(self) -> int:
        return T0_MS + self.at * 1000

    @property
    def raised(self) -> dict[str, Priority]:
        return {move.alert.rule: move.alert.priority for move in self.moves if move.cause == "onset"}

    @property
    def shown_bpm(self) -> float | None:
        return (
            self.pipeline.views(None, now_s=float(self.at), with_analysis=False)[0].vitals.fetuses[0].fhr_bpm
        )


def test_frames_sent_again_for_want_of_an_ack_do_not_silence_the_raw_rate_alarms():
    hub = Hub()
    for seq in range(300):
        hub.live(second(seq, 70.0))
        if seq >= 30:
            hub.fill(second(k, 70.0) for k in range(seq - 30))
        hub.tick()
    assert hub.raised.keys() >= {"fhr_below_80", "fhr_below_110_prolonged", "fhr_below_110"}


def test_frames_sent_again_to_a_hub_that_was_restarted_do_not_turn_live_samples_late():
    hub = Hub()
    frames = [second(seq, 70.0) for seq in range(200)]
    hub.pipeline.restore_frames((frame, Lane.LIVE, frame.end_ms) for frame in frames)
    hub.at = 200
    hub.fill(frames)
    for seq in range(200, 230):
        hub.live(second(seq, 70.0))
        hub.tick()
    assert "fhr_below_80" in hub.raised


def test_an_outbox_stamped_by_a_clock_that_was_ahead_never_shows_as_live():
    hub = Hub()
    for seq in range(120):
        hub.live(second(seq, 70.0))
        hub.fill([second(seq, 140.0, epoch=9, offset_ms=3_600_000)])
        hub.tick()
        assert hub.shown_bpm == 70.0
    assert "fhr_below_80" in hub.raised


def test_two_feeds_for_one_bed_are_called_out_and_only_one_is_drawn():
    hub = Hub()
    for seq in range(120):
        hub.live(second(seq, 70.0, epoch=1))
        if seq >= 10:
            hub.live(second(seq, 140.0, epoch=2))
        hub.tick()
        if seq > 20:
            assert hub.shown_bpm == 70.0
    assert hub.raised["two_feeds"] is Priority.HIGH
    assert "fhr_below_80" in hub.raised


def test_a_feed_that_begins_again_is_followed_at_once():
    hub = Hub()
    for seq in range(20):
        hub.live(second(seq, 140.0, epoch=1))
        hub.tick()
    hub.live(second(20, 150.0, epoch=2))
    assert hub.shown_bpm == 150.0
    assert "two_feeds" not in hub.raised


def test_single_frames_with_a_wrong_time_do_not_wipe_the_trace():
    hub = Hub()
    for seq in range(300):
        hub.live(second(seq, 70.0, offset_ms=DAY_MS if seq % 55 == 54 else 0))
        hub.tick()
    assert "fhr_below_80" in hub.raised
    assert hub.shown_bpm == 70.0


def test_a_clock_that_was_set_is_followed_after_three_frames_in_either_direction():
    for step_ms in (DAY_MS, -600_000):
        hub = Hub()
        for seq in range(700):
            hub.live(second(seq, 140.0))
            hub.tick()
        for seq in range(700, 703):
            hub.live(second(seq, 150.0, offset_ms=step_ms))
            hub.tick()
        assert hub.shown_bpm == 150.0
        view = hub.pipeline.views(None, now_s=float(hub.at), with_analysis=False)[0]
        assert view.vitals.age_ms is not None
        assert view.vitals.age_ms < 3000


def test_levels_go_on_after_a_clock_that_was_set_back():
    hub = Hub()
    rng = np.random.default_rng(1)
    rates = 140 + np.round(8 * np.sin(np.arange(4000) / 6) + rng.normal(0, 1, 4000))
    for seq in range(3100):
        offset_ms = DAY_MS if seq < 1300 else 0
        hub.live(second(seq, float(rates[seq]), offset_ms=offset_ms))
        hub.tick()
    view = hub.pipeline.views(None, now_s=float(hub.at), with_analysis=True)[0]
    assert view.analysis is not None
    reading = view.analysis.fetuses[0]
    assert reading.level is not None
    assert len(reading.segments) >= 2
    assert reading.ribbon[-1].end_ms > T0_MS + 3_000_000
    assert reading.ribbon[-1].end_ms < T0_MS + 3_200_000


def test_a_bed_that_sends_only_the_second_channel_has_no_first_fetus():
    hub = Hub()
    hub.pipeline.push_state("h", "b", BedState(state=DeviceState.OK))
    for seq in range(30):
        hub.live(second(seq, 140.0, channel=Channel.FHR2))
        hub.tick()
    view = hub.pipeline.views(None, now_s=float(hub.at), with_analysis=False)[0]
    assert [one.fetus for one in view.vitals.fetuses] == [2]


def test_an_announcement_without_a_frame_takes_no_bed():
    hub = Hub()
    for number in range(100):
        hub.pipeline.push_state("h", f"x{number}", BedState(state=DeviceState.OK))
    assert hub.live(second(0, 140.0)) is Arrival.NEXT
    assert hub.pipeline.bed_keys() == [("h", "b")]


def test_an_analysis_that_stands_still_is_a_fault_of_the_level_path():
    hub = Hub()
    for seq in range(80):
        hub.live(second(seq, 140.0))
        hub.at += 1
        hub.moves += hub.pipeline.tick(hub.now_ms, float(hub.at))
    assert "path_fault" in hub.raised


def test_a_bed_that_comes_back_after_a_silence_is_no_fault():
    hub = Hub()
    for seq in [*range(40), *range(400, 440)]:
        hub.at = seq
        hub.live(second(seq, 140.0))
        hub.tick()
    assert "path_fault" not in hub.raised


def test_a_bed_known_from_the_fill_lane_alone_is_not_silent_at_once():
    hub = Hub()
    hub.at = 5000
    hub.fill(second(seq, 140.0) for seq in range(600))
    hub.tick()
    assert hub.raised == {}
    for _ in range(5):
        hub.tick()
    assert "silent" in hub.raised


def test_a_last_will_does_not_take_the_name_of_its_site():
    hub = Hub()
    hub.live(second(0, 140.0))
    hub.pipeline.push_status("h", SiteStatus(state=SiteState.ONLINE, name="架空"))
    hub.pipeline.push_status("h", SiteStatus(state=SiteState.OFFLINE))
    view = hub.pipeline.views(None, now_s=1.0, with_analysis=False)[0]
    assert (view.site_name, view.vitals.link) == ("架空", SiteState.OFFLINE)


@pytest.mark.req("ALT-22")
def test_a_frame_under_the_number_of_another_is_an_alert_that_ends_a_minute_after_the_last():
    hub = Hub()
    for seq in range(120):
        hub.live(second(seq, 140.0))
        if seq in {10, 40}:
            hub.pipeline.note_conflict("h", "b", float(hub.at))
        hub.tick()
    moves = [(move.cause, move.t_ms) for move in hub.moves if move.alert.rule == "identity_conflict"]
    assert [cause for cause, _ in moves] == ["onset", "resolved"]
    assert moves[0][1] - T0_MS == 11_000
    assert 100_000 <= moves[1][1] - T0_MS <= 102_000


def test_a_conflict_at_a_bed_that_is_not_known_does_nothing():
    hub = Hub()
    hub.pipeline.note_conflict("h", "b", 0.0)
    assert hub.pipeline.bed_keys() == []


def test_beds_without_room_are_named_as_long_as_they_send():
    hub = Hub()
    hub.pipeline = Pipeline(boot_id="test", capacity_beds=1)
    hub.live(second(0, 140.0))
    other = replace(second(0, 140.0), bed="b2")
    assert hub.live(other) is None
    assert hub.pipeline.unwatched(30.0) == [("h", "b2")]
    assert hub.pipeline.unwatched(61.0) == []


def test_the_analysis_is_told_what_measures_the_fetus():
    """A rate that doubles is taken out when it comes by Doppler, and counts when it comes by electrode."""
    suspected = {}
    for transducer in (Transducer.ULTRASOUND, Transducer.DECG):
        pipeline = Pipeline(boot_id="test", capacity_beds=4)
        for k in range(660):
            rate = (142.0 if 480 <= k < 600 else 71.0) + 2.0 * np.sin(k / 3)
            block = samples_from_values(Channel.FHR1, [rate] * 4, transducer=transducer)
            frame = replace(second(k, rate), channels=(block,))
            pipeline.push_frame(frame, lane=Lane.LIVE, arrived_ms=frame.end_ms, now_s=k + 1.0)
        pipeline.accept(run_analysis(pipeline.due_windows()), T0_MS + 660_000)
        (view,) = pipeline.views(None, now_s=660.0, with_analysis=True)
        assert view.analysis is not None
        suspected[transducer] = sum(b - a for a, b in view.analysis.fetuses[0].suspect_spans_s)
    assert suspected[Transducer.ULTRASOUND] > 20
    assert suspected[Transducer.DECG] == 0
