"""The time of the first sample, in each form that can tell it."""

from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest

from hub.errors import RecordError
from hub.records import read_record

JST = timezone(timedelta(hours=9))
LOCAL = datetime(2026, 11, 20, 10, 0, 0)  # noqa: DTZ001  # as the files tell it


def test_csv_tells_it_in_a_comment_line(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("# fs=4\n# start=2026-11-20T10:00:00+09:00\nfhr\n140\n")
    assert read_record(path).start == datetime(2026, 11, 20, 10, 0, 0, tzinfo=JST)
    path.write_text("# fs=4\nfhr\n140\n")
    assert read_record(path).start is None
    path.write_text("# fs=4\n# start=today\nfhr\n140\n")
    with pytest.raises(RecordError, match="ISO 8601"):
        read_record(path)


def test_npz_tells_it_in_an_array(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, fhr=np.array([140.0]), fs=4, start="2026-11-20T10:00:00Z")
    start = read_record(path).start
    assert start is not None
    assert start.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    ("line", "start"),
    [
        ("a 1 4 1", None),
        ("a 1 4 1 10:00:00", None),
        ("a 1 4 1 10:00:00 20/11/2026", LOCAL),
        ("a 1 4 1 10:00:00.250 20/11/2026", LOCAL + timedelta(milliseconds=250)),
    ],
)
def test_wfdb_tells_it_behind_the_number_of_samples(
    tmp_path: Path, line: str, start: datetime | None
) -> None:
    path = tmp_path / "a.hea"
    path.write_text(f"{line}\na.dat 16 100 16 0 0 0 0 FHR\n")
    path.with_suffix(".dat").write_bytes(b"\xb0\x36")
    assert read_record(path).start == start


@pytest.mark.parametrize(("date", "start"), [("20.11.26", LOCAL), ("01.01.85", None), ("20.11.xx", None)])
def test_edf_tells_it_in_its_header_unless_it_was_made_anonymous(
    tmp_path: Path, date: str, start: datetime | None
) -> None:
    fields = ["FHR".ljust(16), " " * 80, " " * 8, "0".ljust(8), "300".ljust(8), "0".ljust(8), "1200".ljust(8)]
    table = "".join([*fields, " " * 80, "4".ljust(8), " " * 32])
    clock = "10.00.00" if start or date != "01.01.85" else "00.00.00"
    fixed = (
        "0".ljust(8) + " " * 160 + date + clock + "512".ljust(8) + " " * 44 + "1".ljust(8) * 2 + "1".ljust(4)
    )
    path = tmp_path / "a.edf"
    path.write_bytes((fixed + table).encode() + np.array([560] * 4, "<i2").tobytes())
    assert read_record(path).start == start
