"""The analysis of live fetuses: every update reads the newest minutes and keeps what is settled.

An update begins at a minute that lies at least `SETTLED_MIN` back and cuts nothing in
two.  From there on everything is found anew by the steps of `hub.dsp.analyse`, with
what the past leaves behind at its left edge: the costs of the baseline's path and
the end of its line.  So each answer is the one that the whole record up to now gives.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from hub.dsp import rules
from hub.dsp.analyse import find_activity, find_events, is_near_signal, remove_false
from hub.dsp.baseline import BLOCK_S, BaselineCourse, BaselinePast, continue_baseline
from hub.dsp.contractions import UterineActivity
from hub.dsp.events import SHALLOW_SPAN_S
from hub.dsp.false_signal import FalseSignal
from hub.dsp.features import FALSE_AT, mark_events
from hub.dsp.learned import load_network
from hub.dsp.learned_past import LearnedPast
from hub.dsp.past import (
    DRAWN,
    HOP,
    MINUTE,
    SAMPLES_KEPT_MIN,
    STEP,
    Busy,
    Past,
    Ticks,
    pack_false,
    read_ring,
    unpack_false,
    write_ring,
)
from hub.dsp.quality import find_runs, hold_last, remove_impossible
from hub.dsp.reading import LiveReading, Stretch, keep_origin_near, move_contraction, move_event, read_stretch
from hub.dsp.sinusoidal import SinusoidalRun, join_hops, measure_hops
from hub.dsp.variability import compute_variability
from hub.model import FS_HZ, BoolArray, DecelerationKind, FloatArray

SETTLED_MIN: Final = 16
"""What is older than this no new sample changes, but for an event that is still open."""
RECENT_MIN: Final = 12
"""Between two whole minutes only this much is found anew: a segment and the 2 min behind it."""
LENGTHS_MIN: Final = (RECENT_MIN, SETTLED_MIN, 20, 26, 31)
"""Lengths of an update; few, because beds of one length are analysed together."""
CONTEXT_MIN: Final = 8
"""Signal before it that is only looked at: histogram, resting tone and level memory reach back so far."""
RECORD_MIN: Final = 40
"""Signal that is there to be read again."""
JUDGED_MIN: Final = 6
"""False signal is judged anew for so long."""
STRIDE_MIN: Final = 1
"""An update goes no further than this at once, so that a late one decides as a timely one does."""
FORGOTTEN_MIN: Final = 20
"""After a longer pause the record begins anew."""
EVENT_BEFORE_S: Final = 35.0
EVENT_BEHIND_S: Final = 15.0
BRIDGED_BEFORE_S: Final = 120.0
BRIDGED_BEHIND_S: Final = 30.0
"""Near an event no update should begin: its onset is searched back, and a shoulder looks for it; nor near a
long fall that the baseline is drawn across, because the line on either side leans on it."""
JUMP_REACH_S: Final = 30.0

_PATH_STEPS: Final = round(rules.DECELERATION_BASELINE_CHANGE_S.value * FS_HZ) // STEP
_BLOCKS_PER_MINUTE: Final = round(60 / BLOCK_S)
_HOPS_REMEMBERED: Final = 62 * MINUTE // HOP


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What the next update of a row will read; plans of one `shape` are updated together."""

    row: int
    begin: int
    """First tick of the record."""
    start: int
    """First tick that is found anew."""
    end: int
    """Behind the last tick."""
    context: int
    """Ticks that are read before `start`."""
    judged_from: int
    """First tick whose signal is judged anew."""
    is_fresh: bool
    """Nothing is carried over at `start`."""
    is_jump: bool
    """Nothing that was known before holds."""
    is_changed: bool
    """Samples that had been read already were changed."""

    @property
    def n_samples(self) -> int:
        """Ticks to be read, up to `end`."""
        return self.end - self.start + self.context

    @property
    def shape(self) -> tuple[int, int, bool]:
        """What the plans of one update have in common."""
        return self.end - self.start, self.context, self.is_fresh


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Signals:
    """What plans of one shape asked for; arrays of shape (n_plans, n_samples) at 4 Hz, NaN for loss."""

    fhr: FloatArray
    toco: FloatArray
    mhr: FloatArray
    iup: FloatArray
    gestational_weeks: Sequence[float | None]


