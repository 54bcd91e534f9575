"""Which acknowledged frames leave the outbox, and when.  What is not acknowledged never does."""

import sqlite3
from typing import Final

KEEP_H: Final = 7 * 24
"""Every frame stays at least this long."""
KEEP_AFTER_ACK_H: Final = 72
"""And this long after its ack, so that a hub restored from a backup can ask for it again (goal R20)."""
ALARM_SHARE: Final = 0.8
EVICT_SHARE: Final = 0.9
"""From here on the oldest acknowledged frames go before their time."""
SWEEP_ROWS: Final = 5000
"""Rows that one sweep deletes: a commit of new ticks waits no longer than that takes."""


def evict(db: sqlite3.Connection, hour: int, keep_h: int, keep_after_ack_h: int) -> int:
    """Delete up to `SWEEP_ROWS` acknowledged frames that are old enough, those confirmed first."""
    deleted = 0
    for stream, first, last, confirmed_h in db.execute(
        "SELECT stream, first, last, hour FROM confirmed WHERE hour <= ? ORDER BY hour, stream, first",
        [hour - keep_after_ack_h],
    ).fetchall():
        if deleted >= SWEEP_ROWS:
            break
        deleted += _evict_run(db, (stream, first, last, confirmed_h), hour - keep_h, SWEEP_ROWS - deleted)
    return deleted


def _evict_run(db: sqlite3.Connection, run: tuple[int, int, int, int], up_to_hour: int, most: int) -> int:
    stream, first, last, confirmed_h = run
    oldest = db.execute(
        "SELECT hour FROM frame WHERE stream = ? AND seq BETWEEN ? AND ? ORDER BY seq LIMIT 1",
        [stream, first, last],
    ).fetchone()
    if oldest is not None and oldest[0] > up_to_hour:
        return 0  # hours rise with seq: without this look each sweep would read a week of frames
    seqs = db.execute(
        "SELECT seq FROM frame WHERE stream = ? AND seq BETWEEN ? AND ? AND hour <= ? ORDER BY seq LIMIT ?",
        [stream, first, last, up_to_hour, most],
    ).fetchall()
    db.execute("BEGIN IMMEDIATE")
    if seqs:
        db.execute("DELETE FROM frame WHERE stream = ? AND seq BETWEEN ? AND ?", [stream, first, seqs[-1][0]])
    (kept,) = db.execute(
        "SELECT min(seq) FROM frame WHERE stream = ? AND seq BETWEEN ? AND ?", [stream, first, last]
    ).fetchone()
    if kept != first:
        db.execute("DELETE FROM confirmed WHERE stream = ? AND first = ?", [stream, first])
        if kept is not None:
            db.execute("INSERT INTO confirmed VALUES (?, ?, ?, ?)", [stream, kept, last, confirmed_h])
    db.execute("COMMIT")
    return len(seqs)
