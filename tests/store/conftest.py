"""One real PostgreSQL for all store tests, a fresh database for each.

With CTG_TEST_TIMESCALEDB_DSN, which names a server with TimescaleDB and a role that may make databases
there, every test of the store runs once more on that server, in the other layout.
"""

import contextlib
import itertools
import os
import shutil
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from hub import wire
from hub.model import Channel, FrameFlag, Lane, MonitorStatus, SignalQuality, Transducer, WaveFrame
from hub.store.cluster import ADMIN
from hub.store.embedded import EmbeddedPostgres, _processes_in
from hub.store.rows import FrameRow, Layout
from hub.store.store import Store

RECORDINGS = Path(__file__).parents[2] / "device_sim" / "recordings"
T0_MS = 1_780_000_200_000
"""Start of a 10-minute slot, Unix ms."""
MEMORY = Path("/dev/shm")
ROOM_BYTES = 2_000_000_000
SIZE = """
WITH RECURSIVE part AS (
    SELECT unnest(ARRAY['frame', 'reception', 'segment', 'rate_summary'])::regclass AS id
    UNION ALL SELECT inhrelid::regclass FROM pg_inherits, part WHERE inhparent = id)
SELECT sum(pg_total_relation_size(id))::bigint FROM part
"""
"""Bytes of all that waves take, in either layout, with indexes and TOAST."""

TIMESCALEDB_DSN = os.environ.get("CTG_TEST_TIMESCALEDB_DSN")
LAYOUTS = [Layout.PARTITIONS, *([Layout.TIMESCALEDB] if TIMESCALEDB_DSN else [])]

_numbers = itertools.count()


@contextlib.contextmanager
def folder_for_postgres(*, on_disk: bool = False) -> Iterator[Path]:
    """A folder that PostgreSQL can enter when the tests run as root; pytest's own it cannot.

    In memory where there is room: on a busy disk making and removing clusters takes longer than the tests.
    """
    parent = None
    with contextlib.suppress(OSError):
        if not on_disk and shutil.disk_usage(MEMORY).free > ROOM_BYTES:
            parent = MEMORY
    folder = Path(tempfile.mkdtemp(prefix="ctg-store-", dir=parent))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@contextlib.contextmanager
def throwaway_server(*, on_disk: bool = False) -> Iterator[EmbeddedPostgres]:
    """A running server that is gone afterwards with all its data."""
    with folder_for_postgres(on_disk=on_disk) as folder:
        server = EmbeddedPostgres(folder)
        server.start()
        try:
            yield server
        finally:
            for pid in _processes_in(server._prepared.data):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)  # a test that failed may have left it frozen
            if server.pid is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(server.pid, signal.SIGQUIT)  # no checkpoint first
            server.stop()


@pytest.fixture
def open_folder() -> Iterator[Path]:
    with folder_for_postgres() as folder:
        yield folder


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    """One server for the whole run."""
    with throwaway_server() as server:
        yield server


@pytest.fixture(params=LAYOUTS)
def layout(request: pytest.FixtureRequest) -> Layout:
    """What the test's database is laid out as: each test runs on every layout that is at hand."""
    return Layout(request.param)


@pytest.fixture
def postgres_dsn(layout: Layout, request: pytest.FixtureRequest) -> Iterator[str]:
    """A new, empty database of the hub's unprivileged role."""
    name = f"test_{os.getpid()}_{next(_numbers)}"
    if layout is Layout.TIMESCALEDB:
        assert TIMESCALEDB_DSN is not None
        with psycopg.connect(TIMESCALEDB_DSN, autocommit=True) as admin:
            # template1 is often busy there: the extension's own workers look into every database.
            admin.execute(f"CREATE DATABASE {name} TEMPLATE template0".encode())
            yield make_conninfo(TIMESCALEDB_DSN, dbname=name)
            _drop(admin, name)
        return
    server: EmbeddedPostgres = request.getfixturevalue("postgres")
    with psycopg.connect(server._dsn(ADMIN, ADMIN), autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name} OWNER ctg".encode())
        yield make_conninfo(server.dsn, dbname=name)
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def _drop(admin: psycopg.Connection, name: str) -> None:
    """Drop a database; a job of the extension may be at it, which only a superuser could end."""
    deadline = time.monotonic() + 20
    while True:
        try:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
        except (psycopg.errors.InsufficientPrivilege, psycopg.errors.ObjectInUse):
            assert time.monotonic() < deadline
        else:
            return


@pytest.fixture
async def store(postgres_dsn: str) -> AsyncIterator[Store]:
    opened = await Store.open(postgres_dsn)
    yield opened
    await opened.close()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if Layout.TIMESCALEDB not in LAYOUTS:
        terminalreporter.write_line(
            "NOT RUN: the store's tests on TimescaleDB; set CTG_TEST_TIMESCALEDB_DSN to a server that has it",
            yellow=True,
        )


Traffic = Callable[..., list[FrameRow]]


@pytest.fixture(scope="session")
def traffic() -> Traffic:
    """Frames as a site sends them: 1 s of a real recording's FHR and toco, with a maternal rate beside."""
    tracks: dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]] = {}

    def load(record: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        if record not in tracks:
            with np.load(RECORDINGS / f"{record}.npz") as file:
                fhr, toco = file["fhr"], file["toco"]
            noise = np.random.default_rng(int(record))
            mhr = 84 + 6 * np.sin(np.arange(fhr.size) / 700) + noise.normal(0, 0.6, fhr.size)
            tracks[record] = fhr, toco, mhr
        return tracks[record]

    def make(
        count: int,
        *,
        site: str = "h012",
        bed: str = "bed1",
        epoch: int = 7,
        first: int = 0,
        t0_ms: int = T0_MS,
        record: str = "1017",
        lane: Lane = Lane.LIVE,
        delay_ms: int = 120,
        flags: FrameFlag = FrameFlag.NONE,
    ) -> list[FrameRow]:
        fhr, toco, mhr = load(record)
        jitter_ms = np.random.default_rng(epoch + first).integers(0, 150, count)
        rows = []
        for index, seq in enumerate(range(first, first + count)):
            at = np.arange(seq * 4, seq * 4 + 4) % fhr.size
            quality = np.where(np.isnan(fhr[at]), SignalQuality.RED, SignalQuality.GREEN)
            blocks = (
                wire.samples_from_values(
                    Channel.FHR1, fhr[at], transducer=Transducer.ULTRASOUND, quality=quality
                ),
                wire.samples_from_values(Channel.MHR, mhr[at], transducer=Transducer.EXTERNAL),
                wire.samples_from_values(Channel.TOCO, toco[at], transducer=Transducer.EXTERNAL),
            )
            frame = WaveFrame(
                site, bed, epoch, seq, t0_ms + seq * 1000, 250, 4, flags, MonitorStatus.ON, blocks
            )
            arrived_ms = frame.end_ms + delay_ms + int(jitter_ms[index])
            payload = wire.encode_wave(frame)
            rows.append(FrameRow(site, bed, epoch, seq, frame.t0_ms, frame.end_ms, lane, arrived_ms, payload))
        return rows

    return make


def payloads(rows: Sequence[FrameRow]) -> list[bytes]:
    return [row.payload for row in rows]
