"""The routes under `/api/v1`."""

import asyncio
from collections.abc import Awaitable
from typing import Annotated, Final, TypeVar

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.openapi.models import Example
from fastapi.responses import Response
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from hub.model import AckReason, Alert
from hub.web import examples
from hub.web.access import Caller, identify
from hub.web.backend import Backend
from hub.web.limits import HttpLimits
from hub.web.problems import ProblemError, ProblemKind
from hub.web.schemas import AlertList, BedList, SiteList, Strip, described
from hub.web.span import check_span, parse_instant
from hub.web.strip import render_strip, select_entries, snap_span
from hub.wire import encode_batch, encode_json

WAVE_TYPE: Final = "application/vnd.ctg.wave"
_NAME_PATTERN: Final = "^[A-Za-z0-9_-]{1,32}$"

T = TypeVar("T")


CallerOf = Annotated[Caller, Depends(identify)]
Instant = Annotated[
    int,
    BeforeValidator(parse_instant),
    Field(ge=0, le=7_258_118_400_000),
    WithJsonSchema({"anyOf": [{"type": "string", "format": "date-time"}, {"type": "integer", "minimum": 0}]}),
]
SiteName = Annotated[str, Path(pattern=_NAME_PATTERN, examples=["h012"])]
BedName = Annotated[str, Path(pattern=_NAME_PATTERN, examples=["bed3"])]


class AckRequest(BaseModel):
    """Who acknowledges, and why the alert may rest."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    by: str = Field(min_length=1, max_length=64)
    reason: AckReason


def build_api(backend: Backend, limits: HttpLimits) -> APIRouter:
    """Build the router; every route takes its caller from `hub.web.access`."""
    router = APIRouter(prefix="/api/v1")
    renders = asyncio.Semaphore(limits.renders)

    async def answer(question: Awaitable[T]) -> T:
        async with asyncio.timeout(limits.answer_s):
            return await question

    @router.get("/beds", responses=described(BedList, "Every bed in the caller's scope"))
    async def list_beds(caller: CallerOf) -> Response:
        """List the beds as they stand now: numbers, data age, latest analysis."""
        t_ms = backend.now_ms()
        views = [view for view in backend.views(None, True) if caller.may_see(view.site)]
        return _json({"t_ms": t_ms, "beds": views})

    @router.get("/sites", responses=described(SiteList, "Every site in the caller's scope"))
    async def list_sites(caller: CallerOf) -> Response:
        """List the sites: their link, their backlog, and what their agents say of themselves."""
        sites = [view for view in backend.sites() if caller.may_see(view.site)]
        return _json({"t_ms": backend.now_ms(), "sites": sites})

    @router.get(
        "/beds/{site}/{bed}/strip",
        responses=described(
            Strip,
            "The samples of the span, and what is known of it",
            404,
            422,
            503,
            504,
            also={
                WAVE_TYPE: {
                    "schema": {"type": "string", "format": "binary"},
                    "example": examples.STRIP_BATCH_HEX,
                }
            },
        ),
    )
    async def read_strip(
        request: Request,
        caller: CallerOf,
        site: SiteName,
        bed: BedName,
        from_: Annotated[Instant, Query(alias="from", openapi_examples=_instants("2026-07-29T03:00:00Z"))],
        to: Annotated[Instant, Query(openapi_examples=_instants("2026-07-29T03:20:00Z"))],
        step_ms: Annotated[
            int | None,
            Query(
                ge=500, le=3_600_000, multiple_of=250, description="Least and greatest of each step instead"
            ),
        ] = None,
    ) -> Response:
        """Read one bed over a span.

        With `Accept: application/vnd.ctg.wave` the frames themselves, in one wave batch.
        """
        _check_scope(caller, site, f"{site}/{bed}")
        is_binary = WAVE_TYPE in request.headers.get("accept", "")
        check_span(from_, to, None if is_binary else step_ms, limits)
        from_ms, to_ms = snap_span(from_, to)
        async with renders:
            try:
                data = await answer(backend.read_strip(site, bed, from_ms, to_ms))
            except KeyError:
                raise ProblemError(ProblemKind.NOT_FOUND, f"{site}/{bed}: no such bed") from None
            if is_binary:
                entries = await asyncio.to_thread(select_entries, from_ms, to_ms, data)
                batch = await asyncio.to_thread(encode_batch, 0, backend.now_ms(), entries)
                return Response(batch, media_type=WAVE_TYPE)
            body = await asyncio.to_thread(render_strip, site, bed, from_ms, to_ms, data, step_ms=step_ms)
        return Response(body, media_type="application/json")

    @router.get("/alerts", responses=described(AlertList, "Alerts, newest first", 422, 503, 504))
    async def list_alerts(
        caller: CallerOf,
        open_only: Annotated[bool, Query(alias="open", description="Only those that are not clear")] = False,
        limit: Annotated[int, Query(ge=1, le=limits.alerts)] = 200,
        site: Annotated[str | None, Query(pattern=_NAME_PATTERN, examples=["h012"])] = None,
        bed: Annotated[str | None, Query(pattern=_NAME_PATTERN, examples=["bed3"])] = None,
    ) -> Response:
        """List alerts and how they stand."""
        found = await answer(backend.read_alerts(open_only=open_only, limit=limit, site=site, bed=bed))
        return _json({"alerts": [alert for alert in found if caller.may_see(alert.site)]})

    @router.post(
        "/alerts/{alert_id}/ack",
        responses=described(Alert, "The alert as it now stands", 403, 404, 409, 422, 503, 504),
    )
    async def acknowledge(
        caller: CallerOf,
        alert_id: Annotated[str, Path(max_length=200, examples=[examples.ALERT.id])],
        request: Annotated[AckRequest, examples.ACK_BODY],
    ) -> Response:
        """Acknowledge an alert: a named person knows, and says why it may rest."""
        _check_scope(caller, alert_id.partition(".")[0], alert_id)
        try:
            alert = await answer(backend.acknowledge(alert_id, request.by, request.reason))
        except KeyError:
            raise ProblemError(ProblemKind.NOT_FOUND, f"{alert_id}: no such alert, or it is clear") from None
        except ValueError as error:
            raise ProblemError(ProblemKind.CONFLICT, f"{alert_id}: {error}") from error
        return _json(alert)

    return router


def _json(message: object) -> Response:
    return Response(encode_json(message), media_type="application/json")


def _check_scope(caller: Caller, site: str, what: str) -> None:
    """Let what lies outside the scope not exist for the caller."""
    if not caller.may_see(site):
        raise ProblemError(ProblemKind.NOT_FOUND, f"{what}: nothing here")


def _instants(text: str) -> dict[str, Example]:
    return {"iso": {"value": text}, "ms": {"value": parse_instant(text)}}
