"""What the hub knows of one bed beside its samples."""

import math
from collections import deque
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from hub.alerts.engine import BedAlerts
from hub.dsp.level import ShownLevel
from hub.dsp.live import FORGOTTEN_MIN
from hub.dsp.past import MINUTE
from hub.model import (
    BedAnalysis,
    BedEvent,
    BedState,
    Channel,
    Indeterminate,
    LevelSpan,
    MonitorStatus,
    SignalQuality,
    SiteStatus,
    Transducer,
    WaveFrame,
)
from hub.pipeline.gate import LiveGate
from hub.pipeline.lag import LagEstimator
from hub.wire import to_quality, to_values

RIBBON_MS: Final = 12 * 3600 * 1000
"""Longest ribbon of a console (key `[ ]`: 4, 8 or 12 h)."""

RIBBON_HOLE_MS: Final = 60_000
"""A longer time without a reading leaves a hole in the ribbon."""

PAUSE_TICKS: Final = FORGOTTEN_MIN * MINUTE
"""After a longer pause the record begins anew."""

EVENTS_KEPT: Final = 100
SegmentForm = tuple[int | None, str | None, Indeterminate | None]
FETUS_CHANNELS: Final = {Channel.FHR1: 1, Channel.FHR2: 2, Channel.FHR3: 3}


@dataclass(slots=True)
class Site:
    """What a site says of itself."""

    status: SiteStatus | None = None


@dataclass(slots=True)
class FetusRecord:
    """The course of one fetus: the shown level and the ribbon behind it."""

    shown: ShownLevel | None = None
    alerting: ShownLevel | None = None
    """The same from live data alone: this one drives the alerts."""
    level_before: int | None = None
    """The level before the present one of `alerting`."""
    coincident_since_ms: int | None = None
    baseline_bpm: float = math.nan
    """Newest baseline from live data, NaN while there is none; only adds to the raw-rate limits."""
    ribbon: deque[LevelSpan] = field(default_factory=deque)
    stored: dict[int, SegmentForm] = field(default_factory=dict)
    """Level, cell and reason as last handed to the store, by the end of the segment in ms."""
    has_signal: bool = False
    """A sample of it was seen; a fetus that was only supposed goes when another shows itself."""
    error: str | None = None
    """Why the last analysis or its level path failed."""
    row: int | None = None
    """Row of the live analysis."""
    live_row: int | None = None
    """Row of the same without late data, open while there is some in the last minutes."""
    signal_fraction: float = 0.0
    """Share of the last 10 minutes that carries signal, as of the last analysis."""


