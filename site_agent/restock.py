"""Puts what was found in a damaged outbox into the tables of the present one."""

import sqlite3
from collections.abc import Callable
from typing import Final

from site_agent.runs import Runs
from site_agent.salvage import Found, make_seal

_PUT: Final = """
INSERT INTO frame SELECT ?1, ?2, ?3, ?4, ?5
WHERE NOT EXISTS (SELECT 1 FROM confirmed WHERE stream = ?1 AND first <= ?2 AND last >= ?2)
ON CONFLICT DO NOTHING
"""


def put_back(
    db: sqlite3.Connection, found: Found, *, stream_of: Callable[[str, int], int], hour: int
) -> dict[tuple[str, int], Runs]:
    """Store in one transaction; gives the frames that were not here and that no ack has covered."""
    new: dict[tuple[str, int], Runs] = {}
    db.execute("BEGIN IMMEDIATE")
    for one in found.frames:
        row = [stream_of(one.bed, one.epoch), one.seq, hour, one.payload, make_seal(one.bed, one.payload)]
        if db.execute(_PUT, row).rowcount:
            new.setdefault((one.bed, one.epoch), Runs()).add(one.seq, one.seq)
    db.executemany(
        "INSERT INTO event VALUES (?, ?, ?, ?, NULL) ON CONFLICT DO NOTHING",
        [(event.id, event.bed, event.payload, hour) for event in found.events],
    )
    db.execute("COMMIT")
    return new
