"""Live readings: the same as of the whole record, however the samples came."""

from collections.abc import Sequence
from functools import cache

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from device_sim.records import read_shipped
from device_sim.scenarios import scenario_signals
from hub.dsp import analyse
from hub.dsp.live import LiveAnalysis, Plan, Signals
from hub.dsp.reading import LiveReading
from hub.model import Acceleration, Analysis, BoolArray, Deceleration, FloatArray

T0 = 1_763_610_000 * 4
"""A multiple of ten minutes, in ticks."""
MIN = 240
# The same examples each time: how near live and whole are is a share, not an identity.
SLOW = settings(
    derandomize=True,
    deadline=None,
    max_examples=2,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


class Stream:
    """One fetus as its samples arrive."""

    def __init__(self, live: LiveAnalysis, fhr: FloatArray, toco: FloatArray, *, phase: int = 0) -> None:
        self.live, self.row = live, live.past.open_row(phase)
        self.signals = np.stack((fhr, toco, np.full(fhr.size, np.nan)))
        self.has_come: BoolArray = np.zeros(fhr.size, dtype=bool)
        self.head = 0
        self.changed_from: int | None = None
        self.reading: LiveReading | None = None
        self.told: list[LiveReading] = []

    def receive(self, start: int, stop: int) -> None:
        if start < self.head:
            self.changed_from = start if self.changed_from is None else min(self.changed_from, start)
        self.has_come[start:stop] = True
        self.head = max(self.head, stop)

    def plan(self) -> Plan | None:
        first = T0 + max(int(np.argmax(self.has_come)), self.head - 40 * MIN)
        changed_from = None if self.changed_from is None else T0 + self.changed_from
        return self.live.plan(self.row, first=first, head=T0 + self.head, changed_from=changed_from)

    def read(self, plan: Plan) -> FloatArray:
        self.changed_from = None
        index = np.arange(plan.end - plan.n_samples, plan.end) - T0
        is_there = (index >= 0) & self.has_come[index.clip(0)]
        return np.where(is_there, self.signals[:, index.clip(0)], np.nan)


def update(streams: Sequence[Stream]) -> None:
    """Update streams until none is behind, those of one shape together."""
    while True:
        groups: dict[tuple[int, int, bool], list[tuple[Stream, Plan]]] = {}
        for stream in streams:
            if (plan := stream.plan()) is not None:
                groups.setdefault(plan.shape, []).append((stream, plan))
        if not groups:
            return
        for group in groups.values():
            fhr, toco, mhr = np.stack([stream.read(plan) for stream, plan in group], axis=1)
            signals = Signals(
                fhr=fhr,
                toco=toco,
                mhr=mhr,
                iup=np.full(fhr.shape, np.nan),
                gestational_weeks=[None] * len(group),
            )
            readings = group[0][0].live.push([plan for _, plan in group], signals)
            for (stream, _), reading in zip(group, readings, strict=True):
                stream.reading = reading
                stream.told.append(reading)


@cache
def record(name: str, minutes: int = 34) -> tuple[FloatArray, FloatArray]:
    shipped = read_shipped(name)
    assert shipped.toco is not None
    fhr = shipped.fhr[0].copy()
    first = int(np.argmax(np.isfinite(fhr)))
    return fhr[first : first + minutes * MIN], shipped.toco[first : first + minutes * MIN]


def play(streams: Sequence[Stream], *, step: int = 40) -> None:
    n = streams[0].has_come.size
    for stop in range(step, n + 1, step):
        for stream in streams:
            stream.receive(stop - step, stop)
        update(streams)


@cache
def timely(name: str) -> LiveReading:
    stream = Stream(LiveAnalysis(), *record(name))
    play([stream])
    assert stream.reading is not None
    return stream.reading


def spans(events: Sequence[Acceleration] | Sequence[Deceleration], from_s: float = 0.0) -> FloatArray:
    return np.array([(e.onset_s + from_s, e.end_s + from_s) for e in events]).reshape(-1, 2)


def agreement(one: FloatArray, other: FloatArray, *, within_s: float = 2.0) -> float:
    """F of events that are so near one another at both ends."""
    if not one.size and not other.size:
        return 1.0
    near = np.asarray((np.abs(one[:, None] - other[None]) <= within_s).all(axis=-1))
    n_alone = len(one) + len(other) - 2 * int(near.any(axis=1).sum())
    return 1 - n_alone / (len(one) + len(other))


def share_near(one: FloatArray, other: FloatArray) -> float:
    """Share of two lines that is within 1 bpm, or not assessable in either."""
    return float(((np.abs(one - other) < 1.0) | (np.isnan(one) & np.isnan(other))).mean())


def assert_same(reading: LiveReading, other: LiveReading, *, least: float = 0.98) -> None:
    assert reading.origin == other.origin
    assert reading.end == other.end
    for kind in ("accelerations", "decelerations"):
        assert agreement(spans(getattr(reading, kind)), spans(getattr(other, kind))) >= least, kind
    levels = [(s.start_s, s.level, s.cell) for s in reading.segments]
    assert levels == [(s.start_s, s.level, s.cell) for s in other.segments]
    assert reading.rolling is not None
    assert other.rolling is not None
    assert (reading.rolling.level, reading.rolling.cell) == (other.rolling.level, other.rolling.cell)
    assert share_near(reading.baseline_bpm, other.baseline_bpm) > 0.98


def assert_whole(reading: LiveReading, whole: Analysis) -> None:
    from_s = (reading.origin - T0) / 4
    for kind in ("accelerations", "decelerations"):
        of_whole = [e for e in getattr(whole, kind) if e.onset_s >= from_s]
        assert agreement(spans(getattr(reading, kind), from_s), spans(of_whole), within_s=3.0) == 1, kind
    levels = {round(s.start_s + from_s): s.level for s in reading.segments}
    assert levels == {round(s.start_s): s.level for s in whole.segments if s.start_s >= from_s}
    assert reading.rolling is not None
    assert whole.rolling is not None
    assert reading.rolling.level == whole.rolling.level
    line = whole.baseline_bpm[reading.origin - T0 :: 20]
    assert share_near(reading.baseline_bpm, line) > 0.98
    is_shown = whole.false_signal >= 0.5
    for start_s, end_s in np.array(reading.suspect_spans_s).reshape(-1, 2) + from_s:
        is_shown[round(start_s * 4) : round(end_s * 4)] ^= True
    assert is_shown.mean() < 0.001, "what is shown as suspected"


@pytest.mark.parametrize("name", ["1017", "1098", "2011"])
def test_the_live_reading_is_that_of_the_whole_record(name: str):
    fhr, toco = record(name)
    assert_whole(timely(name), analyse(fhr, toco))


@pytest.mark.parametrize("name", ["minimal_with_late", "sinusoidal", "prolonged_severe", "maternal_capture"])
def test_a_modelled_patient_is_read_live_as_in_whole(name: str):
    signals = scenario_signals(name, seed=3, duration_s=2400)
    toco = np.full(signals.fhr[0].size, np.nan) if signals.toco is None else signals.toco
    stream = Stream(LiveAnalysis(), signals.fhr[0], toco)
    if signals.mhr is not None:
        stream.signals[2] = signals.mhr
    play([stream])
    assert stream.reading is not None
    whole = analyse(signals.fhr[0], signals.toco, signals.mhr)
    levels = [(s.start_s, s.level, s.indeterminate) for s in stream.reading.segments]
    assert levels == [(s.start_s, s.level, s.indeterminate) for s in whole.segments]
    found, expected = spans(stream.reading.decelerations), spans(whole.decelerations)
    assert agreement(found, expected) >= 0.95
    spans_s = stream.reading.suspect_spans_s
    share = sum(b - a for a, b in spans_s) / (fhr_s := signals.fhr[0].size / 4)
    assert share == pytest.approx(np.nansum(whole.false_signal > 0.5) / 4 / fhr_s, abs=0.02)


@pytest.mark.parametrize("before_s", [30, 60, 100])
def test_a_segment_that_ends_in_a_fall_is_told_when_the_fall_is_known(before_s: int):
    """A prolonged fall that begins shortly before the end of a segment is at no time read as a late one."""
    signals = scenario_signals("prolonged_mild", seed=3, duration_s=3600)
    onset_s = next(d.onset_s for d in analyse(signals.fhr[0], signals.toco).decelerations if d.onset_s > 1200)
    cut = round((onset_s + before_s - 1200) * 4)
    assert signals.toco is not None
    stream = Stream(LiveAnalysis(), signals.fhr[0][cut : cut + 30 * MIN], signals.toco[cut : cut + 30 * MIN])
    play([stream])
    told = {s.cell for reading in stream.told for s in reading.segments if s.start_s >= 600}
    assert told == {"I/normal/prolonged_mild"}
    first = next(reading for reading in stream.told if any(s.end_s == 1200 for s in reading.segments))
    assert (first.end - first.origin) / 4 - 1200 <= 140 - before_s
    assert not any(s.is_revised for reading in stream.told for s in reading.segments)


@SLOW
@given(chunks_s=st.lists(st.integers(1, 75), min_size=1, max_size=6), name=st.sampled_from(["1017", "1098"]))
def test_how_the_stream_is_chopped_does_not_matter(chunks_s: list[int], name: str):
    stream = Stream(LiveAnalysis(), *record(name))
    n, k = stream.has_come.size, 0
    while stream.head < n:
        stream.receive(stream.head, min(stream.head + 4 * chunks_s[k % len(chunks_s)], n))
        update([stream])
        k += 1
    assert stream.reading is not None
    assert_same(stream.reading, timely(name), least=1.0)


@SLOW
@given(
    hole_min=st.integers(2, 28),
    length_s=st.integers(5, 500),
    delay_s=st.integers(10, 1500),
    n_pieces=st.integers(1, 4),
)
def test_what_was_filled_in_late_reads_as_if_it_had_been_there(
    hole_min: int, length_s: int, delay_s: int, n_pieces: int
):
    stream = Stream(LiveAnalysis(), *record("1098"))
    n = stream.has_come.size
    hole = (hole_min * MIN, min(hole_min * MIN + 4 * length_s, n - 40))
    pieces = np.linspace(*hole, n_pieces + 1).astype(int).tolist()
    due = {min(hole[1] + 4 * (delay_s + 10 * k), n) // 40 * 40: k for k in reversed(range(n_pieces))}
    waiting = set(range(n_pieces))
    for stop in range(40, n + 1, 40):
        for start in range(stop - 40, stop, 4):
            if not hole[0] <= start < hole[1]:
                stream.receive(start, start + 4)
        late = {k for k in waiting if (stop in due and due[stop] <= k) or stop == n}
        for k in late:
            stream.receive(pieces[k], pieces[k + 1])
        waiting -= late
        update([stream])
    assert stream.reading is not None
    assert stream.has_come.all()
    assert_same(stream.reading, timely("1098"), least=0.95)


def test_what_late_data_changed_is_marked_revised():
    fhr = 140.0 + 5.0 * np.sin(np.arange(45 * MIN) / 4 * 2 * np.pi / 20)
    fall = slice(13 * MIN, 17 * MIN)
    fhr[fall] -= 70.0 * np.sin(np.linspace(0, np.pi, 4 * MIN))
    stream = Stream(LiveAnalysis(), fhr, np.full(fhr.size, np.nan))
    stream.receive(0, fall.start)
    update([stream])
    for stop in range(fall.stop + MIN, 30 * MIN + 1, MIN):
        stream.receive(stop - MIN, stop)
        update([stream])
    assert stream.reading is not None
    before = stream.reading
    assert before.segments[1].start_s == 600.0
    assert not before.segments[1].is_provisional
    assert not any(s.is_revised for s in before.segments)
    stream.receive(fall.start, fall.stop)
    update([stream])
    after = stream.reading
    assert after.decelerations[0].is_revised
    assert after.segments[1].is_revised
    assert after.segments[1].level != before.segments[1].level
    assert not after.segments[0].is_revised
    for stop in range(31 * MIN, 45 * MIN + 1, MIN):
        stream.receive(stop - MIN, stop)
        update([stream])
    assert stream.reading.segments[1].is_revised
    assert stream.reading.decelerations[0].is_revised


def test_what_may_still_change_says_so():
    stream = Stream(LiveAnalysis(), *record("1017"))
    play([stream])
    for reading in stream.told:
        end_s = (reading.end - reading.origin) / 4
        ends = [(e.end_s, e.is_provisional) for e in reading.accelerations]
        ends += [(e.end_s, e.is_provisional) for e in reading.decelerations]
        for at_s, is_provisional in ends:
            assert is_provisional == (end_s - at_s < 120.0)
        for segment in reading.segments:
            assert segment.is_provisional >= (end_s - segment.end_s < 120.0)
            assert segment.is_provisional <= (end_s - segment.end_s < 180.0)


def test_beds_read_together_get_what_each_gets_alone():
    live = LiveAnalysis(1)
    together = [Stream(live, *record(name)) for name in ("1017", "1098", "1381")]
    play(together)
    for stream, name in zip(together, ("1017", "1098", "1381"), strict=True):
        assert stream.reading is not None
        assert_same(stream.reading, timely(name))


def test_another_phase_of_the_clock_moves_the_reading_by_seconds_only():
    stream = Stream(LiveAnalysis(), *record("1098"), phase=24)
    play([stream], step=4)
    assert stream.reading is not None
    assert stream.reading.end % 40 == 24
    levels = [s.level for s in stream.reading.segments]
    assert levels == [s.level for s in timely("1098").segments]


def test_a_clock_set_back_and_a_long_pause_begin_anew():
    live = LiveAnalysis()
    row = live.past.open_row(0)
    signal = np.full(30 * MIN, 140.0)

    def push(first: int, head: int) -> LiveReading | None:
        plan = live.plan(row, first=first, head=head)
        if plan is None:
            return None
        fhr = signal[None, : plan.n_samples]
        none = np.full(fhr.shape, np.nan)
        return live.push([plan], Signals(fhr=fhr, toco=none, mhr=none, iup=none, gestational_weeks=[None]))[0]

    first = push(T0, T0 + 12 * MIN)
    assert first is not None
    assert len(first.segments) == 1
    assert push(T0, T0 + 12 * MIN) is None
    back = push(T0 - 30 * MIN, T0 - 25 * MIN)
    assert back is not None
    assert back.origin == T0 - 30 * MIN
    assert not back.segments
    later = push(T0 + 60 * MIN, T0 + 61 * MIN)
    assert later is not None
    assert later.origin == T0 + 60 * MIN


def test_an_hour_is_remembered_and_no_more():
    fhr = 140.0 + 5.0 * np.sin(np.arange(100 * MIN) / 4 * 2 * np.pi / 20)
    for minute in range(5, 100, 10):
        fhr[minute * MIN : minute * MIN + MIN] += 25.0
    stream = Stream(LiveAnalysis(), fhr, np.full(fhr.size, np.nan))
    play([stream], step=MIN)
    reading = stream.reading
    assert reading is not None
    kept_min = (reading.end - reading.origin) / MIN
    assert 60 <= kept_min <= 76
    assert reading.origin % 2400 == 0
    onsets_min = [(a.onset_s * 4 + reading.origin - T0) / MIN for a in reading.accelerations]
    assert onsets_min == pytest.approx(
        [m for m in range(5, 100, 10) if m * MIN > reading.origin - T0], abs=0.2
    )
    assert [s.start_s for s in reading.segments] == [600.0 * k for k in range(len(reading.segments))]
    assert len(reading.baseline_bpm) == (reading.end - reading.origin) // 20
