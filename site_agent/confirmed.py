"""The table of what the hub has stored: runs of seq of each stream, with the hour in which it said so.

Runs never overlap; those of one hour are joined where they touch, so a week of a bed that
never lost its line is about 170 rows.
"""

import sqlite3

from site_agent.runs import Run, Runs


def add_run(db: sqlite3.Connection, stream: int, first: int, last: int, hour: int) -> None:
    """Add a run of which nothing is in the table yet."""
    around = db.execute(
        "DELETE FROM confirmed WHERE stream = ? AND hour = ? AND last >= ? AND first <= ?"
        " RETURNING first, last",
        [stream, hour, first - 1, last + 1],
    ).fetchall()
    for a, b in around:
        first, last = min(first, a), max(last, b)
    db.execute("INSERT OR REPLACE INTO confirmed VALUES (?, ?, ?, ?)", [stream, first, last, hour])


def remove_run(db: sqlite3.Connection, stream: int, first: int, last: int) -> None:
    """Take first … last as not stored."""
    cut = db.execute(
        "DELETE FROM confirmed WHERE stream = ? AND last >= ? AND first <= ? RETURNING first, last, hour",
        [stream, first, last],
    ).fetchall()
    rest = [(a, first - 1, hour) for a, _, hour in cut if a < first]
    rest += [(last + 1, b, hour) for _, b, hour in cut if b > last]
    db.executemany("INSERT INTO confirmed VALUES (?, ?, ?, ?)", [(stream, *run) for run in rest])


def find_open(db: sqlite3.Connection, stream: int) -> list[Run]:
    """Find the frames of a stream that are here and not in the table."""
    low, high = db.execute("SELECT min(seq), max(seq) FROM frame WHERE stream = ?", [stream]).fetchone()
    if low is None:
        return []
    open_ = Runs([(low, high)])
    for first, last in db.execute("SELECT first, last FROM confirmed WHERE stream = ?", [stream]):
        open_.remove(first, last)
    return [run for span in open_ for run in _find_present(db, stream, *span)]


def _find_present(db: sqlite3.Connection, stream: int, first: int, last: int) -> list[Run]:
    """Find what of first … last is here: a frame that found no room left a hole."""
    return db.execute(
        "SELECT min(seq), max(seq) FROM (SELECT seq, seq - row_number() OVER (ORDER BY seq) AS island"
        " FROM frame WHERE stream = ? AND seq BETWEEN ? AND ?) GROUP BY island ORDER BY 1",
        [stream, first, last],
    ).fetchall()
