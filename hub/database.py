"""Finds the hub's database, in a server of its own or in one elsewhere; waits for it as long as it takes."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from types import TracebackType
from typing import Final, Self, TypeVar

from hub.errors import StoreAwayError, StoreError
from hub.settings import Settings
from hub.store.embedded import EmbeddedPostgres
from hub.store.store import Store

_log = logging.getLogger(__name__)

T = TypeVar("T")

RETRY_S: Final = 1.0
WATCH_S: Final = 1.0


class Database:
    """What stands behind the store: without a database in the settings, the embedded server, kept running."""

    def __init__(self, settings: Settings, store: Store) -> None:
        url = settings.database_url
        self._dsn = None if url is None else url.get_secret_value()
        self._store = store
        self._server = EmbeddedPostgres(settings.data_dir / "postgres")
        self._keeper: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the store and end what was started for it."""
        await self._store.close()
        if self._keeper is not None:
            await cancel(self._keeper)
        if self._dsn is None:
            await asyncio.to_thread(self._server.stop)

    async def connect(self) -> None:
        """Connect the store.  Raises StoreAwayError when it may be tried again, StoreError when not."""
        if self._dsn is not None:
            await self._store.connect(self._dsn)
            return
        await asyncio.to_thread(self._server.start)
        await self._store.connect(self._server.dsn)
        self._keeper = asyncio.create_task(_keep_running(self._server), name="database")


async def keep_trying(work: Callable[[], Awaitable[T]], on_wait: Callable[[], None] = lambda: None) -> T:
    """Do what needs the database, again and again while it is away; log each reason once."""
    said = ""
    while True:
        try:
            return await work()
        except StoreAwayError as error:
            on_wait()
            if str(error) != said:
                _log.warning("waiting for the database: %s", error)
            said = str(error)
            await asyncio.sleep(RETRY_S)


async def _keep_running(server: EmbeddedPostgres) -> None:
    while True:
        await asyncio.sleep(WATCH_S)
        if not server.is_running:
            _log.error("the database ended; starting it again")
            with suppress(StoreError):
                await asyncio.to_thread(server.start)


async def cancel(task: "asyncio.Task[None]") -> None:
    """End a task and wait until it has ended."""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
