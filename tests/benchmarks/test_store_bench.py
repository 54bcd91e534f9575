"""How fast the store takes frames, how fast it gives them back, and how much room they need."""

import asyncio
import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from hub.database import cancel
from hub.journal import AlertJournal
from hub.model import Ack, Classification, Reason
from hub.pipeline import StoredSegment
from hub.recorder import Recorder
from hub.stages import Clock, Stage
from hub.store.embedded import EmbeddedPostgres
from hub.store.rows import FrameRow
from hub.store.store import Store
from tests.store.conftest import (  # noqa: F401  # fixtures
    SIZE,
    T0_MS,
    Traffic,
    layout,
    postgres_dsn,
    throwaway_server,
    traffic,
)

Benchmark = Any
"""pytest-benchmark's fixture: a fixture function without types."""


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    """A server on a real disk: in memory a commit costs nothing."""
    with throwaway_server(on_disk=True) as server:
        yield server


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    made = asyncio.new_event_loop()
    yield made
    made.close()


@pytest.fixture
def store(loop: asyncio.AbstractEventLoop, postgres_dsn: str) -> Iterator[Store]:  # noqa: F811  # a fixture
    opened = loop.run_until_complete(Store.open(postgres_dsn))
    yield opened
    loop.run_until_complete(opened.close())


def _batches(rows: list[FrameRow], beds: int) -> Iterator[list[FrameRow]]:
    """One frame of each bed per batch, second after second."""
    for second in itertools.count():
        row = rows[second % len(rows)]
        yield [
            replace(
                row,
                bed=f"bed{bed}",
                seq=second,
                t0_ms=T0_MS + second * 1000,
                end_ms=T0_MS + second * 1000 + 1000,
            )
            for bed in range(beds)
        ]


@pytest.mark.parametrize("beds", [100, 1000, 10_000])
def test_frames_stored_in_one_batch(
    benchmark: Benchmark,
    store: Store,
    loop: asyncio.AbstractEventLoop,
    traffic: Traffic,  # noqa: F811  # a fixture
    beds: int,
) -> None:
    batches = _batches(traffic(60), beds)

    def setup() -> tuple[tuple[list[FrameRow]], dict[str, object]]:
        return (next(batches),), {}

    def append(batch: list[FrameRow]) -> int:
        return loop.run_until_complete(store.append_frames(batch)).stored

    stored = benchmark.pedantic(append, setup=setup, rounds=15, warmup_rounds=2)
    assert stored == beds
    benchmark.extra_info["frames_per_s"] = round(beds / benchmark.stats.stats.median)
    assert benchmark.extra_info["frames_per_s"] > 1000


def test_readings_of_2000_beds_at_the_end_of_a_segment(
    benchmark: Benchmark,
    store: Store,
    loop: asyncio.AbstractEventLoop,
    tmp_path: Path,
) -> None:
    """Every bed's ten minutes end at once: from the queue of the recorder to the last commit."""

    async def publish(_site: str, _bed: str, _ack: Ack) -> bool:
        return True

    journal = AlertJournal(tmp_path)
    recorder = Recorder(store, publish, lambda name, pending: Stage(name, Clock(), pending), journal)
    numbers = itertools.count()

    async def write(segments: list[StoredSegment]) -> None:
        recorder.keep(segments)
        writing = asyncio.create_task(recorder.write_records())
        for _ in itertools.count():
            if not recorder.record_stage.pending:
                break
            await asyncio.sleep(0.005)
        await cancel(writing)

    def setup() -> tuple[tuple[list[StoredSegment]], dict[str, object]]:
        origin_ms = T0_MS + next(numbers) * 600_000
        return ([_segment(bed, origin_ms) for bed in range(2000)],), {}

    benchmark.pedantic(lambda segments: loop.run_until_complete(write(segments)), setup=setup, rounds=5)
    journal.close()
    benchmark.extra_info["segments_per_s"] = round(2000 / benchmark.stats.stats.median)
    assert recorder.set_aside_records == 0


def _segment(bed: int, origin_ms: int) -> StoredSegment:
    reasons = tuple(
        Reason(code="baseline", start_s=60.0 * k, end_s=60.0 * k + 60, values={"baseline_bpm": 140.0})
        for k in range(5)
    )
    reading = Classification(
        start_s=0.0,
        end_s=600.0,
        level=3,
        cell="3.2",
        baseline_bpm=140.0,
        valid_fraction=0.93,
        reasons=reasons,
    )
    return StoredSegment(
        site=f"h{bed // 20}",
        bed=f"bed{bed % 20}",
        fetus=1,
        origin_ms=origin_ms,
        classification=reading,
        algorithm="jsog/1",
    )


def test_reading_a_packed_hour(
    benchmark: Benchmark,
    store: Store,
    loop: asyncio.AbstractEventLoop,
    traffic: Traffic,  # noqa: F811  # a fixture
) -> None:
    rows = traffic(3600)
    loop.run_until_complete(store.append_frames(rows))
    loop.run_until_complete(store.compact(rows[-1].arrived_ms + 3_600_000))
    found = benchmark(lambda: loop.run_until_complete(store.read_frames("h012", "bed1", 0, 2 * T0_MS)))
    assert len(found) == 3600


def test_packing_an_hour(
    benchmark: Benchmark,
    store: Store,
    loop: asyncio.AbstractEventLoop,
    traffic: Traffic,  # noqa: F811  # a fixture
) -> None:
    beds = itertools.count()

    def setup() -> tuple[tuple[int], dict[str, object]]:
        rows = traffic(3600, bed=f"bed{next(beds)}")
        loop.run_until_complete(store.append_frames(rows))
        return (rows[-1].arrived_ms + 3_600_000,), {}

    packed = benchmark.pedantic(
        lambda now_ms: loop.run_until_complete(store.compact(now_ms)), setup=setup, rounds=5
    )
    assert packed == 3600


@pytest.mark.timeout(300)
def test_room_of_a_bed_hour(
    benchmark: Benchmark,
    store: Store,
    loop: asyncio.AbstractEventLoop,
    postgres_dsn: str,  # noqa: F811  # a fixture
    traffic: Traffic,  # noqa: F811  # a fixture
) -> None:
    """Eight beds live for six hours, with all that packing has not taken yet, then an hour later."""
    beds = [traffic(6 * 3600, bed=f"bed{number}", record=record) for number, record in enumerate(_RECORDS)]

    async def live() -> None:
        for start in range(0, 6 * 3600, 60):
            await store.append_frames([row for rows in beds for row in rows[start : start + 60]])
            await store.compact(beds[0][start + 59].arrived_ms)
            if start % 600 == 0:
                _vacuum(postgres_dsn)  # which autovacuum does in real time

    benchmark.pedantic(lambda: loop.run_until_complete(live()), rounds=1)
    bed_hours = 6 * len(beds)
    benchmark.extra_info["bytes_per_bed_hour_while_live"] = _room(postgres_dsn) // bed_hours
    loop.run_until_complete(store.compact(beds[0][-1].arrived_ms + 3_600_000))
    benchmark.extra_info["bytes_per_bed_hour_an_hour_later"] = _room(postgres_dsn) // bed_hours
    assert benchmark.extra_info["bytes_per_bed_hour_an_hour_later"] <= 60_000


_RECORDS = ("1017", "1070", "1098", "1139", "1169", "1185", "1197", "1273")


def _vacuum(dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("VACUUM frame, reception")


def _room(dsn: str) -> int:
    with psycopg.connect(dsn, autocommit=True) as connection:
        row = connection.execute(SIZE).fetchone()
    assert row is not None
    return int(row[0])
