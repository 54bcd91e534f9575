"""What agents ever committed against what the database holds: byte for byte, exactly once."""

import asyncio
import hashlib
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from hub.store.store import Store
from hub.wire import with_backfill_flag

BedKey = tuple[str, str]
FrameKey = tuple[int, int]
"""Epoch and seq."""

LAST_MS = 7_258_118_400_000


@dataclass(frozen=True, slots=True)
class Difference:
    """One bed, site against centre; everything but `frames` and the digests must be empty or zero."""

    bed: BedKey
    frames: int
    lost: tuple[FrameKey, ...]
    altered: tuple[FrameKey, ...]
    foreign: tuple[FrameKey, ...]
    """Stored at the centre, never committed by the site."""
    doubled: int
    """Rows of the database beyond one for each frame."""
    site_sha256: str = field(repr=False)
    hub_sha256: str = field(repr=False)

    @property
    def is_same(self) -> bool:
        """Whether the centre holds each frame exactly once, byte for byte."""
        return self.site_sha256 == self.hub_sha256 and self.doubled == 0


def read_outbox(path: Path) -> dict[str, dict[FrameKey, bytes]]:
    """Read every frame that an agent ever committed, by bed (nothing may have been evicted yet)."""
    frames: dict[str, dict[FrameKey, bytes]] = {}
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as outbox:
        for bed, epoch, seq, payload in outbox.execute(
            "SELECT bed, epoch, seq, payload FROM frame JOIN stream ON stream.id = frame.stream"
        ):
            frames.setdefault(bed, {})[epoch, seq] = payload
    outbox.close()
    return frames


def compare(outboxes: Mapping[str, Path], dsn: str) -> list[Difference]:
    """Compare the outbox of each site with the database."""
    committed = {
        (site, bed): frames for site, path in outboxes.items() for bed, frames in read_outbox(path).items()
    }
    return compare_frames(committed, dsn)


def compare_frames(committed: Mapping[BedKey, dict[FrameKey, bytes]], dsn: str) -> list[Difference]:
    """Compare the frames of some beds with the database."""
    stored = asyncio.run(_read_database(dsn, committed))
    return [_differ(key, frames, *stored[key]) for key, frames in sorted(committed.items())]


async def _read_database(dsn: str, keys: Iterable[BedKey]) -> dict[BedKey, tuple[dict[FrameKey, bytes], int]]:
    found = {}
    store = await Store.open(dsn)
    try:
        for site, bed in keys:
            rows = await store.read_frames(site, bed, 0, LAST_MS)
            found[site, bed] = ({(row.epoch, row.seq): row.payload for row in rows}, len(rows))
    finally:
        await store.close()
    return found


def _differ(bed: BedKey, site: dict[FrameKey, bytes], hub: dict[FrameKey, bytes], n_rows: int) -> Difference:
    # Only the flag that says a frame was filled in may differ: it is set on the way.
    sent = {key: with_backfill_flag(payload) for key, payload in site.items()}
    got = {key: with_backfill_flag(payload) for key, payload in hub.items()}
    return Difference(
        bed=bed,
        frames=len(sent),
        lost=tuple(sorted(sent.keys() - got.keys())),
        altered=tuple(sorted(key for key in sent.keys() & got.keys() if sent[key] != got[key])),
        foreign=tuple(sorted(got.keys() - sent.keys())),
        doubled=n_rows - len(hub),
        site_sha256=_digest(sent),
        hub_sha256=_digest(got),
    )


def _digest(frames: Mapping[FrameKey, bytes]) -> str:
    digest = hashlib.sha256()
    for (epoch, seq), payload in sorted(frames.items()):
        digest.update(epoch.to_bytes(4, "big") + seq.to_bytes(4, "big") + payload)
    return digest.hexdigest()


async def count_frames(dsn: str) -> int:
    """Count the stored frames, compacted ones included."""
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        answer = await connection.execute(
            "SELECT (SELECT count(*) FROM frame) + coalesce((SELECT sum(frames) FROM segment), 0)"
        )
        row = await answer.fetchone()
    return int(row[0]) if row else 0
