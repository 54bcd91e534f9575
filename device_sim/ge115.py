"""A GE Corometrics monitor in its Model 115 Update mode as bytes: it sends and never listens.  Pure."""

from typing import Final

import numpy as np

from device_sim.signals import SignalSource

_MODES_EVERY_TICKS: Final = 240


class Ge115Monitor:
    """One monitor; `tick` is called four times a second while it has power."""

    def __init__(self, source: SignalSource) -> None:
        self._source = source
        self._n_ticks = 0
        self.n_blocks = 0
        """Heart rates sent so far."""

    def power_on(self) -> bytes:
        """Send the modes, as at every start."""
        return _message("b", "AA")

    def hear(self, data: bytes) -> bytes:
        """Ignore what comes."""
        del data
        return b""

    def tick(self) -> bytes:
        """Give what is sent in 250 ms: two of uterine activity, the rates, the movement."""
        signals = self._source.samples(self._n_ticks, self._n_ticks + 1)
        self._n_ticks += 1
        self.n_blocks += 1
        out = _message("b", "AA") if self._n_ticks % _MODES_EVERY_TICKS == 0 else b""
        toco = np.nan if signals.toco is None else signals.toco[0]
        out += 2 * _message("a", "128" if np.isnan(toco) else f"{round(min(max(toco, 0), 127)):02d}")
        moves = "2" if signals.movement is None else str(int(signals.movement[0]))
        out += _message("f", moves)
        if len(signals.fhr) > 1:
            out += _message("e", _digits(signals.fhr[1, 0]))
        return out + _message("`", _digits(signals.fhr[0, 0]))

    def skip(self) -> None:
        """Let 250 ms go by without power."""
        self._n_ticks += 1


def _message(kind: str, text: str) -> bytes:
    return f"9{kind}0{text}\x03".encode("ascii")


def _digits(rate: float) -> str:
    return "00" if np.isnan(rate) else f"{round(rate):02d}"
