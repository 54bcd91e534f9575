import importlib
from pathlib import Path
from types import ModuleType

import numpy as np
import numpy.typing as npt
import pytest

from hub.errors import RecordError
from hub.records import read_record

FHR = ("FHR1", "0", "300", "0", "1200", 4)
TOCO = ("UC", "0", "127.5", "0", "255", 4)
REMARKS = ("EDF Annotations", "-1", "1", "-32768", "32767", 16)
Signal = tuple[str, str, str, str, str, int]


def edf(
    signals: list[Signal], blocks: list[list[bytes]], *, kind: str = "EDF+C", n_blocks: str | None = None
) -> bytes:
    """A file as the standard lays it out, from the bytes of each signal in each block."""

    def column(width: int, texts: list[str]) -> str:
        return "".join(text.ljust(width) for text in texts)

    n = len(signals)
    fixed = [
        *(("0", 8), ("X X X X", 80), ("Startdate X X X X", 80), ("01.01.26", 8), ("00.00.00", 8)),
        *((str(256 * (n + 1)), 8), (kind, 44), (n_blocks or str(len(blocks)), 8), ("1", 8), (str(n), 4)),
    ]
    table = [
        *(column(16, [s[0] for s in signals]), column(80, [""] * n), column(8, ["bpm"] * n)),
        *(column(8, [str(s[i]) for s in signals]) for i in (1, 2, 3, 4)),
        *(column(80, [""] * n), column(8, [str(s[5]) for s in signals]), column(32, [""] * n)),
    ]
    head = "".join(column(width, [text]) for text, width in fixed) + "".join(table)
    return head.encode("ascii") + b"".join(part for block in blocks for part in block)


def words(*values: int) -> bytes:
    return np.array(values, "<i2").tobytes()


def remarks(*lists: bytes) -> bytes:
    return b"".join(text + b"\x00" for text in lists).ljust(32, b"\x00")


def test_rates_are_scaled_by_the_bounds_and_zero_is_loss(tmp_path: Path):
    path = tmp_path / "a.edf"
    blocks = [[words(560, 561, 0, 562), words(20, 21, 22, 23)]] * 2
    path.write_bytes(edf([FHR, TOCO], blocks, kind=""))
    record = read_record(path)
    assert record.fs == 4.0
    np.testing.assert_array_equal(record.fhr, [[140.0, 140.25, np.nan, 140.5] * 2])
    np.testing.assert_array_equal(np.asarray(record.toco), [10.0, 10.5, 11.0, 11.5] * 2)


def test_a_remark_of_signal_loss_takes_out_its_channel_only(tmp_path: Path):
    path = tmp_path / "a.edf"
    first = remarks(b"+0\x14\x14", b"+0.5\x150.5\x14signal loss UC\x14")
    blocks = [
        [words(560, 560, 560, 560), words(20, 20, 20, 20), first],
        [words(560, 560, 560, 560), words(20, 20, 20, 20), remarks(b"+1\x14\x14", b"+1\x14labour\x14")],
    ]
    path.write_bytes(edf([FHR, TOCO, REMARKS], blocks))
    record = read_record(path)
    assert np.isfinite(record.fhr).all()
    np.testing.assert_array_equal(np.isnan(np.asarray(record.toco)), [0, 0, 1, 1, 0, 0, 0, 0])


def test_time_between_the_blocks_of_an_interrupted_file_is_loss(tmp_path: Path):
    path = tmp_path / "a.edf"
    blocks = [[words(*[560] * 4), remarks(f"+{t}\x14\x14".encode())] for t in (10, 11, 14)]
    path.write_bytes(edf([FHR, REMARKS], blocks, kind="EDF+D"))
    fhr = read_record(path).fhr[0]
    assert fhr.size == 20
    assert np.flatnonzero(np.isnan(fhr)).tolist() == list(range(8, 16))


def test_an_unknown_number_of_blocks_is_told_from_the_length(tmp_path: Path):
    path = tmp_path / "a.edf"
    path.write_bytes(edf([FHR], [[words(560, 560, 560, 560)]] * 3, kind="", n_blocks="-1"))
    assert read_record(path).duration_s == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the number of signals"),
        (b"1".ljust(252) + b"1   " + b" " * 256, "EDF header of version 0"),
        (
            edf([FHR], [[words(560, 560, 560, 560)]], n_blocks="2", kind=""),
            "expected 2 blocks of 8 bytes, got 1",
        ),
        (edf([TOCO], [[words(1, 1, 1, 1)]], kind=""), "expected fhr, or fhr1 to fhr3, got uc"),
        (
            edf([FHR, (*TOCO[:5], 2)], [[words(560, 560, 560, 560), words(1, 1)]], kind=""),
            "channels at one rate",
        ),
        (edf([FHR], [[words(560, 560, 560, 560)]], kind="EDF+D"), "expected a signal 'EDF Annotations'"),
        (edf([FHR, REMARKS], [[words(*[560] * 4), bytes(32)]]), "the time of block 0"),
        (edf([("FHR", "0", "300", "5", "5", 4)], [[words(560, 560, 560, 560)]]), "two digital bounds"),
        (
            edf([FHR, REMARKS], [[words(*[560] * 4), remarks(b"+5\x14\x14")]] * 2, kind="EDF+D"),
            "one after the other",
        ),
        (
            edf(
                [FHR, REMARKS],
                [[words(*[560] * 4), remarks(t)] for t in (b"+0\x14\x14", b"+99999999\x14\x14")],
                kind="EDF+D",
            ),
            "at most 14 days",
        ),
    ],
)
def test_a_damaged_file_is_refused(tmp_path: Path, content: bytes, message: str):
    (tmp_path / "a.edf").write_bytes(content)
    with pytest.raises(RecordError, match=message):
        read_record(tmp_path / "a.edf")


@pytest.fixture(scope="module")
def pyedflib() -> ModuleType:
    """The reference package."""
    module: ModuleType = importlib.import_module("pyedflib")
    return module


def test_a_file_of_the_reference_package_is_read_as_it_was_written(pyedflib: ModuleType, tmp_path: Path):
    rng = np.random.default_rng(3)
    fhr: npt.NDArray[np.float64] = np.round(rng.uniform(100, 180, 240) * 4) / 4
    toco: npt.NDArray[np.float64] = np.round(rng.uniform(0, 100, 240) * 2) / 2
    fhr[40:60] = 0.0
    bounds = {"dimension": "", "sample_frequency": 4, "physical_min": 0, "digital_min": 0}
    path = tmp_path / "a.edf"
    with pyedflib.EdfWriter(str(path), 2, file_type=pyedflib.FILETYPE_EDFPLUS) as writer:
        writer.setSignalHeaders(
            [
                {"label": "FHR1", "physical_max": 300, "digital_max": 1200, **bounds},
                {"label": "TOCO", "physical_max": 127.5, "digital_max": 255, **bounds},
            ]
        )
        writer.writeSamples([fhr, toco])
        writer.writeAnnotation(20.0, 5.0, "signal loss FHR1")
    record = read_record(path)
    expected = np.where(fhr > 0, fhr, np.nan)
    expected[80:100] = np.nan
    np.testing.assert_allclose(record.fhr[0], expected)
    np.testing.assert_allclose(np.asarray(record.toco), toco)
