"""The reading of any stored span, as it is drawn when somebody scrolls back."""

from collections import deque
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from hub.acquisition.ring import Ring
from hub.dsp.level import ShownLevel
from hub.model import GRID_MS, BedAnalysis, Lane, LevelSpan
from hub.pipeline.analysis import FETUS_COLUMNS, BedWindow, FetusResult, analyse_window
from hub.pipeline.bed import FetusRecord
from hub.pipeline.views import bed_analysis
from hub.wire import decode_wave

CONTEXT_MS = 20 * 60 * 1000
"""Signal read before the span, so that its first minutes have a baseline to lean on."""


class StoredFrame(Protocol):
    """What is needed of a stored frame; the store's rows are such."""

    @property
    def site(self) -> str: ...
    @property
    def bed(self) -> str: ...
    @property
    def t0_ms(self) -> int: ...
    @property
    def lane(self) -> Lane: ...
    @property
    def arrived_ms(self) -> int: ...
    @property
    def payload(self) -> bytes: ...


def analyse_span(
    frames: Sequence[StoredFrame],
    *,
    from_ms: int,
    to_ms: int,
    gestational_weeks: float | None,
    now_ms: int,
) -> BedAnalysis | None:
    """Analyse what is stored of one bed up to `to_ms`; None where there is no frame.

    `frames` may begin `CONTEXT_MS` before `from_ms`.  The shown level is that at the
    end of the span with what is known of it today: late data that came since is in it.
    """
    if not frames:
        return None
    ring = Ring(1, length_s=max(1, -(-(to_ms - from_ms + CONTEXT_MS) // 1000)))
    row = ring.add_bed()
    assert row is not None  # noqa: S101  the ring was made for one bed
    for stored in sorted(frames, key=lambda one: one.t0_ms):
        frame = decode_wave(stored.payload, site=stored.site, bed=stored.bed)
        arrived_late_ms = stored.arrived_ms if stored.lane is Lane.FILL else 0
        ring.push(row, frame, is_newest=False, late_ms=arrived_late_ms)
    samples, _, end_ms = ring.window(row, ring.n_samples)
    has_signal = np.isfinite(samples[0])
    fetuses = tuple(k + 1 for k, column in enumerate(FETUS_COLUMNS) if has_signal[column].any()) or (1,)
    first = int(np.argmax(has_signal.any(axis=0)))
    window = BedWindow(
        frames[0].site,
        frames[0].bed,
        fetuses,
        int(end_ms[0]),
        samples[0, :, first:],
        gestational_weeks,
    )
    result = analyse_window(window)
    records = {one.fetus: _record_of(one, window) for one in result.fetuses}
    return bed_analysis(records, result, now_ms=now_ms)


def _record_of(one: FetusResult, window: BedWindow) -> FetusRecord:
    reading = one.analysis
    if reading is None:
        return FetusRecord()
    spans = deque(
        LevelSpan(
            start_ms=reading.origin * GRID_MS + round(segment.start_s * 1000),
            end_ms=reading.origin * GRID_MS + round(segment.end_s * 1000),
            level=segment.level,
        )
        for segment in reading.segments
    )
    level = reading.rolling.level if reading.rolling else None
    return FetusRecord(shown=ShownLevel(level=level, since_ms=window.end_ms), ribbon=spans)
