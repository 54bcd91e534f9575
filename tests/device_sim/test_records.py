import numpy as np
import pytest

from device_sim.records import list_shipped, read_shipped
from device_sim.replay import SEAM_S, Replay
from hub.errors import RecordError
from hub.records import Record


def test_twelve_recordings_are_shipped_with_their_outcome() -> None:
    names = list_shipped()
    assert len(names) == 12
    ph = []
    for name in names:
        record = read_shipped(name)
        assert record.name == name
        assert record.fs == 4
        assert 60 * 60 <= record.duration_s <= 90 * 60
        assert 0.4 < np.isfinite(record.fhr).mean() <= 1.0
        assert record.toco is not None
        ph.append(record.outcome["pH"])
    assert min(p for p in ph if p) < 7.0
    assert max(p for p in ph if p) > 7.3


def test_an_unknown_recording_is_named_with_those_there_are() -> None:
    with pytest.raises(RecordError, match=r"1017.*got 9999"):
        read_shipped("9999")


def short_record(n: int = 40, fs: float = 4.0) -> Record:
    return Record(name="r", fs=fs, fhr=np.arange(100.0, 100.0 + n)[None, :], toco=np.arange(float(n)))


def test_the_loop_seam_is_a_gap_and_the_clock_runs_on() -> None:
    fhr = Replay(short_record()).samples(0, 3 * 60).fhr[0]
    one_round = np.concatenate((100.0 + np.arange(40), np.full(int(SEAM_S * 4), np.nan)))
    np.testing.assert_array_equal(fhr, np.tile(one_round, 3))


def test_a_replay_chopped_anywhere_is_the_same() -> None:
    record = read_shipped(list_shipped()[0])
    whole = Replay(record, offset_s=600).samples(0, 5000)
    parts = [Replay(record, offset_s=600).samples(a, a + 125).fhr for a in range(0, 5000, 125)]
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), whole.fhr)
    np.testing.assert_array_equal(whole.fhr[:, :400], record.fhr[:, 2400:2800])


def test_a_slower_recording_is_held_not_interpolated() -> None:
    fhr = Replay(short_record(n=20, fs=1.0)).samples(0, 12).fhr[0]
    np.testing.assert_array_equal(fhr, [100] * 4 + [101] * 4 + [102] * 4)


def test_a_start_before_the_recording_is_refused() -> None:
    with pytest.raises(ValueError, match="offset_s"):
        Replay(short_record(), offset_s=-1.0)
