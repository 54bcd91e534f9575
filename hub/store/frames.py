"""Wave frames into the database and out again: what is acknowledged is committed, once, byte for byte."""

from collections.abc import Sequence
from typing import Final, LiteralString

from psycopg import sql
from psycopg.types.multirange import Multirange

from hub.model import Ack, Lane
from hub.store.rows import Acks, FrameRow, Reject
from hub.store.segment import Segment, decode_segment, frame_core
from hub.store.session import Connection

MAX_FRAGMENTS: Final = 20_000
"""Ranges of one epoch's received seqs: a random order within a window of 10,000 makes at most 5,000."""
MAX_MISSING: Final = 100
"""Ranges in one acknowledgement; the oldest are told as one that spans them all."""
APPEND_LOCK: Final = 0x43544703
MAX_QUARANTINED: Final = 2000
CONFLICT: Final = "conflict"
LONGEST_SEGMENT_MS: Final = 1_300_000
"""A segment starts within one slot of 10 minutes, and a frame lasts at most 650 s."""

STAGING: Final[LiteralString] = """
CREATE TEMPORARY TABLE staged (
    number integer, site text COLLATE "C", bed text COLLATE "C", epoch bigint, seq bigint,
    t0_ms bigint, end_ms bigint, arrived_ms bigint, is_fill boolean, payload bytea
) ON COMMIT DELETE ROWS
"""
_COPY: Final[LiteralString] = "COPY staged FROM STDIN (FORMAT BINARY)"
_STAGED_TYPES: Final = ["int4", "text", "text", "int8", "int8", "int8", "int8", "int8", "bool", "bytea"]

# Appends do not bar each other: the primary key of `frame` stops a second copy of one that is still there.
# They do bar compaction: a statement that began before a frame was stored could store it again once packed.
_SHARE: Final[LiteralString] = "SELECT pg_advisory_xact_lock_shared(%s)"
_ACK: Final = sql.SQL("""
    CASE WHEN received @> 0::bigint THEN (SELECT upper(r) - 1 FROM unnest(received) AS r LIMIT 1) ELSE -1 END,
    int8multirange(int8range(0, upper(received))) - received,
    upper(received) - 1
""")
_STORE: Final = sql.SQL("""
WITH known AS MATERIALIZED (
    SELECT k.*, r.received, r.live_ms AS was_live_ms, r.end_ms AS was_end_ms,
           (SELECT count(*) FROM unnest(r.received)) >= %(max_fragments)s AS is_full
    FROM (SELECT site, bed, epoch,
                 max(arrived_ms) FILTER (WHERE NOT is_fill) AS live_ms, max(end_ms) AS end_ms
          FROM staged GROUP BY site, bed, epoch) AS k
    LEFT JOIN reception AS r USING (site, bed, epoch)
), fresh AS (
    INSERT INTO frame
    SELECT DISTINCT ON (site, bed, epoch, seq)
           site, bed, epoch, seq, s.t0_ms, s.end_ms, s.arrived_ms, s.is_fill, s.payload
    FROM staged AS s JOIN known AS k USING (site, bed, epoch)
    WHERE received IS NULL
       OR NOT received @> seq AND (NOT is_full OR received @> seq - 1 OR received @> seq + 1)
    ORDER BY site, bed, epoch, seq, number
    ON CONFLICT DO NOTHING
    RETURNING site, bed, epoch, seq
), updated AS (
    INSERT INTO reception AS r
    SELECT site, bed, epoch, seqs, live_ms, end_ms
    FROM known
    JOIN (SELECT site, bed, epoch, range_agg(int8range(seq, seq + 1)) AS seqs
          FROM fresh GROUP BY site, bed, epoch) AS f USING (site, bed, epoch)
    ORDER BY site, bed, epoch
    ON CONFLICT (site, bed, epoch) DO UPDATE
    SET received = r.received + excluded.received,
        live_ms = greatest(r.live_ms, excluded.live_ms),
        end_ms = greatest(r.end_ms, excluded.end_ms)
    RETURNING site, bed, epoch, received, live_ms, end_ms
), standing AS (
    SELECT * FROM updated
    UNION ALL
    SELECT site, bed, epoch, received, was_live_ms, was_end_ms FROM known AS k
    WHERE received IS NOT NULL AND NOT EXISTS (
        SELECT FROM updated AS u WHERE (u.site, u.bed, u.epoch) = (k.site, k.bed, k.epoch))
)
SELECT site, bed, epoch, {ack}, (SELECT count(*) FROM fresh)
FROM standing ORDER BY site, bed, live_ms DESC NULLS LAST, end_ms DESC
""").format(ack=_ACK)
_NEWEST_ACKS: Final = sql.SQL("""
SELECT site, bed, epoch, {ack} FROM (
    SELECT DISTINCT ON (site, bed) * FROM reception
    ORDER BY site, bed, live_ms DESC NULLS LAST, end_ms DESC) AS newest
""").format(ack=_ACK)
_REPEATS: Final[LiteralString] = """
SELECT s.number, f.payload, r.received @> s.seq
FROM staged AS s
LEFT JOIN frame AS f USING (site, bed, epoch, seq)
LEFT JOIN reception AS r USING (site, bed, epoch)
"""
_SEGMENT: Final = sql.SQL("""
    g.site, g.bed, g.epoch, g.first_seq, g.last_seq, g.start_ms, g.end_ms, g.frames, g.ticks, g.period_ms,
    g.has_crc, g.channels, g.arrivals, g.body
""")
_SEGMENTS_OF_SPAN: Final = sql.SQL("""
SELECT {segment} FROM segment AS g
WHERE site = %s AND bed = %s AND start_ms BETWEEN %s AND %s AND end_ms > %s
""").format(segment=_SEGMENT)
_SEGMENTS_BY_SEQ: Final = sql.SQL("""
SELECT DISTINCT {segment} FROM staged AS s JOIN segment AS g
ON g.site = s.site AND g.bed = s.bed AND g.epoch = s.epoch AND s.seq BETWEEN g.first_seq AND g.last_seq
WHERE s.number = ANY(%(numbers)s)
""").format(segment=_SEGMENT)
_SEGMENTS_BY_TIME: Final = sql.SQL("{by_seq} AND g.start_ms BETWEEN s.t0_ms - {longest} AND s.t0_ms").format(
    by_seq=_SEGMENTS_BY_SEQ, longest=LONGEST_SEGMENT_MS
)
"""The same, quick as long as the repeated frame has kept its time."""


