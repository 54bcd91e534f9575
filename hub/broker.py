"""An MQTT broker in a process of its own, for the demo on a machine without mosquitto.

The only importer of amqtt.  It speaks MQTT 3.1.1 and keeps nothing across a
restart, which the hub does not need: the sites' outboxes are the queue.
"""

import asyncio
import logging
from typing import Any

from amqtt.broker import Broker

_log = logging.getLogger(__name__)


async def run_broker(host: str, port: int) -> None:
    """Serve until cancelled."""
    config: dict[str, Any] = {
        "listeners": {"default": {"type": "tcp", "bind": f"{host}:{port}"}},
        "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
    }
    for chatty in ("amqtt", "transitions"):  # every message and every state at INFO
        logging.getLogger(chatty).setLevel(logging.WARNING)
    broker = Broker(config)
    await broker.start()
    _log.info("broker listens on %s:%d", host, port)
    try:
        await asyncio.Event().wait()
    finally:
        await broker.shutdown()
