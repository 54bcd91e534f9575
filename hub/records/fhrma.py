"""FHRMA's .fhr and .fhrm: the binary files of the Lille data set, always at 4 Hz.

Little-endian: one u32, the Unix time of the start, then for each sample the rates as
u16 in quarter-bpm (0: no signal), toco as u8 in half units and a u8 of sensor flags.
The rates are FHR1 and FHR2, in .fhrm also the maternal one.  FHR2 is a second sensor
or a second fetus; the file does not say which.  Layout as documented by the tool box
of S. Boudet et al., SoftwareX 11:100428, 2020, doi:10.1016/j.softx.2020.100428 (its
reader and its writer agree).
"""

from pathlib import Path
from typing import Final

import numpy as np

from hub.model import FS_HZ
from hub.records.record import Record, lay_out, mismatch

HEADER_BYTES: Final = 4
HIGHEST_WORD: Final = 1200
"""300 bpm: no monitor writes more, so a higher word means that the layout is another one."""

_SAMPLE: Final = {
    ".fhr": np.dtype([("fhr1", "<u2"), ("fhr2", "<u2"), ("toco", "u1"), ("flags", "u1")]),
    ".fhrm": np.dtype([("fhr1", "<u2"), ("fhr2", "<u2"), ("mhr", "<u2"), ("toco", "u1"), ("flags", "u1")]),
}


def read_fhrma(path: Path) -> Record:
    """Read a .fhr or .fhrm file.

    Raises
    ------
    RecordError
        If the length is not that of whole samples behind the 4-byte header, as in
        the recorder's own files with 8 bytes, or a rate is above 300 bpm, as in
        files with an analysis in them.
    """
    sample = _SAMPLE[path.suffix.lower()]
    content = path.read_bytes()
    n_bytes = len(content) - HEADER_BYTES
    if n_bytes <= 0 or n_bytes % sample.itemsize:
        raise mismatch(path, f"4 bytes and then {sample.itemsize} for each sample", f"{len(content)} bytes")
    rows = np.frombuffer(content, sample, offset=HEADER_BYTES)
    rates = [name for name in sample.names or () if name.endswith("hr") or name.startswith("fhr")]
    highest = max(int(rows[name].max()) for name in rates)
    if highest > HIGHEST_WORD:
        raise mismatch(path, f"rates of at most {HIGHEST_WORD / 4:g} bpm", f"{highest / 4:g} bpm")
    columns = {name: rows[name] * 0.25 for name in rates if name == "fhr1" or rows[name].any()}
    columns["toco"] = rows["toco"] * 0.5
    return lay_out(path, columns, FS_HZ)
