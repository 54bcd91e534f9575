"""Labelled records of the FHRMA false-signal set: reading them, splitting them, stretches of one label."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from hub.dsp.running import STEP_SAMPLES

Float32Array = npt.NDArray[np.float32]
Labels = npt.NDArray[np.uint8]

UNDECIDED: Final = 0
TRUE: Final = 1
FALSE: Final = 2
PASTED: Final = 3
"""A false signal made by `false_signal_augment`; never in a file."""
JOIN_S: Final = 5.0


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """One record at 4 Hz, cut to whole steps of 2 s."""

    name: str
    fhr: Float32Array
    mhr: Float32Array
    toco: Float32Array
    label: Labels

    @property
    def is_judged(self) -> npt.NDArray[np.bool_]:
        """Samples that have both signal and a decided label."""
        return np.isfinite(self.fhr) & (self.label > UNDECIDED)


def load_records(folder: Path, *, sensor: str = "doppler") -> list[Record]:
    """Read the NPZ files of one sensor, by name."""
    records = []
    for path in sorted(folder.glob("*.npz")):
        with np.load(path, allow_pickle=False) as file:
            if str(file["sensor"]) != sensor:
                continue
            n = file["fhr"].size // STEP_SAMPLES * STEP_SAMPLES
            fhr, mhr, toco = (file[key][:n].astype(np.float32) for key in ("fhr", "mhr", "toco"))
            records.append(Record(path.stem, fhr, mhr, toco, file["fhr_label"][:n].astype(np.uint8)))
    if not records:
        msg = f"no {sensor} records (*.npz) in {folder}"
        raise FileNotFoundError(msg)
    return records


def split_folds(n_records: int, n_folds: int, seed: int = 0) -> npt.NDArray[np.intp]:
    """Give each record its fold; a record is never in two."""
    fold = np.empty(n_records, np.intp)
    fold[np.random.default_rng(seed).permutation(n_records)] = np.arange(n_records) % n_folds
    return fold


def find_stretches(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.intp]:
    """Start and stop of each run of True, shape (n, 2)."""
    framed = np.concatenate(([False], mask, [False]))
    return np.flatnonzero(framed[1:] != framed[:-1]).reshape(-1, 2)


def find_false_stretches(record: Record) -> npt.NDArray[np.intp]:
    """Start and stop of false signal, joined across gaps of the trace under 5 s, shape (n, 2)."""
    at = np.flatnonzero(record.is_judged)
    if at.size == 0:
        return np.empty((0, 2), np.intp)
    is_false = record.label[at] == FALSE
    breaks = (np.diff(at) > JOIN_S / 0.25) | (is_false[1:] != is_false[:-1])
    first = np.concatenate(([0], np.flatnonzero(breaks) + 1))
    last = np.concatenate((first[1:] - 1, [at.size - 1]))
    kept = is_false[first]
    return np.column_stack((at[first[kept]], at[last[kept]] + 1))


def count_crops(records: Sequence[Record], minutes: float) -> list[Record]:
    """Repeat long records so that a pass sees their labels about once."""
    crops: list[Record] = []
    for record in records:
        labelled_minutes = record.is_judged.sum() / 240
        crops += [record] * max(1, round(labelled_minutes / minutes))
    return crops
