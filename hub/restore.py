"""What a worker keeps in memory, rebuilt from the store after a start, as soon as there is a database."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Final, TypeVar

from hub.acquisition.ring import RING_S
from hub.database import Database, keep_trying
from hub.model import Alert, AlertState, AlertTransition, LevelSpan
from hub.pipeline import Pipeline
from hub.pipeline.bed import RIBBON_MS
from hub.recorder import Recorder
from hub.stages import Clock, Stage
from hub.store.store import FOREVER_MS, Store
from hub.wire import decode_wave

_log = logging.getLogger(__name__)

T = TypeVar("T")

FRAMES_AT_ONCE: Final = 100
"""Frames put into the rings between two looks at what is live: some ms."""


class Restoration:
    """Brings back frames, ribbons and open alerts, bed by bed; live frames may come meanwhile."""

    def __init__(
        self,
        database: Database,
        store: Store,
        pipeline: Pipeline,
        recorder: Recorder,
        steps: Sequence[AlertTransition],
        *,
        clock: Clock,
        make_stage: Callable[[str, Callable[[], int]], Stage],
    ) -> None:
        self._database = database
        self._store = store
        self._pipeline = pipeline
        self._recorder = recorder
        self._steps = steps
        """Of the alert journal: what the database may not have of a former run."""
        self._clock = clock
        self._beds_left = 1
        self.stage = make_stage("restore", lambda: self._beds_left)

    async def run(self) -> None:
        """Return when all is back.  Raises StoreError when waiting for the database will not mend it."""
        self._note_waiting()
        await self._ask(self._database.connect)
        await self._ask(partial(self._store.save_transitions, self._steps))
        since_ms = self._clock.now_ms() - RING_S * 1000
        alerts: dict[tuple[str, str], list[Alert]] = {}
        for alert in await self._ask(self._store.read_open_alerts):
            alerts.setdefault((alert.site, alert.bed), []).append(alert)
        beds = await self._ask(partial(self._store.read_recent_beds, since_ms))
        keys = sorted({*beds, *alerts})
        frames = 0
        for number, key in enumerate(keys):
            self._beds_left = len(keys) - number
            frames += await self._restore_bed(*key, since_ms)
            replaced = self._pipeline.restore_alerts(alerts.get(key, ()))
            self._recorder.keep(_end(alert, self._clock.now_ms()) for alert in replaced)
            self.stage.beat()
        self._beds_left = 0
        _log.info("restored %d beds from %d frames", len(keys), frames)

    async def _restore_bed(self, site: str, bed: str, since_ms: int) -> int:
        rows = await self._ask(partial(self._store.read_frames, site, bed, since_ms, FOREVER_MS))
        for first in range(0, len(rows), FRAMES_AT_ONCE):
            self._pipeline.restore_frames(
                (decode_wave(row.payload, site=site, bed=bed), row.lane, row.arrived_ms)
                for row in rows[first : first + FRAMES_AT_ONCE]
            )
            await asyncio.sleep(0)
        now_ms = self._clock.now_ms()
        known = await self._ask(
            partial(self._store.read_classifications, site, bed, now_ms - RIBBON_MS, now_ms)
        )
        for fetus in sorted({one.fetus for one in known}):
            spans = [
                LevelSpan(
                    start_ms=one.origin_ms + round(one.classification.start_s * 1000),
                    end_ms=one.origin_ms + round(one.classification.end_s * 1000),
                    level=one.classification.level,
                )
                for one in known
                if one.fetus == fetus
            ]
            self._pipeline.restore_ribbon(site, bed, fetus, sorted(spans, key=lambda span: span.start_ms))
        return len(rows)

    async def _ask(self, work: Callable[[], Awaitable[T]]) -> T:
        try:
            return await keep_trying(work, self._note_waiting)
        finally:
            self.stage.waits_for = None

    def _note_waiting(self) -> None:
        self.stage.waits_for = "the database"


def _end(alert: Alert, now_ms: int) -> AlertTransition:
    """End a stored alert in whose place another stands, so that no later start brings it back."""
    clear = replace(alert, state=AlertState.CLEAR, is_present=False, changed_ms=now_ms)
    return AlertTransition(
        alert=clear, from_state=alert.state, to_state=AlertState.CLEAR, cause="superseded", t_ms=now_ms
    )
