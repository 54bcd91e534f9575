"""From the newest stretch of a live fetus to its reading: lists joined, segments read, changes marked."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import nan
from typing import TYPE_CHECKING, Final, TypeVar

import numpy as np

from hub.dsp import rules
from hub.dsp.analyse import ALGORITHM
from hub.dsp.classify import classify_window
from hub.dsp.events import PROVISIONAL_S
from hub.dsp.features import BedFindings, WindowFeatures, compute_window_features
from hub.dsp.past import DRAWN, FINDINGS_KEPT_MIN, MINUTE, Findings, Past, read_ring
from hub.dsp.sinusoidal import SinusoidalRun, is_cycle
from hub.model import (
    FS_HZ,
    Acceleration,
    BoolArray,
    Classification,
    Contraction,
    Deceleration,
    DecelerationKind,
    FloatArray,
)

if TYPE_CHECKING:
    from hub.dsp.plan import Plan

SEGMENT: Final = round(rules.SEGMENT_S.value * FS_HZ)
KEPT_MIN: Final = 62
"""Minutes that the origin stays behind the newest sample when it is moved on."""
MOVED_MIN: Final = 75
"""Minutes behind the newest sample at which the origin is moved on."""
PIECES_MIN: Final = 60
SAME_S: Final = 5.0
"""An event whose ends moved by less is the same."""
SAME_CONTRACTION_S: Final = 10.0

Event = TypeVar("Event", Acceleration, Deceleration)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stretch:
    """What was found from `plan.start` on; times in s from there, arrays from `plan.context` ticks before."""

    plan: "Plan"
    fhr: FloatArray
    baseline: FloatArray
    false_probability: FloatArray
    is_coincident: BoolArray
    is_doubling_halving: BoolArray
    is_coincidence_checked: bool
    accelerations: Sequence[Acceleration]
    decelerations: Sequence[Deceleration]
    contractions: Sequence[Contraction]
    are_contractions_known: BoolArray
    sinusoidal: Sequence[SinusoidalRun]
    """In s from the origin of the row."""
    pieces_now: FloatArray
    """Variability of the last 10 minutes, counted back from the end."""
    suspect: Sequence[tuple[int, int]]
    """First tick, and the one behind the last, of what is probably not the fetus."""
    gestational_weeks: float | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LiveReading:
    """What is known of one live fetus; times in s from `origin`, a count of 4 Hz ticks since 1970."""

    origin: int
    end: int
    """Behind the last tick that was read."""
    baseline_bpm: FloatArray
    """Every 5 s from the origin on; NaN where it is not assessable or too old."""
    baseline_now_bpm: float
    accelerations: Sequence[Acceleration]
    decelerations: Sequence[Deceleration]
    contractions: Sequence[Contraction]
    are_contractions_known: bool
    segments: Sequence[Classification]
    rolling: Classification | None
    suspect_spans_s: Sequence[tuple[float, float]]
    is_coincidence_checked: bool
    algorithm: str = ALGORITHM


def read_stretch(past: Past, stretch: Stretch) -> LiveReading:
    """Join a stretch to what is known of its row, and read it; the row knows it from then on."""
    plan = stretch.plan
    row, origin = plan.row, int(past.origin[plan.row])
    at_s = (plan.start - origin) / FS_HZ
    known, old_end_s = past.findings[row], (int(past.end[row]) - origin) / FS_HZ
    settled_s = old_end_s - PROVISIONAL_S if past.end[row] else -np.inf
    waves = stretch.sinusoidal
    rises = [move_event(a, at_s) for a in stretch.accelerations]
    falls = [move_event(d, at_s) for d in stretch.decelerations]
    rises = [a for a in rises if not is_cycle(waves, a.onset_s, a.end_s, a.rise_bpm)]
    falls = [d for d in falls if not is_cycle(waves, d.onset_s, d.end_s, d.depth_bpm)]
    now = Findings(
        accelerations=_join(known.accelerations, rises, at_s, settled_s),
        decelerations=_join(known.decelerations, falls, at_s, settled_s),
        contractions=_join_contractions(known.contractions, stretch.contractions, at_s),
        suspect_spans_s=_join_spans(known.suspect_spans_s, stretch.suspect, plan, at_s),
    )
    found = BedFindings(
        fhr=stretch.fhr,
        baseline=stretch.baseline,
        false_probability=stretch.false_probability,
        is_coincident=stretch.is_coincident,
        is_doubling_halving=stretch.is_doubling_halving,
        is_coincidence_checked=stretch.is_coincidence_checked,
        accelerations=now.accelerations,
        decelerations=now.decelerations,
        sinusoidal=waves,
        contractions=now.contractions,
        are_contractions_known=stretch.are_contractions_known,
        gestational_weeks=stretch.gestational_weeks,
        modifiers=frozenset(),
        first=plan.start - plan.context - origin,
    )
    now.segments = _read_segments(past, plan, found, known.segments)
    rolling = _read_rolling(past, plan, found, now.segments, stretch.pieces_now)
    past.findings[row] = now
    past.end[row] = plan.end
    is_known = stretch.are_contractions_known[-SEGMENT:]
    return LiveReading(
        origin=origin,
        end=plan.end,
        baseline_bpm=_read_line(past, plan, origin),
        baseline_now_bpm=_last(stretch.baseline, stretch.fhr),
        accelerations=now.accelerations,
        decelerations=now.decelerations,
        contractions=now.contractions,
        are_contractions_known=bool(np.count_nonzero(is_known) >= 0.5 * is_known.size),
        segments=now.segments,
        rolling=rolling,
        suspect_spans_s=now.suspect_spans_s,
        is_coincidence_checked=stretch.is_coincidence_checked,
    )


def keep_origin_near(past: Past, row: int, end: int) -> None:
    """Move the origin of a row on by whole segments when it lies too far back, and forget what is older.

    It moves back too, where late samples begin before it.
    """
    origin, begin = int(past.origin[row]), int(past.begin[row])
    if end - origin > MOVED_MIN * MINUTE:
        moved_to = (end - KEPT_MIN * MINUTE) // SEGMENT * SEGMENT
    elif begin < origin and end - begin <= KEPT_MIN * MINUTE:
        moved_to = begin // DRAWN * DRAWN
    else:
        return
    by_s = (origin - moved_to) / FS_HZ
    known = past.findings[row]
    past.findings[row] = Findings(
        accelerations=[move_event(a, by_s) for a in known.accelerations if a.end_s + by_s > 0],
        decelerations=[move_event(d, by_s) for d in known.decelerations if d.end_s + by_s > 0],
        contractions=[move_contraction(c, by_s) for c in known.contractions if c.end_s + by_s > 0],
        segments=[_move_segment(s, by_s) for s in known.segments if s.start_s + by_s >= 0],
        suspect_spans_s=[(a + by_s, b + by_s) for a, b in known.suspect_spans_s if b + by_s > 0],
    )
    past.origin[row] = moved_to


def move_event(event: Event, by_s: float) -> Event:
    """Count the times of an event from another origin."""
    if isinstance(event, Acceleration):
        return replace(
            event, onset_s=event.onset_s + by_s, peak_s=event.peak_s + by_s, end_s=event.end_s + by_s
        )
    return replace(
        event, onset_s=event.onset_s + by_s, nadir_s=event.nadir_s + by_s, end_s=event.end_s + by_s
    )


def move_contraction(contraction: Contraction, by_s: float) -> Contraction:
    """Count the times of a contraction from another origin."""
    return Contraction(
        onset_s=contraction.onset_s + by_s,
        peak_s=contraction.peak_s + by_s,
        end_s=contraction.end_s + by_s,
        amplitude=contraction.amplitude,
    )


def _move_segment(segment: Classification, by_s: float) -> Classification:
    reasons = tuple(replace(r, start_s=r.start_s + by_s, end_s=r.end_s + by_s) for r in segment.reasons)
    return replace(segment, start_s=segment.start_s + by_s, end_s=segment.end_s + by_s, reasons=reasons)


def _join(known: Sequence[Event], found: Sequence[Event], at_s: float, settled_s: float) -> list[Event]:
    """Put what is found from `at_s` on behind what was known before; mark what reads otherwise than told."""
    before = [event for event in known if event.onset_s < at_s]
    told = [event for event in known if event.onset_s >= at_s and not event.is_provisional]
    if before:
        # Where nothing better than the middle of an event was there to begin at, the event stays whole.
        from_s = before[-1].end_s
        rest = next((e for e in found if e.onset_s < from_s and e.end_s - from_s > SAME_S), None)
        found = [e for e in found if e.onset_s >= from_s]
        if rest is not None and rest.end_s - from_s > from_s - rest.onset_s:
            found.insert(0, replace(rest, onset_s=from_s))  # the next one, whose fall was searched too far
        elif rest is not None:
            before[-1] = replace(before[-1], end_s=rest.end_s, is_provisional=rest.is_provisional)
    return before + [_compare(event, told, settled_s) for event in found]


def _compare(event: Event, told: Sequence[Event], settled_s: float) -> Event:
    if event.end_s > settled_s:
        return event
    same = next((one for one in told if _is_same(one, event)), None)
    is_revised = same is None or same.is_revised
    return replace(event, is_revised=True) if is_revised else event


def _is_same(one: Event, other: Event) -> bool:
    is_near = abs(one.onset_s - other.onset_s) < SAME_S and abs(one.end_s - other.end_s) < SAME_S
    if isinstance(one, Deceleration) and isinstance(other, Deceleration):
        return is_near and (one.kind, one.severity) == (other.kind, other.severity)
    return is_near


def _join_contractions(
    known: Sequence[Contraction], found: Sequence[Contraction], at_s: float
) -> list[Contraction]:
    before = [c for c in known if c.peak_s < at_s]
    last_s = before[-1].peak_s if before else -np.inf
    moved = (move_contraction(c, at_s) for c in found if c.peak_s >= 0)
    return before + [c for c in moved if c.peak_s >= last_s + SAME_CONTRACTION_S]


def _join_spans(
    known: Sequence[tuple[float, float]], found: Sequence[tuple[int, int]], plan: "Plan", at_s: float
) -> list[tuple[float, float]]:
    from_s = at_s - plan.context / FS_HZ
    spans = [(a, min(b, from_s)) for a, b in known if a < from_s]
    for start, stop in found:
        a, b = at_s + start / FS_HZ, at_s + stop / FS_HZ
        if spans and spans[-1][1] >= a:
            spans[-1] = (spans[-1][0], b)
        else:
            spans.append((a, b))
    return spans


def _read_segments(
    past: Past, plan: "Plan", found: BedFindings, known: Sequence[Classification]
) -> list[Classification]:
    """Classify the segments that lie in the stretch: anew at full readings, one that waits at each update."""
    origin = int(past.origin[plan.row])
    is_full = plan.is_fresh or plan.is_changed or plan.is_full
    read_from = plan.start if is_full else plan.start - plan.context
    first = -(-max(read_from, plan.begin) // SEGMENT) * SEGMENT
    segments = [s for s in known if s.end_s <= (plan.start - origin) / FS_HZ or _is_cut(s, first - origin)]
    by_start = {round(s.start_s * FS_HZ): s for s in known}
    for start in range(first, plan.end - SEGMENT + 1, SEGMENT):
        old = by_start.get(start - origin)
        is_provisional = plan.end - start - SEGMENT < PROVISIONAL_S * FS_HZ
        if old is not None and not is_full:
            segments.append(old)
            continue
        features = compute_window_features(
            found,
            _read_pieces(past, plan, (start + SEGMENT) // MINUTE),
            start=start - origin,
            stop=start + SEGMENT - origin,
            previous_baseline_bpm=_newest_baseline(segments),
            is_rolling=False,
        )
        read = classify_window(features)
        if is_provisional and _hangs_on_open_fall(features, read):
            if old is not None:
                segments.append(old)
            continue
        is_told = old is not None and not old.is_provisional
        is_other = old is not None and (read.level, read.cell, read.indeterminate) != (
            old.level,
            old.cell,
            old.indeterminate,
        )
        is_revised = old is not None and (old.is_revised or (is_told and is_other))
        segments.append(replace(read, is_provisional=is_provisional, is_revised=is_revised))
    return segments


def _hangs_on_open_fall(features: WindowFeatures, read: Classification) -> bool:
    """Say whether a segment hangs on a fall that is still going on and may yet be prolonged.

    Kind and severity of a fall are read once it has ended or lasted 2 min (clinical rules
    1.5); until then nothing is told of the segment.  The rolling window raises the level.
    """
    decided = tuple(
        d for d in features.decelerations if not d.is_ongoing or d.kind is DecelerationKind.PROLONGED
    )
    if len(decided) == len(features.decelerations):
        return False
    without = classify_window(replace(features, decelerations=decided))
    return (without.level, without.cell) != (read.level, read.cell)


def _is_cut(segment: Classification, first: int) -> bool:
    return segment.start_s * FS_HZ < first


def _read_rolling(
    past: Past, plan: "Plan", found: BedFindings, segments: Sequence[Classification], now: FloatArray
) -> Classification:
    origin = int(past.origin[plan.row])
    start = max(plan.end - SEGMENT, plan.begin)
    n_now = now.size
    upto = (plan.end - n_now * MINUTE) // MINUTE
    pieces = np.concatenate((_read_pieces(past, plan, upto), now))
    pieces = pieces[max(pieces.size - (plan.end - plan.begin) // MINUTE, 0) :]
    before = [s for s in segments if s.end_s * FS_HZ <= plan.end - SEGMENT - origin]
    features = compute_window_features(
        found,
        pieces,
        start=start - origin,
        stop=plan.end - origin,
        previous_baseline_bpm=_newest_baseline(before),
        is_rolling=True,
    )
    return classify_window(features)


def _read_pieces(past: Past, plan: "Plan", upto: int) -> FloatArray:
    """Variability of the minutes of the UTC grid before minute `upto`, an hour of them at most."""
    first = max(-(-plan.begin // MINUTE), upto - PIECES_MIN)
    slots = np.arange(first, max(upto, first)) % past.pieces.shape[1]
    return np.asarray(past.pieces[plan.row, slots], np.float64)


def _newest_baseline(segments: Sequence[Classification]) -> float | None:
    known = (s.baseline_raw_bpm for s in reversed(segments))
    return next((baseline for baseline in known if baseline is not None), None)


def _read_line(past: Past, plan: "Plan", origin: int) -> FloatArray:
    """Baseline every 5 s from the origin on, at most as much as is kept."""
    n = min((plan.end - 1 - origin) // DRAWN + 1, FINDINGS_KEPT_MIN * MINUTE // DRAWN)
    line = read_ring(past.line, np.array([plan.row]), np.array([origin // DRAWN]), n)
    return np.asarray(line[0], np.float64)


def _last(baseline: FloatArray, fhr: FloatArray) -> float:
    is_near = np.isfinite(fhr[-MINUTE:]).any()
    return float(baseline[-1]) if is_near else nan
