"""Inputs that once brought a reader down."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from chaos.fuzz_seeds import record_seeds
from hub.errors import RecordError
from hub.records.read import read_record


def test_a_damaged_block_length_does_not_ask_for_the_memory_of_years(tmp_path: Path):
    path = tmp_path / "a.edf"
    whole = record_seeds()[".edf"]
    path.write_bytes(whole[:244] + b"1e-9    " + whole[252:])
    with pytest.raises(RecordError, match="at most"):
        read_record(path)


def test_a_damaged_shape_does_not_end_the_reader(tmp_path: Path):
    path = tmp_path / "a.npz"
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (999999999999999,), }".ljust(117) + b"\n"
    rate = io.BytesIO()
    np.save(rate, np.array(4.0))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("fhr.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
        archive.writestr("fs.npy", rate.getvalue())
    with pytest.raises(RecordError, match="memory"):
        read_record(path)
