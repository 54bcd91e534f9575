import numpy as np
import pytest

from hub.model import AlertState, FrameFlag, Priority
from tests.viewer.conftest import (
    KEY,
    T0_MS,
    make_alert,
    make_analysis,
    make_entry,
    make_frame,
    make_message,
    make_view,
)
from viewer.face import Face, Freshness, Look, make_face
from viewer.state import Transport, Wall, recent_changes, worst_level
from viewer.words import bed_code


def joined(now_s: float = 100.0, **view: object) -> Wall:
    """A wall that has just read its snapshot."""
    wall = Wall()
    wall.join(now_s)
    wall.push_message(make_message(make_view(**view)), now_s)  # type: ignore[arg-type]  # keywords of make_view
    return wall


# ---------------------------------------------------------------------------- ages


def test_age_is_what_the_hub_said_and_the_own_time_since():
    wall = joined(age_ms=500)
    assert wall.beds[KEY].age_s(102.0) == pytest.approx(2.5)


def test_a_live_frame_renews_the_age_between_two_messages():
    wall = joined(age_ms=900)
    frame = make_frame([140] * 4, t0_ms=T0_MS + 500, seq=3)
    wall.push_waves([make_entry(frame, arrived_ms=T0_MS + 1500)], T0_MS + 1550, 101.55)
    assert wall.beds[KEY].age_s(102.0) == pytest.approx(0.5)


def test_replayed_history_is_no_proof_that_anything_is_live():
    wall = joined(age_ms=30_000)
    frame = make_frame([140] * 4, t0_ms=T0_MS - 1000, epoch=0, seq=0)
    wall.push_waves([make_entry(frame, arrived_ms=T0_MS)], T0_MS + 20, 100.02)
    assert wall.beds[KEY].age_s(100.02) == pytest.approx(30.02)


def test_back_filled_data_is_no_proof_that_anything_is_live():
    wall = joined(age_ms=30_000)
    frame = make_frame([140] * 4, t0_ms=T0_MS - 90_000, seq=3, flags=FrameFlag.BACKFILL)
    wall.push_waves([make_entry(frame, arrived_ms=T0_MS)], T0_MS + 20, 100.02)
    assert wall.beds[KEY].age_s(100.02) == pytest.approx(30.02)


def test_messages_that_waited_for_a_frozen_console_are_as_old_as_they_are():
    wall = joined(now_s=100.0, age_ms=200)
    for second in range(1, 60):  # sent each second, all read when the console woke
        view = make_view(age_ms=200, head_ms=T0_MS + second * 1000)
        wall.push_message(make_message(view, t_ms=T0_MS + second * 1000, is_snapshot=False), 160.0)
        age_s = wall.beds[KEY].age_s(160.0)
        assert age_s == pytest.approx(60 - second + 0.2)


def test_the_greeting_bounds_the_age_of_the_first_message():
    transport = Transport(greeted_s=100.0)
    assert transport.push(T0_MS, 104.0) == pytest.approx(4.0)
    assert transport.push(T0_MS + 1000, 101.1 + 0.1) == pytest.approx(0.2, abs=0.01)


class Chance:
    """A hub, a line and a console that fail at random: true times beside what the console can know."""

    def __init__(self, seed: int) -> None:
        self.draw = np.random.default_rng(seed)
        self.wall = Wall()
        self.wall.join(0.0)
        self.data_s = 0.0
        self.base_s = float(self.draw.uniform(0, 0.3))
        self.queue: list[tuple[float, int, float]] = []  # readable from, t_ms, true time of the newest data
        self.frozen_until_s = self.silent_until_s = 0.0
        self.hub_dies_s = float(self.draw.uniform(20, 100)) if self.draw.random() < 0.3 else 1e9

    def send(self, now_s: float) -> None:
        """A second of the hub: data unless the site is silent, a message that takes its time."""
        if self.draw.random() < 0.03:
            self.silent_until_s = now_s + float(self.draw.uniform(2, 30))
        if now_s >= self.silent_until_s:
            self.data_s = now_s
        delay_s = (
            self.base_s + float(self.draw.exponential(0.05)) + (4.0 if self.draw.random() < 0.02 else 0.0)
        )
        ready_s = max(now_s + delay_s, self.queue[-1][0] if self.queue else 0.0)
        self.queue.append((ready_s, T0_MS + round(now_s * 1000), self.data_s))

    def draw_face(self, now_s: float) -> Face | None:
        """What the console shows, unless it is frozen: then it reads nothing and draws nothing."""
        if self.draw.random() < 0.003:
            self.frozen_until_s = now_s + float(self.draw.uniform(1, 60))
        if now_s < self.frozen_until_s:
            return None
        while self.queue and self.queue[0][0] <= now_s:
            _, t_ms, newest_s = self.queue.pop(0)
            view = make_view(age_ms=round(t_ms - T0_MS - newest_s * 1000))
            message = make_message(view, t_ms=t_ms, is_snapshot=not self.wall.beds)
            self.wall.push_message(message, now_s)
        return make_face(self.wall, self.wall.beds[KEY], now_s) if self.wall.beds else None


