"""Real agents, broker, hub and database, killed and frozen on bad lines: each frame is at the centre once."""

import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.sync.client import connect

from chaos.kills import run_kills
from chaos.outages import wait_for_live
from chaos.sites import open_sites
from chaos.world import World

pytestmark = [pytest.mark.system, pytest.mark.timeout(300), pytest.mark.xdist_group("chaos")]

KEPT_SEEDS = (2,)
"""Seeds of runs; one that fails is added here."""
DRAINED_S = 20.0
"""The goal is 10 s and is measured by `make chaos`; here another region and its outage run beside."""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that the accounts of broker and database may enter."""
    made = Path(tempfile.mkdtemp(prefix="ctg-chaos-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.mark.parametrize("seed", KEPT_SEEDS)
def test_fifty_kills_lose_nothing_double_nothing_and_drain_soon(folder: Path, seed: int):
    report = run_kills(
        folder, kills=50, seed=seed, sites=2, pause_s=0.4, longest_freeze_s=3.0, longest_rest_s=3.0
    )
    told = "\n".join(report.lines())
    assert report.is_clean, told
    assert (report.lost, report.doubled) == (0, 0), told
    assert report.kills.total() + report.freezes.total() == 50
    assert report.kills.keys() == {"agent", "hub", "broker", "database"}
    assert bool(report.port_faults) != bool(report.no_port_faults), told
    assert report.epochs > 2
    assert sum(one.frames for one in report.differences) > 50
    assert report.drained_s <= DRAINED_S, told


def test_every_console_is_told_within_5_s_that_the_database_takes_nothing_and_when_it_does_again(
    folder: Path,
):
    with World(folder) as world:
        sites = open_sites(world, [1])
        wait_for_live(world, sites)
        with connect(world.url.replace("http", "ws", 1) + "/ws/v1/live") as console:
            console.send(json.dumps({"type": "hello", "beds": None, "history_s": 0}))

            def wait_for(kinds: list[str], within_s: float) -> float:
                begun_s = time.monotonic()
                while time.monotonic() - begun_s < within_s:
                    data = console.recv(timeout=within_s)
                    if isinstance(data, str):
                        message = json.loads(data)
                        console.send(json.dumps({"type": "ack", "seq": message["seq"]}))
                        if [notice["kind"] for notice in message["notices"]] == kinds:
                            return time.monotonic() - begun_s
                pytest.fail(f"no notices {kinds} within {within_s} s")

            wait_for([], 10)
            world.database.freeze()
            told_s = wait_for(["store_away"], 30)
            beds = world.get("/api/v1/beds")["beds"]
            assert beds[0]["vitals"]["age_ms"] < 3000, "live goes on"
            world.database.thaw()
            wait_for([], 60)
        assert told_s <= 5.0
