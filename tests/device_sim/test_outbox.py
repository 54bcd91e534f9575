from hypothesis import given
from hypothesis import strategies as st

from device_sim.frames import FrameMaker
from device_sim.outbox import Outbox
from device_sim.scenarios import scenario_source
from hub.model import Ack, FrameFlag
from hub.wire import decode_wave

EPOCH = 7
MAKER = FrameMaker("h001", "bed1", EPOCH, scenario_source("reassuring", seed=0))
FRAMES = [MAKER.make(seq, 1_000_000 + 1000 * seq) for seq in range(60)]


def filled(outbox: Outbox, now_s: float, limit: int = 100) -> list[int]:
    return [decode_wave(p, site="h001", bed="bed1").seq for p in outbox.take_due(now_s, limit)]


def outbox_of(n: int, *, unsent: tuple[int, ...] = (), capacity: int = 7200) -> Outbox:
    outbox = Outbox(EPOCH, capacity=capacity)
    for seq in range(n):
        outbox.push(seq, FRAMES[seq], float(seq), was_sent=seq not in unsent)
    return outbox


def test_only_frames_not_sent_live_are_filled_at_once() -> None:
    assert filled(outbox_of(20, unsent=(3, 4, 9)), 20.0) == [3, 4, 9]


def test_a_filled_frame_differs_in_its_backfill_flag_alone() -> None:
    (payload,) = outbox_of(1, unsent=(0,)).take_due(0.0, 10)
    assert FrameFlag.BACKFILL in decode_wave(payload, site="h001", bed="bed1").flags
    assert payload[0:1] + payload[2:] == FRAMES[0][0:1] + FRAMES[0][2:]
    assert payload[1] == FRAMES[0][1] | FrameFlag.BACKFILL


def test_the_newest_gap_is_filled_first_and_in_order() -> None:
    outbox = outbox_of(36, unsent=(*range(10, 15), *range(30, 35)))
    outbox.acknowledge(Ack(epoch=EPOCH, contiguous=9), 36.0)
    assert filled(outbox, 36.0, limit=5) == [30, 31, 32, 33, 34]
    assert filled(outbox, 36.0, limit=5) == [10, 11, 12, 13, 14]
    assert filled(outbox, 36.0, limit=5) == []


def test_a_frame_sent_live_but_never_confirmed_is_filled_after_thirty_seconds() -> None:
    outbox = outbox_of(2)
    assert filled(outbox, 29.0) == []
    assert filled(outbox, 31.0) == [0, 1]


def test_without_an_answer_the_waits_between_two_fills_grow() -> None:
    outbox = outbox_of(1, unsent=(0,))
    sent = [t for t in range(1200) if filled(outbox, float(t))]
    assert sent == [0, 30, 90, 210, 450, 930]


def test_what_the_hub_has_stored_is_dropped() -> None:
    outbox = outbox_of(20)
    assert outbox.acknowledge(Ack(epoch=EPOCH, contiguous=4, missing=((5, 6), (10, 10))), 20.0) == 5 + 3 + 1
    assert filled(outbox, 20.0) == [5, 6, 10]
    assert len(outbox) == 3 + 8


def test_what_lies_above_the_last_gap_is_dropped_up_to_the_highest_stored() -> None:
    outbox = outbox_of(20)
    outbox.acknowledge(Ack(epoch=EPOCH, contiguous=4, missing=((5, 6), (10, 10)), highest=17), 20.0)
    assert len(outbox) == 3 + 2
    outbox.acknowledge(Ack(epoch=EPOCH, contiguous=4, missing=((5, 4294967295),), highest=19), 26.0)
    assert len(outbox) == 3 + 2


def test_what_the_hub_misses_is_due_at_once_unless_under_way() -> None:
    outbox = outbox_of(10)
    ack = Ack(epoch=EPOCH, contiguous=1, missing=((2, 3),))
    outbox.acknowledge(ack, 10.0)
    assert filled(outbox, 10.0) == [2, 3]
    outbox.acknowledge(ack, 12.0)
    assert filled(outbox, 12.0) == []
    outbox.acknowledge(ack, 16.0)
    assert filled(outbox, 16.0) == [2, 3]


def test_an_ack_of_an_older_epoch_drops_nothing() -> None:
    outbox = outbox_of(10)
    assert outbox.acknowledge(Ack(epoch=EPOCH - 1, contiguous=1000), 10.0) == 0
    assert len(outbox) == 10


def test_a_full_outbox_gives_up_the_oldest_and_counts_it() -> None:
    outbox = outbox_of(10, unsent=tuple(range(10)), capacity=6)
    assert outbox.overflowed == 4
    assert filled(outbox, 10.0) == [4, 5, 6, 7, 8, 9]


@given(
    stored=st.sets(st.integers(min_value=0, max_value=39)),
    delivered=st.lists(st.integers(min_value=1, max_value=7), max_size=3),
)
def test_filling_and_acknowledging_leaves_nothing_behind(stored: set[int], delivered: list[int]) -> None:
    """A hub that stores each filled frame and acknowledges truthfully ends with all of them."""
    outbox = outbox_of(40, unsent=tuple(range(40)))
    now_s = 40.0
    for limit in [*delivered, *[40] * 6]:
        stored |= set(filled(outbox, now_s, limit))
        outbox.acknowledge(truthful_ack(stored), now_s)
        now_s += 31.0
    assert stored == set(range(40))
    assert len(outbox) == 0


def truthful_ack(stored: set[int]) -> Ack:
    contiguous = -1
    while contiguous + 1 in stored:
        contiguous += 1
    holes = [s for s in range(contiguous + 1, max(stored, default=-1)) if s not in stored]
    highest = max(stored, default=-1)
    return Ack(epoch=EPOCH, contiguous=contiguous, missing=tuple((s, s) for s in holes), highest=highest)
