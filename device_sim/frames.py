"""Samples of a source into the wave frames of one bed: one second of four ticks each."""

import numpy as np
import numpy.typing as npt

from device_sim.signals import SignalSource
from hub.model import (
    GRID_MS,
    Channel,
    FloatArray,
    FrameFlag,
    MonitorStatus,
    SignalQuality,
    Transducer,
    WaveFrame,
)
from hub.wire import encode_wave, samples_from_values

TICKS = 4
FRAME_MS = TICKS * GRID_MS
_FETAL = (Channel.FHR1, Channel.FHR2, Channel.FHR3)


class FrameMaker:
    """The frames of one epoch of one bed; frame `seq` holds the second `seq` of the source."""

    def __init__(self, site: str, bed: str, epoch: int, source: SignalSource) -> None:
        self.site = site
        self.bed = bed
        self.epoch = epoch
        self._source = source

    def make(self, seq: int, t0_ms: int) -> bytes:
        """Encode one second; marked as test data, as all that the simulator sends."""
        signals = self._source.samples(seq * TICKS, (seq + 1) * TICKS)
        status = MonitorStatus.ON
        movement: npt.ArrayLike = 0
        if signals.movement is not None:
            status |= MonitorStatus.MOVEMENT_PROFILE
            movement = signals.movement.astype(np.uint8)
        channels = [
            samples_from_values(
                channel,
                rate,
                transducer=Transducer.ULTRASOUND,
                quality=_judge_quality(rate),
                # The device reports movements with the first fetus only.
                movement=movement if channel is Channel.FHR1 else 0,
            )
            for channel, rate in zip(_FETAL, signals.fhr, strict=False)
        ]
        if signals.mhr is not None:
            channels.append(
                samples_from_values(
                    Channel.MHR,
                    signals.mhr,
                    transducer=Transducer.EXTERNAL,
                    quality=_judge_quality(signals.mhr),
                )
            )
        if signals.toco is not None:
            channels.append(samples_from_values(Channel.TOCO, signals.toco, transducer=Transducer.EXTERNAL))
        return encode_wave(
            WaveFrame(
                site=self.site,
                bed=self.bed,
                epoch=self.epoch,
                seq=seq,
                t0_ms=t0_ms,
                period_ms=GRID_MS,
                n_ticks=TICKS,
                flags=FrameFlag.TEST,
                status=status,
                channels=tuple(channels),
            )
        )


def _judge_quality(rate: FloatArray) -> npt.NDArray[np.uint8]:
    """Red where the signal is lost, yellow beside it within the same second, green elsewhere."""
    lost = np.isnan(rate)
    heard = SignalQuality.YELLOW if lost.any() else SignalQuality.GREEN
    return np.where(lost, np.uint8(SignalQuality.RED), np.uint8(heard))
