"""Accuracy of accelerations, decelerations and contractions, by `analyse` and by the live analysis."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from hub.dsp import analyse
from hub.dsp.chosen_weights import use_weights
from hub.dsp.reading import LiveReading
from hub.model import Analysis, Classification, FloatArray
from training.event_records import NO_SPANS, Marked, read_marked, to_spans
from training.event_scores import MIN_OVERLAP_S, count, count_clear
from training.folds import Folds
from training.live_replay import Played, origin_s, replay

EVENTS = ("acceleration", "deceleration", "contraction")
SAID_AFTER_S = (120.0, 180.0)
"""A live event is what is told of it when it ended this long ago."""

Spans = dict[str, FloatArray]
"""Kind of event; start and end in s."""


@dataclass(frozen=True, slots=True)
class EventCounts:
    """Counts of each record; rows of matched, expert and found events, or as `count_clear` gives them."""

    whole: dict[str, list[FloatArray]] = field(default_factory=dict)
    live: dict[str, list[FloatArray]] = field(default_factory=dict)
    clear: dict[str, list[FloatArray]] = field(default_factory=dict)
    levels: list[FloatArray] = field(default_factory=list)
    """Segments that live have the level of the whole record, and segments."""
    n_cross_validated: int = 0
    n_records: int = 0


@dataclass(slots=True)
class Told:
    """What was told of one record, 2 min after."""

    spans: Spans = field(default_factory=lambda: dict.fromkeys(EVENTS, NO_SPANS))
    levels: dict[float, int | None] = field(default_factory=dict)

    def hear(self, reading: LiveReading | Analysis, from_s: float, now_s: float, *, is_last: bool) -> None:
        """Take what ended long enough ago and was not told before; the reading begins at `from_s`."""
        for kind, found in _lists(reading).items():
            spans = to_spans(found) + from_s
            ago_s = now_s - spans[:, 1]
            is_due = (ago_s >= (0.0 if is_last else SAID_AFTER_S[0])) & (ago_s < SAID_AFTER_S[1])
            for span in spans[is_due]:
                told = self.spans[kind]
                overlap = np.minimum(told[:, 1], span[1]) - np.maximum(told[:, 0], span[0])
                if not (overlap > MIN_OVERLAP_S).any():
                    self.spans[kind] = np.concatenate((told, span[None]))
        for segment in reading.segments:
            if now_s - (segment.end_s + from_s) >= SAID_AFTER_S[0]:
                self.levels.setdefault(segment.start_s + from_s, segment.level)


def measure_events(directory: Path, folds: Folds, *, kinds: Sequence[str]) -> EventCounts:
    """Judge every record of a directory by weights that never saw it, if it is one of a fold."""
    records = read_marked(directory)
    counts = EventCounts(
        n_records=len(records), n_cross_validated=sum(folds.fold_of(r.name) is not None for r in records)
    )
    for fold, places in folds.group([r.name for r in records]).items():
        group = [records[k] for k in places]
        with use_weights(folds.weights_of(fold)):
            analyses = [analyse(r.fhr, r.toco) for r in group]
            told = tell_live(group)
        for record, analysis, live in zip(group, analyses, told, strict=True):
            _add(counts, kinds, record, analysis, live)
    return counts


def tell_live(records: Sequence[Marked]) -> list[Told]:
    """Play records to the live analysis, and keep what it told of each event and segment first."""
    told = [Told() for _ in records]
    last: dict[int, tuple[LiveReading, float]] = {}
    beds = [Played(r.fhr, r.toco, np.full(r.fhr.size, np.nan)) for r in records]
    for k, now_s, reading in replay(beds):
        told[k].hear(reading, origin_s(reading), now_s, is_last=False)
        last[k] = reading, now_s
    for k, (reading, now_s) in last.items():
        told[k].hear(reading, origin_s(reading), now_s, is_last=True)
    return told


def _add(counts: EventCounts, kinds: Sequence[str], record: Marked, analysis: Analysis, live: Told) -> None:
    whole = {kind: to_spans(found) for kind, found in _lists(analysis).items()}
    for kind in kinds:
        expert_s = record.marks[kind]
        is_scored = record.is_scored if kind != "contraction" else np.ones(record.fhr.size, dtype=bool)
        for table, found in ((counts.whole, whole), (counts.live, live.spans)):
            table.setdefault(kind, []).append(count(expert_s, found[kind], is_scored).as_array())
        if kind != "contraction":
            away = record.measure_away(kind)
            clear = count_clear(expert_s, whole[kind], is_scored, away)
            counts.clear.setdefault(kind, []).append(clear)
    counts.levels.append(_compare_levels(analysis.segments, live.levels))


def _compare_levels(segments: Sequence[Classification], live: Mapping[float, int | None]) -> FloatArray:
    both = [(s.level, live[s.start_s]) for s in segments if s.start_s in live]
    return np.array([sum(one == other for one, other in both), len(both)], np.float64)


def _lists(found: Analysis | LiveReading) -> dict[str, Sequence[object]]:
    return {
        "acceleration": found.accelerations,
        "deceleration": found.decelerations,
        "contraction": found.contractions,
    }
