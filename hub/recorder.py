"""From the pipeline to the store: bounded queues, batches, retries, and the acks that follow a commit."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import islice
from typing import Final

from hub.errors import StoreAwayError, StoreError
from hub.journal import AlertJournal
from hub.model import Ack, AlertTransition, BedEvent, Lane
from hub.pipeline import StoredSegment
from hub.stages import Stage
from hub.store.rows import FrameRow
from hub.store.store import Store

_log = logging.getLogger(__name__)

BATCH_S: Final = 0.2
"""Frames wait this long for company; a commit then follows within the second promised."""
BATCH_FRAMES: Final = 2000
MAX_FRAMES: Final = 40_000
"""Frames that may wait.  When full, a frame is refused: not acknowledged, the site sends it again."""
MAX_FILL_FRAMES: Final = 30_000
"""The same for frames of the fill lane: a flood of backfill leaves room for what is live."""
MAX_RECORDS: Final = 100_000
"""Alert transitions, segments and events that may wait before it is called critical; none is dropped."""
MAX_EVENT_IDS: Final = 200
"""Events that one ack names; of one that is never named the site sends again what is stored already."""
MAX_SET_ASIDE: Final = 1000
"""Refused records that are kept for whoever looks into it; each was logged as critical."""
MAX_TOGETHER: Final = 200
"""Steps of alerts, or readings, that share a transaction when many beds change at once."""
RETRY_S: Final = 1.0
LAST_SEQ: Final = 2**32 - 1
MAX_MISSING: Final = 100
"""Ranges that one ack names (protocol, section 5)."""


def bounded_ack(ack: Ack) -> Ack:
    """Cut an ack to the ranges it may name: the last one then says that nothing above is acknowledged."""
    if len(ack.missing) <= MAX_MISSING:
        return ack
    named = ack.missing[: MAX_MISSING - 1]
    return Ack(
        epoch=ack.epoch,
        contiguous=ack.contiguous,
        missing=(*named, (ack.missing[MAX_MISSING - 1][0], LAST_SEQ)),
        highest=ack.highest,
    )


Record = AlertTransition | StoredSegment | tuple[str, str, BedEvent]
"""What is never dropped: an alert's step, a segment's reading, an event with its site and bed."""


class Recorder:
    """Writes everything that must not be lost; live traces and alerts never wait for it."""

    def __init__(
        self,
        store: Store,
        publish_ack: Callable[[str, str, Ack], Awaitable[bool]],
        make_stage: Callable[[str, Callable[[], int]], Stage],
        journal: AlertJournal,
        on_conflict: Callable[[str, str], None] = lambda site, bed: None,
    ) -> None:
        self._journal = journal
        self._store = store
        self._publish_ack = publish_ack
        self._on_conflict = on_conflict
        self._frames: deque[FrameRow] = deque()
        self._records: deque[Record] = deque()
        self._refused_records: deque[Record] = deque(maxlen=MAX_SET_ASIDE)
        self._acks: dict[tuple[str, str, int], Ack] = {}
        self._waiting_events: set[str] = set()
        self._stored_events: dict[tuple[str, str], list[str]] = {}
        self._wake = asyncio.Event()
        self._together = MAX_TOGETHER
        """Records that may share a transaction now: fewer after one that was not done in time."""
        self._one_by_one = 0
        """Records still to be written each by itself, because one of them was refused."""
        self._is_failing = False
        self._is_full = False
        self.refused_frames = 0
        self.conflicting_frames = 0
        self.set_aside_records = 0
        self.frame_stage = make_stage("store_frames", lambda: len(self._frames))
        self.record_stage = make_stage("store_records", lambda: len(self._records))
        self.ack_stage = make_stage("acks", lambda: len(self._acks) + len(self._stored_events))

    @property
    def is_failing(self) -> bool:
        """Whether the last write failed."""
        return self._is_failing

    @property
    def standstill_s(self) -> float:
        """For how long something has waited without anything being committed."""
        return max(self.frame_stage.standstill_s, self.record_stage.standstill_s)

    def offer_frame(self, row: FrameRow) -> bool:
        """Queue a frame; False when the queue is full, and then the site will send it again."""
        if len(self._frames) >= (MAX_FRAMES if row.lane is Lane.LIVE else MAX_FILL_FRAMES):
            if not self._is_full:
                _log.error(
                    "%d frames wait for the database: further ones are refused until it answers",
                    len(self._frames),
                )
            self._is_full = True
            self.refused_frames += 1
            return False
        if not self._frames:
            self.frame_stage.begin()
        self._frames.append(row)
        self._wake.set()
        return True

    def keep(self, records: Iterable[Record]) -> None:
        """Queue what is never dropped; steps of alerts are on the disk when this returns."""
        records = list(records)
        self._journal.append(record for record in records if isinstance(record, AlertTransition))
        if not self._records:
            self.record_stage.begin()
        self._records.extend(records)
        if len(self._records) > MAX_RECORDS:
            _log.critical("%d alert and analysis records wait for the database", len(self._records))
        self._wake.set()

    def resume(self, steps: Sequence[AlertTransition]) -> None:
        """Put what the journal holds of a former run before all else; there it stays until it is stored."""
        self._records.extendleft(reversed(steps))
        self.record_stage.begin()

    def keep_event(self, site: str, bed: str, event: BedEvent) -> None:
        """Queue an event, also one that is known: the site sends it until it hears that it is stored."""
        if event.id not in self._waiting_events:
            self._waiting_events.add(event.id)
            self.keep([(site, bed, event)])

    # --------------------------------------------------------------- the stages

    async def write_frames(self) -> None:
        """Write frames in batches for ever."""
        while True:
            if not self._frames:
                self._wake.clear()
                await self._wake.wait()
            await asyncio.sleep(BATCH_S)
            batch = [self._frames[k] for k in range(min(BATCH_FRAMES, len(self._frames)))]
            if not batch:
                continue
            try:
                acks = await self._store.append_frames(batch)
            except StoreError as error:
                await self._failed(error)
                self.frame_stage.turn()
                continue
            self._recovered()
            for _ in batch:
                self._frames.popleft()
            self.conflicting_frames += acks.conflicting
            for site, bed in acks.contested:
                self._on_conflict(site, bed)
            for (site, bed), ack in acks.items():
                self._acks[site, bed, ack.epoch] = ack
            for site, bed, ack in acks.older:
                self._acks[site, bed, ack.epoch] = ack
            self.frame_stage.beat()

    async def write_records(self) -> None:
        """Write alerts, segments and events, oldest first, for ever."""
        while True:
            if not self._records:
                await asyncio.sleep(BATCH_S)
                continue
            batch = self._take_batch()
            try:
                await self._write(batch)
            except StoreAwayError as error:
                self._together = max(1, len(batch) // 2)
                await self._failed(error)
                self.record_stage.turn()
                continue
            except StoreError as error:
                if len(batch) > 1:
                    self._one_by_one = len(batch)  # one of them is refused: find out which
                    continue
                self._set_aside(batch[0], error)
            else:
                self._together = min(MAX_TOGETHER, 2 * self._together)
                self._recovered()
            self._one_by_one = max(0, self._one_by_one - 1)
            for record in batch:
                self._records.popleft()
                if isinstance(record, tuple):
                    self._waiting_events.discard(record[2].id)
            if not self._records and not self._refused_records:
                self._journal.clear()
            self.record_stage.beat()

    def _take_batch(self) -> list[Record]:
        """Give the records at the head of the queue that may share a transaction.

        They are of one kind, events alone; of one window there is one reading, so that
        a transaction that is written twice adds no revision.
        """
        first = self._records[0]
        most = 1 if self._one_by_one or isinstance(first, tuple) else self._together
        batch: list[Record] = []
        windows: set[tuple[str, str, int, int]] = set()
        for record in islice(self._records, most):
            if type(record) is not type(first):
                break
            if isinstance(record, StoredSegment):
                if record.window in windows:
                    break
                windows.add(record.window)
            batch.append(record)
        return batch

    async def _write(self, batch: list[Record]) -> None:
        if steps := [record for record in batch if isinstance(record, AlertTransition)]:
            await self._store.save_transitions(steps)
        if segments := [record for record in batch if isinstance(record, StoredSegment)]:
            await self._store.save_classifications(segments)
        for site, bed, event in (record for record in batch if isinstance(record, tuple)):
            await self._store.append_events(site, bed, [event])
            ids = self._stored_events.setdefault((site, bed), [])
            self._stored_events[site, bed] = [*ids, event.id][-MAX_EVENT_IDS:]

    async def send_acks(self) -> None:
        """Publish the newest ack of each bed for ever; one that the broker did not take waits."""
        while True:
            await asyncio.sleep(BATCH_S)
            for key, ack in list(self._acks.items()):
                site, bed, _ = key
                self.ack_stage.turn()
                if not await self._publish_ack(site, bed, bounded_ack(ack)):
                    break
                if self._acks.get(key) is ack:
                    del self._acks[key]
                self.ack_stage.beat()
            await self._confirm_events()

    async def _confirm_events(self) -> None:
        for (site, bed), ids in list(self._stored_events.items()):
            self.ack_stage.turn()
            if not await self._publish_ack(site, bed, Ack(epoch=0, contiguous=-1, events=tuple(ids))):
                return
            if self._stored_events[site, bed] is ids:
                del self._stored_events[site, bed]
            self.ack_stage.beat()

    def _set_aside(self, record: Record, error: StoreError) -> None:
        """Take a record that the database will never take out of the way of those behind it."""
        self.set_aside_records += 1
        _log.critical("a record was refused for good and is kept in memory only: %s", error)
        self._refused_records.append(record)

    async def _failed(self, error: StoreError) -> None:
        if not self._is_failing:
            _log.error("the database does not take writes, trying on: %s", error)
        self._is_failing = True
        await asyncio.sleep(RETRY_S)

    def _recovered(self) -> None:
        if self._is_failing:
            _log.info("the database takes writes again; %d frames waited", len(self._frames))
        self._is_failing = False
        self._is_full = False
