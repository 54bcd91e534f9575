"""Brings back what a damaged outbox still holds: by itself, in the background, piece by piece.

The damaged file stays as it is.  What is whole in it goes into the present outbox under the
identity that it always had, and from there to the hub as late data; the hub drops what it has
already, and its first ack of an epoch names all of that.  How far it has come is not kept:
a restart begins again, and what is here already is passed over.
"""

import asyncio
import json
import logging
import sqlite3
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import Final, NoReturn

import msgspec

from site_agent.committer import Committer
from site_agent.happenings import Restored
from site_agent.outbox import Outbox
from site_agent.retention import EVICT_SHARE
from site_agent.salvage import LONGEST_BYTES, Found, Searcher
from site_agent.stock import OutboxFullError, Stock

_log = logging.getLogger(__name__)

LOOK_S: Final = 2.0
PIECE_BYTES: Final = 256 * 1024
REST_S: Final = 0.05
"""Between two pieces, and at least as long as the last one took: devices and lines come first."""
ROOM_S: Final = 30.0
_SECTOR_BYTES: Final = 4096
SALVAGED: Final = "salvaged/"
"""Before the name of a damaged outbox: the note of what was read back from it."""


class Salvager:
    """Looks for damaged outboxes in the data folder, tells of them, and reads them back."""

    def __init__(
        self,
        folder: Path,
        beds: Sequence[str],
        committer: Committer,
        *,
        push: Callable[[Restored], None],
        keep_event: Callable[[str, str, bytes], None],
        tell_failure: Callable[[str], Awaitable[None]],
    ) -> None:
        self.damaged = 0
        """Damaged outboxes that lie in the folder."""
        self.frames_back = 0
        """Frames read back from them."""
        self._folder = folder
        self._beds = beds
        self._committer = committer
        self._push = push
        self._keep_event = keep_event
        self._tell_failure = tell_failure

    async def run(self) -> NoReturn:
        """Look every two seconds, for ever: an outbox may also prove damaged while it is used."""
        done = await self._committer.ask(partial(Outbox.read_notes, prefix=SALVAGED))
        reports = read_reports(done.items())
        while True:
            files = find_damaged(self._folder)
            self.damaged = len(files)
            self.frames_back = sum(reports.get(path.name, {}).get("frames", 0) for path in files)
            for path in files:
                if path.name not in reports:
                    reports[path.name] = await self._try(path)
            await asyncio.sleep(LOOK_S)

    async def _try(self, path: Path) -> dict[str, int]:
        try:
            return await self._read_back(path)
        except Exception:  # noqa: BLE001  # whatever is wrong with an old file must not end what reads the devices
            _log.exception("%s: not read back to its end; tried again at the next start", path)
            return {}

    async def _read_back(self, path: Path) -> dict[str, int]:
        await self._tell_failure(
            f"outbox damaged, set aside as {path.name}; what it still holds is read back"
        )
        before, report = self.frames_back, {"frames": 0, "events": 0, "strangers": 0, "unreadable_bytes": 0}
        searcher = Searcher({*self._beds, *await asyncio.to_thread(_read_beds, path)})
        for file in (path.with_name(f"{path.name}-wal"), path):
            for first in _piece_starts(file):
                begun_s = asyncio.get_running_loop().time()
                found, n_unreadable = await asyncio.to_thread(_search, searcher, file, first)
                report["unreadable_bytes"] += n_unreadable
                report["strangers"] += found.strangers
                report["events"] += len(found.events)
                report["frames"] += await self._take_back(found)
                self.frames_back = before + report["frames"]
                took_s = asyncio.get_running_loop().time() - begun_s
                await asyncio.sleep(max(REST_S, took_s))
        await self._committer.ask(partial(Outbox.note, name=SALVAGED + path.name, value=json.dumps(report)))
        text = f"{report['frames']} frames read back from {path.name}, {report['strangers']} of no known bed"
        _log.warning("%s, %d bytes of it unreadable", text, report["unreadable_bytes"])
        await self._tell_failure(text)
        return report

    async def _take_back(self, found: Found) -> int:
        """Bring a piece to the disk and to the window, once there is room; gives how many frames are new."""
        if not (found.frames or found.events):
            return 0
        new = await self._store(found)
        for stock in new:
            self._push(Restored(stock.bed, stock.epoch, tuple(stock.unacked), is_past=True))
        for event in found.events:
            self._keep_event(event.id, event.bed, event.payload)
        return sum(last - first + 1 for stock in new for first, last in stock.unacked)

    async def _store(self, found: Found) -> list[Stock]:
        while True:
            if (await self._committer.ask(Outbox.fill)).share < EVICT_SHARE:
                with suppress(OutboxFullError):
                    return await self._committer.ask(partial(Outbox.take_back, found=found))
            _log.warning("no room to read the damaged outbox back into: waiting")
            await asyncio.sleep(ROOM_S)


def read_reports(notes: Iterable[tuple[str, str]]) -> dict[str, dict[str, int]]:
    """Read the reports of what was read back, by the name of the file; one that is no report is left out."""
    reports = {}
    for name, text in notes:
        with suppress(ValueError, TypeError):
            reports[name.removeprefix(SALVAGED)] = msgspec.json.decode(text, type=dict[str, int])
    return reports


def find_damaged(folder: Path) -> list[Path]:
    """Find the outboxes that were set aside, newest first; of some only the journal was there."""
    names = {path.name.removesuffix("-wal") for path in folder.glob("outbox-damaged-*.db*")}
    return sorted((folder / name for name in names if name.endswith(".db")), reverse=True)


def _piece_starts(file: Path) -> Iterator[int]:
    """Where the pieces of a file begin, from its end down: the newest frames lie there."""
    size = file.stat().st_size if file.exists() else 0
    return iter(range(0, size, PIECE_BYTES)[::-1])


def _search(searcher: Searcher, file: Path, first: int) -> tuple[Found, int]:
    data, n_unreadable = _read_piece(file, first, PIECE_BYTES + LONGEST_BYTES)
    return searcher.search(data, PIECE_BYTES), n_unreadable


def _read_piece(file: Path, first: int, n_bytes: int) -> tuple[bytes, int]:
    """Read a piece; a sector that the disk does not give back becomes zeros and is counted."""
    with file.open("rb", buffering=0) as source:
        with suppress(OSError):
            source.seek(first)
            return source.read(n_bytes), 0
        data, n_unreadable = bytearray(), 0
        for at in range(first, first + n_bytes, _SECTOR_BYTES):
            try:
                source.seek(at)
                data += source.read(_SECTOR_BYTES)
            except OSError:
                data += bytes(_SECTOR_BYTES)
                n_unreadable += _SECTOR_BYTES
        return bytes(data), n_unreadable


def _read_beds(path: Path) -> set[str]:
    """Beds that the file names, as far as SQLite still reads it: some may not be in the configuration now."""
    if not path.exists():
        return set()
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)) as db:
            return {bed for (bed,) in db.execute("SELECT DISTINCT bed FROM stream") if isinstance(bed, str)}
    except sqlite3.Error as error:
        _log.info("%s: beds not readable, those of the configuration are taken: %s", path, error)
        return set()
