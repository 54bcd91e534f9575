"""The real web room on a real server, fed by the real pipeline."""

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import uvicorn
from prometheus_client import CollectorRegistry
from websockets.asyncio.client import ClientConnection, connect

from hub.model import (
    AckReason,
    Alert,
    BedEvent,
    Channel,
    FrameFlag,
    HubNotice,
    Lane,
    MonitorStatus,
    SiteView,
    Transducer,
    WaveEntry,
    WaveFrame,
)
from hub.pipeline import Pipeline, run_analysis
from hub.web.access import AccessPolicy
from hub.web.app import STATIC_DIR, create_app
from hub.web.backend import Backend, Dependency, StageProgress, StripData
from hub.web.limits import HttpLimits, LiveLimits
from hub.web.live import Feed
from hub.web.server import build_server
from hub.wire import decode_batch, encode_wave, samples_from_values

T0_MS = 1_785_294_000_000
DEADLINE_S = 10.0


def make_frame(
    seq: int, *, site: str = "h012", bed: str = "bed3", fhr: float = 140.0, flags: FrameFlag = FrameFlag.NONE
) -> WaveFrame:
    """One second of a bed: FHR around a level, toco a slow wave."""
    ticks = np.arange(seq * 4, seq * 4 + 4)
    return WaveFrame(
        site=site,
        bed=bed,
        epoch=7,
        seq=seq,
        t0_ms=T0_MS + seq * 1000,
        period_ms=250,
        n_ticks=4,
        flags=flags,
        status=MonitorStatus.ON,
        channels=(
            samples_from_values(Channel.FHR1, fhr + 5 * np.sin(ticks / 20), transducer=Transducer.ULTRASOUND),
            samples_from_values(Channel.TOCO, 20 + 10 * np.sin(ticks / 90), transducer=Transducer.EXTERNAL),
        ),
    )


