"""Bring a database to the newest schema: numbered SQL files, each applied once, in order.

`NNNN_name.sql` is for every database.  `NNNN_name.timescaledb.sql` and
`NNNN_name.partitions.sql` are one step in two forms; which form a database
gets is chosen at its first migration and never changes.
"""

import hashlib
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Final, LiteralString

import psycopg

from hub.errors import StoreError
from hub.store.rows import Layout
from hub.store.session import Connection, connect, deadline, store_error

_log = logging.getLogger(__name__)

MIGRATION_DEADLINE_S: Final = 300.0
OLDEST_SERVER: Final = 15
_LOCK: Final = 0x43544701
_FILE: Final = re.compile(
    r"(?P<number>\d{4})_(?P<name>[a-z_]+)(?:\.(?P<layout>timescaledb|partitions))?\.sql"
)
_BOOKS: Final = """
CREATE TABLE IF NOT EXISTS schema_migration (
    number integer PRIMARY KEY, name text NOT NULL, checksum text NOT NULL,
    applied timestamptz NOT NULL DEFAULT now());
CREATE TABLE IF NOT EXISTS store_setting (name text PRIMARY KEY, value text NOT NULL)
"""


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of the schema."""

    number: int
    name: str
    sql: LiteralString

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def read_migrations(layout: Layout) -> list[Migration]:
    """Read the steps that come with this version of the hub, in order."""
    folder = resources.files("hub.store") / "migrations"
    return select_migrations({file.name: file.read_text("utf-8") for file in folder.iterdir()}, layout)


def select_migrations(files: Mapping[str, str], layout: Layout) -> list[Migration]:
    """Pick the files of a layout and put them in order.  Raises StoreError for a file out of place."""
    steps: dict[int, Migration] = {}
    for name, text in files.items():
        match = _FILE.fullmatch(name)
        if match is None:
            msg = f"migrations/{name}: expected a name like 0007_what_it_does.sql"
            raise StoreError(msg)
        if match["layout"] not in (None, layout):
            continue
        number = int(match["number"])
        if number in steps:
            msg = f"migrations/{name}: the number {number} is taken by {steps[number].name}"
            raise StoreError(msg)
        steps[number] = Migration(number, match["name"], text)
    if sorted(steps) != list(range(1, len(steps) + 1)):
        msg = f"migrations: expected numbers 1 to {len(steps)}, got {sorted(steps)}"
        raise StoreError(msg)
    return [steps[number] for number in sorted(steps)]


async def migrate(dsn: str, wanted: list[Migration] | None = None) -> Layout:
    """Apply what is missing, each step whole or not at all, and return the layout.

    Raises StoreAwayError if the database cannot be reached now, StoreError if waiting will not help.
    """
    try:
        connection = await connect(dsn)
    except psycopg.Error as error:
        purpose = "the database cannot be reached"
        raise store_error(purpose, error) from error
    try:
        with deadline(connection, MIGRATION_DEADLINE_S):
            _check_version(connection.info.server_version)
            await connection.execute(f"SET statement_timeout = '{MIGRATION_DEADLINE_S:.0f}s'")
            await connection.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
            async with connection.transaction():
                await connection.execute(_BOOKS)
                layout = await _choose_layout(connection)
            await _apply(connection, wanted if wanted is not None else read_migrations(layout))
    except psycopg.Error as error:
        purpose = "the database schema cannot be brought up to date"
        raise store_error(purpose, error) from error
    finally:
        await connection.close()
    return layout


def _check_version(number: int) -> None:
    """Refuse a server that lacks what the schema needs; `number` is as in `server_version_num`."""
    if number < OLDEST_SERVER * 10_000:
        msg = f"expected PostgreSQL {OLDEST_SERVER} or later, got {number // 10_000}.{number % 10_000}"
        raise StoreError(msg)


async def _choose_layout(connection: Connection) -> Layout:
    cursor = await connection.execute("SELECT value FROM store_setting WHERE name = 'layout'")
    if (row := await cursor.fetchone()) is not None:
        return Layout(row[0])
    # The extension works only where the server loaded it at start; otherwise creating it ends the connection.
    # That shows in its settings; the list of loaded libraries is for superusers only.
    cursor = await connection.execute(
        "SELECT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'timescaledb')"
        " AND EXISTS (SELECT FROM pg_settings WHERE name = 'timescaledb.max_background_workers')"
    )
    row = await cursor.fetchone()
    layout = Layout.TIMESCALEDB if row is not None and row[0] else Layout.PARTITIONS
    if layout is Layout.TIMESCALEDB:
        await connection.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
    await connection.execute("INSERT INTO store_setting VALUES ('layout', %s)", [layout])
    _log.info("long-term tables are laid out as %s", layout)
    return layout


async def _apply(connection: Connection, wanted: list[Migration]) -> None:
    cursor = await connection.execute("SELECT number, name, checksum FROM schema_migration ORDER BY number")
    applied = {number: (name, checksum) for number, name, checksum in await cursor.fetchall()}
    for number, (name, _) in applied.items():
        if number > len(wanted):
            msg = f"migration {number:04d}_{name} is applied in the database but does not come with this hub"
            raise StoreError(msg)
    for step in wanted:
        if step.number in applied:
            if applied[step.number] != (step.name, step.checksum):
                msg = (
                    f"migration {step.number:04d}_{step.name} is not the one that was applied to the database"
                )
                raise StoreError(msg)
            continue
        async with connection.transaction():
            await connection.execute(step.sql)  # our own file
            await connection.execute(
                "INSERT INTO schema_migration (number, name, checksum) VALUES (%s, %s, %s)",
                [step.number, step.name, step.checksum],
            )
        _log.info("applied migration %04d_%s", step.number, step.name)
