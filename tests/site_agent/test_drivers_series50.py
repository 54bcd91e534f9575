"""Series 50: the vectors of the protocol's description and the rules of each block."""

import binascii

import numpy as np
import pytest

from hub.model import Channel, EventKind, MonitorStatus, SignalQuality, Transducer
from hub.wire import to_movement, to_quality, to_values
from site_agent.device import DeviceEvent, DeviceIdentity, Reject, TickBlock, TimeBase
from site_agent.drivers.series50 import AUTO_SEND, IDENTIFY, SPEAK_A20, Series50, encode_block

T_MS = 1_795_000_000_000.0
ONE_FETUS = bytes.fromhex(
    "10 02 43 80 00 42 30 42 31 42 34 42 36 00 00 00 00 00 00 00 00 21 48 21 48 21 48 21 48"
    "28 29 2a 2b 20 60 08 00 10 03 0b 6f"
)
STUFFED = bytes.fromhex("10 02 43 80 00" + 24 * "00" + 5 * "10 10" + "00 08 00 10 03 54 9b")


def feed(data: bytes, driver: Series50 | None = None) -> list[object]:
    return list((driver or Series50()).feed(data, T_MS))


def ctg(
    *,
    status: int = 0x8000,
    hr1: tuple[int, ...] = (0x4230,) * 4,
    hr2: tuple[int, ...] = (0,) * 4,
    mhr: tuple[int, ...] = (0,) * 4,
    toco: tuple[int, ...] = (40,) * 4,
    modes: int = 0x2000,
    toco_mode: int = 0x08,
    end: bytes = b"\x00",
) -> bytes:
    words = b"".join(w.to_bytes(2, "big") for w in (status, *hr1, *hr2, *mhr))
    return encode_block(b"C" + words + bytes(toco) + modes.to_bytes(2, "big") + bytes([toco_mode]) + end)


def block(data: bytes) -> TickBlock:
    [found] = feed(data)
    assert isinstance(found, TickBlock)
    return found


def test_the_check_value_of_the_guide_is_that_of_the_crc_used() -> None:
    assert binascii.crc_hqx(b"Check this message!", 0) == 0x9E8F


@pytest.mark.parametrize(
    ("content", "wire"),
    [
        (b"?C", "10 02 3f 43 10 03 d1 ed"),
        (b"?I", "10 02 3f 49 10 03 16 2c"),
        (b"G", "10 02 47 10 03 42 1f"),
        (b"H", "10 02 48 10 03 6e 2e"),
        (b"MM", "10 02 4d 4d 10 03 65 f1"),
    ],
)
def test_requests_stand_on_the_wire_as_in_the_guide(content: bytes, wire: str) -> None:
    assert encode_block(content) == bytes.fromhex(wire)


def test_a_ctg_block_gives_four_ticks_ending_at_the_first_byte() -> None:
    found = block(ONE_FETUS)
    assert (found.t0_ms, found.period_ms, found.n_ticks) == (T_MS - 750, 250, 4)
    assert found.time_base is TimeBase.ARRIVAL
    assert found.status == MonitorStatus.ON
    fhr, mhr, toco = found.channels
    assert (fhr.channel, fhr.transducer) == (Channel.FHR1, Transducer.ULTRASOUND)
    assert (mhr.channel, mhr.transducer) == (Channel.MHR, Transducer.MECG)
    assert (toco.channel, toco.transducer) == (Channel.TOCO, Transducer.EXTERNAL)
    np.testing.assert_array_equal(to_values(fhr), [140, 140.25, 141, 141.5])
    np.testing.assert_array_equal(to_quality(fhr), [SignalQuality.GREEN] * 4)
    np.testing.assert_array_equal(to_values(mhr), [82.0] * 4)
    np.testing.assert_array_equal(to_quality(mhr), [SignalQuality.YELLOW] * 4)
    np.testing.assert_array_equal(to_values(toco), [20, 20.5, 21, 21.5])


def test_doubled_escape_bytes_are_one_value_and_a_blank_trace_is_loss() -> None:
    found = block(STUFFED)
    fhr, toco = found.channels
    assert fhr.is_inop
    assert np.isnan(to_values(fhr)).all()
    np.testing.assert_array_equal(to_values(toco), [8.0] * 4)


def test_a_rate_of_zero_is_never_a_rate() -> None:
    fhr = block(ctg(hr1=(0, 0x4000, 0x4230, 0))).channels[0]
    np.testing.assert_array_equal(to_values(fhr), [np.nan, np.nan, 140, np.nan])


