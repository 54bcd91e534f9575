"""What the site's own page is told, and the alarms that the site runs by itself."""

from dataclasses import replace

import numpy as np
import pytest

from hub.model import (
    GRID_MS,
    AckReason,
    Alert,
    AlertState,
    BedState,
    Channel,
    DeviceState,
    FrameFlag,
    MonitorStatus,
    Transducer,
    WaveFrame,
)
from hub.wire import decode_json, decode_wave, encode_json, encode_wave, samples_from_values
from site_agent.watch import HISTORY_S, SiteWatch

T0_MS = 1_795_000_000_000


def frame(second: int, bpm: float, *, bed: str = "bed1", epoch: int = 1) -> WaveFrame:
    channels = tuple(
        samples_from_values(channel, np.full(4, value), transducer=Transducer.ULTRASOUND)
        for channel, value in ((Channel.FHR1, bpm), (Channel.TOCO, 12.0))
    )
    t0_ms = T0_MS + second * 1000
    return WaveFrame(
        "h012", bed, epoch, second, t0_ms, GRID_MS, 4, FrameFlag.NONE, MonitorStatus.ON, channels
    )


class Site:
    """A watch that is fed second by second."""

    def __init__(self) -> None:
        self.watch = SiteWatch("h012", ["bed1", "bed2"], site_name="山の診療所")
        self.raised: list[str] = []

    def run(self, seconds: range, bpm: float, *, is_silent: bool = False) -> None:
        for second in seconds:
            now_ms = T0_MS + (second + 1) * 1000
            if not is_silent:
                one = frame(second, bpm)
                self.watch.push_frame(one, encode_wave(one), is_late=False, now_ms=now_ms, now_s=second + 1.0)
            moves = self.watch.tick(now_ms, second + 1.0)
            self.raised += [move.alert.rule for move in moves if move.cause == "onset"]


def test_every_configured_bed_is_shown_and_one_that_never_spoke_has_no_number():
    site = Site()
    site.run(range(10), 140.0)
    first, second = site.watch.views(None, now_s=10.0)
    assert (first.bed, first.vitals.fetuses[0].fhr_bpm, first.vitals.toco) == ("bed1", 140.0, 12.0)
    assert first.vitals.age_ms == 0
    assert first.analysis is None  # there is no reading here
    assert (second.bed, second.vitals.age_ms, second.vitals.fetuses[0].fhr_bpm) == ("bed2", None, None)


def test_a_slow_rate_raises_the_raw_rate_alarm_without_any_hub():
    site = Site()
    site.run(range(60), 140.0)
    assert site.raised == []
    site.run(range(60, 400), 75.0)
    assert "fhr_below_80" in site.raised
    alert = next(one for one in site.watch.alerts() if one.rule == "fhr_below_80")
    move = site.watch.acknowledge(alert.id, by="K.M.", reason=AckReason.AT_BEDSIDE, now_ms=T0_MS + 401_000)
    assert move.to_state is AlertState.ACKNOWLEDGED


def test_a_late_frame_fills_the_strip_and_raises_nothing():
    site = Site()
    site.run(range(10), 140.0)
    for second in range(-400, 0):
        late = frame(second + 400, 75.0, epoch=2)
        shifted = WaveFrame(
            late.site,
            late.bed,
            2,
            late.seq,
            T0_MS + second * 1000,
            GRID_MS,
            4,
            late.flags,
            late.status,
            late.channels,
        )
        site.watch.push_frame(shifted, encode_wave(shifted), is_late=True, now_ms=T0_MS + 10_000, now_s=10.0)
    site.run(range(10, 400), 140.0)
    assert site.raised == []


def test_a_device_that_falls_silent_is_a_technical_alert_and_its_number_goes():
    site = Site()
    site.watch.push_state("bed1", BedState(state=DeviceState.DISCONNECTED))
    site.run(range(30), 140.0)
    site.run(range(30, 60), 140.0, is_silent=True)
    assert "silent" in site.raised
    silent = next(one for one in site.watch.alerts() if one.rule == "silent")
    assert silent.values["why"] == "device_disconnected"
    assert site.watch.views([("h012", "bed1")], now_s=60.0)[0].vitals.age_ms == 30_000


def test_a_page_that_opens_is_given_what_was_written_and_no_more_than_twenty_minutes():
    site = Site()
    site.run(range(HISTORY_S + 300), 140.0)
    now_ms = T0_MS + (HISTORY_S + 300) * 1000
    entries = site.watch.recent_waves(("h012", "bed1"), 3600, now_ms=now_ms)
    assert len(entries) == HISTORY_S + 1
    assert entries[-1].payload == encode_wave(frame(HISTORY_S + 299, 140.0))
    assert len(site.watch.recent_waves(("h012", "bed1"), 60, now_ms=now_ms)) == 61
    assert site.watch.recent_waves(("h012", "bed9"), 60, now_ms=now_ms) == []


