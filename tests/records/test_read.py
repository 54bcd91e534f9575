from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hub.errors import RecordError
from hub.records import FORMS, read_record


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", b"", r"a\.txt: expected one of \.hea.*got \.txt"),
        ("a.npz", b"no archive", "expected .*npz"),
        ("a.csv", b"fhr,toco\n140,1\n", "expected a column time_s or fs"),
        ("a.csv", b"time_s,fhr\n0,140\n1,x\n", "expected a number for a sample, got 'x'"),
        ("a.csv", b"time_s,fhr\n0,140\n1\n", "expected 2 values in row 3, got 1"),
        ("a.csv", b"time_s,fhr\n0,140\n1,141\n1,142\n", "equal steps"),
        ("a.csv", b"time_s,toco\n0,1\n1,1\n", "expected fhr"),
        ("a.csv", b"", "expected a line of column names"),
        ("a.csv", b"\xff\xfe\x00", "expected text"),
        ("a.hea", b"a 1 4\na.dat 310 100 12 0 0 0 0 FHR\n", "format 16 or 212"),
        ("a.hea", b"a 2 4\na.dat 16 100 12 0 0 0 0 FHR\n", "expected 2 signal lines, got 1"),
        ("a.hea", b"", "expected 'record n_signals"),
        ("a.hea", b"a 1 4 9\na.dat 16 100 12 0 0 0 0 FHR\n", "expected 9 samples a signal, got 2"),
    ],
)
def test_what_cannot_be_read_says_file_expected_and_came(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    (tmp_path / "a.dat").write_bytes(b"\x00" * 4)
    with pytest.raises(RecordError, match=message):
        read_record(tmp_path / name)


def test_a_missing_file_is_a_record_error(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"none\.npz"):
        read_record(tmp_path / "none.npz")


def said_of(path: Path) -> str:
    """The name of the record, or the refusal; any other exception fails the test."""
    try:
        return read_record(path).name
    except RecordError as error:
        return str(error)


@pytest.mark.parametrize("ending", FORMS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.binary(max_size=600),
    header=st.sampled_from([b"", b"a 1 4\n", b"0       ", b"PK\x03\x04", b"fhr,fs\n"]),
)
def test_any_bytes_are_a_record_or_a_record_error(tmp_path: Path, ending: str, content: bytes, header: bytes):
    path = tmp_path / f"a{ending}"
    path.write_bytes(header + content)
    assert str(path.stem) in said_of(path)
