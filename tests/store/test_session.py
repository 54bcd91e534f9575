"""A lost or frozen database is an error in bounded time, and the next call finds the way back."""

import asyncio
import os
import signal
import socket
import time
from collections.abc import Iterator
from functools import partial

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from hub import database
from hub.errors import StoreAwayError, StoreError
from hub.store import session
from hub.store.embedded import EmbeddedPostgres, _processes_in
from hub.store.session import Connection, Readers, Session
from hub.store.store import FOREVER_MS, Store
from tests.store.conftest import Traffic, payloads, throwaway_server


@pytest.fixture(scope="module")
def frail_server() -> Iterator[EmbeddedPostgres]:
    """A server that tests may kill and freeze."""
    with throwaway_server() as server:
        yield server


@pytest.fixture
def own_server(frail_server: EmbeddedPostgres) -> Iterator[EmbeddedPostgres]:
    """The frail server, in good health before and after."""
    frail_server.start()
    yield frail_server
    _signal_all(frail_server, signal.SIGCONT)


async def _one(connection: Connection) -> int:
    cursor = await connection.execute("SELECT 1")
    row = await cursor.fetchone()
    assert row is not None
    return int(row[0])


def _signal_all(server: EmbeddedPostgres, number: signal.Signals) -> None:
    for pid in _processes_in(server._prepared.data):
        os.kill(pid, number)


async def test_a_connection_that_died_while_idle_is_replaced_unseen(postgres_dsn: str) -> None:
    one = Session(postgres_dsn, "testing")
    assert await one.run(_one) == 1
    with psycopg.connect(postgres_dsn, autocommit=True) as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    assert await one.run(_one) == 1
    await one.close()


async def test_a_reader_that_died_while_idle_is_replaced_unseen(postgres_dsn: str) -> None:
    readers = Readers(postgres_dsn)
    await readers.open()
    assert await readers.run("testing", _one) == 1
    with psycopg.connect(postgres_dsn, autocommit=True) as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    assert await readers.run("testing", _one) == 1
    await readers.close()


async def test_a_refused_statement_is_an_error_and_keeps_the_connection(postgres_dsn: str) -> None:
    one = Session(postgres_dsn, "testing")

    async def wrong(connection: Connection) -> None:
        await connection.execute("SELECT 1 / 0")

    with pytest.raises(StoreError, match="testing: division by zero"):
        await one.run(wrong)
    first = one._connection
    assert await one.run(_one) == 1
    assert one._connection is first
    await one.close()


