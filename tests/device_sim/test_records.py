import json
import warnings
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from device_sim.records import Record, list_shipped, read_record, read_shipped
from device_sim.replay import SEAM_S, Replay
from hub.errors import RecordError

# Of pandas inside the reference package; none of ours.
WFDB_WARNS = pytest.mark.filterwarnings("ignore::Warning")


@pytest.fixture(scope="module")
def wfdb() -> ModuleType:
    """The reference package, where the developer has it; the byte vectors below need nothing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # those of pandas, at import
        module: ModuleType = pytest.importorskip("wfdb")
        return module


def write_wfdb(wfdb: ModuleType, folder: Path, fmt: str, gain: float) -> Path:
    """A short record written by the reference package, with blanks and the outcome comments."""
    rng = np.random.default_rng(5)
    fhr = np.round(140 + 5 * rng.standard_normal(401), 1)
    fhr[50:70] = 0.0
    uc = np.round(20 + 3 * rng.standard_normal(401), 1)
    wfdb.wrsamp(
        "rec",
        fs=4,
        units=["bpm", "nd"],
        sig_name=["FHR", "UC"],
        p_signal=np.stack([fhr, uc], axis=1),
        fmt=[fmt, fmt],
        adc_gain=[gain, gain],
        baseline=[0, 0],
        comments=["----- Additional parameters", "pH           7.14", "Gest. weeks  39", "NICU  NaN"],
        write_dir=str(folder),
    )
    return folder / "rec.hea"


@WFDB_WARNS
@pytest.mark.parametrize(("fmt", "gain"), [("16", 100.0), ("212", 10.0)])
def test_wfdb_is_read_as_the_reference_package_reads_it(
    wfdb: ModuleType, tmp_path: Path, fmt: str, gain: float
) -> None:
    header = write_wfdb(wfdb, tmp_path, fmt, gain)
    record = read_record(header)
    reference = wfdb.rdrecord(str(tmp_path / "rec"))
    expected = np.where(reference.p_signal[:, 0] > 0, reference.p_signal[:, 0], np.nan)
    np.testing.assert_allclose(record.fhr[0], expected)
    assert record.toco is not None
    np.testing.assert_allclose(record.toco, reference.p_signal[:, 1])
    assert record.fs == reference.fs == 4
    assert np.isnan(record.fhr[0]).sum() == 20


@WFDB_WARNS
def test_the_outcome_stands_in_the_comments_of_a_wfdb_header(wfdb: ModuleType, tmp_path: Path) -> None:
    header = write_wfdb(wfdb, tmp_path, "16", 100.0)
    header.write_text(header.read_text().replace("# ", "#"))  # CTU-UHB writes no space
    assert read_record(header).outcome == {"pH": 7.14, "Gest. weeks": 39.0, "NICU": None}


def test_a_header_of_the_database_is_understood(tmp_path: Path) -> None:
    words = np.array([[15050, 700], [0, 378], [14925, -32768]], "<i2")
    (tmp_path / "1001.dat").write_bytes(words.tobytes())
    (tmp_path / "1001.hea").write_text(
        "1001 2 4 3 \n1001.dat 16 100(0)/bpm 12 0 15050 20101 0 FHR\n1001.dat 16 100/nd 12 0 700 378 0 UC\n"
        "#----- Additional parameters for record 1001\n#-- Labor information\n#Pos. II.st.  2\n"
    )
    record = read_record(tmp_path / "1001.dat")
    np.testing.assert_allclose(record.fhr, [[150.5, np.nan, 149.25]])
    assert record.toco is not None
    np.testing.assert_allclose(record.toco, [7.0, 3.78, np.nan])
    assert record.stage2_start == 2
    assert record.name == "1001"


def test_format_212_packs_two_samples_of_twelve_bits_into_three_bytes(tmp_path: Path) -> None:
    # 1405 = 57D, 20 = 014; -1 = FFF, -2048 = 800 (the format's invalid value)
    (tmp_path / "a.dat").write_bytes(bytes.fromhex("7d0514 ff8f00"))
    (tmp_path / "a.hea").write_text("a 2 4 2\na.dat 212 10 12 0 0 0 0 FHR\na.dat 212 1 12 0 0 0 0 UC\n")
    record = read_record(tmp_path / "a.hea")
    np.testing.assert_array_equal(record.fhr, [[140.5, np.nan]])
    np.testing.assert_array_equal(np.asarray(record.toco), [20.0, np.nan])


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


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", b"", r"a\.txt: expected \.hea.*got \.txt"),
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
