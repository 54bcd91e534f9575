"""Frames that have settled become segments: small, and still byte for byte what came.

Only whole slots of 10 minutes are packed, once nothing has arrived for them for
some minutes, so that a live bed makes one segment per slot and a backfill of
hours does too, however late it comes.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from functools import partial
from typing import Final, LiteralString

from hub.model import Lane
from hub.store.frames import APPEND_LOCK
from hub.store.rows import FrameRow
from hub.store.segment import Segment, encode_segments
from hub.store.session import Connection, Session
from hub.store.summary import RateSummary, summarise

SLOT_MS: Final = 600_000
SETTLED_MS: Final = 300_000
"""A slot is packed when its newest frame arrived this long ago ..."""
OVERDUE_MS: Final = 1_800_000
"""... or its oldest one this long, for a slot into which frames keep dribbling."""
SLOTS_PER_TRANSACTION: Final = 5
WEEKS_AHEAD: Final = 2
COMPACTION_DEADLINE_S: Final = 60.0
_COMPACTORS: Final = 0x43544702
_WEEK_MS: Final = 7 * 86_400_000

_DUE: Final[LiteralString] = """
SELECT site, bed, epoch, t0_ms / %(slot)s FROM frame WHERE site = %(site)s GROUP BY 1, 2, 3, 4
HAVING max(arrived_ms) <= %(settled)s OR min(arrived_ms) <= %(overdue)s
ORDER BY 2, 3, 4
"""
_READ: Final[LiteralString] = """
SELECT seq, t0_ms, end_ms, arrived_ms, is_fill, payload FROM frame
WHERE site = %s AND bed = %s AND epoch = %s AND t0_ms >= %s AND t0_ms < %s
"""
_REMOVE: Final[LiteralString] = """
DELETE FROM frame WHERE site = %s AND bed = %s AND epoch = %s AND seq = ANY(%s)
"""
_PUT: Final[LiteralString] = """
COPY segment (site, bed, epoch, first_seq, last_seq, start_ms, end_ms, frames, ticks, period_ms, has_crc,
              channels, arrivals, body) FROM STDIN (FORMAT BINARY)
"""
_PUT_SUMMARIES: Final[LiteralString] = """
COPY rate_summary (site, bed, channel, start_ms, recorded_ms, ticks, valid_ticks, sum_bpm)
FROM STDIN (FORMAT BINARY)
"""
_SUMMARY_TYPES: Final = ["text", "text", "text", "int8", "int8", "int4", "int4", "float8"]
_SEGMENT_TYPES: Final = [
    "text", "text", "int8", "int8", "int8", "int8", "int8", "int4", "int4", "int4", "bool",
    "bytea", "int8[]", "bytea",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Slot:
    site: str
    bed: str
    epoch: int
    number: int


async def compact(session: Session, now_ms: int, retention_ms: int | None) -> int:
    """Pack every slot that is due; returns how many frames were packed.  Raises StoreError."""

    async def prepare(connection: Connection) -> list[_Slot]:
        await _keep_house(connection, now_ms, retention_ms)
        return await _find_due(connection, now_ms)

    due = await session.run(prepare, seconds=COMPACTION_DEADLINE_S)
    packed = 0
    for start in range(0, len(due), SLOTS_PER_TRANSACTION):
        pack = partial(_pack, slots=due[start : start + SLOTS_PER_TRANSACTION])
        packed += await session.run(pack, seconds=COMPACTION_DEADLINE_S)
    if packed:
        await session.run(_give_back_room, seconds=COMPACTION_DEADLINE_S)
    return packed


async def _keep_house(connection: Connection, now_ms: int, retention_ms: int | None) -> None:
    for week in range(-1, WEEKS_AHEAD + 1):
        await connection.execute("SELECT make_segment_week(%s)", [now_ms + week * _WEEK_MS])
    if retention_ms is not None:
        await connection.execute("SELECT drop_segments(%s)", [now_ms - retention_ms])


async def _give_back_room(connection: Connection) -> None:
    """Empty the files of `frame` once no bed is live: vacuum never makes an index smaller."""
    await connection.execute("SELECT pg_advisory_xact_lock(%s)", [APPEND_LOCK])
    cursor = await connection.execute("SELECT EXISTS (SELECT FROM frame)")
    if await cursor.fetchone() == (False,):
        await connection.execute("TRUNCATE frame")


async def _find_due(connection: Connection, now_ms: int) -> list[_Slot]:
    limits = {"slot": SLOT_MS, "settled": now_ms - SETTLED_MS, "overdue": now_ms - OVERDUE_MS}
    due: list[_Slot] = []
    cursor = await connection.execute("SELECT DISTINCT site FROM reception ORDER BY site")
    # Site by site: over all beds of a country one statement would run into the server's time limit.
    for (site,) in await cursor.fetchall():
        cursor = await connection.execute(_DUE, {**limits, "site": site})
        due += [_Slot(*record) for record in await cursor.fetchall()]
    return due


async def _pack(connection: Connection, slots: Sequence[_Slot]) -> int:
    await connection.execute("SELECT pg_advisory_xact_lock(%s)", [_COMPACTORS])
    runs = [rows for slot in slots if (rows := await _read_slot(connection, slot))]
    # NumPy over some thousand frames takes longer than the event loop may stand still.
    segments, summaries = await asyncio.to_thread(_encode, runs)
    await connection.execute("SELECT pg_advisory_xact_lock(%s)", [APPEND_LOCK])
    for rows in runs:
        first = rows[0]
        await connection.execute(_REMOVE, [first.site, first.bed, first.epoch, [row.seq for row in rows]])
    await _write(connection, _PUT, _SEGMENT_TYPES, segments)
    await _write(connection, _PUT_SUMMARIES, _SUMMARY_TYPES, summaries)
    return sum(len(rows) for rows in runs)


async def _read_slot(connection: Connection, slot: _Slot) -> list[FrameRow]:
    start_ms = slot.number * SLOT_MS
    cursor = connection.cursor(binary=True)
    await cursor.execute(_READ, [slot.site, slot.bed, slot.epoch, start_ms, start_ms + SLOT_MS])
    return [
        FrameRow(
            slot.site,
            slot.bed,
            slot.epoch,
            seq,
            t0_ms,
            end_ms,
            Lane.FILL if is_fill else Lane.LIVE,
            arrived_ms,
            payload,
        )
        for seq, t0_ms, end_ms, arrived_ms, is_fill, payload in await cursor.fetchall()
    ]


def _encode(runs: Sequence[Sequence[FrameRow]]) -> tuple[list[Segment], list[RateSummary]]:
    segments = [segment for rows in runs for segment in encode_segments(rows)]
    return segments, [summary for segment in segments for summary in summarise(segment)]


async def _write(
    connection: Connection,
    command: LiteralString,
    types: Sequence[str],
    values: Sequence[Segment] | Sequence[RateSummary],
) -> None:
    async with connection.cursor().copy(command) as copy:
        copy.set_types(types)
        for value in values:
            await copy.write_row(astuple(value))
