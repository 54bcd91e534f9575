"""IntelliVue Data Export: messages built by hand after the published layouts."""

import struct

import numpy as np
import pytest

from hub.model import Channel, SignalQuality, Transducer
from hub.wire import to_quality, to_values
from site_agent.device import DeviceIdentity, DriverItem, Reject, TickBlock, TimeBase
from site_agent.drivers.intellivue import IntelliVue

T_MS = 1_795_000_000_000.0
FHR, FHR_ECG, TOCO, IUP, QUALITY = 61643, 61647, 61652, 61656, 61645
PER_MINUTE, MMHG, KPA, NO_UNIT = 2720, 3872, 3843, 512
NAN = 0x007FFFFF


def sized(count: int, content: bytes) -> bytes:
    return struct.pack(">HH", count, len(content)) + content


def attribute(code: int, value: bytes) -> bytes:
    return struct.pack(">HH", code, len(value)) + value


def number(value: float, exponent: int = 0) -> int:
    return (exponent & 0xFF) << 24 | (round(value / 10.0**exponent) & 0xFFFFFF)


def seen(code: int, unit: int, bits: int, *, state: int = 0, handle: int = 0x2211) -> bytes:
    return struct.pack(">H", handle) + sized(
        1, attribute(0x0950, struct.pack(">HHHI", code, state, unit, bits))
    )


def remote(kind: int, command: int, body: bytes, invoke: int = 1) -> bytes:
    front = b"\x01\x01" if kind == 5 else b""
    inner = front + struct.pack(">HHH", invoke, command, len(body)) + body
    return b"\xe1\x00\x00\x02" + struct.pack(">HH", kind, len(inner)) + inner


def poll_result(*objects: bytes, kind: int = 2) -> bytes:
    contexts = struct.pack(">H", 0) + sized(len(objects), b"".join(objects))
    result = struct.pack(">HI8xHHH", 1, 12345, 1, 6, 0) + sized(1, contexts)
    return remote(kind, 7, struct.pack(">HHHHH", 0x21, 0, 0, 0x0C16, len(result)) + result)


def created(model: bytes = b"M2705A\x00\x00") -> bytes:
    label = struct.pack(">H", 8) + b"Philips\x00" + struct.pack(">H", len(model)) + model
    event = struct.pack(">HHH", 0x21, 0, 0) + sized(1, attribute(0x0928, label))
    return remote(1, 1, struct.pack(">HHHIHH", 0x21, 0, 0, 77, 0x0D06, len(event)) + event, invoke=9)


ACCEPTED = bytes.fromhex("0e 20 05 08 13 01 00 16 01 02 80 00 14 02 00 02") + bytes(18)
ONE = poll_result(seen(FHR, PER_MINUTE, number(140)), seen(TOCO, NO_UNIT, number(20.5, -1)))


def feed(data: bytes, **handles: str) -> list[DriverItem]:
    return IntelliVue(handles={k[1:]: v for k, v in handles.items()}).feed(data, T_MS)


def blocks(items: list[DriverItem]) -> list[TickBlock]:
    return [item for item in items if isinstance(item, TickBlock)]


@pytest.mark.parametrize("kind", [2, 5])
def test_a_poll_gives_one_tick_of_a_second(kind: int) -> None:
    numerics = (seen(FHR, PER_MINUTE, number(140.25, -2)), seen(TOCO, NO_UNIT, number(20.5, -1)))
    [tick] = blocks(feed(poll_result(*numerics, kind=kind)))
    assert (tick.t0_ms, tick.time_base, tick.period_ms, tick.n_ticks) == (T_MS, TimeBase.ARRIVAL, 1000, 1)
    rate, toco = tick.channels
    assert (rate.channel, rate.transducer) == (Channel.FHR1, Transducer.ULTRASOUND)
    assert (toco.channel, toco.transducer) == (Channel.TOCO, Transducer.EXTERNAL)
    assert (to_values(rate)[0], to_values(toco)[0]) == (140.25, 20.5)
    assert to_quality(rate)[0] == SignalQuality.UNKNOWN


def test_a_compound_value_is_read_as_its_parts() -> None:
    value = struct.pack(">HHHI", FHR_ECG, 0, PER_MINUTE, number(133))
    compound = struct.pack(">H", 5) + sized(1, attribute(0x094B, sized(1, value)))
    [tick] = blocks(feed(poll_result(compound)))
    assert (tick.channels[0].transducer, to_values(tick.channels[0])[0]) == (Transducer.DECG, 133)


@pytest.mark.parametrize(("bits", "state"), [(NAN, 0), (number(140), 0x8000), (number(140), 0x2000)])
def test_what_the_monitor_calls_invalid_is_loss(bits: int, state: int) -> None:
    [tick] = blocks(feed(poll_result(seen(FHR, PER_MINUTE, bits, state=state))))
    assert np.isnan(to_values(tick.channels[0])).all()


