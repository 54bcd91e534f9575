"""Whose turn it is to be analysed, and what is copied out of the rings for it."""

from typing import Final

import numpy as np

from hub.acquisition.ring import LOST, Codes
from hub.dsp.live import LiveAnalysis, Plan
from hub.dsp.past import STEP
from hub.model import GRID_MS, Transducer
from hub.pipeline.analysis import SEGMENT_S, FetusWork, Round
from hub.pipeline.bed import Bed, FetusRecord
from hub.pipeline.beds import Beds

ANALYSIS_PERIOD_S: Final = 10
"""Each bed is analysed anew this often (design: at least every 10 s)."""
LONG_UPDATES: Final = 12
"""Beds that are read again from far back, or for the first time, in one round."""
READ_AGAIN_S: Final = 2.0
"""A bed that is being filled in waits so long, so that one bed does not take the turn of others."""
NEW_BED_S: Final = 5.0
"""A new bed waits so long, so that its first reading has some of what it brings along."""
ALERTED_SAMPLES: Final = 5 * SEGMENT_S // 2 * 1000 // GRID_MS
"""25 min: so long ago the newest complete segment may begin, told up to 2 min late; alerts rest on it."""


class Turns:
    """The order in which the beds are read."""

    def __init__(self, beds: Beds) -> None:
        capacity_beds = beds.ring.capacity_beds
        self._beds = beds
        # Rows that are not in use cost nothing, as their pages are untouched; making room later copies all.
        self._live = LiveAnalysis(capacity_beds)
        self._due = np.zeros(capacity_beds, np.int64)
        """Tick from which on a bed is due, by row of the ring."""
        self._is_changed = np.zeros(capacity_beds, np.bool_)
        self._again_s = np.zeros(capacity_beds)
        """Monotonic time from which on a bed that is new, or whose past changed, may be read."""

    def note_samples(self, bed: Bed, *, is_first: bool, now_s: float) -> None:
        """Note that a bed was given samples, after it has noted which they are."""
        if is_first:
            self._again_s[bed.row] = now_s + NEW_BED_S
        self._is_changed[bed.row] |= bed.changed_from is not None

    def next_round(self, now_s: float, most: int | None) -> Round:
        """Copy out the beds that have 10 s of new samples, or changed ones; at most so many rows.

        Beds of which many minutes have to be read again wait for one another: those first that
        were not read again lately, and of them the newest.
        """
        heads = self._beds.ring.heads
        n = heads.size
        is_due = (heads >= self._due[:n]) | self._is_changed[:n]
        is_new = self._due[:n] == 0
        is_due &= ~((is_new | self._is_changed[:n]) & (self._again_s[:n] > now_s))
        work: list[FetusWork] = []
        n_long = 0
        for row in np.lexsort((-heads, self._again_s[:n], ~is_due)).tolist():
            if not is_due[row] or (most is not None and len(work) >= most):
                break
            bed = self._beds.of_row(row)
            plans = self._plans(bed)
            is_long = any(plan.is_changed or plan.is_jump for _, plan, _ in plans)
            if is_long and n_long >= LONG_UPDATES:
                continue
            n_long += is_long
            work += self._copy(bed, plans)
            self._put_off(bed, [plan.end for _, plan, _ in plans], now_s)
        return Round(self._live, work)

    def _plans(self, bed: Bed) -> list[tuple[int, Plan, bool]]:
        """Plan the updates of the fetuses of a bed: number, plan, and whether late samples are left out."""
        ring = self._beds.ring
        head = int(ring.heads[bed.row])
        first = max(bed.first or head, head - ring.n_samples)
        planned = []
        for number in bed.fetus_numbers:
            record = bed.fetus(number)
            if record.row is None:
                record.row = self._live.past.open_row(4 * (bed.row % ANALYSIS_PERIOD_S))
            self._keep_live_row(bed, record, head)
            plan = self._live.plan(record.row, first=first, head=head, changed_from=bed.changed_from)
            if plan is not None:
                planned.append((number, plan, False))
            if record.live_row is None:
                continue
            changed_from = bed.live_changed_from
            plan = self._live.plan(record.live_row, first=first, head=head, changed_from=changed_from)
            if plan is not None:
                planned.append((number, plan, True))
        return planned

    def _keep_live_row(self, bed: Bed, record: FetusRecord, head: int) -> None:
        """Keep a row without late samples while there are some in what an alert may rest on."""
        past = self._live.past
        is_late = bed.late_until > head - ALERTED_SAMPLES
        if is_late and record.live_row is None and record.row is not None:
            # What was read before the late samples came is what the live ones alone gave.
            record.live_row = (
                past.open_row(int(past.phase[record.row])) if bed.had_late else past.copy_row(record.row)
            )
        elif not is_late and record.live_row is not None:
            past.close_row(record.live_row)
            record.live_row = None

    def _copy(self, bed: Bed, plans: list[tuple[int, Plan, bool]]) -> list[FetusWork]:
        work: list[FetusWork] = []
        spans: dict[tuple[int, int, bool], Codes] = {}
        for number, plan, is_live_only in plans:
            key = (plan.end, plan.n_samples, is_live_only)
            if key not in spans:
                spans[key], is_late = self._beds.ring.copy_span(bed.row, plan.end, plan.n_samples)
                if is_live_only:
                    spans[key][:, is_late] = LOST
            weeks = bed.state.gestational_weeks if bed.state else None
            is_scalp = bed.transducers.get(number) is Transducer.DECG
            has_live_row = bed.fetus(number).live_row is not None
            work.append(
                FetusWork(
                    bed.site, bed.bed, number, plan, is_live_only, has_live_row, spans[key], weeks, is_scalp
                )
            )
        return work

    def _put_off(self, bed: Bed, ends: list[int], now_s: float) -> None:
        """Let a bed wait for its next turn; `ends` are those of what is read of it now."""
        head = int(self._beds.ring.heads[bed.row])
        # A bed that is behind goes on at once; else it is due when its next 10 s are full.
        self._due[bed.row] = (min(ends) if ends else head // STEP * STEP) + STEP
        if bed.changed_from is not None:
            self._again_s[bed.row] = now_s + READ_AGAIN_S
        self._is_changed[bed.row] = False
        bed.had_late |= bed.changed_from is not None and bed.late_until > 0
        bed.changed_from = bed.live_changed_from = None
