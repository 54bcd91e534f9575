"""The HTTP face of the site's own page: what its console asks for, and no more.

Plain Starlette: the hub's interface with its documents would take a fifth of the memory
that the agent has.  Paths, answers and refusals are those of docs/api.md.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, Final, NoReturn, TypeVar

import msgspec
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.websockets import WebSocket

from hub.model import AckReason
from hub.web.access import AccessPolicy, Gate, identify
from hub.web.assets import STATIC_DIR, ConsoleFiles, StrictHeaders
from hub.web.limits import HttpLimits
from hub.web.live import Feed
from hub.web.problems import Fault, ProblemError, ProblemKind, install_problem_handlers
from hub.web.session import LiveSession
from hub.web.span import check_span, parse_instant
from hub.web.strip import render_strip, snap_span
from hub.wire import encode_json

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
T = TypeVar("T")

_LEAST_STEP_MS: Final = 500
_STEP_MS: Final = 250


class AckRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Who acknowledges, and why the alert may rest."""

    by: Name
    reason: AckReason


class ConfirmRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Who has read the advice."""

    by: Name


def build_site_app(
    feed: Feed,
    *,
    site_now: Callable[[], object],
    confirm_advice: Callable[[str, str], Awaitable[None]],
    policy: AccessPolicy | None = None,
) -> Starlette:
    """Build the application; serve it with `hub.web.server.build_server`."""
    routes = _Routes(feed, site_now, confirm_advice)
    app = Starlette(
        routes=[
            Route("/", routes.index),
            Route("/livez", routes.livez),
            Route("/api/v1/site", routes.site),
            Route("/api/v1/beds", routes.beds),
            Route("/api/v1/beds/{site}/{bed}/strip", routes.strip),
            Route("/api/v1/alerts", routes.alerts),
            Route("/api/v1/alerts/{alert_id}/ack", routes.acknowledge, methods=["POST"]),
            Route("/api/v1/advice/{advice_id}/confirm", routes.confirm, methods=["POST"]),
            WebSocketRoute("/ws/v1/live", routes.live),
            Mount("/", ConsoleFiles(directory=STATIC_DIR, html=True), name="console"),
        ],
        middleware=[Middleware(StrictHeaders), Middleware(Gate, policy=policy or AccessPolicy())],
    )
    install_problem_handlers(app)
    return app


class _Routes:
    def __init__(
        self,
        feed: Feed,
        site_now: Callable[[], object],
        confirm_advice: Callable[[str, str], Awaitable[None]],
    ) -> None:
        self._feed = feed
        self._backend = feed.backend
        self._site_now = site_now
        self._confirm_advice = confirm_advice
        self._limits = HttpLimits()
        self._renders = asyncio.Semaphore(self._limits.renders)
        page = (STATIC_DIR / "index.html").read_text(encoding="utf-8")
        self._page = page.replace("<html ", '<html data-role="site" ', 1)

    async def index(self, _: Request) -> Response:
        return HTMLResponse(self._page, headers={"cache-control": "no-cache"})

    async def live(self, websocket: WebSocket) -> None:
        await LiveSession(websocket, self._feed, identify(websocket)).run()

    async def livez(self, _: Request) -> Response:
        """Answer, which shows that the event loop turns."""
        backend = self._backend
        return _json({"status": "alive", "boot_id": backend.boot_id, "t_ms": backend.now_ms()})

    async def site(self, _: Request) -> Response:
        """Say how the site's link, outbox, clock and advice stand."""
        return _json(self._site_now())

    async def beds(self, _: Request) -> Response:
        """List the beds as they stand now."""
        return _json({"t_ms": self._backend.now_ms(), "beds": self._backend.views(None, True)})

    async def strip(self, request: Request) -> Response:
        """Read one bed over a span."""
        site, bed = request.path_params["site"], request.path_params["bed"]
        from_ms, to_ms = (_read(request, name, parse_instant) for name in ("from", "to"))
        if from_ms is None or to_ms is None:
            _refuse("query", "from and to", request.url.query)
        step_ms = _read(request, "step_ms", _parse_step)
        check_span(from_ms, to_ms, step_ms, self._limits)
        from_ms, to_ms = snap_span(from_ms, to_ms)
        async with self._renders:
            try:
                data = await self._answer(self._backend.read_strip(site, bed, from_ms, to_ms))
            except KeyError:
                raise ProblemError(ProblemKind.NOT_FOUND, f"{site}/{bed}: no such bed") from None
            body = await asyncio.to_thread(render_strip, site, bed, from_ms, to_ms, data, step_ms=step_ms)
        return Response(body, media_type="application/json")

    async def alerts(self, request: Request) -> Response:
        """List alerts and how they stand, newest first."""
        limit = _read(request, "limit", int)
        asked = request.query_params
        found = await self._backend.read_alerts(
            open_only=True,
            limit=min(max(200 if limit is None else limit, 1), self._limits.alerts),
            site=asked.get("site"),
            bed=asked.get("bed"),
        )
        return _json({"alerts": found})

    async def acknowledge(self, request: Request) -> Response:
        """Acknowledge an alert: a named person knows, and says why it may rest."""
        alert_id, body = request.path_params["alert_id"], await _body(request, AckRequest)
        try:
            alert = await self._answer(self._backend.acknowledge(alert_id, body.by.strip(), body.reason))
        except KeyError:
            raise ProblemError(ProblemKind.NOT_FOUND, f"{alert_id}: no such alert, or it is clear") from None
        except ValueError as error:
            raise ProblemError(ProblemKind.CONFLICT, f"{alert_id}: {error}") from error
        return _json(alert)

    async def confirm(self, request: Request) -> Response:
        """Tell the centre that a named person has read its advice."""
        advice_id, body = request.path_params["advice_id"], await _body(request, ConfirmRequest)
        try:
            await self._answer(self._confirm_advice(advice_id, body.by.strip()))
        except KeyError:
            raise ProblemError(ProblemKind.NOT_FOUND, f"{advice_id}: no such advice here") from None
        return await self.site(request)

    async def _answer(self, question: Awaitable[T]) -> T:
        async with asyncio.timeout(self._limits.answer_s):
            return await question


def _json(message: object) -> Response:
    return Response(encode_json(message), media_type="application/json")


def _refuse(where: str, expected: str, came: str) -> NoReturn:
    fault = Fault(where=where, expected=expected, came=came)
    raise ProblemError(ProblemKind.INVALID_REQUEST, f"{where}: expected {expected}, got {came}", [fault])


def _read(request: Request, name: str, parse: Callable[[str], int]) -> int | None:
    """Read a number of the query; None where it is not given."""
    text = request.query_params.get(name)
    if text is None:
        return None
    try:
        return parse(text)
    except ValueError as error:
        expected = str(error).removeprefix("expected ") if parse is not int else "a whole number"
        _refuse(f"query.{name}", expected, repr(text[:80]))


def _parse_step(text: str) -> int:
    if not text.isdecimal() or int(text) < _LEAST_STEP_MS or int(text) % _STEP_MS:
        msg = f"expected a multiple of {_STEP_MS}, at least {_LEAST_STEP_MS}"
        raise ValueError(msg)
    return int(text)


async def _body(request: Request, form: type[T]) -> T:
    """Read the body of a request."""
    try:
        body = msgspec.json.decode(await request.body(), type=form)
    except msgspec.DecodeError as error:
        _refuse("body", f"{form.__name__} in JSON", str(error))
    if not str(getattr(body, "by", "")).strip():
        _refuse("body.by", "the name of a person", "none")
    return body