async def append(connection: Connection, rows: Sequence[FrameRow]) -> Acks:
    """Store frames inside the caller's transaction; what is acknowledged counts once that is committed."""
    await _stage(connection, rows)
    await connection.execute(_SHARE, [APPEND_LOCK])
    cursor = await connection.execute(_STORE, {"max_fragments": MAX_FRAGMENTS})
    acks = Acks()
    for site, bed, epoch, contiguous, missing, highest, stored in await cursor.fetchall():
        ack = make_ack(epoch, contiguous, missing, highest)
        if (site, bed) in acks:
            acks.older.append((site, bed, ack))
        else:
            acks[site, bed] = ack
        acks.stored = stored
    if acks.stored < len(rows):
        await _sort_out_repeats(connection, rows, acks)
    return acks


async def _stage(connection: Connection, rows: Sequence[FrameRow]) -> None:
    async with connection.cursor().copy(_COPY) as copy:
        copy.set_types(_STAGED_TYPES)
        for number, row in enumerate(rows):
            await copy.write_row(
                (
                    number,
                    row.site,
                    row.bed,
                    row.epoch,
                    row.seq,
                    row.t0_ms,
                    row.end_ms,
                    row.arrived_ms,
                    row.lane is Lane.FILL,
                    row.payload,
                )
            )


def make_ack(epoch: int, contiguous: int, missing: Multirange[int], highest: int) -> Ack:
    """Say what of an epoch is stored; when too much is missing, one range spans the oldest gaps."""
    ranges = [(gap.lower or 0, (gap.upper or 0) - 1) for gap in missing]
    if len(ranges) > MAX_MISSING:
        # Asking for more than is missing is harmless; saying that a missing frame is stored would lose it.
        newest = ranges[-MAX_MISSING + 1 :]
        ranges = [(ranges[0][0], ranges[-MAX_MISSING][1]), *newest]
    return Ack(epoch=epoch, contiguous=contiguous, missing=tuple(ranges), highest=highest)


