"""Opens a recording by the ending of its name."""

import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from hub.records.csv_table import read_csv
from hub.records.edf import read_edf
from hub.records.fhrma import read_fhrma
from hub.records.mfer import read_mfer
from hub.records.npz import read_npz
from hub.records.record import Record, mismatch
from hub.records.wfdb import read_wfdb

FORMS: Final[Mapping[str, Callable[[Path], Record]]] = {
    ".hea": read_wfdb,
    ".dat": read_wfdb,
    ".csv": read_csv,
    ".npz": read_npz,
    ".edf": read_edf,
    ".fhr": read_fhrma,
    ".fhrm": read_fhrma,
    ".mwf": read_mfer,
    ".mfer": read_mfer,
}
"""Endings, and what reads them."""


def read_record(path: Path) -> Record:
    """Read a recording by the ending of its name: one of `FORMS`.

    Raises
    ------
    RecordError
        If the file is missing, damaged, or not of a form read here.
    """
    ending = path.suffix.lower()
    reader = FORMS.get(ending)
    if reader is None:
        raise mismatch(path, "one of " + ", ".join(FORMS), ending or "no ending")
    try:
        return reader(path)
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise mismatch(path, f"a readable {ending} file", error) from error
    except MemoryError as error:  # a damaged length, long before a recording is too long
        raise mismatch(path, "a recording that fits into memory", error) from error
    except UnicodeDecodeError as error:
        raise mismatch(path, "text", f"bytes: {error}") from error
