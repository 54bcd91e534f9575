"""Train the choice between two ends of the path: `python -m training.train_event_baseline --data DIR`.

DIR holds the records: fhrma-train/, ctu/ and fs/.  Nothing that an expert marked is read but, in fs/,
which signal is false: a record up to some minute is the question, the whole of it the answer.
With `--folds` it writes the weights of the cross-validation too.  Needs scikit-learn.
"""

import argparse
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import RandomForestClassifier

from hub.dsp.baseline import continue_baseline
from hub.dsp.baseline_choice import FEATURES, WEIGHTS, read_forest
from hub.dsp.quality import remove_impossible
from hub.model import FloatArray
from training.event_records import find_paths, load_records
from training.folds import FOLDS, N_FOLDS, Folds
from training.train_events import Arrays, export_trees

log = logging.getLogger("train_event_baseline")

STEP = 40
"""Samples of a step of the path."""
READ_STEPS = 240
"""The 40 min that a live bed can be read back."""
FIRST_STEPS = 36
EVERY_STEPS = 3
JUDGED_BLOCKS = 180
"""The line of the last 6 min is held against that of the whole record."""
MOST_BPM = 15.0
"""No difference weighs more than this."""
LEAST_S = 1200.0
N_TREES = 120
LEAF_ROWS = 30
FEATURE_SHARE = 0.3
ACCEPT_AT = 0.5


@dataclass(slots=True)
class Asked:
    """Stands in for the forest: keeps what it is asked, and always gives the same answer."""

    answer: float
    rows: list[npt.NDArray[np.float32]] = field(default_factory=list)
    accept_at: float = ACCEPT_AT

    def predict(self, rows: npt.NDArray[np.float32]) -> FloatArray:
        self.rows.append(rows)
        return np.full(len(rows), self.answer)


@dataclass(frozen=True, eq=False)
class Questions:
    """All open choices of a record: how they look, and by how many bpm the other end was the better one."""

    rows: npt.NDArray[np.float32]
    gain_bpm: FloatArray


def ask(fhr: FloatArray) -> Questions:
    """Read a record up to every 30 s, by either end of its path where there are two."""
    n_steps = fhr.size // STEP
    whole = _draw(fhr[: n_steps * STEP], Asked(0.0))
    rows, gains = [], []
    for end in range(FIRST_STEPS, n_steps, EVERY_STEPS):
        first = max(end - READ_STEPS, 0)
        part = fhr[first * STEP : end * STEP]
        asked = Asked(0.0)
        own = _draw(part, asked)
        if not asked.rows:
            continue
        other = _draw(part, Asked(1.0))
        known = whole[: end * STEP // 8][-JUDGED_BLOCKS:]
        far = [float(np.abs(line[-JUDGED_BLOCKS:] - known).mean()) for line in (own, other)]
        rows.append(asked.rows[0][0])
        gains.append(far[0] - far[1])
    return Questions(np.array(rows, np.float32).reshape(-1, len(FEATURES)), np.array(gains))


def _draw(fhr: FloatArray, choice: Asked) -> FloatArray:
    course = continue_baseline(fhr[None], choice=choice)  # type: ignore[arg-type]
    return np.asarray(course.line[0], np.float64)


def fit(questions: Sequence[Questions], *, seed: int = 0) -> Arrays:
    """Fit the forest."""
    rows = np.concatenate([q.rows for q in questions])
    gain = np.concatenate([q.gain_bpm for q in questions])
    rows, gain = rows[gain != 0], gain[gain != 0]
    weight = np.minimum(np.abs(gain), MOST_BPM)
    forest = RandomForestClassifier(
        N_TREES, min_samples_leaf=LEAF_ROWS, max_features=FEATURE_SHARE, random_state=seed, n_jobs=1
    ).fit(rows, gain > 0, weight)
    trees = [tree.tree_ for tree in forest.estimators_]
    arrays: Arrays = {"features": np.array(FEATURES)}
    arrays |= {f"end_{name}": x for name, x in export_trees(trees, ACCEPT_AT).items()}
    read_forest(arrays)
    return arrays


def ask_all(data: Path) -> dict[str, dict[str, Questions]]:
    """Read all records, by group and name."""
    groups = {
        group: {r.name: ask(r.fhr) for r in load_records(data / group)} for group in ("fhrma-train", "ctu")
    }
    groups["fs"] = {path.stem: ask(fhr) for path, fhr in _read_labelled(data / "fs")}
    for group, records in groups.items():
        log.info(
            "%s: %d records, %d open choices", group, len(records), sum(len(q.rows) for q in records.values())
        )
    return groups


def _read_labelled(directory: Path) -> list[tuple[Path, FloatArray]]:
    """Read Doppler records of 20 min and more without the signal that is labelled false."""
    records = []
    for path in find_paths(directory):
        with np.load(path, allow_pickle=False) as file:
            if str(file["sensor"]) != "doppler" or file["fhr"].size < LEAST_S * 4:
                continue
            fhr = np.where(file["fhr_label"] == 2, np.nan, file["fhr"].astype(np.float64))
        records.append((path, remove_impossible(fhr[None])[0]))
    return records


def main() -> None:
    """Train on all records and write the weights; and those of the folds, if they are asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="directory with fhrma-train/, ctu/ and fs/")
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    parser.add_argument("--folds", type=Path, help="directory for the weights of a cross-validation")
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    groups = ask_all(given.data)
    _write(given.out, fit([q for records in groups.values() for q in records.values()]))
    if given.folds is None:
        return
    held_out = {group: Folds.read(FOLDS, (), group) for group in ("fhrma-train", "ctu")}
    for fold in range(N_FOLDS):
        kept = [
            q
            for group, records in groups.items()
            for name, q in records.items()
            if group not in held_out or held_out[group].fold_of(name) != fold
        ]
        _write(given.folds / f"fold{fold}" / WEIGHTS.name, fit(kept))


def _write(path: Path, arrays: Arrays) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, **arrays)
    log.info("%s: %d nodes, %d bytes", path, arrays["end_value"].size, path.stat().st_size)


if __name__ == "__main__":
    main()
