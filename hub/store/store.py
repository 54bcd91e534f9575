"""The store as the rest of the hub sees it: every method either did what it says or raises StoreError."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Self

from hub.errors import StoreAwayError
from hub.model import Ack, Alert, AlertTransition, BedEvent
from hub.pipeline import StoredSegment
from hub.store import compaction, frames, records
from hub.store.migrate import migrate
from hub.store.rows import Acks, FrameRow, Layout, Reject, StoredClassification, StoreInfo
from hub.store.session import Connection, Readers, Session

FOREVER_MS: Final = 1 << 48
"""Past the last time that a wave frame can carry."""
WRITE_DEADLINE_S: Final = 8.0
"""Less than the time after which the hub takes a stage that does not move for stuck and starts it again."""


@dataclass(frozen=True, slots=True)
class _Database:
    """The connections to a database that has been found and brought up to date."""

    layout: Layout
    # Alerts do not wait behind waves, nor waves behind compaction.
    ingest: Session
    records: Session
    upkeep: Session
    readers: Readers


class Store:
    """The hub's database.  A lost one raises StoreError; the next call connects again by itself.

    Until `connect` has found it, every call raises StoreAwayError.  Nothing is deleted
    unless `retention_days` says after how many days waves go.
    """

    def __init__(self, *, retention_days: int | None = None) -> None:
        self._retention_ms = None if retention_days is None else retention_days * 86_400_000
        self._found: _Database | None = None

    @classmethod
    async def open(cls, dsn: str, *, retention_days: int | None = None) -> Self:
        """Make a store and connect it."""
        store = cls(retention_days=retention_days)
        await store.connect(dsn)
        return store

    async def connect(self, dsn: str) -> None:
        """Bring the database up to date and connect."""
        layout = await migrate(dsn)
        readers = Readers(dsn)
        await readers.open()
        self._found = _Database(
            layout,
            Session(dsn, "storing waves", frames.STAGING),
            Session(dsn, "storing records"),
            Session(dsn, "compaction"),
            readers,
        )

    async def close(self) -> None:
        """Close all connections."""
        if self._found is not None:
            await self._found.readers.close()
            for session in (self._found.ingest, self._found.records, self._found.upkeep):
                await session.close()

    @property
    def _database(self) -> _Database:
        if self._found is None:
            msg = "the database has not been found yet"
            raise StoreAwayError(msg)
        return self._found

    # --------------------------------------------------------------------- waves

    async def append_frames(self, rows: Sequence[FrameRow]) -> Acks:
        """Store frames in one transaction, each once, and say what of their epochs is committed now."""
        if not rows:
            return Acks()
        return await self._database.ingest.run(
            lambda connection: frames.append(connection, rows), seconds=WRITE_DEADLINE_S
        )

    async def read_frames(self, site: str, bed: str, from_ms: int, to_ms: int) -> list[FrameRow]:
        """Frames of one bed that reach into [from_ms, to_ms), by time, byte for byte as they came.

        `arrived_ms` of frames older than some minutes is exact to `segment.ARRIVAL_PRECISION_MS`.
        """
        return await self._database.readers.run(
            "reading waves", lambda connection: frames.read_span(connection, site, bed, from_ms, to_ms)
        )

    async def read_recent_beds(self, since_ms: int) -> list[tuple[str, str]]:
        """Site and bed of all that have frames that end after `since_ms`."""
        return await self._database.readers.run("reading beds", partial(frames.read_beds, since_ms=since_ms))

    async def read_acks(self) -> dict[tuple[str, str], Ack]:
        """Read what is committed of the newest epoch of each bed."""
        return await self._database.readers.run("reading acknowledgements", frames.read_newest_acks)

    async def quarantine(self, rejects: Sequence[Reject]) -> None:
        """Keep messages that could not be used; the oldest go when there are too many."""
        await self._database.records.run(lambda connection: frames.put_in_quarantine(connection, rejects))

    async def compact(self, now_ms: int) -> int:
        """Pack frames that have settled, and do the housekeeping; returns how many frames were packed."""
        return await compaction.compact(self._database.upkeep, now_ms, self._retention_ms)

    # ------------------------------------------------------------------- records

    async def append_events(self, site: str, bed: str, events: Sequence[BedEvent]) -> None:
        """Record events of a bed, each once by its id."""
        await self._database.records.run(
            lambda connection: records.write_events(connection, site, bed, events), seconds=WRITE_DEADLINE_S
        )

    async def read_events(self, site: str, bed: str, from_ms: int, to_ms: int) -> list[BedEvent]:
        """Events of a bed in [from_ms, to_ms), by time."""
        return await self._database.readers.run(
            "reading events", lambda connection: records.read_events(connection, site, bed, from_ms, to_ms)
        )

    async def save_transitions(self, transitions: Sequence[AlertTransition]) -> None:
        """Record what happened to alerts, each step once, and where they stand now."""
        await self._database.records.run(
            lambda connection: records.write_transitions(connection, transitions), seconds=WRITE_DEADLINE_S
        )

    async def read_open_alerts(self) -> list[Alert]:
        """Alerts that are not clear, in the order in which they were raised."""
        return await self._database.readers.run("reading alerts", records.read_open_alerts)

    async def read_alerts(
        self, site: str | None = None, bed: str | None = None, since_ms: int | None = None, limit: int = 200
    ) -> list[Alert]:
        """Alerts as they stand, the one that changed last first."""
        return await self._database.readers.run(
            "reading alerts", lambda connection: records.read_alerts(connection, site, bed, since_ms, limit)
        )

    async def read_transitions(self, alert_id: str) -> list[AlertTransition]:
        """All that happened to one alert, in order."""
        return await self._database.readers.run(
            "reading alerts", lambda connection: records.read_transitions(connection, alert_id)
        )

    async def save_classifications(self, segments: Sequence[StoredSegment]) -> None:
        """Record readings; the same again changes nothing, another for the same window is a new revision."""
        await self._database.records.run(
            lambda connection: records.write_classifications(connection, segments), seconds=WRITE_DEADLINE_S
        )

    async def read_classifications(
        self, site: str, bed: str, from_ms: int, to_ms: int
    ) -> list[StoredClassification]:
        """Newest revision of each window that reaches into [from_ms, to_ms), by time."""
        return await self._database.readers.run(
            "reading classifications",
            lambda connection: records.read_classifications(connection, site, bed, from_ms, to_ms),
        )

    # ---------------------------------------------------------------------- state

    async def describe(self) -> StoreInfo:
        """Say what database this is and how large; raises StoreError when it does not answer."""

        async def ask(connection: Connection) -> StoreInfo:
            cursor = await connection.execute(_DESCRIBE)
            version, size, live, packed, quarantined = await cursor.fetchone() or ("", 0, 0, 0, 0)
            return StoreInfo(version, self._database.layout, size, live, packed, quarantined)

        return await self._database.readers.run("asking the database", ask)


_DESCRIBE: Final = """
SELECT current_setting('server_version'), pg_database_size(current_database()),
       (SELECT n_live_tup FROM pg_stat_user_tables WHERE relname = 'frame'),
       (SELECT coalesce(sum(n_live_tup), 0)::bigint FROM pg_stat_user_tables AS s
        JOIN pg_inherits AS i ON i.inhrelid = s.relid WHERE i.inhparent = 'segment'::regclass),
       (SELECT count(*) FROM quarantine)
"""
