"""The link to the hub: one thread with its own event loop, and a Qt signal when something came.

What came waits in an inbox that the window empties; only what it has taken is
acknowledged, so the hub knows how far this console really is.
"""

import asyncio
import contextlib
import http.client
import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import SplitResult, urlsplit

import msgspec
from PySide6.QtCore import QObject, Signal
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from hub.errors import WireError
from hub.model import LiveMessage, WaveEntry
from hub.wire import decode_batch, decode_json

_log = logging.getLogger(__name__)

HISTORY_S: Final = 2400
CONNECT_S: Final = 4.0
SILENCE_S: Final = 5.0
"""The hub speaks each second; after this long the connection is given up.  Unlike a ping, a
message also says that the hub's work goes on."""
RETRY_S: Final = (0.2, 0.5, 1.0, 2.0)
MAX_MESSAGE_BYTES: Final = 16 * 1024 * 1024
"""As `docs/api.md` asks: a snapshot of 10,000 beds has 4 MB, their alerts as much again."""
MAX_ANSWER_BYTES: Final = 64 * 1024 * 1024
MAX_INBOX: Final = 5000
"""Messages that may wait for the window; beyond, the connection is dropped and read afresh."""
_ACK_S: Final = 1.0
_ACK_PAUSE_S: Final = 0.1
_HTTP_S: Final = 20.0
_HTTP_OK: Final = 200


def monotonic_s() -> float:
    """Own time in s; it goes on while the machine sleeps, so that nothing looks young afterwards."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


@dataclass(frozen=True, slots=True)
class Joined:
    """A fresh connection: everything after it belongs to it."""

    greeted_s: float


@dataclass(frozen=True, slots=True)
class Said:
    """A JSON message of the live push, with the own time of its receipt."""

    message: LiveMessage
    now_s: float


@dataclass(frozen=True, slots=True)
class Waves:
    """A wave batch, with the own time of its receipt."""

    entries: list[WaveEntry]
    t_ms: int
    now_s: float


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a request, or why there is none."""

    token: object
    body: bytes = b""
    error: str | None = None


News = Joined | Said | Waves | Answer


@dataclass(slots=True)
class _Inbox:
    """What waits for the window, and how far it has come."""

    news: deque[News] = field(default_factory=deque)
    received_seq: int = 0
    taken_seq: int = 0
    is_closed: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)


