"""What a loaded region shows at one moment: queues, processor time of each part, lag of the loop."""

import asyncio
import re
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import paho.mqtt.client as mqtt
import psutil
from paho.mqtt.enums import CallbackAPIVersion

from chaos.compare import count_frames
from chaos.world import HOST, ChaosError, Part, World

LIVE_FRAMES: Final = 'ctg_frames_total{lane="live"}'
_TOLD: Final = re.compile(r"(\d+) frames sent, (\d+) answered, at most (\d+) ms late")
_LAG_BUCKET: Final = re.compile(r'ctg_loop_lag_seconds_bucket\{le="([^"]+)"\}')
_DROPPED: Final = "$SYS/broker/publish/messages/dropped"


@dataclass(frozen=True, slots=True)
class LoadTold:
    """The last line of the load generator."""

    sent: int
    answered: int
    late_ms: int


def start_load(world: World, name: str, **options: object) -> Part:
    """Start a load generator with the options of `ctg-sim load`."""
    words = [word for key, value in options.items() for word in (f"--{key.replace('_', '-')}", str(value))]
    command = (sys.executable, "-m", "device_sim", "load", "--broker", f"mqtt://{HOST}:{world.mqtt_port}")
    return world.add(name, (*command, *words))


def read_load(load: Part) -> LoadTold:
    """Read what the load generator said last.  Raises ChaosError if it has said nothing."""
    told = _TOLD.findall(load.log.read_text())
    if not told:
        msg = f"load: expected a line on what was sent, got {load.log.read_text()[-500:]!r}"
        raise ChaosError(msg)
    return LoadTold(*(int(word) for word in told[-1]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One moment; counts since the start of each part."""

    at_s: float
    sent: int
    late_ms: int
    taken: int
    refused: int
    dropped: int
    at_store: int
    metrics: Mapping[str, float]
    cpu_s: Mapping[str, float]
    """Of hub, broker, database, load and this driver; `all` is what every process of the machine took."""

    @property
    def at_broker(self) -> int:
        """Frames on the way to the hub: with the broker, or not read by it yet."""
        return max(0, self.sent - self.dropped - self.taken)


class Gauges:
    """Reads a world with a load generator; listens to what the broker says of its queue."""

    def __init__(self, world: World, load: Part) -> None:
        self._world = world
        self._load = load
        self._dropped = 0
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2)
        self._client.on_message = self._hear

    def __enter__(self) -> Self:
        self._client.connect(HOST, self._world.mqtt_port)
        self._client.subscribe(_DROPPED)
        self._client.loop_start()
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _hear(self, _client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        self._dropped = int(message.payload)

    def read(self) -> Snapshot:
        """Read everything now.  Raises httpx.HTTPError if the hub does not answer."""
        told, metrics = read_load(self._load), self._world.metrics()
        every = psutil.cpu_times()
        parts = {
            "hub": self._world.hub,
            "broker": self._world.broker,
            "database": self._world.database,
            "load": self._load,
        }
        own = psutil.Process().cpu_times()
        return Snapshot(
            at_s=time.monotonic(),
            sent=told.sent,
            late_ms=told.late_ms,
            taken=round(metrics.get(LIVE_FRAMES, 0.0)),
            refused=round(metrics["ctg_refused_frames"]),
            dropped=self._dropped,
            at_store=round(metrics['ctg_stage_pending{stage="store_frames"}']),
            metrics=metrics,
            cpu_s={name: part.cpu_s() for name, part in parts.items()}
            | {"driver": own.user + own.system, "all": sum(every) - every.idle - every.iowait},
        )


def cpu_percent(before: Snapshot, after: Snapshot) -> dict[str, float]:
    """Processor time of each part in a span, % of one core; `others` is what is no part of the run."""
    spent_s = after.at_s - before.at_s
    percent = {name: 100 * (after.cpu_s[name] - before.cpu_s[name]) / spent_s for name in after.cpu_s}
    every = percent.pop("all")
    return percent | {"others": max(0.0, every - sum(percent.values()))}


def lag_quantile_ms(before: Snapshot, after: Snapshot, share: float) -> float:
    """Lateness of the hub's loop that this share of its ticks in a span kept to; from its buckets."""
    ticks = sorted(
        (float(match[1]), after.metrics[name] - before.metrics.get(name, 0.0))
        for name in after.metrics
        if (match := _LAG_BUCKET.fullmatch(name))
    )
    wanted = share * ticks[-1][1]
    low_s, below = 0.0, 0.0
    for high_s, up_to in ticks:
        if up_to >= wanted and up_to > below:
            if high_s == float("inf"):
                return 1000 * low_s
            return 1000 * (low_s + (high_s - low_s) * (wanted - below) / (up_to - below))
        low_s, below = high_s, up_to
    return float("nan")


def oldest_reading_s(world: World) -> tuple[float, int]:
    """Ask for the age of the oldest reading of any bed, and how many beds have none at all."""
    answer = world.get("/api/v1/beds")
    read = [bed["analysis"]["fetuses"] for bed in answer["beds"] if bed["analysis"]]
    read_ms = [fetus["computed_ms"] for fetuses in read for fetus in fetuses]
    unread = len(answer["beds"]) - sum(bool(fetuses) for fetuses in read)
    return ((answer["t_ms"] - min(read_ms)) / 1000 if read_ms else 0.0), unread


def count_stored(world: World) -> int:
    """End the hub and count the frames that its database holds."""
    with world.open_database() as dsn:
        return asyncio.run(count_frames(dsn))
