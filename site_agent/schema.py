"""The tables of the outbox, and whether a file that is there can be trusted to be one."""

import sqlite3
from pathlib import Path
from typing import Final

from site_agent.stock import OutboxDamagedError, OutboxError

PAGE_BYTES: Final = 4096
VERSION: Final = 2
_FULL: Final = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR})
_CORRUPT: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_UNREADABLE: Final = frozenset(
    {
        sqlite3.SQLITE_IOERR_READ,
        sqlite3.SQLITE_IOERR_SHORT_READ,
        sqlite3.SQLITE_IOERR_CORRUPTFS,
        sqlite3.SQLITE_IOERR_DATA,
    }
)
"""A sector that the disk does not give back any more, a file that ends too early."""
_SCHEMA: Final = f"""
CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE stream (id INTEGER PRIMARY KEY, bed TEXT NOT NULL, epoch INTEGER NOT NULL, UNIQUE (bed, epoch));
CREATE TABLE frame (
    stream INTEGER, seq INTEGER, hour INTEGER, payload BLOB, seal BLOB,
    PRIMARY KEY (stream, seq)) WITHOUT ROWID;
CREATE TABLE confirmed (
    stream INTEGER, first INTEGER, last INTEGER, hour INTEGER, PRIMARY KEY (stream, first)) WITHOUT ROWID;
CREATE TABLE event (
    id TEXT PRIMARY KEY, bed TEXT NOT NULL, payload BLOB NOT NULL, hour INTEGER, done_hour INTEGER);
CREATE TABLE advice (
    id TEXT PRIMARY KEY, bed TEXT NOT NULL, payload BLOB NOT NULL, hour INTEGER,
    confirmed_ms INTEGER, confirmed_by TEXT);
PRAGMA user_version = {VERSION};
"""
_TO_VERSION_2: Final = "ALTER TABLE frame ADD COLUMN seal BLOB; PRAGMA user_version = 2;"


def is_damage(error: sqlite3.Error) -> bool:
    """Whether SQLite says that the file itself is broken."""
    code = _code(error)
    return code & 0xFF in _CORRUPT or code in _UNREADABLE


def is_full(error: sqlite3.Error) -> bool:
    """Whether nothing can be written any more."""
    return _code(error) & 0xFF in _FULL and not is_damage(error)


def _code(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", 0) or 0


def look_before_opening(path: Path) -> None:
    """Refuse what SQLite would quietly take for a new database, throwing away the journal beside it.

    Raises
    ------
    OutboxDamagedError
        If there is a journal and no database that it belongs to.
    """
    journal = path.with_name(f"{path.name}-wal")
    size = path.stat().st_size if path.exists() else 0
    if size == 0 and journal.exists() and journal.stat().st_size > 0:
        came = "an empty file" if path.exists() else "none"
        msg = f"{path}: expected the database of {journal.name}, got {came}"
        raise OutboxDamagedError(msg)


def prepare(db: sqlite3.Connection, site: str, path: Path, max_bytes: int) -> float:
    """Set the database up, or see that it is one of ours; gives the seconds that agents have lived on it."""
    db.execute(f"PRAGMA page_size = {PAGE_BYTES}")
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA cache_size = -2000")  # 2 MB: the agent is to stay small
    db.execute("PRAGMA temp_store = MEMORY")
    db.execute("PRAGMA journal_size_limit = 4000000")
    db.execute(f"PRAGMA max_page_count = {max(64, max_bytes // PAGE_BYTES)}")
    (version,) = db.execute("PRAGMA user_version").fetchone()
    (n_tables,) = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if version == 0 and n_tables == 0:
        db.executescript(f"BEGIN; {_SCHEMA} COMMIT;")
        db.execute("INSERT INTO meta VALUES ('site', ?), ('lived_s', 0)", [site])
    elif version == 1:
        db.executescript(f"BEGIN; {_TO_VERSION_2} COMMIT;")
    elif version != VERSION:
        msg = f"{path}: expected an outbox of version {VERSION}, got {version}"
        raise OutboxDamagedError(msg)
    meta = dict(db.execute("SELECT name, value FROM meta"))
    if not isinstance(meta.get("site"), str) or not isinstance(meta.get("lived_s"), int | float):
        msg = f"{path}: expected to read whose outbox it is, got {meta}"
        raise OutboxDamagedError(msg)
    if meta["site"] != site:
        msg = f"{path}: expected the outbox of site {site}, got that of {meta['site']}"
        raise OutboxError(msg)
    return float(meta["lived_s"])


def read_streams(db: sqlite3.Connection, path: Path) -> dict[tuple[str, int], int]:
    """Find the number of each bed's epochs."""
    streams = {}
    for number, bed, epoch in db.execute("SELECT id, bed, epoch FROM stream"):
        if not isinstance(bed, str) or not isinstance(epoch, int):
            msg = f"{path}: expected bed and epoch of stream {number}, got {bed!r} and {epoch!r}"
            raise OutboxDamagedError(msg)
        streams[bed, epoch] = number
    return streams
