"""What is acknowledged is in the database once, byte for byte, whatever the order of arrival."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from hub.model import Ack, FrameFlag, Lane
from hub.store import frames
from hub.store.rows import FrameRow, Reject
from hub.store.store import FOREVER_MS, Store
from hub.wire import with_backfill_flag
from tests.store.conftest import T0_MS, Traffic, payloads

BED = ("h012", "bed1")


async def _content(store: Store) -> str:
    """Hash of all that is stored of one bed, times of arrival aside."""
    rows = await store.read_frames(*BED, 0, FOREVER_MS)
    return hashlib.sha256(b"".join(row.payload for row in rows)).hexdigest()


async def test_frames_come_back_exactly(store: Store, traffic: Traffic) -> None:
    rows = traffic(120)
    acks = await store.append_frames(rows)
    assert acks == {BED: Ack(epoch=7, contiguous=119, highest=119)}
    assert await store.read_frames(*BED, 0, FOREVER_MS) == rows


async def test_a_frame_sent_again_is_stored_once(store: Store, traffic: Traffic) -> None:
    rows = traffic(50)
    await store.append_frames(rows)
    again = [replace(row, lane=Lane.FILL, payload=with_backfill_flag(row.payload)) for row in rows]
    acks = await store.append_frames(again)
    assert (acks.stored, acks.repeated, acks.conflicting) == (0, 50, 0)
    assert acks[BED] == Ack(epoch=7, contiguous=49, highest=49)
    assert await store.read_frames(*BED, 0, FOREVER_MS) == rows


async def test_a_frame_twice_in_one_batch_is_stored_once(store: Store, traffic: Traffic) -> None:
    rows = traffic(10)
    acks = await store.append_frames([*rows, *rows])
    assert (acks.stored, acks.repeated) == (10, 10)
    assert len(await store.read_frames(*BED, 0, FOREVER_MS)) == 10


@pytest.mark.parametrize("seed", range(4))
async def test_order_and_repeats_do_not_change_what_is_stored(
    store: Store, traffic: Traffic, seed: int
) -> None:
    rows = traffic(1500)
    random = np.random.default_rng(seed)
    sent = [*rows, *(rows[k] for k in random.integers(0, 1500, 1500))]
    sent = [sent[k] for k in random.permutation(len(sent))]
    end_ms = rows[-1].arrived_ms
    while sent:
        count = int(random.integers(1, 700))
        acks = await store.append_frames(sent[:count])
        assert acks.conflicting == acks.refused == 0
        sent = sent[count:]
        if random.random() < 0.5:
            await store.compact(end_ms + int(random.integers(0, 3_600_000)))
    assert acks[BED] == Ack(epoch=7, contiguous=1499, highest=1499)
    assert await _content(store) == hashlib.sha256(b"".join(payloads(rows))).hexdigest()


async def test_missing_frames_are_named_until_they_come(store: Store, traffic: Traffic) -> None:
    rows = traffic(20)
    acks = await store.append_frames([*rows[0:5], *rows[8:10], *rows[15:]])
    assert acks[BED] == Ack(epoch=7, contiguous=4, missing=((5, 7), (10, 14)), highest=19)
    acks = await store.append_frames(rows[5:8])
    assert acks[BED] == Ack(epoch=7, contiguous=9, missing=((10, 14),), highest=19)
    acks = await store.append_frames(rows[10:15])
    assert acks[BED] == Ack(epoch=7, contiguous=19, highest=19)


async def test_nothing_stored_from_the_start_is_minus_one(store: Store, traffic: Traffic) -> None:
    acks = await store.append_frames(traffic(3, first=5))
    assert acks[BED] == Ack(epoch=7, contiguous=-1, missing=((0, 4),), highest=7)


async def test_acks_of_older_epochs_are_given_beside_the_live_one(store: Store, traffic: Traffic) -> None:
    old = traffic(10, epoch=900)
    live = traffic(5, epoch=3, t0_ms=T0_MS + 60_000)
    await store.append_frames(old[:4])
    late = [replace(row, lane=Lane.FILL, arrived_ms=row.arrived_ms + 600_000) for row in old[4:]]
    acks = await store.append_frames([*late, *live])
    assert acks[BED] == Ack(epoch=3, contiguous=4, highest=4)
    assert acks.older == [(*BED, Ack(epoch=900, contiguous=9, highest=9))]
    assert await store.read_acks() == {BED: Ack(epoch=3, contiguous=4, highest=4)}


async def test_beds_do_not_touch_each_other(store: Store, traffic: Traffic) -> None:
    here, there = traffic(5), traffic(5, site="h013", first=2)
    acks = await store.append_frames([*here, *there])
    assert acks == {
        BED: Ack(epoch=7, contiguous=4, highest=4),
        ("h013", "bed1"): Ack(epoch=7, contiguous=-1, missing=((0, 1),), highest=6),
    }
    assert await store.read_frames(*BED, 0, FOREVER_MS) == here


def _other_content(row: FrameRow) -> FrameRow:
    return replace(row, payload=row.payload[:22] + bytes([row.payload[22] ^ 1]) + row.payload[23:])


def _other_time(row: FrameRow) -> FrameRow:
    payload = row.payload[:10] + (row.t0_ms + 40_000_000).to_bytes(6, "big") + row.payload[16:]
    return replace(row, t0_ms=row.t0_ms + 40_000_000, end_ms=row.end_ms + 40_000_000, payload=payload)


@pytest.mark.parametrize("is_compacted", [False, True])
@pytest.mark.parametrize("change", [_other_content, _other_time])
async def test_another_frame_under_a_known_seq_goes_to_quarantine(
    store: Store, traffic: Traffic, is_compacted: bool, change: type
) -> None:
    rows = traffic(5)
    await store.append_frames(rows)
    if is_compacted:
        assert await store.compact(rows[-1].arrived_ms + 3_600_000) == 5
    acks = await store.append_frames([rows[1], change(rows[2])])
    assert (acks.stored, acks.repeated, acks.conflicting) == (0, 1, 1)
    assert len(acks.contested) == 1
    assert payloads(await store.read_frames(*BED, 0, FOREVER_MS)) == payloads(rows)
    assert (await store.describe()).quarantined == 1


async def test_the_first_of_two_frames_under_one_seq_stays(store: Store, traffic: Traffic) -> None:
    (row,) = traffic(1)
    acks = await store.append_frames([row, _other_content(row)])
    assert (acks.stored, acks.conflicting) == (1, 1)
    assert await store.read_frames(*BED, 0, FOREVER_MS) == [row]


async def test_the_quarantine_is_bounded_and_keeps_the_newest(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frames, "MAX_QUARANTINED", 3)
    for number in range(5):
        await store.quarantine([Reject("h012", "bed1", "version", T0_MS, b"\xc7\x20%d" % number)] * 2)
    assert (await store.describe()).quarantined == 3


async def test_an_epoch_in_shreds_takes_only_what_mends_it(
    store: Store, traffic: Traffic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frames, "MAX_FRAGMENTS", 3)
    rows = traffic(20)
    await store.append_frames(rows[0:10:4])
    acks = await store.append_frames([rows[1], rows[15]])
    assert (acks.stored, acks.refused) == (1, 1)
    assert acks[BED] == Ack(epoch=7, contiguous=1, missing=((2, 3), (5, 7)), highest=8)
    await store.append_frames([*rows[2:4], rows[5], rows[7]])
    acks = await store.append_frames([rows[6]])
    assert acks[BED] == Ack(epoch=7, contiguous=8, highest=8)
    assert (await store.append_frames([rows[15]])).stored == 1


async def test_a_long_list_of_gaps_is_told_short_and_never_hides_one(store: Store, traffic: Traffic) -> None:
    rows = traffic(600)
    acks = await store.append_frames(rows[::2])
    missing = acks[BED].missing
    assert len(missing) == frames.MAX_MISSING
    told = {seq for low, high in missing for seq in range(low, high + 1)}
    assert told >= set(range(1, 599, 2))
    assert missing[-1] == (597, 597)


async def test_frames_of_a_span_are_those_that_reach_into_it(store: Store, traffic: Traffic) -> None:
    rows = traffic(10)
    await store.append_frames(rows)
    assert await store.read_frames(*BED, T0_MS + 2500, T0_MS + 5000) == rows[2:5]


async def test_beds_without_recent_frames_are_left_out(store: Store, traffic: Traffic) -> None:
    await store.append_frames([*traffic(30), *traffic(10, site="h013")])
    assert await store.read_recent_beds(T0_MS + 20_000) == [BED]
    assert await store.read_recent_beds(T0_MS) == [BED, ("h013", "bed1")]


async def test_acks_survive_a_restart(postgres_dsn: str, traffic: Traffic) -> None:
    for rows in (traffic(10), traffic(10, first=12, flags=FrameFlag.CRC)):
        store = await Store.open(postgres_dsn)
        await store.append_frames(rows)
        await store.close()
    store = await Store.open(postgres_dsn)
    assert await store.read_acks() == {BED: Ack(epoch=7, contiguous=9, missing=((10, 11),), highest=21)}
    await store.close()


async def test_an_absurd_clock_is_stored_like_any_other(store: Store, traffic: Traffic) -> None:
    for number, t0_ms in enumerate((0, FOREVER_MS - 10_000)):
        rows = traffic(3, t0_ms=t0_ms, bed=f"odd{number}")
        await store.append_frames(rows)
        assert await store.compact(T0_MS + 2 * FOREVER_MS) == 3
        assert payloads(await store.read_frames("h012", f"odd{number}", 0, FOREVER_MS)) == payloads(rows)
