"""The strip of one bed: wave frames to samples on the grid, and to JSON."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import msgspec
import numpy as np

from hub.errors import WireError
from hub.model import GRID_MS, Channel, FloatArray, Lane, WaveEntry, WaveFrame
from hub.web.backend import StripData
from hub.wire import decode_wave, encode_json, to_values, with_backfill_flag

_CHUNK_FRAMES: Final = 2000
CHANNEL_NAMES: Final = {channel: channel.name.lower() for channel in Channel}


@dataclass(frozen=True, slots=True)
class _Placed:
    """One frame with the grid ticks it covers, counted from the epoch."""

    frame: WaveFrame
    start: int
    stop: int
    lane: Lane
    entry: WaveEntry


def snap_span(from_ms: int, to_ms: int) -> tuple[int, int]:
    """Widen a span to the sample grid."""
    return from_ms // GRID_MS * GRID_MS, -(-to_ms // GRID_MS) * GRID_MS


def render_strip(
    site: str, bed: str, from_ms: int, to_ms: int, data: StripData, *, step_ms: int | None = None
) -> bytes:
    """Render the strip as JSON; takes long for long spans, so call it off the event loop."""
    channels, late = _read_frames(_place_frames(data.entries), from_ms, to_ms)
    body = {
        "site": site,
        "bed": bed,
        "from_ms": from_ms,
        "to_ms": to_ms,
        "period_ms": step_ms or GRID_MS,
        "channels": {
            CHANNEL_NAMES[channel]: _render_channel(values, step_ms) for channel, values in channels.items()
        },
        "late": _join_spans(late),
        "events": data.events,
        "analysis": data.analysis,
        "alerts": data.alerts,
    }
    return encode_json(body)


def select_entries(from_ms: int, to_ms: int, data: StripData) -> list[WaveEntry]:
    """Pick the frames that touch the span; what was filled in says so in its flags."""
    return [
        replace(item.entry, payload=with_backfill_flag(item.entry.payload))
        if item.lane is Lane.FILL
        else item.entry
        for item in _place_frames(data.entries)
        if item.frame.t0_ms < to_ms and item.frame.end_ms > from_ms
    ]


def decimate(values: FloatArray, n: int) -> tuple[FloatArray, FloatArray]:
    """Least and greatest value of every `n` samples, NaN where none is valid; the last bin may be short."""
    n_bins = -(-values.size // n)
    padded = np.full(n_bins * n, np.nan)
    padded[: values.size] = values
    bins = padded.reshape(n_bins, n)
    is_empty = np.isnan(bins).all(axis=1)
    low = np.where(np.isnan(bins), np.inf, bins).min(axis=1, initial=np.inf)
    high = np.where(np.isnan(bins), -np.inf, bins).max(axis=1, initial=-np.inf)
    return np.where(is_empty, np.nan, low), np.where(is_empty, np.nan, high)


def _place_frames(entries: Iterable[tuple[WaveEntry, Lane]]) -> Iterator[_Placed]:
    """Decode the frames and put them on the grid, in the order of their arrival.

    Goes through them in chunks, so that a long span never holds so many objects
    that collecting garbage stops the event loop.
    """
    ordered = sorted(entries, key=lambda item: item[0].arrived_ms)
    last: _Placed | None = None
    for first in range(0, len(ordered), _CHUNK_FRAMES):
        placed = _place_chunk(ordered[first : first + _CHUNK_FRAMES], last)
        last = placed[-1] if placed else last
        yield from sorted(placed, key=lambda item: item.entry.arrived_ms)


def _place_chunk(entries: Sequence[tuple[WaveEntry, Lane]], last: _Placed | None) -> list[_Placed]:
    """Place frames in the order of their seq.

    A frame that follows its predecessor in sequence and misses its end by one tick
    only because the site's clock is being smoothed is moved to join it, as the ring does.
    """
    decoded = []
    for entry, lane in entries:
        try:
            frame = decode_wave(entry.payload, site=entry.site, bed=entry.bed)
        except WireError:
            continue  # of a newer version: stored as it came, counted on arrival
        decoded.append((frame, lane, entry))
    decoded.sort(key=lambda item: (item[0].epoch, item[0].seq))
    placed: list[_Placed] = []
    for frame, lane, entry in decoded:
        start, stop = round(frame.t0_ms / GRID_MS), round(frame.end_ms / GRID_MS)
        if last and (last.frame.epoch, last.frame.seq + 1) == (frame.epoch, frame.seq):
            shift = last.stop - start
            if abs(shift) == 1:
                start, stop = start + shift, stop + shift
        last = _Placed(frame, start, stop, lane, entry)
        placed.append(last)
    return placed


def _read_frames(
    placed: Iterable[_Placed], from_ms: int, to_ms: int
) -> tuple[dict[Channel, FloatArray], list[tuple[int, int, int]]]:
    """Read the values of each channel that occurs, and the late spans with their time of arrival.

    Values have shape (n_samples,), NaN where nothing came.
    """
    first, last = from_ms // GRID_MS, to_ms // GRID_MS
    late: list[tuple[int, int, int]] = []
    channels: dict[Channel, FloatArray] = {}
    for item in placed:
        start, stop = max(item.start, first), min(item.stop, last)
        if start >= stop:
            continue
        frame = item.frame
        if item.lane is Lane.FILL:
            late.append((start * GRID_MS, stop * GRID_MS, item.entry.arrived_ms))
        # Sources slower or faster than 4 Hz: each grid tick takes the sample that covers its middle.
        middle_ms = (np.arange(start, stop) - item.start) * GRID_MS + GRID_MS // 2
        ticks = (middle_ms // frame.period_ms).clip(0, frame.n_ticks - 1)
        for block in frame.channels:
            if block.channel not in channels:
                channels[block.channel] = np.full(last - first, np.nan)
            channels[block.channel][start - first : stop - first] = to_values(block)[ticks]
    return dict(sorted(channels.items())), late


def _render_channel(values: FloatArray, step_ms: int | None) -> msgspec.Raw:
    """Encode one channel by itself, so that no single call holds the interpreter for long."""
    if step_ms is None:
        return msgspec.Raw(encode_json(values.tolist()))
    low, high = decimate(values, step_ms // GRID_MS)
    return msgspec.Raw(encode_json({"min": low.tolist(), "max": high.tolist()}))


def _join_spans(late: Iterable[tuple[int, int, int]]) -> list[dict[str, int]]:
    """Join late spans that touch; one such span arrived when its last part did."""
    spans: list[dict[str, int]] = []
    for start_ms, stop_ms, arrived_ms in sorted(late):
        if not spans or start_ms > spans[-1]["to_ms"]:
            spans.append({"from_ms": start_ms, "to_ms": stop_ms, "arrived_ms": arrived_ms})
            continue
        spans[-1]["to_ms"] = max(spans[-1]["to_ms"], stop_ms)
        spans[-1]["arrived_ms"] = max(spans[-1]["arrived_ms"], arrived_ms)
    return spans
