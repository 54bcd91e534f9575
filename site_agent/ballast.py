"""A file of nothing that holds disk space: released on a full disk, so that SQLite can still delete."""

import contextlib
import errno
import logging
import os
import shutil
from pathlib import Path

_log = logging.getLogger(__name__)


class Ballast:
    """Space kept back in a folder."""

    def __init__(self, path: Path, size_bytes: int) -> None:
        self._path = path
        self._size_bytes = size_bytes

    def disk(self) -> tuple[int, int]:
        """Free and total bytes of the disk that holds it."""
        usage = shutil.disk_usage(self._path.parent)
        return usage.free, usage.total

    @property
    def missing_bytes(self) -> int:
        """Free space that is not to be used: the reserve itself, where it was given free."""
        return 0 if self._path.exists() else max(0, self._size_bytes)

    def release(self) -> None:
        """Give the space free."""
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()

    def restore(self) -> None:
        """Take the space again where the disk has twice as much to spare."""
        if self._size_bytes <= 0 or self._path.exists() or self.disk()[0] < 2 * self._size_bytes:
            return
        try:
            with self._path.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, self._size_bytes)
        except OSError as error:
            self.release()
            if error.errno not in (errno.ENOSPC, errno.EOPNOTSUPP, errno.EDQUOT):
                raise
            _log.warning("%s: no room for the reserve of %d bytes: %s", self._path, self._size_bytes, error)
