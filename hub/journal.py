"""The alert journal: a file that keeps what happened to alerts until the database has it.

An alert does not wait for the database, and a hub that is killed while the
database is away must still know of it when it starts again (reliability rule 6).
"""

import logging
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from hub.errors import SettingsError, WireError
from hub.model import AlertTransition
from hub.wire import decode_json, encode_json

_log = logging.getLogger(__name__)

MAX_BYTES: Final = 64 * 1024 * 1024
"""About 100,000 steps; a journal that is full says so at every step, and the steps go on in memory."""


class AlertJournal:
    """Appends each step with a sync to disk; emptied whenever the database has them all."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "alerts.journal"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("ab")
        except OSError as error:
            msg = (
                f"the data folder {folder} cannot be written ({error.strerror}); set CTG_DATA_DIR to another"
            )
            raise SettingsError(msg) from error

    def read(self) -> list[AlertTransition]:
        """Give the steps that the database may not have; a line that was cut off by a crash is left out."""
        transitions = []
        for line in self._path.read_bytes().splitlines():
            try:
                transitions.append(decode_json(line, AlertTransition))
            except WireError as error:
                _log.warning("alert journal: a step was cut off: %s", error.kind)
        return transitions

    def append(self, transitions: Iterable[AlertTransition]) -> None:
        """Keep some steps; returns when they are on the disk."""
        lines = b"".join(encode_json(transition) + b"\n" for transition in transitions)
        if not lines:
            return
        try:
            if self._file.tell() > MAX_BYTES:
                _log.critical("the alert journal is full; alerts are kept in memory only")
                return
            self._file.write(lines)
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            _log.critical("the alert journal cannot be written: %s", error.strerror)

    def clear(self) -> None:
        """Forget the steps: the database has them."""
        if self._file.tell() == 0:
            return
        try:
            self._file.truncate(0)
            self._file.seek(0)
        except OSError as error:
            _log.critical("the alert journal cannot be written: %s", error.strerror)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
