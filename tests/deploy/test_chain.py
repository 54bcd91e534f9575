"""The whole chain as compose would run it: real broker, database with the hub's role, hub, a site."""

import asyncio
import contextlib
import functools
import itertools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from psycopg.conninfo import conninfo_to_dict

from hub.model import Ack
from hub.store.cluster import ADMIN
from hub.store.embedded import EmbeddedPostgres
from hub.wire import decode_json
from tests.deploy.conftest import ROOT, Broker, Deployment, fill_in_all, free_port

HEALTH_CHECK = ROOT / "deploy/healthcheck.py"
START_S = 20.0
HISTORY_S = 60

pytestmark = pytest.mark.system


def check_health(port: int) -> subprocess.CompletedProcess[str]:
    """Run the container's health check, with a proxy in its environment that answers nothing."""
    environment = {**os.environ, "CTG_HTTP_PORT": str(port), "http_proxy": "http://127.0.0.1:9"}
    command = [sys.executable, str(HEALTH_CHECK)]
    return subprocess.run(command, env=environment, check=False, capture_output=True, text=True, timeout=20)


def make_role(server: EmbeddedPostgres, variables: Mapping[str, str]) -> None:
    """Make the hub's role and database as the image does on its first start."""
    admin = conninfo_to_dict(server._dsn(ADMIN, ADMIN))
    with psycopg.connect(server._dsn(ADMIN, ADMIN), autocommit=True) as connection:
        connection.execute("CREATE DATABASE deployed")
    assert server._cluster is not None
    environment = {
        "PATH": f"{server._cluster.programs}:{os.defpath}",
        "PGHOST": str(admin["host"]),
        "PGPORT": str(admin["port"]),
        "PGPASSWORD": str(admin["password"]),
        "POSTGRES_USER": ADMIN,
        "POSTGRES_DB": "deployed",
        "CTG_DB_PASSWORD": variables["CTG_DB_PASSWORD"],
    }
    script = str(ROOT / "deploy/postgres/hub-role.sh")
    subprocess.run([script], env=environment, check=True, capture_output=True, timeout=20)


class Chain:
    """Broker, database, hub and one site; the hub's environment is that of the compose file."""

    def __init__(self, deployment: Deployment, server: EmbeddedPostgres) -> None:
        self.site_password = deployment.add_site("h012")
        make_role(server, deployment.variables)
        assert server._cluster is not None
        self.programs = server._cluster.programs
        self.admin_url = functools.partial(server._dsn, ADMIN)
        self.broker: Broker = deployment.start_broker("internal.conf")
        self.http_port = free_port()
        self.log = deployment.root / "hub.log"
        compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
        given: dict[str, str] = fill_in_all(compose, deployment.variables)["services"]["hub"]["environment"]
        port = conninfo_to_dict(server.dsn)["port"]
        url = given["CTG_DATABASE_URL"].replace("@timescaledb:5432/ctg", f"@127.0.0.1:{port}/deployed")
        assert url != given["CTG_DATABASE_URL"]
        self.database_url = url
        # What differs is where things are; users, passwords and the rest are those of the container.
        elsewhere = {
            "CTG_MQTT_HOST": "127.0.0.1",
            "CTG_MQTT_PORT": str(self.broker.ports["internal.conf"]),
            "CTG_DATABASE_URL": url,
            "CTG_HTTP_HOST": "127.0.0.1",
            "CTG_HTTP_PORT": str(self.http_port),
        }
        assert set(elsewhere) <= set(given)
        self.hub = self._start(deployment, ("hub", "serve"), {**given, **elsewhere})
        broker_url = f"mqtt://h012:{self.site_password}@127.0.0.1:{self.broker.ports['internal.conf']}"
        bed = (
            "bed",
            "h012/bed1",
            "scenario:reassuring",
            "--broker",
            broker_url,
            "--backfill-minutes",
            str(HISTORY_S / 60),
        )
        self.site = self._start(deployment, ("device_sim", *bed), {})

    def _start(
        self, deployment: Deployment, words: tuple[str, ...], environment: Mapping[str, str]
    ) -> "subprocess.Popen[bytes]":
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", *words],
                env={**os.environ, **environment},
                stdout=log,
                stderr=log,
            )
        deployment.processes.append(process)
        return process

    def wait_for(self, what: str, is_so: Any) -> Any:
        """Poll until something is so; show the logs when it does not come to be."""
        end = time.monotonic() + START_S
        while True:
            with contextlib.suppress(httpx.HTTPError):
                if found := is_so():
                    return found
            assert self.hub.poll() is None, self.log.read_text()
            assert time.monotonic() < end, f"{what}\n{self.log.read_text()}\n{self.broker.log.read_text()}"
            time.sleep(0.1)

    def get(self, path: str) -> httpx.Response:
        """Ask the hub."""
        return httpx.get(f"http://127.0.0.1:{self.http_port}{path}", timeout=5)


