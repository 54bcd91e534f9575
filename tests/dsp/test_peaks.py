"""Peaks and running sums are those that SciPy finds."""

import numpy as np
import pytest
from scipy import signal

from device_sim.records import list_shipped, read_shipped
from hub.dsp.peaks import find_peaks
from hub.dsp.running import STEP_S, RunningSums

CURVES = {
    "noise": np.random.default_rng(1).normal(size=3000),
    "steps": np.random.default_rng(2).integers(0, 4, 3000).astype(float),
    "slow": np.cumsum(np.random.default_rng(3).normal(size=3000)),
    "holes": np.where(np.arange(3000) % 97 < 5, np.nan, np.sin(np.arange(3000) / 20)),
    "flat": np.zeros(50),
}
for name in list_shipped()[:4]:
    toco = read_shipped(name).toco
    assert toco is not None
    CURVES[name] = np.nan_to_num(toco, nan=-1.0)


@pytest.mark.parametrize("name", CURVES)
@pytest.mark.parametrize(("prominence", "distance", "rel_height"), [(0.5, 1, 0.5), (2.0, 25.3, 0.8)])
def test_peaks_are_those_of_scipy(name: str, prominence: float, distance: float, rel_height: float):
    curve = CURVES[name]
    found = find_peaks(curve, prominence=prominence, distance=distance, rel_height=rel_height)
    at, known = signal.find_peaks(
        curve, prominence=prominence, distance=distance, width=0, rel_height=rel_height
    )
    np.testing.assert_array_equal(found.at, at)
    np.testing.assert_array_equal(found.prominence, known["prominences"])
    np.testing.assert_allclose(found.left, known["left_ips"], rtol=0, atol=1e-9)
    np.testing.assert_allclose(found.right, known["right_ips"], rtol=0, atol=1e-9)


def test_running_sums_are_those_of_scipy_to_the_bit():
    quantities = np.random.default_rng(4).uniform(-200, 200, (7, 3, 500)).astype(np.float32)
    sums = RunningSums(7, 3, memory_s=60.0)
    pushed = np.concatenate(
        [sums.push(part) for part in np.split(quantities, [1, 6, 6, 300], axis=-1)], axis=-1
    )
    kept = np.float32(np.exp(-STEP_S / 60.0))
    b, a = np.array([1 - kept], np.float32), np.array([1, -kept], np.float32)
    np.testing.assert_array_equal(pushed, signal.lfilter(b, a, quantities, axis=-1))
    assert pushed.dtype == np.float32
