"""One round of analysis: what is read from the rings, the work itself, and what comes back."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from hub import dsp
from hub.acquisition.ring import LOST, RING_CHANNELS, Codes, decode
from hub.dsp.features import FALSE_AT
from hub.dsp.live import LiveAnalysis, Plan, Signals
from hub.dsp.past import DRAWN
from hub.dsp.reading import LiveReading
from hub.model import FS_HZ, GRID_MS, Analysis, BoolArray, Channel, FloatArray
from hub.pipeline.paths import contained

SEGMENT_S = 600
"""Length of a classified segment (JSOG 2003: 10-minute segments, clinical-rules 1.1, V1)."""
GROUP = 32
"""Most rows that are updated together: 128 are an eighth faster and take five times the memory."""
GROUP_SAMPLES = GROUP * 12 * 60 * round(FS_HZ)
"""Most samples of these: 32 rows of which the last minutes are read, or 16 that are read in full."""

_COLUMN = {channel: column for column, channel in enumerate(RING_CHANNELS)}
FETUS_COLUMNS = (_COLUMN[Channel.FHR1], _COLUMN[Channel.FHR2], _COLUMN[Channel.FHR3])


@dataclass(frozen=True, slots=True, eq=False)
class BedWindow:
    """A stretch of one bed, copied from a ring."""

    site: str
    bed: str
    fetuses: tuple[int, ...]
    end_ms: int
    samples: npt.NDArray[np.float32]
    """Shape (channels, n_samples), NaN for signal loss."""
    gestational_weeks: float | None

    @property
    def origin_ms(self) -> int:
        """Time of the first sample, Unix ms on the site's clock."""
        return self.end_ms - int(self.samples.shape[-1]) * GRID_MS


@dataclass(frozen=True, slots=True, eq=False)
class FetusWork:
    """What one row of the live analysis is to read: a fetus with everything, or with live samples only."""

    site: str
    bed: str
    fetus: int
    plan: Plan
    is_live_only: bool
    has_live_row: bool
    """The fetus has a row of live samples only, in this round or not: alerts rest on nothing else then."""
    codes: Codes
    """Samples as the ring keeps them, shape (channels, plan.n_samples); shared by the rows of a bed."""
    gestational_weeks: float | None
    is_scalp: bool = False
    """The rate is from a scalp electrode at the moment."""


@dataclass(frozen=True, slots=True, eq=False)
class Round:
    """The rows whose turn it is, and the analysis that knows them."""

    live: LiveAnalysis
    work: Sequence[FetusWork]

    def __len__(self) -> int:
        return len(self.work)


@dataclass(frozen=True, slots=True, eq=False)
class FetusResult:
    """What the analysis of one fetus gave; None where it failed, and then `error` says how."""

    fetus: int
    analysis: LiveReading | None
    live_analysis: LiveReading | None
    """The same without late data, for the alerts; identical when nothing came late, None when not read."""
    signal_fraction: float
    """Share of the last 10 minutes that carries signal."""
    error: str | None = None
    is_read: bool = True
    """With everything that came; False when it was the turn of the live samples alone."""


@dataclass(frozen=True, slots=True, eq=False)
class BedResult:
    """What one round gave for one bed."""

    site: str
    bed: str
    end_ms: int
    """End of what was read, Unix ms on the site's clock."""
    fetuses: tuple[FetusResult, ...]


def run_analysis(due: Round) -> list[BedResult]:
    """Update some beds at once; runs off the event loop.  A failure stays with the rows of its own bed."""
    readings: dict[int, LiveReading] = {}
    errors: dict[int, str] = {}
    for group in _groups(due.work):
        where = f"analysis of {len(group)} fetuses"
        # One bad bed must not take the others with it: they are tried again one by one.
        together, fault = contained(where, partial(_update, due.live, group))
        if fault is None or len(group) == 1:
            readings.update(together or {})
            errors.update({group[0].plan.row: fault} if fault else {})
            continue
        for one in group:
            alone, fault = contained(
                f"{one.site}/{one.bed} fetus {one.fetus}: analysis", partial(_update, due.live, [one])
            )
            readings.update(alone or {})
            errors.update({one.plan.row: fault} if fault else {})
    for row in errors:
        due.live.past.reset(row)
    return list(_results(due.work, readings, errors))


def analyse_window(window: BedWindow) -> BedResult:
    """Read a whole stretch of one bed, with everything that is in it."""
    results = []
    for fetus in window.fetuses:
        where = f"{window.site}/{window.bed} fetus {fetus}: analysis"
        reading, error = contained(where, partial(_read_whole, window, fetus))
        fraction = signal_fraction(np.isfinite(window.samples[FETUS_COLUMNS[fetus - 1]]))
        results.append(FetusResult(fetus, reading, reading, fraction, error))
    return BedResult(window.site, window.bed, window.end_ms, tuple(results))


