"""One console on the live push: its handshake, its tasks, and its end."""

import asyncio
import logging
from enum import StrEnum
from typing import Final, NoReturn

from starlette.websockets import WebSocket, WebSocketDisconnect

from hub.web.access import Caller
from hub.web.backend import BedKey
from hub.web.live import Feed, Subscriber
from hub.web.messages import Acknowledge, Hello, Select, decode_client_message
from hub.web.problems import ProblemKind, problem_response
from hub.web.server import transport_of

_log = logging.getLogger(__name__)

_POLICY_VIOLATION: Final = 1008
_CLOSE_REASON_BYTES: Final = 123
"""Most that a close frame can hold (RFC 6455, 5.5)."""


class _Why(StrEnum):
    """What refusals are counted under."""

    TOO_MANY = "too_many"
    NO_HELLO = "no_hello"
    BAD_ACK = "bad_ack"
    BAD_MESSAGE = "bad_message"
    TOO_FAST = "too_fast"


class _RefusedError(Exception):
    """The client broke the protocol; `why` is the word it is counted under."""

    def __init__(self, why: _Why, sentence: str) -> None:
        super().__init__(sentence)
        self.why = why


class _CutError(Exception):
    """The client did not keep up; its connection has been aborted."""


class LiveSession:
    """Serves one WebSocket from its handshake to its end."""

    def __init__(self, websocket: WebSocket, feed: Feed, caller: Caller) -> None:
        self._websocket = websocket
        self._feed = feed
        self._limits = feed.limits
        self._caller = caller
        self._transport = transport_of(websocket.scope)
        self._loop = asyncio.get_running_loop()
        self._history_s = 0.0
        self._second_began_s = 0.0
        self._messages_this_second = 0

    async def run(self) -> None:
        """Serve until either side ends it."""
        if len(self._feed.clients) >= self._limits.clients:
            self._feed.counters.refused.labels(_Why.TOO_MANY).inc()
            detail = f"expected fewer than {self._limits.clients} consoles at the same time"
            response = problem_response(ProblemKind.TOO_MANY_CLIENTS, detail, self._websocket.url.path)
            await self._websocket.send_denial_response(response)
            return
        await self._websocket.accept()
        try:
            await self._serve()
        except* WebSocketDisconnect:
            pass
        except* _CutError:
            self._feed.counters.cut.inc()
            _log.warning("live push: a console did not keep up and was cut")
        except* _RefusedError as group:
            error = group.exceptions[0]
            assert isinstance(error, _RefusedError)  # noqa: S101  the groups here are flat; narrows it
            await self._refuse(error)

    async def _serve(self) -> None:
        hello = await self._receive_hello()
        self._history_s = hello.history_s
        subscriber = self._feed.join(self._caller, _keys(hello.beds), hello.history_s)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._send(subscriber), name="live send")
                tasks.create_task(self._receive(subscriber), name="live receive")
                tasks.create_task(self._watch(subscriber), name="live watch")
        finally:
            self._feed.leave(subscriber)

    async def _receive_hello(self) -> Hello:
        try:
            async with asyncio.timeout(self._limits.hello_s):
                message = await self._receive_message()
        except TimeoutError:
            raise _RefusedError(
                _Why.NO_HELLO, f"expected a hello within {self._limits.hello_s:g} s"
            ) from None
        if not isinstance(message, Hello):
            raise _RefusedError(_Why.NO_HELLO, "expected a hello first")
        return message

    async def _send(self, subscriber: Subscriber) -> NoReturn:
        """Send what waits.  `send` blocks while the client does not read; `_watch` ends that."""
        counters = self._feed.counters
        now_ms = self._feed.backend.now_ms
        while True:
            message = subscriber.outbox.next_message(self._loop.time(), now_ms())
            if message is None:
                subscriber.has_news.clear()
                await subscriber.has_news.wait()
                continue
            if isinstance(message, str):
                counters.messages.labels("json").inc()
                await self._websocket.send_text(message)
            else:
                counters.messages.labels("waves").inc()
                counters.wave_delay.observe(subscriber.outbox.wave_waited_s)
                await self._websocket.send_bytes(message)
            counters.sent_bytes.inc(len(message))

    async def _receive(self, subscriber: Subscriber) -> NoReturn:
        """Take acknowledgements and selections; only a task that receives sees a client go."""
        while True:
            message = await self._receive_message()
            if isinstance(message, Acknowledge):
                try:
                    subscriber.outbox.flight.acknowledge(message.seq)
                except ValueError as error:
                    raise _RefusedError(_Why.BAD_ACK, str(error)) from error
                subscriber.has_news.set()
            elif isinstance(message, Select):
                self._feed.reselect(subscriber, _keys(message.beds), self._history_s)
            else:
                raise _RefusedError(_Why.BAD_MESSAGE, "expected one hello, got a second")

    async def _watch(self, subscriber: Subscriber) -> NoReturn:
        """Abort the transport of a client that is lost: closing would wait for it to read."""
        while True:
            await asyncio.sleep(self._limits.check_s)
            if subscriber.outbox.is_lost(self._loop.time()):
                self._transport.abort()
                raise _CutError

    async def _receive_message(self) -> Hello | Select | Acknowledge:
        frame = await self._websocket.receive()
        if frame["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(frame.get("code", 1005), frame.get("reason"))
        self._count_message()
        text = frame.get("text")
        if text is None:
            raise _RefusedError(_Why.BAD_MESSAGE, "expected a JSON text message, got a binary one")
        try:
            return decode_client_message(text)
        except ValueError as error:
            raise _RefusedError(_Why.BAD_MESSAGE, str(error)) from error

    def _count_message(self) -> None:
        now_s = self._loop.time()
        if now_s - self._second_began_s >= 1.0:
            self._second_began_s, self._messages_this_second = now_s, 0
        self._messages_this_second += 1
        if self._messages_this_second > self._limits.messages_per_s:
            raise _RefusedError(_Why.TOO_FAST, f"expected at most {self._limits.messages_per_s} messages/s")

    async def _refuse(self, error: _RefusedError) -> None:
        self._feed.counters.refused.labels(error.why).inc()
        reason = str(error).encode()[:_CLOSE_REASON_BYTES].decode(errors="ignore")
        # Whether or not the client answers the close, the connection ends.
        self._loop.call_later(self._limits.close_s, self._transport.abort)
        try:
            async with asyncio.timeout(self._limits.close_s):
                await self._websocket.close(_POLICY_VIOLATION, reason)
        except (TimeoutError, WebSocketDisconnect):
            _log.debug("live push: a refused console was gone before it could be told")


def _keys(names: list[str] | None) -> frozenset[BedKey] | None:
    if names is None:
        return None
    return frozenset((site, bed) for site, _, bed in (name.partition("/") for name in names))
