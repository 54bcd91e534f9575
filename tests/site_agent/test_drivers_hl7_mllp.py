"""HL7 `ORU^R01` over MLLP: arrays in, an answer for each message."""

import numpy as np
import pytest

from hub.model import Channel, EventKind, SignalQuality, Transducer
from hub.wire import to_movement, to_quality, to_values
from site_agent.device import DeviceEvent, DriverItem, Reject, Reply, TickBlock, TimeBase
from site_agent.drivers.hl7_mllp import Hl7Mllp, encode_mllp

T_MS = 1_795_000_000_000.0
START_MS = 1_763_632_800_000.0  # 2025-11-20 10:00:00 UTC


def oru(
    *obx: str,
    kind: str = "ORU^R01^ORU_R01",
    bed: str = "LDR^2^B",
    start: str = "20251120190000+0900",
    end: str = "20251120190001+0900",
    control: str = "M0001",
    charset: str = "",
    processing: str = "P",
) -> bytes:
    lines = [
        f"MSH|^~\\&|CENTRAL|CLINIC|HUB|CENTRE|20251120190001+0900||{kind}|{control}|{processing}|2.5||||||{charset}",
        "PID|1||000001",
        f"PV1|1|I|{bed}",
        f"OBR|1|||CTG|||{start}|{end}",
        *(f"OBX|{i}|{text}" for i, text in enumerate(obx, 1)),
    ]
    return encode_mllp("".join(line + "\r" for line in lines))


RATE = "NA|55283-6^Fetal heart rate^LN||140^141^^0|/min"
TOCO = "NA|toco^^L||20^20.5^21^21.5|"


def feed(data: bytes, driver: Hl7Mllp | None = None) -> list[DriverItem]:
    return (driver or Hl7Mllp()).feed(data, T_MS)


def answer(items: list[DriverItem]) -> str:
    reply = items[-1]
    assert isinstance(reply, Reply)
    assert reply.data[:1] == b"\x0b"
    assert reply.data[-2:] == b"\x1c\r"
    return reply.data[1:-2].decode()


def test_arrays_become_ticks_at_the_time_the_system_gives_and_of_the_bed_it_names() -> None:
    found, _ = feed(oru(RATE, TOCO))
    assert isinstance(found, TickBlock)
    assert (found.t0_ms, found.time_base) == (START_MS, TimeBase.DEVICE)
    assert (found.period_ms, found.n_ticks, found.source) == (250, 4, "LDR^2^B")
    rate, toco = found.channels
    assert (rate.channel, rate.transducer) == (Channel.FHR1, Transducer.UNKNOWN)
    np.testing.assert_array_equal(to_values(rate), [140, 141, np.nan, np.nan])
    np.testing.assert_array_equal(to_quality(rate), [SignalQuality.UNKNOWN] * 4)
    np.testing.assert_array_equal(to_values(toco), [20, 20.5, 21, 21.5])


def test_the_answer_comes_behind_all_that_has_to_be_stored_and_names_the_message() -> None:
    items = feed(oru(RATE, TOCO))
    assert [type(item) for item in items] == [TickBlock, Reply]
    lines = answer(items).split("\r")
    assert lines[0].startswith("MSH|^~\\&|HUB|CENTRE|CENTRAL|CLINIC|")
    assert lines[1] == "MSA|AA|M0001"


def test_beds_of_one_connection_are_told_apart() -> None:
    driver = Hl7Mllp()
    items = feed(oru(RATE) + oru(RATE, bed="LDR^3"), driver)
    assert [i.source for i in items if isinstance(i, TickBlock)] == ["LDR^2^B", "LDR^3"]


def test_a_site_maps_its_own_codes() -> None:
    driver = Hl7Mllp(channels={"MDC_X1": "fhr2", "MDC_X9": "ignore", "INT": "interval_ms"})
    items = feed(
        oru("NA|MDC_X1||150^151", "NA|MDC_X9||1^2", "NM|INT||500", RATE.replace("140^141^^0", "140^141")),
        driver,
    )
    [block] = [i for i in items if isinstance(i, TickBlock)]
    assert [c.channel for c in block.channels] == [Channel.FHR1, Channel.FHR2]
    assert block.period_ms == 500


def test_a_time_in_the_result_goes_before_that_of_the_order() -> None:
    late = RATE + "||||||||20251120190030.250+0900"
    items = feed(oru(late, "NM|interval_ms||250"))
    assert [i.t0_ms for i in items if isinstance(i, TickBlock)] == [START_MS + 30_250]


def test_movements_notes_and_marks_are_told() -> None:
    items = feed(oru(RATE, "NA|fm||0^1^0^0", "TX|note||VE 4\\T\\5 cm", "ST|marker||"))
    [block] = [i for i in items if isinstance(i, TickBlock)]
    np.testing.assert_array_equal(to_movement(block.channels[0]), [0, 1, 0, 0])
    assert [i for i in items if isinstance(i, DeviceEvent)] == [
        DeviceEvent(EventKind.NOTE, START_MS, "VE 4&5 cm", source="LDR^2^B"),
        DeviceEvent(EventKind.MARKER, START_MS, source="LDR^2^B"),
    ]


