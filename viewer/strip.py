"""What stands on one strip: samples, spans and marks on the site's clock.  Pure; `traces` draws it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
import numpy.typing as npt

from hub.model import (
    GRID_MS,
    Alert,
    BedAnalysis,
    BedEvent,
    BoolArray,
    Channel,
    FetusAnalysis,
    FloatArray,
    Indeterminate,
)
from viewer.face import Face, Freshness
from viewer.rings import Samples
from viewer.state import Bed

FHR_AXIS: Final = (30.0, 240.0)
TOCO_AXIS: Final = (0.0, 100.0)
LIFT_BPM: Final = 30.0
"""A step above this between two samples lifts the pen (console.md 8)."""
HATCH_S: Final = 15.0
"""Shortest gap that is hatched."""
TWIN_OFFSET_BPM: Final = 20.0
"""Added to fetus 2 on screen only; printed beside the trace."""
_DOUBTFUL: Final = 0.5
_SAME_SUSPECT_MS: Final = 15_000
_NEXT_ANALYSIS_MS: Final = 60_000
"""By then an analysis has spoken again, or the bed is stale."""


class Loss(StrEnum):
    """Why there is nothing right of the last sample."""

    STALE = "stale"
    SITE_DARK = "site_dark"
    HUB_DARK = "hub_dark"


class SpanKind(StrEnum):
    DECELERATION = "deceleration"
    ACCELERATION = "acceleration"


@dataclass(frozen=True, slots=True)
class Span:
    """A finding on the strip; `code` is the deceleration's kind or `acceleration`."""

    kind: SpanKind
    fetus: int
    from_ms: int
    to_ms: int
    code: str
    severity: str = "ungraded"
    is_ongoing: bool = False
    is_doubtful: bool = False
    nadir_bpm: float = np.nan
    readable_percent: int = 100

    @property
    def duration_s(self) -> int:
        """Length, whole s."""
        return round((self.to_ms - self.from_ms) / 1000)


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of time; `note_ms` is the arrival of a late one."""

    from_ms: int
    to_ms: int
    note_ms: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class StripContent:
    """All that one strip shows; times in ms of the site's clock."""

    samples: Samples
    baseline: tuple[tuple[int, FloatArray, FloatArray], ...]
    """Per fetus: its number, times in s, baseline in bpm."""
    spans: tuple[Span, ...]
    gaps: tuple[Stretch, ...]
    late: tuple[Stretch, ...]
    suspect: tuple[Stretch, ...]
    events: tuple[BedEvent, ...]
    alerts: tuple[Alert, ...]
    lost_from_ms: int | None = None
    loss: Loss | None = None


def live_content(bed: Bed, face: Face, alerts: tuple[Alert, ...], from_ms: int, to_ms: int) -> StripContent:
    """Content of a strip that ends now."""
    # The extra 15 s tell a long gap that reaches in from the left from a short one.
    samples = bed.ring.read(from_ms - round(HATCH_S * 1000), to_ms)
    loss = {
        Freshness.STALE: Loss.STALE,
        Freshness.SITE_DARK: Loss.SITE_DARK,
        Freshness.HUB_DARK: Loss.HUB_DARK,
    }.get(face.freshness)
    return make_content(
        samples,
        bed.analysis,
        tuple(e for e in bed.events if from_ms <= e.t_ms <= to_ms),
        alerts,
        first_ms=None if bed.ring.first is None else bed.ring.first * GRID_MS,
        head_ms=bed.ring.head_ms,
        lost_from_ms=face.lost_ms,
        loss=loss,
    )


def make_content(
    samples: Samples,
    analysis: BedAnalysis | None,
    events: tuple[BedEvent, ...],
    alerts: tuple[Alert, ...],
    *,
    first_ms: int | None,
    head_ms: int | None,
    lost_from_ms: int | None = None,
    loss: Loss | None = None,
) -> StripContent:
    """Join samples and findings; gaps count between `first_ms` and `head_ms` only."""
    fetuses = analysis.fetuses if analysis else ()
    return StripContent(
        samples=samples,
        baseline=tuple(_baseline(f) for f in fetuses),
        spans=tuple(span for f in fetuses for span in _spans(f)),
        gaps=find_gaps(samples, first_ms, head_ms),
        late=find_late(samples),
        suspect=tuple(stretch for f in fetuses for stretch in _suspect(f)),
        events=events,
        alerts=alerts,
        lost_from_ms=lost_from_ms,
        loss=loss,
    )


