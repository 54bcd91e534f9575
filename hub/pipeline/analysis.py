"""One round of analysis: what is read from the rings, the work itself, and what comes back."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hub import dsp
from hub.acquisition.ring import RING_CHANNELS
from hub.model import FS_HZ, GRID_MS, Analysis, Channel, FloatArray
from hub.pipeline.paths import contained

SEGMENT_S = 600
"""Length of a classified segment (JSOG 2003: 10-minute segments, clinical-rules 1.1, V1)."""

_COLUMN = {channel: column for column, channel in enumerate(RING_CHANNELS)}
FETUS_COLUMNS = (_COLUMN[Channel.FHR1], _COLUMN[Channel.FHR2], _COLUMN[Channel.FHR3])


@dataclass(frozen=True, slots=True, eq=False)
class BedWindow:
    """The last minutes of one bed, copied from the ring: what one analysis sees."""

    site: str
    bed: str
    fetuses: tuple[int, ...]
    end_ms: int
    samples: npt.NDArray[np.float32]
    """Shape (channels, n_samples), NaN for signal loss."""
    late_ms: npt.NDArray[np.int64]
    """Shape (n_samples,): time of arrival of what came late, 0 for live."""
    gestational_weeks: float | None

    @property
    def origin_ms(self) -> int:
        """Time of the first sample, Unix ms on the site's clock."""
        return self.end_ms - int(self.samples.shape[-1]) * GRID_MS


@dataclass(frozen=True, slots=True, eq=False)
class FetusResult:
    """What the analysis of one fetus gave; None where it failed, and then `error` says how."""

    fetus: int
    analysis: Analysis | None
    live_analysis: Analysis | None
    """The same without late data, for the alerts; identical when nothing came late."""
    error: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class BedResult:
    """What one round gave for one bed."""

    window: BedWindow
    fetuses: tuple[FetusResult, ...]


def run_analysis(windows: list[BedWindow]) -> list[BedResult]:
    """Analyse some beds at once; runs off the event loop.  A failure stays with its own fetus."""
    return [BedResult(window, tuple(_analyse_fetus(window, k) for k in window.fetuses)) for window in windows]


def _analyse_fetus(window: BedWindow, fetus: int) -> FetusResult:
    is_late = window.late_ms > 0
    has_recent_late = bool(is_late[-round(SEGMENT_S * FS_HZ) :].any())

    def both() -> tuple[Analysis, Analysis]:
        analysis = _analyse(window, fetus, is_hidden=None)
        return analysis, _analyse(window, fetus, is_hidden=is_late) if has_recent_late else analysis

    readings, error = contained(f"{window.site}/{window.bed} fetus {fetus}: analysis", both)
    analysis, live = readings if readings else (None, None)
    return FetusResult(fetus, analysis, live, error)


def _analyse(window: BedWindow, fetus: int, *, is_hidden: npt.NDArray[np.bool_] | None) -> Analysis:
    samples: FloatArray = window.samples.astype(np.float64)
    if is_hidden is not None:
        samples[:, is_hidden] = np.nan
    return dsp.analyse(
        samples[FETUS_COLUMNS[fetus - 1]],
        samples[_COLUMN[Channel.TOCO]],
        samples[_COLUMN[Channel.MHR]],
        iup=samples[_COLUMN[Channel.IUP]],
        fs=FS_HZ,
        gestational_weeks=window.gestational_weeks,
        segment_offset_s=-window.origin_ms % (SEGMENT_S * 1000) / 1000,
    )