def test_a_long_array_comes_in_pieces_that_join() -> None:
    values = "^".join(["140"] * 1000)
    items = feed(oru(f"NA|fhr1||{values}", "NM|interval_ms||250"))
    blocks = [i for i in items if isinstance(i, TickBlock)]
    assert sum(b.n_ticks for b in blocks) == 1000
    assert max(b.n_ticks for b in blocks) <= 255
    ends = [b.t0_ms + b.n_ticks * b.period_ms for b in blocks]
    assert [b.t0_ms for b in blocks[1:]] == ends[:-1]


@pytest.mark.parametrize(
    ("message", "code", "fault"),
    [
        (oru(RATE, kind="ADT^A01"), "AR", "type"),
        (oru(RATE, processing="T"), "AR", "processing"),
        (oru(RATE, control=""), "AE", "control"),
        (oru(RATE, bed=""), "AE", "bed"),
        (oru(RATE, charset="KOI8-R"), "AE", "charset"),
        (oru("NA|OTHER||1^2"), "AE", "code"),
        (oru(RATE, RATE), "AE", "channel"),
        (oru("NA|fm||0^1^0^0"), "AE", "channel"),
        (oru(RATE.replace("141", "abc")), "AE", "number"),
        (oru(RATE.replace("141", "nan")), "AE", "number"),
        (oru(RATE.replace("/min", "Hz")), "AE", "unit"),
        (oru(TOCO + "mm[Hg]"), "AE", "unit"),
        (oru(RATE.replace("NA", "ED")), "AE", "kind"),
        (oru(RATE.replace("^^", "~1^")), "AE", "kind"),
        (oru(RATE, start="yesterday"), "AE", "time"),
        (oru(RATE, start="20251320190000+0900"), "AE", "time"),
        (oru(RATE, end="20251120190100.123+0900"), "AE", "interval"),
        (oru(RATE, end="20251120185900+0900"), "AE", "interval"),
        (oru(), "AE", ""),
        (encode_mllp("EVN|A01"), "AE", "header"),
    ],
)
def test_a_message_that_cannot_be_used_in_full_is_refused_with_its_reason(
    message: bytes, code: str, fault: str
) -> None:
    items = feed(message)
    if not fault:  # an order without results is no fault
        assert "MSA|AA|" in answer(items)
        return
    reject, _ = items
    assert isinstance(reject, Reject)
    assert (reject.fault, reject.n_bytes) == (fault, len(message))
    assert f"MSA|{code}|" in answer(items)
    assert "ERR|" in answer(items)


def test_a_time_without_a_zone_needs_the_sites() -> None:
    no_zone = oru(RATE, start="20251120190000", end="20251120190001").replace(
        b"190001+0900||ORU", b"190001||ORU"
    )
    reject = feed(no_zone)[0]
    assert isinstance(reject, Reject)
    assert reject.fault == "zone"
    block = feed(no_zone, Hl7Mllp(utc_offset_min=540))[0]
    assert isinstance(block, TickBlock)
    assert block.t0_ms == START_MS


def test_japanese_text_is_read_in_its_character_set() -> None:
    message = oru(RATE, "TX|note||{}", charset="~ISO IR87").replace(b"{}", "内診".encode("iso2022_jp"))
    notes = [i.text for i in feed(message) if isinstance(i, DeviceEvent)]
    assert notes == ["内診"]


def test_a_message_too_long_is_refused_and_the_next_one_read() -> None:
    items = feed(b"\x0b" + b"x" * (1024 * 1024 + 10) + oru(RATE))
    assert any(isinstance(i, Reject) and i.fault == "overflow" for i in items)
    assert isinstance(items[-2], TickBlock)


def test_a_table_with_an_unknown_channel_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="fhr4"):
        Hl7Mllp(channels={"X": "fhr4"})


def names(*messages: bytes) -> list[bytes | None]:
    driver = Hl7Mllp()
    return [item.message for data in messages for item in feed(data, driver) if isinstance(item, Reply)]


def test_a_message_that_is_sent_again_has_the_same_name_and_any_other_has_another() -> None:
    first = oru(RATE)
    dated_anew = first.replace(b"HUB|CENTRE|20251120190001", b"HUB|CENTRE|20251120190031")
    assert dated_anew != first
    name, *others = names(
        first, first, dated_anew, oru(RATE, control="M0002"), oru(TOCO), oru(RATE, bed="B2")
    )
    assert name is not None
    assert others[:2] == [name, name]
    assert len({name, *others}) == 4
    assert names(oru("NA|nonsense||1")) == [None]  # what was refused may come again
