"""Hold the live analysis against the whole record, and against the record as known when a level was told.

Live and whole can differ for two reasons: the live analysis reads the same samples otherwise, or the whole
record knows more of them. The record cut at the second of telling tells these apart.
"""

import argparse
import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from hub.dsp import analyse
from hub.dsp.baseline_choice import WEIGHTS as BASELINE_WEIGHTS
from hub.dsp.chosen_weights import use_weights
from hub.dsp.event_model import WEIGHTS
from hub.dsp.reading import LiveReading
from hub.model import FS_HZ, Acceleration, Analysis, Classification, Deceleration
from training.accuracy_events import EVENTS, tell_live
from training.accuracy_events import Told as ToldEvents
from training.event_records import Marked, read_marked
from training.event_scores import Counts, count
from training.folds import FOLDS, Folds
from training.live_replay import Played, origin_s, replay

AFTER_S: Final = 120.0
APART_BPM: Final = 5.0
"""Lines farther apart than this in the mean of a segment are two different baselines."""
NEAR_S: Final = 15.0
LOOK_S: Final = 30.0
"""A record that is cut is read this often; half of the time in which an event counts as just told."""
SEGMENT_S: Final = 600.0
BACK_S: Final = 5400.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Told:
    """A segment as it was told, and what was known beside it."""

    segment: Classification
    from_s: float
    reading: LiveReading
    at_s: float
    """When it was told: samples up to here were known."""


@dataclass(frozen=True, slots=True)
class Compared:
    """One segment: as it was told, as the record cut at that second gives it, as the whole record does."""

    record: str
    whole: Classification
    cut: Classification | None
    live: Classification
    cause: str
    """What live and whole differ in; empty where the level is the same."""

    @property
    def is_whole(self) -> bool:
        """Whether live told the level of the whole record."""
        return self.live.level == self.whole.level

    @property
    def is_cut(self) -> bool:
        """Whether live told what `analyse` says of the same samples."""
        return self.cut is not None and self.live.level == self.cut.level


def compare(records: Sequence[Marked], *, after_s: float = AFTER_S) -> Iterator[Compared]:
    """Compare each segment that live and the whole record both tell."""
    told = _tell(records, after_s)
    for record, known in zip(records, told, strict=True):
        whole = analyse(record.fhr, record.toco)
        for segment in whole.segments:
            live = known.get(round(segment.start_s))
            if live is None:
                continue
            stop = round(live.at_s * FS_HZ)
            cut = analyse(record.fhr[:stop], record.toco[:stop])
            yield Compared(
                record=record.name,
                whole=segment,
                cut=next((one for one in cut.segments if one.start_s == segment.start_s), None),
                live=live.segment,
                cause="" if live.segment.level == segment.level else find_cause(whole, segment, live),
            )


