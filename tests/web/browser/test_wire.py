"""The browser reads the very bytes that hub.wire writes."""

from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page

from hub.model import (
    HEART_RATES,
    Channel,
    ChannelSamples,
    FrameFlag,
    MonitorStatus,
    Transducer,
    WaveEntry,
    WaveFrame,
)
from hub.wire import encode_batch, encode_wave, samples_from_values, to_values

pytestmark = pytest.mark.system

DECODE = """async (bytes) => {
  const { decodeBatch, WireError } = await import("/js/wire.js");
  const plain = (a) => Array.from(a, (v) => (Number.isNaN(v) ? null : v));
  try {
    const batch = decodeBatch(new Uint8Array(bytes).buffer);
    return { ...batch, entries: batch.entries.map((e) => ({ ...e, frame: { ...e.frame,
      channels: Object.fromEntries(Object.entries(e.frame.channels).map(([k, v]) => [k, plain(v)])) } })) };
  } catch (error) {
    if (error instanceof WireError) return { refused: error.message };
    throw error;
  }
}"""


def make_frame(
    rng: np.random.Generator, channels: list[Channel], flags: FrameFlag = FrameFlag.NONE
) -> WaveFrame:
    ticks = int(rng.integers(1, 12))
    blocks = []
    for channel in channels:
        values = rng.uniform(1, 250 if channel in HEART_RATES else 100, ticks)
        values[rng.random(ticks) < 0.3] = np.nan
        blocks.append(samples_from_values(channel, values, transducer=Transducer.ULTRASOUND))
    return WaveFrame(
        "h012",
        "bed3",
        int(rng.integers(0, 2**32)),
        int(rng.integers(0, 2**32)),
        int(rng.integers(0, 7_000_000_000_000)),
        int(rng.integers(1, 256)) * 10,
        ticks,
        flags,
        MonitorStatus.ON,
        tuple(blocks),
    )


def expected_values(block: ChannelSamples) -> list[float | None]:
    return [None if np.isnan(v) else float(v) for v in to_values(block)]


def decode(page: Page, payload: bytes) -> dict[str, Any]:
    answer: dict[str, Any] = page.evaluate(DECODE, list(payload))
    return answer


def test_every_channel_of_every_frame_reads_as_it_was_written(modules: Page):
    rng = np.random.default_rng(1)
    flags = [FrameFlag.NONE, FrameFlag.BACKFILL, FrameFlag.TEST | FrameFlag.CRC]
    frames = [make_frame(rng, list(Channel), flags[i % 3]) for i in range(60)]
    entries = [WaveEntry("h012", "bed3", 1000 + i, encode_wave(f)) for i, f in enumerate(frames)]
    batch = decode(modules, encode_batch(41, 1_790_000_000_123, entries))
    assert (batch["seq"], batch["t"], batch["bad"]) == (41, 1_790_000_000_123, 0)
    assert len(batch["entries"]) == len(frames)
    for i, (got, frame) in enumerate(zip(batch["entries"], frames, strict=True)):
        assert (got["site"], got["bed"], got["arrived"]) == ("h012", "bed3", 1000 + i)
        read = got["frame"]
        assert (read["epoch"], read["seq"]) == (frame.epoch, frame.seq)
        assert (read["t0"], read["end"], read["period"]) == (frame.t0_ms, frame.end_ms, frame.period_ms)
        assert read["flags"] == int(frame.flags)
        for block in frame.channels:
            assert read["channels"][block.channel.name.lower()] == expected_values(block)


def test_an_inoperative_channel_is_all_loss(modules: Page):
    rng = np.random.default_rng(2)
    frame = make_frame(rng, [Channel.FHR1])
    block = frame.channels[0]
    inop = ChannelSamples(block.channel, block.transducer, True, block.raw)
    broken = WaveFrame(
        "a", "b", 1, 1, 0, 250, frame.n_ticks, FrameFlag.NONE, MonitorStatus.ON, (inop, *frame.channels[1:])
    )
    got = decode(modules, encode_batch(1, 1, [WaveEntry("a", "b", 1, encode_wave(broken))]))
    assert got["entries"][0]["frame"]["channels"]["fhr1"] == [None] * frame.n_ticks


def test_an_unknown_channel_is_stepped_over(modules: Page):
    rng = np.random.default_rng(3)
    payload = bytearray(encode_wave(make_frame(rng, [Channel.FSPO2, Channel.TOCO, Channel.FHR1])))
    payload[20] = 0x32  # an even id from 20 on carries one byte a sample, as FSpO2 does
    got = decode(modules, encode_batch(1, 1, [WaveEntry("a", "b", 1, bytes(payload))]))
    assert list(got["entries"][0]["frame"]["channels"]) == ["toco", "fhr1"]


def test_a_frame_that_cannot_be_read_costs_only_itself(modules: Page):
    rng = np.random.default_rng(4)
    good = encode_wave(make_frame(rng, [Channel.FHR1], FrameFlag.CRC))
    wrong_crc = good[:-1] + bytes([good[-1] ^ 1])
    entries = [WaveEntry("a", "b", 1, payload) for payload in (good, wrong_crc, good[:-4], good)]
    got = decode(modules, encode_batch(1, 1, entries))
    assert (len(got["entries"]), got["bad"]) == (2, 2)


def test_whatever_is_wrong_with_a_batch_is_refused_and_nothing_else(modules: Page):
    rng = np.random.default_rng(5)
    whole = encode_batch(1, 1, [WaveEntry("site", "bed", 1, encode_wave(make_frame(rng, [Channel.FHR1])))])
    for cut in range(13, len(whole)):
        assert "refused" in decode(modules, whole[:cut])
    for _ in range(40):
        noise = rng.integers(0, 256, int(rng.integers(0, 60)), dtype=np.uint8).tobytes()
        assert "refused" in decode(modules, noise)
