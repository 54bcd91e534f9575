"""Ticks keep their time and their gaps: no hiccup moves them, no gap is joined, nothing late looks live."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hub.model import Channel, ChannelSamples, FrameFlag, MonitorStatus, Transducer, WaveFrame
from hub.wire import decode_wave
from site_agent.device import TickBlock, TimeBase
from site_agent.framer import Framer
from site_agent.stock import Draft

T0_MS = 1_780_000_000_000.0
ON = MonitorStatus.ON


def block(
    t0_ms: float,
    first: int = 0,
    ticks: int = 4,
    *,
    base: TimeBase = TimeBase.ARRIVAL,
    status: MonitorStatus = ON,
    period_ms: int = 250,
) -> TickBlock:
    raw = (400 + np.arange(first, first + ticks)).astype(np.uint16)
    fhr = ChannelSamples(Channel.FHR1, Transducer.ULTRASOUND, False, raw)
    return TickBlock(t0_ms, base, period_ms, ticks, status, (fhr,))


def frames(drafts: list[Draft]) -> list[WaveFrame]:
    return [decode_wave(draft.body, site="h012", bed="bed1") for draft in drafts]


def run(framer: Framer, blocks: list[tuple[float, TickBlock]]) -> list[WaveFrame]:
    """Push each block at its time, with the quarter-second ticks between, then let all of it out."""
    drafts: list[Draft] = []
    now_ms = blocks[0][0]
    for at_ms, one in blocks:
        while now_ms + 250 < at_ms:
            now_ms += 250
            drafts += framer.tick(now_ms)
        now_ms = at_ms
        drafts += framer.push(one, now_ms)
    for _ in range(40):
        now_ms += 250
        drafts += framer.tick(now_ms)
    return frames(drafts)


def steady(seconds: int, *, delay_ms: float = 0.0, start: int = 0) -> list[tuple[float, TickBlock]]:
    return [
        (T0_MS + 1000 * k + 1100 + delay_ms, block(T0_MS + 1000 * k + delay_ms, 4 * k))
        for k in range(start, start + seconds)
    ]


def test_a_block_a_second_is_a_frame_a_second():
    made = run(Framer("h012", "bed1"), steady(10))
    assert [frame.t0_ms - T0_MS for frame in made] == [1000.0 * k for k in range(10)]
    assert all(frame.n_ticks == 4 for frame in made)


def test_jitter_of_the_cable_does_not_move_the_ticks():
    rng = np.random.default_rng(1)
    late = rng.uniform(0, 400, 600)
    blocks = [
        (a + d, block(b.t0_ms + d, 4 * k))
        for k, ((a, b), d) in enumerate(zip(steady(600), late, strict=True))
    ]
    made = run(Framer("h012", "bed1"), blocks)
    t0 = np.array([frame.t0_ms for frame in made])
    assert len(made) == 600
    assert np.abs(np.diff(t0) - 1000).max() <= 25
    assert np.abs(t0 - T0_MS - 1000 * np.arange(600)).max() < 400


def test_a_device_clock_that_is_one_percent_slow_is_followed_without_a_step():
    blocks = [(T0_MS + 1010 * k + 1100, block(T0_MS + 1010 * k, 4 * k)) for k in range(1200)]
    framer = Framer("h012", "bed1")
    made = run(framer, blocks)
    off = np.array([frame.t0_ms for frame in made]) - T0_MS - 1010 * np.arange(1200)
    assert np.abs(off).max() < 500
    assert framer.fit.anchors_ms == [0.0]


def test_a_hiccup_of_three_seconds_leaves_the_ticks_where_they_were_measured():
    blocks = steady(20)
    held = [(T0_MS + 13_100 + 20 * k, block(T0_MS + 12_000 + 20 * k, 4 * (10 + k))) for k in range(3)]
    made = run(Framer("h012", "bed1"), [*blocks[:10], *held, *blocks[13:]])
    assert [frame.t0_ms - T0_MS for frame in made] == [1000.0 * k for k in range(20)]


def test_what_waited_in_a_buffer_at_the_start_lies_before_what_came_after():
    waiting = [(T0_MS + 31_100 + k, block(T0_MS + 30_000 + k, 4 * k)) for k in range(31)]
    framer = Framer("h012", "bed1")
    made = run(framer, [*waiting, *steady(5, start=31)])
    assert len(made) == 36
    t0 = np.array([frame.t0_ms for frame in made]) - T0_MS
    assert np.abs(t0 - 1000 * np.arange(36)).max() < 60


def test_a_gap_stays_a_gap():
    made = run(Framer("h012", "bed1"), [*steady(5), *steady(5, start=12)])
    assert [round(frame.t0_ms - T0_MS) for frame in made] == [
        *range(0, 5000, 1000),
        *range(12_000, 17_000, 1000),
    ]


def test_a_jump_of_the_wall_clock_lays_a_new_anchor():
    back = [
        (a - 300_000, block(b.t0_ms - 300_000, 4 * (5 + k))) for k, (a, b) in enumerate(steady(5, start=5))
    ]
    framer = Framer("h012", "bed1")
    drafts = []
    for at_ms, one in [*steady(5), *back]:
        drafts += framer.push(one, at_ms)
    drafts += framer.end(back[-1][0])
    assert [frame.t0_ms - T0_MS for frame in frames(drafts)] == [
        *range(0, 5000, 1000),
        *range(-295_000, -290_000, 1000),
    ]
    assert framer.fit.anchors_ms == [0.0, -300_000.0]


def test_ticks_that_the_monitor_left_out_are_not_there():
    late = [
        (
            a + 500,
            block(b.t0_ms + 500, 4 * (5 + k), status=ON | MonitorStatus.TICKS_DELETED if k == 0 else ON),
        )
        for k, (a, b) in enumerate(steady(3, start=5))
    ]
    made = run(Framer("h012", "bed1"), [*steady(5), *late])
    assert [frame.t0_ms - T0_MS for frame in made] == [0, 1000, 2000, 3000, 4000, 5500, 6500, 7500]


def test_single_ticks_become_frames_of_a_second_and_a_rest_is_not_lost():
    framer = Framer("h012", "bed1")
    made = run(framer, [(T0_MS + 250 * k + 300, block(T0_MS + 250 * k, k, 1)) for k in range(10)])
    assert [frame.n_ticks for frame in made] == [4, 4, 2]
    assert np.concatenate([frame.channels[0].raw for frame in made]).tolist() == list(range(400, 410))


def test_a_change_of_the_transducer_ends_a_frame():
    framer = Framer("h012", "bed1")
    inop = ChannelSamples(Channel.FHR1, Transducer.NONE, True, np.zeros(2, np.uint16))
    blocks = [
        (T0_MS + 1000, block(T0_MS, 0, 2, base=TimeBase.DEVICE)),
        (T0_MS + 1001, TickBlock(T0_MS + 500, TimeBase.DEVICE, 250, 2, ON, (inop,))),
    ]
    made = run(framer, blocks)
    assert [(frame.n_ticks, frame.channels[0].is_inop) for frame in made] == [(2, False), (2, True)]


def test_the_time_of_a_device_goes_as_it_is_and_history_is_not_live():
    framer = Framer("h012", "bed1")
    old = framer.push(block(T0_MS - 3_600_000, 0, 240, base=TimeBase.DEVICE), T0_MS)
    new = framer.push(block(T0_MS - 2_000, 0, 4, base=TimeBase.DEVICE), T0_MS)
    assert len(old) == 60
    assert {draft.is_live for draft in old} == {False}
    assert old[0].t0_ms == T0_MS - 3_600_000
    assert [draft.is_live for draft in new] == [True]


def test_a_clock_known_to_be_wrong_marks_the_frames_and_does_not_move_them():
    framer = Framer("h012", "bed1", is_test=True)
    (draft,) = framer.push(block(T0_MS, base=TimeBase.DEVICE), T0_MS + 1000, is_unsynchronised=True)
    (frame,) = frames([draft])
    assert frame.flags == FrameFlag.CLOCK_UNSYNCHRONISED | FrameFlag.TEST
    assert frame.t0_ms == T0_MS


def test_a_block_that_no_frame_can_carry_is_counted_and_harms_nothing():
    framer = Framer("h012", "bed1")
    assert framer.push(block(T0_MS, period_ms=255), T0_MS) == []
    assert framer.push(block(-5.0), T0_MS) == []
    assert framer.push(block(float("nan")), T0_MS) == []
    assert framer.refused == 3
    assert len(run(framer, steady(2))) == 2


@given(st.lists(st.integers(1, 9), min_size=1, max_size=40))
def test_how_ticks_are_chopped_into_blocks_does_not_change_them(sizes: list[int]):
    framer = Framer("h012", "bed1")
    at, drafts = 0, []
    for size in sizes:
        drafts += framer.push(block(T0_MS + 250 * at, at, size, base=TimeBase.DEVICE), T0_MS + 250 * at)
        at += size
    made = frames(drafts + framer.end(T0_MS + 250 * at))
    assert np.concatenate([frame.channels[0].raw for frame in made]).tolist() == list(range(400, 400 + at))
    assert [frame.t0_ms for frame in made] == [T0_MS + 1000 * k for k in range(len(made))]
