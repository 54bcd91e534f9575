"""Which weights the analysis goes by: those that ship, or others while they are being measured."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from types import MappingProxyType
from typing import Final

SHIPPED: Final = Path(__file__).parent / "weights"

_others: ContextVar[Mapping[str, Path]] = ContextVar("_others", default=MappingProxyType({}))


def find_weights(name: str) -> Path:
    """Give the file that stands for the shipped file `name` at the moment."""
    return _others.get().get(name, SHIPPED / name)


@contextmanager
def use_weights(others: Mapping[str, Path]) -> Iterator[None]:
    """Let other files stand for shipped ones, such as weights that never saw the record to be judged.

    Parameters
    ----------
    others : mapping of str to Path
        Name of the shipped file and the file to be read in its place.

    Raises
    ------
    FileNotFoundError
        If one of them is not there: rules alone would be measured without a word.
    """
    for path in others.values():
        if not path.exists():
            msg = f"{path}: expected weights, found no file"
            raise FileNotFoundError(msg)
    token = _others.set(others)
    try:
        yield
    finally:
        _others.reset(token)
