"""Everything three times and out of order, then all once more: database and alerts stay as they are (R4)."""

import random
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from chaos.compare import Difference, compare_frames
from chaos.outages import Outcome
from chaos.watcher import Watcher
from chaos.world import HOST, World, wait_until
from device_sim.frames import FRAME_MS, FrameMaker
from device_sim.scenarios import scenario_source
from hub.wire import TopicKind, encode_fill, topic, with_backfill_flag

SITE: Final = "again"
BED: Final = "bed01"
EPOCH: Final = 7
COPIES: Final = 3
WINDOW: Final = 10_000
MESSAGE: Final = 200
LOOP_S: Final = 600
MOST_WAITING: Final = 8_000
"""Frames in the hub's queue above which the sender waits: nobody sends again here what is refused."""


def make_day(hours: float) -> list[bytes]:
    """Frames of a bed up to a minute ago, with falls that would alarm if they were live."""
    seconds = round(hours * 3600)
    maker = FrameMaker(SITE, BED, EPOCH, scenario_source("bradycardia", seed=1))
    loop = [maker.make(second, 0) for second in range(min(LOOP_S, seconds))]
    start_ms = time.time_ns() // 10**6 // 1000 * 1000 - (seconds + 60) * 1000
    frames = []
    for seq in range(seconds):
        body = loop[seq % len(loop)]
        stamp = seq.to_bytes(4, "big") + (start_ms + seq * FRAME_MS).to_bytes(6, "big")
        frames.append(with_backfill_flag(body[:6] + stamp + body[16:]))
    return frames


def shuffle(frames: Sequence[bytes], rng: random.Random, *, copies: int, window: int) -> list[bytes]:
    """Give each frame so many times, none further from its place than the window."""
    keys = sorted((seq + rng.uniform(0, window), seq) for seq in range(len(frames)) for _ in range(copies))
    return [frames[seq] for _, seq in keys]


def run_repeats(folder: Path, *, hours: float = 24.0, seed: int = 1) -> Outcome:
    """Send a day three times over within a window of 10,000, compare; send it once more, compare again."""
    outcome = Outcome()
    frames = make_day(hours)
    with World(folder) as world, Watcher(world.url) as watcher:
        client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=f"{SITE}-fill")
        client.connect(HOST, world.mqtt_port)
        client.loop_start()
        begun_s = time.monotonic()
        _send(world, client, shuffle(frames, random.Random(seed), copies=COPIES, window=WINDOW))
        _settle(world)
        first_s = time.monotonic() - begun_s
        _send(world, client, frames)
        _settle(world)
        outcome.note(
            frames=len(frames),
            sent=(COPIES + 1) * len(frames),
            sent_per_s=(COPIES + 1) * len(frames) / (time.monotonic() - begun_s),
            three_times_took_s=first_s,
            refused=world.metrics()["ctg_refused_frames"],
            conflicts=world.metrics()["ctg_conflicting_frames"],
        )
        alarming = [one["id"] for one in watcher.alerts.values() if one["path"] != "technical"]
        outcome.note(alerts_from_late_data=len(alarming))
        outcome.must(not alarming, f"no alert from what was filled in: {alarming[:3]}")
        client.disconnect()
        client.loop_stop()
        committed = {(SITE, BED): {(EPOCH, seq): frame for seq, frame in enumerate(frames)}}
        with world.open_database() as dsn:
            [difference] = compare_frames(committed, dsn)
    _judge(outcome, difference)
    return outcome


def _judge(outcome: Outcome, difference: Difference) -> None:
    outcome.note(lost=len(difference.lost), doubled=difference.doubled, sha256=difference.hub_sha256)
    outcome.must(difference.is_same, f"the database of one clean run: {difference}")


def _send(world: World, client: mqtt.Client, frames: Sequence[bytes]) -> None:
    where = topic(SITE, BED, TopicKind.WAVE_FILL)
    for number, message in enumerate(_messages(frames)):
        sent = client.publish(where, encode_fill(message), qos=1)
        sent.wait_for_publish(30)
        if number % 10 == 0:
            _hold_back(world, MOST_WAITING)


def _messages(frames: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    return (frames[first : first + MESSAGE] for first in range(0, len(frames), MESSAGE))


def _waiting(world: World) -> int:
    stages: dict[str, Any] = world.get("/progress")["stages"]
    return int(stages["store_frames"]["pending"])


def _hold_back(world: World, most: int) -> None:
    wait_until("room in the hub's queue", lambda: _waiting(world) <= most, within_s=120, every_s=0.05)


def _settle(world: World) -> None:
    """Wait until the hub has taken and stored everything that was sent."""
    time.sleep(2.0)
    _hold_back(world, 0)
