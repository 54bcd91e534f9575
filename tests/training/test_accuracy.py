"""How accuracy is measured: which weights judge whom, what an interval says, what is asked for."""

from pathlib import Path

import numpy as np
import pytest

from hub.dsp import analyse
from hub.model import FloatArray
from training.accuracy import main
from training.event_scores import count_clear, match
from training.folds import FOLDS, Folds, write_held_out
from training.intervals import f_of_clear_events, f_of_events, measure
from training.live_replay import Played, origin_s, replay

MIN = 240


def test_missing_records_are_asked_for_by_folder_and_content(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    with pytest.raises(SystemExit):
        main(["--data", str(tmp_path)])
    told = capsys.readouterr().err
    for expected in (str(tmp_path), "fhrma-train/", "ctu/", "fs/", "fhr_label", "CTG_DATA"):
        assert expected in told


def test_a_record_is_judged_by_the_fold_that_left_it_out_and_a_new_one_by_what_ships(tmp_path: Path):
    write_held_out(tmp_path, {"ctu": [["a", "b"], ["c"]]})
    folds = Folds.read(tmp_path, ("events.npz",), "ctu")
    assert folds.group(["c", "a", "new", "b"]) == {1: [0], 0: [1, 3], None: [2]}
    assert folds.weights_of(1) == {"events.npz": tmp_path / "fold1" / "events.npz"}
    assert folds.weights_of(None) == {}


@pytest.mark.parametrize(
    ("group", "files"),
    [
        ("fhrma-train", ("events.npz",)),
        ("ctu", ("events.npz",)),
        ("fs", ("false_signal.npz", "false_signal_hindsight.npz")),
    ],
)
def test_every_record_of_the_cross_validation_was_left_out_once_and_its_weights_are_there(
    group: str, files: tuple[str, ...]
):
    folds = Folds.read(FOLDS, files, group)
    sizes = np.bincount(list(folds.held_out.values()))
    assert sizes.size == 5
    assert sizes.max() - sizes.min() <= 1
    assert all(path.exists() for fold in range(5) for path in folds.weights_of(fold).values())


def test_records_that_agree_give_a_narrow_interval_and_records_that_differ_a_wide_one():
    alike = measure([np.array([8.0, 10.0, 10.0])] * 20, f_of_events)
    assert (alike.value, alike.low, alike.high, alike.half_low) == pytest.approx((0.8,) * 4)
    mixed = measure([np.array([10.0 * (k % 2), 10.0, 10.0]) for k in range(20)], f_of_events)
    assert mixed.value == pytest.approx(0.5)
    assert mixed.low < 0.35 < 0.65 < mixed.high


def test_a_clear_event_counts_against_any_finding_and_a_finding_against_any_event():
    away = np.zeros(600 * 4)
    away[100 * 4 : 140 * 4] = 30.0
    away[300 * 4 : 320 * 4] = 30.0
    expert_s = np.array([[100.0, 140.0], [300.0, 320.0]])
    found_s = np.array([[100.0, 140.0], [400.0, 440.0]])
    counts = count_clear(expert_s, found_s, np.ones(away.size, dtype=bool), away)
    np.testing.assert_array_equal(counts, [1, 1, 1, 1])
    assert f_of_clear_events(counts) == pytest.approx(1.0)


def test_no_event_is_the_partner_of_two():
    partner = match(np.array([[0.0, 100.0]]), np.array([[0.0, 40.0], [50.0, 100.0]]))
    assert partner.shape == (1,)
    assert partner[0] in (0, 1)


def test_a_replayed_record_ends_as_the_whole_record_reads():
    n = 25 * MIN
    at_s = np.arange(n) / 4
    fhr: FloatArray = 140.0 + np.random.default_rng(0).normal(0, 1.0, n)
    fhr -= np.interp(at_s, [800, 810, 835, 850], [0.0, 40.0, 40.0, 0.0])
    none = np.full(n, np.nan)
    *_, (k, now_s, reading) = replay([Played(fhr, none, none)])
    assert (k, now_s) == (0, 1500.0)
    whole = analyse(fhr)
    told = [(d.onset_s + origin_s(reading), d.kind) for d in reading.decelerations]
    assert [kind for _, kind in told] == [d.kind for d in whole.decelerations]
    assert [s for s, _ in told] == pytest.approx([d.onset_s for d in whole.decelerations], abs=5.0)
