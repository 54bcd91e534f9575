"""The analysis of live fetuses: every update reads the newest minutes and keeps what is settled.

An update begins at a minute that cuts nothing in two: every other minute as far back as
hindsight reaches, in between as far as what is provisional.  From there on everything is found
anew by the steps of `hub.dsp.analyse`, with what the past leaves behind at its left edge: the
costs of the baseline's path, its line, and the signal around the first events.  So each answer
is the one that the whole record up to now gives.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from hub.dsp import rules
from hub.dsp.analyse import find_activity, find_events, is_near_signal, remove_false
from hub.dsp.baseline import BaselineCourse, BaselinePast, continue_baseline, to_samples
from hub.dsp.baseline_choice import load_choice
from hub.dsp.contractions import UterineActivity
from hub.dsp.events import SHALLOW_SPAN_S
from hub.dsp.false_signal import FalseSignal
from hub.dsp.features import FALSE_AT
from hub.dsp.learned import load_network
from hub.dsp.learned_past import LearnedPast
from hub.dsp.past import (
    BLOCK,
    COST_KEPT_MIN,
    DRAWN,
    HOP,
    MINUTE,
    STEP,
    Past,
    Ticks,
    pack_false,
    read_ring,
    unpack_false,
    write_ring,
)
from hub.dsp.places import find_cuts
from hub.dsp.plan import FORGOTTEN_MIN, RECORD_MIN, Plan, make_plan
from hub.dsp.quality import find_runs, hold_last, remove_impossible
from hub.dsp.reading import LiveReading, Stretch, keep_origin_near, move_contraction, move_event, read_stretch
from hub.dsp.sinusoidal import SinusoidalRun, join_hops, measure_hops
from hub.dsp.variability import compute_variability
from hub.model import (
    FS_HZ,
    Acceleration,
    BoolArray,
    Contraction,
    Deceleration,
    DecelerationKind,
    FloatArray,
)

__all__ = ["FORGOTTEN_MIN", "LiveAnalysis", "Plan", "Signals"]

LEAD_MIN: Final = 3
"""Signal that surrounds the first events of an update: the event model looks 2 min back, an onset 30 s."""
JUMP_REACH_S: Final = 30.0

_LEAD: Final = LEAD_MIN * MINUTE
_SEGMENT: Final = round(rules.SEGMENT_S.value * FS_HZ)
_PATH_STEPS: Final = round(rules.DECELERATION_BASELINE_CHANGE_S.value * FS_HZ) // STEP
_HOPS_REMEMBERED: Final = 62 * MINUTE // HOP
_REMOVE_TOGETHER: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Signals:
    """What plans of one shape asked for; arrays of shape (n_plans, n_samples) at 4 Hz, NaN for loss."""

    fhr: FloatArray
    toco: FloatArray
    mhr: FloatArray
    iup: FloatArray
    gestational_weeks: Sequence[float | None]
    is_scalp: Sequence[bool] | None = None
    """Which rates are from a scalp electrode; see `hub.dsp.analyse.remove_false`."""


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
        return make_plan(self.past, row, first=first, head=head, changed_from=changed_from)

    def push(self, plans: Sequence[Plan], signals: Signals) -> list[LiveReading]:
        """Update the rows of plans that share a shape, and read them."""
        past, (one, *_) = self.past, plans
        for plan in plans:
            if plan.is_jump:
                past.reset(plan.row)
                past.origin[plan.row] = plan.begin // DRAWN * DRAWN
            past.begin[plan.row] = plan.begin
            keep_origin_near(past, plan.row, plan.end)
        rows = np.array([plan.row for plan in plans], np.int64)
        starts = np.array([plan.start for plan in plans], np.int64)
        false = self._judge(plans, rows, starts - one.context - one.memory, signals)
        fhr, toco, iup = (x[:, one.memory :] for x in (signals.fhr, signals.toco, signals.iup))
        seen = np.where(false.probability >= FALSE_AT, np.nan, remove_impossible(fhr))
        activity = find_activity(toco, iup)
        kept = read_ring(past.blocks, rows, (starts - one.context) // BLOCK, one.context // BLOCK)
        carried = None if one.is_fresh else self._read_baseline(rows, starts, kept)
        course = continue_baseline(seen, carried, choice=load_choice(), context=one.context)
        baseline = to_samples(np.concatenate((kept, course.line), axis=1), seen.shape[-1])
        steps = _Steps(rows, starts, one.context, seen, false, activity, course, baseline)
        return [read_stretch(past, stretch) for stretch in self._find(plans, signals, steps)]

    def _judge(self, plans: Sequence[Plan], rows: Ticks, first: Ticks, signals: Signals) -> FalseSignal:
        """Judge the newest signal, and say of all but the memory what was judged; what is older stands."""
        past, n, memory = self.past, signals.fhr.shape[-1], plans[0].memory
        ends = first + n
        has_mother = np.isfinite(signals.mhr).any(axis=-1)
        past.maternal[rows[has_mother]] = ends[has_mother]
        packed = read_ring(past.false, rows, first + memory, n - memory)
        skipped = np.array([plan.judged_from for plan in plans]) - first
        tail = slice(int(max(skipped.min(), memory)), n)
        is_new = np.arange(tail.start, n) >= skipped[:, None]
        fresh = pack_false(_calm(signals.fhr[:, tail]))
        is_restless = has_mother | _has_steps(
            signals.fhr[:, max(tail.start - round(JUMP_REACH_S * FS_HZ), 0) :]
        )
        is_restless |= self._follow_learned(plans, rows, ends, signals, n - tail.start)
        is_scalp: BoolArray = np.zeros(rows.size, np.bool_)
        if signals.is_scalp is not None:
            is_scalp = np.array(signals.is_scalp, np.bool_)
        together = -(-np.count_nonzero(is_restless) // _REMOVE_TOGETHER) or 1
        for k in np.array_split(np.flatnonzero(is_restless), together):
            learned = None if self._learned is None else self._learned.read(rows[k], first[k], signals.fhr[k])
            mother = remove_impossible(signals.mhr[k])
            _, judged = remove_false(signals.fhr[k], mother, learned, is_scalp[k])
            fresh[k] = pack_false(judged)[:, tail]
        newest = np.where(is_new, fresh, packed[:, tail.start - memory :])
        packed[:, tail.start - memory :] = newest
        write_ring(past.false, rows, first + tail.start, newest)
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

    def _read_baseline(self, rows: Ticks, starts: Ticks, line: FloatArray) -> BaselinePast:
        minute = starts // MINUTE % COST_KEPT_MIN
        path = read_ring(self.past.path, rows, starts // STEP - _PATH_STEPS, _PATH_STEPS)
        return BaselinePast(
            cost=self.past.cost[rows, minute].astype(np.float64),
            path=path.astype(np.float64),
            line=line.astype(np.float64),
        )

    def _write_baseline(self, rows: Ticks, starts: Ticks, course: BaselineCourse) -> None:
        per_minute = MINUTE // STEP
        cost = course.cost[:, per_minute - 1 :: per_minute]
        cost = cost - cost.min(axis=-1, keepdims=True)
        older = max(cost.shape[1] - COST_KEPT_MIN, 0)
        write_ring(self.past.cost, rows, starts // MINUTE + 1 + older, cost[:, older:])
        write_ring(self.past.blocks, rows, starts // BLOCK, course.line)
        write_ring(self.past.path, rows, starts // STEP, course.path)

    def _find(self, plans: Sequence[Plan], signals: Signals, steps: "_Steps") -> list[Stretch]:
        """Find the events from `start` on and put together what is needed to read each row."""
        past, rows, starts, context = self.past, steps.rows, steps.starts, steps.context
        seen, baseline = steps.seen, steps.baseline
        n = seen.shape[-1]
        at_s = ((starts - past.origin[rows]) / FS_HZ).tolist()
        hops = measure_hops(seen[:, context:], baseline[:, context:])
        write_ring(past.hops, rows, starts // HOP, hops)
        waves = self._join_waves(rows, starts, hops.shape[-1], at_s)
        contractions = [
            [move_contraction(c, -context / FS_HZ) for c in row] for row in steps.activity.contractions
        ]
        accelerations, decelerations = self._find_events(signals, steps, contractions, at_s)
        is_event = np.zeros(seen.shape, np.bool_)
        for k, (row, s) in enumerate(zip(rows.tolist(), at_s, strict=True)):
            known, from_s = past.findings[row], s - context / FS_HZ
            before = [(e.onset_s, min(e.end_s, s)) for e in known.accelerations if e.onset_s < s]
            before += [(e.onset_s, min(e.end_s, s)) for e in known.decelerations if e.onset_s < s]
            anew = [(e.onset_s + s, e.end_s + s) for e in accelerations[k]]
            anew += [(e.onset_s + s, e.end_s + s) for e in decelerations[k]]
            for onset_s, end_s in before + anew:
                first, last = ((x - from_s) * FS_HZ for x in (onset_s, end_s))
                is_event[k, max(round(first), 0) : max(round(last), 0)] = True
        self._write_baseline(rows, starts, steps.course)
        self._write_pieces(rows, starts, seen[:, context:], baseline[:, context:], is_event[:, context:])
        bridged = np.repeat(steps.course.is_bridged, STEP, axis=-1)[:, : n - context]
        is_inside = find_cuts(np.isnan(seen[:, context:]), is_event[:, context:] | bridged)
        write_ring(past.is_inside, rows, starts // MINUTE + 1, is_inside)
        self._write_line(rows, starts, np.where(is_near_signal(seen), baseline, np.nan)[:, context:])
        now = slice(n - min(n // MINUTE * MINUTE, _SEGMENT), n)
        pieces_now = compute_variability(seen[:, now], baseline[:, now], is_event[:, now])
        suspect: list[list[tuple[int, int]]] = [[] for _ in plans]
        shown = steps.false.probability if steps.false.shown is None else steps.false.shown
        for k, start, stop in find_runs(shown >= FALSE_AT).tolist():
            suspect[k].append((start - context, stop - context))
        return [
            Stretch(
                plan=plan,
                fhr=seen[k],
                baseline=baseline[k],
                false_probability=steps.false.probability[k],
                is_coincident=steps.false.is_coincident[k],
                is_doubling_halving=steps.false.is_doubling_halving[k],
                is_coincidence_checked=bool(steps.false.is_checked[k]),
                accelerations=accelerations[k],
                decelerations=decelerations[k],
                contractions=contractions[k],
                are_contractions_known=steps.activity.is_known[k],
                sinusoidal=waves[k],
                pieces_now=pieces_now[k],
                suspect=suspect[k],
                gestational_weeks=signals.gestational_weeks[k],
            )
            for k, plan in enumerate(plans)
        ]

    def _find_events(
        self,
        signals: Signals,
        steps: "_Steps",
        contractions: Sequence[Sequence[Contraction]],
        at_s: Sequence[float],
    ) -> tuple[list[list[Acceleration]], list[list[Deceleration]]]:
        """Find what ends behind `start`, with the signal before it as surroundings; times from `start`."""
        past, context = self.past, steps.context
        lead = min(_LEAD, context)
        lead_s = lead / FS_HZ
        earlier, around = [], []
        for k, (row, s) in enumerate(zip(steps.rows.tolist(), at_s, strict=True)):
            known, since_s = past.findings[row], s - SHALLOW_SPAN_S
            earlier.append(
                [
                    move_event(d, lead_s - s)
                    for d in known.decelerations
                    if d.kind is DecelerationKind.LATE and since_s <= d.nadir_s and d.onset_s < s
                ]
            )
            before_s = s - context / FS_HZ
            around.append(
                [
                    move_contraction(c, lead_s - s)
                    for c in known.contractions
                    if since_s - lead_s <= c.peak_s < before_s
                ]
                + [move_contraction(c, lead_s) for c in contractions[k]]
            )
        from_lead = slice(context - lead, None)
        found = find_events(
            steps.seen[:, from_lead],
            steps.baseline[:, from_lead],
            UterineActivity(around, steps.activity.is_known[:, from_lead]),
            signals.gestational_weeks,
            earlier,
            begin=lead,
        )
        rises, falls = found
        return (
            [[move_event(a, -lead_s) for a in row] for row in rises],
            [[move_event(d, -lead_s) for d in row] for row in falls],
        )

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

    def _write_line(self, rows: Ticks, starts: Ticks, line: FloatArray) -> None:
        offset = -starts % DRAWN
        index = offset[:, None] + np.arange(0, line.shape[-1] - DRAWN + 1, DRAWN)
        drawn = np.take_along_axis(line, index, axis=1)
        write_ring(self.past.line, rows, (starts + offset) // DRAWN, drawn)


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
    baseline: FloatArray
    """From where `seen` begins."""


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