class Restart:
    """A site whose agent ended after `seconds`, and that begins anew `gap_s` later."""

    def __init__(self, before: Site, seconds: range, bpm: float, *, gap_s: int, late: bool = False) -> None:
        self.at = seconds.stop + gap_s
        self.site = Site()
        flags = FrameFlag.BACKFILL if late else FrameFlag.NONE
        past = [(one, encode_wave(one)) for one in (replace(frame(k, bpm), flags=flags) for k in seconds)]
        now_ms, now_s = T0_MS + self.at * 1000, float(self.at)
        self.site.watch.restore("bed1", past[::-1], now_ms=now_ms, now_s=now_s)
        stood = [decode_json(encode_json(alert), Alert) for alert in before.watch.alerts()]
        self.site.watch.restore_alerts(stood)

    def run(self, n_seconds: int, bpm: float) -> Site:
        self.site.run(range(self.at, self.at + n_seconds), bpm)
        return self.site


def test_after_a_restart_the_strip_goes_on_with_a_gap_and_the_age_stays_honest():
    before = Site()
    after = Restart(before, range(300), 140.0, gap_s=40)
    (view,) = after.site.watch.views([("h012", "bed1")], now_s=340.0)
    assert (view.vitals.head_ms, view.vitals.age_ms) == (T0_MS + 300_000, 40_000)
    now_ms = T0_MS + 340_000
    assert len(after.site.watch.recent_waves(("h012", "bed1"), 600, now_ms=now_ms)) == 300
    site = after.run(20, 140.0)
    entries = site.watch.recent_waves(("h012", "bed1"), 600, now_ms=now_ms + 20_000)
    assert [decode_wave(e.payload, site="h012", bed="bed1").seq for e in entries] == [
        *range(300),
        *range(340, 360),
    ]
    assert site.raised == []  # that no agent ran was no silence of the device
    (view,) = site.watch.views([("h012", "bed1")], now_s=360.0)
    assert view.vitals.fetuses[0].signal_fraction == pytest.approx(320 / 600, abs=0.01)


def test_a_bed_that_does_not_speak_after_a_restart_is_a_technical_alert():
    after = Restart(Site(), range(300), 140.0, gap_s=40)
    after.site.run(range(340, 343), 140.0, is_silent=True)
    assert after.site.raised == []
    after.site.run(range(343, 350), 140.0, is_silent=True)
    assert after.site.raised == ["silent"]


def test_an_alarm_stands_over_a_restart_while_its_condition_holds_and_stays_acknowledged():
    before = Site()
    before.run(range(60), 140.0)
    before.run(range(60, 400), 75.0)
    rules = {alert.rule for alert in before.watch.alerts()}
    for alert in before.watch.alerts():
        before.watch.acknowledge(alert.id, by="K.M.", reason=AckReason.AT_BEDSIDE, now_ms=T0_MS + 401_000)
    after = Restart(before, range(60, 400), 75.0, gap_s=8).run(30, 75.0)
    assert after.raised == []
    assert {(a.rule, a.state, a.acknowledged_by) for a in after.watch.alerts()} == {
        (rule, AlertState.ACKNOWLEDGED, "K.M.") for rule in rules
    }


def test_an_alarm_that_nobody_kept_is_raised_at_once_where_its_condition_holds():
    after = Restart(Site(), range(400), 75.0, gap_s=8).run(2, 75.0)
    assert "fhr_below_80" in after.raised


def test_what_came_late_raises_nothing_after_a_restart_either():
    after = Restart(Site(), range(400), 75.0, gap_s=0, late=True).run(20, 140.0)
    assert after.raised == []


def test_an_alert_that_is_not_there_cannot_be_acknowledged():
    with pytest.raises(KeyError, match=r"expected the id of an open alert, got 'h012\.x'"):
        Site().watch.acknowledge("h012.x", by="K.M.", reason=AckReason.WATCHING, now_ms=T0_MS)


def test_a_frame_of_a_bed_that_is_not_configured_is_left_out():
    site = Site()
    one = frame(0, 140.0, bed="bed7")
    site.watch.push_frame(one, encode_wave(one), is_late=False, now_ms=T0_MS, now_s=0.0)
    assert site.watch.bed_keys() == [("h012", "bed1"), ("h012", "bed2")]
