import struct
from pathlib import Path

import numpy as np
import pytest

from hub.errors import RecordError
from hub.records import read_record

START = struct.pack("<I", 1_500_000_000)


def test_fhr_is_two_rates_in_quarter_bpm_and_toco_in_halves(tmp_path: Path):
    path = tmp_path / "train01.fhr"
    path.write_bytes(START + struct.pack("<HHBBHHBB", 561, 0, 24, 1, 0, 0, 25, 0))
    record = read_record(path)
    assert (record.fs, record.name) == (4.0, "train01")
    np.testing.assert_array_equal(record.fhr, [[140.25, np.nan]])
    np.testing.assert_array_equal(np.asarray(record.toco), [12.0, 12.5])
    assert record.mhr is None


def test_fhrm_has_the_maternal_rate_before_toco(tmp_path: Path):
    path = tmp_path / "a.fhrm"
    path.write_bytes(START + struct.pack("<HHHBBHHHBB", 560, 0, 320, 20, 16, 0, 600, 0, 21, 0))
    record = read_record(path)
    np.testing.assert_array_equal(record.fhr, [[140.0, np.nan], [np.nan, 150.0]])
    np.testing.assert_array_equal(np.asarray(record.mhr), [80.0, np.nan])
    np.testing.assert_array_equal(np.asarray(record.toco), [10.0, 10.5])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.fhr", b"", "4 bytes and then 6 for each sample, got 0 bytes"),
        ("a.fhr", START, "got 4 bytes"),
        ("a.fhr", START + START + bytes(12), "got 20 bytes"),
        ("a.fhrm", START + bytes(12), "4 bytes and then 8 for each sample, got 16 bytes"),
        ("a.fhr", START + struct.pack("<HHBB", 1201, 0, 0, 0), r"at most 300 bpm, got 300\.25 bpm"),
    ],
)
def test_another_layout_is_refused_not_guessed(tmp_path: Path, name: str, content: bytes, message: str):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(RecordError, match=message):
        read_record(tmp_path / name)


def test_a_file_with_an_analysis_in_it_is_refused(tmp_path: Path):
    sample = struct.pack("<HHHBBHH", 560, 0, 320, 20, 81, 560, 558)
    (tmp_path / "a.fhrm").write_bytes(START + 4 * sample)
    with pytest.raises(RecordError, match="at most 300 bpm"):
        read_record(tmp_path / "a.fhrm")
