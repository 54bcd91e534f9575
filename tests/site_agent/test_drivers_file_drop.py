"""Files of a folder: each form onto the bed's clock, or back with the reason."""

import io
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from hub.model import Channel, EventKind, SignalQuality
from hub.wire import to_quality, to_values
from site_agent.device import DeviceEvent, DriverItem, Reject, Reply, TickBlock, TimeBase
from site_agent.drivers.bundle import decode_answer, encode_bundle
from site_agent.drivers.file_drop import FileDrop
from tests.records.test_edf import FHR, REMARKS, edf, remarks, words
from tests.records.test_mfer import mfer

T_MS = 1_795_000_000_000.0
START_MS = datetime(2026, 11, 20, 1, 0, 0, tzinfo=UTC).timestamp() * 1000
CSV = b"# fs=4\n# start=2026-11-20T10:00:00+09:00\nfhr1,fhr2,toco\n140,150,20\n,151,21\n350,152,22\n"
WFDB_HEADER = b"a 1 4 4 10:00:00 20/11/2026\na.dat 16 100 16 0 0 0 0 FHR\n"
WFDB_DATA = np.array([14000, -32768, 14100, 14200], "<i2").tobytes()


def feed(
    files: dict[str, bytes], *, utc_offset_min: int | None = None
) -> tuple[list[DriverItem], tuple[str, str | None]]:
    *items, reply = FileDrop(utc_offset_min=utc_offset_min).feed(encode_bundle(files), T_MS)
    assert isinstance(reply, Reply)
    return items, decode_answer(reply.data)


def npz(**arrays: object) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)  # type: ignore[arg-type]  # of any array
    return file.getvalue()


def test_a_file_lies_at_its_own_time_and_what_no_heart_does_is_loss() -> None:
    items, answer = feed({"a.csv": CSV})
    assert answer == ("a.csv", None)
    reject, block = items
    assert isinstance(reject, Reject)
    assert isinstance(block, TickBlock)
    assert (block.t0_ms, block.period_ms, block.n_ticks) == (START_MS, 250, 3)
    assert (block.time_base, block.source) == (TimeBase.DEVICE, None)
    first, second, toco = block.channels
    np.testing.assert_array_equal(to_values(first), [140, np.nan, np.nan])
    np.testing.assert_array_equal(to_values(second), [150, 151, 152])
    np.testing.assert_array_equal(to_values(toco), [20, 21, 22])
    np.testing.assert_array_equal(to_quality(first), [SignalQuality.UNKNOWN] * 3)


@pytest.mark.parametrize(
    "files",
    [
        {"a.hea": WFDB_HEADER, "a.dat": WFDB_DATA},
        {"a.npz": npz(fhr=np.array([140, np.nan, 141, 142]), fs=4, start="2026-11-20T10:00:00")},
        {"a.mwf": mfer(changes={0x85: bytes.fromhex("07 ea 0b 14 0a 00 00")})},
    ],
    ids=["wfdb", "npz", "mfer"],
)
def test_local_times_take_the_sites_offset(files: dict[str, bytes]) -> None:
    items, answer = feed(files, utc_offset_min=540)
    assert answer[1] is None
    [block] = items
    assert isinstance(block, TickBlock)
    assert block.t0_ms == START_MS
    assert block.channels[0].channel is Channel.FHR1
    assert to_values(block.channels[0])[0] == 140
    _, (_, reason) = feed(files)
    assert reason is not None
    assert "utc_offset_min" in reason