def signal_fraction(has_signal: BoolArray) -> float:
    """Share of the last 10 minutes that carries signal."""
    return float(np.count_nonzero(has_signal[-round(SEGMENT_S * FS_HZ) :]) / (SEGMENT_S * FS_HZ))


def _groups(work: Iterable[FetusWork]) -> Iterator[list[FetusWork]]:
    by_shape: dict[tuple[int, int, bool], list[FetusWork]] = {}
    for one in work:
        by_shape.setdefault(one.plan.shape, []).append(one)
    for group in by_shape.values():
        plan = group[0].plan
        most = max(1, min(GROUP, GROUP_SAMPLES // (plan.end - plan.start + plan.context)))
        for first in range(0, len(group), most):
            yield group[first : first + most]


def _update(live: LiveAnalysis, group: Sequence[FetusWork]) -> dict[int, LiveReading]:
    def channel(column: int) -> FloatArray:
        return decode(np.array([one.codes[column] for one in group]), column).astype(np.float64)

    fetal = [FETUS_COLUMNS[one.fetus - 1] for one in group]
    fhr = np.array([one.codes[column] for one, column in zip(group, fetal, strict=True)])
    signals = Signals(
        fhr=decode(fhr, np.array(fetal)[:, None]).astype(np.float64),
        toco=channel(_COLUMN[Channel.TOCO]),
        mhr=channel(_COLUMN[Channel.MHR]),
        iup=channel(_COLUMN[Channel.IUP]),
        gestational_weeks=[one.gestational_weeks for one in group],
        is_scalp=[one.is_scalp for one in group],
    )
    plans = [one.plan for one in group]
    return dict(zip((plan.row for plan in plans), live.push(plans, signals), strict=True))


def _results(
    work: Sequence[FetusWork], readings: dict[int, LiveReading], errors: dict[int, str]
) -> Iterator[BedResult]:
    by_bed: dict[tuple[str, str], dict[int, list[FetusWork]]] = {}
    for one in work:
        by_bed.setdefault((one.site, one.bed), {}).setdefault(one.fetus, []).append(one)
    for (site, bed), fetuses in by_bed.items():
        results = []
        for fetus, rows in sorted(fetuses.items()):
            whole = next((one for one in rows if not one.is_live_only), None)
            live = next((one for one in rows if one.is_live_only), None)
            if live is None and not rows[0].has_live_row:
                live = whole
            error = next((errors[one.plan.row] for one in rows if one.plan.row in errors), None)
            fraction = signal_fraction(rows[0].codes[FETUS_COLUMNS[fetus - 1]] != LOST)
            results.append(
                FetusResult(
                    fetus,
                    None if error or whole is None else readings.get(whole.plan.row),
                    None if error or live is None else readings.get(live.plan.row),
                    fraction,
                    error,
                    is_read=whole is not None,
                )
            )
            end = rows[0].plan.end
        yield BedResult(site, bed, end * GRID_MS, tuple(results))


def _read_whole(window: BedWindow, fetus: int) -> LiveReading:
    samples = window.samples.astype(np.float64)
    analysis = dsp.analyse(
        samples[FETUS_COLUMNS[fetus - 1]],
        samples[_COLUMN[Channel.TOCO]],
        samples[_COLUMN[Channel.MHR]],
        iup=samples[_COLUMN[Channel.IUP]],
        fs=FS_HZ,
        gestational_weeks=window.gestational_weeks,
        segment_offset_s=-window.origin_ms % (SEGMENT_S * 1000) / 1000,
    )
    return _reading_of(analysis, window.origin_ms // GRID_MS)


def _reading_of(analysis: Analysis, origin: int) -> LiveReading:
    """Put the analysis of a whole stretch into the form of a live one."""
    suspect = np.concatenate(([False], analysis.false_signal >= FALSE_AT, [False]))
    edges = np.flatnonzero(suspect[1:] != suspect[:-1]).reshape(-1, 2) / FS_HZ
    return LiveReading(
        origin=origin,
        end=origin + analysis.baseline_bpm.size,
        baseline_bpm=analysis.baseline_bpm[::DRAWN],
        baseline_now_bpm=float(analysis.baseline_bpm[-1]) if analysis.baseline_bpm.size else np.nan,
        accelerations=analysis.accelerations,
        decelerations=analysis.decelerations,
        contractions=analysis.contractions,
        are_contractions_known=analysis.are_contractions_known,
        segments=analysis.segments,
        rolling=analysis.rolling,
        suspect_spans_s=[(float(a), float(b)) for a, b in edges],
        is_coincidence_checked=analysis.is_coincidence_checked,
        algorithm=analysis.algorithm,
    )
