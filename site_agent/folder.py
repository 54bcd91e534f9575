"""A folder as a port: finished files are handed over, and put away once they are stored.

Files may lie in the folder or one level down, where the subfolder names the bed.  A file is
finished when size and time of change have stood still for two looks; it stays where it is until
the answer comes, and then goes to `done/` or, with a file of the reason beside it, to `refused/`.
So a file whose answer never came is handed over again after a restart.
"""

import asyncio
import logging
import os
from pathlib import Path
from typing import Final

from hub.errors import WireError
from site_agent.drivers.bundle import decode_answer, encode_bundle
from site_agent.port import Clock, Port, PortState, Received, Turn

_log = logging.getLogger(__name__)

DONE: Final = "done"
REFUSED: Final = "refused"
LOOK_S: Final = 1.0
WAIT_FOR_DATA_S: Final = 60.0
"""How long a WFDB header waits for its .dat before it goes to its answer alone."""
_NOT_READY: Final = (".tmp", ".part", ".partial", ".filepart")
_Stamp = tuple[int, int]


class FolderPort(Port):
    """`folder:/path`: one connection as long as the folder can be read; one block is one recording.

    What `write` gives is the driver's answer for one recording; it moves the files.
    """

    def __init__(self, spec: str, clock: Clock, *, folder: Path, look_s: float = LOOK_S) -> None:
        super().__init__(spec, clock)
        self._folder = folder
        self._look_s = look_s
        self._connection = 0
        self._seen: dict[Path, _Stamp] = {}
        self._since_s: dict[Path, float] = {}
        self._handed: dict[str, list[Path]] = {}

    @property
    def connections(self) -> tuple[int, ...]:
        """The one connection, while the folder can be read."""
        return (self._connection,) if self._connection else ()

    async def write(self, data: bytes, connection: int | None = None) -> None:
        """Put the files of a recording away, as the answer says."""
        del connection  # there is one
        name, reason = decode_answer(data)
        paths = self._handed.pop(name, [])
        try:
            await asyncio.to_thread(_put_away, self._folder, paths, reason)
        except OSError as error:
            # Left where it is it would be read again and again; so it is kept as handed over.
            self._handed[name] = paths
            _log.warning("%s: %s cannot be moved: %s", self.spec, name, error)

    async def _run(self) -> None:
        while True:
            try:
                await self._look()
            except OSError as error:
                self._close(f"cannot be read: {error}")
            await asyncio.sleep(self._look_s)

    async def _look(self) -> None:
        stamps = await asyncio.to_thread(_list_files, self._folder)
        if not self._connection:
            self._connection = self._number()
            self._set_state(PortState.OPEN, "open")
            self._tell(Received(b"", self._clock.now_ms(), self._connection, Turn.OPENED))
        still = {path for path, stamp in stamps.items() if self._seen.get(path) == stamp}
        now_s = self._clock.now_s()
        self._since_s = {path: self._since_s.get(path, now_s) for path in still}
        self._seen = stamps
        handed = {path for paths in self._handed.values() for path in paths}
        for path in sorted(still - handed):
            if self._is_full:
                return
            await self._hand_over(path, stamps, still)

    async def _hand_over(self, path: Path, stamps: dict[Path, _Stamp], still: set[Path]) -> None:
        paths = [path]
        if path.suffix.lower() == ".dat" and path.with_suffix(".hea") in stamps:
            return  # goes with its header
        if path.suffix.lower() in (".hea", ".dat"):
            partner = path.with_suffix(".dat")
            if path.suffix.lower() == ".hea" and partner in still:
                paths.append(partner)
            elif partner in stamps and partner != path:
                return
            elif self._clock.now_s() - self._since_s[path] < WAIT_FOR_DATA_S:
                return  # the other half may still be on its way
        name = path.relative_to(self._folder).as_posix()
        try:
            files = {
                p.relative_to(self._folder).as_posix(): await asyncio.to_thread(p.read_bytes) for p in paths
            }
            bundle = encode_bundle(files)
        except WireError as error:
            await asyncio.to_thread(_put_away, self._folder, paths, str(error))
            return
        self._handed[name] = paths
        self._tell(Received(bundle, self._clock.now_ms(), self._connection))

    def _close(self, why: str) -> None:
        self._set_state(PortState.CLOSED, why)
        if self._connection:
            self._tell(Received(b"", self._clock.now_ms(), self._connection, Turn.CLOSED))
        self._connection = 0
        self._handed.clear()


def _list_files(folder: Path) -> dict[Path, _Stamp]:
    """Files that may be recordings, with size and time of change."""
    stamps: dict[Path, _Stamp] = {}
    places = [folder]
    with os.scandir(folder) as entries:
        places += [Path(e.path) for e in entries if e.is_dir() and e.name not in (DONE, REFUSED)]
    for place in places:
        with os.scandir(place) as entries:
            for entry in entries:
                if entry.is_file() and not entry.name.startswith(".") and _may_be_ready(entry.name):
                    stat = entry.stat()
                    stamps[Path(entry.path)] = (stat.st_size, stat.st_mtime_ns)
    return stamps


def _may_be_ready(name: str) -> bool:
    return not name.lower().endswith(_NOT_READY)


def _put_away(folder: Path, paths: list[Path], reason: str | None) -> None:
    for path in paths:
        target = folder / (REFUSED if reason else DONE) / path.relative_to(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        free = target
        number = 1
        while free.exists():  # the same name has come before, and both are kept
            number += 1
            free = target.with_name(f"{target.stem}~{number}{target.suffix}")
        if reason:
            free.with_name(free.name + ".reason.txt").write_text(reason + "\n", encoding="utf-8")
        path.rename(free)
