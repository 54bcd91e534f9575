"""Compaction: the same bytes in a fraction of the room, readable in plain SQL."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import psycopg
import pytest

from hub import wire
from hub.model import Ack, Channel, FrameFlag, Lane, MonitorStatus, Transducer, WaveFrame
from hub.store.compaction import SETTLED_MS
from hub.store.rows import FrameRow, Layout
from hub.store.segment import ARRIVAL_PRECISION_MS
from hub.store.store import FOREVER_MS, Store
from hub.wire import with_backfill_flag
from tests.store.conftest import SIZE, T0_MS, Traffic, payloads

BED = ("h012", "bed1")
HOUR_MS = 3_600_000
WEEK_MS = 7 * 86_400_000
MAX_BYTES_PER_BED_HOUR = 60_000
RECORDS = ("1017", "1070", "1098", "1139")


def _ask(dsn: str, query: str, *values: object) -> list[tuple[Any, ...]]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        return connection.execute(query.encode(), values).fetchall()


def _samples(rows: Sequence[FrameRow]) -> list[tuple[int, str, float | None]]:
    """What the view must say of these frames, decoded by the codec of the wire."""
    found = []
    for row in rows:
        frame = wire.decode_wave(row.payload, site=row.site, bed=row.bed)
        for block in frame.channels:
            for tick, value in enumerate(wire.to_values(block)):
                t_ms = frame.t0_ms + tick * frame.period_ms
                found.append((t_ms, block.channel.name.lower(), None if np.isnan(value) else float(value)))
    return sorted(found, key=lambda sample: sample[:2])


_VIEW = """
SELECT (extract(epoch FROM t) * 1000)::bigint, channel, value FROM ctg_sample
WHERE site = %s AND bed = %s ORDER BY 1, 2
"""
_FUNCTION = """
SELECT (extract(epoch FROM t) * 1000)::bigint, channel, value
FROM ctg_samples(%s, %s, to_timestamp(%s / 1000.0), to_timestamp(%s / 1000.0)) ORDER BY 1, 2
"""


async def _pack(store: Store, rows: Sequence[FrameRow]) -> int:
    return await store.compact(max(row.arrived_ms for row in rows) + HOUR_MS)


async def test_packed_frames_come_back_byte_for_byte(store: Store, traffic: Traffic) -> None:
    rows = traffic(1500)
    await store.append_frames(rows)
    assert await _pack(store, rows) == 1500
    back = await store.read_frames(*BED, 0, FOREVER_MS)
    assert [replace(row, arrived_ms=0) for row in back] == [replace(row, arrived_ms=0) for row in rows]
    for row, known in zip(back, rows, strict=True):
        assert abs(row.arrived_ms - known.arrived_ms) <= ARRIVAL_PRECISION_MS


async def test_packing_again_finds_nothing(store: Store, traffic: Traffic) -> None:
    rows = traffic(700)
    await store.append_frames(rows)
    assert await _pack(store, rows) == 700
    assert await _pack(store, rows) == 0
    assert payloads(await store.read_frames(*BED, 0, FOREVER_MS)) == payloads(rows)


async def test_a_slot_waits_until_it_has_settled(store: Store, traffic: Traffic) -> None:
    rows = traffic(700)
    await store.append_frames(rows)
    settled_ms = rows[599].arrived_ms + SETTLED_MS
    assert await store.compact(settled_ms - 1000) == 0
    assert await store.compact(settled_ms + 1000) == 600
    assert payloads(await store.read_frames(*BED, 0, FOREVER_MS)) == payloads(rows)


async def test_frames_after_packing_still_land_and_are_packed_later(store: Store, traffic: Traffic) -> None:
    rows = traffic(600)
    late = [
        replace(row, lane=Lane.FILL, arrived_ms=T0_MS + 3 * HOUR_MS, payload=with_backfill_flag(row.payload))
        for row in rows[200:260]
    ]
    await store.append_frames(rows[:200] + rows[260:])
    assert await _pack(store, rows) == 540
    acks = await store.append_frames(late)
    assert acks[BED] == Ack(epoch=7, contiguous=599, highest=599)
    expected = rows[:200] + late + rows[260:]
    assert payloads(await store.read_frames(*BED, 0, FOREVER_MS)) == payloads(expected)
    assert await store.compact(T0_MS + 5 * HOUR_MS) == 60
    back = await store.read_frames(*BED, 0, FOREVER_MS)
    assert payloads(back) == payloads(expected)
    assert [row.arrived_ms for row in back if row.lane is Lane.FILL] == [T0_MS + 3 * HOUR_MS] * 60


async def test_watermarks_do_not_change_with_packing(postgres_dsn: str, traffic: Traffic) -> None:
    rows = traffic(900)
    store = await Store.open(postgres_dsn)
    acks = await store.append_frames(rows[:300] + rows[310:])
    await _pack(store, rows)
    await store.close()
    store = await Store.open(postgres_dsn)
    assert (
        await store.read_acks()
        == dict(acks)
        == {BED: Ack(epoch=7, contiguous=299, missing=((300, 309),), highest=899)}
    )
    again = await store.append_frames(rows)
    assert (again.stored, again.repeated, again.conflicting) == (10, 890, 0)
    assert again[BED] == Ack(epoch=7, contiguous=899, highest=899)
    await store.close()


async def test_packing_and_storing_at_once_lose_and_double_nothing(store: Store, traffic: Traffic) -> None:
    rows = traffic(3000)

    async def write() -> None:
        for start in range(0, 3000, 100):
            await store.append_frames(rows[max(0, start - 50) : start + 100])

    async def pack() -> None:
        for start in range(0, 3000, 200):
            await store.compact(rows[start].arrived_ms + SETTLED_MS)

    await asyncio.gather(write(), pack(), pack())
    await _pack(store, rows)
    assert payloads(await store.read_frames(*BED, 0, FOREVER_MS)) == payloads(rows)


def _odd_frames() -> list[FrameRow]:
    """Every channel, every way of missing, with and without CRC, and jumps of clock and seq."""
    rows = []
    random = np.random.default_rng(5)
    t0_ms = T0_MS
    for seq in range(120):
        t0_ms += 1000 + (int(random.integers(-3, 4)) if seq % 10 == 0 else 0)
        blocks = [
            wire.samples_from_values(
                channel,
                np.where(random.random(4) < 0.2, np.nan, random.uniform(5, 100, 4)),
                transducer=Transducer.UNKNOWN,
            )
            for channel in Channel
        ]
        if seq % 9 == 0:
            blocks[0] = replace(blocks[0], is_inop=True)
        frame = WaveFrame(
            *BED, 7, seq + (5 if seq > 60 else 0), t0_ms, 250, 4,
            FrameFlag.CRC if seq % 50 > 40 else FrameFlag.TEST, MonitorStatus(seq % 256), tuple(blocks),
        )  # fmt: skip
        payload = wire.encode_wave(frame)
        rows.append(FrameRow(*BED, 7, frame.seq, t0_ms, frame.end_ms, Lane.LIVE, frame.end_ms + 90, payload))
    return rows


async def test_the_view_says_what_the_codec_says(store: Store, postgres_dsn: str) -> None:
    rows = _odd_frames()
    await store.append_frames(rows)
    expected = _samples(rows)
    assert _ask(postgres_dsn, _VIEW, *BED) == expected
    assert await _pack(store, rows[:60]) == 120
    assert _ask(postgres_dsn, _VIEW, *BED) == expected
    assert _ask(postgres_dsn, _FUNCTION, *BED, T0_MS + 10_250, T0_MS + 50_000) == [
        sample for sample in expected if T0_MS + 10_250 <= sample[0] < T0_MS + 50_000
    ]


async def test_the_view_covers_packed_and_recent_frames_at_once(
    store: Store, postgres_dsn: str, traffic: Traffic
) -> None:
    rows = traffic(630)
    await store.append_frames(rows)
    assert await store.compact(rows[599].arrived_ms + SETTLED_MS + 1000) == 600
    assert _ask(postgres_dsn, _VIEW, *BED) == _samples(rows)


async def test_the_view_passes_over_what_it_cannot_read(store: Store, postgres_dsn: str) -> None:
    unknown = [
        FrameRow(*BED, 7, seq, T0_MS, T0_MS + 1000, Lane.LIVE, T0_MS + 1100, blob)
        for seq, blob in enumerate(
            (b"", b"\xc7\x20" + bytes(40), b"\xc7\x10" + bytes(16) + b"\x04\x00", b"abc")
        )
    ]
    await store.append_frames(unknown)
    assert _ask(postgres_dsn, _VIEW, *BED) == []
    assert await _pack(store, unknown) == 4
    assert _ask(postgres_dsn, _VIEW, *BED) == []
    assert payloads(await store.read_frames(*BED, 0, FOREVER_MS)) == payloads(unknown)


async def test_an_hour_after_arrival_a_bed_hour_takes_at_most_60_kb(
    store: Store, postgres_dsn: str, traffic: Traffic
) -> None:
    beds = [traffic(3 * 3600, bed=f"bed{record}", record=record) for record in RECORDS]
    for start in range(0, 3 * 3600, 600):
        for rows in beds:
            await store.append_frames(rows[start : start + 600])
        await store.compact(beds[0][start].arrived_ms)
    await _pack(store, beds[0])
    hours = 3 * len(beds)
    ((size,),) = _ask(postgres_dsn, SIZE)
    assert 15_000 < size / hours <= MAX_BYTES_PER_BED_HOUR


async def test_backfill_of_hours_is_as_small_as_live_data(
    store: Store, postgres_dsn: str, traffic: Traffic
) -> None:
    rows = traffic(3600, lane=Lane.FILL, flags=FrameFlag.BACKFILL)
    for start in range(0, 3600, 60):
        arrived_ms = T0_MS + 8 * HOUR_MS + start * 30
        await store.append_frames([replace(row, arrived_ms=arrived_ms) for row in rows[start : start + 60]])
        await store.compact(arrived_ms)
    await store.compact(T0_MS + 9 * HOUR_MS)
    assert _ask(postgres_dsn, "SELECT count(*) FROM segment") == [(6,)]


async def test_weeks_have_parts_of_their_own_made_ahead_or_taken_over(
    store: Store, postgres_dsn: str, traffic: Traffic, layout: Layout
) -> None:
    ahead = [  # a site whose clock is five weeks fast
        replace(row, arrived_ms=T0_MS) for row in traffic(60, t0_ms=T0_MS + 5 * WEEK_MS)
    ]
    where = "SELECT tableoid::regclass::text, count(*) FROM segment GROUP BY 1"
    await store.append_frames(ahead)
    assert await store.compact(T0_MS + HOUR_MS) == 60
    before = _ask(postgres_dsn, where)
    await store.compact(T0_MS + 4 * WEEK_MS)
    after = _ask(postgres_dsn, where)
    if layout is Layout.PARTITIONS:
        assert before == [("segment_other", 1)]
        assert after == [(f"segment_week_{(T0_MS + 5 * WEEK_MS) // WEEK_MS}", 1)]
    else:
        assert before == after == [("_timescaledb_internal._hyper_1_1_chunk", 1)]
    assert payloads(await store.read_frames(*BED, 0, FOREVER_MS)) == payloads(ahead)


async def test_nothing_is_deleted_unless_an_operator_says_so(postgres_dsn: str, traffic: Traffic) -> None:
    rows = traffic(60)
    store = await Store.open(postgres_dsn)
    await store.append_frames(rows)
    await _pack(store, rows)
    await store.compact(T0_MS + 520 * WEEK_MS)
    assert payloads(await store.read_frames(*BED, 0, FOREVER_MS)) == payloads(rows)
    await store.close()
    store = await Store.open(postgres_dsn, retention_days=365)
    await store.compact(T0_MS + 50 * WEEK_MS)
    assert len(await store.read_frames(*BED, 0, FOREVER_MS)) == 60
    await store.compact(T0_MS + 60 * WEEK_MS)
    assert await store.read_frames(*BED, 0, FOREVER_MS) == []
    acks = await store.append_frames(rows)
    assert (acks.stored, acks.repeated) == (0, 60)
    await store.close()


@pytest.mark.parametrize("record", RECORDS)
async def test_every_recording_survives_packing(store: Store, traffic: Traffic, record: str) -> None:
    rows = traffic(1200, record=record)
    await store.append_frames(rows)
    await _pack(store, rows)
    assert payloads(await store.read_frames(*BED, 0, FOREVER_MS)) == payloads(rows)


_TREND = """
SELECT hour_ms, channel, recorded_min::float8, signal_percent::float8, mean_bpm::float8 FROM ctg_trend
WHERE site = %s AND bed = %s ORDER BY 1, 2
"""


def _trend(samples: Sequence[tuple[int, str, float | None]]) -> list[tuple[Any, ...]]:
    """What `ctg_trend` must say, reckoned from single samples."""
    by_hour: dict[tuple[int, str], list[float | None]] = {}
    for t_ms, channel, value in samples:
        if channel in {"fhr1", "fhr2", "fhr3", "mhr"}:
            by_hour.setdefault((t_ms // HOUR_MS * HOUR_MS, channel), []).append(value)
    expected = []
    for (hour_ms, channel), values in sorted(by_hour.items()):
        valid = [value for value in values if value is not None]
        share = 100 * len(valid) / len(values)
        mean = pytest.approx(sum(valid) / len(valid)) if valid else None
        expected.append((hour_ms, channel, len(values) / 240, pytest.approx(share), mean))
    return expected


async def test_trends_say_what_the_samples_say(store: Store, postgres_dsn: str, traffic: Traffic) -> None:
    rows = traffic(2 * 3600)
    await store.append_frames(rows)
    await _pack(store, rows)
    assert _ask(postgres_dsn, _TREND, *BED) == _trend(_samples(rows))


async def test_trends_leave_out_channels_that_do_not_work(store: Store, postgres_dsn: str) -> None:
    rows = _odd_frames()
    await store.append_frames(rows)
    await _pack(store, rows)
    assert _ask(postgres_dsn, _TREND, *BED) == _trend(_samples(rows))


async def test_a_trend_takes_up_what_is_filled_in_later(
    store: Store, postgres_dsn: str, traffic: Traffic
) -> None:
    rows = traffic(3600)
    await store.append_frames(rows[:1200] + rows[1800:])
    await _pack(store, rows)
    _refresh_trends(postgres_dsn)
    late = [replace(row, lane=Lane.FILL, arrived_ms=T0_MS + 3 * HOUR_MS) for row in rows[1200:1800]]
    await store.append_frames(late)
    await store.compact(T0_MS + 5 * HOUR_MS)
    _refresh_trends(postgres_dsn)
    assert _ask(postgres_dsn, _TREND, *BED) == _trend(_samples(rows))


async def test_compressed_weeks_take_and_give_frames_like_any_other(
    store: Store, postgres_dsn: str, traffic: Traffic
) -> None:
    rows = traffic(1300)
    await store.append_frames(rows[:700] + rows[760:])
    await _pack(store, rows)
    _compress(postgres_dsn)
    wrong = replace(rows[5], payload=rows[5].payload[:-1] + bytes([rows[5].payload[-1] ^ 1]))
    acks = await store.append_frames([*rows, wrong])
    assert (acks.stored, acks.repeated, acks.conflicting) == (60, 1240, 1)
    assert acks[BED] == Ack(epoch=7, contiguous=1299, highest=1299)
    assert await store.compact(T0_MS + 5 * HOUR_MS) == 60
    assert payloads(await store.read_frames(*BED, 0, FOREVER_MS)) == payloads(rows)
    _compress(postgres_dsn)
    assert payloads(await store.read_frames(*BED, 0, FOREVER_MS)) == payloads(rows)
    assert _ask(postgres_dsn, _VIEW, *BED) == _samples(rows)
    assert _ask(postgres_dsn, _TREND, *BED) == _trend(_samples(rows))


def _has_columns(dsn: str) -> bool:
    """Whether the database compresses and aggregates: TimescaleDB not under the Apache licence alone."""
    ((count,),) = _ask(dsn, "SELECT count(*) FROM pg_proc WHERE proname = 'has_timescale_licence'")
    return bool(count) and _ask(dsn, "SELECT has_timescale_licence()") == [(True,)]


def _compress(dsn: str) -> None:
    """Compress every week now, where TimescaleDB would do it after two weeks."""
    if _has_columns(dsn):
        chunks = _ask(dsn, "SELECT compress_chunk(c)::text FROM show_chunks('segment') AS c")
        chunks += _ask(dsn, "SELECT compress_chunk(c)::text FROM show_chunks('rate_summary') AS c")
        assert len(chunks) >= 2


def _refresh_trends(dsn: str) -> None:
    """Bring the continuous aggregate up to date, where there is one; its own job may be at it just now."""
    deadline = time.monotonic() + 10
    while _has_columns(dsn):
        with psycopg.connect(dsn, autocommit=True) as connection:
            try:
                connection.execute("CALL refresh_continuous_aggregate('rate_hour', 0, 4000000000000)")
            except psycopg.errors.LockNotAvailable:
                assert time.monotonic() < deadline
                continue
        query = (
            "SELECT materialization_hypertable_name::text FROM timescaledb_information.continuous_aggregates"
        )
        ((table,),) = _ask(dsn, query)
        assert _ask(dsn, f"SELECT count(*) > 0 FROM _timescaledb_internal.{table}") == [(True,)]
        break
