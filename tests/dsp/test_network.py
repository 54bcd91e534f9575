"""The network in NumPy says what its equations say, however the steps come in."""

import math
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.dsp.network import (
    AFTER_STEPS,
    CHUNK_STEPS,
    LIVE_AHEAD,
    REVISED_AHEAD,
    Head,
    HeadStream,
    Hindsight,
    Network,
    RecurrentLayer,
    RecurrentStream,
)
from hub.dsp.running import Float32Array


def logistic(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def draw_layer(rng: np.random.Generator, n_inputs: int, n_units: int) -> RecurrentLayer:
    shapes = ((n_inputs, 3 * n_units), (3 * n_units,), (n_units, 3 * n_units), (3 * n_units,))
    return RecurrentLayer(*(rng.normal(0, 0.6, shape).astype(np.float32) for shape in shapes))


def draw_head(rng: np.random.Generator, n_joined: int, distances: tuple[int, ...], width: int = 4) -> Head:
    def draw(*shape: int) -> Float32Array:
        return rng.normal(0, 0.6, shape).astype(np.float32)

    ahead = tuple((d, draw(2 * width, width), draw(width)) for d in distances)
    return Head(draw(n_joined, width), draw(width), ahead, draw(width, 8), draw(8))


def draw_hindsight(rng: np.random.Generator, n_joined: int, width: int = 4, n_units: int = 5) -> Hindsight:
    def draw(*shape: int) -> Float32Array:
        return rng.normal(0, 0.6, shape).astype(np.float32)

    return Hindsight(
        project=draw(n_joined, width),
        project_bias=draw(width),
        backward=draw_layer(rng, width, n_units),
        join=draw(n_joined + n_units, width),
        join_bias=draw(width),
        middle=draw(width, width),
        middle_bias=draw(width),
        output=draw(width, 8),
        output_bias=draw(8),
    )


def draw_network(seed: int = 0, n_features: int = 6, n_units: int = 5) -> Network:
    rng = np.random.default_rng(seed)
    return Network(
        recurrent=(draw_layer(rng, n_features, n_units), draw_layer(rng, n_units, n_units)),
        now=draw_head(rng, n_units + n_features, ()),
        live=draw_head(rng, n_units + n_features, LIVE_AHEAD),
        revised=draw_head(rng, n_units + n_features, REVISED_AHEAD),
    )


def steps(n_steps: int, n_beds: int = 3, n_features: int = 6) -> Float32Array:
    return np.random.default_rng(1).normal(0, 1, (n_steps, n_beds, n_features)).astype(np.float32)


def test_one_unit_follows_its_equations_by_hand():
    layer = RecurrentLayer(
        input=np.array([[0.5, -0.3, 0.8]], np.float32),
        input_bias=np.array([0.1, 0.2, -0.1], np.float32),
        state=np.array([[0.4, 0.7, -0.6]], np.float32),
        state_bias=np.array([-0.2, 0.05, 0.3], np.float32),
    )
    h = 0.25
    expected = []
    for x in (1.0, -2.0, 0.5):
        reset = logistic(0.5 * x + 0.1 + 0.4 * h - 0.2)
        update = logistic(-0.3 * x + 0.2 + 0.7 * h + 0.05)
        candidate = math.tanh(0.8 * x - 0.1 + reset * (-0.6 * h + 0.3))
        h = update * h + (1 - update) * candidate
        expected.append(h)
    x_all = np.array([1.0, -2.0, 0.5], np.float32).reshape(3, 1, 1)
    states = layer.run(x_all, np.array([[0.25]], np.float32))
    np.testing.assert_allclose(states[:, 0, 0], expected, atol=1e-6)


def test_a_layer_leaves_its_state_and_input_alone():
    layer, x, h = draw_layer(np.random.default_rng(0), 6, 5), steps(4), np.full((3, 5), 0.5, np.float32)
    x_before = x.copy()
    layer.run(x, h)
    assert (h == 0.5).all()
    np.testing.assert_array_equal(x, x_before)


def test_a_head_adds_what_lies_ahead_step_by_step():
    distances = (1, 3)
    head = draw_head(np.random.default_rng(2), 6, distances)
    joined = steps(9)
    z = np.maximum(joined @ head.project + head.project_bias, 0)
    for distance, weights, bias in head.ahead:
        pairs = [np.concatenate((z[t], z[t + distance]), axis=-1) for t in range(len(z) - distance)]
        z = np.array([z[t] + np.maximum(pair @ weights + bias, 0) for t, pair in enumerate(pairs)])
    expected = 1 / (1 + np.exp(-(z @ head.output + head.output_bias)))
    decided = HeadStream(head, 3).push(joined)[head.reach :]
    assert head.reach == 4
    np.testing.assert_allclose(decided, expected, atol=1e-5)


def test_hindsight_reads_backward_from_the_end_of_the_chunk_after_step_by_step():
    hindsight, joined = draw_hindsight(np.random.default_rng(3), 6), steps(9)
    h, states = np.zeros((3, 5), np.float32), {}
    for t in reversed(range(9)):
        z = np.maximum(joined[t] @ hindsight.project + hindsight.project_bias, 0)
        h = hindsight.backward.run(z[None], h)[0]
        states[t] = h
    expected = []
    for t in range(5):
        z = np.maximum(np.concatenate((joined[t], states[t]), -1) @ hindsight.join + hindsight.join_bias, 0)
        z = z + np.maximum(z @ hindsight.middle + hindsight.middle_bias, 0)
        expected.append(z @ hindsight.output + hindsight.output_bias)
    prepared = hindsight.prepare(joined)
    decided = hindsight.decide(joined[:5], prepared[:5], prepared[5:])
    np.testing.assert_allclose(decided, expected, atol=1e-5)
    at_end = hindsight.decide(joined[:5], prepared[:5], prepared[:0])
    assert np.abs(at_end - decided).max() > 1e-3


def test_hindsight_reaches_no_further_than_300_s():
    assert sum(REVISED_AHEAD) + 1 >= CHUNK_STEPS + AFTER_STEPS


def test_live_decides_within_30_s_and_revised_within_300_s():
    network = draw_network()
    assert (network.now.reach, network.live.reach, network.revised.reach) == (0, 14, 149)


@settings(max_examples=25, deadline=None)
@given(cuts=st.lists(st.integers(0, 180), max_size=6))
def test_how_the_steps_are_cut_does_not_matter(cuts: list[int]):
    network, x = draw_network(), steps(180)
    whole = HeadStream(network.revised, 3).push(RecurrentStream(network, 3).push(x))
    recurrent, head = RecurrentStream(network, 3), HeadStream(network.revised, 3)
    at = [0, *sorted(cuts), 180]
    parts = [head.push(recurrent.push(x[a:b])) for a, b in pairwise(at)]
    assert whole.shape == (180, 3, 8)
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-5)


