"""A set of runs is a set."""

from hypothesis import given
from hypothesis import strategies as st

from site_agent.runs import Runs

steps = st.lists(st.tuples(st.booleans(), st.integers(0, 60), st.integers(0, 15)), max_size=40)


@given(steps)
def test_runs_hold_what_a_set_of_numbers_would(changes: list[tuple[bool, int, int]]):
    runs: Runs = Runs()
    numbers: set[int] = set()
    for is_added, first, length in changes:
        span = set(range(first, first + length))
        if is_added:
            runs.add(first, first + length - 1)
            numbers |= span
        else:
            removed = runs.remove(first, first + length - 1)
            assert {n for a, b in removed for n in range(a, b + 1)} == numbers & span
            numbers -= span
        assert {n for a, b in runs for n in range(a, b + 1)} == numbers
        assert runs.count == len(numbers)
        assert runs.lowest == min(numbers, default=None)
        assert bool(runs) == bool(numbers)
    edges = [edge for run in runs for edge in run]
    assert edges == sorted(edges)
    assert all(b + 1 < a for (_, b), (a, _) in zip(runs, list(runs)[1:], strict=False)), (
        "neighbours are joined"
    )
    for probe in range(80):
        assert (probe in runs) == (probe in numbers)


@given(steps, st.integers(0, 70), st.integers(0, 20))
def test_overlapping_gives_the_whole_runs_that_share_a_number(
    changes: list[tuple[bool, int, int]], first: int, length: int
):
    runs = Runs([(a, a + n) for _, a, n in changes])
    last = first + length
    assert runs.overlapping(first, last) == [(a, b) for a, b in runs if a <= last and b >= first]
    assert list(reversed(runs)) == list(runs)[::-1]