@dataclass
class Rig:
    """A hub without broker and database: pipeline, feed, server, and the clock in the test's hand."""

    live_limits: LiveLimits = field(default_factory=LiveLimits)
    http_limits: HttpLimits = field(default_factory=HttpLimits)
    policy: AccessPolicy = field(default_factory=AccessPolicy)
    capacity_beds: int = 64
    static_dir: Path = STATIC_DIR

    def __post_init__(self) -> None:
        self.seq = 0
        self.pipeline = Pipeline(boot_id="boot-1", capacity_beds=self.capacity_beds)
        self.kept: list[tuple[WaveEntry, Lane]] = []
        self.events: list[BedEvent] = []
        self.sites: list[SiteView] = []
        self.notices: list[HubNotice] = []
        self.dependencies = {"database": Dependency(is_ok=True, detail="here")}
        self.fail_strip: Exception | None = None
        self.registry = CollectorRegistry()
        self.feed = Feed(self._backend(), self.live_limits)
        self.port = 0
        self.connections: Collection[object] = ()

    # -------------------------------------------------------------- its clock

    @property
    def now_ms(self) -> int:
        """End of the newest second that was pushed."""
        return T0_MS + self.seq * 1000

    @property
    def now_s(self) -> float:
        """The monotonic clock that belongs to it."""
        return 1000.0 + self.seq

    # ---------------------------------------------------------------- feeding

    def push(self, frame: WaveFrame, lane: Lane = Lane.LIVE, *, publish: bool = True) -> WaveEntry:
        """Take one frame as the inlet does."""
        entry = WaveEntry(frame.site, frame.bed, frame.end_ms + 40, encode_wave(frame))
        self.pipeline.push_frame(frame, lane=lane, arrived_ms=entry.arrived_ms, now_s=self.now_s)
        self.kept.append((entry, lane))
        if publish:
            self.feed.publish_wave(entry)
        return entry

    def run(self, seconds: int, *, beds: Sequence[str] = ("bed3",), fhr: float = 140.0) -> None:
        """Let some seconds go by on all beds, each with its frame, its checks and its update."""
        for _ in range(seconds):
            for bed in beds:
                self.push(make_frame(self.seq, bed=bed, fhr=fhr))
            self.seq += 1
            self.second()

    def second(self) -> None:
        """Check and publish one second."""
        transitions = self.pipeline.tick(self.now_ms, self.now_s)
        views = self.pipeline.views(None, now_s=self.now_s, with_analysis=False)
        self.pipeline.mark_pushed()
        self.feed.publish_second(
            self.now_ms, views, [transition.alert for transition in transitions], notices=self.notices
        )

    def analyse(self) -> None:
        """Analyse every bed."""
        for second in range(10):
            outcome = self.pipeline.accept(run_analysis(self.pipeline.due_windows(second)), self.now_ms)
            self.feed.publish_alerts([transition.alert for transition in outcome.transitions])

    # --------------------------------------------------- what the room is given

    def _backend(self) -> Backend:
        return Backend(
            boot_id=self.pipeline.boot_id,
            now_ms=lambda: self.now_ms,
            views=lambda keys, full: self.pipeline.views(keys, now_s=self.now_s, with_analysis=full),
            sites=lambda: self.sites,
            recent_waves=self.pipeline.recent_waves,
            alerts=self.pipeline.alerts,
            acknowledge=self._acknowledge,
            read_strip=self._read_strip,
            read_alerts=self._read_alerts,
            progress=lambda: {"second": StageProgress(last_item_ms=self.now_ms, age_ms=0)},
            ready=self._ready,
            registry=self.registry,
        )

    async def _acknowledge(self, alert_id: str, by: str, reason: AckReason) -> Alert:
        transition = self.pipeline.acknowledge(alert_id, by=by, reason=reason, now_ms=self.now_ms)
        self.feed.publish_alerts([transition.alert])
        return transition.alert

    async def _read_strip(self, site: str, bed: str, from_ms: int, to_ms: int) -> StripData:
        if self.fail_strip is not None:
            raise self.fail_strip
        if (site, bed) not in self.pipeline.bed_keys():
            raise KeyError(site, bed)
        entries = tuple(item for item in self.kept if (item[0].site, item[0].bed) == (site, bed))
        return StripData(entries=entries, events=tuple(self.events))

    async def _read_alerts(
        self, *, open_only: bool, limit: int, site: str | None, bed: str | None
    ) -> Sequence[Alert]:
        del open_only  # nothing that is clear is kept here
        found = [a for a in self.pipeline.alerts() if site in {None, a.site} and bed in {None, a.bed}]
        return found[:limit]

    async def _ready(self) -> dict[str, Dependency]:
        return self.dependencies

    # --------------------------------------------------------------- clients

    def oldest_unacknowledged_s(self) -> float:
        """Age of the oldest message that a console has not acknowledged."""
        now_s = asyncio.get_running_loop().time()
        return max(client.outbox.flight.oldest_age_s(now_s) for client in self.feed.clients)

    @property
    def live_url(self) -> str:
        """Where the live push is."""
        return f"ws://127.0.0.1:{self.port}/ws/v1/live"

    def http(self) -> httpx.AsyncClient:
        """Open an HTTP client."""
        return httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", timeout=DEADLINE_S)

    @asynccontextmanager
    async def client(
        self,
        beds: Sequence[str] | None = None,
        *,
        history_s: float = 0,
        says_hello: bool = True,
        **options: Any,
    ) -> AsyncIterator["Console"]:
        """Open a console; it has said its hello."""
        async with connect(self.live_url, max_size=None, **options) as connection:
            console = Console(connection)
            if says_hello:
                await console.say({"type": "hello", "beds": beds, "history_s": history_s})
            yield console

    async def frozen_client(self, beds: Sequence[str] | None = None) -> socket.socket:
        """Open a console that says hello and never reads again."""
        loop = asyncio.get_running_loop()
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.setblocking(False)
        await loop.sock_connect(sock, ("127.0.0.1", self.port))
        request = (
            "GET /ws/v1/live HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        await loop.sock_sendall(sock, request.encode())
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            answer += await loop.sock_recv(sock, 1)
        hello = json.dumps({"type": "hello", "beds": beds}).encode()
        # One masked text frame; with a mask of zeros the payload stands as it is (RFC 6455, 5.3).
        assert len(hello) < 126
        await loop.sock_sendall(sock, bytes([0x81, 0x80 | len(hello), 0, 0, 0, 0]) + hello)
        return sock


@dataclass
class Console:
    """The client's end: reads messages, sorted by form."""

    connection: ClientConnection
    seqs: list[int] = field(default_factory=list)

    async def say(self, message: dict[str, Any]) -> None:
        """Send one message."""
        await self.connection.send(json.dumps(message))

    async def ack(self) -> None:
        """Acknowledge all that was read."""
        await self.say({"type": "ack", "seq": self.seqs[-1]})

    async def read(self) -> dict[str, Any] | list[WaveEntry]:
        """Read the next message: JSON as a dict, a wave batch as its entries."""
        async with asyncio.timeout(DEADLINE_S):
            data = await self.connection.recv()
        if isinstance(data, str):
            message: dict[str, Any] = json.loads(data)
            self.seqs.append(message["seq"])
            return message
        seq, _, entries = decode_batch(data)
        self.seqs.append(seq)
        return entries

    async def read_json(self, *, acknowledges: bool = False) -> dict[str, Any]:
        """Read on to the next JSON message."""
        while True:
            message = await self.read()
            if acknowledges:
                await self.ack()
            if isinstance(message, dict):
                return message

    async def read_waves(self) -> list[WaveEntry]:
        """Read on to the next wave batch."""
        while True:
            message = await self.read()
            if isinstance(message, list):
                return message


async def until(is_so: Callable[[], bool]) -> float:
    """Poll until something holds; return the seconds it took, fail at the deadline."""
    start_s = time.monotonic()
    while not is_so():
        assert time.monotonic() - start_s < DEADLINE_S
        await asyncio.sleep(0.01)
    return time.monotonic() - start_s


@asynccontextmanager
async def serving(rig: Rig) -> AsyncIterator[Rig]:
    """Serve a rig on a free port until the block ends."""
    app = create_app(rig.feed, policy=rig.policy, limits=rig.http_limits, static_dir=rig.static_dir)
    server, listener = build_server(app, "127.0.0.1", 0)
    rig.connections = server.server_state.connections
    rig.port = listener.getsockname()[1]
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        await until(lambda: server.started)
        yield rig
    finally:
        await stop(server, task)


async def stop(server: uvicorn.Server, task: "asyncio.Task[None]") -> None:
    """Stop a server and wait until it has."""
    server.should_exit = True
    async with asyncio.timeout(DEADLINE_S):
        await task


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    """Two minutes of one bed, served."""
    async with serving(Rig()) as rig:
        rig.run(120)
        yield rig
