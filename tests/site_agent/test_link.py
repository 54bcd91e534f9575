"""A connection is held for ever: greeted anew each time, never trusted when silent, never reused."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import aiomqtt
import pytest

from site_agent.link import BrokerAddress, Line
from tests.device_sim.conftest import Mosquitto, listening
from tests.site_agent.rig import wait_until

pytestmark = pytest.mark.system


@pytest.fixture
def broker(tmp_path: Path):
    running = Mosquitto(tmp_path)
    running.start()
    yield running
    running.kill()


class Held:
    """A line and what it told."""

    def __init__(self, port: int) -> None:
        self.told: list[str] = []
        self.heard: list[tuple[str, bytes]] = []
        self.changed = asyncio.Event()
        self.line = Line(
            BrokerAddress(host="127.0.0.1", port=port, keepalive_s=5),
            "h012-live",
            topics=["ctg/v1/h012/+/ack"],
            will=aiomqtt.Will("ctg/v1/h012/status", b"gone", qos=1, retain=True),
            greet=lambda: [("ctg/v1/h012/status", b"here")],
            on_up=self._up,
            on_down=lambda: self._tell("down"),
            on_message=self._hear,
        )

    def _up(self) -> None:
        self.sending = asyncio.ensure_future(self.line.publish("ctg/v1/h012/bed1/event", b"after"))
        self._tell("up")

    def _tell(self, what: str) -> None:
        self.told.append(what)
        self.changed.set()

    def _hear(self, topic: str, payload: bytes) -> None:
        self.heard.append((topic, payload))
        self.changed.set()

    async def wait_for(self, *told: str, within_s: float = 15.0) -> None:
        async with asyncio.timeout(within_s):
            while self.told != list(told):
                self.changed.clear()
                await self.changed.wait()


@contextlib.asynccontextmanager
async def holding(port: int) -> AsyncIterator[Held]:
    held = Held(port)
    task = asyncio.create_task(held.line.run())
    try:
        yield held
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_connection_is_greeted_before_anything_else_and_hears_its_topics(broker: Mosquitto):
    async with listening(broker.port) as listener, holding(broker.port) as held:
        await held.wait_for("up")
        await listener.wait_until(lambda: len(listener.messages) >= 2)
        assert [payload for _, payload in listener.messages] == [b"here", b"after"]
        assert await held.sending
        await listener.client.publish("ctg/v1/h012/bed1/ack", b"{}", qos=1)
        async with asyncio.timeout(5):
            while not held.heard:
                held.changed.clear()
                await held.changed.wait()
        assert held.heard == [("ctg/v1/h012/bed1/ack", b"{}")]
        assert await held.line.publish("ctg/v1/h012/bed1/event", b"x")


async def test_a_killed_broker_is_found_again_and_greeted_again(broker: Mosquitto):
    async with holding(broker.port) as held:
        await held.wait_for("up")
        broker.kill()
        await held.wait_for("up", "down")
        assert not await held.line.publish("ctg/v1/h012/bed1/event", b"x"), "nothing is sent on no line"
        broker.start()
        await held.wait_for("up", "down", "up")
        assert held.line.generation >= 2


async def test_a_line_to_a_frozen_broker_is_cut_at_once(broker: Mosquitto):
    async with holding(broker.port) as held:
        await held.wait_for("up")
        assert broker._process is not None
        broker._process.send_signal(signal.SIGSTOP)
        publishing = asyncio.create_task(held.line.publish("ctg/v1/h012/bed1/event", b"x"))
        await asyncio.sleep(0.1)
        held.line.renew("a test", is_dead=True)
        await held.wait_for("up", "down", within_s=3.0)
        async with asyncio.timeout(3.0):
            assert not await publishing
        broker._process.send_signal(signal.SIGCONT)
        await held.wait_for("up", "down", "up")


async def test_a_cut_connection_leaves_its_last_will_and_an_orderly_one_does_not(broker: Mosquitto):
    async with listening(broker.port) as listener, holding(broker.port) as held:
        await held.wait_for("up")
        held.line.renew("a test", is_dead=False)
        await held.wait_for("up", "down", "up")
        await listener.wait_until(lambda: listener.of("status") == [b"here", b"here"])
        held.line.renew("a test", is_dead=True)
        await held.wait_for("up", "down", "up", "down", "up")
        await listener.wait_until(lambda: listener.of("status").count(b"here") == 3)
        assert b"gone" in listener.of("status")


async def test_a_port_that_takes_connections_and_says_nothing_is_given_up_in_time():
    with socket.create_server(("127.0.0.1", 0)) as mute:
        async with holding(mute.getsockname()[1]) as held:
            await asyncio.to_thread(wait_until, "another try", lambda: held.line.generation >= 2, within_s=25)
            assert held.told == []