@pytest.fixture(scope="module")
def chain() -> Iterator[Chain]:
    """One chain for all tests of this file."""
    folder = Path(tempfile.mkdtemp(prefix="ctg-deploy-"))
    folder.chmod(0o755)  # as root the tests' database belongs to another account
    deployment, server = Deployment(folder), EmbeddedPostgres(folder / "database")
    deployment.run("init")
    server.start()
    try:
        yield Chain(deployment, server)
    finally:
        deployment.stop()
        if server.pid is not None:
            os.kill(server.pid, signal.SIGQUIT)  # thrown away: no checkpoint first
        server.stop()
        shutil.rmtree(folder)


def live_bed(chain: Chain) -> Any:
    beds = chain.get("/api/v1/beds").raise_for_status().json()["beds"]
    return [bed for bed in beds if bed["vitals"]["age_ms"] is not None and bed["vitals"]["age_ms"] < 3000]


def test_the_hub_becomes_healthy_in_the_environment_of_compose(chain: Chain):
    chain.wait_for("healthy", lambda: check_health(chain.http_port).returncode == 0)
    assert chain.get("/readyz").json()["is_ready"] is True


def test_a_site_that_has_its_password_is_seen_live(chain: Chain):
    (bed,) = chain.wait_for("a live bed", lambda: live_bed(chain))
    assert (bed["site"], bed["bed"]) == ("h012", "bed1")


async def test_the_site_reads_acks_until_its_history_and_what_followed_is_stored(chain: Chain):
    async with chain.broker.client("h012", chain.site_password, identifier="reader") as site:
        await site.subscribe("ctg/v1/h012/+/ack", qos=1)
        async with asyncio.timeout(START_S):
            async for message in site.messages:
                ack = decode_json(bytes(message.payload), Ack)
                if ack.contiguous > HISTORY_S and not ack.missing:
                    break


def test_the_hubs_role_owns_its_tables_and_is_no_superuser(chain: Chain):
    chain.wait_for("healthy", lambda: check_health(chain.http_port).returncode == 0)
    with psycopg.connect(chain.database_url) as connection:
        row = connection.execute(
            "SELECT rolsuper OR rolcreatedb OR rolcreaterole FROM pg_roles WHERE rolname = current_user"
        ).fetchone()
        owners = connection.execute("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'")
        assert row == (False,)
        assert owners.fetchall() == [("ctg_hub",)]


def first_column(heading: str) -> set[str]:
    """What a table of the operator's page lists."""
    page = (ROOT / "docs/operations.md").read_text("utf-8")
    lines = page.partition(f"| {heading} |")[2].splitlines()[2:]
    table = itertools.takewhile(lambda line: line.startswith("|"), lines)
    return {line.split("`")[1] for line in table}


def test_the_stages_of_a_running_hub_are_those_that_the_operator_reads_about(chain: Chain):
    chain.wait_for("healthy", lambda: check_health(chain.http_port).returncode == 0)
    assert set(chain.get("/progress").json()["stages"]) == first_column("Stage")


def test_the_metrics_of_a_running_hub_are_those_that_the_operator_reads_about(chain: Chain):
    chain.wait_for("healthy", lambda: check_health(chain.http_port).returncode == 0)
    exported = {
        f"{family.name}_total" if family.type == "counter" else family.name
        for family in text_string_to_metric_families(chain.get("/metrics").text)
    }
    # The client library adds the time of creation to each counter.
    assert {name for name in exported if not name.endswith("_created")} == {
        name.partition("{")[0] for name in first_column("Metric")
    }


def test_a_dump_taken_while_the_hub_runs_can_be_restored_and_read(chain: Chain):
    chain.wait_for("a live bed", lambda: live_bed(chain))
    programs, restored = chain.programs, chain.database_url.replace("/deployed", "/restored")
    dump = chain.log.with_name("ctg.dump")
    run = functools.partial(subprocess.run, check=True, capture_output=True, timeout=25)
    run([str(programs / "pg_dump"), "-Fc", "-f", str(dump), chain.admin_url("deployed")])
    with psycopg.connect(chain.admin_url("postgres"), autocommit=True) as connection:
        connection.execute("CREATE DATABASE restored OWNER ctg_hub")
    run([str(programs / "pg_restore"), "-d", chain.admin_url("restored"), str(dump)])
    stored = "SELECT site, bed, epoch, seq, payload FROM frame"
    with psycopg.connect(chain.database_url) as old, psycopg.connect(restored) as new:
        kept, now = set(new.execute(stored).fetchall()), set(old.execute(stored).fetchall())
        sample = new.execute("SELECT count(value) FROM ctg_sample WHERE channel = 'fhr1'").fetchone()
    assert len(kept) > HISTORY_S
    assert kept <= now
    assert sample is not None
    assert sample[0] > HISTORY_S


def test_a_hub_without_its_broker_is_not_healthy_and_says_which(chain: Chain):
    chain.wait_for("healthy", lambda: check_health(chain.http_port).returncode == 0)
    chain.broker.process.terminate()
    chain.wait_for("not healthy", lambda: check_health(chain.http_port).returncode == 1)
    assert "broker" in check_health(chain.http_port).stderr
    assert chain.get("/livez").status_code == 200
