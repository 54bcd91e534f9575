"""A chain of real parts for the tests of the agent: monitors over TCP, agent, broker, hub, PostgreSQL."""

import binascii
import contextlib
import os
import signal
import socket
import sqlite3
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from hub.store.segment import frame_core

AGENT = [sys.executable, "-m", "site_agent", "run"]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(what: str, holds: Callable[[], Any], *, within_s: float) -> Any:
    """Ask again and again until the answer is true; fail with what was waited for."""
    end_s = time.monotonic() + within_s
    while time.monotonic() < end_s:
        if answer := holds():
            return answer
        time.sleep(0.1)
    pytest.fail(f"not within {within_s:.0f} s: {what}")


def escape(data: bytes) -> bytes:
    """One block of the Series 50 protocol."""
    body = b"\x10\x02" + data.replace(b"\x10", b"\x10\x10") + b"\x10\x03"
    return body + binascii.crc_hqx(body, 0).to_bytes(2, "big")


def ctg_block(number: int) -> bytes:
    """A second of FHR1 that tells its number, MHR and toco."""
    fhr = [0x4000 | 480 + (4 * number + k) % 240 for k in range(4)]
    words = (*fhr, 0, 0, 0, 0, *[0x2148] * 4, *[40 + number % 20] * 4)
    return escape(struct.pack(">cH4H4H4H4BHBB", b"C", 0x8000, *words, 0x2060, 8, 0))


MARKER = escape(b"MM")


class Monitor:
    """A fetal monitor behind a serial server: a `C` block each period to whoever is connected."""

    def __init__(self, *, period_s: float = 1.0) -> None:
        self.port = free_port()
        self.sent = 0
        self._period_s = period_s
        self._extra: list[bytes] = []
        self._connections: list[socket.socket] = []
        self._stop = threading.Event()
        self._server = socket.create_server(("127.0.0.1", self.port))
        for work in (self._accept, self._speak):
            threading.Thread(target=work, daemon=True).start()

    def press_marker(self) -> None:
        self._extra.append(MARKER)

    def close(self) -> None:
        self._stop.set()
        self._server.close()
        for connection in self._connections:
            connection.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while not self._stop.is_set():
                connection, _ = self._server.accept()
                self._connections.append(connection)

    def _speak(self) -> None:
        next_s = time.monotonic()
        while not self._stop.wait(max(0.0, next_s - time.monotonic())):
            next_s += self._period_s
            data = ctg_block(self.sent) + b"".join(self._extra)
            self._extra.clear()
            self.sent += 1
            for connection in list(self._connections):
                try:
                    connection.sendall(data)
                except OSError:
                    self._connections.remove(connection)
                    connection.close()


class Process:
    """A command that can be killed, frozen and started again; its log stays."""

    def __init__(self, command: list[str], log: Path, environment: dict[str, str] | None = None) -> None:
        self._command = command
        self._environment = {**os.environ, **(environment or {}), "PYTHONUNBUFFERED": "1"}
        self.log = log
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self._command, stdout=log, stderr=subprocess.STDOUT, env=self._environment
            )

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def end(self, *, within_s: float = 15.0) -> int:
        """SIGTERM, as systemd does it."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(within_s)


class Site:
    """An agent with its configuration, its monitors and its outbox."""

    def __init__(
        self, folder: Path, broker_port: int, *, beds: int = 1, site: str = "h012", further: str = ""
    ) -> None:
        self.site = site
        self.monitors = [Monitor() for _ in range(beds)]
        self.folder = folder / site
        self.folder.mkdir()
        self.config = self.folder / "agent.toml"
        text = f'site = "{site}"\nname = "Clinic"\ndata_dir = "data"\n{further}\n'
        text += f'[broker]\nhost = "127.0.0.1"\nport = {broker_port}\nkeepalive_s = 15\n'
        for number, monitor in enumerate(self.monitors):
            text += f'[[beds]]\nname = "bed{number}"\nlabel = "LDR-{number}"\nweeks = 39.4\n'
            text += f'driver = "series50"\nport = "tcp://127.0.0.1:{monitor.port}"\n'
        self.config.write_text(text, encoding="utf-8")
        self.agent = Process([*AGENT, str(self.config)], self.folder / "agent.log")

    def start(self) -> None:
        """Start the agent and wait until it works."""
        starts = self.count_starts()
        self.agent.start()
        wait_until("the agent works", lambda: self.count_starts() > starts, within_s=20)

    def count_starts(self) -> int:
        return self.agent.log.read_text().count(f" {self.site}: epoch ") if self.agent.log.exists() else 0

    @property
    def outbox(self) -> Path:
        return self.folder / "data" / "outbox.db"

    def committed(self) -> dict[tuple[str, int, int], bytes]:
        """Every frame that is in the outbox, by bed, epoch and seq, without flags and CRC."""
        if not self.outbox.exists():
            return {}
        db = sqlite3.connect(f"file:{self.outbox}?mode=ro", uri=True, timeout=10)
        try:
            rows = db.execute(
                "SELECT bed, epoch, seq, payload FROM frame JOIN stream ON stream.id = frame.stream"
            ).fetchall()
        except sqlite3.DatabaseError:  # not made yet
            return {}
        finally:
            db.close()
        return {(bed, epoch, seq): frame_core(payload) for bed, epoch, seq, payload in rows}

    def close(self) -> None:
        self.agent.kill()
        for monitor in self.monitors:
            monitor.close()
        sys.stdout.write(self.agent.log.read_text() if self.agent.log.exists() else "")


def stored(dsn: str, site: str) -> dict[tuple[str, int, int], bytes]:
    """Every frame of a site in the database, and that none is there twice."""
    with psycopg.connect(dsn) as connection:
        rows = connection.execute(
            "SELECT bed, epoch, seq, payload FROM frame WHERE site = %s", [site]
        ).fetchall()
    found = {(bed, epoch, seq): frame_core(bytes(payload)) for bed, epoch, seq, payload in rows}
    assert len(found) == len(rows)
    return found


@contextlib.contextmanager
def running_hub(folder: Path, dsn: str, broker_port: int) -> Iterator[Process]:
    """A hub of its own."""
    environment = {
        "CTG_DATABASE_URL": dsn,
        "CTG_MQTT_PORT": str(broker_port),
        "CTG_HTTP_PORT": str(free_port()),
        "CTG_DATA_DIR": str(folder / "hub"),
    }
    hub = Process([sys.executable, "-m", "hub", "serve"], folder / "hub.log", environment)
    hub.start()
    try:
        yield hub
    finally:
        hub.kill()
        sys.stdout.write(hub.log.read_text())
