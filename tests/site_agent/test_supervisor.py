"""A process that stands still ends; one that only was stopped for a while goes on."""

import itertools
import signal
import socket
import time
from pathlib import Path

import pytest

from tests.device_sim.conftest import Mosquitto
from tests.site_agent.rig import Process, Site, wait_until

pytestmark = [pytest.mark.system, pytest.mark.timeout(60)]


@pytest.fixture
def broker(tmp_path: Path):
    running = Mosquitto(tmp_path)
    running.start()
    yield running
    running.kill()


def test_systemd_is_told_that_the_agent_is_ready_and_lives(tmp_path: Path, broker: Mosquitto):
    site = Site(tmp_path, broker.port)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(20)
        site.agent = Process(site.agent._command, site.agent.log, {"NOTIFY_SOCKET": str(tmp_path / "notify")})
        try:
            site.agent.start()
            assert [systemd.recv(100) for _ in range(3)] == [b"READY=1", b"WATCHDOG=1", b"WATCHDOG=1"]
        finally:
            site.close()


def test_an_agent_that_was_frozen_goes_on_and_lays_the_ticks_where_they_belong(
    tmp_path: Path, broker: Mosquitto
):
    site = Site(tmp_path, broker.port)
    try:
        site.start()
        wait_until("first frames", lambda: len(site.committed()) >= 3, within_s=20)
        site.agent.signal(signal.SIGSTOP)
        time.sleep(8.0)
        site.agent.signal(signal.SIGCONT)
        wait_until("frames of the pause", lambda: len(site.committed()) >= 13, within_s=20)
        frames = sorted(site.committed().items(), key=lambda item: item[0][2])
        starts = [int.from_bytes(payload[10:16], "big") for _, payload in frames]
        apart = [b - a for a, b in itertools.pairwise(starts)]
        assert all(900 <= ms <= 1100 for ms in apart), apart
        assert len({epoch for (_, epoch, _), _ in frames}) == 1, "it was not started anew"
    finally:
        site.close()
