"""The database of the simulation says what the real one says."""

import random

import pytest

from chaos.simulated_hub import DatabaseModel, Message
from hub.model import Lane
from hub.recorder import bounded_ack
from hub.store.rows import FrameRow
from hub.store.store import Store
from tests.store.conftest import layout, postgres, postgres_dsn  # noqa: F401  # fixtures


@pytest.mark.parametrize("seed", range(3))
async def test_acks_and_rows_are_those_of_the_real_database(
    postgres_dsn: str,  # noqa: F811  # a fixture
    seed: int,
):
    rng = random.Random(seed)
    store, model = await Store.open(postgres_dsn), DatabaseModel()
    conflicts = 0
    for _ in range(60):
        batch = [
            Message(
                rng.choice(("b1", "b2")),
                rng.choice((7, 8)),
                rng.randrange(rng.choice((20, 600))),
                rng.choice((1000, 1000, 1000, 2000)),
                rng.choice(list(Lane)),
            )
            for _ in range(rng.randrange(1, 60))
        ]
        expected = {(bed, ack.epoch): ack for bed, ack in model.append(batch)}
        rows = [
            FrameRow("h1", m.bed, m.epoch, m.seq, m.t0_ms, m.t0_ms + 1000, m.lane, 5000, payload(m))
            for m in batch
        ]
        acks = await store.append_frames(rows)
        conflicts += acks.conflicting
        said = {(bed, ack.epoch): bounded_ack(ack) for (_, bed), ack in acks.items()}
        said |= {(bed, ack.epoch): bounded_ack(ack) for _, bed, ack in acks.older}
        assert {key: said[key] for key in expected} == expected
    stored = {
        (bed, row.epoch, row.seq): row.t0_ms
        for bed in ("b1", "b2")
        for row in await store.read_frames("h1", bed, 0, 10_000)
    }
    assert stored == {
        (bed, epoch, seq): t0_ms for (bed, epoch), seqs in model.rows.items() for seq, t0_ms in seqs.items()
    }
    assert conflicts == model.conflicts > 0
    await store.close()


def payload(message: Message) -> bytes:
    """Bytes that differ with what differs."""
    return b"\xc7\x10" + message.t0_ms.to_bytes(8, "big") + bytes(20)
