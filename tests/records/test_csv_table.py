from pathlib import Path

import numpy as np
import pytest

from hub.records import read_record


@pytest.mark.parametrize(
    ("head", "rows", "fs"),
    [
        ("time_s,fhr,toco", ["0,140,10", "0.5,,11", "1.0,142,12"], 2.0),
        ("fs,FHR1,UC", ["4,140,10", "4,0,11", "4,142,12"], 4.0),
        ("# fs=1\nfhr1,fhr2,mhr,toco", ["140,150,80,10", ",151,81,11", "142,152,82,12"], 1.0),
    ],
)
def test_csv_columns_are_found_by_name(tmp_path: Path, head: str, rows: list[str], fs: float) -> None:
    path = tmp_path / "a.csv"
    path.write_text("\n".join([head, *rows]) + "\n")
    record = read_record(path)
    assert record.fs == fs
    np.testing.assert_array_equal(record.fhr[0], [140, np.nan, 142])
    np.testing.assert_array_equal(record.toco, [10, 11, 12])
    assert (record.mhr is not None) == (record.fhr.shape[0] == 2)
