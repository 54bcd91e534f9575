"""Which weights judge a record: those of the fold that left it out, else those that ship."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

FOLDS: Final = Path(__file__).parent / "folds"
HELD_OUT: Final = "held_out.json"
N_FOLDS: Final = 5


@dataclass(frozen=True, slots=True)
class Folds:
    """Weights of a cross-validation, and which records each of them never saw."""

    directory: Path
    files: tuple[str, ...]
    """Names of the shipped files that each of them stands for."""
    held_out: Mapping[str, int]
    """Name of a record and the fold that left it out."""

    @classmethod
    def read(cls, directory: Path, files: Sequence[str], group: str) -> "Folds":
        """Read the records of one group ("fhrma-train", "ctu" or "fs") from a directory of folds.

        Raises
        ------
        FileNotFoundError
            If the directory was not made.
        """
        path = directory / HELD_OUT
        if not path.exists():
            msg = (
                f"{path}: expected the folds of a cross-validation; training/README.md says how they are made"
            )
            raise FileNotFoundError(msg)
        folds = json.loads(path.read_text(encoding="utf-8"))[group]
        return cls(directory, tuple(files), {name: k for k, names in enumerate(folds) for name in names})

    def fold_of(self, name: str) -> int | None:
        """Give the fold that left a record out; None for a record that no training saw."""
        return self.held_out.get(name)

    def weights_of(self, fold: int | None) -> dict[str, Path]:
        """Give what `hub.dsp.chosen_weights.use_weights` takes; nothing for the shipped weights."""
        return {} if fold is None else {name: self.directory / f"fold{fold}" / name for name in self.files}

    def group(self, names: Iterable[str]) -> dict[int | None, list[int]]:
        """Put the places of records that are judged by the same weights together."""
        groups: dict[int | None, list[int]] = {}
        for place, name in enumerate(names):
            groups.setdefault(self.fold_of(name), []).append(place)
        return groups


def write_held_out(directory: Path, groups: Mapping[str, list[list[str]]]) -> None:
    """Note which records each fold left out, beside what was noted before."""
    path = directory / HELD_OUT
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    directory.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(known | dict(groups), indent=1) + "\n", encoding="utf-8")
