"""The broker's files, held against a real mosquitto."""

import asyncio
import os
import shutil
import ssl
import subprocess
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from device_sim.plan import DEMO
from hub.acquisition.mqtt import TOPICS
from hub.wire import TopicKind, topic
from tests.deploy.conftest import DEADLINE_S, ROOT, Broker, Deployment

END = "ctg/v1/{site}/end/state"
SITE_WRITES = (TopicKind.STATE, TopicKind.EVENT, TopicKind.WAVE_LIVE, TopicKind.WAVE_FILL)

pytestmark = pytest.mark.system


async def publish_and_end(client: aiomqtt.Client, site: str, topics: list[str]) -> None:
    """Publish to each topic, then a last message that is surely allowed."""
    for one in topics:
        await client.publish(one, one.encode(), qos=1)
    await client.publish(END.format(site=site), b"", qos=1)


async def read_until_end(client: aiomqtt.Client, site: str) -> list[str]:
    """Topics that arrive before the last message: one connection's messages keep their order."""
    seen = []
    async with asyncio.timeout(DEADLINE_S):
        async for message in client.messages:
            if str(message.topic) == END.format(site=site):
                break
            seen.append(str(message.topic))
    return seen


async def gets_in(broker: Broker, name: str | None, password: str | None) -> bool:
    """Tell whether the broker takes this user with this password."""
    try:
        async with broker.client(name, password, identifier="someone"):
            return True
    except aiomqtt.MqttError as error:
        if "not authori" not in str(error).lower():
            raise
        return False


async def test_the_hub_reads_all_that_a_site_writes_and_nothing_of_a_site_that_wrote_for_another(
    deployment: Deployment,
):
    password = deployment.add_site("h001")
    deployment.add_site("h002")
    broker = deployment.start_broker("internal.conf")
    of_site = (TopicKind.STATUS, TopicKind.HEALTH, TopicKind.TIME)
    own = [
        *(topic("h001", None, kind) for kind in of_site),
        *(topic("h001", "bed1", kind) for kind in SITE_WRITES),
    ]
    foreign = [one.replace("h001", "h002") for one in own]
    forged = [
        "ctg/v1/h001/bed1/ack",
        "ctg/v1/h001/bed1/advice",
        "ctg/v1/h001/cmd",
        "ctg/v1/h001/credit",
        "elsewhere",
        "$SYS/broker/x",
    ]
    async with broker.client("hub", deployment.variables["CTG_MQTT_PASSWORD"]) as hub:
        for subscription in TOPICS:
            await hub.subscribe(subscription, qos=1)
        async with broker.client("h001", password) as site:
            await publish_and_end(site, "h001", [*foreign, *forged, *own])
        assert await read_until_end(hub, "h001") == own


async def test_an_ack_reaches_its_own_site_and_no_other_and_comes_from_the_hub_alone(deployment: Deployment):
    passwords = {name: deployment.add_site(name) for name in ("h001", "h002")}
    broker = deployment.start_broker("internal.conf")
    downward = (TopicKind.ACK, TopicKind.ADVICE)
    to_site = (TopicKind.CREDIT, TopicKind.CMD, TopicKind.TIME)
    async with (
        broker.client("hub", deployment.variables["CTG_MQTT_PASSWORD"]) as hub,
        broker.client("h001", passwords["h001"]) as first,
        broker.client("h002", passwords["h002"]) as second,
    ):
        for site in (first, second):
            for subscription in ("ctg/v1/+/+/ack", "ctg/v1/+/+/advice", "ctg/v1/#"):
                await site.subscribe(subscription, qos=1)
        await second.publish(topic("h001", "forged", TopicKind.ACK), b"{}", qos=1)
        for name in ("h002", "h001"):
            for kind in downward:
                await hub.publish(topic(name, "bed1", kind), b"{}", qos=1)
            for kind in to_site:
                await hub.publish(topic(name, None, kind), b"{}", qos=1)
        seen: dict[str, set[str]] = {}
        for name, site in (("h001", first), ("h002", second)):
            last = topic(name, "last", TopicKind.ACK)
            await hub.publish(last, b"{}", qos=1)
            seen[name] = set()
            async with asyncio.timeout(DEADLINE_S):
                async for message in site.messages:
                    if str(message.topic) == last:
                        break
                    seen[name].add(str(message.topic))
    assert seen == {
        name: {
            *(topic(name, "bed1", kind) for kind in downward),
            *(topic(name, None, kind) for kind in to_site),
        }
        for name in passwords
    }