def find_cause(whole: Analysis, segment: Classification, live: Told) -> str:
    """Name what a difference hangs on; the first of these that differs, in the order of the analysis."""
    start, stop = round(segment.start_s * 4), round(segment.end_s * 4)
    first = round((segment.start_s - live.from_s) / 5)
    line = live.reading.baseline_bpm[max(first, 0) : first + (stop - start) // 20]
    apart = np.abs(line - whole.baseline_bpm[start:stop:20][-line.size :])
    if np.nanmean(apart) > APART_BPM:
        return "another baseline all through"
    late = apart[-line.size // 3 :]
    if np.nanmean(late) > APART_BPM / 2:
        return "another baseline at the end"
    rises = _are_same(whole.accelerations, live.reading.accelerations, segment, live.from_s)
    falls = _are_same(whole.decelerations, live.reading.decelerations, segment, live.from_s)
    if not falls:
        return "another set of decelerations on the same baseline"
    if not rises:
        return "another set of accelerations on the same baseline"
    if _graded(whole.decelerations, segment, 0.0) != _graded(
        live.reading.decelerations, segment, live.from_s
    ):
        return "another kind or severity of the same decelerations"
    if segment.indeterminate is not live.segment.indeterminate:
        return "the same events, read or refused at a limit"
    return "the same events, variability or baseline at a limit"


def _tell(records: Sequence[Marked], after_s: float) -> list[dict[int, Told]]:
    """Keep each segment as it was first told so long after its end."""
    told: list[dict[int, Told]] = [{} for _ in records]
    beds = [Played(r.fhr, r.toco, np.full(r.fhr.size, np.nan)) for r in records]
    for k, now_s, reading in replay(beds):
        from_s = origin_s(reading)
        for segment in reading.segments:
            if now_s - (segment.end_s + from_s) >= after_s:
                told[k].setdefault(round(segment.start_s + from_s), Told(segment, from_s, reading, now_s))
    return told


def _are_same(
    whole: Sequence[Acceleration] | Sequence[Deceleration],
    live: Sequence[Acceleration] | Sequence[Deceleration],
    segment: Classification,
    from_s: float,
) -> bool:
    ends = [
        np.array(
            [
                (e.onset_s + at_s, e.end_s + at_s)
                for e in found
                if e.onset_s + at_s < segment.end_s and e.end_s + at_s > segment.start_s
            ]
        ).reshape(-1, 2)
        for found, at_s in ((whole, 0.0), (live, from_s))
    ]
    return len(ends[0]) == len(ends[1]) and bool((np.abs(ends[0] - ends[1]) <= NEAR_S).all())


def _graded(falls: Sequence[Deceleration], segment: Classification, from_s: float) -> list[tuple[str, str]]:
    return [
        (d.kind.value, d.severity.value)
        for d in falls
        if d.onset_s + from_s < segment.end_s and d.end_s + from_s > segment.start_s
    ]


def count_told(records: Sequence[Marked], kinds: Sequence[str], folds: Folds) -> dict[str, dict[str, Counts]]:
    """Hold the events that are told live, and by the record cut at each look, against the marks."""
    counts = {way: dict.fromkeys(kinds, Counts()) for way in ("live", "cut")}
    for fold, places in folds.group([record.name for record in records]).items():
        group = [records[place] for place in places]
        with use_weights(folds.weights_of(fold)):
            for record, live in zip(group, tell_live(group), strict=True):
                for way, told in (("live", live), ("cut", _tell_cut(record))):
                    for kind in kinds:
                        counts[way][kind] += count(record.marks[kind], told.spans[kind], record.is_scored)
    return counts


def _tell_cut(record: Marked) -> ToldEvents:
    """Analyse a record anew each half minute, up to there; from 90 to 100 min before on."""
    told = ToldEvents()
    length_s = record.fhr.size / FS_HZ
    for now_s in (*np.arange(LOOK_S, length_s, LOOK_S).tolist(), length_s):
        from_s = max(0.0, now_s // SEGMENT_S * SEGMENT_S - BACK_S)
        part = slice(round(from_s * FS_HZ), round(now_s * FS_HZ))
        told.hear(analyse(record.fhr[part], record.toco[part]), from_s, now_s, is_last=now_s == length_s)
    return told


def main() -> None:
    """List the segments that differ and count the causes; or hold the events against the marks."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=Path, required=True, help="directory of annotated records")
    parser.add_argument("--after", type=float, default=AFTER_S, help="seconds after the end of a segment")
    parser.add_argument("--events", action="store_true", help="events and their F instead; takes an hour")
    given = parser.parse_args()
    records = read_marked(given.records)
    folds = Folds.read(FOLDS, (WEIGHTS.name, BASELINE_WEIGHTS.name), given.records.name)
    if given.events:
        for way, by_kind in count_told(records, EVENTS[:2], folds).items():
            _log.info("%-6s %s", way, ", ".join(f"{kind}s {one}" for kind, one in by_kind.items()))
        return
    segments: list[Compared] = []
    for fold, places in folds.group([record.name for record in records]).items():
        with use_weights(folds.weights_of(fold)):
            segments += compare([records[place] for place in places], after_s=given.after)
    _report_levels(segments)


def _report_levels(segments: Sequence[Compared]) -> None:
    for one in segments:
        if not (one.is_whole and one.is_cut):
            _log.info(
                "%s %6.0f s: whole %s, cut %s, live %s: %s",
                one.record,
                one.whole.start_s,
                *(_name(read) for read in (one.whole, one.cut, one.live)),
                one.cause or "the same samples, read otherwise",
            )
    for n_same, what in (
        (sum(one.is_cut for one in segments), "what analyse gives the same samples"),
        (sum(one.is_whole for one in segments), "what it gives the whole record"),
    ):
        share = 100 * n_same / max(len(segments), 1)
        _log.info(
            "%d of %d segments told at the level that is %s (%.1f %%)", n_same, len(segments), what, share
        )
    for cause, n in Counter(one.cause for one in segments if one.cause).most_common():
        _log.info("%3d  %s", n, cause)


def _name(read: Classification | None) -> str:
    return "not told" if read is None else f"{read.level} {read.cell or read.indeterminate}"


if __name__ == "__main__":
    main()
