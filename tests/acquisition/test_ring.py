"""The ring shows each sample at its time, gaps as gaps, and never an old sample as a new one."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.acquisition.ring import RING_CHANNELS, Ring, decode
from hub.model import Channel, ChannelSamples, FrameFlag, MonitorStatus, Transducer, WaveFrame
from hub.wire import samples_from_values, to_values

T0_MS = 1_763_610_000_000
FHR1 = RING_CHANNELS.index(Channel.FHR1)


def frame(
    start_tick: int, values: list[float], *, period_ms: int = 250, offset_ms: int = 0, seq: int = 0
) -> WaveFrame:
    block = samples_from_values(Channel.FHR1, values, transducer=Transducer.ULTRASOUND)
    t0_ms = T0_MS + start_tick * 250 + offset_ms
    return WaveFrame(
        "h", "b", 1, seq, t0_ms, period_ms, len(values), FrameFlag.NONE, MonitorStatus.ON, (block,)
    )


def ring_with_bed(length_s: int = 60) -> tuple[Ring, int]:
    ring = Ring(2, length_s=length_s)
    row = ring.add_bed()
    assert row is not None
    return ring, row


def fhr(ring: Ring, row: int, n_samples: int) -> list[float]:
    samples, _, _ = ring.window(row, n_samples)
    values: list[float] = samples[0, FHR1].tolist()
    return values


def test_a_missing_frame_is_a_gap_and_is_filled_in_place():
    ring, row = ring_with_bed()
    ring.push(row, frame(0, [140, 141]), is_newest=True)
    ring.push(row, frame(4, [144, 145]), is_newest=True)
    np.testing.assert_array_equal(fhr(ring, row, 6), [140, 141, np.nan, np.nan, 144, 145])
    ring.push(row, frame(2, [142, 143]), is_newest=False, late_ms=T0_MS + 9000)
    samples, late_ms, end_ms = ring.window(row, 6)
    assert samples[0, FHR1].tolist() == [140, 141, 142, 143, 144, 145]
    assert late_ms[0].tolist() == [0, 0, T0_MS + 9000, T0_MS + 9000, 0, 0]
    assert end_ms.tolist() == [T0_MS + 1500]


def test_what_is_older_than_the_ring_leaves_it_untouched():
    ring, row = ring_with_bed(length_s=2)
    ring.push(row, frame(100, [140] * 8), is_newest=True)
    ring.push(row, frame(90, [99, 99]), is_newest=False)
    assert fhr(ring, row, 8) == [140.0] * 8


def test_an_hour_of_silence_leaves_no_old_sample_behind():
    ring, row = ring_with_bed(length_s=2)
    ring.push(row, frame(0, [140] * 8), is_newest=True)
    ring.push(row, frame(14_400, [150, 151]), is_newest=True)
    np.testing.assert_array_equal(fhr(ring, row, 8), [np.nan] * 6 + [150, 151])


def test_a_site_clock_set_back_moves_the_head_back():
    ring, row = ring_with_bed()
    ring.push(row, frame(100, [140] * 4), is_newest=True)
    ring.push(row, frame(50, [150] * 4), is_newest=True)
    assert ring.head_ms(row) == T0_MS + 54 * 250
    assert fhr(ring, row, 4) == [150.0] * 4
    ring.push(row, frame(98, [160] * 2), is_newest=True)
    np.testing.assert_array_equal(fhr(ring, row, 4), [np.nan, np.nan, 160, 160])


def test_a_filled_frame_from_the_future_is_undone_by_the_next_live_one():
    ring, row = ring_with_bed(length_s=2)
    ring.push(row, frame(0, [140] * 4), is_newest=True)
    ring.push(row, frame(100_000, [99] * 4), is_newest=False)
    ring.push(row, frame(4, [141] * 4), is_newest=True)
    assert fhr(ring, row, 4) == [141.0] * 4


def test_a_clock_smoothed_by_some_ms_tears_no_hole():
    ring, row = ring_with_bed()
    for seq, jitter_ms in enumerate([124, 126, 123, 127, 124]):
        values = [140.0 + 4 * seq + k for k in range(4)]
        ring.push(row, frame(4 * seq, values, offset_ms=jitter_ms), is_newest=True)
    assert fhr(ring, row, 20) == [140.0 + k for k in range(20)]


def test_a_source_of_2_hz_is_repeated_onto_the_grid():
    ring, row = ring_with_bed()
    ring.push(row, frame(0, [140, 150], period_ms=500), is_newest=True)
    assert fhr(ring, row, 4) == [140, 140, 150, 150]


def test_a_full_ring_refuses_a_bed_and_keeps_the_others():
    ring, row = ring_with_bed()
    assert ring.add_bed() is not None
    assert ring.add_bed() is None
    ring.push(row, frame(0, [140]), is_newest=True)
    assert fhr(ring, row, 1) == [140]


@given(st.permutations(list(range(12))), st.lists(st.integers(1, 5), min_size=12, max_size=12))
def test_order_and_chopping_of_filled_frames_do_not_matter(order: list[int], sizes: list[int]):
    values = [100.0 + k for k in range(sum(sizes))]
    starts = np.concatenate(([0], np.cumsum(sizes)))
    ring, row = ring_with_bed()
    for index in order:
        piece = values[starts[index] : starts[index + 1]]
        ring.push(row, frame(int(starts[index]), piece), is_newest=False, late_ms=1)
    assert fhr(ring, row, len(values)) == values


def test_the_newest_value_reaches_back_no_further_than_asked():
    ring, row = ring_with_bed()
    ring.push(row, frame(0, [140, 141, np.nan, np.nan]), is_newest=True)
    assert ring.newest(row, 4)[0, FHR1] == 141
    assert np.isnan(ring.newest(row, 2)[0, FHR1])


def test_a_window_is_a_copy_that_later_samples_do_not_change():
    ring, row = ring_with_bed(length_s=2)
    ring.push(row, frame(0, [140] * 8), is_newest=True)
    samples, _, _ = ring.window(row, 8)
    ring.push(row, frame(8, [150] * 8), is_newest=True)
    assert samples[0, FHR1].tolist() == [140] * 8


def every_word(channel: Channel) -> npt.NDArray[np.uint16] | npt.NDArray[np.uint8] | npt.NDArray[np.int16]:
    if channel is Channel.TOCO:
        return np.arange(0x100).astype(np.uint8)
    if channel is Channel.IUP:
        return np.arange(-0x8000, 0x8000).astype(np.int16)
    return np.arange(0x10000).astype(np.uint16)


@pytest.mark.parametrize("channel", RING_CHANNELS)
def test_every_word_that_the_wire_can_carry_comes_back_as_the_same_value(channel: Channel):
    words = every_word(channel)
    ring, row = ring_with_bed(length_s=words.size // 4)
    for first in range(0, words.size, 128):
        some = ChannelSamples(channel, Transducer.UNKNOWN, False, words[first : first + 128])
        t0_ms = T0_MS + first * 250
        whole = WaveFrame("h", "b", 1, 0, t0_ms, 250, 128, FrameFlag.NONE, MonitorStatus.ON, (some,))
        ring.push(row, whole, is_newest=True)
    column = RING_CHANNELS.index(channel)
    expected = to_values(ChannelSamples(channel, Transducer.UNKNOWN, False, words))
    assert np.isnan(expected).any()
    window, _, _ = ring.window(row, words.size)
    span, _ = ring.copy_span(row, (T0_MS + words.size * 250) // 250, words.size)
    live = ring.column(np.array([row]), np.array([column]), words.size)
    for samples in (window[0, column], decode(span[column], column), live[0]):
        np.testing.assert_array_equal(samples, expected)


def test_a_channel_that_a_bed_does_not_use_reads_as_lost():
    ring, row = ring_with_bed()
    ring.push(row, frame(0, [140] * 4), is_newest=True)
    samples, _, _ = ring.window(row, 4)
    assert np.isnan(np.delete(samples[0], FHR1, axis=0)).all()
