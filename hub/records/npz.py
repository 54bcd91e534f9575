"""NPZ: NumPy's archive of named arrays, in bpm or in the steps of the wire."""

import json
import zipfile
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from hub.model import FloatArray
from hub.records.record import NAMES, TOCO, Record, lay_out, mismatch, number_or_none, parse_start

_LOST_TOCO: Final = 255


def read_npz(path: Path) -> Record:
    """Read arrays fhr (or fhr1-3), toco, iup, mhr and a number fs; perhaps others.

    Floats are bpm and monitor units; uint16 rates are quarter-bpm with 0 for loss,
    uint8 toco is half units with 255 for loss.  `record` is a name, `outcome` a JSON object of
    numbers, `stage2_start` a sample, `start` the time of the first sample in ISO 8601.

    Raises
    ------
    RecordError
        If an array is missing or is not of numbers.
    """
    if not zipfile.is_zipfile(path):
        raise mismatch(path, "an npz archive", "another kind of file" if path.is_file() else "no file")
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays: dict[str, npt.NDArray[Any]] = {name: archive[name] for name in archive.files}
    except (ValueError, KeyError, NotImplementedError, RuntimeError) as error:
        raise mismatch(path, "an npz archive without objects", error) from error
    if ("fhr" not in arrays and "fhr1" not in arrays) or "fs" not in arrays:
        raise mismatch(path, "arrays fhr and fs", ", ".join(sorted(arrays)) or "none")
    columns = {name: _widen(path, name, arrays[name]) for name in arrays if name in NAMES}
    stage2 = _scalar(path, "stage2_start", arrays.get("stage2_start", np.array(-1)))
    return lay_out(
        path,
        columns,
        _scalar(path, "fs", arrays["fs"]),
        name=str(arrays.get("record", path.stem)),
        outcome=_read_outcome(path, str(arrays.get("outcome", "{}"))),
        stage2_start=int(stage2) if stage2 >= 0 else None,
        start=parse_start(str(arrays["start"]), path) if "start" in arrays else None,
    )


def _widen(path: Path, name: str, stored: npt.NDArray[Any]) -> FloatArray:
    if stored.dtype.kind not in "fiu":
        raise mismatch(path, f"numbers in {name}", stored.dtype)
    if stored.dtype == np.uint16:
        return np.where(stored == 0, np.nan, stored * 0.25)
    if stored.dtype == np.uint8 and name in TOCO:
        return np.where(stored == _LOST_TOCO, np.nan, stored * 0.5)
    return stored.astype(np.float64)


def _scalar(path: Path, name: str, stored: npt.NDArray[Any]) -> float:
    if stored.size != 1 or stored.dtype.kind not in "fiu":
        raise mismatch(path, f"one number in {name}", f"{stored.dtype} of shape {stored.shape}")
    return float(stored.reshape(()))


def _read_outcome(path: Path, text: str) -> dict[str, float | None]:
    try:
        outcome = json.loads(text)
    except json.JSONDecodeError as error:
        raise mismatch(path, "outcome as JSON", error) from error
    if not isinstance(outcome, dict) or not all(
        value is None or isinstance(value, int | float) for value in outcome.values()
    ):
        raise mismatch(path, "outcome as an object of numbers", repr(text[:40]))
    return {key: number_or_none(value) for key, value in outcome.items()}
