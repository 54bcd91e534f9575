"""The HTTP interface over a real server."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.routing import APIRoute, APIWebSocketRoute
from pydantic import TypeAdapter

from hub.errors import SettingsError, StoreError
from hub.model import Alert, BedEvent, BedView, EventKind, FrameFlag, Lane
from hub.web import examples
from hub.web.access import AccessPolicy, identify
from hub.web.app import create_app
from hub.web.backend import Dependency
from hub.web.limits import HttpLimits
from hub.web.problems import KINDS, ProblemKind
from hub.web.schemas import AlertList, Alive, BedList, Problem, Progress, Ready, SiteList, Strip
from hub.web.server import build_server
from hub.web.span import parse_instant
from hub.web.strip import decimate
from hub.wire import decode_batch, decode_json, decode_wave, encode_json, to_values
from tests.web.conftest import T0_MS, Rig, make_frame, serving

STRIP = "/api/v1/beds/h012/bed3/strip"


async def get_strip(
    rig: Rig, from_: int | str, to: int | str, *, step_ms: int | None = None
) -> dict[str, Any]:
    query = {"from": from_, "to": to} | ({"step_ms": step_ms} if step_ms else {})
    async with rig.http() as http:
        response = await http.get(STRIP, params=query)
    assert response.status_code == 200, response.text
    strip: dict[str, Any] = response.json()
    return strip


async def test_beds_are_listed_with_analysis_and_in_the_form_of_the_model(rig: Rig):
    rig.run(600)
    rig.analyse()
    async with rig.http() as http:
        body = (await http.get("/api/v1/beds")).json()
    assert body["t_ms"] == rig.now_ms
    (bed,) = [decode_json(encode_json(bed), BedView, max_bytes=10**6) for bed in body["beds"]]
    assert bed == rig.pipeline.views(None, now_s=rig.now_s, with_analysis=True)[0]
    assert bed.analysis is not None


async def test_the_strip_is_what_the_frames_hold(rig: Rig):
    strip = await get_strip(rig, T0_MS + 10_000, T0_MS + 70_000)
    ticks = np.arange(40, 280)
    assert (strip["from_ms"], strip["to_ms"], strip["period_ms"]) == (T0_MS + 10_000, T0_MS + 70_000, 250)
    np.testing.assert_array_equal(strip["channels"]["fhr1"], np.round((140 + 5 * np.sin(ticks / 20)) * 4) / 4)
    np.testing.assert_array_equal(strip["channels"]["toco"], np.round((20 + 10 * np.sin(ticks / 90)) * 2) / 2)


async def test_the_strip_takes_iso_times_and_unix_times_alike(rig: Rig):
    iso = await get_strip(rig, "2026-07-29T03:00:10Z", "2026-07-29T12:00:20+09:00")
    assert iso == await get_strip(rig, T0_MS + 10_000, T0_MS + 20_000)


async def test_a_decimated_strip_equals_the_samples_decimated(rig: Rig):
    raw = await get_strip(rig, T0_MS, T0_MS + 121_000)
    thin = await get_strip(rig, T0_MS, T0_MS + 121_000, step_ms=2500)
    for name, values in raw["channels"].items():
        low, high = decimate(np.array(values, np.float64), 10)
        np.testing.assert_array_equal(np.array(thin["channels"][name]["min"], np.float64), low)
        np.testing.assert_array_equal(np.array(thin["channels"][name]["max"], np.float64), high)
    assert len(thin["channels"]["fhr1"]["min"]) == 49


async def test_the_strip_as_wave_frames_is_the_very_bytes_that_came(rig: Rig):
    async with rig.http() as http:
        response = await http.get(
            STRIP, params={"from": T0_MS, "to": T0_MS + 5000}, headers={"accept": "application/vnd.ctg.wave"}
        )
    assert response.headers["content-type"] == "application/vnd.ctg.wave"
    seq, t_ms, entries = decode_batch(response.content)
    assert (seq, t_ms) == (0, rig.now_ms)
    assert entries == [entry for entry, _ in rig.kept[:5]]


async def test_what_was_filled_in_says_when_it_came(rig: Rig):
    entry = rig.push(make_frame(200, flags=FrameFlag.BACKFILL), Lane.FILL)
    rig.events.append(BedEvent(id="e1", kind=EventKind.MARKER, t_ms=T0_MS + 200_500))
    strip = await get_strip(rig, T0_MS + 199_000, T0_MS + 202_000)
    assert strip["late"] == [
        {"from_ms": T0_MS + 200_000, "to_ms": T0_MS + 201_000, "arrived_ms": entry.arrived_ms}
    ]
    assert strip["channels"]["fhr1"][:4] == [None] * 4
    assert [event["id"] for event in strip["events"]] == ["e1"]


async def test_alerts_are_listed_and_can_be_acknowledged_by_a_named_person(rig: Rig):
    rig.run(120, fhr=60.0)
    async with rig.http() as http, rig.client() as console:
        await console.read_json()
        listed = (await http.get("/api/v1/alerts", params={"open": True})).json()["alerts"]
        assert {alert["id"] for alert in listed} == {alert.id for alert in rig.pipeline.alerts()}
        path = f"/api/v1/alerts/{next(a['id'] for a in listed if a['state'] == 'active')}/ack"
        response = await http.post(path, json={"by": " K.M. ", "reason": "at_bedside"})
        assert response.status_code == 200
        alert = decode_json(response.content, Alert)
        assert (alert.acknowledged_by, alert.ack_reason) == ("K.M.", "at_bedside")
        pushed = (await console.read_json())["alerts"]
        assert [(a["id"], a["acknowledged_by"]) for a in pushed] == [(alert.id, "K.M.")]
        again = await http.post(path, json={"by": "K.M.", "reason": "at_bedside"})
        assert Problem.model_validate(again.json()).status == again.status_code == 409


async def test_alerts_can_be_narrowed_to_a_bed(rig: Rig):
    rig.run(120, beds=["bed3", "bed4"], fhr=60.0)
    async with rig.http() as http:
        found = (await http.get("/api/v1/alerts", params={"site": "h012", "bed": "bed4"})).json()["alerts"]
    assert {alert["bed"] for alert in found} == {"bed4"}


PROBLEMS = [
    ("GET", STRIP + "?from=yesterday&to=0", 422, "invalid-request", "query.from"),
    ("GET", STRIP + "?from=2026-07-29T03:00:00&to=0", 422, "invalid-request", "the Z is missing"),
    ("GET", STRIP + "?from=0", 422, "invalid-request", "query.to"),
    ("GET", STRIP + "?from=10000&to=10000", 422, "invalid-request", "query.to: expected a time after"),
    ("GET", STRIP + "?from=0&to=1000&step_ms=300", 422, "invalid-request", "query.step_ms"),
    ("GET", STRIP + "?from=0&to=86400001", 422, "span-too-long", "at most 86400 s without step_ms"),
    ("GET", STRIP + "?from=0&to=259200001&step_ms=10000", 422, "span-too-long", "at most 259200 s with"),
    ("GET", STRIP + "?from=0&to=259200000&step_ms=500", 422, "span-too-long", "at most 50000 steps"),
    ("GET", "/api/v1/beds/h%20012/bed3/strip?from=0&to=1000", 422, "invalid-request", "path.site"),
    ("GET", "/api/v1/beds/h012/bed99/strip?from=0&to=1000", 404, "not-found", "h012/bed99: no such bed"),
    ("GET", "/api/v1/alerts?limit=0", 422, "invalid-request", "query.limit"),
    ("GET", "/api/v1/nothing", 404, "not-found", "/api/v1/nothing"),
    ("PUT", "/api/v1/alerts", 405, "method-not-allowed", "PUT"),
    ("POST", "/api/v1/alerts/h012.bed3.1.x.0/ack", 404, "not-found", "no such alert"),
]


@pytest.mark.parametrize(("method", "path", "status", "kind", "says"), PROBLEMS)
async def test_every_refusal_is_a_problem_that_says_what_and_where(
    rig: Rig, method: str, path: str, status: int, kind: str, says: str
):
    body = {"by": "K.M.", "reason": "watching"} if method == "POST" else None
    async with rig.http() as http:
        response = await http.request(method, path, json=body)
    assert response.headers["content-type"] == "application/problem+json"
    problem = Problem.model_validate(response.json())
    assert (response.status_code, problem.status, problem.type) == (status, status, f"/problems/{kind}")
    assert says in problem.detail
    assert problem.instance == response.request.url.path


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"by": "", "reason": "watching"}, "body.by"),
        ({"by": "K.M.", "reason": "bored"}, "body.reason"),
        ({"by": "K.M."}, "body.reason"),
        ({"by": "K.M.", "reason": "watching", "until": 5}, "body.until"),
        ("watching", "body"),
    ],
)
async def test_an_acknowledgement_needs_a_name_and_a_reason(rig: Rig, body: object, where: str):
    async with rig.http() as http:
        response = await http.post("/api/v1/alerts/h012.bed3.1.x.0/ack", json=body)
    problem = Problem.model_validate(response.json())
    assert problem.status == 422
    assert problem.errors is not None
    assert [fault.where for fault in problem.errors] == [where]


@pytest.mark.parametrize(
    ("error", "status"), [(StoreError("no route"), 503), (TimeoutError(), 504), (RuntimeError("secret"), 500)]
)
async def test_a_failing_database_is_a_problem_that_tells_nothing_of_the_inside(
    rig: Rig, error: Exception, status: int
):
    rig.fail_strip = error
    async with rig.http() as http:
        response = await http.get(STRIP, params={"from": 0, "to": 1000})
    assert Problem.model_validate(response.json()).status == response.status_code == status
    assert "secret" not in response.text


async def test_a_database_that_hangs_is_not_waited_for():
    async with serving(Rig(http_limits=HttpLimits(answer_s=0.2))) as rig:
        rig.run(1)

        async def hang(*_: object) -> Any:
            await asyncio.get_running_loop().create_future()

        object.__setattr__(rig.feed.backend, "read_strip", hang)
        async with rig.http() as http:
            response = await http.get(STRIP, params={"from": 0, "to": 1000})
        assert response.json()["type"] == "/problems/timeout"


async def test_of_a_body_of_any_size_no_more_than_its_bound_is_read(rig: Rig):
    async def long() -> AsyncIterator[bytes]:
        for _ in range(200):
            yield b" " * 10_000

    async with rig.http() as http:
        response = await http.post(
            "/api/v1/alerts/x/ack", content=long(), headers={"Content-Type": "application/json"}
        )
        assert (response.status_code, response.json()["type"]) == (400, "/problems/bad-request")
        assert "at most 16384 bytes" in response.json()["detail"]


async def test_a_page_of_a_foreign_origin_may_not_acknowledge(rig: Rig):
    async with rig.http() as http:
        response = await http.post(
            "/api/v1/alerts/x/ack",
            json={"by": "K.M.", "reason": "watching"},
            headers={"origin": "http://evil.example"},
        )
    assert (response.status_code, response.json()["type"]) == (403, "/problems/foreign-origin")


async def test_a_name_that_is_not_the_hubs_is_not_answered():
    async with (
        serving(Rig(policy=AccessPolicy(hosts=frozenset({"ctg.example.jp"})))) as rig,
        rig.http() as http,
    ):
        refused = await http.get("/api/v1/beds", headers={"host": "rebound.evil.example"})
        assert (refused.status_code, refused.json()["type"]) == (421, "/problems/unknown-host")
        assert (await http.get("/api/v1/beds", headers={"host": "ctg.example.jp"})).status_code == 200


async def test_readiness_names_what_is_missing(rig: Rig):
    async with rig.http() as http:
        assert (await http.get("/readyz")).json()["is_ready"] is True
        rig.dependencies["database"] = Dependency(is_ok=False, detail="connection refused")
        response = await http.get("/readyz")
    assert response.status_code == 503
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["detail"] == "not ready: database"
    assert response.json()["dependencies"]["database"]["detail"] == "connection refused"


async def test_life_progress_and_metrics_can_be_watched(rig: Rig):
    async with rig.http() as http, rig.client() as console:
        await console.read_json()
        assert Alive.model_validate((await http.get("/livez")).json()).t_ms == rig.now_ms
        progress = Progress.model_validate((await http.get("/progress")).json())
        assert progress.stages["second"].last_item_ms == rig.now_ms
        metrics = (await http.get("/metrics")).text
    assert "ctg_live_clients 1.0" in metrics.splitlines()


async def test_files_have_their_type_and_are_asked_for_anew(tmp_path: Path):
    (tmp_path / "js").mkdir()
    (tmp_path / "index.html").write_text("<!doctype html><title>x</title>")
    (tmp_path / "js" / "main.js").write_text("export const x = 1;")
    (tmp_path / "texts.json").write_text("{}")
    async with serving(Rig(static_dir=tmp_path)) as rig, rig.http() as http:
        for path, media_type in {
            "/": "text/html; charset=utf-8",
            "/js/main.js": "text/javascript; charset=utf-8",
            "/texts.json": "application/json",
        }.items():
            response = await http.get(path)
            assert (response.status_code, response.headers["content-type"]) == (200, media_type)
            assert response.headers["cache-control"] == "no-cache"
            again = await http.get(path, headers={"if-none-match": response.headers["etag"]})
            assert again.status_code == 304
        assert (await http.get("/../app.py")).status_code == 404
        assert (await http.get("/js/%2e%2e/%2e%2e/secret")).status_code == 404


@pytest.mark.parametrize("path", ["/", "/api/v1/beds", "/api/v1/nothing", "/livez"])
async def test_every_answer_keeps_the_browser_strict(rig: Rig, path: str):
    async with rig.http() as http:
        headers = (await http.get(path)).headers
    assert "default-src 'self'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert "server" not in headers
    assert headers["cache-control"] == ("no-cache" if path == "/" else "no-store")


def test_every_route_takes_its_caller_from_the_one_place():
    app = create_app(Rig().feed)
    open_paths = {"/livez", "/readyz", "/progress", "/metrics"}
    checked = set()
    for route in _routes(app.routes):
        calls = {dependency.call for dependency in route.dependant.dependencies}
        assert (identify in calls) == (route.path not in open_paths), route.path
        checked.add(route.path)
    assert {"/api/v1/beds", "/ws/v1/live"} <= checked


def _routes(routes: Any) -> Iterator[APIRoute | APIWebSocketRoute]:
    for route in routes:
        if isinstance(route, APIRoute | APIWebSocketRoute):
            yield route
        elif hasattr(route, "original_router"):
            yield from _routes(route.original_router.routes)


SCHEMAS: dict[str, Any] = {
    "/livez": Alive,
    "/readyz": Ready,
    "/progress": Progress,
    "/api/v1/beds": BedList,
    "/api/v1/sites": SiteList,
    "/api/v1/beds/{site}/{bed}/strip": Strip,
    "/api/v1/alerts": AlertList,
    "/api/v1/alerts/{alert_id}/ack": Alert,
}


async def test_openapi_has_an_example_for_every_answer_and_each_fits_its_schema(rig: Rig):
    async with rig.http() as http:
        document = (await http.get("/openapi.json")).json()
    assert document["openapi"].startswith("3.1")
    for reference in _references(document):
        node: Any = document
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]
    seen = set()
    for path, operations in document["paths"].items():
        for operation in operations.values():
            for status, answer in operation["responses"].items():
                for media_type, content in answer["content"].items():
                    assert "example" in content, (path, status, media_type)
                    if int(status) >= 400:
                        assert media_type == "application/problem+json"
                        Problem.model_validate(content["example"])
                    elif media_type == "application/json":
                        TypeAdapter(SCHEMAS[path]).validate_python(content["example"])
                        seen.add(path)
    assert seen == set(SCHEMAS)


def _references(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)


def test_every_kind_of_problem_has_its_status_and_title():
    assert set(KINDS) == set(ProblemKind)
    assert all(400 <= status < 600 and title for status, title in KINDS.values())


@pytest.mark.parametrize(
    ("text", "t_ms"),
    [("0", 0), ("2026-07-29T03:00:00Z", T0_MS), ("2026-07-29T03:00:00.250+00:00", T0_MS + 250)],
)
def test_an_instant_is_read_in_either_form(text: str, t_ms: int):
    assert parse_instant(text) == t_ms


def test_a_port_that_is_taken_is_told_in_one_sentence():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(SettingsError, match=f"port {port}: the port is in use by another program"):
            build_server(create_app(Rig().feed), "127.0.0.1", port)


def test_an_address_that_is_not_this_machines_is_told_in_one_sentence():
    with pytest.raises(SettingsError, match=r"192\.0\.2\.1 port 0: cannot be opened"):
        build_server(create_app(Rig().feed), "192.0.2.1", 0)


async def test_wave_frames_of_a_strip_decode_to_its_samples(rig: Rig):
    strip = await get_strip(rig, T0_MS, T0_MS + 120_000)
    frames = [decode_wave(e.payload, site=e.site, bed=e.bed) for e, _ in rig.kept]
    expected = np.concatenate([to_values(frame.channels[0]) for frame in frames])
    np.testing.assert_array_equal(strip["channels"]["fhr1"], expected)


async def test_sites_are_listed_with_what_their_agents_say(rig: Rig):
    rig.sites = [examples.SITE]
    async with rig.http() as http:
        body = (await http.get("/api/v1/sites")).json()
    assert body == {"t_ms": rig.now_ms, "sites": examples.SITES["sites"]}
