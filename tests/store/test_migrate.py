"""A database is brought up to date step by step, and a schema that does not fit is refused."""

import asyncio
from dataclasses import replace

import psycopg
import pytest

from hub.errors import StoreAwayError, StoreError
from hub.store.migrate import (
    OLDEST_SERVER,
    Migration,
    _check_version,
    migrate,
    read_migrations,
    select_migrations,
)
from hub.store.rows import Layout
from hub.store.store import Store


def _count(dsn: str, query: str) -> int:
    with psycopg.connect(dsn, autocommit=True) as connection:
        row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return int(row[0])


async def test_migrating_again_changes_nothing(postgres_dsn: str, layout: Layout) -> None:
    assert await migrate(postgres_dsn) is layout
    assert await migrate(postgres_dsn) is layout
    steps = len(read_migrations(layout))
    assert _count(postgres_dsn, "SELECT count(*) FROM schema_migration") == steps


async def test_two_hubs_may_migrate_at_once(postgres_dsn: str, layout: Layout) -> None:
    await asyncio.gather(*(migrate(postgres_dsn) for _ in range(3)))
    steps = len(read_migrations(layout))
    assert _count(postgres_dsn, "SELECT count(*) FROM schema_migration") == steps


async def test_a_changed_step_is_refused(postgres_dsn: str, layout: Layout) -> None:
    steps = read_migrations(layout)
    await migrate(postgres_dsn, steps)
    changed = [replace(steps[0], sql=steps[0].sql + "-- one more thought\n"), *steps[1:]]
    with pytest.raises(StoreError, match="migration 0001_frames is not the one that was applied"):
        await migrate(postgres_dsn, changed)


async def test_a_step_that_this_hub_does_not_know_is_refused(postgres_dsn: str, layout: Layout) -> None:
    steps = read_migrations(layout)
    await migrate(postgres_dsn, [*steps, Migration(len(steps) + 1, "from_the_future", "SELECT 1")])
    with pytest.raises(StoreError, match="from_the_future is applied in the database but does not come"):
        await Store.open(postgres_dsn)


async def test_a_step_that_fails_leaves_nothing_behind(postgres_dsn: str, layout: Layout) -> None:
    steps = read_migrations(layout)
    broken = Migration(len(steps) + 1, "broken", "CREATE TABLE half (n integer); SELECT 1 / 0")
    with pytest.raises(StoreError, match="division by zero"):
        await migrate(postgres_dsn, [*steps, broken])
    assert _count(postgres_dsn, "SELECT count(*) FROM pg_class WHERE relname = 'half'") == 0
    await migrate(postgres_dsn, steps)


def test_both_layouts_have_every_step() -> None:
    names = {layout: [(step.number, step.name) for step in read_migrations(layout)] for layout in Layout}
    assert names[Layout.TIMESCALEDB] == names[Layout.PARTITIONS]
    assert "create_hypertable" in "".join(step.sql for step in read_migrations(Layout.TIMESCALEDB))


@pytest.mark.parametrize("number", [140_012, 90_624])
def test_a_server_that_is_too_old_is_refused(number: int) -> None:
    with pytest.raises(StoreError, match="expected PostgreSQL 15 or later, got ") as refused:
        _check_version(number)
    assert not isinstance(refused.value, StoreAwayError)


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        ({"0001_a.sql": "", "0001_b.sql": ""}, "the number 1 is taken by"),
        ({"0001_a.sql": "", "0003_b.sql": ""}, "expected numbers 1 to 2"),
        ({"readme.txt": ""}, "expected a name like"),
    ],
)
def test_files_out_of_order_are_named(files: dict[str, str], complaint: str) -> None:
    with pytest.raises(StoreError, match=complaint):
        select_migrations(files, Layout.PARTITIONS)


async def test_the_store_says_what_it_stands_on(store: Store, layout: Layout) -> None:
    info = await store.describe()
    assert info.layout is layout
    assert int(info.server_version.split(".")[0]) >= OLDEST_SERVER
    assert info.size_bytes > 1_000_000
