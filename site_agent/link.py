"""The site's two connections to the broker, made again for ever: the only importer of aiomqtt in the agent.

Each connection is a fresh client object with a number of its own; what comes from one
that is gone is not taken.  Every wait has an end: a peer that is frozen answers
nothing, yet its kernel still takes bytes.
"""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from ssl import SSLContext
from typing import Any, Final

import aiomqtt

_log = logging.getLogger(__name__)

# Pipelined publishes make aiomqtt warn of "pending calls", and it logs each lost connection as we do.
_library_log = logging.getLogger(f"{__name__}.aiomqtt")
_library_log.setLevel(logging.CRITICAL)

FIRST_RETRY_S: Final = 0.5
LONGEST_RETRY_S: Final = 10.0
ANSWER_S: Final = 30.0
"""Longest wait for any one answer; the send window gives a silent line up long before."""
CONNECT_S: Final = 15.0
"""Each time in a row that this was not enough, twice as long: a line may take many seconds for one answer."""
LONGEST_CONNECT_S: Final = 60.0
LONGEST_IN_FLIGHT: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerAddress:
    """Where the broker is and how a connection is made."""

    host: str
    port: int
    username: str | None = None
    password: str | None = None
    tls: SSLContext | None = None
    keepalive_s: int = 10


class Line:
    """One connection, held for ever.

    What `greet()` gives is published, retained, on each new connection before anything else; its
    answers are not waited for: on a slow line each would cost seconds.
    `on_message(topic, payload)` must neither raise nor wait.
    """

    def __init__(  # each is a fact of the connection, and all are named where it is made
        self,
        address: BrokerAddress,
        identifier: str,
        *,
        topics: Sequence[str] = (),
        will: aiomqtt.Will | None = None,
        greet: Callable[[], Sequence[tuple[str, bytes]]] = tuple,
        on_up: Callable[[], None],
        on_down: Callable[[], None],
        on_message: Callable[[str, bytes], None] | None = None,
    ) -> None:
        self.identifier = identifier
        self.generation = 0
        self.why = "not connected yet"
        self._address = address
        self._topics = topics
        self._will = will
        self._greet = greet
        self._on_up = on_up
        self._on_down = on_down
        self._on_message = on_message
        self._client: aiomqtt.Client | None = None
        self._is_up = False
        self._ending: asyncio.Event = asyncio.Event()
        self._publishing: set[asyncio.Future[None]] = set()

    @property
    def is_up(self) -> bool:
        """Whether the broker took the connection."""
        return self._is_up

    async def publish(self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False) -> bool:
        """Publish; True once the broker has answered, False when it will not on this connection."""
        client = self._client
        if client is None:
            return False
        publishing = asyncio.ensure_future(
            client.publish(topic, payload, qos=qos, retain=retain, timeout=ANSWER_S)
        )
        self._publishing.add(publishing)  # aiomqtt would wait for the answer of a connection that is gone
        try:
            await asyncio.wait({publishing})
        finally:
            self._publishing.discard(publishing)
            publishing.cancel()
        if publishing.cancelled():
            return False
        error = publishing.exception()
        if error is not None and not isinstance(error, aiomqtt.MqttError | OSError | ValueError):
            raise error
        return error is None and client is self._client

    def renew(self, why: str, *, is_dead: bool) -> None:
        """End the present connection; the next one follows at once.  A dead peer is not told."""
        if self._client is None:
            return
        self.why = why
        if is_dead:
            self._cut(self._client)
        self._ending.set()

    async def run(self) -> None:
        """Connect, stay, connect again with a capped back-off, until cancelled."""
        retry_s, connect_s = FIRST_RETRY_S, CONNECT_S
        was_up = True
        while True:
            self.generation += 1
            self._ending = asyncio.Event()
            client = self._make_client(self.generation)
            try:
                async with asyncio.timeout(connect_s):
                    await client.__aenter__()
                _raise_if_cancelled()
                was_up, retry_s, connect_s = True, FIRST_RETRY_S, CONNECT_S
                try:
                    await self._serve(client)
                finally:
                    await self._leave(client)
            except (aiomqtt.MqttError, OSError, TimeoutError, ValueError) as error:
                self.why = str(error) or "no answer in time"
                if isinstance(error, TimeoutError) or "timed out" in self.why:
                    connect_s = min(2 * connect_s, LONGEST_CONNECT_S)
                if was_up:
                    _log.warning("%s: no broker at %s:%d (%s), trying on", *self._words())
                was_up = False
            _raise_if_cancelled()
            await asyncio.sleep(retry_s)
            retry_s = min(2 * retry_s, LONGEST_RETRY_S)

    async def _serve(self, client: aiomqtt.Client) -> None:
        """Greet, then wait for the end of the connection or for the order to end it."""
        self._client = client
        lost = asyncio.ensure_future(_wait_for_loss(client))
        ending = asyncio.ensure_future(self._ending.wait())
        hello = self._say_hello(client)
        try:
            self._is_up = True
            self.why = "connected"
            _log.info("%s: connected to broker %s:%d", *self._words()[:3])
            self._on_up()
            await asyncio.wait({lost, ending}, return_when=asyncio.FIRST_COMPLETED)
            if self._ending.is_set():
                _log.warning("%s: connection to %s:%d renewed: %s", *self._words())
            else:
                self.why = str(lost.exception() or "closed by the broker")
                _log.warning("%s: broker %s:%d lost: %s", *self._words())
        finally:
            self._client = None
            for publishing in self._publishing:
                publishing.cancel()
            if self._is_up:
                self._is_up = False
                self._on_down()
            for task in (lost, ending, hello):
                task.cancel()
            await asyncio.gather(lost, ending, hello, return_exceptions=True)

    def _say_hello(self, client: aiomqtt.Client) -> asyncio.Future[None]:
        """Subscribe and greet; tasks begin in the order in which they are made, so this goes out first."""
        said: list[Awaitable[object]] = []
        if self._topics:
            topics = [(topic, 1) for topic in self._topics]
            said.append(asyncio.ensure_future(client.subscribe(topics, timeout=ANSWER_S)))
        for topic, payload in self._greet():
            publishing = client.publish(topic, payload, qos=1, retain=True, timeout=ANSWER_S)
            said.append(asyncio.ensure_future(publishing))
        return asyncio.ensure_future(self._await_answers(said))

    async def _await_answers(self, said: Sequence[Awaitable[object]]) -> None:
        try:
            await asyncio.gather(*said)
        except (aiomqtt.MqttError, OSError, ValueError) as error:
            self.renew(f"no answer to subscription and greeting: {error}", is_dead=True)

    async def _leave(self, client: aiomqtt.Client) -> None:
        """Say goodbye, but not for long."""
        with contextlib.suppress(aiomqtt.MqttError, OSError, TimeoutError):
            async with asyncio.timeout(2.0):
                await client.__aexit__(None, None, None)
        self._cut(client)
        if client._disconnected.done():  # noqa: SLF001  # asyncio complains of an error that no one looked at
            client._disconnected.exception()  # noqa: SLF001

    def _cut(self, client: aiomqtt.Client) -> None:
        """Shut the socket under the client: aiomqtt would wait for a farewell that never comes."""
        held = client._client.socket()  # noqa: SLF001  # aiomqtt offers no way to abort
        if isinstance(held, socket.socket):
            with contextlib.suppress(OSError):
                held.shutdown(socket.SHUT_RDWR)

    def _words(self) -> tuple[str, str, int, str]:
        return self.identifier, self._address.host, self._address.port, self.why

    def _make_client(self, generation: int) -> aiomqtt.Client:
        address = self._address
        return aiomqtt.Client(
            address.host,
            address.port,
            identifier=self.identifier,
            username=address.username,
            password=address.password,
            tls_context=address.tls,
            will=self._will,
            clean_session=True,  # the outbox is the queue, not the broker
            keepalive=address.keepalive_s,
            timeout=LONGEST_CONNECT_S,  # each wait has a shorter end of its own
            max_inflight_messages=LONGEST_IN_FLIGHT,
            queue_type=self._sink(generation),
            logger=_library_log,
        )

    def _sink(self, generation: int) -> type[asyncio.Queue[aiomqtt.Message]]:
        def hand_over(message: aiomqtt.Message) -> None:
            payload: Any = message.payload
            if self._on_message is not None and generation == self.generation:
                self._on_message(str(message.topic), payload if isinstance(payload, bytes) else b"")

        class Sink(asyncio.Queue[aiomqtt.Message]):
            """Hands each message on in the moment it is read, so that nothing waits in the library."""

            def put_nowait(self, item: aiomqtt.Message) -> None:
                hand_over(item)

        return Sink


async def _wait_for_loss(client: aiomqtt.Client) -> None:
    async for _ in client.messages:  # the sink takes them all: this ends with the connection
        pass


def _raise_if_cancelled() -> None:
    """Make up for `wait_for` of Python 3.11, which drops a cancellation that comes with the answer."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
