"""The thread that owns the outbox: batches of frames in one transaction each, questions in between."""

import asyncio
import concurrent.futures
import itertools
import logging
import random
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

from hub.model import BedEvent
from site_agent.outbox import Outbox
from site_agent.schema import is_damage
from site_agent.stock import Draft, Kept, OutboxDamagedError, OutboxError, OutboxLimits

_log = logging.getLogger(__name__)

T = TypeVar("T")

COMMIT_S: Final = 0.15
"""Commits are at least this far apart: what comes meanwhile shares the next one (reliability rule 1)."""
MAX_WAITING: Final = 20_000
"""Frames that may wait for the disk in memory; beyond it the newest are refused, counted and reported."""


def new_epoch() -> int:
    """Draw the number of this start."""
    return random.SystemRandom().getrandbits(32)


class Committer:
    """Gives the outbox's work to its thread and its answers back to the event loop.

    A database that proves damaged is set aside under another name and a new one begun;
    the batch at hand goes into the new one.
    """

    def __init__(
        self, folder: Path, site: str, *, limits: OutboxLimits | None = None, commit_s: float = COMMIT_S
    ) -> None:
        self.frames_waiting = 0
        self.frames_refused = 0
        self.frames_unstored = 0
        self.commits = 0
        self.was_missing = False
        """Whether agents have worked in this folder and their outbox was gone at the start."""
        self._folder = folder
        self._site = site
        self._limits = limits
        self._commit_s = commit_s
        self._has_work = threading.Condition()
        self._batches: deque[
            tuple[Sequence[Draft], Sequence[tuple[str, BedEvent]], concurrent.futures.Future[list[Kept]]]
        ] = deque()
        self._jobs: deque[tuple[Callable[[Outbox], Any], concurrent.futures.Future[Any]]] = deque()
        self._is_closing = False
        self._turned_s = self._born_s = time.monotonic()
        self._outbox = self._open()
        self._thread = threading.Thread(target=self._run, name="outbox", daemon=True)

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def close(self) -> None:
        """Commit what waits, then end."""
        with self._has_work:
            self._is_closing = True
            self._has_work.notify()
        if self._thread.is_alive():
            self._thread.join()
        self._outbox.close()

    @property
    def epoch(self) -> int:
        """The epoch of every frame of this start."""
        return self._outbox.epoch

    @property
    def stuck_s(self) -> float:
        """For how long the thread has had work and not moved."""
        if not (self._batches or self._jobs):
            return 0.0
        return time.monotonic() - self._turned_s

    async def append(
        self, drafts: Sequence[Draft], events: Sequence[tuple[str, BedEvent]] = ()
    ) -> list[Kept]:
        """Store and wait for the commit; gives the frames with their identity, none if memory is full too."""
        if self.frames_waiting + len(drafts) > MAX_WAITING:
            self.frames_refused += len(drafts)
            return []
        self.frames_waiting += len(drafts)
        answer: concurrent.futures.Future[list[Kept]] = concurrent.futures.Future()
        self._submit(self._batches, (drafts, events, answer))
        return await asyncio.wrap_future(answer)

    async def ask(self, job: Callable[[Outbox], T]) -> T:
        """Run something on the outbox, between two commits."""
        answer: concurrent.futures.Future[T] = concurrent.futures.Future()
        self._submit(self._jobs, (job, answer))
        return await asyncio.wrap_future(answer)

    def _submit(self, queue: deque[Any], item: Any) -> None:  # noqa: ANN401  # two kinds of work, one door
        with self._has_work:
            if not (self._batches or self._jobs):
                self._turned_s = time.monotonic()
            queue.append(item)
            self._has_work.notify()

    # -------------------------------------------------------------- in the thread

    def _run(self) -> None:
        next_s = 0.0
        while True:
            with self._has_work:
                while not self._jobs and not self._is_closing:
                    wait_s = next_s - time.monotonic() if self._batches else None
                    if wait_s is not None and wait_s <= 0:
                        break
                    self._has_work.wait(wait_s)
                job = self._jobs.popleft() if self._jobs else None
                is_due = bool(self._batches) and (self._is_closing or time.monotonic() >= next_s)
                is_end = self._is_closing and job is None and not self._batches
            if is_end:
                return
            self._outbox.lived_s = time.monotonic() - self._born_s
            if is_due:
                next_s = time.monotonic() + self._commit_s
                self._commit()
            if job is not None:
                self._carry_out(*job)
            self._turned_s = time.monotonic()

    def _commit(self) -> None:
        batches = [self._batches[k] for k in range(len(self._batches))]
        # Whoever was cancelled meanwhile hears nothing; what it handed over is stored all the same.
        waiting = [answer if answer.set_running_or_notify_cancel() else None for _, _, answer in batches]
        drafts = [draft for batch, _, _ in batches for draft in batch]
        events = [event for _, batch, _ in batches for event in batch]
        try:
            try:
                kept = self._outbox.append(drafts, events)
            except OutboxDamagedError as error:
                self._replace(error)
                kept = self._outbox.append(drafts, events)
        except (OutboxError, sqlite3.Error) as error:
            self._done(batches)
            for answer in waiting:
                if answer is not None:
                    answer.set_exception(error)
            return
        self.commits += 1
        self.frames_unstored += sum(not frame.is_stored for frame in kept)
        self._done(batches)
        start = 0
        for (batch, _, _), answer in zip(batches, waiting, strict=True):
            if answer is not None:
                answer.set_result(kept[start : start + len(batch)])
            start += len(batch)

    def _done(self, batches: Sequence[tuple[Sequence[Draft], Any, Any]]) -> None:
        for batch, _, _ in batches:
            self._batches.popleft()
            self.frames_waiting -= len(batch)

    def _carry_out(self, job: Callable[[Outbox], Any], answer: "concurrent.futures.Future[Any]") -> None:
        if not answer.set_running_or_notify_cancel():
            return
        try:
            try:
                result = job(self._outbox)
            except (OutboxDamagedError, sqlite3.DatabaseError) as error:
                if isinstance(error, sqlite3.DatabaseError) and not is_damage(error):
                    raise
                self._replace(error)
                result = job(self._outbox)
        except Exception as error:  # noqa: BLE001  # whatever it is belongs to who asked
            answer.set_exception(error)
        else:
            answer.set_result(result)

    def _open(self) -> Outbox:
        if not (self._folder / "outbox.db").exists() and (self._folder / "ballast").exists():
            self.was_missing = True
            _log.critical("%s: the outbox of the last run is not there; a new one begun", self._folder)
        try:
            return Outbox(self._folder, self._site, new_epoch(), self._limits)
        except OutboxDamagedError as error:
            self._set_aside(error)
            return Outbox(self._folder, self._site, new_epoch(), self._limits)

    def _replace(self, error: Exception) -> None:
        old = self._outbox
        old.close()
        self._set_aside(error)
        self._outbox = Outbox(self._folder, self._site, old.epoch, self._limits)
        self._outbox.take_over_seqs(old)

    def _set_aside(self, error: Exception) -> None:
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        aside = self._folder / f"outbox-damaged-{stamp}.db"
        for number in itertools.count(2):
            if not list(self._folder.glob(f"{aside.name}*")):
                break
            aside = self._folder / f"outbox-damaged-{stamp}-{number}.db"
        for suffix in ("", "-wal", "-shm"):
            path = self._folder / f"outbox.db{suffix}"
            if path.exists():
                path.rename(f"{aside}{suffix}")
        _log.critical("outbox damaged, set aside as %s and a new one begun: %s", aside, error)
