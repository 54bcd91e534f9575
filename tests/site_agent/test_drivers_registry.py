"""Drivers by name."""

from collections.abc import Mapping

import pytest

from hub.errors import SettingsError
from site_agent.drivers.registry import DRIVERS, PortKind, find_driver, make_driver


def test_each_driver_is_made_fresh_by_its_name() -> None:
    for name in DRIVERS:
        assert make_driver(name) is not make_driver(name)


def test_a_driver_with_a_serial_line_says_how_it_is_set() -> None:
    for kind in DRIVERS.values():
        assert (kind.line is not None) == (PortKind.SERIAL in kind.ports)
    assert str(DRIVERS["series50"].line) == "1200 8N1"
    assert str(DRIVERS["ge115"].line) == "9600 8N1"


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("series51", {}, "series50"),
        ("series50", {"speed": 1200}, "has_fspo2"),
        ("series50", {"has_fspo2": "yes"}, "bool"),
        ("ge115", {"mode": "chatty"}, "chatty"),
        ("hl7-mllp", {"channels": {"X": "fhr9"}}, "fhr9"),
        ("hl7-mllp", {"utc_offset_min": 100_000}, "hl7-mllp"),
        ("file-drop", {"utc_offset_min": "JST"}, "int"),
        ("intellivue", {"handles": {"a": "fhr1"}}, "handles"),
    ],
)
def test_an_option_that_cannot_work_is_refused_at_once(
    name: str, options: Mapping[str, object], says: str
) -> None:
    with pytest.raises(SettingsError, match=says):
        make_driver(name, options)


def test_a_port_of_another_kind_is_refused() -> None:
    assert find_driver("series50", "serial:/dev/ttyUSB0").name == "series50"
    with pytest.raises(SettingsError, match="folder"):
        find_driver("file-drop", "serial:/dev/ttyUSB0")
