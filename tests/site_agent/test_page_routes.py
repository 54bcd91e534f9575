"""What the site's own page is asked over HTTP, of a real agent without its line."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from hub.model import Advice, Alert, AlertPath, AlertState, Priority
from hub.wire import decode_wave
from site_agent.agent import Agent
from site_agent.config import PageConfig
from site_agent.page_source import AgentSource, keep_page, open_page
from tests.site_agent.rig import free_port
from tests.site_agent.test_agent_view import config, running, until

__all__ = ["config"]

pytestmark = pytest.mark.system

STRIP = "/api/v1/beds/h012/bed1/strip"


@contextlib.asynccontextmanager
async def page_of(agent: Agent) -> AsyncIterator[httpx.AsyncClient]:
    port = free_port()
    task = asyncio.create_task(keep_page(agent, PageConfig(port=port)))
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=5) as client:
            async with asyncio.timeout(10):
                while True:
                    with contextlib.suppress(httpx.TransportError):
                        await client.get("/livez")
                        break
                    await asyncio.sleep(0.05)
            yield client
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def ask(page: httpx.AsyncClient, path: str, **query: Any) -> Any:
    response = await page.get(path, params=query)
    assert response.status_code == 200, response.text
    return response.json()


async def test_the_page_gives_its_console_strips_beds_alerts_and_the_state_of_the_site(config: Path) -> None:
    async with running(config) as agent, page_of(agent) as page:
        await until(lambda: agent.snapshot().backlog_frames >= 4)
        index = await page.get("/")
        assert '<html data-role="site"' in index.text
        assert "script-src 'self'" in index.headers["content-security-policy"]
        assert (await page.get("/js/app.js")).headers["content-type"].startswith("text/javascript")
        now_ms = round(agent.clock.now_ms())
        strip = await ask(page, STRIP, **{"from": now_ms - 60_000, "to": now_ms})
        assert sum(value is not None for value in strip["channels"]["fhr1"]) >= 12
        coarse = await ask(page, STRIP, **{"from": now_ms - 60_000, "to": now_ms, "step_ms": 1000})
        assert len(coarse["channels"]["fhr1"]["min"]) in (60, 61)
        assert [bed["bed"] for bed in (await ask(page, "/api/v1/beds"))["beds"]] == ["bed1"]
        assert (await ask(page, "/api/v1/alerts", limit=9, bed="bed1"))["alerts"] == []
        assert (await ask(page, "/api/v1/site"))["link"] == "no_broker"


async def test_advice_is_confirmed_by_a_named_person(config: Path) -> None:
    async with running(config) as agent, page_of(agent) as page:
        agent._uplink.on_advice("bed1", Advice(id="a1", t_ms=5, author="Dr. Sato", text="左側臥位"))
        assert (await page.post("/api/v1/advice/a1/confirm", json={"by": " "})).status_code == 422
        said = (await page.post("/api/v1/advice/a1/confirm", json={"by": " 田中 "})).json()
        assert said["advice"][0]["confirmed_by"] == "田中"


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", f"{STRIP}?from=5", None, 422),
        ("GET", f"{STRIP}?from=yesterday&to=5", None, 422),
        ("GET", f"{STRIP}?from=5&to=5", None, 422),
        ("GET", f"{STRIP}?from=0&to=999999999999", None, 422),
        ("GET", f"{STRIP}?from=0&to=1000&step_ms=333", None, 422),
        ("GET", "/api/v1/beds/h012/bed9/strip?from=0&to=1000", None, 404),
        ("GET", "/api/v1/alerts?limit=many", None, 422),
        ("GET", "/api/v1/nothing", None, 404),
        ("GET", "/../agent.toml", None, 404),
        ("POST", "/api/v1/advice/a1/confirm", '{"by": "K.M."}', 404),
        ("POST", "/api/v1/alerts/x/ack", '{"by": "K.M.", "reason": "watching"}', 404),
        ("POST", "/api/v1/alerts/x/ack", '{"by": "K.M.", "reason": "bored"}', 422),
        ("POST", "/api/v1/alerts/x/ack", '{"by": "K.M."', 422),
        ("POST", "/api/v1/alerts/x/ack", "x" * 20_000, 400),
    ],
)
async def test_bad_requests_are_told_what_was_expected(
    page: httpx.AsyncClient, method: str, path: str, body: str | None, status: int
) -> None:
    response = await page.request(method, path, content=body)
    assert response.status_code == status, response.text
    problem = response.json()
    assert problem["status"] == status
    assert problem["detail"]
    assert response.headers["content-type"] == "application/problem+json"


@pytest.fixture
async def page(config: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with running(config) as agent, page_of(agent) as page:
        yield page


async def test_a_page_of_another_origin_changes_nothing(page: httpx.AsyncClient) -> None:
    evil = {"origin": "https://elsewhere.example"}
    response = await page.post("/api/v1/alerts/x/ack", json={"by": "x", "reason": "watching"}, headers=evil)
    assert response.status_code == 403
    assert (await page.get("/", headers={"host": "elsewhere.example"})).status_code == 421


async def test_the_page_of_an_agent_that_starts_again_begins_where_the_last_one_ended(config: Path) -> None:
    async with running(config) as agent:
        await until(lambda: agent.snapshot().backlog_frames >= 4)
        epoch = agent.snapshot().epoch
        alert = Alert(
            id="h012.bed1.0.silent.5",
            site="h012",
            bed="bed1",
            fetus=None,
            rule="silent",
            path=AlertPath.TECHNICAL,
            priority=Priority.LOW,
            state=AlertState.LATCHED,
            is_present=False,
            onset_ms=5,
            raised_ms=6,
            changed_ms=7,
        )
        await AgentSource(agent).keep_alerts([alert])
    async with running(config) as again:
        page = open_page(again)
        await page.restore()
        assert await AgentSource(again).read_alerts() == [alert]
        assert list(page.feed.backend.alerts()) == [alert]
        entries = page.feed.backend.recent_waves(("h012", "bed1"), 600)
        seqs = [
            (frame.epoch, frame.seq)
            for frame in (decode_wave(entry.payload, site="h012", bed="bed1") for entry in entries)
        ]
        assert seqs[:4] == [(epoch, seq) for seq in range(4)]
        assert len(seqs) == len(set(seqs))
