"""Samples: the grid they stand on, and wave frames as they travel."""

from dataclasses import dataclass
from enum import IntEnum, IntFlag, StrEnum
from typing import Final

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

GRID_MS: Final = 250
"""Spacing of the sample grid of rings, strips and the analysis, in ms."""

FS_HZ: Final = 4.0
"""Sampling frequency of that grid, in Hz."""


class Channel(IntEnum):
    """Channel identifiers of wave frame v1."""

    FHR1 = 0x01
    FHR2 = 0x02
    FHR3 = 0x03
    MHR = 0x10
    TOCO = 0x20
    IUP = 0x21
    FSPO2 = 0x30


HEART_RATES: Final = frozenset({Channel.FHR1, Channel.FHR2, Channel.FHR3, Channel.MHR})
"""Channels whose samples are Series 50 heart-rate words."""


class Transducer(IntEnum):
    """What measured a channel: the high nibble of the mode byte."""

    NONE = 0
    ULTRASOUND = 1
    DECG = 2
    MECG = 3
    EXTERNAL = 4
    IUP = 5
    UNKNOWN = 7


class SignalQuality(IntEnum):
    """Signal quality that the device reports with each heart-rate sample."""

    RED = 0
    YELLOW = 1
    GREEN = 2
    UNKNOWN = 3


class FrameFlag(IntFlag):
    """Low nibble of the version byte of a wave frame."""

    NONE = 0
    BACKFILL = 1
    CLOCK_UNSYNCHRONISED = 2
    TEST = 4
    CRC = 8


class MonitorStatus(IntFlag):
    """Status byte of a wave frame: what the fetal monitor says of itself."""

    NONE = 0
    ON = 1
    TELEMETRY = 2
    COINCIDENCE = 4
    MOVEMENT_PROFILE = 8
    TWIN_OFFSET = 16
    TICKS_INSERTED = 32
    TICKS_DELETED = 64
    DECG_LOGIC = 128


@dataclass(frozen=True, slots=True, eq=False)
class ChannelSamples:
    """One channel of a wave frame, exactly as it stands on the wire.

    `raw` holds the words of the wire, shape (n_ticks,): uint16 heart-rate words,
    uint8 for toco and FSpO2, int16 for IUP.  `hub.wire.to_values` turns them into
    bpm, monitor units, mmHg or %, with NaN for signal loss.
    """

    channel: Channel
    transducer: Transducer
    is_inop: bool
    raw: npt.NDArray[np.uint16] | npt.NDArray[np.uint8] | npt.NDArray[np.int16]


@dataclass(frozen=True, slots=True, eq=False)
class WaveFrame:
    """One decoded wave frame of one bed; (site, bed, epoch, seq) is its identity."""

    site: str
    bed: str
    epoch: int
    seq: int
    t0_ms: int
    period_ms: int
    n_ticks: int
    flags: FrameFlag
    status: MonitorStatus
    channels: tuple[ChannelSamples, ...]

    @property
    def end_ms(self) -> int:
        """Time at which the last tick of the frame ends, Unix ms UTC on the site's clock."""
        return self.t0_ms + self.n_ticks * self.period_ms


class Lane(StrEnum):
    """How a frame travelled: live, or filled in later."""

    LIVE = "live"
    FILL = "fill"


@dataclass(frozen=True, slots=True)
class WaveEntry:
    """One wave frame inside a wave batch, as bytes, with the time it reached the hub."""

    site: str
    bed: str
    arrived_ms: int
    payload: bytes
