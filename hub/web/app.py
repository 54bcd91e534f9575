"""Builds the web application: routes, live push, files of the console."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI, Request, Response, WebSocket
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi

from hub.web.access import AccessPolicy, Gate
from hub.web.api import CallerOf, build_api
from hub.web.assets import STATIC_DIR, ConsoleFiles, StrictHeaders
from hub.web.health import build_health
from hub.web.limits import HttpLimits
from hub.web.live import Feed
from hub.web.problems import Fault, faults_response, install_problem_handlers
from hub.web.schemas import finish_document
from hub.web.session import LiveSession

__all__ = ["STATIC_DIR", "create_app"]

_SHOWN_INPUT: Final = 80
_DESCRIPTION: Final = (
    "Regional fetal monitoring hub: CTG of many delivery sites on one console. "
    "A reading aid (判読支援・参考), not a medical device. "
    "The live push at `/ws/v1/live` is described in docs/api.md."
)


def create_app(
    feed: Feed,
    *,
    policy: AccessPolicy | None = None,
    limits: HttpLimits | None = None,
    static_dir: Path = STATIC_DIR,
    version: str = "1",
) -> FastAPI:
    """Build the application; serve it with `hub.web.server.build_server`."""
    # The interactive pages would load scripts from elsewhere, which the content policy forbids.
    app = FastAPI(title="CTG hub", version=version, description=_DESCRIPTION, docs_url=None, redoc_url=None)
    install_problem_handlers(app)
    app.add_exception_handler(RequestValidationError, _from_validation)
    app.add_middleware(Gate, policy=policy or AccessPolicy())
    app.add_middleware(StrictHeaders)
    app.include_router(build_health(feed.backend))
    app.include_router(build_api(feed.backend, limits or HttpLimits()))

    @app.websocket("/ws/v1/live")
    async def live(websocket: WebSocket, caller: CallerOf) -> None:
        await LiveSession(websocket, feed, caller).run()

    app.mount("/", ConsoleFiles(directory=static_dir, html=True, check_dir=False), name="console")
    _describe(app)
    return app


async def _from_validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101  # as it was installed; narrows it
    return faults_response([_fault(item) for item in error.errors()], request.url.path)


def _fault(item: Mapping[str, Any]) -> Fault:
    return Fault(
        where=".".join(str(part) for part in item["loc"]),
        expected=str(item["msg"])
        .removeprefix("Value error, ")
        .removeprefix("expected ")
        .removeprefix("Input should be "),
        came=repr(item.get("input"))[:_SHOWN_INPUT],
    )


def _describe(app: FastAPI) -> None:
    """Let OpenAPI know the problem details that the routes refer to."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = finish_document(
                get_openapi(
                    title=app.title, version=app.version, description=app.description, routes=app.routes
                )
            )
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # the documented way to extend the document
