"""Connections to PostgreSQL that never hang: each use has a deadline, a lost one is opened again.

A frozen server still answers TCP, and cancelling a query of psycopg waits for
that server.  So the deadline does not cancel: it shuts the socket down, on
which the query ends at once with an error.
"""

import asyncio
import contextlib
import logging
import os
import re
import socket
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final, LiteralString, TypeVar

import psycopg
from psycopg import AsyncConnection
from psycopg.pq import TransactionStatus
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool, PoolClosed, PoolTimeout, TooManyRequests

from hub.errors import StoreAwayError, StoreError

_log = logging.getLogger(__name__)

T = TypeVar("T")
Connection = AsyncConnection[TupleRow]
Work = Callable[[Connection], Awaitable[T]]

CONNECT_TIMEOUT_S: Final = 3
STATEMENT_TIMEOUT_S: Final = 10
DEADLINE_S: Final = 12.0
"""For a whole transaction; longer than the server's own limit, so that only a frozen server meets it."""
WAIT_S: Final = 5.0
"""For a free connection."""
MAX_WAITING: Final = 64
READERS: Final = 4
_CHECK_S: Final = 2.0
_STALE_WITHIN_S: Final = 2.0
"""A connection that died while idle fails at its next use within this; a frozen server takes longer."""

_HOPELESS_CLASSES: Final = frozenset({"28", "3D", "54"})
"""Not allowed to log in; no such database; a value that is too large."""
_HOPELESS_SENTENCE: Final = re.compile(
    r"authentication failed|no password supplied|no pg_hba\.conf entry|is not permitted to log in"
    r"|(role|database) \".*\" does not exist|permission denied for database|SSL was required"
    r"|connection is bad: invalid"
)

_OPTIONS: Final = (
    f"-c statement_timeout={STATEMENT_TIMEOUT_S}s -c lock_timeout=5s"
    " -c idle_in_transaction_session_timeout=30s -c timezone=UTC -c synchronous_commit=on"
)
_CONNECTION: Final[dict[str, Any]] = {
    "connect_timeout": CONNECT_TIMEOUT_S,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
    "application_name": "ctg-hub",
    "options": _OPTIONS,
}


async def connect(dsn: str) -> Connection:
    """Open one connection.  Raises psycopg.OperationalError after at most `CONNECT_TIMEOUT_S`."""
    connection = await AsyncConnection.connect(dsn, autocommit=True, **_CONNECTION)
    await _configure(connection)
    return connection


async def _configure(connection: Connection) -> None:
    # A prepared plan would outlive the size of the staging table that it was made for.
    connection.prepare_threshold = None


@contextlib.contextmanager
def deadline(connection: Connection, seconds: float) -> Iterator[None]:
    """Shut the connection's socket down if the block is not done in time."""
    timer = asyncio.get_running_loop().call_later(seconds, _shut_down, connection)
    try:
        yield
    finally:
        timer.cancel()


def _shut_down(connection: Connection) -> None:
    with (
        contextlib.suppress(OSError, psycopg.Error),
        socket.socket(fileno=os.dup(connection.fileno())) as twin,
    ):
        twin.shutdown(socket.SHUT_RDWR)


def store_error(purpose: str, error: Exception) -> StoreError:
    """Say in one line which use of the database failed and why, and whether waiting may help."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    # Only the first line: what follows in an answer of the server may quote the row, and so a patient.
    # A connection that was tried at several addresses has its reasons in the lines after a colon.
    reason = " ".join(lines if lines[0].endswith("failures were:") else lines[:1])
    return (StoreAwayError if may_heal(error) else StoreError)(f"{purpose}: {reason}")


def may_heal(error: Exception) -> bool:
    """Whether the same request may succeed later, without a hand on the hub's settings."""
    if isinstance(error, PoolTimeout | TooManyRequests | psycopg.errors.ReadOnlySqlTransaction):
        return True
    if not isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return False
    if error.sqlstate is not None:
        return error.sqlstate[:2] not in _HOPELESS_CLASSES
    if error.pgconn is not None and error.pgconn.needs_password:
        return False
    # libpq gives no code for a connection that was refused, only the server's sentence.  One in another
    # language is taken for a passing fault: the hub waits, and its log repeats the sentence.
    return _HOPELESS_SENTENCE.search(str(error)) is None


