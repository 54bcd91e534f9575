"""One record that the database will never take does not stop the alerts behind it."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import cast

import psycopg
import pytest

from hub.journal import AlertJournal
from hub.model import (
    Ack,
    Alert,
    AlertPath,
    AlertState,
    AlertTransition,
    BedEvent,
    Classification,
    EventKind,
    Lane,
    Priority,
)
from hub.pipeline import StoredSegment
from hub.recorder import LAST_SEQ, MAX_FILL_FRAMES, MAX_FRAMES, MAX_MISSING, Recorder, bounded_ack
from hub.stages import Clock, Stage
from hub.store.rows import FrameRow
from hub.store.store import Store
from tests.store.conftest import layout, postgres, postgres_dsn  # noqa: F401  # fixtures

ALERT = Alert(
    id="h1.b1.1.fhr_below_80.5",
    site="h1",
    bed="b1",
    fetus=1,
    rule="fhr_below_80",
    path=AlertPath.RAW_RATE,
    priority=Priority.HIGH,
    state=AlertState.ACTIVE,
    is_present=True,
    onset_ms=5,
    raised_ms=6,
    changed_ms=6,
)

MOVE = AlertTransition(
    alert=ALERT, from_state=AlertState.CLEAR, to_state=AlertState.ACTIVE, cause="onset", t_ms=6
)


async def test_an_alert_behind_a_refused_record_reaches_the_database(
    postgres_dsn: str,  # noqa: F811  # a fixture
    tmp_path: Path,
):
    store = await Store.open(postgres_dsn)

    async def publish(_site: str, _bed: str, _ack: Ack) -> bool:
        return True

    journal = AlertJournal(tmp_path)
    recorder = Recorder(store, publish, lambda name, pending: Stage(name, Clock(), pending), journal)
    with psycopg.connect(postgres_dsn, autocommit=True) as connection:
        connection.execute("ALTER TABLE bed_event RENAME TO event_away")
    recorder.keep([("h1", "b1", BedEvent(id="01JD", kind=EventKind.MARKER, t_ms=5)), MOVE])
    writing = asyncio.create_task(recorder.write_records())
    try:
        for _ in range(400):
            if not recorder.record_stage.pending:
                break
            await asyncio.sleep(0.05)
    finally:
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
    assert recorder.set_aside_records == 1
    assert await store.read_open_alerts() == [ALERT]
    journal.close()
    await store.close()


async def test_one_refused_step_of_many_that_share_a_transaction_costs_only_itself(
    postgres_dsn: str,  # noqa: F811  # a fixture
    tmp_path: Path,
):
    store = await Store.open(postgres_dsn)

    async def publish(_site: str, _bed: str, _ack: Ack) -> bool:
        return True

    journal = AlertJournal(tmp_path)
    recorder = Recorder(store, publish, lambda name, pending: Stage(name, Clock(), pending), journal)
    ids = [f"h1.bed{number}.0.silent.5" for number in range(6)]
    ids[3] += "\x00"  # which PostgreSQL takes in no text
    moves = [replace(MOVE, alert=replace(ALERT, id=name, bed=f"bed{k}")) for k, name in enumerate(ids)]
    recorder.keep(moves)
    writing = asyncio.create_task(recorder.write_records())
    try:
        for _ in range(400):
            if not recorder.record_stage.pending:
                break
            await asyncio.sleep(0.05)
    finally:
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
    stored = {alert.id for alert in await store.read_open_alerts()}
    assert stored == set(ids) - {ids[3]}
    assert recorder.set_aside_records == 1
    journal.close()
    await store.close()


async def test_readings_of_all_beds_share_transactions_and_those_of_one_window_keep_their_order(
    postgres_dsn: str,  # noqa: F811  # a fixture
    tmp_path: Path,
):
    store = await Store.open(postgres_dsn)

    async def publish(_site: str, _bed: str, _ack: Ack) -> bool:
        return True

    journal = AlertJournal(tmp_path)
    recorder = Recorder(store, publish, lambda name, pending: Stage(name, Clock(), pending), journal)
    recorder.keep(segment(number, 3) for number in range(300))
    recorder.keep([segment(7, 4), segment(7, 3), segment(7, 4)])
    refused = segment(8, 3)
    recorder.keep([replace(refused, algorithm="\x00"), segment(9, 4), MOVE])
    with psycopg.connect(postgres_dsn, autocommit=True) as connection:
        writing = asyncio.create_task(recorder.write_records())
        try:
            for _ in range(400):
                if not recorder.record_stage.pending:
                    break
                await asyncio.sleep(0.05)
        finally:
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
        rows = connection.execute(
            "SELECT bed, level FROM classification WHERE bed IN ('b7', 'b8', 'b9') ORDER BY bed, revision"
        ).fetchall()
        found = connection.execute(
            "SELECT count(DISTINCT bed), count(DISTINCT xmin::text) FROM classification"
        )
        beds, transactions = found.fetchone() or (0, 0)
    assert rows == [("b7", 3), ("b7", 4), ("b7", 3), ("b7", 4), ("b8", 3), ("b9", 3), ("b9", 4)]
    assert beds == 300
    assert transactions <= 7
    assert recorder.set_aside_records == 1
    assert await store.read_open_alerts() == [ALERT]
    journal.close()
    await store.close()


async def test_a_database_too_slow_for_many_at_once_is_given_fewer(
    postgres_dsn: str,  # noqa: F811  # a fixture
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr("hub.store.store.WRITE_DEADLINE_S", 0.5)
    monkeypatch.setattr("hub.recorder.RETRY_S", 0.05)
    store = await Store.open(postgres_dsn)

    async def publish(_site: str, _bed: str, _ack: Ack) -> bool:
        return True

    journal = AlertJournal(tmp_path)
    recorder = Recorder(store, publish, lambda name, pending: Stage(name, Clock(), pending), journal)
    with psycopg.connect(postgres_dsn, autocommit=True) as connection:
        connection.execute(
            "CREATE FUNCTION pause() RETURNS trigger LANGUAGE plpgsql AS"
            " 'BEGIN PERFORM pg_sleep(0.02); RETURN new; END'"
        )
        connection.execute("CREATE TRIGGER slow BEFORE INSERT ON alert FOR EACH ROW EXECUTE FUNCTION pause()")
    moves = [
        replace(MOVE, alert=replace(ALERT, id=f"h1.bed{k}.0.silent.5", bed=f"bed{k}")) for k in range(80)
    ]
    recorder.keep(moves)
    writing = asyncio.create_task(recorder.write_records())
    try:
        for _ in range(400):
            if not recorder.record_stage.pending:
                break
            await asyncio.sleep(0.05)
    finally:
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
    assert len(await store.read_open_alerts()) == 80
    assert recorder.set_aside_records == 0
    journal.close()
    await store.close()


def segment(bed: int, level: int) -> StoredSegment:
    """A reading of the same ten minutes of some bed."""
    reading = Classification(
        start_s=600.0,
        end_s=1200.0,
        level=level,
        cell=None,
        baseline_bpm=140.0,
        valid_fraction=0.9,
        reasons=(),
    )
    return StoredSegment(
        site="h1", bed=f"b{bed}", fetus=1, origin_ms=5, classification=reading, algorithm="jsog/1"
    )


def test_a_step_of_an_alert_is_on_the_disk_at_once_and_survives_a_hub_that_is_killed(tmp_path: Path):
    journal = AlertJournal(tmp_path)
    journal.append([MOVE])
    with (tmp_path / "alerts.journal").open("ab") as file:
        file.write(b'{"alert":{"id":"cut')  # the power went while the next one was written
    after = AlertJournal(tmp_path)
    assert after.read() == [MOVE]
    after.clear()
    assert (tmp_path / "alerts.journal").read_bytes() == b""
    journal.close()
    after.close()


def test_an_ack_with_too_many_holes_acknowledges_nothing_behind_the_last_it_names():
    holes = tuple((10 * k, 10 * k + 1) for k in range(1, 300))
    told = bounded_ack(Ack(epoch=1, contiguous=9, missing=holes))
    assert len(told.missing) == MAX_MISSING
    assert told.missing[-1] == (10 * MAX_MISSING, LAST_SEQ)
    assert bounded_ack(Ack(epoch=1, contiguous=9, missing=holes[:5])).missing == holes[:5]


async def test_a_flood_of_backfill_leaves_room_for_what_is_live_and_says_what_stands_still(tmp_path: Path):
    journal = AlertJournal(tmp_path)

    async def publish(_site: str, _bed: str, _ack: Ack) -> bool:
        return True

    recorder = Recorder(
        cast("Store", None), publish, lambda name, pending: Stage(name, Clock(), pending), journal
    )
    row = FrameRow("h1", "b1", 1, 0, 0, 1000, Lane.FILL, 0, b"")
    assert recorder.standstill_s == 0.0
    taken = sum(recorder.offer_frame(row) for _ in range(MAX_FRAMES))
    assert taken == MAX_FILL_FRAMES
    assert recorder.refused_frames == MAX_FRAMES - MAX_FILL_FRAMES
    live = replace(row, lane=Lane.LIVE)
    assert sum(recorder.offer_frame(live) for _ in range(MAX_FRAMES)) == MAX_FRAMES - MAX_FILL_FRAMES
    assert recorder.standstill_s > 0.0
    journal.close()


async def test_a_frame_that_claims_the_identity_of_another_is_told_with_its_bed(
    postgres_dsn: str,  # noqa: F811  # a fixture
    tmp_path: Path,
):
    store = await Store.open(postgres_dsn)
    journal = AlertJournal(tmp_path)
    told: list[tuple[str, str]] = []

    async def publish(_site: str, _bed: str, _ack: Ack) -> bool:
        return True

    recorder = Recorder(
        store,
        publish,
        lambda name, pending: Stage(name, Clock(), pending),
        journal,
        lambda site, bed: told.append((site, bed)),
    )
    frame = bytes.fromhex("c7100000000700000000019a9f58fa800419010101104230423142344236")
    row = FrameRow("h1", "b1", 7, 0, 1_763_610_000_000, 1_763_610_001_000, Lane.LIVE, 5, frame)
    other = frame[:-1] + b"\x37"
    for one in (row, row, replace(row, payload=other), replace(row, bed="b2", payload=other)):
        recorder.offer_frame(one)
    writing = asyncio.create_task(recorder.write_frames())
    try:
        for _ in range(400):
            if not recorder.frame_stage.pending:
                break
            await asyncio.sleep(0.05)
    finally:
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
    assert told == [("h1", "b1")]
    assert recorder.conflicting_frames == 1
    journal.close()
    await store.close()
