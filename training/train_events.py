"""Train the event model and write its weights: `python -m training.train_events --data DIR`.

DIR holds the annotated records: fhrma-train/ for accelerations and decelerations, ctu/ for
contractions.  With `--folds` it writes the weights of a five-fold cross-validation by record
too.  Needs scikit-learn, which the hub does not.
"""

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from hub.dsp.contraction_model import FARTHEST, PEAK_FEATURES
from hub.dsp.event_features import FEATURES
from hub.dsp.event_model import WEIGHTS, EventModel
from hub.model import BoolArray, FloatArray
from training.event_records import KINDS, Record, describe_peaks_of, describe_record, load_records
from training.folds import N_FOLDS, write_held_out

log = logging.getLogger("train_events")

N_TREES = 60
"""Of either sort: bagged trees with the best splits, and trees with random ones."""
LEAF_ROWS = {RandomForestClassifier: 6, ExtraTreesClassifier: 5}
FEATURE_SHARE = 0.3
ACCEPT_AT = 0.42
"""For both kinds: in the middle of where F is flat (0.38 to 0.46), so that unseen records lose few events."""
CLEAR_WEIGHT = 3.0
"""A clear stretch, marked or not, weighs so much more than one on which experts differ among themselves."""
CONTRACTION_ACCEPT_AT = 0.44
CONTRACTION_C = 1.0

EVENT_GROUPS = ("fhrma-train", "ctu")
"""Directories of the records with accelerations and decelerations, and of those with contractions."""

Arrays = dict[str, npt.NDArray[Any]]
Described = dict[str, dict[str, tuple[npt.NDArray[np.float32], FloatArray, BoolArray]]]


def fit_events(described: Described, names: Sequence[str], *, seed: int = 0) -> Arrays:
    """Fit both forests to the named records."""
    arrays: Arrays = {"features": np.array(FEATURES)}
    for kind in KINDS:
        parts = zip(*(described[kind][n] for n in names), strict=True)
        rows, labels, is_clear = (np.concatenate(x) for x in parts)
        weights = np.where(is_clear, CLEAR_WEIGHT, 1.0)
        trees = []
        for sort, leaf_rows in LEAF_ROWS.items():
            forest = sort(
                N_TREES, min_samples_leaf=leaf_rows, max_features=FEATURE_SHARE, random_state=seed, n_jobs=1
            )
            trees += [tree.tree_ for tree in forest.fit(rows, labels, weights).estimators_]
        arrays |= {f"{kind}_{name}": x for name, x in export_trees(trees, ACCEPT_AT).items()}
    return arrays


def export_trees(trees: Sequence[Any], accept_at: float) -> Arrays:
    """Put fitted trees into the tables that `hub.dsp.event_model.Forest` reads."""
    sizes = np.array([tree.node_count for tree in trees])
    roots = np.concatenate(([0], np.cumsum(sizes)[:-1]))
    own = np.arange(sizes.sum())
    first = np.repeat(roots, sizes)
    is_leaf = np.concatenate([tree.children_left for tree in trees]) < 0
    exact = np.concatenate([tree.threshold for tree in trees])
    # Rows are float32: rounded down, a threshold still parts the same two of them.
    threshold = exact.astype(np.float32)
    threshold = np.where(threshold > exact, np.nextafter(threshold, np.float32(-np.inf)), threshold)

    def children(side: str) -> npt.NDArray[np.int32]:
        child = np.concatenate([getattr(tree, f"children_{side}") for tree in trees]) + first
        return np.where(is_leaf, own, child).astype(np.int32)

    votes = np.concatenate([tree.value[:, 0, :] for tree in trees])
    return {
        "roots": roots.astype(np.int32),
        "feature": np.where(is_leaf, 0, np.concatenate([tree.feature for tree in trees])).astype(np.uint8),
        "threshold": np.where(is_leaf, 0.0, threshold).astype(np.float32),
        "low": children("left"),
        "high": children("right"),
        "value": np.where(is_leaf, votes[:, 1] / votes.sum(axis=-1), 0.0).astype(np.float16),
        "depth": np.array(max(tree.max_depth for tree in trees)),
        "accept_at": np.array(accept_at),
    }


def fit_contractions(peaks: dict[str, tuple[FloatArray, FloatArray]], names: Sequence[str]) -> Arrays:
    """Fit the acceptance of contractions to the named records."""
    rows, labels = (np.concatenate(x) for x in zip(*(peaks[name] for name in names), strict=True))
    mean, scale = rows.mean(axis=0), rows.std(axis=0)
    standard = np.clip((rows - mean) / scale, -FARTHEST, FARTHEST)
    fitted = LogisticRegression(C=CONTRACTION_C, max_iter=1000).fit(standard, labels)
    return {
        "peak_features": np.array(PEAK_FEATURES),
        "contraction_mean": mean,
        "contraction_scale": scale,
        "contraction_weight": fitted.coef_[0],
        "contraction_bias": fitted.intercept_[0],
        "contraction_accept_at": np.array(CONTRACTION_ACCEPT_AT),
    }


def describe_all(records: Sequence[Record]) -> Described:
    """Describe the stretches of every record, for both kinds."""
    return {kind: {r.name: describe_record(r, kind) for r in records} for kind in KINDS}


def fit_all(
    described: Described,
    names: Sequence[str],
    peaks: dict[str, tuple[FloatArray, FloatArray]],
    toco_names: Sequence[str],
) -> Arrays:
    """Fit all that one weights file holds."""
    arrays = fit_events(described, names) | fit_contractions(peaks, toco_names)
    EventModel.from_arrays(arrays)
    return arrays


def main() -> None:
    """Train on all records and write the weights; and those of the folds, if they are asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="directory with fhrma-train/ and ctu/")
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    parser.add_argument("--folds", type=Path, help="directory for the weights of a cross-validation")
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    records, tocos = load_records(given.data / EVENT_GROUPS[0]), load_records(given.data / EVENT_GROUPS[1])
    described = describe_all(records)
    peaks = {r.name: describe_peaks_of(r) for r in tocos}
    all_names = [[r.name for r in group] for group in (records, tocos)]
    _write(given.out, fit_all(described, all_names[0], peaks, all_names[1]))
    if given.folds is None:
        return
    held_out = [split_names(names) for names in all_names]
    for fold in range(N_FOLDS):
        kept = [
            [name for name in names if name not in held[fold]]
            for names, held in zip(all_names, held_out, strict=True)
        ]
        _write(given.folds / f"fold{fold}" / WEIGHTS.name, fit_all(described, kept[0], peaks, kept[1]))
    write_held_out(given.folds, dict(zip(EVENT_GROUPS, held_out, strict=True)))


def split_names(names: Sequence[str], *, seed: int = 0) -> list[list[str]]:
    """Part names into folds at random."""
    order = np.random.default_rng(seed).permutation(len(names))
    return [sorted(names[k] for k in order[fold::N_FOLDS]) for fold in range(N_FOLDS)]


def _write(path: Path, arrays: Arrays) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, **arrays)
    n_nodes = sum(arrays[f"{kind}_value"].size for kind in KINDS)
    log.info("%s: %d nodes, %d bytes", path, n_nodes, path.stat().st_size)


if __name__ == "__main__":
    main()
