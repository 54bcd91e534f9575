"""Strips of the past as the hub's HTTP interface gives them.  Pure: bytes in, values out."""

from dataclasses import dataclass, field
from urllib.parse import quote

import numpy as np

from hub.errors import WireError, WireFault
from hub.model import GRID_MS, Alert, BedAnalysis, BedEvent, FloatArray
from hub.wire import decode_json
from viewer.rings import STRIP_CHANNELS, Samples
from viewer.strip import StripContent, make_content

MAX_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Late:
    from_ms: int
    to_ms: int
    arrived_ms: int


@dataclass(frozen=True, slots=True)
class _Envelope:
    min: list[float | None]
    max: list[float | None]


@dataclass(frozen=True, slots=True)
class _Strip:
    from_ms: int
    to_ms: int
    period_ms: int
    channels: dict[str, list[float | None]]
    late: list[_Late] = field(default_factory=list)
    events: list[BedEvent] = field(default_factory=list)
    analysis: BedAnalysis | None = None
    alerts: list[Alert] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Overview:
    from_ms: int
    to_ms: int
    period_ms: int
    channels: dict[str, _Envelope]


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """Envelope of a record: least and greatest FHR of each step, shape (n,)."""

    from_ms: int
    to_ms: int
    step_ms: int
    low: FloatArray
    high: FloatArray

    @property
    def first_ms(self) -> int | None:
        """Start of the first step that holds a sample."""
        held = np.flatnonzero(np.isfinite(self.low))
        return None if held.size == 0 else self.from_ms + int(held[0]) * self.step_ms


@dataclass(frozen=True, slots=True, eq=False)
class PastStrip:
    """A stretch of the past, ready to be shown."""

    from_ms: int
    to_ms: int
    content: StripContent
    analysis: BedAnalysis | None


def strip_path(key: str, from_ms: int, to_ms: int, step_ms: int | None = None) -> str:
    """Path of a strip of the bed `site/bed`."""
    site, _, bed = key.partition("/")
    path = f"/api/v1/beds/{quote(site)}/{quote(bed)}/strip?from={from_ms}&to={to_ms}"
    return path if step_ms is None else f"{path}&step_ms={step_ms}"


def decode_strip(body: bytes) -> PastStrip:
    """Decode a strip with every sample.  Raises WireError."""
    strip = decode_json(body, _Strip, max_bytes=MAX_BYTES)
    if strip.period_ms != GRID_MS:
        raise WireError(WireFault.TICKS, f"strip: expected a period of {GRID_MS} ms, got {strip.period_ms}")
    first, count = strip.from_ms // GRID_MS, (strip.to_ms - strip.from_ms) // GRID_MS
    values = np.full((len(STRIP_CHANNELS), count), np.nan)
    for row, channel in enumerate(STRIP_CHANNELS):
        samples = strip.channels.get(channel.name.lower())
        if samples is not None:
            given = _floats(samples)[:count]
            values[row, : given.size] = given
    late_ms = np.zeros(count, np.int64)
    for late in strip.late:
        late_ms[max(0, late.from_ms // GRID_MS - first) : max(0, late.to_ms // GRID_MS - first)] = (
            late.arrived_ms
        )
    held = np.flatnonzero(np.isfinite(values).any(axis=0))
    content = make_content(
        Samples(first, values, late_ms),
        strip.analysis,
        tuple(strip.events),
        tuple(strip.alerts),
        first_ms=(first + int(held[0])) * GRID_MS if held.size else None,
        head_ms=(first + int(held[-1]) + 1) * GRID_MS if held.size else None,
    )
    return PastStrip(strip.from_ms, strip.to_ms, content, strip.analysis)


def decode_overview(body: bytes) -> Record:
    """Decode a strip of least and greatest values.  Raises WireError."""
    strip = decode_json(body, _Overview, max_bytes=MAX_BYTES)
    count = -(-(strip.to_ms - strip.from_ms) // strip.period_ms)
    low, high = np.full(count, np.nan), np.full(count, np.nan)
    rate = strip.channels.get("fhr1")
    if rate is not None:
        for whole, part in ((low, _floats(rate.min)), (high, _floats(rate.max))):
            whole[: part.size] = part[:count]
    return Record(strip.from_ms, strip.to_ms, strip.period_ms, low, high)


def _floats(values: list[float | None]) -> FloatArray:
    return np.array([np.nan if v is None else v for v in values], np.float64)