def test_twins_and_the_mother_come_each_with_its_transducer() -> None:
    found = block(ctg(hr2=(0x4240,) * 4, mhr=(0x4148,) * 4, modes=0x2000 | 2 << 9 | 4 << 5))
    assert [(c.channel, c.transducer) for c in found.channels[:3]] == [
        (Channel.FHR1, Transducer.ULTRASOUND),
        (Channel.FHR2, Transducer.DECG),
        (Channel.MHR, Transducer.EXTERNAL),
    ]


@pytest.mark.parametrize(
    ("bit", "flag"),
    [
        (14, MonitorStatus.TICKS_INSERTED),
        (13, MonitorStatus.TICKS_DELETED),
        (9, MonitorStatus.TELEMETRY),
        (8, MonitorStatus.COINCIDENCE),
        (5, MonitorStatus.DECG_LOGIC),
        (1, MonitorStatus.TWIN_OFFSET),
        (0, MonitorStatus.MOVEMENT_PROFILE),
    ],
)
def test_each_status_bit_travels_and_changes_no_value(bit: int, flag: MonitorStatus) -> None:
    found = block(ctg(status=0x8000 | 1 << bit))
    assert found.status == MonitorStatus.ON | flag
    np.testing.assert_array_equal(to_values(found.channels[0]), [140.0] * 4)


def test_a_monitor_that_is_off_is_not_shown_as_on() -> None:
    assert block(ctg(status=0)).status == MonitorStatus.NONE


def test_movement_is_told_with_the_first_fetus_only_and_reserved_values_are_none() -> None:
    found = block(ctg(hr1=(0x4230, 0x4A30, 0x5230, 0x5A30), hr2=(0x4A30,) * 4, modes=0x2200))
    np.testing.assert_array_equal(to_movement(found.channels[0]), [0, 1, 0, 0])
    np.testing.assert_array_equal(to_movement(found.channels[1]), [0] * 4)
    np.testing.assert_array_equal(to_values(found.channels[0]), [140.0] * 4)


def test_a_rate_above_300_is_refused_and_the_others_stay() -> None:
    reject, found = feed(ctg(hr1=(0x4000 | 1201, 0x4000 | 1200, 0xC230, 0x4230)))
    assert isinstance(reject, Reject)
    assert reject.fault == "range"
    assert isinstance(found, TickBlock)
    np.testing.assert_array_equal(to_values(found.channels[0]), [np.nan, 300, np.nan, 140])


def test_intrauterine_pressure_is_another_channel_than_toco() -> None:
    pressure = block(ctg(toco_mode=0x0A, toco=(40, 41, 255, 0))).channels[-1]
    assert (pressure.channel, pressure.transducer) == (Channel.IUP, Transducer.IUP)
    np.testing.assert_array_equal(to_values(pressure), [20, 20.5, np.nan, 0])


def test_fetal_saturation_counts_only_where_the_monitor_says_it_has_it() -> None:
    with_it = block(ctg(status=0x8800, end=b"\x35"))
    assert with_it.channels[-1].channel is Channel.FSPO2
    np.testing.assert_array_equal(to_values(with_it.channels[-1]), [53.0] * 4)
    assert np.isnan(to_values(block(ctg(status=0x8800)).channels[-1])).all()
    assert block(ctg(end=b"\x35")).channels[-1].channel is Channel.TOCO


@pytest.mark.parametrize("end", [b"", b"\x00", b"\x00later"])
def test_a_shorter_or_longer_ctg_block_is_read(end: bytes) -> None:
    assert block(ctg(end=end)).n_ticks == 4


@pytest.mark.parametrize(
    ("wire", "kind", "values", "text"),
    [
        ("10 02 4d 4d 10 03 65 f1", EventKind.MARKER, {}, None),
        ("10 02 53 be 01 54 10 03 c5 1f", EventKind.SPO2, {"spo2_percent": 95.0, "pulse_bpm": 85.0}, None),
        (
            "10 02 50 00 76 00 48 00 58 ff ff 10 03 1e 6b",
            EventKind.NIBP,
            {"systolic_mmhg": 118, "diastolic_mmhg": 72, "mean_mmhg": 88},
            None,
        ),
        (encode_block(b"T\x78").hex(), EventKind.TEMPERATURE, {"temperature_c": 37.0}, None),
        (encode_block(b"N\x00turned left").hex(), EventKind.NOTE, {}, "turned left"),
        (encode_block(b"F502").hex(), EventKind.FAILURE, {}, "device failure 502"),
    ],
)
def test_each_event_block_is_told(
    wire: str, kind: EventKind, values: dict[str, float], text: str | None
) -> None:
    assert feed(bytes.fromhex(wire)) == [DeviceEvent(kind, T_MS, text, values)]


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"X12", "type"),
        (b"MX", "type"),
        (b"G", "echo"),
        (b"?C", "echo"),
        (b"C123", "length"),
        (b"P1", "length"),
        (b"I", "length"),
        (b"S\xff\x00\x00", "range"),
        (b"", "type"),
    ],
)
def test_a_whole_block_that_is_not_understood_is_refused_by_name(content: bytes, fault: str) -> None:
    [reject] = feed(encode_block(content))
    assert isinstance(reject, Reject)
    assert (reject.fault, reject.n_bytes) == (fault, len(encode_block(content)))


