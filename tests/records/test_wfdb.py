import importlib
import warnings
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from hub.records import read_record

# Of pandas inside the reference package; none of ours.
WFDB_WARNS = pytest.mark.filterwarnings("ignore::Warning")


@pytest.fixture(scope="module")
def wfdb() -> ModuleType:
    """The reference package."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # those of pandas, at import
        module: ModuleType = importlib.import_module("wfdb")
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
