"""The link against the real server with the real pipeline."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

import pytest
from PySide6.QtCore import QCoreApplication, QObject, Slot
from PySide6.QtWidgets import QApplication

from hub.model import Alert, Channel
from hub.web.app import STATIC_DIR, create_app
from hub.web.server import build_server
from hub.wire import decode_json
from tests.web.conftest import Rig, serving, stop, until
from viewer.link import Answer, HubLink, Joined, News, Said, Waves, monotonic_s
from viewer.records import strip_path
from viewer.state import Wall

KEY = "h012/bed3"


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    """Two minutes of one bed, served."""
    async with serving(Rig()) as served:
        served.run(120)
        yield served


class Reader(QObject):
    """Empties a link into a wall, as the window does."""

    def __init__(self, link: HubLink) -> None:
        super().__init__()
        self.link = link
        self.wall = Wall()
        self.answers: list[Answer] = []
        self.n_joined = 0
        self.signals = 0
        link.arrived.connect(self.count)

    @Slot()
    def count(self) -> None:
        self.signals += 1

    def read(self) -> bool:
        for news in self.link.take():
            self.push(news)
        return True

    def push(self, news: News) -> None:
        if isinstance(news, Joined):
            self.n_joined += 1
            self.wall.join(news.greeted_s)
        elif isinstance(news, Said):
            self.wall.push_message(news.message, news.now_s)
        elif isinstance(news, Waves):
            self.wall.push_waves(news.entries, news.t_ms, news.now_s)
        else:
            self.answers.append(news)

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Read on until something holds."""
        await until(lambda: self.read() and is_so())


def has(reader: Reader, *, n_joined: int, held_s: float) -> bool:
    """Whether a reader has joined so often and holds so much."""
    return reader.n_joined == n_joined and seconds_held(reader) >= held_s


@asynccontextmanager
async def linked(port: int) -> AsyncIterator[Reader]:
    link = HubLink(f"http://127.0.0.1:{port}")
    link.start()
    reader = Reader(link)
    try:
        yield reader
    finally:
        await asyncio.to_thread(link.stop)
        # A signal sent from another thread waits in Qt's queue: it is delivered while its objects live.
        QCoreApplication.processEvents()


def seconds_held(reader: Reader) -> float:
    """Seconds of FHR in the ring of the bed."""
    bed = reader.wall.beds.get(KEY)
    if bed is None or bed.ring.head_ms is None:
        return 0.0
    samples = bed.ring.read(bed.ring.head_ms - 1_200_000, bed.ring.head_ms)
    return float((samples.channel(Channel.FHR1) > 0).sum() / 4)


@pytest.mark.usefixtures("app")
async def test_a_console_that_joins_has_every_bed_and_its_history(rig: Rig):
    async with linked(rig.port) as reader:
        await reader.until(lambda: seconds_held(reader) >= 120)
        assert reader.wall.bed_keys() == [KEY]
        assert reader.wall.rejected == 0


@pytest.mark.usefixtures("app")
async def test_live_seconds_arrive_and_keep_the_bed_young(rig: Rig):
    async with linked(rig.port) as reader:
        await reader.until(lambda: seconds_held(reader) >= 120)
        rig.run(1)
        await reader.until(lambda: seconds_held(reader) >= 121)
        age_s = reader.wall.beds[KEY].age_s(monotonic_s())
        assert age_s is not None
        assert age_s < 3
        assert not reader.wall.is_dark(monotonic_s())


@pytest.mark.usefixtures("app")
async def test_only_what_the_window_took_is_acknowledged(rig: Rig):
    async with linked(rig.port) as reader:
        await until(lambda: len(rig.feed.clients) == 1)
        await until(lambda: rig.oldest_unacknowledged_s() > 1.2)  # the window has taken nothing
        await reader.until(lambda: rig.oldest_unacknowledged_s() == 0)


@pytest.mark.usefixtures("app")
async def test_after_a_restart_of_the_hub_the_link_comes_back_by_itself():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    async with linked(port) as reader:
        # Two hubs one after the other on the address the console was given.
        for boot in (1, 2):
            async with serving_at(port) as rig:
                rig.run(30 * boot)
                await reader.until(partial(has, reader, n_joined=boot, held_s=30 * boot))
        late_ms = reader.wall.beds[KEY].ring.read(rig.now_ms - 60_000, rig.now_ms).late_ms
        assert (late_ms[:120] == 0).all()  # seen live
        assert (late_ms[120:] > 0).all()  # missed while the hub was away


@asynccontextmanager
async def serving_at(port: int) -> AsyncIterator[Rig]:
    """Serve a hub without broker and database on a given port."""
    rig = Rig()
    app = create_app(rig.feed, policy=rig.policy, limits=rig.http_limits, static_dir=STATIC_DIR)
    server, listener = build_server(app, "127.0.0.1", port)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        await until(lambda: server.started)
        yield rig
    finally:
        await stop(server, task)


@pytest.mark.usefixtures("app")
async def test_a_past_strip_comes_over_http(rig: Rig):
    async with linked(rig.port) as reader:
        reader.link.ask("past", strip_path(KEY, rig.now_ms - 60_000, rig.now_ms))
        await reader.until(lambda: bool(reader.answers))
        (answer,) = reader.answers
        assert (answer.token, answer.error) == ("past", None)
        assert b'"fhr1"' in answer.body


@pytest.mark.usefixtures("app")
async def test_a_refusal_says_why(rig: Rig):
    async with linked(rig.port) as reader:
        reader.link.ask("none", strip_path("h012/bed99", rig.now_ms - 60_000, rig.now_ms))
        await reader.until(lambda: bool(reader.answers))
        assert (reader.answers[0].error or "").startswith("404 ")


@pytest.mark.usefixtures("app")
async def test_an_acknowledgement_reaches_the_hub_and_comes_back():
    async with serving(Rig()) as rig:
        rig.run(90, fhr=60.0)
        async with linked(rig.port) as reader:
            await reader.until(lambda: bool(reader.wall.unacknowledged()))
            alert = reader.wall.unacknowledged()[0]
            path = f"/api/v1/alerts/{alert.id}/ack"
            reader.link.ask("ack", path, body={"by": "K.M.", "reason": "at_bedside"})
            await reader.until(lambda: bool(reader.answers) and bool(reader.wall.acknowledged()))
            assert decode_json(reader.answers[0].body, Alert).acknowledged_by == "K.M."
            assert rig.pipeline.alerts()[0].ack_reason == "at_bedside"


@pytest.mark.usefixtures("app")
async def test_a_hub_that_is_not_there_is_an_error_not_an_end():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    async with linked(port) as reader:
        reader.link.ask("x", "/api/v1/beds")
        await reader.until(lambda: bool(reader.answers))
        assert reader.answers[0].error
        assert reader.wall.is_dark(monotonic_s())


@pytest.mark.parametrize("address", ["ftp://hub", "http://", "", "http://:8000"])
def test_an_address_that_cannot_be_a_hub_is_refused(address: str):
    with pytest.raises(ValueError, match="hub address"):
        HubLink(address)


def test_the_window_is_told_when_something_came(app: QApplication):
    link = HubLink("http://127.0.0.1:9")
    reader = Reader(link)
    link.ask("x", "/")  # nothing listens there: the answer is an error
    for _ in range(1000):
        app.processEvents()
        if reader.signals:
            break
        link.thread().msleep(5)
    link.stop()
    assert reader.signals == 1