class Session:
    """One dedicated connection, used by one caller after the other; opened again when it is lost."""

    def __init__(self, dsn: str, purpose: str, prepare: LiteralString | None = None) -> None:
        self._dsn = dsn
        self._purpose = purpose
        self._prepare = prepare
        self._connection: Connection | None = None
        self._lock = asyncio.Lock()
        self._is_lost = False

    async def run(self, work: Work[T], *, seconds: float = DEADLINE_S) -> T:
        """Do the work in one transaction; once more if the connection had died since its last use.

        The work must be idempotent: whether a transaction was committed when its
        connection broke cannot be known.  Raises StoreError.
        """
        try:
            await asyncio.wait_for(self._lock.acquire(), WAIT_S + seconds)
        except TimeoutError as error:
            msg = f"{self._purpose}: the connection was not free within {WAIT_S + seconds:.0f} s"
            raise StoreError(msg) from error
        try:
            return await self._run_alone(work, seconds)
        finally:
            self._lock.release()

    async def close(self) -> None:
        """Close the connection; the next `run` opens another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def _run_alone(self, work: Work[T], seconds: float) -> T:
        started_s = asyncio.get_running_loop().time()
        may_be_stale = self._connection is not None
        try:
            try:
                result = await self._attempt(work, seconds)
            except (psycopg.OperationalError, psycopg.InterfaceError):
                is_quick = asyncio.get_running_loop().time() - started_s < _STALE_WITHIN_S
                if not (may_be_stale and self._connection is None and is_quick):
                    raise
                result = await self._attempt(work, seconds)
        except psycopg.Error as error:
            if not self._is_lost and self._connection is None:
                self._is_lost = True
                _log.warning("database lost: %s", store_error(self._purpose, error))
            raise store_error(self._purpose, error) from error
        if self._is_lost:
            self._is_lost = False
            _log.info("%s: database recovered", self._purpose)
        return result

    async def _attempt(self, work: Work[T], seconds: float) -> T:
        connection = self._connection
        if connection is None:
            connection = self._connection = await connect(self._dsn)
            if self._prepare is not None:
                with deadline(connection, seconds):
                    await connection.execute(self._prepare)
        done = False
        try:
            with deadline(connection, seconds):
                async with connection.transaction():
                    result = await work(connection)
            done = True
            return result
        finally:
            if connection.closed or (
                not done and connection.info.transaction_status != TransactionStatus.IDLE
            ):
                await self.close()


class Readers:
    """A small pool of connections for reading; a caller waits a bounded time for one."""

    def __init__(self, dsn: str) -> None:
        self._pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            dsn,
            kwargs={**_CONNECTION, "autocommit": True},
            min_size=0,
            max_size=READERS,
            open=False,
            configure=_configure,
            check=_check,
            timeout=WAIT_S,
            max_waiting=MAX_WAITING,
            # A longer backing-off would keep callers waiting after the database is back.
            reconnect_timeout=1.0,
            name="readers",
        )

    async def open(self) -> None:
        """Make the pool ready; connections are opened as they are asked for."""
        await self._pool.open()

    async def close(self) -> None:
        """Close all connections."""
        await self._pool.close()

    async def run(self, purpose: str, work: Work[T], *, seconds: float = DEADLINE_S) -> T:
        """Do some reading.  Raises StoreError."""
        try:
            async with self._pool.connection() as connection:
                with deadline(connection, seconds):
                    return await work(connection)
        except (psycopg.Error, PoolTimeout, PoolClosed, TooManyRequests) as error:
            raise store_error(purpose, error) from error


async def _check(connection: Connection) -> None:
    with deadline(connection, _CHECK_S):
        await AsyncConnectionPool.check_connection(connection)
