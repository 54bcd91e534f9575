"""One rule of the send window each: what goes live, what is filled, and when a line counts as dead."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from hub.model import Ack, Lane
from hub.wire import MAX_FILL_FRAMES
from site_agent.backlog import Stream, stored_runs
from site_agent.happenings import (
    Absent,
    Acked,
    Answered,
    Ask,
    Confirmed,
    Credited,
    Heard,
    LineDown,
    LineUp,
    Renew,
    Restored,
    SendFill,
    SendLive,
    Stored,
    Tick,
)
from site_agent.pacing import LEAST_MESSAGE, OWN_RATE, FillPace, LinePulse, LiveBatch
from site_agent.runs import Run, Runs
from site_agent.window import FRESH_S, STALL_S, Window


def of(kind: type, actions: list[Any]) -> list[Any]:
    return [action for action in actions if isinstance(action, kind)]


def stored(
    seq: int, *, bed: str = "bed1", epoch: int = 7, is_live: bool = True, is_kept: bool = True
) -> Stored:
    return Stored(bed, epoch, seq, b"x", is_live, is_kept)


def up(now_s: float = 0.0) -> Window:
    window = Window()
    for lane in Lane:
        window.push(LineUp(lane), now_s)
    return window


def seqs(actions: list[Any]) -> list[int]:
    fills = of(SendFill, actions)
    return [seq for fill in fills for _, a, b in fill.parts for seq in range(a, b + 1)]


def live(window: Window, seq: int, now_s: float) -> None:
    """A frame that goes live and that the broker answers."""
    for action in of(SendLive, window.push(stored(seq), now_s)):
        window.push(Answered(action.token), now_s + 0.05)


def run_for(
    window: Window, from_s: float, span_s: float, *, answer: bool = True, confirm: bool = False
) -> list[Any]:
    """Ticks of 0.2 s; each message is answered at once by the broker, and by the hub if asked for."""
    done: list[Any] = []
    for step in range(round(span_s * 5)):
        now_s = from_s + 0.2 * step
        waiting = list(window.push(Tick(), now_s))
        while waiting:
            action = waiting.pop(0)
            done.append(action)
            if answer and isinstance(action, SendLive | SendFill | Ask):
                waiting += window.push(Answered(action.token), now_s)
            if confirm and isinstance(action, SendFill):
                for epoch, first, last in action.parts:
                    ack = Ack(epoch=epoch, contiguous=-1, missing=((0, first - 1),), highest=last)
                    waiting += window.push(Acked(action.bed, ack), now_s)
            if isinstance(action, Renew):
                waiting += window.push(LineUp(action.lane), now_s)
    return done


def test_a_frame_of_the_moment_goes_live_at_once_and_is_not_filled():
    window = up()
    (sent,) = of(SendLive, window.push(stored(0), 1.0))
    assert (sent.bed, sent.epoch, sent.seq, sent.payload) == ("bed1", 7, 0, b"x")
    assert seqs(window.push(Tick(), 1.2)) == []


def test_history_is_filled_and_never_goes_live():
    window = up()
    assert of(SendLive, window.push(stored(0, is_live=False), 1.0)) == []
    assert seqs(run_for(window, 1.4, 3.0)) == [0]


def test_without_a_line_nothing_goes_and_nothing_of_it_goes_live_later():
    window = Window()
    for seq in range(10):
        assert of(SendLive, window.push(stored(seq), float(seq))) == []
    window.push(LineUp(Lane.LIVE), 10.0)
    window.push(LineUp(Lane.FILL), 10.0)
    done = run_for(window, 10.0, 3.0)
    assert of(SendLive, done) == []
    assert seqs(done) == list(range(10))
    assert window.counts.not_live == 10


def test_the_newest_gap_is_filled_first():
    window = up()
    window.push(Restored("bed1", 1, ((0, 999),)), 0.0)
    window.push(Restored("bed1", 2, ((0, 99), (500, 599))), 0.0)
    done = of(SendFill, run_for(window, 0.0, 10.0))
    newest = [part for fill in done for part in reversed(fill.parts)]
    assert newest[0][0] == 2
    assert newest[0][2] == 599
    epochs = [epoch for epoch, _, _ in newest]
    assert epochs == sorted(epochs, reverse=True)
    lasts = [last for epoch, _, last in newest if epoch == 1]
    assert lasts == sorted(lasts, reverse=True)


def test_what_comes_back_from_a_damaged_outbox_waits_for_every_epoch_that_is_known():
    window = up()
    window.push(Restored("bed1", 9, ((0, 99),)), 0.0)
    window.push(Restored("bed1", 3, ((0, 99),), is_past=True), 0.0)
    window.push(Restored("bed1", 3, ((200, 299),), is_past=True), 0.0)
    done = of(SendFill, run_for(window, 0.0, 10.0))
    epochs = [epoch for fill in done for epoch, _, _ in reversed(fill.parts)]
    assert epochs == sorted(epochs, reverse=True)
    assert set(epochs) == {9, 3}


def test_beds_take_turns():
    window = up()
    for bed in ("bed1", "bed2", "bed3"):
        window.push(Restored(bed, 1, ((0, 4999),)), 0.0)
    done = of(SendFill, run_for(window, 0.0, 6.0))
    assert {fill.bed for fill in done[:3]} == {"bed1", "bed2", "bed3"}


def test_without_credit_a_site_fills_at_its_own_modest_rate_and_with_it_at_that():
    window = up()
    window.push(Restored("bed1", 1, ((0, 99_999),)), 0.0)
    modest = len(seqs(run_for(window, 0.0, 10.0, confirm=True)))
    assert modest <= 1.3 * OWN_RATE * 10
    quick = up()
    quick.push(Restored("bed1", 1, ((0, 99_999),)), 0.0)
    quick.push(Credited(600.0, 30.0), 0.0)
    assert 2 * modest < len(seqs(run_for(quick, 0.0, 10.0, confirm=True))) <= 1.3 * 600 * 10


def test_a_credit_of_zero_stops_the_fill_lane_until_it_runs_out():
    window = up()
    window.push(Restored("bed1", 1, ((0, 999),)), 0.0)
    window.push(Credited(0.0, 5.0), 0.0)
    assert seqs(run_for(window, 0.0, 4.8)) == []
    assert seqs(run_for(window, 5.2, 3.0)) != []


@given(st.floats(allow_nan=True), st.floats(allow_nan=True))
def test_no_credit_whatever_it_says_breaks_the_pace(frames_per_s: float, valid_s: float):
    pace = FillPace()
    pace.credit(frames_per_s, valid_s, 10.0)
    assert 0.0 <= pace.rate(10.0) <= 20_000.0
    assert 0 <= pace.message_frames(11.0) <= MAX_FILL_FRAMES
    assert pace.rate(10.0 + 601.0) == OWN_RATE


def test_what_the_hub_does_not_confirm_bounds_what_is_under_way():
    window = up()
    window.push(Restored("bed1", 1, ((0, 99_999),)), 0.0)
    window.push(Credited(5000.0, 600.0), 0.0)
    assert len(set(seqs(run_for(window, 0.0, 5.0)))) <= 20_000 + MAX_FILL_FRAMES


def test_a_frame_the_hub_calls_missing_is_sent_again_soon():
    window = up()
    for seq in range(5):
        live(window, seq, float(seq))
        run_for(window, float(seq) + 0.1, 0.8)
    ack = Ack(epoch=7, contiguous=0, missing=((1, 1),), highest=4)
    actions = window.push(Acked("bed1", ack), 6.0)
    assert [action.runs for action in of(Confirmed, actions)] == [((0, 0), (2, 4))]
    assert seqs(actions + run_for(window, 6.0, 2.0)) == [1]


def test_an_old_ack_an_ack_of_another_epoch_and_one_twice_change_nothing():
    window = up()
    for seq in range(5):
        window.push(stored(seq), float(seq))
    window.push(Acked("bed1", Ack(epoch=7, contiguous=3)), 5.0)
    assert window.backlog == 1
    for ack in (
        Ack(epoch=7, contiguous=1),
        Ack(epoch=8, contiguous=99),
        Ack(epoch=7, contiguous=3),
        Ack(epoch=7, contiguous=-1, missing=((0, 4294967295),), highest=4294967295),
        Ack(epoch=7, contiguous=-1, missing=((5, 2),), highest=2),
    ):
        assert of(Confirmed, window.push(Acked("bed1", ack), 5.0)) == []
    assert of(Confirmed, window.push(Acked("bed9", Ack(epoch=7, contiguous=9)), 5.0)) == []
    assert window.backlog == 1


def test_a_frame_that_the_disk_refused_goes_live_and_is_not_awaited():
    window = up()
    assert len(of(SendLive, window.push(stored(0, is_kept=False), 1.0))) == 1
    assert window.backlog == 0


def test_frames_that_left_the_outbox_are_counted_and_not_asked_for_again():
    window = up()
    window.push(Restored("bed1", 1, ((0, 99),)), 0.0)
    run_for(window, 0.0, 2.0)
    window.push(Absent("bed1", 1, 0, 99), 3.0)
    assert window.backlog == 0
    assert window.counts.absent == 100
    assert seqs(run_for(window, 3.0, 60.0)) == []


def test_an_ack_from_before_the_centre_lost_frames_does_not_end_their_second_sending():
    window = up()
    window.push(Restored("bed1", 1, ((0, 99),), is_resend=True), 0.0)
    old = Acked("bed1", Ack(epoch=1, contiguous=99))  # retained at the broker, or still under way
    window.push(old, 0.1)
    assert window.backlog == 100
    assert sorted(seqs(run_for(window, 0.2, 5.0))) == list(range(100))
    window.push(Acked("bed1", Ack(epoch=1, contiguous=99)), 6.0)
    assert window.backlog == 0


def test_a_line_that_owes_an_answer_is_renewed_within_ten_seconds():
    window = up()
    window.push(stored(0), 1.0)
    renewals = [
        now / 5 for now in range(5, 60) if of(Renew, window.push(Tick(), now / 5)) and now / 5 <= 11.0
    ]
    assert renewals
    assert renewals[0] <= 10.0 + 1.0


def test_a_line_without_any_bed_is_asked_and_renewed_too():
    window = up()
    done = run_for(window, 0.0, 12.0, answer=False)
    assert of(Ask, done)
    assert [action.lane for action in of(Renew, done)][:1] == [Lane.LIVE]


def test_a_slow_line_is_not_taken_for_a_dead_one():
    pulse = LinePulse()
    pulse.up(0.0)
    for turn in range(20):
        pulse.answer(3.0, 3.0 * turn)
    assert pulse.patience_s > 20.0


def test_one_lost_answer_does_not_hold_up_those_after_it():
    window = up()
    (lost,) = of(SendLive, window.push(stored(0), 1.0))
    sent = 0
    for seq in range(1, 60):
        for action in of(SendLive, window.push(stored(seq), 1.0 + seq)):
            window.push(Answered(action.token), 1.1 + seq)
            sent += action.token != lost.token
        window.push(Acked("bed1", Ack(epoch=7, contiguous=-1, missing=((0, 0),), highest=seq)), 1.15 + seq)
        run_for(window, 1.2 + seq, 0.6)
    assert sent == 59
    assert window.counts.renewals == {}


def test_a_standstill_renews_the_fill_lane_and_leaves_the_live_one_alone():
    window = up()
    window.push(Restored("bed1", 1, ((0, 99),)), 0.0)
    lanes: list[Lane] = []
    for second in range(400):
        lanes += [action.lane for action in of(Renew, run_for(window, float(second), 0.8))]
        window.push(Heard(), second + 0.9)
    assert set(lanes) == {Lane.FILL}
    assert 3 <= len(lanes) <= 8, "ever more rarely"
    assert window.stalled_s(400.0) > STALL_S


def test_a_hub_that_says_nothing_at_all_costs_the_live_line_once_in_a_while():
    window = up()
    window.push(Restored("bed1", 1, ((0, 99),)), 0.0)
    done = run_for(window, 0.0, 400.0)
    assert 1 <= sum(action.lane is Lane.LIVE for action in of(Renew, done)) <= 4


def test_live_frames_go_as_batches_while_answers_are_slow_and_one_by_one_again():
    batch = LiveBatch()
    batch.judge(0.1, 0.0)
    assert batch.span_s == 1.0
    batch.judge(2.0, 1.0)
    assert batch.span_s == 2.0
    batch.judge(5.0, 2.0)
    assert batch.span_s == 5.0
    batch.judge(0.1, 20.0)
    assert batch.span_s == 5.0, "not at the first good answer"
    batch.judge(0.1, 33.0)
    assert batch.span_s == 2.0
    batch.judge(0.1, 64.0)
    assert batch.span_s == 1.0


def test_a_batch_waits_no_longer_than_its_span():
    window = up()
    window.batch.span_s, window.batch._slow_s = 2.0, 0.0
    sent: list[tuple[float, int]] = []
    for step in range(50):
        now_s = 0.2 * step
        actions = window.push(Tick(), now_s)
        if step % 5 == 0:
            actions += window.push(stored(step // 5), now_s)
        for action in of(SendLive, actions):
            sent.append((now_s, action.seq))
            window.push(Answered(action.token), now_s)
    assert len({at_s for at_s, _ in sent}) <= 6
    assert all(at_s - seq <= 2.2 for at_s, seq in sent)


def test_a_jammed_line_is_given_up_for_stale_frames_not_filled_with_them():
    window = up()
    for seq in range(8):
        window.push(stored(seq), float(seq))
    held = [action.seq for action in of(SendLive, window.push(stored(8), 8.0))]
    assert held == [], "the broker owes an answer"
    window.push(Tick(), 8.0 + FRESH_S + 5.1)
    assert window.counts.not_live >= 1


def test_fill_messages_shrink_on_a_slow_line_and_give_way_to_live_ones():
    pace = FillPace()
    for _ in range(10):
        pace.answer(5.0)
    assert pace.max_flights == 1
    pace.credit(5000.0, 600.0, 0.0)
    pace.message_frames(0.0)
    assert pace.message_frames(5.0) == LEAST_MESSAGE
    before = pace.rate(5.0)
    for second in range(5):
        pace.yield_to_live(3.0, 0.1, 0.0, 10.0 + second)
    assert pace.rate(15.0) < before / 10
    for second in range(30):
        pace.yield_to_live(0.1, 0.1, 0.0, 20.0 + second)
    assert pace.rate(60.0) == before


def test_a_line_that_is_always_slow_is_not_taken_for_a_jammed_one():
    pace = FillPace()
    for second in range(30):
        pace.yield_to_live(3.0, 2.8, 0.0, float(second))
    assert pace.rate(30.0) == OWN_RATE


def test_frames_on_a_lane_that_broke_are_due_at_once():
    window = up()
    window.push(Restored("bed1", 1, ((0, 9),)), 0.0)
    sent: list[Any] = []
    now_s = 0.0
    while not sent:
        now_s += 0.2
        sent = of(SendFill, window.push(Tick(), now_s))
    window.push(LineDown(Lane.FILL), now_s)
    window.push(LineUp(Lane.FILL), now_s)
    assert seqs(run_for(window, now_s, 2.0)) == list(range(10))


ranges = st.lists(st.tuples(st.integers(0, 80), st.integers(0, 12)), max_size=8).map(
    lambda found: tuple((a, a + n) for a, n in found)
)


@given(st.integers(-1, 60), ranges, st.none() | st.integers(-1, 100))
def test_an_ack_is_read_by_the_rule_of_the_protocol(
    contiguous: int, missing: tuple[Run, ...], highest: int | None
):
    ack = Ack(epoch=1, contiguous=contiguous, missing=missing, highest=highest)
    top = highest if highest is not None else max([contiguous, *(b for _, b in missing)])
    expected = {
        seq
        for seq in range(120)
        if seq <= contiguous or (seq <= top and not any(a <= seq <= b for a, b in missing))
    }
    assert {seq for a, b in stored_runs(ack) for seq in range(a, b + 1)} == expected


@given(ranges, st.lists(st.tuples(st.integers(0, 80), st.integers(0, 9), st.floats(0, 20)), max_size=10))
def test_no_frame_is_due_while_it_is_under_way_and_none_is_given_twice(
    unacked: tuple[Run, ...], marks: list[tuple[int, int, float]]
):
    stream = Stream("bed1", 1)
    stream.unacked = Runs(unacked)
    under_way: dict[int, float] = {}
    for first, length, patience_s in marks:
        stream.mark(first, first + length, Lane.FILL, 0.0, patience_s)
        tries = stream._sent[[e.first for e in stream._sent].index(first)].tries
        for seq in range(first, first + length + 1):
            under_way[seq] = min(patience_s * 2 ** (tries - 1), max(300.0, patience_s))
    stream.tidy(10.0)
    due = [seq for a, b in stream.take_due(1000, 10.0) for seq in range(a, b + 1)]
    numbers = {seq for a, b in stream.unacked for seq in range(a, b + 1)}
    assert due == sorted(seq for seq in numbers if under_way.get(seq, 0.0) <= 10.0)
    limited = [seq for a, b in stream.take_due(5, 10.0) for seq in range(a, b + 1)]
    assert limited == due[-5:], "the newest first"
