"""Weights can be exchanged while they are measured, and only then."""

from pathlib import Path

import numpy as np
import pytest

from hub.dsp.chosen_weights import SHIPPED, find_weights, use_weights
from hub.dsp.event_model import WEIGHTS, load_event_model


def test_other_weights_stand_for_the_shipped_ones_while_they_are_used(tmp_path: Path):
    other = tmp_path / "other.npz"
    with np.load(WEIGHTS) as file:
        np.savez(other, **{**file, "fall_accept_at": np.array(0.99)})
    shipped = load_event_model()
    assert shipped is not None
    with use_weights({WEIGHTS.name: other}):
        used = load_event_model()
        assert used is not None
        assert used.fall.accept_at == 0.99
    again = load_event_model()
    assert again is not None
    assert again.fall.accept_at == shipped.fall.accept_at != 0.99


def test_weights_that_are_not_there_are_told_and_not_left_out(tmp_path: Path):
    absent = tmp_path / "absent.npz"
    with pytest.raises(FileNotFoundError, match=r"absent\.npz"), use_weights({WEIGHTS.name: absent}):
        pass
    assert find_weights(WEIGHTS.name) == SHIPPED / WEIGHTS.name
