"""The ring of raw bytes."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from site_agent.port import Received, Turn
from site_agent.raw_log import RawLog, encode_block, list_segments, read_raw

DAY_MS = 86_400_000.0
T_MS = 1_795_000_000_000.0


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("*.raw"))


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("raw")


@settings(max_examples=50, derandomize=True, database=None)
@given(
    data=st.binary(max_size=60),
    t_ms=st.floats(-1e15, 1e15),
    connection=st.integers(0, 2**32 - 1),
    turn=st.sampled_from(list(Turn)),
)
def test_a_block_is_read_back_as_it_was(
    scratch: Path, data: bytes, t_ms: float, connection: int, turn: Turn
) -> None:
    block = Received(data, t_ms, connection, turn)
    path = scratch / "a.raw"
    path.write_bytes(b"RB?" + encode_block(block) * 2)
    assert list(read_raw(path)) == [block, block]


def test_the_ring_never_outgrows_its_size_and_keeps_the_newest(tmp_path: Path) -> None:
    log = RawLog(tmp_path, keep_bytes=100_000)
    for i in range(3000):
        log.append(Received(bytes(100), T_MS + 1000 * i, 1))
        if i % 100 == 0:
            assert size(tmp_path) <= 100_000
    log.close()
    kept = [block.t_ms for block in read_raw(tmp_path)]
    assert kept[-1] == T_MS + 1000 * 2999
    assert len(kept) > 500
    assert kept == sorted(kept)


def test_what_is_older_than_its_days_goes(tmp_path: Path) -> None:
    log = RawLog(tmp_path, keep_days=7)
    for day in range(30):
        log.append(Received(b"x", T_MS + day * DAY_MS, 1))
    log.close()
    kept = [block.t_ms for block in read_raw(tmp_path)]
    assert kept[-1] == T_MS + 29 * DAY_MS
    assert T_MS + 20 * DAY_MS <= kept[0] <= T_MS + 22 * DAY_MS


def test_a_clock_that_jumps_ahead_does_not_wipe_the_evidence(tmp_path: Path) -> None:
    log = RawLog(tmp_path, keep_days=7)
    for hour in range(0, 48, 7):
        log.append(Received(b"x", T_MS + hour * 3600e3, 1))
    log.append(Received(b"y", T_MS + 400 * DAY_MS, 1))
    log.append(Received(b"z", T_MS + 2 * DAY_MS, 1))
    log.close()
    assert len(list(read_raw(tmp_path))) >= 7


@pytest.mark.parametrize("cut_at", [3, 10, 25, 40])
def test_a_segment_cut_by_a_power_failure_is_read_up_to_there_and_on(tmp_path: Path, cut_at: int) -> None:
    blocks = [Received(b"one", 1.0, 1), Received(b"two", 2.0, 1), Received(b"three", 3.0, 1)]
    first, second, third = map(encode_block, blocks)
    path = tmp_path / "0000000000001.raw"
    path.write_bytes(first + second[: min(cut_at, len(second) - 1)] + third)
    assert list(read_raw(path)) == [blocks[0], blocks[2]]


def test_a_disk_that_takes_nothing_costs_the_log_and_not_the_agent(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    log = RawLog(tmp_path / "file")
    for i in range(3):
        log.append(Received(b"x", T_MS + i, 1))
    assert log.n_lost == 3


def test_a_restart_within_the_same_millisecond_keeps_both_segments(tmp_path: Path) -> None:
    for data in (b"one", b"two"):
        log = RawLog(tmp_path)
        log.append(Received(data, T_MS, 1))
        log.close()
    assert [block.data for block in read_raw(tmp_path)] == [b"one", b"two"]
    assert len(list_segments(tmp_path)) == 2
