"""Who is calling and what they may see: the one place where access is decided.

Every route gets its caller from `identify`.  Today everybody who reaches the hub
is the local user and sees all sites; identity comes in here and nowhere else.
`Gate` turns away requests that a foreign web page makes a browser send.
"""

import ipaddress
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hub.web.problems import ProblemKind, problem_response

MAX_BODY_BYTES: Final = 16 * 1024
"""Largest body of a request; the longest that is asked for is an acknowledgement."""

_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_DEFAULT_PORTS: Final = {"http": 80, "ws": 80, "https": 443, "wss": 443}
_LOCAL_ENDINGS: Final = (".local", ".internal", ".localhost", ".home.arpa")
"""Names that no public name server answers for (RFC 6762, RFC 6761, RFC 8375, ICANN 2024)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks; `sites` are those whose beds and alerts they may see, None for all."""

    name: str
    sites: frozenset[str] | None = None

    def may_see(self, site: str) -> bool:
        """Tell whether the caller's scope holds the site."""
        return self.sites is None or site in self.sites


def identify(connection: HTTPConnection) -> Caller:
    """Say who calls, for HTTP requests and for the live socket alike."""
    return Caller(name="local")


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessPolicy:
    """Which names the hub answers to, and which other origins may use it from a browser."""

    origins: frozenset[str] = frozenset()
    """Further origins, such as `https://console.example`."""
    hosts: frozenset[str] = frozenset()
    """Public names of the hub.  Addresses and names without a public domain need no entry: no page on
    the internet can have itself resolved under them, which is what the check is for."""

    def is_known_host(self, host: str | None) -> bool:
        """Tell whether a Host header names this hub."""
        name = _host_name(host or "")
        if not name or name in self.hosts or "." not in name or name.endswith(_LOCAL_ENDINGS):
            return bool(name)
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True

    def is_own_origin(self, origin: str, host: str | None) -> bool:
        """Tell whether a page of this origin may use the hub: its own pages, and those allowed."""
        if origin in self.origins:
            return True
        try:
            parts = urlsplit(origin)
            port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
            own = urlsplit(f"{parts.scheme}://{host}")
            own_port = own.port or _DEFAULT_PORTS.get(parts.scheme)
        except ValueError:
            return False
        return parts.hostname is not None and (parts.hostname, port) == (own.hostname, own_port)


def _host_name(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


class Gate:
    """ASGI middleware: the Host of every request, its size, the Origin of whatever may change something."""

    def __init__(self, app: ASGIApp, policy: AccessPolicy) -> None:
        self._app = app
        self._policy = policy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse with problem details, or pass on."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        host, origin = headers.get("host"), headers.get("origin")
        if not self._policy.is_known_host(host):
            detail = f"Host: expected an address or a name this hub is configured for, got {host!r}"
            await problem_response(ProblemKind.UNKNOWN_HOST, detail, scope["path"])(scope, receive, send)
        elif origin is not None and _may_change(scope) and not self._policy.is_own_origin(origin, host):
            detail = f"Origin: expected this hub's own pages or an allowed origin, got {origin!r}"
            await problem_response(ProblemKind.FOREIGN_ORIGIN, detail, scope["path"])(scope, receive, send)
        else:
            await self._app(scope, _bounded(receive) if scope["type"] == "http" else receive, send)


def _bounded(receive: Receive) -> Receive:
    """Let a body be read up to its bound only: what is behind it never gets into memory."""
    n_bytes = 0

    async def receive_some() -> Message:
        nonlocal n_bytes
        message = await receive()
        n_bytes += len(message.get("body", b""))
        if n_bytes > MAX_BODY_BYTES:
            raise HTTPException(400, f"body: expected at most {MAX_BODY_BYTES} bytes, got more")
        return message

    return receive_some


def _may_change(scope: Scope) -> bool:
    return scope["type"] == "websocket" or scope["method"] not in _SAFE_METHODS
