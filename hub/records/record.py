"""What every form of recording comes to, and the checks that all forms share."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

import numpy as np

from hub.errors import RecordError
from hub.model import FloatArray

FETAL: Final[Mapping[str, int]] = {
    "fhr": 0, "fhr1": 0, "hr1": 0, "fhr2": 1, "hr2": 1, "fhr3": 2, "hr3": 2,
}  # fmt: skip
"""Names of a fetal heart rate, without regard to case, and which fetus each is."""
TOCO: Final = ("toco", "uc", "ua")
IUP: Final = ("iup",)
MATERNAL: Final = ("mhr", "maternal")
NAMES: Final = frozenset({*FETAL, *TOCO, *IUP, *MATERNAL})

HIGHEST_FS_HZ: Final = 100_000.0


@dataclass(frozen=True, slots=True)
class Remark:
    """Something that was written beside the trace, in seconds after its first sample."""

    onset_s: float
    text: str


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """One recording; `fhr` has shape (n_traces, n_samples), the other signals (n_samples,) or None.

    Rates are in bpm with NaN where there is no signal, `toco` in monitor units, `iup`
    in mmHg.  `outcome` holds what the file says of mother and newborn, by the file's
    own names; `stage2_start` is the first sample of the second stage, None if unknown.
    """

    name: str
    fs: float
    fhr: FloatArray
    toco: FloatArray | None = None
    mhr: FloatArray | None = None
    outcome: dict[str, float | None] = field(default_factory=dict)
    stage2_start: int | None = None
    iup: FloatArray | None = None
    start: datetime | None = None
    """Time of the first sample as the file tells it, with a zone only where the file names one."""
    remarks: tuple[Remark, ...] = ()

    @property
    def duration_s(self) -> float:
        return float(self.fhr.shape[-1] / self.fs)

    @property
    def gestational_weeks(self) -> float | None:
        """Gestational age by the name that CTU-UHB gives it; None if the file does not say."""
        return self.outcome.get("Gest. weeks")


def mismatch(where: object, expected: str, came: object) -> RecordError:
    """Make the error that says file, what was expected and what came."""
    return RecordError(f"{where}: expected {expected}, got {came}")


def parse_number(text: str, where: object, what: str) -> float:
    """Read a number, or say where there is none.

    Raises
    ------
    RecordError
        If the text is not a number.
    """
    try:
        return float(text)
    except ValueError as error:
        raise mismatch(where, f"a number for {what}", repr(text[:40])) from error


def parse_count(text: str, where: object, what: str) -> int:
    """Read a whole number from 0 on, or say where there is none.

    Raises
    ------
    RecordError
        If the text is not one.
    """
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise mismatch(where, f"a whole number for {what}", repr(text[:40]))
    return int(text)


def parse_start(text: str, where: object) -> datetime:
    """Read the time of the first sample in ISO 8601, with or without a zone.

    Raises
    ------
    RecordError
        If the text is not one.
    """
    try:
        return datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise mismatch(where, "a start in ISO 8601", repr(text[:40])) from error


def number_or_none(value: float | None) -> float | None:
    """NaN stands for "not known" in the databases."""
    return None if value is None or math.isnan(value) else float(value)


def lay_out(
    path: Path,
    columns: Mapping[str, FloatArray],
    fs: float,
    *,
    name: str | None = None,
    outcome: dict[str, float | None] | None = None,
    stage2_start: int | None = None,
    start: datetime | None = None,
) -> Record:
    """Make a record of named channels; names are in lower case, unknown ones are passed over.

    Raises
    ------
    RecordError
        If there is no fetal rate, the rate of sampling makes no sense, or the
        channels differ in length.
    """
    fetal = sorted((FETAL[key], key) for key in columns if key in FETAL)
    if not fetal or [number for number, _ in fetal] != list(range(len(fetal))):
        raise mismatch(path, "fhr, or fhr1 to fhr3", ", ".join(columns) or "no channels")
    if not 0 < fs <= HIGHEST_FS_HZ:
        raise mismatch(path, f"fs above 0 and up to {HIGHEST_FS_HZ:g} Hz", fs)
    toco, iup, mhr = (
        next((columns[key] for key in names if key in columns), None) for names in (TOCO, IUP, MATERNAL)
    )
    rates = [columns[key] for _, key in fetal]
    shapes = {array.shape for array in (*rates, toco, iup, mhr) if array is not None}
    if len(shapes) != 1 or len(rates[0].shape) != 1 or rates[0].size == 0:
        raise mismatch(path, "channels of one length", f"shapes {sorted(shapes)}")
    return Record(
        name=name or path.stem,
        fs=fs,
        fhr=np.stack([_blank_to_nan(rate) for rate in rates]),
        toco=toco,
        mhr=None if mhr is None else _blank_to_nan(mhr),
        outcome=outcome or {},
        stage2_start=stage2_start,
        iup=iup,
        start=start,
    )


def _blank_to_nan(rate: FloatArray) -> FloatArray:
    # Monitors and the databases made from them write 0 where the trace is blank.
    return np.where(rate > 0, rate, np.nan)
