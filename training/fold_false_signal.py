"""Make the weights of each fold what ships: shifts folded in, beside a note of what each fold left out."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hub.dsp.learned import HINDSIGHT, WEIGHTS
from training.false_signal_records import load_records, split_folds
from training.false_signal_report import HEADS, HINDSIGHT_SHIFT, SHIFTS
from training.folds import FOLDS, N_FOLDS, write_held_out


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the weights of a cross-validation and write them where `make accuracy` looks for them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of labelled records (*.npz)")
    parser.add_argument("--cv", type=Path, required=True, help="what the trainings with --fold wrote")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--hindsight", action="store_true", help="of what only revises whole records")
    parser.add_argument("--folds", type=Path, default=FOLDS)
    given = parser.parse_args(arguments)
    shifts = {"output_bias": HINDSIGHT_SHIFT}
    if not given.hindsight:
        shifts = {f"{head}.output_bias": shift for head, shift in zip(HEADS, SHIFTS, strict=True)}
    names = [r.name for r in load_records(given.data)]
    fold_of = split_folds(len(names), N_FOLDS)
    for fold in range(N_FOLDS):
        with np.load(given.cv / f"fold{fold}_seed{given.seed}_weights.npz", allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
        for bias, shift in shifts.items():
            arrays[bias] = arrays[bias] - np.float32(shift)
        path = given.folds / f"fold{fold}" / (HINDSIGHT if given.hindsight else WEIGHTS).name
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(path, **arrays)
    held_out = [
        [name for name, k in zip(names, fold_of.tolist(), strict=True) if k == fold]
        for fold in range(N_FOLDS)
    ]
    write_held_out(given.folds, {"fs": held_out})


if __name__ == "__main__":
    main()
