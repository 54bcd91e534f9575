"""Where the broker is, and how a connection to it is made and made again."""

import asyncio
import logging
import ssl
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

import aiomqtt

from hub.errors import SettingsError

_log = logging.getLogger(__name__)

# Pipelining publishes makes aiomqtt warn of "pending calls", and it logs each lost connection as we do.
_library_log = logging.getLogger(f"{__name__}.aiomqtt")
_library_log.setLevel(logging.CRITICAL)

_FIRST_BACKOFF_S: Final = 0.5
_LONGEST_BACKOFF_S: Final = 10.0
_TIMEOUT_S: Final = 5.0
_KEEPALIVE_S: Final = 15
_IN_FLIGHT: Final = 200
"""paho's default of 20 unanswered messages would throttle a site of many beds on a slow line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    host: str
    port: int
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    is_encrypted: bool = False

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"


def parse_broker(url: str) -> Broker:
    """Read `mqtt://[user:password@]host[:port]`, or `mqtts://` for TLS.

    Raises
    ------
    SettingsError
        If the address has another form.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        msg = f"broker: expected mqtt://host:port, got {url!r}"
        raise SettingsError(msg) from error
    if parts.scheme not in ("mqtt", "mqtts") or not parts.hostname or parts.path not in ("", "/"):
        msg = f"broker: expected mqtt://host:port or mqtts://host:port, got {url!r}"
        raise SettingsError(msg)
    is_encrypted = parts.scheme == "mqtts"
    return Broker(
        host=parts.hostname,
        port=port or (8883 if is_encrypted else 1883),
        username=parts.username,
        password=parts.password,
        is_encrypted=is_encrypted,
    )


async def hold_connection(
    broker: Broker,
    identifier: str,
    serve: Callable[[aiomqtt.Client], Coroutine[None, None, None]],
    *,
    will: aiomqtt.Will | None = None,
) -> None:
    """Run `serve` on a connection, and on a new one each time that one is lost, until cancelled.

    A client object is used for one connection only: a used one hands out messages of its past.
    """
    backoff_s = _FIRST_BACKOFF_S
    is_down = False
    while True:
        client = aiomqtt.Client(
            broker.host,
            broker.port,
            identifier=identifier,
            username=broker.username,
            password=broker.password,
            tls_context=ssl.create_default_context() if broker.is_encrypted else None,
            will=will,
            clean_session=True,
            timeout=_TIMEOUT_S,
            keepalive=_KEEPALIVE_S,
            max_inflight_messages=_IN_FLIGHT,
            logger=_library_log,
        )
        try:
            async with client:
                _log.info("%s: connected to broker %s", identifier, broker.address)
                raise_if_cancelled()
                is_down, backoff_s = False, _FIRST_BACKOFF_S
                # A task of its own: a TaskGroup in `serve` leaves its task marked as cancelled when a
                # member fails (Python 3.11), and the mark must mean here that we were told to end.
                await asyncio.create_task(serve(client), name=f"{identifier} serve")
        except* aiomqtt.MqttError as group:
            if not is_down:
                _log.warning(
                    "%s: no broker at %s (%s), trying again", identifier, broker.address, find_cause(group)
                )
            is_down = True
        raise_if_cancelled()
        await asyncio.sleep(backoff_s)
        backoff_s = min(2 * backoff_s, _LONGEST_BACKOFF_S)


def raise_if_cancelled() -> None:
    """End a task that was told to end; call it after each awaited call to aiomqtt.

    aiomqtt awaits the broker's answer in `asyncio.wait_for`, which up to Python 3.11
    forgets a cancellation that comes together with that answer.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def find_cause(error: BaseException) -> BaseException:
    """Give the first plain exception inside nested groups."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