def test_a_block_that_starts_inside_another_is_the_one_that_counts() -> None:
    reject, found = feed(ONE_FETUS[:20] + ONE_FETUS)
    assert reject == Reject("aborted", "expected the end of a block, got the start of the next", 20)
    assert isinstance(found, TickBlock)


def test_a_block_too_long_is_refused_and_the_next_one_read() -> None:
    found = feed(b"\x10\x02C" + bytes(600) + ONE_FETUS)
    assert [item.fault for item in found if isinstance(item, Reject)] == ["overflow", "noise"]
    assert isinstance(found[-1], TickBlock)


def test_filler_for_the_crc_drops_the_block() -> None:
    [reject] = feed(ONE_FETUS[:-2] + b"\xff\xff")
    assert isinstance(reject, Reject)
    assert (reject.fault, reject.n_bytes) == ("crc", len(ONE_FETUS))


def identity(revision: bytes = b"A30") -> bytes:
    return encode_block(b"IM1350A" + revision + b"A.01.05" + b"3512G00123")


def test_the_monitor_is_asked_once_to_send_by_itself() -> None:
    driver = Series50()
    assert driver.due(T_MS) == AUTO_SEND
    assert driver.due(T_MS + 250) == b""


def test_who_it_is_is_asked_when_it_speaks_and_not_for_ever() -> None:
    driver = Series50()
    driver.due(T_MS)
    asked = []
    for second in range(60):
        driver.feed(ONE_FETUS, T_MS + 1000 * second)
        asked.append(driver.due(T_MS + 1000 * second))
    assert asked[0] == IDENTIFY
    assert asked.count(IDENTIFY) == 3
    assert AUTO_SEND not in asked


def test_an_answer_to_who_it_is_starts_nothing_but_a_power_on_does() -> None:
    driver = Series50()
    driver.due(T_MS)
    driver.feed(ONE_FETUS, T_MS)
    assert driver.due(T_MS) == IDENTIFY
    [who] = driver.feed(identity(), T_MS + 500)
    assert who == DeviceIdentity("M1350A", "3512G00123", "A.01.05 (protocol A30)")
    assert driver.due(T_MS + 750) == b""
    driver.feed(identity(), T_MS + 9000)
    assert driver.due(T_MS + 9000).endswith(AUTO_SEND)


def test_a_failure_is_followed_by_asking_again() -> None:
    driver = Series50()
    driver.due(T_MS)
    driver.feed(encode_block(b"F502"), T_MS + 100)
    assert driver.due(T_MS + 250) == AUTO_SEND


def test_after_silence_it_is_asked_again_and_after_more_also_who_it_is() -> None:
    driver = Series50()
    said = [(ms, driver.due(T_MS + ms)) for ms in range(0, 10_250, 250)]
    assert [ms for ms, out in said if out.endswith(AUTO_SEND)] == [0, 2500, 5000, 7500, 10_000]
    assert [ms for ms, out in said if out.startswith(IDENTIFY)] == [5000, 10_000]


def test_a_clock_set_back_does_not_silence_the_asking() -> None:
    driver = Series50()
    driver.due(T_MS)
    driver.due(T_MS - 3600e3)
    assert driver.due(T_MS - 3600e3 + 2500) == AUTO_SEND


def test_fetal_saturation_is_asked_for_only_where_told_and_known() -> None:
    for wanted, revision, says in ((True, b"A30", True), (True, b"A10", False), (False, b"A30", False)):
        driver = Series50(has_fspo2=wanted)
        driver.due(T_MS)
        driver.feed(identity(revision), T_MS)
        assert driver.due(T_MS).startswith(SPEAK_A20) == says
