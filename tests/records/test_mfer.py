"""MFER as Japanese systems archive waveforms: tags built by hand after the description of the standard."""

from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from hub.errors import RecordError
from hub.records import read_record

FHR = np.array([560, 561, 0, 562], np.uint16)
UC = np.array([40, 41, 42, 43], np.uint16)
START = bytes.fromhex("07 e9 0b 14 13 00 1e 00 fa 00 00")  # 2025-11-20 19:00:30.250


def tag(number: int, value: bytes) -> bytes:
    length = bytes([len(value)]) if len(value) < 0x80 else b"\x82" + len(value).to_bytes(2, "big")
    return bytes([number]) + length + value


def channel(number: int, *tags: bytes) -> bytes:
    value = b"".join(tags)
    return bytes([0x3F, number, len(value)]) + value


def rate(number: int, label: bytes = b"FHR1") -> bytes:
    # unit /min, 25 * 10^-2 a step, 0 is no value
    return channel(number, tag(0x09, b"\0\0" + label), tag(0x0C, b"\x09\xfe\x19"), tag(0x12, b"\0\0"))


def toco(number: int, label: bytes = b"UC") -> bytes:
    return channel(number, tag(0x09, b"\0\0" + label), tag(0x0C, b"\x07\xff\x05"))


def mfer(
    *, order: str = ">", changes: dict[int, bytes] | None = None, channels: bytes | None = None
) -> bytes:
    tags = {
        0x40: b"MFR CTG".ljust(32),
        0x01: b"\x00" if order == ">" else b"\x01",
        0x08: np.array(26, order + "u2").tobytes(),
        0x85: START,
        0x0B: b"\x01\xfd\xfa",  # 250 * 10^-3 s
        0x04: b"\x04",
        0x05: b"\x02",
        0x06: b"\x01",
        0x0A: b"\x01",
    } | (changes or {})
    wave = np.concatenate([FHR, UC]).astype(order + "u2").tobytes()
    head = b"".join(tag(number, value) for number, value in tags.items())
    return head + (rate(0) + toco(1) if channels is None else channels) + tag(0x1E, wave) + b"\x80\x00"


def write(folder: Path, content: bytes) -> Path:
    path = folder / "a.mwf"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("order", [">", "<"])
def test_channels_are_found_by_label_and_scaled_by_their_steps(tmp_path: Path, order: str) -> None:
    changes = {} if order == ">" else {0x85: bytes.fromhex("e9 07 0b 14 13 00 1e fa 00 00 00")}
    record = read_record(write(tmp_path, mfer(order=order, changes=changes)))
    assert record.fs == 4.0
    np.testing.assert_array_equal(record.fhr, [[140, 140.25, np.nan, 140.5]])
    np.testing.assert_array_equal(np.asarray(record.toco), [20, 20.5, 21, 21.5])
    assert record.start == datetime(2025, 11, 20, 19, 0, 30, 250_000)  # noqa: DTZ001  # as the file tells it


def test_alternating_sequences_are_joined_channel_by_channel(tmp_path: Path) -> None:
    changes = {0x04: b"\x02", 0x06: b"\x02"}
    record = read_record(write(tmp_path, mfer(changes=changes)))
    np.testing.assert_array_equal(record.fhr, [[140, 140.25, 10, 10.25]])
    np.testing.assert_array_equal(np.asarray(record.toco), [0, 281, 21, 21.5])


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"RIFF" + bytes(60), "preamble"),
        (mfer()[:60], "bytes of tag"),
        (mfer()[:-6], "bytes of tag 1e"),
        (mfer(changes={0x08: b"\x00\x01"}), "kind 26"),
        (mfer(changes={0x0A: b"\x00"}), "type 1"),
        (mfer(changes={0x0A: b""}), "type 1"),
        (mfer(changes={0x0B: b"\x00\xfd\xfa"}), "in seconds"),
        (mfer(changes={0x0B: b"\x01\x7f\xfa"}), "exponent"),
        (mfer(changes={0x0E: b"\x01"}), "compression"),
        (mfer(changes={0x04: b"\x05"}), "16 bytes"),
        (mfer(changes={0x05: b"\xff\xff\xff"}), "16 bytes"),
        (mfer(changes={0x85: b"\x07\xe9\x0d\x01\x00\x00\x00"}), "start time"),
        (mfer(channels=rate(0) + rate(1)), "twice"),
        (mfer(channels=rate(0) + toco(1, b"IUP")), "pressure"),
        (mfer(channels=toco(0, b"FHR") + toco(1)), "unit code 9"),
        (mfer(channels=b""), "fhr"),
    ],
)
def test_what_is_damaged_or_coded_otherwise_is_refused_by_name(
    tmp_path: Path, content: bytes, says: str
) -> None:
    path = write(tmp_path, content)
    with pytest.raises(RecordError, match=says):
        read_record(path)


def test_a_second_stretch_is_refused_because_its_time_is_not_told(tmp_path: Path) -> None:
    first = mfer()[:-2]
    with pytest.raises(RecordError, match="one stretch"):
        read_record(write(tmp_path, first + tag(0x85, START) + tag(0x1E, bytes(16))))