async def test_a_frozen_server_is_left_at_the_deadline(
    own_server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(session._CONNECTION, "connect_timeout", 2)
    one, readers = Session(own_server.dsn, "testing"), Readers(own_server.dsn)
    await readers.open()
    assert await one.run(_one) + await readers.run("testing", _one) == 2
    _signal_all(own_server, signal.SIGSTOP)
    began_s = time.monotonic()
    answers = await asyncio.gather(
        one.run(_one, seconds=1), readers.run("testing", _one, seconds=1), return_exceptions=True
    )
    assert [type(answer) for answer in answers] == [StoreAwayError, StoreAwayError]
    with pytest.raises(StoreAwayError):
        await one.run(_one, seconds=1)  # connecting anew meets the same frozen server
    assert time.monotonic() - began_s < 12
    _signal_all(own_server, signal.SIGCONT)
    assert await one.run(_one) + await readers.run("testing", _one) == 2
    await one.close()
    await readers.close()


async def test_callers_do_not_queue_for_ever(postgres_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "WAIT_S", 0.1)
    one = Session(postgres_dsn, "testing")

    async def slow(connection: Connection) -> None:
        await connection.execute("SELECT pg_sleep(2)")

    busy = asyncio.create_task(one.run(slow))
    await asyncio.wait([busy], timeout=0.2)
    with pytest.raises(StoreError, match="not free within"):
        await one.run(_one, seconds=0.1)
    await busy
    await one.close()


@pytest.mark.parametrize(
    "address", ["127.0.0.1:1", "localhost:1", "no-such-host.invalid", "127.0.0.1:1,127.0.0.1:2"]
)
async def test_a_database_that_is_not_there_is_one_sentence_and_may_be_waited_for(address: str) -> None:
    with pytest.raises(StoreAwayError, match="the database cannot be reached: ") as away:
        await Store.open(f"postgresql://ctg:x@{address}/ctg")
    assert "\n" not in str(away.value)


@pytest.mark.parametrize(
    "wrong",
    [{"password": "wrong"}, {"password": ""}, {"dbname": "none"}, {"user": "nobody"}, {"port": "99999"}],
)
async def test_what_waiting_will_not_mend_is_no_absence(postgres_dsn: str, wrong: dict[str, str]) -> None:
    one = Session(make_conninfo(postgres_dsn, **wrong), "testing")
    for ask in (one.run(_one), Store.open(make_conninfo(postgres_dsn, **wrong))):
        with pytest.raises(StoreError) as refused:
            await ask
        assert not isinstance(refused.value, StoreAwayError), refused.value


async def test_a_hub_waits_for_a_database_that_is_away_and_ends_on_one_that_refuses_it(
    postgres_dsn: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(database, "RETRY_S", 0.05)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    store = Store()
    elsewhere = make_conninfo(postgres_dsn, host="127.0.0.1", port=port)
    away = asyncio.create_task(database.keep_trying(partial(store.connect, elsewhere)))
    assert await asyncio.wait([away], timeout=1) == (set(), {away})
    assert caplog.text.count("waiting for the database") == 1
    with pytest.raises(StoreAwayError, match="not been found yet"):
        await store.describe()

    real = psycopg.conninfo.conninfo_to_dict(postgres_dsn)

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        onward = await asyncio.open_connection(str(real["host"]), int(str(real["port"])))
        await asyncio.gather(_pump(reader, onward[1]), _pump(onward[0], writer))

    async with await asyncio.start_server(forward, "127.0.0.1", port):  # the database comes
        await asyncio.wait_for(away, 10)
        assert (await store.describe()).frames == 0
        await store.close()

    async def change(connection: Connection) -> None:
        await connection.execute("UPDATE schema_migration SET checksum = 'other' WHERE number = 1")

    one = Session(postgres_dsn, "testing")
    await one.run(change)
    await one.close()
    with pytest.raises(StoreError, match="migration 0001_frames is not the one that was applied"):
        await asyncio.wait_for(database.keep_trying(partial(Store().connect, postgres_dsn)), 10)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while block := await reader.read(65536):
        writer.write(block)
        await writer.drain()
    writer.close()


async def test_nothing_acknowledged_is_lost_when_the_server_is_killed(
    own_server: EmbeddedPostgres, traffic: Traffic
) -> None:
    rows = traffic(900)
    store = await Store.open(own_server.dsn)
    acknowledged = -1
    kills = 0
    start = 0
    while start < 900:
        pid = own_server.pid
        assert pid is not None
        writing = store.append_frames(rows[start : start + 100])
        if start % 300 == 0 and kills <= start // 300:
            kills += 1
            answer, _ = await asyncio.gather(
                writing, asyncio.to_thread(os.kill, pid, signal.SIGKILL), return_exceptions=True
            )
            await asyncio.to_thread(_start_again, own_server, pid)
        else:
            answer = await writing
        if not isinstance(answer, StoreError):
            assert isinstance(answer, dict)
            acknowledged = answer["h012", "bed1"].contiguous
            start += 100
        stored = await store.read_frames("h012", "bed1", 0, FOREVER_MS)
        assert payloads(stored[: acknowledged + 1]) == payloads(rows[: acknowledged + 1])
    assert kills == 3
    assert payloads(await store.read_frames("h012", "bed1", 0, FOREVER_MS)) == payloads(rows)
    await store.close()


def _start_again(server: EmbeddedPostgres, killed: int) -> None:
    deadline = time.monotonic() + 10
    while server.pid == killed and time.monotonic() < deadline:
        pass
    server.start()
