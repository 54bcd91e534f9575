"""A hub whose database is away when it starts shows and alarms all the same, and takes up what was stored."""

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import aiomqtt
import httpx
import numpy as np
import pytest
from pydantic import SecretStr

from hub import app
from hub.database import cancel
from hub.model import (
    Alert,
    AlertPath,
    AlertState,
    AlertTransition,
    Channel,
    FrameFlag,
    Lane,
    MonitorStatus,
    Priority,
    Transducer,
    WaveFrame,
)
from hub.settings import Settings
from hub.stages import Clock
from hub.store.embedded import EmbeddedPostgres, _processes_in
from hub.store.rows import FrameRow
from hub.store.store import FOREVER_MS, Store
from hub.wire import TopicKind, encode_wave, samples_from_values, topic
from tests.device_sim.conftest import Mosquitto
from tests.store.conftest import folder_for_postgres

pytestmark = pytest.mark.system

BED = ("h1", "b1")
STORED_S = 60
WITHIN_S = 20.0


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    one = Mosquitto(tmp_path)
    one.start()
    yield one
    one.kill()


@pytest.fixture
def folder() -> Iterator[Path]:
    with folder_for_postgres() as made:
        yield made
        for pid in _processes_in(made / "postgres" / "postgres" / "data"):
            os.kill(pid, signal.SIGKILL)


def frame(seq: int, t0_ms: int, *, epoch: int) -> WaveFrame:
    block = samples_from_values(Channel.FHR1, np.full(4, 141.0), transducer=Transducer.ULTRASOUND)
    return WaveFrame(*BED, epoch, seq, t0_ms, 250, 4, FrameFlag.NONE, MonitorStatus.ON, (block,))


async def fill(dsn: str, now_ms: int) -> Alert:
    """Store what a former hub has left: a minute of a bed, and an alert that is open."""
    store = await Store.open(dsn)
    rows = []
    for seq in range(STORED_S):
        one = frame(seq, now_ms - 1000 * (STORED_S + 5 - seq), epoch=1)
        rows.append(FrameRow(*BED, 1, seq, one.t0_ms, one.end_ms, Lane.LIVE, one.end_ms, encode_wave(one)))
    await store.append_frames(rows)
    alert = Alert(
        id="h1.b1.1.rate_alternating.5",
        site="h1",
        bed="b1",
        fetus=1,
        rule="of_an_older_hub",
        path=AlertPath.RAW_RATE,
        priority=Priority.HIGH,
        state=AlertState.ACTIVE,
        is_present=True,
        onset_ms=now_ms - 9000,
        raised_ms=now_ms - 8000,
        changed_ms=now_ms - 8000,
    )
    step = AlertTransition(
        alert=alert, from_state=AlertState.CLEAR, to_state=AlertState.ACTIVE, cause="onset", t_ms=now_ms
    )
    await store.save_transitions([step])
    await store.close()
    return alert


def settings_for(folder: Path, broker: Mosquitto, dsn: str | None) -> Settings:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    url = None if dsn is None else SecretStr(dsn)
    return Settings.model_validate(
        {"mqtt_port": broker.port, "http_port": port, "data_dir": folder, "database_url": url}
    )


@contextlib.asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    hub = asyncio.create_task(app._work(settings))
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{settings.http_port}", timeout=5) as http:
        try:
            yield http
            if hub.done():
                await hub
        finally:
            await cancel(hub)


async def until(what: str, holds: Callable[[], Any], within_s: float = WITHIN_S) -> Any:
    """Ask until the answer is true, and give it."""
    for _ in range(round(within_s / 0.1)):
        with contextlib.suppress(httpx.HTTPError):
            if answer := await holds():
                return answer
        await asyncio.sleep(0.1)
    pytest.fail(f"not within {within_s:g} s: {what}")


async def test_live_pictures_and_alerts_do_not_wait_for_the_database(
    broker: Mosquitto,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    monkeypatch.setattr(app, "HEAD_START_S", 0.5)
    server = EmbeddedPostgres(folder / "postgres")
    await asyncio.to_thread(server.start)
    clock = Clock()
    stored = await fill(server.dsn, clock.now_ms())
    await asyncio.to_thread(server.stop)
    async with running(settings_for(tmp_path, broker, server.dsn)) as http:

        async def restore() -> dict[str, Any]:
            stage: dict[str, Any] = (await http.get("/progress")).json()["stages"]["restore"]
            return stage

        async def hears_broker() -> bool:
            answer = await http.get("/readyz")
            assert answer.status_code == 503
            return bool(answer.json()["dependencies"]["broker"]["is_ok"])

        async def shown() -> float | None:
            beds = (await http.get("/api/v1/beds")).json()["beds"]
            rate: float | None = beds[0]["vitals"]["fetuses"][0]["fhr_bpm"] if beds else None
            return rate

        async def alerts() -> list[str]:
            return [
                one["rule"]
                for one in (await http.get("/api/v1/alerts", params={"open": True})).json()["alerts"]
            ]

        async def is_silent() -> bool:
            return "silent" in await alerts()

        async def is_back() -> bool:
            return bool((await restore())["pending"] == 0)

        await until("the hub to say what it waits for", restore)
        assert (await restore())["waits_for"] == "the database"
        await until("the hub to hear the broker", hears_broker)
        now_ms = clock.now_ms()
        async with aiomqtt.Client("127.0.0.1", broker.port) as site:
            for seq in range(3):
                one = frame(seq, now_ms - 1000 * (3 - seq), epoch=2)
                await site.publish(topic(*BED, TopicKind.WAVE_LIVE), encode_wave(one), qos=1)
        assert await until("the live rate", shown) == 141.0
        await until("the alert of a bed that fell silent", is_silent)
        assert (await restore())["waits_for"] == "the database"

        await asyncio.to_thread(server.start)
        await until("the stored state to be back", is_back)
        assert (await restore())["waits_for"] is None
        assert {"silent", stored.rule} <= set(await alerts())
        async with contextlib.AsyncExitStack() as stack:
            store = await Store.open(server.dsn)
            stack.push_async_callback(store.close)

            async def is_stored() -> bool:
                rows = await store.read_frames(*BED, 0, FOREVER_MS)
                rules = {alert.rule for alert in await store.read_open_alerts()}
                return len(rows) == STORED_S + 3 and rules == {"silent", stored.rule}

            await until("frames and alerts of the outage in the database", is_stored)
    assert caplog.text.count("waiting for the database") == 1
    assert f"restored 1 beds from {STORED_S} frames" in caplog.text
    await asyncio.to_thread(server.stop)


async def test_a_server_that_is_killed_while_the_hub_starts_is_started_again(
    broker: Mosquitto, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = folder / "postgres" / "postgres" / "data"
    server = EmbeddedPostgres(folder / "postgres")
    await asyncio.to_thread(server.start)
    await asyncio.to_thread(server.stop)
    async with running(settings_for(folder, broker, None)) as http:

        async def kill() -> bool:
            found = _processes_in(data)
            for pid in found:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            return bool(found) and "waiting for the database" in caplog.text

        async def is_ready() -> bool:
            return (await http.get("/readyz")).status_code == 200

        await until("the killed server to be noticed", kill)
        await until("the hub to be ready all the same", is_ready)
    assert "PostgreSQL did not start" in caplog.text or "cannot be" in caplog.text