@pytest.mark.parametrize(
    ("name", "password"),
    [
        pytest.param(None, None, id="nobody"),
        pytest.param("h001", "wrong", id="wrong password"),
        pytest.param("h003", "any", id="unknown site"),
        pytest.param("hub", "hub", id="guessed"),
        pytest.param("simulator", None, id="simulator before it is let in"),
    ],
)
async def test_who_has_no_password_does_not_get_in(
    deployment: Deployment, name: str | None, password: str | None
):
    deployment.add_site("h001")
    broker = deployment.start_broker("internal.conf")
    if name == "simulator":
        password = deployment.variables["CTG_SIMULATOR_PASSWORD"]
    assert not await gets_in(broker, name, password)


async def test_a_removed_site_is_cut_off_at_the_reload_and_stays_out(deployment: Deployment):
    password = deployment.add_site("h001")
    kept = deployment.add_site("h002")
    broker = deployment.start_broker("internal.conf")

    async def remove_while_connected() -> None:
        async with broker.client("h001", password) as site:
            deployment.run("remove", "h001")
            broker.reload()
            async with asyncio.timeout(DEADLINE_S):
                async for _ in site.messages:
                    pass

    async with broker.client("h002", kept) as other:
        with pytest.raises(aiomqtt.MqttError):
            await remove_while_connected()
        assert not await gets_in(broker, "h001", password)
        await other.publish("ctg/v1/h002/status", b"{}", qos=1)  # the others were not touched


async def test_a_new_site_gets_in_without_a_restart(deployment: Deployment):
    broker = deployment.start_broker("internal.conf")
    password = deployment.add_site("h009")
    broker.reload()
    async with asyncio.timeout(DEADLINE_S):
        while not await gets_in(broker, "h009", password):  # noqa: ASYNC110  another process is polled
            await asyncio.sleep(0.05)


async def test_a_message_beyond_the_protocols_size_is_not_passed_on(deployment: Deployment):
    password = deployment.add_site("h001")
    broker = deployment.start_broker("internal.conf")
    fill = topic("h001", "bed1", TopicKind.WAVE_FILL)
    async with broker.client("hub", deployment.variables["CTG_MQTT_PASSWORD"]) as hub:
        await hub.subscribe("ctg/v1/+/+/wave/fill", qos=1)
        await hub.subscribe("ctg/v1/+/+/state", qos=1)
        async with broker.client("h001", password) as site:
            await site.publish(fill, bytes(64 * 1024 + 1), qos=1)
            await site.publish(fill, bytes(64 * 1024), qos=1)
            await publish_and_end(site, "h001", [])
        sizes = []
        async with asyncio.timeout(DEADLINE_S):
            async for message in hub.messages:
                if str(message.topic) == END.format(site="h001"):
                    break
                sizes.append(len(message.payload))
    assert sizes == [64 * 1024]


async def test_the_monitor_reads_the_brokers_figures_and_no_trace(deployment: Deployment):
    password = deployment.add_site("h001")
    broker = deployment.start_broker("internal.conf")
    words = (deployment.secrets / "mosquitto_sub").read_text().split()
    options = dict(zip(words[::2], words[1::2], strict=True))
    async with broker.client(options["-u"], options["-P"]) as monitor:
        await monitor.subscribe("ctg/v1/#")
        async with broker.client("h001", password) as site:
            await publish_and_end(site, "h001", [])
        await monitor.subscribe("$SYS/broker/uptime")  # what the health check asks for
        async with asyncio.timeout(DEADLINE_S):
            first = await anext(aiter(monitor.messages))
    assert str(first.topic) == "$SYS/broker/uptime"


async def test_the_simulator_plays_its_invented_sites_once_it_is_let_in(deployment: Deployment):
    deployment.run("simulator")
    broker = deployment.start_broker("internal.conf")
    own = [topic(plan.site, plan.beds[0].bed, TopicKind.WAVE_LIVE) for plan in DEMO]
    real = topic("h012", "bed1", TopicKind.WAVE_LIVE)
    async with broker.client("hub", deployment.variables["CTG_MQTT_PASSWORD"]) as hub:
        for subscription in TOPICS:
            await hub.subscribe(subscription, qos=1)
        async with broker.client("simulator", deployment.variables["CTG_SIMULATOR_PASSWORD"]) as simulator:
            await publish_and_end(simulator, DEMO[0].site, [real, *own])
        assert await read_until_end(hub, DEMO[0].site) == own


