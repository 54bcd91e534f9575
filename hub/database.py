"""Opens the store, in a server of its own or in one elsewhere, and waits for it as long as it takes."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Final

from hub.errors import StoreAwayError, StoreError
from hub.settings import Settings
from hub.store.embedded import EmbeddedPostgres
from hub.store.store import Store

_log = logging.getLogger(__name__)

RETRY_S: Final = 1.0
WATCH_S: Final = 1.0


@asynccontextmanager
async def open_store(settings: Settings) -> AsyncIterator[Store]:
    """Open the database that the settings name; without one, keep the embedded server running."""
    async with AsyncExitStack() as stack:
        if settings.database_url is None:
            server = EmbeddedPostgres(settings.data_dir / "postgres")
            await asyncio.to_thread(server.start)
            stack.push_async_callback(asyncio.to_thread, server.stop)
            keeper = asyncio.create_task(_keep_database(server), name="database")
            stack.push_async_callback(cancel, keeper)
            dsn = server.dsn
        else:
            dsn = settings.database_url.get_secret_value()
        store = await _connect(dsn)
        stack.push_async_callback(store.close)
        yield store


async def _connect(dsn: str) -> Store:
    said = ""
    while True:
        try:
            return await Store.open(dsn)
        except StoreAwayError as error:
            if str(error) != said:
                _log.warning("waiting for the database: %s", error)
            said = str(error)
            await asyncio.sleep(RETRY_S)


async def _keep_database(server: EmbeddedPostgres) -> None:
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