@pytest.mark.req("R11")
def test_nothing_stale_is_ever_drawn_as_live():
    """Late lines, frozen consoles, silent sites, dying hubs: the age drawn is never below the true one."""
    drawn = live = 0
    for seed in range(120):
        chance = Chance(seed)
        for tenth in range(1200):
            now_s = tenth / 10
            if tenth % 10 == 0 and now_s < chance.hub_dies_s:
                chance.send(now_s)
            face = chance.draw_face(now_s)
            if face is None:
                continue
            drawn += 1
            live += face.freshness is Freshness.LIVE
            true_age_s = now_s - chance.data_s
            fhr = face.fetuses[0].fhr
            is_live = face.freshness is Freshness.LIVE or fhr.look is Look.LIVE
            assert not (is_live and true_age_s > 3.001)
            assert true_age_s < 10.001 or fhr.value is None
    assert drawn > 70_000
    assert live > drawn / 4  # caution alone, showing nothing as live, would be no answer either


# ------------------------------------------------------------------------ the hub


@pytest.mark.req("R10")
def test_a_hub_silent_for_three_seconds_is_dark():
    wall = joined(now_s=100.0)
    assert not wall.is_dark(102.9)
    assert wall.is_dark(103.1)


def test_before_the_first_message_the_hub_is_dark():
    assert Wall().is_dark(0.0)


def test_waves_alone_keep_the_hub_alive():
    wall = joined(now_s=100.0)
    wall.push_waves([], T0_MS + 2500, 102.5)
    assert not wall.is_dark(105.0)


def test_a_bed_that_the_hub_no_longer_names_stays_on_the_wall():
    wall = joined(now_s=100.0)
    wall.join(110.0)
    wall.push_message(make_message(make_view(bed="bed4"), t_ms=T0_MS + 10_000), 110.0)
    assert wall.bed_keys() == ["h012/bed3", "h012/bed4"]
    assert make_face(wall, wall.beds[KEY], 111.0).freshness >= Freshness.STALE


# --------------------------------------------------------------------------- waves


@pytest.mark.req("R13")
def test_what_was_missed_while_the_link_was_down_is_drawn_as_late():
    wall = joined(now_s=100.0)
    wall.push_waves([make_entry(make_frame([140] * 4, seq=1))], T0_MS + 1050, 101.0)
    wall.join(130.0)
    wall.push_message(make_message(make_view(), t_ms=T0_MS + 30_000), 130.0)
    history = make_frame([150] * 4, t0_ms=T0_MS + 1000, epoch=0, seq=0)
    wall.push_waves([make_entry(history)], T0_MS + 30_000, 130.0)
    late_ms = wall.beds[KEY].ring.read(T0_MS, T0_MS + 2000).late_ms
    assert late_ms.tolist() == [0] * 4 + [T0_MS + 30_000] * 4


def test_a_console_that_has_just_opened_does_not_call_its_history_late():
    wall = joined(now_s=100.0)
    wall.push_waves([make_entry(make_frame([140] * 4, t0_ms=T0_MS - 600_000, epoch=0))], T0_MS, 100.1)
    assert not wall.beds[KEY].ring.read(T0_MS - 600_000, T0_MS).late_ms.any()


def test_a_broken_frame_is_counted_and_harms_nothing():
    wall = joined()
    good = make_entry(make_frame([140] * 4, seq=1))
    bad = type(good)(good.site, good.bed, good.arrived_ms, good.payload[:-1])
    wall.push_waves([bad, good], T0_MS + 1050, 101.0)
    assert wall.rejected == 1
    assert wall.beds[KEY].ring.head_ms == T0_MS + 1000


