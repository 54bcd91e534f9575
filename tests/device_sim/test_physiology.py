import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device_sim.physiology import Fetus, Mother, Patient, PatientModel, SignalLoss, Variability
from device_sim.scenarios import SCENARIOS, scenario_signals, scenario_source
from device_sim.signals import Signals

MINUTE = 240


def join(parts: list[Signals]) -> Signals:
    return Signals(
        fhr=np.concatenate([p.fhr for p in parts], axis=1),
        toco=np.concatenate([p.toco for p in parts if p.toco is not None]),
        mhr=np.concatenate([p.mhr for p in parts if p.mhr is not None]),
        movement=np.concatenate([p.movement for p in parts if p.movement is not None]),
    )


def assert_same(one: Signals, other: Signals) -> None:
    for name in ("fhr", "toco", "mhr", "movement"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)


@settings(max_examples=25, deadline=None)
@given(
    name=st.sampled_from(sorted(SCENARIOS)),
    cuts=st.lists(st.integers(min_value=1, max_value=5 * MINUTE - 1), max_size=12, unique=True),
)
def test_how_the_stream_is_chopped_does_not_matter(name: str, cuts: list[int]) -> None:
    whole = scenario_source(name, seed=7).samples(0, 5 * MINUTE)
    source = scenario_source(name, seed=7)
    edges = [0, *sorted(cuts), 5 * MINUTE]
    parts = [source.samples(a, b) for a, b in itertools.pairwise(edges)]
    assert_same(join(parts), whole)


def test_any_minute_can_be_had_without_the_ones_before_it() -> None:
    whole = scenario_signals("variable_mild", seed=3, duration_s=3600)
    late = scenario_source("variable_mild", seed=3).samples(50 * MINUTE + 17, 52 * MINUTE)
    np.testing.assert_array_equal(late.fhr, whole.fhr[:, 50 * MINUTE + 17 : 52 * MINUTE])


def test_the_caller_may_overwrite_what_it_was_given() -> None:
    source = scenario_source("reassuring", seed=1)
    first = source.samples(0, 8)
    first.fhr[:] = -1.0
    assert (source.samples(0, 8).fhr > 0).all()


def test_another_seed_is_another_patient() -> None:
    one = scenario_signals("reassuring", seed=1, duration_s=600).fhr
    other = scenario_signals("reassuring", seed=2, duration_s=600).fhr
    assert np.nanmean(np.abs(one - other)) > 1.0


def test_values_lie_on_the_steps_of_the_wire() -> None:
    signals = scenario_signals("second_stage", seed=5, duration_s=1200)
    assert signals.toco is not None
    assert signals.mhr is not None
    fhr = signals.fhr[np.isfinite(signals.fhr)]
    np.testing.assert_array_equal(fhr * 4, np.rint(fhr * 4))
    np.testing.assert_array_equal(signals.mhr * 4, np.rint(signals.mhr * 4))
    np.testing.assert_array_equal(signals.toco * 2, np.rint(signals.toco * 2))
    assert signals.toco.min() >= 0.0
    assert signals.toco.max() <= 127.0


@pytest.mark.parametrize("amplitude_bpm", [0.5, 3.2, 12.0, 38.0])
def test_variability_has_the_amplitude_asked_for(amplitude_bpm: float) -> None:
    fetus = Fetus(variability=Variability(amplitude_bpm=amplitude_bpm), wander_bpm=0.0, loss=None)
    medians = []
    for seed in range(8):
        fhr = PatientModel(Patient(fetuses=(fetus,)), seed).samples(0, 20 * MINUTE).fhr[0]
        medians.append(np.median(np.ptp(fhr.reshape(-1, MINUTE), axis=1)))
    assert np.median(medians) == pytest.approx(amplitude_bpm, rel=0.15, abs=0.3)


def test_the_share_of_lost_signal_follows_from_the_gaps_asked_for() -> None:
    fetus = Fetus(loss=SignalLoss(every_s=20.0, shortest_s=4.0, longest_s=6.0))
    fhr = PatientModel(Patient(fetuses=(fetus,)), 11).samples(0, 60 * MINUTE).fhr[0]
    assert np.isnan(fhr).mean() == pytest.approx(5.0 / 20.0, rel=0.15)


def test_a_mother_without_a_maternal_channel_has_none() -> None:
    mother = dataclasses.replace(Mother(), has_mhr=False)
    assert PatientModel(Patient(mother=mother), 0).samples(0, 4).mhr is None


def test_the_maternal_rate_rises_with_pushing() -> None:
    signals = scenario_signals("second_stage", seed=2, duration_s=1800)
    assert signals.mhr is not None
    assert signals.toco is not None
    in_contraction, at_rest = signals.toco > 50, signals.toco < 16
    assert signals.mhr[in_contraction].mean() - signals.mhr[at_rest].mean() > 12.0


@pytest.mark.parametrize(("start", "stop"), [(-1, 4), (4, 4), (8, 4)])
def test_a_span_that_is_none_is_refused(start: int, stop: int) -> None:
    with pytest.raises(ValueError, match="expected 0 <= start < stop"):
        scenario_source("reassuring", seed=0).samples(start, stop)


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(ValueError, match="seed must not be negative"):
        PatientModel(Patient(), -1)