def test_a_questionable_rate_keeps_its_value_and_is_not_green() -> None:
    [tick] = blocks(feed(poll_result(seen(FHR, PER_MINUTE, number(140), state=0x4000))))
    assert to_values(tick.channels[0])[0] == 140
    assert to_quality(tick.channels[0])[0] == SignalQuality.YELLOW


@pytest.mark.parametrize("state", [0x0800, 0x0400])
def test_a_demonstration_is_never_a_patient(state: int) -> None:
    items = feed(poll_result(seen(FHR, PER_MINUTE, number(140), state=state)))
    assert np.isnan(to_values(blocks(items)[0].channels[0])).all()
    assert [i.fault for i in items if isinstance(i, Reject)] == ["demo"]


def test_which_of_two_rates_is_which_fetus_is_not_guessed() -> None:
    twins = poll_result(
        seen(FHR, PER_MINUTE, number(140), handle=5),
        seen(FHR, PER_MINUTE, number(150), handle=6),
        seen(TOCO, NO_UNIT, number(20)),
    )
    items = feed(twins)
    assert [i.fault for i in items if isinstance(i, Reject)] == ["fetus", "fetus"]
    assert [c.channel for c in blocks(items)[0].channels] == [Channel.TOCO]
    [tick] = blocks(feed(twins, h5="fhr2", h6="fhr1"))
    assert [(c.channel, to_values(c)[0]) for c in tick.channels[:2]] == [
        (Channel.FHR1, 150),
        (Channel.FHR2, 140),
    ]


def test_a_pressure_in_another_unit_is_refused() -> None:
    for code, unit, is_refused in (
        (IUP, MMHG, False),
        (IUP, KPA, True),
        (TOCO, MMHG, True),
        (FHR, NO_UNIT, True),
    ):
        items = feed(poll_result(seen(code, unit, number(12))))
        assert np.isnan(to_values(blocks(items)[0].channels[0])[0]) == is_refused
        assert any(isinstance(i, Reject) and i.fault == "unit" for i in items) == is_refused


def test_what_is_known_by_name_only_is_said_once_and_left_out() -> None:
    driver = IntelliVue()
    message = poll_result(seen(QUALITY, NO_UNIT, number(90)))
    [reject] = driver.feed(message, T_MS)
    assert isinstance(reject, Reject)
    assert reject.fault == "undocumented"
    assert driver.feed(message, T_MS) == []


def test_from_association_to_polls() -> None:
    driver = IntelliVue()
    request = driver.due(T_MS)
    assert request[:2] == b"\x0d\xec"
    assert len(request) == 2 + 0xEC
    assert driver.due(T_MS + 1000) == b""
    assert driver.feed(ACCEPTED, T_MS + 1100) == []
    assert driver.feed(created(), T_MS + 1200) == [DeviceIdentity("Philips M2705A")]
    confirmation = driver.due(T_MS + 1250)
    assert confirmation == remote(2, 1, struct.pack(">HHHIHH", 0x21, 0, 0, 77, 0x0D06, 0), invoke=9)
    polls = []
    for quarter in range(1, 21):
        polls.append(driver.due(T_MS + 1250 + 250 * quarter))
        driver.feed(ONE, T_MS + 1250 + 250 * quarter)
    asked = [poll for poll in polls if poll]
    assert len(asked) == 5
    assert asked[0] == remote(1, 7, struct.pack(">HHHIHHHHHH", 0x21, 0, 0, 0, 0x0C16, 8, 1, 1, 6, 0))


def test_without_an_answer_it_associates_again() -> None:
    driver = IntelliVue()
    said = [driver.due(T_MS + ms)[:1] for ms in range(0, 15_001, 250)]
    assert said.count(b"\x0d") == 4
    driver.feed(created(), T_MS + 16_000)
    later = [driver.due(T_MS + 16_000 + ms)[:1] for ms in range(0, 20_000, 250)]
    assert later.count(b"\xe1") > 5
    assert b"\x0d" in later[40:]


@pytest.mark.parametrize(
    ("message", "fault"),
    [
        (remote(3, 1, b""), "refused"),
        (remote(2, 7, b"\x00" * 12), "type"),
        (remote(2, 7, b"\x00"), "length"),
        (ONE.replace(b"\x09\x50\x00\x0a", b"\x09\x50\x00\xff"), "length"),
    ],
)
def test_what_is_not_understood_is_refused(message: bytes, fault: str) -> None:
    [reject] = feed(message)
    assert isinstance(reject, Reject)
    assert (reject.fault, reject.n_bytes) == (fault, len(message))


def test_a_table_of_fetuses_is_checked_at_once() -> None:
    for wrong in ({"x": "fhr1"}, {"5": "fhr4"}):
        with pytest.raises(ValueError, match="handles"):
            IntelliVue(handles=wrong)