@pytest.mark.parametrize("offset_min", [0, 540])
def test_edf_of_another_writer_is_laid_at_its_start(tmp_path: Path, offset_min: int) -> None:
    pyedflib = pytest.importorskip("pyedflib")
    path = tmp_path / "a.edf"
    with pyedflib.EdfWriter(str(path), 2) as writer:
        for number, (label, high, steps) in enumerate([("FHR1", 300, 1200), ("TOCO", 127.5, 255)]):
            header = {
                "label": label,
                "dimension": "",
                "sample_frequency": 4,
                "transducer": "",
                "prefilter": "",
            }
            bounds = {"physical_min": 0, "physical_max": high, "digital_min": 0, "digital_max": steps}
            writer.setSignalHeader(number, header | bounds)
        writer.setStartdatetime(datetime(2026, 11, 20, 10, 0, 0))  # noqa: DTZ001  # EDF knows no zone
        writer.writeSamples([np.full(8, 140.25), np.full(8, 20.5)])
    items, answer = feed({"a.edf": path.read_bytes()}, utc_offset_min=offset_min)
    assert answer == ("a.edf", None)
    [block] = items
    assert isinstance(block, TickBlock)
    assert block.t0_ms == START_MS + (540 - offset_min) * 60_000
    np.testing.assert_array_equal(to_values(block.channels[0]), [140.25] * 8)
    np.testing.assert_array_equal(to_values(block.channels[1]), [20.5] * 8)


def test_a_subfolder_names_the_bed() -> None:
    items, answer = feed({"bed7/a.csv": CSV})
    assert answer == ("bed7/a.csv", None)
    assert {item.source for item in items if isinstance(item, TickBlock)} == {"bed7"}


def test_a_long_recording_comes_in_pieces_that_join() -> None:
    items, _ = feed({"a.npz": npz(fhr=np.full(1000, 140.0), fs=2, start="2026-11-20T01:00:00Z")})
    blocks = [item for item in items if isinstance(item, TickBlock)]
    assert sum(block.n_ticks for block in blocks) == 1000
    ends = [block.t0_ms + block.n_ticks * block.period_ms for block in blocks]
    assert [block.t0_ms for block in blocks[1:]] == ends[:-1]
    assert {block.period_ms for block in blocks} == {500}


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"a.txt": b"140"}, "a file of .csv"),
        ({"a.csv": b"fs,fhr\n4,140\n"}, "the time of the first sample"),
        ({"a.csv": CSV.replace(b"fs=4", b"fs=3")}, "every 10 to 2550 ms"),
        ({"a.csv": CSV.replace(b"2026", b"1926")}, "from 1970"),
        ({"a.csv": CSV.replace(b"151", b"abc")}, "a number"),
        ({"a.hea": WFDB_HEADER}, "a.hea"),
        ({"a.npz": b"PK" + bytes(40)}, "npz archive"),
        ({"a.npz": npz(fhr=np.zeros(40_000_000), fs=4, start="2026-11-20T01:00:00Z")}, "unpacked"),
        ({"a.edf": b"0" + bytes(300)}, "number of signals"),
        ({"a.mwf": b"@ MFR"}, "tag 40"),
    ],
)
def test_what_cannot_be_used_goes_back_with_its_reason(files: dict[str, bytes], says: str) -> None:
    items, (name, reason) = feed(files)
    assert name == next(iter(files))
    assert reason is not None
    assert says in reason
    assert [type(item) for item in items] == [Reject]


def test_what_is_written_beside_an_edf_trace_becomes_notes_at_their_times() -> None:
    rates = words(*[560] * 4)
    said = remarks(b"+1\x14\x14", b"+1.5\x14\xe4\xbd\x93\xe4\xbd\x8d\x14")
    loss = remarks(b"+0\x14\x14", b"+0\x151\x14signal loss\x14")
    content = edf([FHR, REMARKS], [[rates, loss], [rates, said]])
    items, answer = feed({"LDR2/a.edf": content}, utc_offset_min=540)
    assert answer == ("LDR2/a.edf", None)
    [block] = [item for item in items if isinstance(item, TickBlock)]
    assert [item for item in items if isinstance(item, DeviceEvent)] == [
        DeviceEvent(EventKind.NOTE, block.t0_ms + 1500, text="体位", source="LDR2")
    ]
