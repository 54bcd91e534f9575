"""Builds the hub from its rooms, starts it, stops it."""

import asyncio
import logging
import secrets
import signal
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from functools import partial
from typing import Any, Final

from prometheus_client import CollectorRegistry, Gauge, Histogram

from hub.acquisition.mqtt import BrokerLink
from hub.collector import keep_collections_short
from hub.database import Database, cancel
from hub.errors import StoreError
from hub.inlet import Inlet
from hub.journal import AlertJournal
from hub.model import Ack, AckReason, Alert, HubNotice, NoticeKind, WaveEntry
from hub.pipeline import Pipeline, run_analysis
from hub.pipeline.strip import CONTEXT_MS, analyse_span
from hub.recorder import Recorder
from hub.restore import Restoration
from hub.settings import Settings, broker_address
from hub.sites import SiteDesk, free_capacity
from hub.stages import Clock, Stage
from hub.store.store import Store
from hub.web.access import AccessPolicy
from hub.web.app import create_app
from hub.web.backend import Backend, Dependency, StageProgress, StripData
from hub.web.live import Feed
from hub.web.server import build_server
from hub.wire import TopicKind, encode_json, topic

_log = logging.getLogger(__name__)

COMPACT_PERIOD_S: Final = 60.0
THAW_S: Final = 0.5
LONGEST_READING_MS: Final = 2 * 3600 * 1000
"""A longer strip comes without an analysis: nobody reads events off a whole night at once."""
LAG_BUCKETS_S: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
"""Around the goal: 99 of 100 ticks within 0.05 s (R19)."""
SECOND_PARTS: Final = 10
"""Shares of the beds that are checked one after the other within a second."""
VIEWS_AT_ONCE: Final = 500
ROWS_AT_ONCE: Final = 96
"""Fetuses read between two looks at what else is to be done."""
ANALYSIS_PAUSE_S: Final = 0.2
HEAD_START_S: Final = 10.0
"""So long the hub waits to have back what it knew before it goes live; what is not back by then follows."""
AWAY_S: Final = 3.0
"""Nothing committed for this long although something waits: the consoles are told of it."""


