"""What is new, late, repeated or missing follows from the seq alone."""

from hypothesis import given
from hypothesis import strategies as st

from hub.acquisition.timeline import MAX_RANGES, Arrival, Timeline


def push_all(seqs: list[int]) -> tuple[Timeline, list[Arrival]]:
    timeline = Timeline(epoch=1)
    return timeline, [timeline.push(seq) for seq in seqs]


def test_frames_in_order_leave_nothing_missing():
    timeline, arrivals = push_all([0, 1, 2])
    assert set(arrivals) == {Arrival.NEXT}
    assert timeline.missing == []
    assert timeline.highest == 2


def test_a_jump_leaves_a_hole_that_a_late_frame_closes():
    timeline, arrivals = push_all([0, 1, 5, 3, 2, 4, 4])
    assert arrivals == [
        Arrival.NEXT,
        Arrival.NEXT,
        Arrival.AHEAD,
        Arrival.LATE,
        Arrival.LATE,
        Arrival.LATE,
        Arrival.REPEATED,
    ]
    assert timeline.missing == []


@given(st.lists(st.integers(0, 60), max_size=120))
def test_each_seq_counts_once_in_whatever_order_it_comes(seqs: list[int]):
    timeline, arrivals = push_all(seqs)
    assert sum(arrival is not Arrival.REPEATED for arrival in arrivals) == len(set(seqs))
    if seqs:
        missing = {seq for low, high in timeline.missing for seq in range(low, high + 1)}
        assert missing == set(range(min(seqs), max(seqs) + 1)) - set(seqs)


def test_a_shredded_stream_stays_bounded():
    timeline, _ = push_all(list(range(0, 4 * MAX_RANGES, 2)))
    assert len(timeline.missing) < MAX_RANGES
    assert timeline.highest == 4 * MAX_RANGES - 2
