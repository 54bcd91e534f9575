"""From a broker message to pipeline, recorder and live push; what is malformed is counted, no more."""

import asyncio
import logging
from collections import deque
from typing import Any, Final, NoReturn

from prometheus_client import CollectorRegistry, Counter

from hub.acquisition.timeline import Arrival
from hub.errors import WireError
from hub.model import BedEvent, BedState, FrameFlag, Lane, SiteHealth, SiteStatus, WaveEntry
from hub.pipeline import Pipeline
from hub.recorder import Recorder
from hub.sites import SiteDesk
from hub.stages import Clock, Stage
from hub.store.rows import FrameRow
from hub.web.live import Feed
from hub.wire import (
    Topic,
    TopicKind,
    decode_fill,
    decode_json,
    decode_time,
    decode_wave,
    parse_topic,
    with_backfill_flag,
)

_log = logging.getLogger(__name__)

MAX_SITES_COUNTED = 1000
"""Sites with counters of their own; a flood of invented site names ends up in one."""

FILL_AT_ONCE: Final = 50
"""Frames of the fill lane between two looks at what is live: about 2 ms."""

MAX_FILL_WAITING: Final = 20_000
"""Filled frames that wait for their turn; beyond it a message is refused, and its site sends it again."""

MAX_LOGGED = 200
"""Characters of a complaint that are logged: enough for the place and what was expected."""


class Inlet:
    """Takes each message in the moment it is read: decodes, pushes, returns, and never raises WireError.

    Frames of the fill lane are laid by and taken a few at a time by `run_fill`, so that what is
    live never waits behind an hour of what is not.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        recorder: Recorder,
        feed: Feed,
        desk: SiteDesk,
        *,
        clock: Clock,
        stage: Stage,
        registry: CollectorRegistry,
    ) -> None:
        self._pipeline = pipeline
        self._recorder = recorder
        self._feed = feed
        self._desk = desk
        self._clock = clock
        self._stage = stage
        self._seen_errors: set[tuple[str, str]] = set()
        self._new_events: dict[str, list[BedEvent]] = {}
        self._filled: deque[tuple[str, str, bytes]] = deque()
        self._has_filled = asyncio.Event()
        self._frames = Counter("ctg_frames", "Wave frames taken", ["lane"], registry=registry)
        self._errors = Counter(
            "ctg_wire_errors", "Messages that broke the protocol", ["site", "kind"], registry=registry
        )

    @property
    def fill_waiting(self) -> int:
        """Frames of the fill lane that wait for their turn."""
        return len(self._filled)

    def take(self, topic: str, payload: bytes) -> None:
        """Take one message of the broker."""
        site = "?"
        try:
            where = parse_topic(topic)
            site = where.site
            self._dispatch(where, payload)
        except WireError as error:
            self._count(site, topic, error)

    def take_events(self) -> dict[str, list[BedEvent]]:
        """Hand over the events that came since the last call, by `site/bed`."""
        events, self._new_events = self._new_events, {}
        return events

    def _dispatch(self, where: Topic, payload: bytes) -> None:
        site, bed = where.site, where.bed
        if bed is None:
            self._take_site(site, where.kind, payload)
            return
        match where.kind:
            case TopicKind.WAVE_LIVE:
                self._take_frame(site, bed, payload, Lane.LIVE)
            case TopicKind.WAVE_FILL:
                self._take_fill(site, bed, payload)
            case TopicKind.STATE:
                self._pipeline.push_state(site, bed, decode_json(payload, BedState))
            case TopicKind.EVENT:
                self._take_event(site, bed, decode_json(payload, BedEvent))
            case _:
                pass  # ours: ack, advice

    def _take_site(self, site: str, kind: TopicKind, payload: bytes) -> None:
        match kind:
            case TopicKind.STATUS:
                status = decode_json(payload, SiteStatus)
                self._pipeline.push_status(site, status)
                self._desk.take_status(site, status)
            case TopicKind.HEALTH:
                health = decode_json(payload, SiteHealth)
                self._desk.take_health(site, health)
                self._pipeline.push_health(site, health, self._clock.now_ms(), self._clock.now_s())
            case TopicKind.TIME:
                self._desk.take_time(site, decode_time(payload))
            case _:
                pass  # ours: cmd, credit

    def _take_fill(self, site: str, bed: str, payload: bytes) -> None:
        frames = decode_fill(payload)
        if len(self._filled) + len(frames) > MAX_FILL_WAITING:
            self._recorder.refused_frames += len(frames)
            return
        self._filled.extend((site, bed, frame) for frame in frames)
        self._has_filled.set()

    async def run_fill(self) -> NoReturn:
        """Take what waits of the fill lane, for ever, letting everything else in between."""
        while True:
            if not self.take_filled():
                self._has_filled.clear()
                await self._has_filled.wait()
            await asyncio.sleep(0)

    def take_filled(self) -> int:
        """Take the next few frames of the fill lane; gives how many still wait."""
        for _ in range(min(FILL_AT_ONCE, len(self._filled))):
            site, bed, frame = self._filled.popleft()
            try:
                self._take_frame(site, bed, frame, Lane.FILL)
            except WireError as error:  # one bad frame does not spoil the others of its message
                self._count(site, f"{site}/{bed}", error)
        return len(self._filled)

    def _take_frame(self, site: str, bed: str, payload: bytes, lane: Lane) -> None:
        frame = decode_wave(payload, site=site, bed=bed)
        # A frame that says it is backfill is one, whichever lane it took.
        lane = Lane.FILL if FrameFlag.BACKFILL in frame.flags else lane
        arrived_ms = self._clock.now_ms()
        arrival = self._pipeline.push_frame(
            frame, lane=lane, arrived_ms=arrived_ms, now_s=self._clock.now_s()
        )
        # Repeated frames go to the store as well: the site repeats them because it saw no ack.
        self._recorder.offer_frame(
            FrameRow(site, bed, frame.epoch, frame.seq, frame.t0_ms, frame.end_ms, lane, arrived_ms, payload)
        )
        if arrival not in {None, Arrival.REPEATED}:
            # What came on the fill lane is shown as late even where the site forgot the flag.
            shown = with_backfill_flag(payload) if lane is Lane.FILL else payload
            self._feed.publish_wave(WaveEntry(site, bed, arrived_ms, shown))
        self._frames.labels(lane).inc()
        self._desk.count(site, lane)
        self._stage.beat()

    def _take_event(self, site: str, bed: str, event: BedEvent) -> None:
        self._recorder.keep_event(site, bed, event)
        if self._pipeline.push_event(site, bed, event):
            self._new_events.setdefault(f"{site}/{bed}", []).append(event)

    def _count(self, site: str, where: str, error: WireError) -> None:
        key = (site, error.kind)
        if key not in self._seen_errors:
            if len(self._seen_errors) >= MAX_SITES_COUNTED:
                key = ("other", error.kind)
            else:
                # A topic may hold a line break, and the complaint quotes what came: neither may write a log.
                complaint = str(error)[:MAX_LOGGED]
                _log.warning("%r: %s (counted from now on, not logged)", where[:120], complaint)
            self._seen_errors.add(key)
        labels: Any = key
        self._errors.labels(*labels).inc()