class Hub:
    """One worker: every room, joined."""

    def __init__(
        self, settings: Settings, store: Store, database: Database, registry: CollectorRegistry
    ) -> None:
        self.clock = Clock()
        self.boot_id = secrets.token_hex(4)
        self.store = store
        self.stages: dict[str, Stage] = {}
        self.pipeline = Pipeline(boot_id=self.boot_id, capacity_beds=settings.max_beds)
        self.journal = AlertJournal(settings.data_dir)
        self.recorder = Recorder(store, self._publish_ack, self._stage, self.journal, self._note_conflict)
        self.desk = SiteDesk(self.clock, self._publish, self._fill_capacity, self._session, registry)
        steps = self.journal.read()
        self.recorder.resume(steps)
        self.restoration = Restoration(
            database,
            store,
            self.pipeline,
            self.recorder,
            steps,
            clock=self.clock,
            make_stage=self._stage,
        )
        self.feed = Feed(self._backend(registry))
        self.inlet = Inlet(
            self.pipeline,
            self.recorder,
            self.feed,
            self.desk,
            clock=self.clock,
            stage=self._stage("acquisition"),
            registry=registry,
        )
        self.broker = BrokerLink(broker_address(settings, f"hub-{self.boot_id}"), self.inlet.take)
        # A thread of its own: live analysis does not wait behind strips that somebody scrolls through.
        self._analyst = ThreadPoolExecutor(1, thread_name_prefix="analysis")
        self._second = self._stage("second")
        self._analysis = self._stage("analysis")
        self._since_ms: dict[NoticeKind, int] = {}
        self._lag = Histogram(
            "ctg_loop_lag_seconds",
            "Lateness of the ten ticks of each second",
            buckets=LAG_BUCKETS_S,
            registry=registry,
        )
        self._export(registry)

    def _export(self, registry: CollectorRegistry) -> None:
        def gauge(name: str, what: str, read: Callable[[], float]) -> None:
            Gauge(name, what, registry=registry).set_function(read)

        gauge(
            "ctg_refused_frames",
            "Frames refused because the queue of the store was full",
            lambda: self.recorder.refused_frames,
        )
        gauge(
            "ctg_conflicting_frames",
            "Frames put aside because their identity was taken",
            lambda: self.recorder.conflicting_frames,
        )
        gauge(
            "ctg_set_aside_records",
            "Alert, segment and event records that the database refused for good",
            lambda: self.recorder.set_aside_records,
        )
        gauge("ctg_refused_beds", "Frames of beds beyond CTG_MAX_BEDS", lambda: self.pipeline.refused_beds)
        of_stage = ("ctg_stage_age_seconds", "ctg_stage_pending", "ctg_stage_restarts")
        age, pending, restarts = (Gauge(name, name, ["stage"], registry=registry) for name in of_stage)
        for stage in self.stages.values():
            age.labels(stage.name).set_function(partial(getattr, stage, "age_s"))
            pending.labels(stage.name).set_function(partial(getattr, stage, "pending"))
            restarts.labels(stage.name).set_function(partial(getattr, stage, "restarts"))

    def _stage(self, name: str, pending: Callable[[], int] = lambda: 0) -> Stage:
        self.stages[name] = Stage(name, self.clock, pending)
        return self.stages[name]

    def close(self) -> None:
        """Let go of what the operating system gave."""
        self._analyst.shutdown(wait=False, cancel_futures=True)
        self.journal.close()

    # ------------------------------------------------------------ the stages

    async def run_seconds(self) -> None:
        """Ten times a second check the alerts of a tenth of the beds; once a second tell the consoles."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            for part in range(SECOND_PARTS):
                due += 1.0 / SECOND_PARTS
                await asyncio.sleep(max(0.0, due - loop.time()))
                self._lag.observe(max(0.0, loop.time() - due))
                if loop.time() - due > 1.0:
                    # After a freeze let in first what has come meanwhile; do not run after lost seconds.
                    await asyncio.sleep(THAW_S)
                    due = loop.time()
                transitions = self.pipeline.tick(
                    self.clock.now_ms(), self.clock.now_s(), part=part, parts=SECOND_PARTS
                )
                self.recorder.keep(transitions)
                self.feed.publish_alerts([transition.alert for transition in transitions])
            await self._publish_second()
            self._second.beat()

    async def _publish_second(self) -> None:
        """Hand the views of one moment to the consoles, letting other work in between the making of them."""
        now_ms, now_s = self.clock.now_ms(), self.clock.now_s()
        keys, views = self.pipeline.bed_keys(), []
        for first in range(0, len(keys), VIEWS_AT_ONCE):
            some = keys[first : first + VIEWS_AT_ONCE]
            views += self.pipeline.views(some, now_s=now_s, with_analysis=False)
            self.pipeline.mark_pushed(some)
            await asyncio.sleep(0)
        self.feed.publish_second(now_ms, views, [], self.inlet.take_events(), self._notices(now_ms, now_s))

    def _notices(self, now_ms: int, now_s: float) -> list[HubNotice]:
        """Say what every console has to show of the hub itself."""
        is_away = self.recorder.is_failing or self.recorder.standstill_s > AWAY_S
        unwatched = len(self.pipeline.unwatched(now_s))
        standing = {NoticeKind.STORE_AWAY: is_away, NoticeKind.BEDS_FULL: unwatched > 0}
        since_ms = {kind: self._since_ms.get(kind, now_ms) for kind, stands in standing.items() if stands}
        self._since_ms = since_ms
        return [
            HubNotice(kind=kind, since_ms=at, count=unwatched if kind is NoticeKind.BEDS_FULL else None)
            for kind, at in since_ms.items()
        ]

    def _note_conflict(self, site: str, bed: str) -> None:
        self.pipeline.note_conflict(site, bed, self.clock.now_s())

    def _fill_capacity(self, live_per_s: float) -> float:
        recorder = self.recorder
        return free_capacity(
            queued=recorder.frame_stage.pending + self.inlet.fill_waiting,
            standstill_s=recorder.standstill_s,
            is_failing=recorder.is_failing,
            live_per_s=live_per_s,
        )

    async def run_analyses(self) -> None:
        """Analyse the beds whose turn it is, off the event loop, a few at a time."""
        while True:
            windows = self.pipeline.due_windows(most=ROWS_AT_ONCE)
            if windows:
                results = await asyncio.get_running_loop().run_in_executor(
                    self._analyst, run_analysis, windows
                )
                outcome = self.pipeline.accept(results, self.clock.now_ms())
                self.recorder.keep(outcome.transitions)
                self.recorder.keep(outcome.segments)
                self.feed.publish_alerts([transition.alert for transition in outcome.transitions])
            self._analysis.beat()
            if len(windows) < ROWS_AT_ONCE:
                await asyncio.sleep(ANALYSIS_PAUSE_S)

    async def run_compaction(self) -> None:
        """Move frames of some age into segments, for ever."""
        while True:
            await asyncio.sleep(COMPACT_PERIOD_S)
            try:
                await self.store.compact(self.clock.now_ms())
            except StoreError as error:
                _log.warning("compaction put off: %s", error)

    # -------------------------------------------------- what the web room sees

    def _backend(self, registry: CollectorRegistry) -> Backend:
        return Backend(
            boot_id=self.boot_id,
            now_ms=self.clock.now_ms,
            views=lambda keys, with_analysis: self.pipeline.views(
                keys, now_s=self.clock.now_s(), with_analysis=with_analysis
            ),
            sites=lambda: self.desk.views(self.pipeline.site_statuses()),
            recent_waves=self.pipeline.recent_waves,
            alerts=self.pipeline.alerts,
            acknowledge=self._acknowledge,
            read_strip=self._read_strip,
            read_alerts=self._read_alerts,
            progress=self._progress,
            ready=self._ready,
            registry=registry,
        )

    async def _acknowledge(self, alert_id: str, by: str, reason: AckReason) -> Alert:
        transition = self.pipeline.acknowledge(alert_id, by=by, reason=reason, now_ms=self.clock.now_ms())
        self.recorder.keep([transition])
        self.feed.publish_alerts([transition.alert])
        return transition.alert

    async def _read_strip(self, site: str, bed: str, from_ms: int, to_ms: int) -> StripData:
        is_analysed = to_ms - from_ms <= LONGEST_READING_MS
        rows = await self.store.read_frames(
            site, bed, from_ms - CONTEXT_MS if is_analysed else from_ms, to_ms
        )
        if not rows and (site, bed) not in self.pipeline.bed_keys():
            raise KeyError(site, bed)
        events = await self.store.read_events(site, bed, from_ms, to_ms)
        alerts = await self.store.read_alerts(site=site, bed=bed, since_ms=from_ms)
        analysis = None
        if is_analysed:
            analysis = await asyncio.to_thread(
                analyse_span,
                rows,
                from_ms=from_ms,
                to_ms=to_ms,
                gestational_weeks=self.pipeline.gestational_weeks((site, bed)),
                now_ms=self.clock.now_ms(),
            )
        return StripData(
            entries=tuple((WaveEntry(site, bed, row.arrived_ms, row.payload), row.lane) for row in rows),
            events=tuple(events),
            analysis=analysis,
            alerts=tuple(alert for alert in alerts if alert.onset_ms <= to_ms),
        )

    async def _read_alerts(
        self, *, open_only: bool, limit: int, site: str | None, bed: str | None
    ) -> Sequence[Alert]:
        if not open_only:
            return await self.store.read_alerts(site=site, bed=bed, limit=limit)
        open_alerts = [
            alert
            for alert in self.pipeline.alerts()
            if site in {None, alert.site} and bed in {None, alert.bed}
        ]
        return sorted(open_alerts, key=lambda alert: -alert.raised_ms)[:limit]

    def _progress(self) -> Mapping[str, StageProgress]:
        return {
            name: StageProgress(
                last_item_ms=stage.last_item_ms,
                age_ms=round(stage.age_s * 1000),
                pending=stage.pending,
                waits_for=stage.waits_for,
            )
            for name, stage in self.stages.items()
        }

    async def _ready(self) -> Mapping[str, Dependency]:
        try:
            info = await self.store.describe()
            database = Dependency(is_ok=True, detail=f"{info.server_version}, {info.layout}")
        except StoreError as error:
            database = Dependency(is_ok=False, detail=str(error))
        broker = Dependency(
            is_ok=self.broker.is_connected, detail="connected" if self.broker.is_connected else "away"
        )
        refused = self.pipeline.refused_beds
        room = Dependency(
            is_ok=refused == 0, detail=f"{refused} frames of beds beyond CTG_MAX_BEDS" if refused else ""
        )
        return {"broker": broker, "database": database, "room_for_beds": room}

    async def _publish_ack(self, site: str, bed: str, ack: Ack) -> bool:
        # What is retained is how the frames stand: an ack of events must not take its place.
        # QoS 0: an ack that a broken connection takes with it is said again when the site, which then
        # misses it, sends again; waiting for the broker's word of each would hold up those of all beds.
        where = topic(site, bed, TopicKind.ACK)
        return await self.broker.publish(where, encode_json(ack), qos=0, retain=not ack.events)

    def _session(self) -> str:
        """Name the time since which the hub has heard everything."""
        return f"{self.boot_id}.{self.broker.connections}"

    async def _publish(self, where: str, payload: bytes, qos: int) -> bool:
        return await self.broker.publish(where, payload, qos=qos)


async def serve(settings: Settings) -> None:
    """Run a hub until SIGINT or SIGTERM.  Raises SettingsError or StoreError when it cannot start."""
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_end_on_unforeseen)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    working = asyncio.create_task(_work(settings), name="hub")
    stopping = asyncio.create_task(stop.wait(), name="stop")
    await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if working.done():
        working.result()
        return
    _log.info("stopping")
    await cancel(working)


async def _work(settings: Settings) -> None:
    async with AsyncExitStack() as stack:
        store = Store()
        database = await stack.enter_async_context(Database(settings, store))
        hub = Hub(settings, store, database, CollectorRegistry())
        stack.callback(hub.close)
        policy = AccessPolicy(
            origins=frozenset(settings.allowed_origins), hosts=frozenset(settings.allowed_hosts)
        )
        app = create_app(hub.feed, policy=policy)
        server, listener = build_server(app, settings.http_host, settings.http_port)
        stack.callback(listener.close)
        restoring = asyncio.create_task(hub.restoration.run(), name="restore")
        stack.push_async_callback(cancel, restoring)
        if (await asyncio.wait({restoring}, timeout=HEAD_START_S))[0]:
            await restoring
        _log.info("consoles: http://%s:%d/", settings.http_host, settings.http_port)
        async with asyncio.TaskGroup() as group:
            group.create_task(_end_with(restoring))
            group.create_task(server.serve(sockets=[listener]), name="web")
            group.create_task(hub.broker.run(), name="broker")
            group.create_task(hub.run_seconds(), name="second")
            group.create_task(hub.run_analyses(), name="analysis")
            group.create_task(hub.run_compaction(), name="compaction")
            group.create_task(keep_collections_short(), name="collector")
            group.create_task(hub.inlet.run_fill(), name="fill")
            group.create_task(hub.desk.run_answers(), name="answers")
            group.create_task(hub.desk.run_credits(), name="credits")
            recorder = hub.recorder
            group.create_task(recorder.frame_stage.keep_running(recorder.write_frames))
            group.create_task(recorder.record_stage.keep_running(recorder.write_records))
            group.create_task(recorder.ack_stage.keep_running(recorder.send_acks))


async def _end_with(task: "asyncio.Task[None]") -> None:
    """Let a failure of a task that was begun earlier end the others."""
    await task


def _end_on_unforeseen(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """End on an error that nobody awaited: a hub that limps is worse than one that starts again."""
    _log.critical("unforeseen: %s", context.get("message"), exc_info=context.get("exception"))
    loop.call_soon(_exit)


def _exit() -> None:
    raise SystemExit(1)
