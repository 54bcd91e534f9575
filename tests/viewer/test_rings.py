import numpy as np
import pytest

from hub.model import Channel, FrameFlag
from tests.viewer.conftest import T0_MS, make_frame
from viewer.rings import RING_S, Ring


def rates(ring: Ring, from_s: float, to_s: float) -> list[float]:
    samples = ring.read(round(T0_MS + from_s * 1000), round(T0_MS + to_s * 1000))
    return [float(value) for value in samples.channel(Channel.FHR1)]


def test_samples_stand_at_their_own_time():
    ring = Ring()
    ring.push(make_frame([140, 141, 142, 143]), 0)
    samples = ring.read(T0_MS - 500, T0_MS + 1500)
    np.testing.assert_array_equal(
        samples.channel(Channel.FHR1), [np.nan, np.nan, 140, 141, 142, 143, np.nan, np.nan]
    )
    np.testing.assert_allclose(samples.times_s[[0, 2]], [T0_MS / 1000 - 0.5, T0_MS / 1000])


def test_what_never_came_is_a_gap():
    ring = Ring()
    ring.push(make_frame([140] * 4), 0)
    ring.push(make_frame([150] * 4, t0_ms=T0_MS + 3000), 0)
    np.testing.assert_array_equal(rates(ring, 0, 4), [140] * 4 + [np.nan] * 8 + [150] * 4)


def test_signal_loss_is_a_gap():
    ring = Ring()
    ring.push(make_frame([140, np.nan, np.nan, 141]), 0)
    np.testing.assert_array_equal(rates(ring, 0, 1), [140, np.nan, np.nan, 141])


@pytest.mark.parametrize("pieces", [(8,), (4, 4), (1, 3, 2, 2), (1,) * 8])
def test_chopping_into_frames_does_not_matter(pieces: tuple[int, ...]):
    values = np.array([140.0, 141, np.nan, 143, 120, 119, np.nan, 130])
    ring, at = Ring(), 0
    for count in pieces:
        ring.push(make_frame(values[at : at + count], t0_ms=T0_MS + at * 250), 0)
        at += count
    np.testing.assert_array_equal(rates(ring, 0, 2), values)


def test_the_order_of_arrival_does_not_matter():
    first, second = make_frame([140] * 4), make_frame([150] * 4, t0_ms=T0_MS + 1000)
    forth, back = Ring(), Ring()
    for ring, frames in ((forth, (first, second)), (back, (second, first))):
        for frame in frames:
            ring.push(frame, 0)
    assert rates(forth, 0, 2) == rates(back, 0, 2)


def test_late_samples_carry_their_arrival():
    ring = Ring()
    ring.push(make_frame([140] * 4), 0)
    ring.push(make_frame([150] * 4, t0_ms=T0_MS + 2000), 0)
    ring.push(make_frame([145] * 4, t0_ms=T0_MS + 1000, flags=FrameFlag.BACKFILL), T0_MS + 60_000)
    late_ms = ring.read(T0_MS, T0_MS + 3000).late_ms
    assert late_ms.tolist() == [0] * 4 + [T0_MS + 60_000] * 4 + [0] * 4


def test_what_was_seen_live_does_not_become_late_when_sent_again():
    ring = Ring()
    ring.push(make_frame([140] * 4), 0)
    ring.push(make_frame([140] * 4, flags=FrameFlag.BACKFILL), T0_MS + 60_000)
    assert not ring.read(T0_MS, T0_MS + 1000).late_ms.any()


def test_a_full_ring_forgets_the_oldest_and_shows_none_of_it_as_new():
    ring = Ring()
    ring.push(make_frame([140] * 4), 0)
    ring.push(make_frame([150] * 4, t0_ms=T0_MS + RING_S * 1000), 0)
    assert np.isnan(rates(ring, 0, RING_S)).all()
    assert rates(ring, RING_S, RING_S + 1) == [150] * 4


def test_samples_older_than_the_ring_are_left_out():
    ring = Ring()
    ring.push(make_frame([150] * 4, t0_ms=T0_MS + RING_S * 1000), 0)
    ring.push(make_frame([140] * 4, t0_ms=T0_MS - 60_000), T0_MS)
    assert np.isnan(rates(ring, -60, RING_S)).all()


def test_a_slow_source_is_repeated_not_interpolated():
    ring = Ring()
    ring.push(make_frame([140, 160], period_ms=500), 0)
    assert rates(ring, 0, 1) == [140, 140, 160, 160]


def test_a_site_clock_set_back_starts_the_ring_afresh():
    ring = Ring()
    ring.push(make_frame([140] * 4, t0_ms=T0_MS + 3_600_000), 0)
    ring.expect_head(T0_MS)
    ring.push(make_frame([150] * 4), 0)
    assert rates(ring, 0, 1) == [150] * 4
    assert ring.head_ms == T0_MS + 1000


def test_reading_hands_out_a_copy():
    ring = Ring()
    ring.push(make_frame([140] * 4), 0)
    ring.read(T0_MS, T0_MS + 1000).values[:] = 0
    assert rates(ring, 0, 1) == [140] * 4
