"""An acknowledgement never claims a frame that is not stored, however it is shortened."""

from hypothesis import given
from hypothesis import strategies as st
from psycopg.types.multirange import Int8Multirange
from psycopg.types.range import Int8Range

from hub.model import Ack
from hub.recorder import LAST_SEQ, bounded_ack
from hub.recorder import MAX_MISSING as MAX_NAMED
from hub.store.frames import MAX_MISSING, make_ack
from hub.wire import decode_json, encode_json


def _runs(lengths: list[tuple[int, int]], first: int) -> list[tuple[int, int]]:
    """Inclusive stored ranges, each after a gap: (gap, length) in turn."""
    runs = []
    at = first
    for gap, length in lengths:
        runs.append((at + gap, at + gap + length - 1))
        at += gap + length
    return runs


def _seqs(ranges: list[tuple[int, int]]) -> set[int]:
    return {seq for low, high in ranges for seq in range(low, high + 1)}


def _ack_of(runs: list[tuple[int, int]]) -> Ack:
    """What the store says of an epoch that holds these ranges."""
    edges = [-1, *(edge for run in runs for edge in run)]
    holes = [(edges[k] + 1, edges[k + 1]) for k in range(0, len(edges) - 1, 2) if edges[k] + 1 < edges[k + 1]]
    contiguous = runs[0][1] if runs[0][0] == 0 else -1
    missing = Int8Multirange([Int8Range(low, high) for low, high in holes])
    return make_ack(7, contiguous, missing, runs[-1][1])


def _taken_as_stored(ack: Ack, seqs: range) -> set[int]:
    """The site's rule, word for word from docs/protocol.md, section 5."""
    assert ack.highest is not None
    return {
        seq
        for seq in seqs
        if seq <= ack.contiguous
        or (seq <= ack.highest and not any(low <= seq <= high for low, high in ack.missing))
    }


received = st.lists(st.tuples(st.integers(1, 4), st.integers(1, 3)), min_size=1, max_size=260).flatmap(
    lambda lengths: st.sampled_from([-1, 0, 5]).map(lambda first: _runs(lengths, first))
)


@given(received)
def test_a_site_forgets_only_what_is_stored(runs: list[tuple[int, int]]) -> None:
    stored = _seqs(runs)
    seqs = range(max(stored) + 10)
    ack = _ack_of(runs)
    for sent in (ack, bounded_ack(ack), decode_json(encode_json(ack), Ack)):
        assert _taken_as_stored(sent, seqs) <= stored
        assert len(sent.missing) <= MAX_NAMED
    if len(runs) < MAX_MISSING:
        assert _taken_as_stored(ack, seqs) == stored


@given(received)
def test_cutting_a_longer_list_claims_nothing_more(runs: list[tuple[int, int]]) -> None:
    edges = [-1, *(edge for run in runs for edge in run)]
    holes = [
        (edges[k] + 1, edges[k + 1] - 1) for k in range(0, len(edges) - 1, 2) if edges[k] + 1 < edges[k + 1]
    ]
    contiguous = runs[0][1] if runs[0][0] == 0 else -1
    whole = Ack(epoch=7, contiguous=contiguous, missing=tuple(holes), highest=runs[-1][1])
    cut = bounded_ack(whole)
    seqs = range(runs[-1][1] + 10)
    assert _taken_as_stored(whole, seqs) == _seqs(runs)
    assert _taken_as_stored(cut, seqs) <= _seqs(runs)
    assert (cut.epoch, cut.contiguous, cut.highest) == (whole.epoch, whole.contiguous, whole.highest)
    if len(holes) > MAX_NAMED:
        assert len(cut.missing) == MAX_NAMED
        assert cut.missing[-1][1] == LAST_SEQ
