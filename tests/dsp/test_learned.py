"""The learned detector: live and whole agree, and without its weights there is none."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.dsp.false_signal_features import N_FEATURES, FeatureStream
from hub.dsp.false_signal_pieces import listen_to_pieces
from hub.dsp.learned import (
    LIVE_DELAY,
    REVISED_DELAY,
    AlongStream,
    LearnedStream,
    estimate_learned,
    load_network,
)
from hub.dsp.network import (
    AFTER_STEPS,
    CHUNK_STEPS,
    LIVE_AHEAD,
    REVISED_AHEAD,
    Hindsight,
    Network,
    RecurrentStream,
)
from hub.dsp.running import Float32Array
from hub.model import FloatArray

MIN = 240
N = 12 * MIN


def draw_network(n_units: int = 6, width: int = 4) -> Network:
    rng = np.random.default_rng(0)

    def draw(*shape: int) -> Float32Array:
        return rng.normal(0, 0.3, shape).astype(np.float32)

    arrays: dict[str, Float32Array] = {}
    for k, n_inputs in enumerate((N_FEATURES, n_units)):
        arrays |= {f"gru{k}.input": draw(n_inputs, 3 * n_units), f"gru{k}.input_bias": draw(3 * n_units)}
        arrays |= {f"gru{k}.state": draw(n_units, 3 * n_units), f"gru{k}.state_bias": draw(3 * n_units)}
    for name, distances in (("now", ()), ("live", LIVE_AHEAD), ("revised", REVISED_AHEAD)):
        arrays |= {f"{name}.project": draw(n_units + N_FEATURES, width), f"{name}.project_bias": draw(width)}
        arrays |= {f"{name}.output": draw(width, 8), f"{name}.output_bias": draw(8)}
        for k in range(len(distances)):
            arrays |= {f"{name}.ahead{k}": draw(2 * width, width), f"{name}.ahead{k}_bias": draw(width)}
    return Network.from_arrays(arrays)


def draw_hindsight(n_units: int = 5, width: int = 4) -> Hindsight:
    rng, n_joined = np.random.default_rng(1), N_FEATURES + 6
    shapes = {
        "project": (n_joined, width), "project_bias": (width,),
        "backward.input": (width, 3 * n_units), "backward.input_bias": (3 * n_units,),
        "backward.state": (n_units, 3 * n_units), "backward.state_bias": (3 * n_units,),
        "join": (n_joined + n_units, width), "join_bias": (width,),
        "middle": (width, width), "middle_bias": (width,), "output": (width, 8), "output_bias": (8,),
    }  # fmt: skip
    arrays = {name: rng.normal(0, 0.5, shape).astype(np.float32) for name, shape in shapes.items()}
    arrays["backward.input_bias"][n_units : 2 * n_units] += 5  # it remembers for minutes
    return Hindsight.from_arrays(arrays)


def draw_both() -> Network:
    return replace(draw_network(), hindsight=draw_hindsight())


def traces(n: int = N, n_beds: int = 2) -> tuple[FloatArray, FloatArray, FloatArray]:
    rng = np.random.default_rng(3)
    time_s = np.arange(n) / 4
    fhr = 140 + 10 * np.sin(time_s / 40) + rng.normal(0, 2, (n_beds, n))
    mhr = 85 + 5 * np.sin(time_s / 70) + rng.normal(0, 1, (n_beds, n))
    toco = 20 + 15 * np.sin(time_s / 60) + rng.normal(0, 1, (n_beds, n))
    fhr[:, n // 2 : n // 2 + 400] = mhr[:, n // 2 : n // 2 + 400]
    fhr[rng.random((n_beds, n)) < 0.05] = np.nan
    return fhr, mhr, toco


@settings(max_examples=10, deadline=None)
@given(cuts=st.lists(st.integers(0, N // 8), max_size=6))
def test_how_the_stream_is_cut_does_not_matter(cuts: list[int]):
    network, signals = draw_network(), traces()
    whole = LearnedStream(network, 2).push(*signals)
    stream, at = LearnedStream(network, 2), [0, *sorted(cuts), N // 8]
    parts = [stream.push(*(x[:, 8 * a : 8 * b] for x in signals)) for a, b in pairwise(at)]
    for name in ("now", "live", "revised"):
        joined = np.concatenate([getattr(part, name) for part in parts], axis=1)
        np.testing.assert_allclose(joined, getattr(whole, name), atol=1e-5)


def test_hindsight_says_all_of_what_is_revised_and_nothing_of_what_is_live():
    alone, hindsight, signals = draw_network(), draw_hindsight(), traces()
    features = np.ascontiguousarray(FeatureStream(2).push(*signals).swapaxes(0, 1))
    joined = RecurrentStream(alone, 2).push(features)
    prepared = hindsight.prepare(joined)
    chunks = []
    for k in range(0, len(joined), CHUNK_STEPS):
        end = k + CHUNK_STEPS
        chunks.append(hindsight.decide(joined[k:end], prepared[k:end], prepared[end : end + AFTER_STEPS]))
    logits = np.concatenate(chunks).swapaxes(0, 1).reshape(2, N).astype(np.float64)
    expected = 1 / (1 + np.exp(-listen_to_pieces(logits, signals[0], 8 * CHUNK_STEPS)))
    at, both = np.isfinite(signals[0]), replace(alone, hindsight=hindsight)
    found = estimate_learned(both, *signals)
    np.testing.assert_allclose(found[at], expected[at], atol=1e-5)
    live = [estimate_learned(network, *signals, is_revised=False) for network in (alone, both)]
    np.testing.assert_array_equal(live[0], live[1])


def test_hindsight_makes_use_of_what_follows_up_to_the_end_of_the_record():
    fhr, mhr, toco = traces()
    before = estimate_learned(draw_both(), fhr, mhr, toco)
    fhr[:, -40:], mhr[:, -40:] = 60, 60
    after = estimate_learned(draw_both(), fhr, mhr, toco)
    changed = np.nan_to_num(np.abs(before - after)).max(axis=0)
    assert changed[-240:-40].max() > 1e-3
    assert (changed[: N - 40 - REVISED_DELAY - 8] < 1e-6).all()


def test_a_whole_record_reads_as_the_stream_left_it():
    network, signals = draw_network(), traces()
    streamed = LearnedStream(network, 2).push(*signals)
    assert streamed.revised is not None
    whole = estimate_learned(network, *signals)
    expected = np.concatenate(
        (
            streamed.revised[:, REVISED_DELAY:],
            streamed.live[:, N - REVISED_DELAY + LIVE_DELAY :],
            streamed.now[:, -LIVE_DELAY:],
        ),
        axis=1,
    )
    at = np.isfinite(signals[0])
    np.testing.assert_allclose(whole[at], expected[at], atol=1e-5)


def test_a_delayed_answer_is_missing_until_its_sample_is_there():
    decided = LearnedStream(draw_network(), 2).push(*traces())
    assert decided.revised is not None
    for answer, delay in ((decided.now, 0), (decided.live, LIVE_DELAY), (decided.revised, REVISED_DELAY)):
        assert np.isnan(answer[:, :delay]).all()
        assert np.isfinite(answer[:, delay:]).all()


def test_beds_may_be_taken_out_of_step_and_put_back():
    network, signals = draw_network(), traces()
    cut = 1000
    first, second = [x[:, :cut] for x in signals], [x[:, cut:] for x in signals]
    together = LearnedStream(network, 2)
    together.push(*first)
    expected = together.push(*second)
    stream = LearnedStream(network, 2)
    stream.push(*first)
    late = stream.select(np.array([1]))
    early = stream.select(slice(0, 1))
    answers = [bed.push(*(x[k : k + 1] for x in second)) for k, bed in enumerate((early, late))]
    np.testing.assert_allclose([a.live[0] for a in answers], expected.live, atol=1e-5)
    stream.store(np.array([1]), late)
    stream.store(slice(0, 1), early)
    again = [stream.push(*signals).live, together.push(*signals).live]
    np.testing.assert_allclose(again[0], again[1], atol=1e-5)


def test_a_bed_that_begins_anew_forgets_everything():
    network, signals = draw_network(), traces()
    expected = LearnedStream(network, 2).push(*signals)
    stream = LearnedStream(network, 2)
    stream.push(*(x[:, :1000] for x in signals))
    stream.reset(np.array([1]))
    found = stream.push(*signals)
    np.testing.assert_allclose(found.live[1], expected.live[1], atol=1e-5)
    assert np.nanmax(np.abs(found.live[0] - expected.live[0])) > 1e-3


def test_without_the_slow_head_nothing_is_revised():
    network, signals = draw_network(), traces()
    quick, full = (LearnedStream(network, 2, is_revised=x).push(*signals) for x in (False, True))
    assert quick.revised is None
    np.testing.assert_array_equal(quick.live, full.live)


def test_live_only_never_waits_longer_than_30_s():
    network, (fhr, mhr, toco) = draw_network(), traces()
    before = estimate_learned(network, fhr, mhr, toco, is_revised=False)
    cut = 6 * MIN
    fhr[:, cut:], mhr[:, cut:] = 60, 60
    after = estimate_learned(network, fhr, mhr, toco, is_revised=False)
    np.testing.assert_allclose(before[:, : cut - 120], after[:, : cut - 120], atol=1e-6)
    assert np.nanmax(np.abs(before[:, cut - 100 : cut] - after[:, cut - 100 : cut])) > 1e-6


@pytest.mark.parametrize("network", [draw_network(), draw_both()], ids=["head", "hindsight"])
@pytest.mark.parametrize("cut", [1801, 2100, 2401, 2800])
def test_revised_never_waits_longer_than_300_s(network: Network, cut: int):
    fhr, mhr, toco = traces()
    fhr[:, cut - 3 : cut + 1] = 200  # a spike, were it not for what follows
    before = estimate_learned(network, fhr, mhr, toco)
    fhr[:, cut:], mhr[:, cut:] = 60, 60
    after = estimate_learned(network, fhr, mhr, toco)
    np.testing.assert_allclose(before[:, : cut - 1200], after[:, : cut - 1200], atol=1e-6)
    shorter = estimate_learned(network, *(x[:, :cut] for x in (fhr, mhr, toco)))
    np.testing.assert_allclose(before[:, : cut - 1200], shorter[:, : cut - 1200], atol=1e-5)


def test_lost_samples_have_no_probability_and_others_have_one():
    network, (fhr, mhr, toco) = draw_network(), traces()
    found = estimate_learned(network, fhr, mhr, toco)
    assert found.shape == fhr.shape
    np.testing.assert_array_equal(np.isnan(found), np.isnan(fhr))
    assert ((found >= 0) & (found <= 1))[np.isfinite(found)].all()


@pytest.mark.parametrize("network", [draw_network(), draw_both()], ids=["head", "hindsight"])
def test_a_bed_does_not_know_of_the_others(network: Network):
    signals = traces()
    together = estimate_learned(network, *signals)
    alone = estimate_learned(network, *(x[1:] for x in signals))
    np.testing.assert_allclose(together[1], alone[0], atol=1e-5)


@pytest.mark.parametrize("network", [draw_network(), draw_both()], ids=["head", "hindsight"])
@pytest.mark.parametrize("n", [0, 3, 8, 90, 600, 601, 1000])
def test_short_records_are_read_too(network: Network, n: int):
    signals = [x[:, :n] for x in traces()]
    np.testing.assert_array_equal(np.isfinite(estimate_learned(network, *signals)), np.isfinite(signals[0]))


def test_without_the_file_there_is_no_network(tmp_path: Path):
    assert load_network(tmp_path / "absent.npz") is None


def test_a_file_of_something_else_is_an_error(tmp_path: Path):
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    with pytest.raises(KeyError):
        load_network(tmp_path / "other.npz")


def test_a_trace_along_the_maternal_rate_is_flagged_within_15_s_whatever_the_network_says():
    network, (fhr, mhr, toco) = draw_network(), traces(6 * MIN)
    blind = replace(network, now=replace(network.now, output_bias=np.full(8, -50, np.float32)))
    begin = 6 * MIN - 60
    fhr[:, begin:] = mhr[:, begin:] + 1
    found = estimate_learned(blind, fhr, mhr, toco)
    assert (found[:, -4:] >= 0.5).all()
    assert np.nanmax(found[:, begin - 40 : begin]) < 0.5


def test_a_trace_that_crosses_the_maternal_rate_is_not_along_it():
    mhr = np.full((1, 4 * MIN), 90.0)
    fhr = np.concatenate((np.linspace(150, 60, 2 * MIN), np.linspace(60, 150, 2 * MIN)))[None]
    assert not AlongStream(1).push(fhr, mhr).any()