def test_a_bed_does_not_know_of_the_others():
    network, x = draw_network(), steps(40)
    together = HeadStream(network.live, 3).push(RecurrentStream(network, 3).push(x))
    alone = HeadStream(network.live, 1).push(RecurrentStream(network, 1).push(x[:, 1:2]))
    np.testing.assert_allclose(together[:, 1], alone[:, 0], atol=1e-5)


def test_extreme_inputs_stay_probabilities():
    network, x = draw_network(), steps(40) * np.float32(1e6)
    decided = HeadStream(network.now, 3).push(RecurrentStream(network, 3).push(x))
    assert np.isfinite(decided).all()
    assert ((decided >= 0) & (decided <= 1)).all()


def test_a_network_is_read_from_named_arrays():
    given_network = draw_network()
    arrays: dict[str, Float32Array] = {}
    for k, layer in enumerate(given_network.recurrent):
        for part in ("input", "input_bias", "state", "state_bias"):
            arrays[f"gru{k}.{part}"] = getattr(layer, part)
    for name in ("now", "live", "revised"):
        head: Head = getattr(given_network, name)
        for part in ("project", "project_bias", "output", "output_bias"):
            arrays[f"{name}.{part}"] = getattr(head, part)
        for k, (_, weights, bias) in enumerate(head.ahead):
            arrays[f"{name}.ahead{k}"], arrays[f"{name}.ahead{k}_bias"] = weights, bias
    read, x = Network.from_arrays(arrays), steps(20)
    np.testing.assert_array_equal(
        HeadStream(read.live, 3).push(RecurrentStream(read, 3).push(x)),
        HeadStream(given_network.live, 3).push(RecurrentStream(given_network, 3).push(x)),
    )