def test_passwords_are_random_stay_when_made_again_and_are_readable_by_their_owner_alone(
    deployment: Deployment,
):
    first = deployment.variables
    users = (deployment.secrets / "passwords").read_text()
    deployment.run("init")
    assert deployment.variables == first
    assert len(set(first.values())) == len(first)
    assert all(len(value) >= 32 for name, value in first.items() if name.endswith("PASSWORD"))
    assert not any(value in users for value in first.values())
    for file in (
        deployment.root / ".env",
        deployment.secrets / "passwords",
        deployment.secrets / "mosquitto_sub",
    ):
        assert file.stat().st_mode & 0o777 == 0o600
    uid, gid = map(int, first["CTG_BROKER_USER"].split(":"))
    owner = (deployment.secrets / "passwords").stat()
    assert (owner.st_uid, owner.st_gid) == (uid, gid)
    assert uid != 0


@pytest.mark.parametrize("name", ["hub", "monitor", "simulator", "a/b", "+", "#", "a:b", "", "x" * 33])
def test_a_name_that_is_taken_or_no_topic_can_carry_gets_no_password(deployment: Deployment, name: str):
    before = (deployment.secrets / "passwords").read_text()
    with pytest.raises(subprocess.CalledProcessError):
        deployment.run("site", "--", name)
    assert (deployment.secrets / "passwords").read_text() == before


# ---------------------------------------------------------------------------- TLS

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates")


class Authority:
    """The certificate authority of `certificates.sh`, in a folder of the test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.run("init", "broker.example.jp")

    def run(self, *arguments: str) -> None:
        environment = {**os.environ, "CTG_TLS_DIR": str(self.folder)}
        command = ["sh", str(ROOT / "deploy/certificates.sh"), *arguments]
        subprocess.run(command, env=environment, check=True, capture_output=True, timeout=20)

    def context(self, site: str | None) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.folder / "ca.crt")
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        if site is not None:
            context.load_cert_chain(self.folder / f"site-{site}.crt", self.folder / f"site-{site}.key")
        return context


@needs_openssl
async def test_a_certificates_name_is_the_site_whatever_user_is_claimed(
    deployment: Deployment, tmp_path: Path
):
    authority = Authority(tmp_path / "tls")
    authority.run("site", "h001")
    broker = deployment.start_broker("internal.conf", "tls.conf", tls=tmp_path / "tls/broker")
    door: dict[str, Any] = {"port": broker.ports["tls.conf"], "tls_context": authority.context("h001")}
    own, foreign = (topic(site, "bed1", TopicKind.WAVE_LIVE) for site in ("h001", "h002"))
    async with broker.client("hub", deployment.variables["CTG_MQTT_PASSWORD"]) as hub:
        for subscription in TOPICS:
            await hub.subscribe(subscription, qos=1)
        async with broker.client("h002", None, **door) as site:
            await publish_and_end(site, "h001", [foreign, own])
        assert await read_until_end(hub, "h001") == [own]


@needs_openssl
async def test_without_a_valid_certificate_nobody_comes_in_by_tls(deployment: Deployment, tmp_path: Path):
    authority = Authority(tmp_path / "tls")
    authority.run("site", "h001")
    authority.run("site", "h002")
    authority.run("revoke", "h002")
    broker = deployment.start_broker("internal.conf", "tls.conf", tls=tmp_path / "tls/broker")
    hub_password = deployment.variables["CTG_MQTT_PASSWORD"]
    for name, certificate, password in (("hub", None, hub_password), ("h002", "h002", None)):
        door: dict[str, Any] = {
            "port": broker.ports["tls.conf"],
            "tls_context": authority.context(certificate),
        }
        with pytest.raises(aiomqtt.MqttError):
            async with broker.client(name, password, timeout=2, **door):
                pass
    door = {"port": broker.ports["tls.conf"], "tls_context": authority.context("h001")}
    async with broker.client("h001", None, **door) as site:
        await site.publish("ctg/v1/h001/status", b"{}", qos=1)


@needs_openssl
def test_the_broker_is_never_given_the_key_that_signs(tmp_path: Path):
    authority = Authority(tmp_path / "tls")
    assert {file.name for file in (authority.folder / "broker").iterdir()} == {
        "ca.crt",
        "ca.crl",
        "server.crt",
        "server.key",
    }