class LiveAnalysis:
    """Readings of many fetuses, kept up to date as their samples come.

    Open a row for each fetus, ask for its `plan` when samples came, and `push` the
    signals that plans of one shape ask for.  In what pieces the samples came, how
    late and in what order, does not change what is read in the end.
    """

    def __init__(self, capacity: int = 16) -> None:
        self.past = Past(capacity)
        network = load_network()
        self._learned = None if network is None else LearnedPast(network)

    def plan(self, row: int, *, first: int, head: int, changed_from: int | None = None) -> Plan | None:
        """Tell what to read next for a row; None while there is nothing new.

        `first` is the first tick with signal that can be read, `head` the tick behind
        the newest, `changed_from` the first that changed since the last update.
        """
        past = self.past
        phase, old_end = int(past.phase[row]), int(past.end[row])
        newest = _floor(head, STEP, phase)
        is_jump = old_end == 0 or newest < old_end or newest - old_end > FORGOTTEN_MIN * MINUTE
        end = newest if is_jump else min(newest, old_end + STRIDE_MIN * MINUTE)
        begin = first if is_jump else min(first, int(past.begin[row]))
        if end - first < STEP or (end == old_end and changed_from is None):
            return None
        oldest = -_floor(-max(begin - MINUTE + 1, end - RECORD_MIN * MINUTE), MINUTE, -phase)
        start, judged_from = (None, 0) if is_jump else self._carry(row, end, oldest, changed_from)
        return Plan(
            row=row,
            begin=begin,
            start=oldest if start is None else start,
            end=end,
            context=0 if start is None else CONTEXT_MIN * MINUTE,
            judged_from=oldest if start is None else judged_from,
            is_fresh=start is None,
            is_jump=is_jump,
            is_changed=changed_from is not None,
        )

    def _carry(self, row: int, end: int, oldest: int, changed_from: int | None) -> tuple[int | None, int]:
        """Find the minute from which the past can be carried on, and the tick from which to judge signal."""
        is_whole_minute = (end - int(self.past.phase[row])) % MINUTE == 0
        wanted = end - (SETTLED_MIN if is_whole_minute else RECENT_MIN) * MINUTE
        judged = end - JUDGED_MIN * MINUTE
        judged = min(judged, int(self.past.end[row]))
        if changed_from is not None:
            wanted = min(wanted, changed_from - CONTEXT_MIN * MINUTE)
            judged = min(judged, changed_from - MINUTE)
        for busy in (Busy.FREE, Busy.NEAR):
            for length in LENGTHS_MIN:
                start = _floor(end - length * MINUTE, MINUTE, int(self.past.phase[row]))
                is_possible = start <= wanted and start - CONTEXT_MIN * MINUTE >= oldest
                if is_possible and self.past.busy[row, start // MINUTE % SAMPLES_KEPT_MIN] <= busy:
                    return start, judged
        return None, 0

    def push(self, plans: Sequence[Plan], signals: Signals) -> list[LiveReading]:
        """Update the rows of plans that share a shape, and read them."""
        past, (_, context, is_fresh) = self.past, plans[0].shape
        for plan in plans:
            if plan.is_jump:
                past.reset(plan.row)
                past.origin[plan.row] = plan.begin // DRAWN * DRAWN
            past.begin[plan.row] = plan.begin
            keep_origin_near(past, plan.row, plan.end)
        rows = np.array([plan.row for plan in plans], np.int64)
        starts = np.array([plan.start for plan in plans], np.int64)
        false = self._judge(plans, rows, starts - context, signals)
        seen = np.where(false.probability >= FALSE_AT, np.nan, remove_impossible(signals.fhr))
        activity = _find_activity(signals, context)
        carried = None if is_fresh else self._read_baseline(rows, starts)
        course = continue_baseline(seen, carried, context=context)
        stretches = self._find(plans, signals, _Steps(rows, starts, context, seen, false, activity, course))
        return [read_stretch(past, stretch) for stretch in stretches]

    def _judge(self, plans: Sequence[Plan], rows: Ticks, first: Ticks, signals: Signals) -> FalseSignal:
        """Judge the newest signal; what was judged minutes ago stands."""
        past, n = self.past, signals.fhr.shape[-1]
        ends = first + n
        has_mother = np.isfinite(signals.mhr).any(axis=-1)
        past.maternal[rows[has_mother]] = ends[has_mother]
        packed = read_ring(past.false, rows, first, n)
        skipped = np.array([plan.judged_from for plan in plans]) - first
        tail = slice(int(max(skipped.min(), 0)), n)
        is_new = np.arange(tail.start, n) >= skipped[:, None]
        fresh = pack_false(_calm(signals.fhr[:, tail]))
        is_restless = has_mother | _has_steps(
            signals.fhr[:, max(tail.start - round(JUMP_REACH_S * FS_HZ), 0) :]
        )
        is_restless |= self._follow_learned(plans, rows, ends, signals, n - tail.start)
        for k in np.array_split(np.flatnonzero(is_restless), -(-np.count_nonzero(is_restless) // 64) or 1):
            learned = None if self._learned is None else self._learned.read(rows[k], first[k], signals.fhr[k])
            _, judged = remove_false(signals.fhr[k], remove_impossible(signals.mhr[k]), learned)
            fresh[k] = pack_false(judged)[:, tail]
        packed[:, tail] = np.where(is_new, fresh, packed[:, tail])
        write_ring(past.false, rows, first + tail.start, packed[:, tail])
        return unpack_false(packed, ends - past.maternal[rows] <= RECORD_MIN * MINUTE)

    def _follow_learned(
        self, plans: Sequence[Plan], rows: Ticks, ends: Ticks, signals: Signals, n: int
    ) -> BoolArray:
        """Let the learned detector follow the signal; say which rows it suspects in the last `n` ticks."""
        if self._learned is None:
            return np.zeros(rows.size, np.bool_)
        is_new = np.array([plan.is_changed or plan.is_jump for plan in plans])
        self._learned.follow(self.past, rows, ends, is_new, (signals.fhr, signals.mhr, signals.toco))
        return self._learned.find_suspect(rows, ends - n, n)

    def _read_baseline(self, rows: Ticks, starts: Ticks) -> BaselinePast:
        minute = starts // MINUTE % SAMPLES_KEPT_MIN
        return BaselinePast(
            cost=self.past.cost[rows, minute].astype(np.float64),
            path=read_ring(self.past.path, rows, starts // STEP - _PATH_STEPS, _PATH_STEPS).astype(
                np.float64
            ),
            edge=self.past.edge[rows, minute].astype(np.float64),
        )

    def _write_baseline(self, rows: Ticks, starts: Ticks, course: BaselineCourse) -> None:
        per_minute = MINUTE // STEP
        cost = course.cost[:, per_minute - 1 :: per_minute]
        cost = cost - cost.min(axis=-1, keepdims=True)
        write_ring(self.past.cost, rows, starts // MINUTE + 1, cost)
        n_minutes = course.line.shape[-1] // _BLOCKS_PER_MINUTE
        by_minute = course.line[:, : n_minutes * _BLOCKS_PER_MINUTE].reshape(
            rows.size, n_minutes, _BLOCKS_PER_MINUTE
        )
        write_ring(self.past.edge, rows, starts // MINUTE + 1, by_minute[..., -2:])
        write_ring(self.past.path, rows, starts // STEP, course.path)

    def _find(self, plans: Sequence[Plan], signals: Signals, steps: "_Steps") -> list[Stretch]:
        """Find the events from `start` on and put together what is needed to read each row."""
        past, rows, starts, context = self.past, steps.rows, steps.starts, steps.context
        recent, baseline = steps.seen[:, context:], steps.course.baseline
        contractions, is_known = steps.activity.contractions, steps.activity.is_known
        at_s = ((starts - past.origin[rows]) / FS_HZ).tolist()
        hops = measure_hops(recent, baseline)
        write_ring(past.hops, rows, starts // HOP, hops)
        waves = self._join_waves(rows, starts, hops.shape[-1], at_s)
        earlier = [
            [
                move_event(d, -s)
                for d in past.findings[row].decelerations
                if d.kind is DecelerationKind.LATE and s - SHALLOW_SPAN_S <= d.nadir_s and d.onset_s < s
            ]
            for row, s in zip(rows.tolist(), at_s, strict=True)
        ]
        accelerations, decelerations = find_events(
            recent, baseline, steps.activity, signals.gestational_weeks, earlier
        )
        is_event = np.zeros(recent.shape, np.bool_)
        for k in range(rows.size):
            is_event[k] = mark_events(accelerations[k], recent.shape[-1])
            is_event[k] |= mark_events(decelerations[k], recent.shape[-1])
        self._write_baseline(rows, starts, steps.course)
        self._write_pieces(rows, starts, recent, baseline, is_event)
        self._write_busy(rows, starts, recent, is_event, steps.course)
        self._write_line(rows, starts, np.where(is_near_signal(steps.seen)[:, context:], baseline, np.nan))
        pieces_now = compute_variability(recent, baseline, is_event, start=recent.shape[-1] % MINUTE)
        suspect: list[list[tuple[int, int]]] = [[] for _ in plans]
        for k, start, stop in find_runs(steps.false.probability > FALSE_AT).tolist():
            suspect[k].append((start - context, stop - context))
        return [
            Stretch(
                plan=plan,
                fhr=recent[k],
                baseline=baseline[k],
                false_probability=steps.false.probability[k, context:],
                is_coincident=steps.false.is_coincident[k, context:],
                is_doubling_halving=steps.false.is_doubling_halving[k, context:],
                is_coincidence_checked=bool(steps.false.is_checked[k]),
                accelerations=accelerations[k],
                decelerations=decelerations[k],
                contractions=contractions[k],
                are_contractions_known=is_known[k],
                sinusoidal=waves[k],
                pieces_now=pieces_now[k],
                suspect=suspect[k],
                gestational_weeks=signals.gestational_weeks[k],
            )
            for k, plan in enumerate(plans)
        ]

    def _join_waves(
        self, rows: Ticks, starts: Ticks, n_hops: int, at_s: Sequence[float]
    ) -> list[list[SinusoidalRun]]:
        """Join the sinusoidal windows of the last hour to runs, in s from the origins."""
        n_before = _HOPS_REMEMBERED - n_hops
        hops = read_ring(self.past.hops, rows, starts // HOP - n_before, _HOPS_REMEMBERED).astype(np.float64)
        runs: list[list[SinusoidalRun]] = [[] for _ in at_s]
        for k in np.flatnonzero(np.isfinite(hops).any(axis=-1)).tolist():
            runs[k] = join_hops(hops[k : k + 1], start_s=at_s[k] - n_before * HOP / FS_HZ)[0]
        return runs

    def _write_pieces(
        self, rows: Ticks, starts: Ticks, fhr: FloatArray, baseline: FloatArray, is_event: BoolArray
    ) -> None:
        """Keep the variability of whole minutes of the UTC grid, on which the segments lie."""
        offsets = -starts % MINUTE
        for offset in np.unique(offsets).tolist():
            k = np.flatnonzero(offsets == offset)
            pieces = compute_variability(fhr[k], baseline[k], is_event[k], start=offset)
            write_ring(self.past.pieces, rows[k], (starts[k] + offset) // MINUTE, pieces)

    def _write_busy(
        self, rows: Ticks, starts: Ticks, fhr: FloatArray, is_event: BoolArray, course: BaselineCourse
    ) -> None:
        """Note which minutes lie in or near an event, a bridged stretch of the path or a short gap."""
        n = fhr.shape[-1]
        minutes = np.arange(MINUTE, n + 1, MINUTE)
        bridged = np.repeat(course.is_bridged, STEP, axis=-1)[:, :n]
        is_lost = np.isnan(fhr)

        def is_around(mask: BoolArray, behind_s: float, before_s: float) -> BoolArray:
            return _count_around(mask, minutes, round(behind_s * FS_HZ), round(before_s * FS_HZ)) > 0

        is_near = is_around(is_event, EVENT_BEHIND_S, EVENT_BEFORE_S)
        is_near |= is_around(bridged, BRIDGED_BEHIND_S, BRIDGED_BEFORE_S)
        # A gap is joined across when it is short, so only the middle of a long one is a place to begin.
        beside = round(rules.MAX_BRIDGE_S.value * FS_HZ)
        width = (minutes + beside).clip(None, n) - (minutes - beside)
        is_in_long = _count_around(is_lost, minutes, beside, beside) == width
        is_in_gap = (_count_around(is_lost, minutes, 1, 1) > 0) & ~is_in_long
        is_inside = is_in_gap | (_count_around(is_event | bridged, minutes, 1, 1) > 0)
        busy = np.where(is_inside, Busy.INSIDE, np.where(is_near, Busy.NEAR, Busy.FREE))
        write_ring(self.past.busy, rows, starts // MINUTE + 1, busy)

    def _write_line(self, rows: Ticks, starts: Ticks, line: FloatArray) -> None:
        offset = -starts % DRAWN
        index = offset[:, None] + np.arange(0, line.shape[-1] - DRAWN + 1, DRAWN)
        drawn = np.take_along_axis(line, index, axis=1)
        write_ring(self.past.line, rows, (starts + offset) // DRAWN, drawn)


def _find_activity(signals: Signals, context: int) -> UterineActivity:
    """Find contractions, one that has only begun included; times in s from behind the context."""
    activity = find_activity(signals.toco, signals.iup)
    moved = [[move_contraction(c, -context / FS_HZ) for c in row] for row in activity.contractions]
    return UterineActivity(moved, activity.is_known[:, context:])


@dataclass(frozen=True, slots=True, eq=False)
class _Steps:
    """What was found on the way to the events of some rows; `seen` begins `context` ticks before `starts`."""

    rows: Ticks
    starts: Ticks
    context: int
    seen: FloatArray
    false: FalseSignal
    activity: UterineActivity
    course: BaselineCourse


def _floor(tick: int, unit: int, phase: int) -> int:
    return (tick - phase) // unit * unit + phase


def _count_around(mask: BoolArray, at: npt.NDArray[np.int64], back: int, on: int) -> npt.NDArray[np.int32]:
    """Count what is marked from `back` ticks before to `on` ticks behind some places, per row."""
    n = mask.shape[-1]
    total = np.zeros((mask.shape[0], n + 1), np.int32)
    np.cumsum(mask, axis=-1, out=total[:, 1:])
    return np.asarray(total[:, (at + on).clip(None, n)] - total[:, (at - back).clip(0)])


def _calm(fhr: FloatArray) -> FalseSignal:
    """Judge signal that has neither a maternal rate beside it nor a step in it: nothing is suspected."""
    no = np.zeros(fhr.shape, np.bool_)
    wrong = np.isfinite(fhr) & ~np.isfinite(remove_impossible(fhr))
    probability = np.where(wrong, 1.0, np.where(np.isfinite(fhr), 0.0, np.nan))
    return FalseSignal(probability, no, no, np.zeros(fhr.shape[0], np.bool_))


def _has_steps(fhr: FloatArray) -> BoolArray:
    """Say which rows hold a step that a spike, a doubling or a halving begins with."""
    held = hold_last(remove_impossible(fhr))
    with np.errstate(invalid="ignore"):
        steps: BoolArray = np.asarray(
            (np.abs(np.diff(held, axis=-1)) >= rules.SWITCH_STEP_BPM.value).any(axis=-1)
        )
    return steps
