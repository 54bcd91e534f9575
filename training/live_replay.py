"""Play recorded signals to the live analysis, as beds whose samples come second by second."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from hub.dsp.live import LiveAnalysis, Plan, Signals
from hub.dsp.reading import LiveReading
from hub.model import FS_HZ, FloatArray

T0: Final = 1_763_610_000 * round(FS_HZ)
"""Tick of each first sample: a multiple of ten minutes, on which segments begin."""
STEP_S: Final = 10.0
"""A bed is read again this often."""
RING: Final = round(40 * 60 * FS_HZ)
"""Samples that can be read."""
BEDS: Final = 60
"""Beds played at a time."""


@dataclass(frozen=True, slots=True, eq=False)
class Played:
    """Signals of one bed, shape (n_samples,)."""

    fhr: FloatArray
    toco: FloatArray
    mhr: FloatArray


def replay(beds: Sequence[Played]) -> Iterator[tuple[int, float, LiveReading]]:
    """Play beds side by side; give the place of a bed, the seconds played and what was then read.

    Times of a reading are in s from its origin; `origin_s` puts them on the record.
    """
    for first in range(0, len(beds), BEDS):
        for k, now_s, reading in _play(beds[first : first + BEDS]):
            yield first + k, now_s, reading


def origin_s(reading: LiveReading) -> float:
    """Give the time of a reading's origin on its record."""
    return float((reading.origin - T0) / FS_HZ)


def _play(beds: Sequence[Played]) -> Iterator[tuple[int, float, LiveReading]]:
    live = LiveAnalysis(len(beds))
    rows = [live.past.open_row(0) for _ in beds]
    step = round(STEP_S * FS_HZ)
    longest = max(bed.fhr.size for bed in beds)
    for stop in range(step, longest + step, step):
        waiting = [k for k, bed in enumerate(beds) if stop < bed.fhr.size + step]
        while waiting:
            groups: dict[tuple[int, int, bool], list[tuple[int, Plan]]] = {}
            for k in waiting:
                head = min(stop, beds[k].fhr.size)
                plan = live.plan(rows[k], first=T0 + max(head - RING, 0), head=T0 + head)
                if plan is not None:
                    groups.setdefault(plan.shape, []).append((k, plan))
            waiting = [k for group in groups.values() for k, _ in group]
            for group in groups.values():
                readings = live.push([plan for _, plan in group], _read(beds, group))
                for (k, plan), reading in zip(group, readings, strict=True):
                    yield k, (plan.end - T0) / FS_HZ, reading


def _read(beds: Sequence[Played], group: Sequence[tuple[int, Plan]]) -> Signals:
    fhr, toco, mhr = (
        np.stack([_cut(getattr(beds[k], name), plan) for k, plan in group]) for name in ("fhr", "toco", "mhr")
    )
    return Signals(
        fhr=fhr, toco=toco, mhr=mhr, iup=np.full(fhr.shape, np.nan), gestational_weeks=[None] * len(group)
    )


def _cut(signal: FloatArray, plan: Plan) -> FloatArray:
    index = np.arange(plan.end - plan.n_samples, plan.end) - T0
    return np.where(index >= 0, signal[index.clip(0)], np.nan)
