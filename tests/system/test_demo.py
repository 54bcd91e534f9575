"""The main job end to end, with every part real; and the worst that can happen to each part."""

import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from hub.wire import decode_batch, decode_wave
from tests.system.conftest import Demo, free_port, wait_until
from tests.system.stranger import StrangerFeed

pytestmark = [pytest.mark.system, pytest.mark.timeout(240), pytest.mark.xdist_group("demo")]


@pytest.fixture(scope="module")
def stranger(demo: Demo) -> Iterator[StrangerFeed]:
    feed = StrangerFeed(demo.mqtt_port, "stranger-9", "z9")
    yield feed
    feed.stop()


def stored_frames(demo: Demo, feed: StrangerFeed) -> dict[int, bytes]:
    """Every frame of the feed that the hub gives back, by seq, backfill flag taken off."""
    first, last = min(feed.times.values()), max(feed.times.values())
    answer = demo.get(
        f"/api/v1/beds/{feed.site}/{feed.bed}/strip",
        params={"from": first, "to": last + 1000},
        headers={"Accept": "application/vnd.ctg.wave"},
    ).raise_for_status()
    _, _, entries = decode_batch(answer.content)
    frames = {}
    for entry in entries:
        frame = bytearray(entry.payload)
        frame[1] &= 0xFE
        frames[decode_wave(entry.payload, site=entry.site, bed=entry.bed).seq] = bytes(frame)
    return frames


def test_twelve_beds_of_four_sites_are_live(demo: Demo):
    beds = [bed for bed in demo.beds() if not bed["site"].startswith("stranger")]
    assert len(beds) == 12
    assert len({bed["site"] for bed in beds}) == 4
    assert all(bed["vitals"]["is_test"] for bed in beds)
    assert all(bed["site_name"] for bed in beds)


def test_every_bed_gets_a_reading_with_its_reasons(demo: Demo):
    def readings() -> bool:
        return all(bed["analysis"] for bed in demo.beds() if not bed["site"].startswith("stranger"))

    wait_until("an analysis of each bed", readings, within_s=60)
    levels = {
        fetus["level"] for bed in demo.beds() if bed["analysis"] for fetus in bed["analysis"]["fetuses"]
    }
    assert levels & {1, 2, 3, 4, 5}


def test_the_dependencies_are_ready_and_every_stage_moves(demo: Demo):
    assert demo.get("/livez").status_code == 200
    ready = demo.get("/readyz")
    assert ready.status_code == 200, ready.text
    assert demo.get("/progress").status_code == 200
    assert "ctg_frames" in demo.get("/metrics").text


def test_a_strangers_feed_appears_with_its_rate_and_gets_its_ack(demo: Demo, stranger: StrangerFeed):
    def view() -> dict[str, object] | None:
        mine = [bed for bed in demo.beds() if bed["site"] == stranger.site]
        return mine[0] if mine and mine[0]["vitals"]["fetuses"][0]["fhr_bpm"] else None

    bed = wait_until("the stranger's bed", view, within_s=20)
    assert bed["vitals"]["fetuses"][0]["fhr_bpm"] == 133.25
    assert bed["vitals"]["toco"] == 20.0
    assert bed["label"] == "Z-9"
    assert abs(bed["vitals"]["head_ms"] - time.time_ns() / 1e6) < 5000
    wait_until("an ack", lambda: stranger.acked, within_s=20)
    stored = stored_frames(demo, stranger)
    assert all(stored[seq] == stranger.frames[seq] for seq in stranger.acked)


def test_garbage_from_one_site_is_counted_and_touches_no_other_bed(demo: Demo, stranger: StrangerFeed):
    for payload in (b"", b"\xc7", b"\xc7\x20" + bytes(40), bytes(2000), b"{"):
        for tail in ("wave/live", "wave/fill", "event", "state"):
            stranger._client.publish(f"ctg/v1/{stranger.site}/{stranger.bed}/{tail}", payload, qos=1)
    wait_until("the count", lambda: 'ctg_wire_errors_total{kind="' in demo.get("/metrics").text, within_s=10)
    wait_until("all beds live", lambda: len(demo.live_beds()) == 13, within_s=10)


@pytest.mark.parametrize("part", ["hub", "broker", "database"])
def test_a_part_killed_comes_back_and_nothing_acknowledged_is_missing(
    demo: Demo, stranger: StrangerFeed, part: str
):
    wait_until("an ack", lambda: stranger.acked, within_s=20)
    victim = demo.child(part)
    victim.send_signal(signal.SIGKILL)
    victim.wait(10)
    before = len(stranger.frames)
    wait_until(f"another {part}", lambda: demo.child(part).pid != victim.pid, within_s=30)
    wait_until("all beds live again", lambda: len(demo.live_beds()) == 13, within_s=60)
    wait_until("an ack of what came after the kill", lambda: before + 3 in stranger.acked, within_s=60)
    wait_until(
        "an ack of all that came before",
        lambda: set(range(before + 3)) <= stranger.acked,
        within_s=60,
    )
    stored = stored_frames(demo, stranger)
    lost = [seq for seq in stranger.acked if stored.get(seq) != stranger.frames[seq]]
    assert lost == []


def stored_minute(demo: Demo, until_ms: int | None = None) -> bool:
    """Whether the database holds a minute of contractions of the first bed, from before a moment."""
    until_ms = until_ms or time.time_ns() // 1_000_000
    bed = demo.beds()[0]
    strip = demo.get(
        f"/api/v1/beds/{bed['site']}/{bed['bed']}/strip",
        params={"from": until_ms - 1_200_000, "to": until_ms},
    )
    values = strip.raise_for_status().json()["channels"].get("toco", [])
    return sum(value is not None for value in values) > 240


def test_a_second_start_finds_its_data_and_ctrl_c_leaves_nothing_running():
    with tempfile.TemporaryDirectory(prefix="ctg-test-") as folder:
        Path(folder).chmod(0o755)
        data = Path(folder) / "data"
        first = Demo(data)
        first.wait_for_beds()
        wait_until("a minute of strip in the database", lambda: stored_minute(first), within_s=60)
        children = [first.child(part) for part in ("broker", "hub", "simulator", "database")]
        assert first.stop() == 0
        wait_until(
            "all children gone",
            # One that has ended and waits to be buried by the system is gone.
            lambda: not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in children),
            within_s=20,
        )
        between_ms = time.time_ns() // 1_000_000
        second = Demo(data, first.port, first.mqtt_port)
        try:
            second.wait_for_beds()
            assert stored_minute(second, until_ms=between_ms)
        finally:
            second.stop()


def test_a_busy_port_gets_a_sentence():
    with socket.socket() as holder, tempfile.TemporaryDirectory() as folder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "hub",
                "demo",
                f"--port={port}",
                f"--mqtt-port={free_port()}",
                f"--data-dir={folder}",
            ],
            capture_output=True,
            text=True,
            timeout=30,
        )
    assert done.returncode == 1
    assert f"127.0.0.1:{port}" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unwritable_folder_gets_a_sentence():
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "hub",
            "demo",
            f"--port={free_port()}",
            f"--mqtt-port={free_port()}",
            "--data-dir=/proc/no",
        ],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 1
    assert "/proc/no" in done.stderr
    assert "Traceback" not in done.stderr
