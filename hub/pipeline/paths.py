"""The wall between the three alert paths: what fails inside one stays inside it."""

import logging
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_log = logging.getLogger(__name__)


def contained(where: str, action: Callable[[], T]) -> tuple[T | None, str | None]:
    """Run a part of one path; when it fails, log it and return None with a word on the failure."""
    try:
        return action(), None
    except Exception as error:  # noqa: BLE001  a fault in one path must leave the other two working
        _log.exception("%s failed", where)
        return None, f"{type(error).__name__}: {error}"
