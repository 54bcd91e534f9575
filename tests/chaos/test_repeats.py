"""Duplicates three times over, out of order, then all of it again: one copy of each, and no alert (R4)."""

import random
import shutil
import tempfile
from pathlib import Path

import pytest

from chaos.repeats import run_repeats, shuffle


@pytest.mark.system
@pytest.mark.timeout(200)
@pytest.mark.xdist_group("chaos")
def test_half_an_hour_three_times_out_of_order_and_once_more_is_stored_once():
    folder = Path(tempfile.mkdtemp(prefix="ctg-chaos-"))
    folder.chmod(0o755)
    try:
        outcome = run_repeats(folder, hours=0.5)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    assert outcome.wrong == []
    assert outcome.figures["frames"] == 1800
    assert outcome.figures["sent"] == 7200
    assert outcome.figures["lost"] == outcome.figures["doubled"] == outcome.figures["conflicts"] == 0


def test_a_shuffle_keeps_every_copy_within_its_window():
    frames = [bytes([k // 256, k % 256]) for k in range(2000)]
    order = shuffle(frames, random.Random(1), copies=3, window=100)
    assert sorted(order) == sorted(3 * frames)
    for place, frame in enumerate(order):
        assert abs(place / 3 - int.from_bytes(frame, "big")) <= 110
    assert order != sorted(order)
