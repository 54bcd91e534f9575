"""The hub's connection to the broker: the only importer of aiomqtt in the hub.

A message is handed over in the moment it is read, through aiomqtt's `queue_type=`
sink, so nothing waits in a queue of the library, which is unlimited by default and
discards with only a log line when bounded.  Every connection uses a fresh client
object: a reused one keeps its old queue and packet ids.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from ssl import SSLContext
from typing import Any, Final

import aiomqtt

_log = logging.getLogger(__name__)

TOPICS: Final = (
    "ctg/v1/+/status",
    "ctg/v1/+/health",
    "ctg/v1/+/time",
    "ctg/v1/+/+/state",
    "ctg/v1/+/+/event",
    "ctg/v1/+/+/wave/live",
    "ctg/v1/+/+/wave/fill",
)
KEEPALIVE_S: Final = 5  # a frozen broker is noticed after up to twice this
FIRST_RETRY_S: Final = 0.25
LAST_RETRY_S: Final = 5.0
PUBLISH_TIMEOUT_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """Where the broker is and how the hub makes itself known there."""

    host: str
    port: int
    client_id: str
    username: str | None = None
    password: str | None = None
    tls: SSLContext | None = None


class BrokerLink:
    """Keeps a subscription alive for ever; `on_message(topic, payload)` is called in the event loop.

    `on_message` must not raise and must not wait: it decodes, pushes and returns.
    """

    def __init__(self, address: BrokerAddress, on_message: Callable[[str, bytes], None]) -> None:
        self._address = address
        self._sink = _sink(on_message)
        self._client: aiomqtt.Client | None = None
        self.connections = 0
        """How often the subscription stood; messages may have passed by in between."""

    @property
    def is_connected(self) -> bool:
        """Whether the broker answered the subscription of the present connection."""
        return self._client is not None

    async def run(self) -> None:
        """Connect, subscribe, stay; after a loss connect anew with a capped back-off."""
        retry_s = FIRST_RETRY_S
        was_connected = True
        while True:
            try:
                async with self._connect() as client:
                    for topic in TOPICS:
                        await client.subscribe(topic, qos=1)
                        _raise_if_cancelled()
                    self._client, was_connected, retry_s = client, True, FIRST_RETRY_S
                    self.connections += 1
                    _log.info("broker %s:%d connected", self._address.host, self._address.port)
                    async for (
                        _
                    ) in client.messages:  # the sink takes all messages: this ends with the connection
                        pass
            except (aiomqtt.MqttError, OSError) as error:
                if was_connected:
                    _log.warning("broker %s:%d lost: %s", self._address.host, self._address.port, error)
                was_connected = False
            finally:
                self._client = None
            _raise_if_cancelled()
            await asyncio.sleep(retry_s)
            retry_s = min(retry_s * 2, LAST_RETRY_S)

    async def publish(self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False) -> bool:
        """Publish at QoS 1 or as said; False when the broker did not take it: then the caller decides."""
        client = self._client
        if client is None:
            return False
        with contextlib.suppress(aiomqtt.MqttError):
            await client.publish(topic, payload, qos=qos, retain=retain, timeout=PUBLISH_TIMEOUT_S)
            return True
        return False

    def _connect(self) -> aiomqtt.Client:
        address = self._address
        return aiomqtt.Client(
            address.host,
            address.port,
            identifier=address.client_id,
            username=address.username,
            password=address.password,
            tls_context=address.tls,
            clean_session=True,  # the sites' outboxes are the queue, not the broker
            keepalive=KEEPALIVE_S,
            timeout=PUBLISH_TIMEOUT_S,
            queue_type=self._sink,
        )


def _raise_if_cancelled() -> None:
    """Make up for `wait_for` of Python 3.11, which drops a cancellation that comes with the answer."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def _sink(on_message: Callable[[str, bytes], None]) -> type[asyncio.Queue[aiomqtt.Message]]:
    class Sink(asyncio.Queue[aiomqtt.Message]):
        """Hands each message on instead of keeping it."""

        def put_nowait(self, item: aiomqtt.Message) -> None:
            payload: Any = item.payload
            on_message(str(item.topic), payload if isinstance(payload, bytes) else b"")

    return Sink