def pen_points(
    t_s: FloatArray, y: FloatArray, *, lift: float | None = LIFT_BPM
) -> tuple[FloatArray, FloatArray]:
    """Points for a pen that is lifted at loss and at steps above `lift`.

    Every sample is drawn over its own 250 ms, so that one alone between two gaps
    is still seen; nothing is ever joined across a gap.
    """
    finite = np.isfinite(y)
    joined = finite[:-1] & finite[1:]
    if lift is not None:
        joined &= ~(np.abs(np.diff(y)) > lift)
    ends = np.flatnonzero(finite & ~np.append(joined, False))
    at = np.repeat(ends + 1, 2)
    values = np.full(at.size, np.nan)
    values[0::2] = y[ends]
    return (
        np.insert(t_s, at, np.repeat(t_s[ends] + GRID_MS / 1000, 2)),
        np.insert(y, at, values),
    )


def find_gaps(samples: Samples, first_ms: int | None, head_ms: int | None) -> tuple[Stretch, ...]:
    """Stretches of at least 15 s without any fetal heart rate between the first and the newest sample."""
    if first_ms is None or head_ms is None:
        return ()
    rates = [samples.channel(c) for c in (Channel.FHR1, Channel.FHR2, Channel.FHR3)]
    lost = np.isnan(rates).all(axis=0)
    ticks = samples.first_tick + np.arange(lost.size)
    lost &= (ticks * GRID_MS >= first_ms) & (ticks * GRID_MS < head_ms)
    least = round(HATCH_S * 1000 / GRID_MS)
    return tuple(
        Stretch(int(samples.first_tick + a) * GRID_MS, int(samples.first_tick + b) * GRID_MS)
        for a, b in _runs(lost)
        if b - a >= least
    )


def find_late(samples: Samples) -> tuple[Stretch, ...]:
    """Stretches that came after the fact, each with its latest arrival."""
    return tuple(
        Stretch(
            int(samples.first_tick + a) * GRID_MS,
            int(samples.first_tick + b) * GRID_MS,
            int(samples.late_ms[a:b].max()),
        )
        for a, b in _runs(samples.late_ms > 0)
    )


def _runs(flag: BoolArray) -> npt.NDArray[np.intp]:
    padded = np.concatenate(([False], flag, [False]))
    return np.flatnonzero(padded[1:] != padded[:-1]).reshape(-1, 2)


def _baseline(fetus: FetusAnalysis) -> tuple[int, FloatArray, FloatArray]:
    values = np.array([np.nan if v is None else v for v in fetus.baseline_bpm], np.float64)
    times = (fetus.origin_ms + np.arange(values.size) * fetus.baseline_step_ms) / 1000
    return fetus.fetus, times, values


def _suspect(fetus: FetusAnalysis) -> list[Stretch]:
    """Suspect spans, joined over short pauses: one switch of source gets one mark.

    Samples newer than the analysis stay suspect until it says otherwise: they must
    not look like a fetus again.
    """
    joined: list[Stretch] = []
    for start_s, end_s in fetus.suspect_spans_s:
        from_ms, to_ms = (fetus.origin_ms + round(t * 1000) for t in (start_s, end_s))
        if joined and from_ms - joined[-1].to_ms < _SAME_SUSPECT_MS:
            joined[-1] = Stretch(joined[-1].from_ms, to_ms)
        else:
            joined.append(Stretch(from_ms, to_ms))
    rolling = fetus.rolling
    if joined and rolling is not None and rolling.indeterminate is Indeterminate.MATERNAL_RATE:
        end_ms = fetus.origin_ms + round(rolling.end_s * 1000)
        if end_ms - joined[-1].to_ms <= _SAME_SUSPECT_MS:
            joined[-1] = Stretch(joined[-1].from_ms, end_ms + _NEXT_ANALYSIS_MS)
    return joined


def _spans(fetus: FetusAnalysis) -> list[Span]:
    origin = fetus.origin_ms
    found = [
        Span(
            SpanKind.DECELERATION,
            fetus.fetus,
            origin + round(d.onset_s * 1000),
            origin + round(d.end_s * 1000),
            d.kind.value,
            severity=d.severity.value,
            is_ongoing=d.is_ongoing,
            is_doubtful=d.readable_fraction < _DOUBTFUL,
            nadir_bpm=d.nadir_bpm,
            readable_percent=round(100 * d.readable_fraction),
        )
        for d in fetus.decelerations
    ]
    found += [
        Span(
            SpanKind.ACCELERATION,
            fetus.fetus,
            origin + round(a.onset_s * 1000),
            origin + round(a.end_s * 1000),
            "acceleration",
        )
        for a in fetus.accelerations
    ]
    return found
