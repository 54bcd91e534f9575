"""Values with a time of their own, as systems and files give them, into blocks of ticks."""

from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

from hub.model import HEART_RATES, Channel, FloatArray, MonitorStatus, SignalQuality, Transducer
from hub.wire import samples_from_values
from site_agent.device import DriverItem, Reject, TickBlock, TimeBase

MAX_TICKS: Final = 240
"""Ticks of one block: a minute at 4 Hz, and never more than a wave frame can hold."""
HIGHEST_BPM: Final = 300.0
CHANNELS: Final[Mapping[str, Channel]] = {
    "fhr1": Channel.FHR1,
    "fhr2": Channel.FHR2,
    "fhr3": Channel.FHR3,
    "mhr": Channel.MHR,
    "toco": Channel.TOCO,
    "iup": Channel.IUP,
    "fspo2": Channel.FSPO2,
}
"""Names of the channels in mapping tables."""


def check_period(period_ms: float) -> int:
    """Give a tick period that a wave frame can carry.

    Raises
    ------
    ValueError
        If it is no multiple of 10 ms from 10 to 2550 ms.
    """
    whole = round(period_ms) if abs(period_ms) < 1e6 else 0  # NaN compares false
    if whole % 10 or not 10 <= whole <= 2550 or abs(whole - period_ms) > 0.01:
        msg = f"expected a sample every 10 to 2550 ms in steps of 10 ms, got {period_ms:g} ms"
        raise ValueError(msg)
    return whole


def make_blocks(
    values: Mapping[Channel, FloatArray],
    *,
    t0_ms: float,
    period_ms: int,
    source: str | None = None,
    movement: npt.NDArray[np.bool_] | None = None,
) -> Iterator[DriverItem]:
    """Cut channels of one length into blocks; a rate above 300 bpm becomes loss and is told.

    Who sent the values says nothing of their quality or transducer, so neither is made up.
    """
    n_samples = len(next(iter(values.values())))
    kept = dict(values)
    for channel in HEART_RATES & kept.keys():
        is_beyond = kept[channel] > HIGHEST_BPM
        if is_beyond.any():
            kept[channel] = np.where(is_beyond, np.nan, kept[channel])
            detail = f"{channel.name}: expected rates up to {HIGHEST_BPM:g} bpm, got {is_beyond.sum()} above"
            yield Reject("range", detail, 0)
    for a in range(0, n_samples, MAX_TICKS):
        b = min(a + MAX_TICKS, n_samples)
        yield TickBlock(
            t0_ms=t0_ms + a * period_ms,
            time_base=TimeBase.DEVICE,
            period_ms=period_ms,
            n_ticks=b - a,
            status=MonitorStatus.ON | (MonitorStatus.NONE if movement is None else _HAS_MOVEMENT),
            channels=tuple(
                samples_from_values(
                    channel,
                    column[a:b],
                    transducer=Transducer.IUP if channel is Channel.IUP else Transducer.UNKNOWN,
                    quality=SignalQuality.UNKNOWN,
                    movement=movement[a:b].astype(np.uint8)
                    if movement is not None and channel is Channel.FHR1
                    else 0,
                )
                for channel, column in sorted(kept.items())
            ),
            source=source,
        )


_HAS_MOVEMENT: Final = MonitorStatus.MOVEMENT_PROFILE