async def _sort_out_repeats(connection: Connection, rows: Sequence[FrameRow], acks: Acks) -> None:
    """Tell frames sent again from frames that claim the identity of others, which go to quarantine."""
    cursor = await connection.cursor(binary=True).execute(_REPEATS)
    stored: dict[int, bytes] = {}
    absent: list[int] = []
    for number, payload, is_received in await cursor.fetchall():
        if payload is not None:
            stored[number] = payload
        elif is_received:
            absent.append(number)
        else:
            acks.refused += 1
    for query in (_SEGMENTS_BY_TIME, _SEGMENTS_BY_SEQ):
        if absent:
            stored |= await _find_compacted(connection, query, rows, absent)
            absent = [number for number in absent if number not in stored]
    conflicts = [
        Reject(row.site, row.bed, CONFLICT, row.arrived_ms, row.payload, row.epoch, row.seq)
        for row, known in ((rows[number], payload) for number, payload in stored.items())
        if row.payload != known and frame_core(row.payload) != frame_core(known)
    ]
    acks.conflicting = len(conflicts)
    acks.contested = {(reject.site, reject.bed) for reject in conflicts}
    acks.repeated = len(rows) - acks.stored - acks.conflicting - acks.refused
    await put_in_quarantine(connection, conflicts)


async def _find_compacted(
    connection: Connection, query: sql.Composed, rows: Sequence[FrameRow], numbers: list[int]
) -> dict[int, bytes]:
    cursor = await connection.cursor(binary=True).execute(query, {"numbers": numbers})
    compacted = {
        (frame.site, frame.bed, frame.epoch, frame.seq): frame.payload
        for record in await cursor.fetchall()
        for frame in decode_segment(Segment(*record))
    }
    keys = {
        number: (rows[number].site, rows[number].bed, rows[number].epoch, rows[number].seq)
        for number in numbers
    }
    return {number: compacted[key] for number, key in keys.items() if key in compacted}


async def put_in_quarantine(connection: Connection, rejects: Sequence[Reject]) -> None:
    """Keep messages that cannot be stored as data, the newest `MAX_QUARANTINED` of them."""
    if not rejects:
        return
    await connection.cursor().executemany(
        "INSERT INTO quarantine (site, bed, epoch, seq, reason, arrived_ms, payload)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
        [(r.site, r.bed, r.epoch, r.seq, r.reason, r.arrived_ms, r.payload) for r in rejects],
    )
    await connection.execute(
        "DELETE FROM quarantine WHERE id <= (SELECT id FROM quarantine ORDER BY id DESC OFFSET %s LIMIT 1)",
        [MAX_QUARANTINED],
    )


# ----------------------------------------------------------------------- reading


async def read_span(connection: Connection, site: str, bed: str, from_ms: int, to_ms: int) -> list[FrameRow]:
    """Frames of one bed that reach into [from_ms, to_ms), by time, from both tables."""
    cursor = await connection.cursor(binary=True).execute(
        "SELECT epoch, seq, t0_ms, end_ms, is_fill, arrived_ms, payload FROM frame"
        " WHERE site = %s AND bed = %s AND end_ms > %s AND t0_ms < %s",
        [site, bed, from_ms, to_ms],
    )
    found = {
        (epoch, seq): FrameRow(
            site, bed, epoch, seq, t0_ms, end_ms, Lane.FILL if is_fill else Lane.LIVE, arrived_ms, payload
        )
        for epoch, seq, t0_ms, end_ms, is_fill, arrived_ms, payload in await cursor.fetchall()
    }
    # Frames move from `frame` to `segment` only: in this order, one on its way is met twice, never missed.
    cursor = await connection.cursor(binary=True).execute(
        _SEGMENTS_OF_SPAN, [site, bed, from_ms - LONGEST_SEGMENT_MS, to_ms - 1, from_ms]
    )
    for record in await cursor.fetchall():
        for frame in decode_segment(Segment(*record)):
            if frame.end_ms > from_ms and frame.t0_ms < to_ms:
                found.setdefault((frame.epoch, frame.seq), frame)
    return sorted(found.values(), key=lambda row: (row.t0_ms, row.epoch, row.seq))


async def read_beds(connection: Connection, since_ms: int) -> list[tuple[str, str]]:
    """Beds with a frame that ends after `since_ms`."""
    cursor = await connection.execute(
        "SELECT DISTINCT site, bed FROM reception WHERE end_ms > %s ORDER BY site, bed", [since_ms]
    )
    return [(site, bed) for site, bed in await cursor.fetchall()]


async def read_newest_acks(connection: Connection) -> dict[tuple[str, str], Ack]:
    """Acknowledgement of each bed's newest epoch: the one that last sent live, else the latest in time."""
    cursor = await connection.execute(_NEWEST_ACKS)
    return {
        (site, bed): make_ack(epoch, contiguous, missing, highest)
        for site, bed, epoch, contiguous, missing, highest in await cursor.fetchall()
    }
