"""What a segment says of each heart rate, in a few numbers: the stuff of trends.  Pure."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from hub.model import Channel
from hub.store.segment import Segment, channel_words

RATES: Final = {channel.value: channel for channel in (Channel.FHR1, Channel.FHR2, Channel.FHR3, Channel.MHR)}
_BPM_PER_STEP: Final = 0.25
_RATE: Final = 0x07FF
_LOST: Final = 0x8000
_INOPERATIVE: Final = 1


@dataclass(frozen=True, slots=True)
class RateSummary:
    """One heart rate over one segment; a tick is valid if it carries a rate."""

    site: str
    bed: str
    channel: str
    start_ms: int
    recorded_ms: int
    ticks: int
    valid_ticks: int
    sum_bpm: float


def summarise(segment: Segment) -> list[RateSummary]:
    """Sum up the heart rates of a segment; a frame that is kept as it came has none."""
    if segment.ticks == 0:
        return []
    ticks = segment.frames * segment.ticks
    found = []
    for channel_id, words, modes in channel_words(segment):
        if (channel := RATES.get(channel_id)) is None:
            continue
        steps = words & _RATE
        is_valid = (words & _LOST == 0) & (steps > 0)
        is_valid &= np.repeat(modes & _INOPERATIVE == 0, segment.ticks)
        found.append(
            RateSummary(
                segment.site,
                segment.bed,
                channel.name.lower(),
                segment.start_ms,
                ticks * segment.period_ms,
                ticks,
                int(is_valid.sum()),
                float(steps[is_valid].sum()) * _BPM_PER_STEP,
            )
        )
    return found