def test_the_axis_moves_on_when_the_data_do_not():
    wall = joined(now_s=100.0)
    wall.push_waves([make_entry(make_frame([140] * 4, seq=1))], T0_MS + 1050, 101.0)
    bed = wall.beds[KEY]
    at_101, at_111 = bed.edge_ms(101.0), bed.edge_ms(111.0)
    assert at_101 is not None
    assert at_111 is not None
    assert at_111 - at_101 == 10_000


# -------------------------------------------------------------------------- alerts


def test_alerts_wait_by_priority_and_then_by_age():
    wall = joined()
    low = make_alert("tachysystole", priority=Priority.LOW, raised_ms=T0_MS - 9000)
    older = make_alert("fhr_below_80", raised_ms=T0_MS - 5000)
    newer = make_alert("level_5", raised_ms=T0_MS - 1000)
    for alert in (newer, low, older):
        wall.push_alert(alert)
    assert wall.unacknowledged() == [older, newer, low]


def test_an_acknowledged_alert_no_longer_waits_but_is_still_told():
    wall = joined()
    alert = make_alert(state=AlertState.ACKNOWLEDGED)
    wall.push_alert(alert)
    assert wall.unacknowledged() == []
    assert wall.acknowledged_at(KEY) == [alert]


def test_a_cleared_alert_is_gone():
    wall = joined()
    wall.push_alert(make_alert())
    wall.push_alert(make_alert(state=AlertState.CLEAR, changed_ms=T0_MS + 1))
    assert wall.alerts == {}


def test_an_answer_that_was_overtaken_does_not_undo_what_came_after():
    wall = joined()
    wall.push_alert(make_alert(changed_ms=T0_MS + 5000))
    wall.push_alert(make_alert(state=AlertState.ACKNOWLEDGED, changed_ms=T0_MS + 4000))
    assert len(wall.unacknowledged()) == 1


def test_a_snapshot_forgets_alerts_that_the_hub_no_longer_holds():
    wall = joined()
    wall.push_alert(make_alert())
    wall.join(200.0)
    wall.push_message(make_message(make_view()), 200.0)
    assert wall.alerts == {}


# -------------------------------------------------------------------------- levels


def analysis_of(*levels: int | None):
    first, *others = (make_analysis(level, fetus=number) for number, level in enumerate(levels, 1))
    fetuses = first.fetuses + tuple(fetus for other in others for fetus in other.fetuses)
    return type(first)(
        fetuses=fetuses,
        contractions=(),
        are_contractions_known=True,
        contractions_per_10min=None,
        is_tachysystole=False,
    )


@pytest.mark.parametrize(
    ("levels", "shown"),
    [
        ((1, 2), 2),
        ((4, 1), 4),
        ((None, 1), None),
        ((2, None), None),
        ((None, 3), 3),
        ((5, None), 5),
        ((None,), None),
    ],
)
def test_not_knowing_one_twin_hides_a_low_level_never_a_high_one(
    levels: tuple[int | None, ...], shown: int | None
):
    assert worst_level(analysis_of(*levels)) == shown


def test_an_update_without_analysis_keeps_the_one_held():
    wall = joined(analysis=make_analysis(3))
    wall.push_message(make_message(make_view(), t_ms=T0_MS + 1000, is_snapshot=False), 101.0)
    assert worst_level(wall.beds[KEY].analysis) == 3


def test_changes_are_what_the_ribbons_tell():
    spans = make_analysis(4).fetuses[0].ribbon
    before = type(spans[0])(start_ms=T0_MS - 600_000, end_ms=T0_MS - 60_000, level=2)
    wall = joined(analysis=make_analysis(4, ribbon=(before, *spans)))
    (change,) = recent_changes(wall.beds, T0_MS - 1_800_000)
    assert (change.t_ms, change.from_level, change.to_level) == (T0_MS - 60_000, 2, 4)
    assert recent_changes(wall.beds, T0_MS) == []


def test_beds_that_share_a_name_carry_their_site():
    wall = joined()
    here = make_view(bed="bed9")
    there = type(here)(
        site="h099",
        bed="bed1",
        site_name=None,
        label=here.label,
        gestational_weeks=None,
        vitals=here.vitals,
    )
    wall.push_message(make_message(make_view(), here, there), 100.0)
    assert [bed_code(wall.beds[key]) for key in wall.bed_keys()] == ["A-bed3", "h012 A-bed9", "h099 A-bed9"]