class HubLink(QObject):
    """Keeps a live connection to the hub and carries requests; all network work is in its thread."""

    arrived = Signal()
    """Something waits: call `take`."""

    def __init__(
        self, hub: str, *, parent: QObject | None = None, now_s: Callable[[], float] = monotonic_s
    ) -> None:
        super().__init__(parent)
        self._http = _check_url(hub)
        scheme = "wss" if self._http.scheme == "https" else "ws"
        self._live_url = f"{scheme}://{self._http.netloc}{self._http.path.rstrip('/')}/ws/v1/live"
        self._now_s = now_s
        self._inbox = _Inbox()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_running = threading.Event()
        self._stopping = asyncio.Event()
        self._has_taken = asyncio.Event()
        self._requests = ThreadPoolExecutor(2, "hub-request")
        self._thread = threading.Thread(target=self._run, name="hub-link", daemon=True)
        self.connections = 0
        """Connections made so far."""

    # ------------------------------------------------------------- for the window

    def start(self) -> None:
        """Begin."""
        self._thread.start()
        self._is_running.wait()

    def stop(self) -> None:
        """End the connection and the thread."""
        with self._inbox.lock:
            self._inbox.is_closed = True
        self._tell(self._stopping)
        if self._thread.is_alive():
            self._thread.join(timeout=10)
        self._requests.shutdown(wait=False, cancel_futures=True)

    def take(self) -> list[News]:
        """Take all that waits, in order; what is taken is acknowledged to the hub."""
        with self._inbox.lock:
            news = list(self._inbox.news)
            self._inbox.news.clear()
            has_more = self._inbox.taken_seq != self._inbox.received_seq
            self._inbox.taken_seq = self._inbox.received_seq
        if has_more:
            self._tell(self._has_taken)
        return news

    def ask(self, token: object, path: str, *, body: object = None) -> None:
        """Send a request (POST when there is a body); an `Answer` with the token will come."""
        self._requests.submit(self._request, token, path, body)

    def _tell(self, event: asyncio.Event) -> None:
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has closed: nobody is there to be told
                self._loop.call_soon_threadsafe(event.set)

    # ---------------------------------------------------------------- in the thread

    def _run(self) -> None:
        asyncio.run(self._keep_connected())

    async def _keep_connected(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._is_running.set()
        stopping = asyncio.ensure_future(self._stopping.wait())
        tries = 0
        was_lost = False
        while not self._stopping.is_set():
            listening = asyncio.ensure_future(self._listen())
            await asyncio.wait((listening, stopping), return_when=asyncio.FIRST_COMPLETED)
            if not listening.done():
                listening.cancel()
            try:
                tries = 0 if await listening else tries + 1
                why = "the hub ended the connection"
            except asyncio.CancelledError:
                break
            except (OSError, WebSocketException, WireError, TimeoutError) as error:
                tries += 1
                why = f"{type(error).__name__}: {error}"
            if not was_lost:
                _log.warning("link to %s lost: %s; trying again", self._live_url, why)
            was_lost = tries > 1
            pause_s = RETRY_S[min(tries, len(RETRY_S)) - 1] * random.uniform(0.7, 1.0)  # noqa: S311  spreads retries
            await asyncio.wait((stopping,), timeout=pause_s)

    async def _listen(self) -> bool:
        """Serve one connection until it ends; True if it had carried anything."""
        connection = await connect(
            self._live_url,
            max_size=MAX_MESSAGE_BYTES,
            compression=None,
            ping_interval=None,
            open_timeout=CONNECT_S,
            close_timeout=1.0,
            proxy=None,
        )
        try:
            return await self._receive(connection)
        finally:
            # Closing politely would wait for a peer that may be frozen.
            connection.transport.abort()

    async def _receive(self, connection: ClientConnection) -> bool:
        with self._inbox.lock:
            # Nothing of an earlier connection may be acknowledged on this one.
            self._inbox.received_seq = self._inbox.taken_seq = 0
        greeted_s = self._now_s()
        await connection.send(
            msgspec.json.encode({"type": "hello", "beds": None, "history_s": HISTORY_S}).decode()
        )
        self._put(Joined(greeted_s), 0)
        self.connections += 1
        acknowledging = asyncio.ensure_future(self._acknowledge(connection))
        carried = False
        try:
            while True:
                # Not `wait_for`: on Python 3.11 it can swallow the cancellation that ends this task.
                async with asyncio.timeout(SILENCE_S):
                    data = await connection.recv()
                now_s = self._now_s()
                if isinstance(data, str):
                    message = decode_json(data, LiveMessage, max_bytes=MAX_MESSAGE_BYTES)
                    if not carried:
                        _log.info("link to %s up, hub %s", self._live_url, message.boot_id)
                    self._put(Said(message, now_s), message.seq)
                else:
                    seq, t_ms, entries = decode_batch(data)
                    self._put(Waves(entries, t_ms, now_s), seq)
                carried = True
        except (OSError, WebSocketException, TimeoutError) as error:
            if not carried:
                raise
            _log.warning("link to %s lost: %s: %s", self._live_url, type(error).__name__, error)
            return True
        finally:
            acknowledging.cancel()
            await asyncio.gather(acknowledging, return_exceptions=True)

    async def _acknowledge(self, connection: ClientConnection) -> None:
        """Each second, and soon after the window has taken something, so that history flows."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_ACK_S):
                    await self._has_taken.wait()
            self._has_taken.clear()
            with self._inbox.lock:
                seq = self._inbox.taken_seq
            if seq:
                await connection.send(f'{{"type":"ack","seq":{seq}}}')
            await asyncio.sleep(_ACK_PAUSE_S)

    def _put(self, news: News, seq: int | None) -> None:
        with self._inbox.lock:
            if self._inbox.is_closed:
                return
            if len(self._inbox.news) >= MAX_INBOX:
                msg = f"expected the window to keep up, {MAX_INBOX} messages wait"
                raise TimeoutError(msg)
            self._inbox.news.append(news)
            if seq is not None:
                self._inbox.received_seq = seq
            if len(self._inbox.news) == 1:
                # Under the lock: once `stop` has closed the inbox nobody speaks through this object any more.
                self.arrived.emit()

    def _request(self, token: object, path: str, body: object) -> None:
        try:
            answer = Answer(token, self._fetch(path, body))
        except (OSError, http.client.HTTPException, _RefusedError) as error:
            answer = Answer(token, error=str(error) or type(error).__name__)
        with contextlib.suppress(TimeoutError):  # a full inbox
            self._put(answer, None)

    def _fetch(self, path: str, body: object) -> bytes:
        kind = http.client.HTTPSConnection if self._http.scheme == "https" else http.client.HTTPConnection
        connection = kind(self._http.hostname or "", self._http.port, timeout=_HTTP_S)
        try:
            payload = None if body is None else msgspec.json.encode(body)
            headers = {"Accept": "application/json"}
            if payload is not None:
                headers["Content-Type"] = "application/json"
            connection.request(
                "GET" if payload is None else "POST", self._http.path.rstrip("/") + path, payload, headers
            )
            response = connection.getresponse()
            data = response.read(MAX_ANSWER_BYTES + 1)
        finally:
            connection.close()
        if response.status != _HTTP_OK:
            raise _RefusedError(response.status, _problem(data) or response.reason)
        if len(data) > MAX_ANSWER_BYTES:
            raise _RefusedError(response.status, f"expected at most {MAX_ANSWER_BYTES} bytes")
        return data


class _RefusedError(Exception):
    """The hub answered a request with an error."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(f"{status} {why}")


def _problem(data: bytes) -> str:
    """Sentence of an RFC 9457 problem, if it is one."""
    try:
        problem = msgspec.json.decode(data, type=dict[str, object])
    except msgspec.DecodeError:
        return ""
    return str(problem.get("detail") or problem.get("title") or "")


def _check_url(hub: str) -> SplitResult:
    parts = urlsplit(hub if "//" in hub else f"http://{hub}")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        msg = f"hub address: expected http://host:port or https://host:port, got {hub!r}"
        raise ValueError(msg)
    return parts