@dataclass(slots=True)
class Bed:
    """One bed: its place in the ring, its timeline, its alerts, the latest analysis."""

    site: str
    bed: str
    row: int
    alerts: BedAlerts
    gate: LiveGate = field(default_factory=LiveGate)
    state: BedState | None = None
    is_test: bool = False
    status: MonitorStatus = MonitorStatus.NONE
    lag: LagEstimator = field(default_factory=LagEstimator)
    clock_offset_ms: int | None = None
    watched_since_s: float | None = None
    """Monotonic time of the first check of this bed."""
    live_since_ms: int | None = None
    """Start of the first live frame that this worker saw, on the site's clock."""
    live_again_ms: int = 0
    """Start of the live frames since the last pause of a minute, on the site's clock."""
    quality: dict[int, SignalQuality] = field(default_factory=dict)
    transducers: dict[int, Transducer] = field(default_factory=dict)
    """What measures each fetus, as of the newest frame."""
    fetuses: dict[int, FetusRecord] = field(default_factory=dict)
    events: deque[BedEvent] = field(default_factory=lambda: deque(maxlen=EVENTS_KEPT))
    analysis: BedAnalysis | None = None
    analysed_ms: int | None = None
    """Hub time of the last analysis, or of the first live frame before there is one."""
    told_ms: int = 0
    """When its readings last moved the shown level, by the hub's clock."""
    is_analysis_new: bool = False
    """Not yet pushed to the consoles."""
    first: int | None = None
    """First tick of the record: of the first frame, or of the first one behind a long pause."""
    changed_from: int | None = None
    """First tick that was filled in or changed since the last analysis."""
    live_changed_from: int | None = None
    """The same among live samples, which come out of order at times."""
    late_until: int = 0
    """Behind the newest tick that was filled in late."""
    conflict_until_s: float = -1.0
    """Monotonic time up to which a frame that claimed the identity of another is spoken of."""
    rate_fault: str | None = None
    """Why the raw-rate path failed at this bed."""
    had_late: bool = False
    """Late samples have entered an analysis."""

    @property
    def key(self) -> tuple[str, str]:
        """Site and bed."""
        return self.site, self.bed

    @property
    def fetus_numbers(self) -> tuple[int, ...]:
        """Fetuses that have shown a signal; the first while none has."""
        return tuple(sorted(self.fetuses)) or (1,)

    def fetus(self, number: int) -> FetusRecord:
        """Return the record of one fetus, opened when first asked for."""
        return self.fetuses.setdefault(number, FetusRecord())

    def note_span(self, start: int, stop: int, *, head: int, is_late: bool) -> None:
        """Note which ticks a frame brings, before it is written; `head` is behind the newest so far."""
        if self.first is None or start < self.first or start - head > PAUSE_TICKS:
            self.first = start
        if is_late:
            self.late_until = max(self.late_until, stop)
        if start < head:
            self.changed_from = start if self.changed_from is None else min(self.changed_from, start)
            if not is_late:
                before = self.live_changed_from
                self.live_changed_from = start if before is None else min(before, start)

    def note_frame(self, frame: WaveFrame) -> None:
        """Take over what the newest live frame says of device, quality and fetuses."""
        self.status = frame.status
        for block in frame.channels:
            number = FETUS_CHANNELS.get(block.channel)
            if number is None:
                continue
            self.transducers[number] = block.transducer
            self.quality[number] = SignalQuality(int(to_quality(block)[-1]))
            if not self.fetus_has_signal(number) and np.isfinite(to_values(block)).any():
                self.fetus(number).has_signal = True
                self.fetuses = {k: one for k, one in self.fetuses.items() if one.has_signal}

    def fetus_has_signal(self, number: int) -> bool:
        """Whether a fetus has shown a signal."""
        record = self.fetuses.get(number)
        return record is not None and record.has_signal

    def note_step(self, from_ms: int, to_ms: int) -> None:
        """Carry what is kept in the site's time over a clock that was set from `from_ms` to `to_ms`."""
        for record in self.fetuses.values():
            if record.coincident_since_ms is not None:
                record.coincident_since_ms += to_ms - from_ms
            if to_ms >= from_ms:
                continue
            record.stored = {end_ms: form for end_ms, form in record.stored.items() if end_ms <= to_ms}
            record.shown = _before(record.shown, to_ms)
            record.alerting = _before(record.alerting, to_ms)
            while record.ribbon and record.ribbon[-1].start_ms >= to_ms:
                record.ribbon.pop()
            if record.ribbon and record.ribbon[-1].end_ms > to_ms:
                record.ribbon[-1] = replace(record.ribbon[-1], end_ms=to_ms)
        if self.live_since_ms is not None and to_ms < from_ms:
            self.live_since_ms = min(self.live_since_ms, to_ms)

    def extend_ribbon(self, number: int, t_ms: int, level: int | None) -> None:
        """Lengthen the ribbon of a fetus up to `t_ms` with the level shown."""
        ribbon = self.fetus(number).ribbon
        last = ribbon[-1] if ribbon else None
        if last is not None and t_ms <= last.start_ms:
            return
        if last is not None and t_ms - last.end_ms > RIBBON_HOLE_MS:
            ribbon.append(LevelSpan(start_ms=t_ms, end_ms=t_ms, level=level))  # nothing was known in between
        elif last is not None and last.level == level:
            ribbon[-1] = LevelSpan(start_ms=last.start_ms, end_ms=t_ms, level=level)
        else:
            ribbon.append(LevelSpan(start_ms=last.end_ms if last else t_ms, end_ms=t_ms, level=level))
        while ribbon and ribbon[0].end_ms < t_ms - RIBBON_MS:
            ribbon.popleft()


def _before(shown: ShownLevel | None, end_ms: int) -> ShownLevel | None:
    """Let a level forget the segments that a clock set back has put into the future."""
    if shown is None:
        return None
    return replace(shown, segment_end_ms=None, since_ms=min(shown.since_ms, end_ms))
