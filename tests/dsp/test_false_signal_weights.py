"""The shipped weights do what they were trained for, on signals they were not trained on."""

import sys
from functools import cache

import numpy as np
import pytest

from device_sim.records import list_shipped, read_shipped
from device_sim.scenarios import SCENARIOS, scenario_signals
from hub.dsp import analyse
from hub.dsp.false_signal import estimate_false_signal
from hub.dsp.false_signal_features import N_FEATURES
from hub.dsp.learned import HINDSIGHT, WEIGHTS, LearnedStream, estimate_learned, load_network
from hub.dsp.network import Network
from hub.dsp.suspicion import join_learned
from hub.model import FloatArray

MIN = 240
CAPTURE = slice(20 * MIN, 25 * MIN)


def shipped() -> Network:
    network = load_network()
    if network is None:
        pytest.skip("the weights were left out")
    return network


def judge(fhr: FloatArray, mhr: FloatArray, toco: FloatArray) -> FloatArray:
    signals = (fhr[None], mhr[None], toco[None])
    learned = estimate_learned(shipped(), *signals)
    probability: FloatArray = join_learned(
        estimate_false_signal(*signals[:2]), learned, *signals[:2]
    ).probability[0]
    return probability


@cache
def play(name: str) -> tuple[FloatArray, FloatArray, FloatArray]:
    signals = scenario_signals(name, seed=4, duration_s=2400)
    assert signals.mhr is not None
    assert signals.toco is not None
    return signals.fhr[0], signals.mhr, signals.toco


def captured(name: str = "reassuring") -> tuple[FloatArray, FloatArray, FloatArray]:
    """Five minutes in which the probe follows the mother, with a beat-to-beat jitter of its own."""
    fhr, mhr, toco = (x.copy() for x in play(name))
    jitter = np.random.default_rng(0).normal(0, 1, fhr.size)
    fhr[CAPTURE] = mhr[CAPTURE] + jitter[CAPTURE]
    return fhr, mhr, toco


def test_the_weights_files_are_small_and_fit_the_features():
    network = shipped()
    assert WEIGHTS.stat().st_size < 500_000
    if network.hindsight is not None:
        assert HINDSIGHT.stat().st_size < 250_000
        assert network.hindsight.project.shape[0] == network.now.project.shape[0]
    assert network.recurrent[0].input.shape[0] == N_FEATURES
    assert network.now.project.shape[0] == network.recurrent[1].n_units + N_FEATURES


@pytest.mark.parametrize("is_mother_known", [True, False])
def test_the_mother_taken_for_the_fetus_is_found(is_mother_known: bool):
    fhr, mhr, toco = captured()
    found = judge(fhr, mhr if is_mother_known else np.full_like(mhr, np.nan), toco) >= 0.5
    valid = np.isfinite(fhr)
    assert found[CAPTURE][valid[CAPTURE]].mean() > 0.95
    outside = valid.copy()
    outside[CAPTURE] = False
    assert found[outside].mean() < 0.01


def test_a_capture_is_flagged_within_15_s_where_the_mother_is_known():
    fhr, mhr, toco = captured()
    stream = LearnedStream(shipped(), 1)
    end = CAPTURE.start + 15 * 4 // 8 * 8
    now = stream.push(*(x[None, :end] for x in (fhr, mhr, toco))).now[0]
    assert (now[CAPTURE.start :] >= 0.5).any()


@pytest.mark.parametrize("name", sorted(set(SCENARIOS) - {"maternal_capture"}))
def test_no_pattern_of_the_fetus_is_taken_for_the_mother(name: str):
    fhr, mhr, toco = play(name)
    assert (judge(fhr, mhr, toco)[np.isfinite(fhr)] >= 0.5).mean() < 0.01


def test_a_fall_to_a_bradycardia_stays_though_no_mother_is_known():
    fhr, _, toco = (x.copy() for x in play("reassuring"))
    fhr[20 * MIN :] -= np.clip((np.arange(fhr.size - 20 * MIN)) / (40 * 4), 0, 1) * 70
    found = judge(fhr, np.full_like(fhr, np.nan), toco)
    assert (found[20 * MIN :][np.isfinite(fhr[20 * MIN :])] >= 0.5).mean() < 0.01


@pytest.mark.parametrize("name", list_shipped())
def test_most_of_a_real_recording_is_believed(name: str):
    record = read_shipped(name)
    fhr = np.atleast_2d(record.fhr)[0].astype(np.float64)
    toco = np.full_like(fhr, np.nan) if record.toco is None else record.toco.astype(np.float64)
    found = judge(fhr, np.full_like(fhr, np.nan), toco)
    assert (found[np.isfinite(fhr)] >= 0.5).mean() < 0.1


def test_rules_alone_judge_where_that_is_asked_for():
    fhr, mhr, toco = captured()
    unknown = np.full_like(mhr, np.nan)
    learned, by_rules = (analyse(fhr, toco, unknown, use_learned=x).false_signal for x in (True, False))
    assert (learned[CAPTURE] >= 0.5).mean() > 0.9
    assert (by_rules[CAPTURE] >= 0.5).mean() < 0.1


def test_without_the_weights_rules_alone_judge(monkeypatch: pytest.MonkeyPatch):
    fhr, mhr, toco = captured()
    by_rules = analyse(fhr, toco, mhr, use_learned=False)
    monkeypatch.setattr(sys.modules["hub.dsp.analyse"], "load_network", lambda: None)
    np.testing.assert_array_equal(analyse(fhr, toco, mhr).false_signal, by_rules.false_signal)
