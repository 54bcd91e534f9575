import json
from pathlib import Path

import numpy as np
import pytest

from hub.errors import RecordError
from hub.records import read_record


def test_npz_is_read_in_bpm_and_in_steps_of_the_wire(tmp_path: Path) -> None:
    np.savez(tmp_path / "f.npz", fhr=np.array([140.25, np.nan]), toco=np.array([8.5, 9.0]), fs=4.0)
    np.savez(
        tmp_path / "i.npz",
        fhr=np.array([561, 0], np.uint16),
        toco=np.array([17, 18], np.uint8),
        fs=4.0,
        outcome=json.dumps({"pH": 7.1}),
    )
    floats, words = read_record(tmp_path / "f.npz"), read_record(tmp_path / "i.npz")
    np.testing.assert_array_equal(floats.fhr, words.fhr)
    np.testing.assert_array_equal(np.asarray(floats.toco), np.asarray(words.toco))
    assert words.outcome == {"pH": 7.1}


def test_pressure_from_a_catheter_is_kept_apart_from_toco(tmp_path: Path):
    np.savez(tmp_path / "p.npz", fhr=np.array([140.0, 141.0]), iup=np.array([12.0, 60.5]), fs=4.0)
    record = read_record(tmp_path / "p.npz")
    assert record.toco is None
    np.testing.assert_array_equal(np.asarray(record.iup), [12.0, 60.5])


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"fhr": np.array(["a"]), "fs": 4.0}, "expected numbers in fhr"),
        ({"fhr": np.array([140.0]), "fs": np.array([4.0, 4.0])}, "expected one number in fs"),
        ({"fhr": np.array([140.0]), "fs": np.nan}, "expected fs above 0"),
        ({"fhr": np.array([140.0]), "fs": 4.0, "outcome": "[1]"}, "outcome as an object"),
        ({"fhr": np.array([140.0]), "fs": 4.0, "outcome": "{"}, "outcome as JSON"),
        ({"fhr": np.array([[140.0]]), "fs": 4.0}, "channels of one length"),
    ],
)
def test_arrays_of_another_kind_are_refused(tmp_path: Path, arrays: dict[str, object], message: str):
    np.savez(tmp_path / "a.npz", allow_pickle=False, **{k: np.asarray(value) for k, value in arrays.items()})
    with pytest.raises(RecordError, match=message):
        read_record(tmp_path / "a.npz")


def test_a_lone_array_is_no_archive(tmp_path: Path):
    with (tmp_path / "a.npz").open("wb") as file:
        np.save(file, np.array([140.0]))
    with pytest.raises(RecordError, match="npz archive"):
        read_record(tmp_path / "a.npz")
