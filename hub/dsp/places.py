"""Where an update of a live fetus may not begin: at minutes that cut something in two."""

import numpy as np
import numpy.typing as npt

from hub.dsp import rules
from hub.dsp.past import MINUTE
from hub.model import FS_HZ, BoolArray


def find_cuts(is_lost: BoolArray, is_event: BoolArray) -> BoolArray:
    """Say of each whole minute, from the end of the first on, whether it lies inside something.

    Parameters
    ----------
    is_lost, is_event : ndarray of bool, shape (n_rows, n_samples)
        Lost signal; events, and where the path of the baseline is drawn across one.

    Returns
    -------
    ndarray of bool, shape (n_rows, n_minutes)
        True inside an event, and inside or beside a gap but for the middle of a long one: a short
        gap is joined across.
    """
    n = is_lost.shape[-1]
    minutes = np.arange(MINUTE, n + 1, MINUTE)
    beside = round(rules.MAX_BRIDGE_S.value * FS_HZ)
    width = (minutes + beside).clip(None, n) - (minutes - beside)
    is_in_long = _count_around(is_lost, minutes, beside) == width
    is_in_gap = (_count_around(is_lost, minutes, 1) > 0) & ~is_in_long
    is_inside: BoolArray = is_in_gap | (_count_around(is_event, minutes, 1) > 0)
    return is_inside


def _count_around(mask: BoolArray, at: npt.NDArray[np.int64], reach: int) -> npt.NDArray[np.int32]:
    """Count what is marked from `reach` ticks before to as many behind some places, per row."""
    n = mask.shape[-1]
    total = np.zeros((mask.shape[0], n + 1), np.int32)
    np.cumsum(mask, axis=-1, out=total[:, 1:])
    return np.asarray(total[:, (at + reach).clip(None, n)] - total[:, (at - reach).clip(0)])
