"""What the next update of a live fetus reads, and from which minute it carries the past on."""

from dataclasses import dataclass
from typing import Final

from hub.dsp.past import MINUTE, SAMPLES_KEPT_MIN, STEP, Past

SETTLED_MIN: Final = 16
"""What is older than this no new sample changes, but for an event that is still open."""
FULL_MIN: Final = 2
"""A row is read as far back as hindsight reaches once in so many minutes, ends of segments among them."""
RECENT_MIN: Final = 4
"""In between only this much is found anew: what is provisional, and as much before it."""
LENGTHS_MIN: Final = (RECENT_MIN, 6, 9, 12, SETTLED_MIN, 20, 26, 31)
"""Lengths of an update; few, because beds of one length are analysed together."""
CONTEXT_MIN: Final = 8
"""Signal before it that is only looked at: histogram, resting tone and level memory reach back so far."""
REMEMBERED_MIN: Final = 20
"""Rates that the fetus has had lately: so much signal is read where there is so much."""
RECORD_MIN: Final = 40
"""Signal that is there to be read again."""
JUDGED_MIN: Final = 6
"""False signal is judged anew from so far before the last full reading."""
FORGOTTEN_MIN: Final = 20
"""After a longer pause the record begins anew."""

_FULL: Final = FULL_MIN * MINUTE


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
    """Ticks before `start` that are looked at."""
    memory: int
    """Ticks before these that only false signal is judged by."""
    judged_from: int
    """First tick whose signal is judged anew."""
    is_fresh: bool
    """Nothing is carried over at `start`."""
    is_jump: bool
    """Nothing that was known before holds."""
    is_changed: bool
    """Samples that had been read already were changed."""
    is_full: bool
    """Reads as far back as hindsight reaches; what it finds does not hang on how the samples came."""

    @property
    def n_samples(self) -> int:
        """Ticks to be read, up to `end`."""
        return self.end - self.start + self.context + self.memory

    @property
    def shape(self) -> tuple[int, int, bool]:
        """What the plans of one update have in common."""
        return self.end - self.start, self.context + self.memory, self.is_fresh


def make_plan(past: Past, row: int, *, first: int, head: int, changed_from: int | None) -> Plan | None:
    """Tell what to read next for a row; see `LiveAnalysis.plan`.

    An update goes on to the next full reading at most, so that a stream that was held up is
    read in the steps of a timely one.  What updates in between find is found again.
    """
    phase, old_end = int(past.phase[row]), int(past.end[row])
    newest = _floor(head, STEP, phase)
    is_jump = old_end == 0 or newest < old_end or newest - old_end > FORGOTTEN_MIN * MINUTE
    end = newest if is_jump else min(newest, _floor(old_end, _FULL, phase) + _FULL)
    begin = first if is_jump else min(first, int(past.begin[row]))
    if end - first < STEP or (end == old_end and changed_from is None):
        return None
    oldest = -_floor(-max(begin - MINUTE + 1, end - RECORD_MIN * MINUTE), MINUTE, -phase)
    is_full = (end - phase) % _FULL == 0
    start, judged_from = (None, 0) if is_jump else _carry(past, row, end, oldest, changed_from)
    context = 0 if start is None else CONTEXT_MIN * MINUTE
    memory = 0
    if start is None:
        start, judged_from, is_fresh = oldest, oldest, True
    else:
        is_fresh = False
        wanted = REMEMBERED_MIN * MINUTE - (_floor(end, MINUTE, phase) - start) - context
        memory = max(min(wanted, start - context - oldest), 0)
    return Plan(
        row=row,
        begin=begin,
        start=start,
        end=end,
        context=context,
        memory=memory,
        judged_from=judged_from,
        is_fresh=is_fresh,
        is_jump=is_jump,
        is_changed=changed_from is not None,
        is_full=is_full,
    )


def _carry(past: Past, row: int, end: int, oldest: int, changed_from: int | None) -> tuple[int | None, int]:
    """Find the minute from which the past can be carried on, and the tick from which to judge signal."""
    phase, old_end = int(past.phase[row]), int(past.end[row])
    is_full = (end - phase) % _FULL == 0
    wanted = end - (SETTLED_MIN if is_full else RECENT_MIN) * MINUTE
    judged = min(_floor(end - is_full, _FULL, phase) - JUDGED_MIN * MINUTE, old_end)
    if changed_from is not None:
        wanted = min(wanted, changed_from - CONTEXT_MIN * MINUTE)
        judged = min(judged, changed_from - MINUTE)
    for length in LENGTHS_MIN:
        start = _floor(end - length * MINUTE, MINUTE, phase)
        is_possible = start <= wanted and start - CONTEXT_MIN * MINUTE >= oldest
        if is_possible and not past.is_inside[row, start // MINUTE % SAMPLES_KEPT_MIN]:
            return start, judged
    return None, 0


def _floor(tick: int, unit: int, phase: int) -> int:
    return (tick - phase) // unit * unit + phase
