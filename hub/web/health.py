"""Is the hub alive, can it work, does it move: for machines that watch it.  No patient data."""

import asyncio
from dataclasses import asdict

from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from hub.web import examples
from hub.web.backend import Backend
from hub.web.problems import ProblemKind, problem_response
from hub.web.schemas import Alive, Progress, Ready, described
from hub.wire import encode_json

_READY_S = 5.0
"""A dependency that has not answered in this time is not ready."""


def build_health(backend: Backend) -> APIRouter:
    """Build the router; these four are open, so that a watchdog needs no account."""
    router = APIRouter()

    @router.get("/livez", responses=described(Alive, "The event loop turns"))
    async def livez() -> Response:
        """Answer, which shows that the event loop turns."""
        body = {"status": "alive", "boot_id": backend.boot_id, "t_ms": backend.now_ms()}
        return Response(encode_json(body), media_type="application/json")

    @router.get("/readyz", responses=described(Ready, "Everything is there", 503))
    async def readyz(request: Request) -> Response:
        """Say how the dependencies are."""
        try:
            async with asyncio.timeout(_READY_S):
                dependencies = await backend.ready()
        except TimeoutError:
            detail = f"the dependencies did not answer within {_READY_S:g} s"
            return problem_response(ProblemKind.NOT_READY, detail, request.url.path)
        missing = [name for name, dependency in dependencies.items() if not dependency.is_ok]
        states = {name: asdict(dependency) for name, dependency in dependencies.items()}
        if missing:
            detail = f"not ready: {', '.join(missing)}"
            more: dict[str, object] = {"is_ready": False, "dependencies": states}
            return problem_response(ProblemKind.NOT_READY, detail, request.url.path, more=more)
        body = {"is_ready": True, "dependencies": states}
        return Response(encode_json(body), media_type="application/json")

    @router.get("/progress", responses=described(Progress, "Age of each stage's last item"))
    async def progress() -> Response:
        """Say how old the last item of each stage is, and how much waits."""
        body = {"boot_id": backend.boot_id, "t_ms": backend.now_ms(), "stages": backend.progress()}
        return Response(encode_json(body), media_type="application/json")

    @router.get(
        "/metrics",
        response_class=PlainTextResponse,
        responses={
            200: {
                "description": "Prometheus text format",
                "content": {"text/plain": {"schema": {"type": "string"}, "example": examples.METRICS}},
            }
        },
    )
    async def metrics() -> Response:
        """Export the counters."""
        return Response(generate_latest(backend.registry), media_type=CONTENT_TYPE_LATEST)

    return router
