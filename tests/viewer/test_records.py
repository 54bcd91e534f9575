import httpx
import numpy as np
import pytest

from hub.errors import WireError
from hub.model import Channel, FrameFlag, Lane
from tests.web.conftest import T0_MS, Rig, make_frame, serving
from viewer.records import decode_overview, decode_strip, strip_path

KEY = "h012/bed3"


async def fetch(rig: Rig, path: str) -> bytes:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{rig.port}") as client:
        return (await client.get(path)).raise_for_status().content


async def test_a_strip_of_the_hub_is_read_back_sample_by_sample():
    async with serving(Rig()) as rig:
        rig.run(60)
        strip = decode_strip(await fetch(rig, strip_path(KEY, T0_MS, T0_MS + 60_000)))
    expected = 140 + 5 * np.sin(np.arange(240) / 20)
    np.testing.assert_allclose(strip.content.samples.channel(Channel.FHR1), expected, atol=0.126)
    assert (strip.from_ms, strip.to_ms) == (T0_MS, T0_MS + 60_000)


async def test_gaps_and_late_stretches_of_the_past_are_shown_as_such():
    async with serving(Rig()) as rig:
        rig.run(20)
        rig.seq += 40
        rig.run(20)
        for seq in range(30, 40):
            rig.push(make_frame(seq, flags=FrameFlag.BACKFILL), Lane.FILL)
        content = decode_strip(await fetch(rig, strip_path(KEY, T0_MS, T0_MS + 80_000))).content
    (late,) = content.late
    assert (late.from_ms - T0_MS, late.to_ms - T0_MS) == (30_000, 40_000)
    (gap,) = content.gaps
    assert (gap.from_ms - T0_MS, gap.to_ms - T0_MS) == (40_000, 60_000)


async def test_an_overview_holds_least_and_greatest_and_where_the_record_begins():
    async with serving(Rig()) as rig:
        rig.run(60)
        record = decode_overview(await fetch(rig, strip_path(KEY, T0_MS - 60_000, T0_MS + 60_000, 10_000)))
    assert record.first_ms == T0_MS
    assert np.isnan(record.low[:6]).all()
    expected = (140 + 5 * np.sin(np.arange(240) / 20)).reshape(6, 40)
    np.testing.assert_allclose(record.low[6:], expected.min(axis=1), atol=0.126)
    np.testing.assert_allclose(record.high[6:], expected.max(axis=1), atol=0.126)


WRONG_PERIOD = b'{"from_ms":0,"to_ms":9,"period_ms":7,"channels":{}}'


@pytest.mark.parametrize("body", [b"", b"{}", b"[1]", b'{"from_ms":1}', b"\xff", WRONG_PERIOD])
def test_a_broken_answer_is_refused_as_one(body: bytes):
    with pytest.raises(WireError):
        decode_strip(body)
