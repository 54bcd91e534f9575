"""A full disk and a database that is away cost nothing that was acknowledged, and need no hand."""

import asyncio
import contextlib
import os
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from hub import database
from hub.errors import StoreError
from hub.journal import AlertJournal
from hub.model import Ack
from hub.recorder import Recorder
from hub.stages import Clock, Stage
from hub.store.cluster import ADMIN
from hub.store.embedded import EmbeddedPostgres, _processes_in
from hub.store.rows import FrameRow
from hub.store.store import FOREVER_MS, Store
from tests.store.conftest import Traffic, folder_for_postgres, payloads, throwaway_server

BED = ("h012", "bed1")
OUTAGE_S = float(os.environ.get("CTG_TEST_OUTAGE_S", "4"))
"""A longer one by hand, as `docs/store.md` says."""
DISK_BYTES = 160_000_000
LEFT_BYTES = 200_000
BATCH = 100
FULL_S = 2.5
"""The disk stays full for so long after the server has fallen."""
BACK_S = 60.0
"""Reliability goal: writing again within this after there is room."""


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A file system of its own, small enough to be filled."""
    with folder_for_postgres() as folder:
        command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES},mode=755", "tmpfs", str(folder)]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode != 0:
            pytest.fail(
                f"this test fills a disk and needs the right to mount a tmpfs: {done.stderr.strip()};"
                " run it as root, or leave it out with -m 'not system'"
            )
        yield folder
        for pid in _processes_in(folder / "postgres" / "data"):  # left by a test that failed
            os.kill(pid, signal.SIGKILL)
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextlib.asynccontextmanager
async def _kept(server: EmbeddedPostgres) -> AsyncIterator[None]:
    """What the hub does: see to it that the database runs."""
    keeper = asyncio.create_task(database._keep_running(server))
    yield
    assert not keeper.done(), "the keeper of the database has given up"
    await database.cancel(keeper)


async def _until_stored(store: Store, rows: list[FrameRow], limit_s: float) -> float:
    """Try, as the recorder does, until the rows are stored; returns how long that took."""
    began_s = time.monotonic()
    while True:
        try:
            await store.append_frames(rows)
        except StoreError:
            assert time.monotonic() - began_s < limit_s
            await asyncio.sleep(0.2)
        else:
            return time.monotonic() - began_s


def _switch_wal(server: EmbeddedPostgres) -> None:
    with (
        contextlib.suppress(psycopg.Error),
        psycopg.connect(server._dsn(ADMIN, ADMIN), autocommit=True, connect_timeout=2) as admin,
    ):
        admin.execute("SELECT pg_switch_wal()")


@pytest.mark.system
async def test_a_full_disk_loses_nothing_and_needs_no_hand(small_disk: Path, traffic: Traffic) -> None:
    rows = traffic(4000)
    server = EmbeddedPostgres(small_disk)
    await asyncio.to_thread(server.start)
    store = await Store.open(server.dsn)
    ballast = small_disk / "ballast"
    acknowledged, at = -1, 600
    async with _kept(server):
        await store.append_frames(rows[:at])
        free = os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize
        with ballast.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, free - LEFT_BYTES)
        pid, refusals, fell_s = server.pid, 0, 0.0
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline and not (fell_s and time.monotonic() - fell_s > FULL_S):
            try:
                ack = (await store.append_frames(rows[at : at + BATCH]))[BED]
            except StoreError:
                refusals += 1
                await asyncio.to_thread(_switch_wal, server)  # sooner than an hour of traffic would
                await asyncio.sleep(0.1)
            else:
                acknowledged, at = ack.contiguous, at + BATCH
                assert not fell_s, "there was no room, yet it was stored"
            if server.pid != pid:
                fell_s = fell_s or time.monotonic()
        assert fell_s, "the disk was not full enough for the server to fall"
        assert refusals > 3
        assert acknowledged == at - 1 > 600

        ballast.unlink()
        assert await _until_stored(store, rows[at : at + BATCH], BACK_S) < BACK_S
        stored = await store.read_frames(*BED, 0, FOREVER_MS)
        assert payloads(stored) == payloads(rows[: at + BATCH])
        assert await store.compact(rows[at].arrived_ms + 3_600_000) == len(stored)
        assert payloads(await store.read_frames(*BED, 0, FOREVER_MS)) == payloads(stored)
    await store.close()
    await asyncio.to_thread(server.stop)


def _freeze(server: EmbeddedPostgres) -> Callable[[], None]:
    pids = _processes_in(server._prepared.data)
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)

    def thaw() -> None:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    return thaw


def _take_away(server: EmbeddedPostgres) -> Callable[[], None]:
    server.stop()
    return server.start


@pytest.mark.system
@pytest.mark.timeout(OUTAGE_S + 90)
@pytest.mark.parametrize("outage", [_freeze, _take_away])
async def test_while_the_database_is_away_frames_wait_and_nothing_else_does(
    outage: Callable[[EmbeddedPostgres], Callable[[], None]],
    traffic: Traffic,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    if OUTAGE_S < 20:
        monkeypatch.setattr("hub.store.store.WRITE_DEADLINE_S", 2.5)  # a short outage must outlast it
    rows = traffic(60)
    acked: list[Ack] = []

    async def publish(site: str, bed: str, ack: Ack) -> bool:
        acked.append(ack)
        return True

    with throwaway_server() as server:
        store = await Store.open(server.dsn)
        journal = AlertJournal(tmp_path)
        recorder = Recorder(store, publish, lambda name, pending: Stage(name, Clock(), pending), journal)
        tasks = [
            asyncio.create_task(stage.keep_running(run))
            for stage, run in (
                (recorder.frame_stage, recorder.write_frames),
                (recorder.ack_stage, recorder.send_acks),
            )
        ]
        offered: list[FrameRow] = []
        longest_s = 0.0

        async def offer_for(seconds: float, until_seq: int | None = None) -> None:
            nonlocal longest_s
            end_s = time.monotonic() + seconds
            while time.monotonic() < end_s and (
                until_seq is None or not acked or acked[-1].contiguous < until_seq
            ):
                row = rows[len(offered) % len(rows)]
                seq = len(offered)
                payload = row.payload[:6] + seq.to_bytes(4, "big") + row.payload[10:]
                offered.append(replace(row, seq=seq, payload=payload))
                before_s = time.monotonic()
                assert recorder.offer_frame(offered[-1])
                await asyncio.sleep(0.02)
                longest_s = max(longest_s, time.monotonic() - before_s)

        await offer_for(10, until_seq=10)
        restore = await asyncio.to_thread(outage, server)
        known = acked[-1].contiguous
        await offer_for(OUTAGE_S)
        for _ in range(10):
            if not recorder.is_failing:
                await offer_for(0.5)
        assert recorder.is_failing
        assert acked[-1].contiguous - known <= 50  # at most what was under way when it began
        await asyncio.to_thread(restore)
        goal = len(offered) - 1
        began_s = time.monotonic()
        await offer_for(15, until_seq=goal)
        assert acked[-1].contiguous >= goal
        assert time.monotonic() - began_s < 15
        assert recorder.frame_stage.restarts == 0
        assert longest_s < 1.5, f"the event loop stood still for {longest_s:.2f} s"
        stored = await store.read_frames(*BED, 0, FOREVER_MS)
        by_seq = {row.seq: row.payload for row in stored}
        assert [by_seq[row.seq] for row in offered[: goal + 1]] == payloads(offered[: goal + 1])
        assert len(stored) == len(by_seq)
        for task in tasks:
            await database.cancel(task)
        await store.close()
        journal.close()
