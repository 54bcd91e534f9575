"""The HTTP server: uvicorn on a socket whose buffers stay small."""

import asyncio
import errno
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import uvicorn
from starlette.types import ASGIApp, Scope
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

from hub.errors import SettingsError

SEND_BUFFER_BYTES: Final = 32 * 1024
"""`SO_SNDBUF` of every connection.  By default the kernel holds megabytes, minutes of trace, for a
reader that is frozen, and shows them to it as new when it wakes."""
HIGH_WATER_BYTES: Final = 16 * 1024
"""Bytes behind that buffer at which sending blocks."""
MAX_MESSAGE_BYTES: Final = 64 * 1024
"""Largest WebSocket message that a client may send."""
SHUTDOWN_S: Final = 2
"""Time that open requests have when the server stops."""

_EXTENSION = "hub.web.transport"


class LiveProtocol(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket protocol, with little buffer and with its transport in reach.

    Closing a WebSocket waits until the peer has read everything, for ever if it
    does not read, so whoever serves one must be able to abort the transport.
    """

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what uvicorn does, and bound what is buffered."""
        super().connection_made(transport)
        self.transport.set_write_buffer_limits(high=HIGH_WATER_BYTES)

    def handle_connect(self, event: Request) -> None:
        """Put the transport into the scope, before the task that uvicorn has created reads it."""
        super().handle_connect(event)
        if self.response.status_code == 101:
            extensions = self.scope.get("extensions") or {}
            self.scope["extensions"] = {**extensions, _EXTENSION: {"transport": self.transport}}

    def handle_ping(self) -> None:
        """Answer a ping, unless the peer lets the answers pile up unread."""
        if self.transport.get_write_buffer_size() > MAX_MESSAGE_BYTES:
            self.transport.abort()
            return
        super().handle_ping()

    def shutdown(self) -> None:
        """Stop, also when the peer does not read."""
        super().shutdown()
        self.loop.call_later(SHUTDOWN_S / 2, self.transport.abort)


class ConsoleServer(uvicorn.Server):
    """uvicorn's server without its signal handlers: signals are the application's."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone; whoever runs the server sets `should_exit`."""
        yield


def transport_of(scope: Scope) -> asyncio.Transport:
    """Transport of a WebSocket that this room's server serves."""
    transport = scope.get("extensions", {}).get(_EXTENSION, {}).get("transport")
    if not isinstance(transport, asyncio.Transport):
        msg = "the live push needs the server of hub.web.server: no other lets it abort a connection"
        raise TypeError(msg)
    return transport


def build_server(app: ASGIApp, host: str, port: int) -> tuple[uvicorn.Server, socket.socket]:
    """Bind the port and build the server; run it with `server.serve(sockets=[socket])`.

    Port 0 takes a free one.  Raises SettingsError when the address cannot be had.
    """
    listener = _listen(host, port)
    config = uvicorn.Config(
        app,
        host=host,
        port=listener.getsockname()[1],
        http="h11",
        ws=LiveProtocol,
        ws_per_message_deflate=False,
        ws_max_size=MAX_MESSAGE_BYTES,
        # Acknowledgements say more than pings, and a ping time-out cannot end a connection that is not read.
        ws_ping_interval=None,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=SHUTDOWN_S,
    )
    return ConsoleServer(config), listener


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        msg = f"HTTP address {host}: expected an address of this machine, got {error}"
        raise SettingsError(msg) from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        listener.bind(address)
        # Listening now, not when the server starts, lets a taken port be told at once.
        listener.listen(1024)
    except OSError as error:
        listener.close()
        msg = f"HTTP address {host} port {port}: {_why(error)}"
        raise SettingsError(msg) from error
    listener.setblocking(False)
    return listener


def _why(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "the port is in use by another program; stop that one or choose another port"
    if error.errno == errno.EACCES:
        return "this user may not open the port; choose one above 1023"
    return f"cannot be opened: {error.strerror}"
