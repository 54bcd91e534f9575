"""Where an update of a live fetus may begin: at minutes that cut nothing in two."""

from typing import Final

import numpy as np
import numpy.typing as npt

from hub.dsp import rules
from hub.dsp.past import MINUTE, Busy
from hub.model import FS_HZ, BoolArray

EVENT_BEFORE_S: Final = 35.0
EVENT_BEHIND_S: Final = 15.0
BRIDGED_BEFORE_S: Final = 120.0
BRIDGED_BEHIND_S: Final = 30.0
"""Near an event no update should begin: its onset is searched back, and a shoulder looks for it; nor near a
long fall that the baseline is drawn across, because the line on either side leans on it."""


def find_places(is_lost: BoolArray, is_event: BoolArray, is_bridged: BoolArray) -> npt.NDArray[np.uint8]:
    """Say of each whole minute, from the end of the first on, whether it lies in or near something.

    Parameters
    ----------
    is_lost, is_event, is_bridged : ndarray of bool, shape (n_rows, n_samples)
        Lost signal, events, and where the path of the baseline is drawn across an event.

    Returns
    -------
    ndarray of uint8, shape (n_rows, n_minutes)
        Values of `Busy`.
    """
    n = is_lost.shape[-1]
    minutes = np.arange(MINUTE, n + 1, MINUTE)

    def is_around(mask: BoolArray, behind_s: float, before_s: float) -> BoolArray:
        return _count_around(mask, minutes, round(behind_s * FS_HZ), round(before_s * FS_HZ)) > 0

    is_near = is_around(is_event, EVENT_BEHIND_S, EVENT_BEFORE_S)
    is_near |= is_around(is_bridged, BRIDGED_BEHIND_S, BRIDGED_BEFORE_S)
    # A gap is joined across when it is short, so only the middle of a long one is a place to begin.
    beside = round(rules.MAX_BRIDGE_S.value * FS_HZ)
    width = (minutes + beside).clip(None, n) - (minutes - beside)
    is_in_long = _count_around(is_lost, minutes, beside, beside) == width
    is_in_gap = (_count_around(is_lost, minutes, 1, 1) > 0) & ~is_in_long
    is_inside = is_in_gap | (_count_around(is_event | is_bridged, minutes, 1, 1) > 0)
    busy = np.where(is_inside, Busy.INSIDE, np.where(is_near, Busy.NEAR, Busy.FREE))
    return busy.astype(np.uint8)


def _count_around(mask: BoolArray, at: npt.NDArray[np.int64], back: int, on: int) -> npt.NDArray[np.int32]:
    """Count what is marked from `back` ticks before to `on` ticks behind some places, per row."""
    n = mask.shape[-1]
    total = np.zeros((mask.shape[0], n + 1), np.int32)
    np.cumsum(mask, axis=-1, out=total[:, 1:])
    return np.asarray(total[:, (at + on).clip(None, n)] - total[:, (at - back).clip(0)])
