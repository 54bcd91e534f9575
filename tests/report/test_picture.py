import re
import struct
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from device_sim.records import read_shipped
from hub.errors import PictureError
from hub.records import Record
from hub.report import picture
from hub.report.picture import BPM_PER_CM, CM_PER_MIN, draw_strip
from hub.report.reading import Reading, read_traces
from hub.report.words import Words


@pytest.fixture(scope="module")
def reading() -> Reading:
    return read_traces(read_shipped("1017"), from_s=1200, to_s=2400)[0]


def png_chunks(path: Path) -> dict[bytes, bytes]:
    content, at, chunks = path.read_bytes(), 8, {}
    while at < len(content):
        (size,) = struct.unpack_from(">I", content, at)
        chunks[content[at + 4 : at + 8]] = content[at + 8 : at + 8 + size]
        at += 12 + size
    return chunks


@pytest.mark.parametrize("dpi", [80, 150])
def test_the_resolution_in_the_file_makes_the_paper_true_to_scale(reading: Reading, tmp_path: Path, dpi: int):
    draw_strip(reading, tmp_path / "a.png", "en", dpi=dpi)
    chunks = png_chunks(tmp_path / "a.png")
    width_px, height_px = struct.unpack(">II", chunks[b"IHDR"][:8])
    per_m, _, is_metre = struct.unpack(">IIB", chunks[b"pHYs"])
    assert is_metre == 1
    assert per_m / 100 * 2.54 == pytest.approx(dpi, abs=0.1)
    sheet = picture._Sheet(range(2), 31.7, 0.0, 1.2)
    assert width_px / per_m * 100 == pytest.approx(sheet.width_cm, abs=0.1)
    assert height_px > width_px / 2


def test_the_axes_have_3_cm_a_minute_and_30_bpm_a_cm(reading: Reading):
    sheet = picture._Sheet(range(2), 31.7, 30.0, 1.2)
    figure = picture._draw_sheet(reading, sheet, Words("en"))
    rates = [axes for axes in figure.axes if axes.get_ylim() == (30.0, 240.0)]
    assert len(rates) == 2
    for axes in rates:
        box, (low_s, high_s) = axes.get_position(), axes.get_xlim()
        assert box.width * sheet.width_cm / ((high_s - low_s) / 60) == pytest.approx(CM_PER_MIN)
        assert 210.0 / (box.height * sheet.height_cm) == pytest.approx(BPM_PER_CM)


def test_gaps_are_not_joined_and_a_lone_value_is_a_dot(reading: Reading):
    fhr = np.full(reading.fhr.size, np.nan)
    fhr[100:200] = 140.0
    fhr[300] = 150.0
    figure = picture._draw_sheet(
        replace(reading, fhr=fhr), picture._Sheet(range(1), 31.7, 16.0, 1.2), Words("en")
    )
    rates = next(axes for axes in figure.axes if axes.get_ylim() == (30.0, 240.0))
    drawn = [np.asarray(line.get_ydata(), float) for line in rates.lines]
    assert any(np.array_equal(y, fhr[: y.size], equal_nan=True) and y.size == 2401 for y in drawn)
    assert any(np.array_equal(y, [150.0]) for y in drawn)


def test_every_sheet_says_that_it_is_a_reading_aid(reading: Reading):
    figure = picture._draw_sheet(reading, picture._Sheet(range(2), 31.7, 30.0, 1.2), Words("ja"))
    said = " ".join(text.get_text() for axes in figure.axes for text in axes.texts)
    assert "判読支援(参考)" in said
    assert "3 cm/分 · 30 bpm/cm" in said
    assert said.count("レベル") == len(reading.analysis.segments)


def test_events_are_lettered(reading: Reading):
    figure = picture._draw_sheet(reading, picture._Sheet(range(2), 31.7, 30.0, 1.2), Words("en"))
    letters = [text.get_text() for axes in figure.axes for text in axes.texts]
    middles = [(d.onset_s + d.end_s) / 2 for d in reading.analysis.decelerations]
    assert sum(bool(re.match(r"[ELVPU]D\b", letter)) for letter in letters) == sum(
        0 <= m < 1200 for m in middles
    )


def test_a_pdf_has_pages_of_a3_with_20_minutes(tmp_path: Path):
    (whole,) = read_traces(read_shipped("1017"), to_s=3000)
    draw_strip(whole, tmp_path / "a.pdf", "ja")
    content = (tmp_path / "a.pdf").read_bytes()
    boxes = re.findall(rb"/MediaBox \[ ?([\d. ]+?) ?\]", content)
    assert len(boxes) == 3
    assert [float(x) / 72 * 2.54 for x in boxes[0].split()] == pytest.approx([0, 0, 42.0, 29.7], abs=0.01)


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_the_same_strip_is_the_same_file(reading: Reading, tmp_path: Path, ending: str):
    paths = [tmp_path / f"{name}.{ending}" for name in "ab"]
    for path in paths:
        draw_strip(reading, path, "en", dpi=60)
    assert zlib.crc32(paths[0].read_bytes()) == zlib.crc32(paths[1].read_bytes())


def test_a_strip_without_anything_is_drawn(tmp_path: Path):
    fhr = np.full((1, 2400), np.nan)
    (lost,) = read_traces(Record(name="lost", fs=4.0, fhr=fhr))
    draw_strip(lost, tmp_path / "a.png", "en", dpi=60)
    assert (tmp_path / "a.png").stat().st_size > 1000


def test_what_is_too_long_for_one_image_is_sent_to_pdf(reading: Reading, tmp_path: Path):
    with pytest.raises(PictureError, match="at most 240 min in one image, got 300"):
        draw_strip(replace(reading, end_s=reading.start_s + 18000), tmp_path / "a.png", "en")


def test_without_a_japanese_font_the_picture_says_what_to_do(
    reading: Reading, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(picture, "_JAPANESE_FONTS", ("No such font",))
    with pytest.raises(PictureError, match="--language en"):
        draw_strip(reading, tmp_path / "a.png", "ja")
    draw_strip(reading, tmp_path / "a.png", "en", dpi=50)


def test_a_folder_that_is_not_there_is_named(reading: Reading, tmp_path: Path):
    with pytest.raises(PictureError, match=r"none/a\.png: expected to write a picture"):
        draw_strip(reading, tmp_path / "none" / "a.png", "en", dpi=50)
