"""Every scenario, live through simulator, broker, hub, analysis, database and HTTP, as it states."""

import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from device_sim.scenarios import SCENARIOS, Scenario
from tests.system.conftest import Demo, wait_until

pytestmark = [pytest.mark.system, pytest.mark.timeout(240), pytest.mark.xdist_group("demo")]

SITE = "scenarios"
LEAST_HISTORY_S = 40 * 60
SPEED = 45


def began_s() -> int:
    """Begin of the history: on the grid of segments, so that each run has the same ones."""
    return (time.time_ns() // 1_000_000_000 - LEAST_HISTORY_S) // 600 * 600


@pytest.fixture(scope="module")
def played(demo: Demo) -> Iterator[dict[str, Any]]:
    """Beds of a site that plays one scenario each, 45 times as fast, until it has caught up."""
    beds = [f"--bed={name}=scenario:{name}" for name in SCENARIOS]
    command = [sys.executable, "-m", "device_sim", "site", SITE, *beds, f"--speed={SPEED}"]
    broker = f"--broker=mqtt://127.0.0.1:{demo.mqtt_port}"
    first_s = began_s()
    history = f"--backfill-minutes={(time.time_ns() / 1e9 - first_s) / 60:.3f}"
    process = subprocess.Popen([*command, broker, history], stdout=demo.log, stderr=subprocess.STDOUT)
    try:
        wait_until("every scenario live and caught up", lambda: caught_up(demo), within_s=180)
        yield {bed["bed"]: bed | {"began_s": first_s} for bed in scenario_beds(demo)}
    finally:
        process.terminate()
        process.wait(20)


def scenario_beds(demo: Demo) -> list[dict[str, Any]]:
    return [bed for bed in demo.beds() if bed["site"] == SITE]


def caught_up(demo: Demo) -> bool:
    """Every bed analysed up to half a minute ago."""
    beds = scenario_beds(demo)
    edge_ms = time.time_ns() / 1e6 - 30_000
    return len(beds) == len(SCENARIOS) and all(
        bed["analysis"] and bed["analysis"]["fetuses"][0]["rolling"] and end_ms(bed) > edge_ms for bed in beds
    )


def end_ms(bed: dict[str, Any]) -> float:
    reading = bed["analysis"]["fetuses"][0]
    return float(reading["origin_ms"] + reading["rolling"]["end_s"] * 1000)


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS.keys())
def test_a_scenario_comes_out_live_as_it_states(played: dict[str, Any], scenario: Scenario):
    bed = played[scenario.name]
    expected = scenario.expected
    settled_ms = (bed["began_s"] + expected.warm_up_s) * 1000
    assert bed["vitals"]["is_test"]
    assert len(bed["analysis"]["fetuses"]) == (2 if scenario.is_twin else 1)
    for reading in bed["analysis"]["fetuses"]:
        segments = [
            segment
            for segment in reading["segments"]
            if reading["origin_ms"] + segment["start_s"] * 1000 >= settled_ms
        ]
        assert segments
        assert {segment["level"] for segment in segments} == {expected.level}
        if expected.level is not None:
            cells = {segment["cell"] for segment in segments}
            assert cells == {expected.cell}
            # Between segments the level may be raised at once, and comes down with the next one.
            assert reading["level"] >= expected.level
        else:
            assert reading["level"] is None
