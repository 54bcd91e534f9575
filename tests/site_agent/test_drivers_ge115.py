"""GE Model 115: messages without a checksum, one tick for each first rate."""

import numpy as np
import pytest

from hub.model import Channel, EventKind, MonitorStatus, SignalQuality, Transducer
from hub.wire import to_movement, to_quality, to_values
from site_agent.device import DeviceEvent, Reject, TickBlock
from site_agent.drivers.ge115 import REQUEST_ALL, Ge115, encode_message

T_MS = 1_795_000_000_000.0


def ticks(*messages: tuple[str, str]) -> list[TickBlock]:
    items = Ge115().feed(b"".join(encode_message(*m) for m in messages), T_MS)
    return [item for item in items if isinstance(item, TickBlock)]


def test_a_message_stands_on_the_wire_as_in_the_manual() -> None:
    assert encode_message("`", "140") == bytes.fromhex("39 60 30 31 34 30 03")


def test_of_two_values_of_uterine_activity_the_second_is_kept() -> None:
    first, second = ticks(("a", "20"), ("a", "21"), ("`", "140"), ("a", "22"), ("a", "23"), ("`", "141"))
    assert [to_values(tick.channels[1])[0] for tick in (first, second)] == [21, 23]
    assert [to_values(tick.channels[0])[0] for tick in (first, second)] == [140, 141]


def test_nothing_is_said_of_quality_or_transducer_because_nothing_is_known() -> None:
    [tick] = ticks(("b", "AB"), ("a", "21"), ("`", "140"))
    assert {c.transducer for c in tick.channels} == {Transducer.UNKNOWN}
    assert to_quality(tick.channels[0])[0] == SignalQuality.UNKNOWN
    [reject] = Ge115().feed(encode_message("b", "AB"), T_MS)
    assert isinstance(reject, Reject)
    assert reject.fault == "mode-table"


def test_a_lifted_pen_is_loss_and_no_value() -> None:
    [tick] = ticks(("a", "128"), ("`", "00"))
    assert np.isnan([to_values(c)[0] for c in tick.channels]).all()


def test_a_second_rate_appears_from_its_first_value_on() -> None:
    blank, there, gone = ticks(
        ("e", "00"), ("`", "140"), ("e", "150"), ("`", "140"), ("e", "00"), ("`", "140")
    )
    assert [len(tick.channels) for tick in (blank, there, gone)] == [2, 3, 3]
    assert to_values(there.channels[1])[0] == 150
    assert np.isnan(to_values(gone.channels[1])[0])
    assert there.channels[1].channel is Channel.FHR2


@pytest.mark.parametrize(("sent", "bit", "has_profile"), [("0", 0, True), ("1", 1, True), ("2", 0, False)])
def test_movement_goes_with_the_first_rate(sent: str, bit: int, has_profile: bool) -> None:
    [tick] = ticks(("f", sent), ("`", "140"))
    assert to_movement(tick.channels[0])[0] == bit
    assert (MonitorStatus.MOVEMENT_PROFILE in tick.status) == has_profile


def test_marks_notes_and_the_end_of_the_paper_are_told_once() -> None:
    sent = [("d", ""), ("c", "VE 4 cm"), ("g", "1"), ("g", "1"), ("g", "0")]
    items = Ge115().feed(b"".join(encode_message(*m) for m in sent), T_MS)
    assert items == [
        DeviceEvent(EventKind.MARKER, T_MS),
        DeviceEvent(EventKind.NOTE, T_MS, text="VE 4 cm"),
        DeviceEvent(EventKind.NOTE, T_MS, text="paper out"),
    ]


@pytest.mark.parametrize(
    ("kind", "text", "fault"),
    [
        ("`", "1", "data"),
        ("`", "1x0", "data"),
        ("f", "7", "data"),
        ("a", "200", "range"),
        ("`", "301", "range"),
    ],
)
def test_what_the_manual_does_not_allow_is_refused(kind: str, text: str, fault: str) -> None:
    rejects = [x for x in Ge115().feed(encode_message(kind, text), T_MS) if isinstance(x, Reject)]
    assert [reject.fault for reject in rejects] == [fault]


def test_a_rate_that_no_heart_has_is_missing() -> None:
    [tick] = ticks(("`", "999"))
    assert np.isnan(to_values(tick.channels[0])[0])


def test_half_a_message_before_a_pause_is_not_joined_to_what_comes_behind_it() -> None:
    driver = Ge115()
    assert driver.feed(b"9`01", T_MS) == []
    items = driver.feed(b"40\x03" + encode_message("`", "150"), T_MS + 5000)
    assert [to_values(i.channels[0])[0] for i in items if isinstance(i, TickBlock)] == [150]
    assert sum(i.n_bytes for i in items if isinstance(i, Reject)) == 7


def test_an_update_line_is_never_written_to() -> None:
    driver = Ge115()
    assert {driver.due(T_MS + ms) for ms in range(0, 20_000, 250)} == {b""}


def test_a_monitor_that_wants_to_be_asked_is_asked_at_the_start_and_in_silence() -> None:
    driver = Ge115(mode="transmit-receive")
    assert driver.due(T_MS) == REQUEST_ALL == b"9`abcdefg\x03"
    driver.feed(encode_message("`", "140"), T_MS + 2000)
    assert driver.due(T_MS + 4000) == b""
    assert driver.due(T_MS + 4500) == REQUEST_ALL
