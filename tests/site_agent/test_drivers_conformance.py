"""Every driver, and every thing that every driver must hold; how to add one is in `conformance`."""

from collections.abc import Callable

import pytest

from site_agent.drivers.bundle import encode_bundle
from site_agent.drivers.ge115 import encode_message
from site_agent.drivers.registry import DRIVERS, make_driver
from site_agent.drivers.series50 import encode_block
from tests.site_agent.conformance import CHECKS, Case
from tests.site_agent.test_drivers_file_drop import CSV
from tests.site_agent.test_drivers_hl7_mllp import RATE, TOCO, oru
from tests.site_agent.test_drivers_intellivue import NO_UNIT, ONE, created, number, poll_result, seen
from tests.site_agent.test_drivers_intellivue import TOCO as TOCO_CODE
from tests.site_agent.test_drivers_series50 import ONE_FETUS, STUFFED

_BUNDLE = encode_bundle({"a.csv": CSV.replace(b"350", b"149")})

CASES = (
    Case(
        name="series50",
        make=lambda: make_driver("series50"),
        frames=(
            ONE_FETUS,
            STUFFED,
            encode_block(b"MM"),
            encode_block(b"P\x00\x76\x00\x48\x00\x58\xff\xff"),
            encode_block(b"N\x00turned left"),
            ONE_FETUS,
        ),
        spoiled=(ONE_FETUS[:-1] + b"\x00", b"\x10\x02C\x10\x7f", b"\x10\x02" + b"x" * 600, b"\x10\x02\x10"),
        has_checksum=True,
    ),
    Case(
        name="ge115",
        make=lambda: make_driver("ge115"),
        frames=tuple(
            encode_message(*m) for m in (("`", "140"), ("d", ""), ("c", "VE 4 cm"), ("`", "00"), ("`", "141"))
        ),
        spoiled=(b"9`01x0\x03", b"9`0\xff40\x03", b"9`01", b"9z0140\x03", b"9\x600140\x00"),
        has_checksum=False,
    ),
    Case(
        name="hl7-mllp",
        make=lambda: make_driver("hl7-mllp"),
        frames=(oru(RATE, TOCO), oru(RATE, bed="LDR^3", control="M0002")),
        spoiled=(b"\x0bMSH|^~", b"MSH|^~\x1c\r"),
        has_checksum=False,
    ),
    Case(
        name="intellivue",
        make=lambda: make_driver("intellivue"),
        frames=(ONE, created(), poll_result(seen(TOCO_CODE, NO_UNIT, number(30))), ONE),
        spoiled=(
            ONE[:30],
            ONE[:6] + b"\xff\xff" + ONE[8:],
            ONE.replace(b"\x09\x50\x00\x0a", b"\x09\x50\x00\xff"),
        ),
        has_checksum=False,
    ),
    Case(
        name="file-drop",
        make=lambda: make_driver("file-drop"),
        frames=(_BUNDLE, encode_bundle({"bed7/b.csv": CSV.replace(b"350", b"149")})),
        spoiled=(_BUNDLE[:-1] + b"?", _BUNDLE[:40]),
        has_checksum=True,
    ),
)


def test_no_driver_is_left_out() -> None:
    assert {case.name for case in CASES} == set(DRIVERS)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_driver(case: Case, check: Callable[[Case], None]) -> None:
    check(case)
