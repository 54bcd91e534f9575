"""The recordings that come with the simulator; how files are read is in `hub.records`."""

from pathlib import Path
from typing import Final

from hub.errors import RecordError
from hub.records import Record, read_record

_SHIPPED: Final = Path(__file__).with_name("recordings")


def list_shipped() -> list[str]:
    """Names of the recordings that come with the simulator."""
    return sorted(path.stem for path in _SHIPPED.glob("*.npz"))


def read_shipped(name: str) -> Record:
    """Read a recording that comes with the simulator.

    Raises
    ------
    RecordError
        If there is none of that name.
    """
    if name not in list_shipped():
        msg = f"{_SHIPPED}: expected one of {', '.join(list_shipped())}, got {name}"
        raise RecordError(msg)
    return read_record(_SHIPPED / f"{name}.npz")
