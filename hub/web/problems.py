"""Every refusal as RFC 9457 problem details: what was expected, where, and what came."""

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from hub.errors import StoreError
from hub.wire import encode_json

_log = logging.getLogger(__name__)

MEDIA_TYPE: Final = "application/problem+json"


class ProblemKind(StrEnum):
    """Kinds of problem; the `type` of a problem is `/problems/` and its kind."""

    INVALID_REQUEST = "invalid-request"
    SPAN_TOO_LONG = "span-too-long"
    BAD_REQUEST = "bad-request"
    FOREIGN_ORIGIN = "foreign-origin"
    NOT_FOUND = "not-found"
    METHOD_NOT_ALLOWED = "method-not-allowed"
    CONFLICT = "conflict"
    UNKNOWN_HOST = "unknown-host"
    INTERNAL = "internal"
    NOT_READY = "not-ready"
    STORE_UNAVAILABLE = "store-unavailable"
    TOO_MANY_CLIENTS = "too-many-clients"
    TIMEOUT = "timeout"


KINDS: Final[dict[ProblemKind, tuple[int, str]]] = {
    ProblemKind.INVALID_REQUEST: (422, "The request is not as documented"),
    ProblemKind.SPAN_TOO_LONG: (422, "The span is too long for this form of the strip"),
    ProblemKind.BAD_REQUEST: (400, "The request cannot be read"),
    ProblemKind.FOREIGN_ORIGIN: (403, "A page of another origin may not do this"),
    ProblemKind.NOT_FOUND: (404, "There is nothing here"),
    ProblemKind.METHOD_NOT_ALLOWED: (405, "This path does not take this method"),
    ProblemKind.CONFLICT: (409, "Not possible in the present state"),
    ProblemKind.UNKNOWN_HOST: (421, "This hub does not answer to that name"),
    ProblemKind.INTERNAL: (500, "The hub failed to answer"),
    ProblemKind.NOT_READY: (503, "The hub cannot do its work"),
    ProblemKind.STORE_UNAVAILABLE: (503, "The database could not be reached"),
    ProblemKind.TOO_MANY_CLIENTS: (503, "No room for another console"),
    ProblemKind.TIMEOUT: (504, "The answer took too long"),
}
"""Status and title of each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that was wrong with a request."""

    where: str
    expected: str
    came: str


class ProblemError(Exception):
    """A route refuses the request."""

    def __init__(self, kind: ProblemKind, detail: str, errors: Sequence[Fault] = ()) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.errors = errors


def problem_body(
    kind: ProblemKind, detail: str, instance: str, errors: Sequence[Fault] = ()
) -> dict[str, object]:
    """Build the members of a problem."""
    status, title = KINDS[kind]
    body: dict[str, object] = {
        "type": f"/problems/{kind}",
        "title": title,
        "status": status,
        "detail": detail,
        "instance": instance,
    }
    if errors:
        body["errors"] = [asdict(error) for error in errors]
    return body


def problem_response(
    kind: ProblemKind,
    detail: str,
    instance: str,
    *,
    errors: Sequence[Fault] = (),
    more: dict[str, object] | None = None,
    headers: dict[str, str] | None = None,
) -> Response:
    """Build the response of a problem; `more` holds further members."""
    body = problem_body(kind, detail, instance, errors) | (more or {})
    return Response(encode_json(body), KINDS[kind][0], headers, MEDIA_TYPE)


def faults_response(faults: Sequence[Fault], instance: str) -> Response:
    """Build the response to a request with faults in it."""
    detail = "; ".join(f"{fault.where}: expected {fault.expected}, got {fault.came}" for fault in faults)
    return problem_response(ProblemKind.INVALID_REQUEST, detail, instance, errors=faults)


def install_problem_handlers(app: Starlette) -> None:
    """Let every error of an application leave as problem details."""
    handlers = {
        ProblemError: _from_problem,
        HTTPException: _from_http,
        StoreError: _from_store,
        TimeoutError: _from_timeout,
        Exception: _from_fault,
    }
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)


async def _from_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, ProblemError)  # noqa: S101  # as it was installed; narrows it
    return problem_response(error.kind, error.detail, request.url.path, errors=error.errors)


async def _from_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101  # as it was installed; narrows it
    path = request.url.path
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.NOT_FOUND:
        detail = f"{path}: expected a path of the interface or a file of the console"
        return problem_response(ProblemKind.NOT_FOUND, detail, path)
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        detail = f"{path}: {request.method} is not possible here"
        return problem_response(ProblemKind.METHOD_NOT_ALLOWED, detail, path, headers=headers)
    return problem_response(ProblemKind.BAD_REQUEST, str(error.detail), path, headers=headers)


async def _from_store(request: Request, error: Exception) -> Response:
    _log.warning("%s: %s", request.url.path, error)
    detail = "the database could not be reached; try again"
    return problem_response(ProblemKind.STORE_UNAVAILABLE, detail, request.url.path)


async def _from_timeout(request: Request, _: Exception) -> Response:
    detail = "the database did not answer in time; try again"
    return problem_response(ProblemKind.TIMEOUT, detail, request.url.path)


async def _from_fault(request: Request, _: Exception) -> Response:
    # Nothing of the inside is told; the server logs the traceback.
    detail = "an unforeseen fault; it has been logged"
    return problem_response(ProblemKind.INTERNAL, detail, request.url.path)
