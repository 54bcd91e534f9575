"""A region on one machine: broker, hub with its database, and what feeds it, as processes to be hurt."""

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self

import httpx
import psutil

from hub.store.embedded import EmbeddedPostgres

HOST: Final = "127.0.0.1"
ROOT: Final = Path(__file__).parents[1]
"""Where `python -m chaos` is found: it is not installed with the product."""
START_S: Final = 90.0
END_S: Final = 20.0


class ChaosError(Exception):
    """The experiment itself could not be set up or did not come to its end."""


def free_port() -> int:
    """Find a port that nobody listens on now, below those that the kernel gives to outgoing connections."""
    while True:
        port = random.randrange(10_000, 30_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((HOST, port))
            return port


def wait_until(what: str, holds: Callable[[], Any], *, within_s: float, every_s: float = 0.1) -> float:
    """Ask until the answer is true; give the seconds it took.  Raises ChaosError after `within_s`."""
    begin_s = time.monotonic()
    while True:
        with contextlib.suppress(httpx.HTTPError, psutil.NoSuchProcess):
            if holds():
                return time.monotonic() - begin_s
        if time.monotonic() - begin_s > within_s:
            msg = f"not within {within_s:.0f} s: {what}"
            raise ChaosError(msg)
        time.sleep(every_s)


class Part:
    """One process with a log of its own; it can be started any number of times."""

    def __init__(
        self, name: str, command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self.command = list(command)
        self.log = log
        self.environment = dict(environment or {})
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def is_running(self) -> bool:
        """Whether the process lives (a frozen one does)."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Process id.  Raises ChaosError before the first start."""
        if self._process is None:
            msg = f"{self.name}: not started"
            raise ChaosError(msg)
        return self._process.pid

    def start(self) -> None:
        """Start the process, or start it again once it has ended."""
        if self.is_running:
            return
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=ROOT,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **self.environment},
                start_new_session=True,
            )

    def kill(self) -> None:
        """End it at once and for good, as a power cut would (`kill -9`)."""
        if self._process is not None:
            self._signal(signal.SIGKILL)
            self._process.wait()

    def freeze(self) -> None:
        """Stop it in the middle of whatever it does."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on, if it lives."""
        if self.is_running:
            self._signal(signal.SIGCONT)

    def end(self) -> None:
        """Ask it to end, and end it if it does not."""
        if not self.is_running or self._process is None:
            return
        self.thaw()
        self._signal(signal.SIGTERM)
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self.kill()

    def _signal(self, number: signal.Signals) -> None:
        """Reach the process and what wraps it, such as faketime: they share a group."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def cpu_s(self) -> float:
        """Processor time spent so far, s."""
        times = psutil.Process(self.pid).cpu_times()
        return float(times.user + times.system)

    def rss_mb(self) -> float:
        """Resident memory, MB."""
        return float(psutil.Process(self.pid).memory_info().rss) / 1e6


class Database(Part):
    """The embedded PostgreSQL: a child of the hub that outlives it; the hub starts it again."""

    def __init__(self, data_dir: Path, log: Path) -> None:
        super().__init__("database", (), log)
        self._data_dir = data_dir

    def _postmaster(self) -> psutil.Process | None:
        for process in psutil.process_iter(["name", "cmdline"]):
            words = " ".join(process.info["cmdline"] or ())
            if process.info["name"] == "postgres" and "-D" in words and str(self._data_dir) in words:
                return process
        return None

    def port(self) -> int | None:
        """Where it listens on the loopback; None while it is not running."""
        master = self._postmaster()
        with contextlib.suppress(psutil.Error):
            for connection in master.net_connections("tcp") if master else ():
                if connection.status == psutil.CONN_LISTEN:
                    return int(connection.laddr.port)
        return None

    def _processes(self) -> list[psutil.Process]:
        master = self._postmaster()
        return [] if master is None else [*master.children(recursive=True), master]

    @property
    def is_running(self) -> bool:
        """Whether there is a postmaster on the hub's folder."""
        return self._postmaster() is not None

    @property
    def pid(self) -> int:
        """Process id of the postmaster."""
        master = self._postmaster()
        if master is None:
            msg = "database: not running"
            raise ChaosError(msg)
        return master.pid

    def start(self) -> None:
        """Leave it to the hub, whose child it is."""

    def kill(self) -> None:
        """Kill every process of the server."""
        for process in self._processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()

    def freeze(self) -> None:
        """Freeze every process of the server, the postmaster first, so that it starts no new one."""
        for process in reversed(self._processes()):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.suspend()

    def thaw(self) -> None:
        """Let every process go on."""
        for process in self._processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()

    def cpu_s(self) -> float:
        """Processor time of the server and all that it has ever started, s."""
        master = psutil.Process(self.pid)
        spent_s = sum(master.cpu_times()[:4])  # with what children took that have ended
        for child in master.children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                spent_s += sum(child.cpu_times()[:2])
        return float(spent_s)

    def rss_mb(self) -> float:
        """Memory of all its processes, what they share counted once, MB."""
        shares = 0
        for process in self._processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                shares += process.memory_full_info().pss
        return shares / 1e6

    def end(self) -> None:
        """Leave it to the hub's own end; one that a killed hub left behind is killed."""
        self.thaw()
        self.kill()


class World:
    """Broker, hub and database in one folder, with whatever parts an experiment adds."""

    def __init__(
        self, folder: Path, *, max_beds: int = 256, wrapper: Sequence[str] = (), also_listens: str = ""
    ) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)  # run by root, broker and database become other users
        self.mqtt_port, self.http_port = free_port(), free_port()
        self.url = f"http://{HOST}:{self.http_port}"
        self.data_dir = folder / "hub"
        self.broker = Part(
            "broker", (_mosquitto(), "-c", str(self._broker_config(also_listens))), folder / "broker.log"
        )
        self.hub = Part(
            "hub",
            (*wrapper, sys.executable, "-m", "hub", "serve"),
            folder / "hub.log",
            {
                "CTG_MQTT_HOST": HOST,
                "CTG_MQTT_PORT": str(self.mqtt_port),
                "CTG_HTTP_HOST": HOST,
                "CTG_HTTP_PORT": str(self.http_port),
                "CTG_DATA_DIR": str(self.data_dir),
                "CTG_MAX_BEDS": str(max_beds),
            },
        )
        self.database = Database(self.data_dir, folder / "database.log")
        self.others: list[Part] = []

    def __enter__(self) -> Self:
        self.broker.start()
        self.hub.start()
        wait_until("the hub to answer and its database to be ready", self.is_ready, within_s=START_S)
        return self

    def __exit__(self, *_: object) -> None:
        for part in (*reversed(self.others), self.hub, self.database, self.broker):
            part.end()

    def add(self, name: str, command: Sequence[str], environment: Mapping[str, str] | None = None) -> Part:
        """Start a further part; it is ended with the world."""
        part = Part(name, command, self.folder / f"{name}.log", environment)
        self.others.append(part)
        part.start()
        return part

    def end(self, name: str) -> None:
        """End one of the added parts."""
        for part in self.others:
            if part.name == name:
                part.end()

    def is_ready(self) -> bool:
        """Whether the hub says that broker and database are there."""
        return httpx.get(f"{self.url}/readyz", timeout=2).status_code == 200

    def get(self, path: str, **parameters: Any) -> Any:
        """Ask the hub."""
        return httpx.get(self.url + path, params=parameters, timeout=15).raise_for_status().json()

    def metrics(self) -> dict[str, float]:
        """Read the hub's own figures, by name with labels."""
        return dict(_figures(httpx.get(f"{self.url}/metrics", timeout=5).text))

    @contextlib.contextmanager
    def open_database(self) -> Iterator[str]:
        """End the hub in good order and give the DSN of its database, for a comparison from outside."""
        self.hub.end()
        server = EmbeddedPostgres(self.data_dir / "postgres")
        server.start()
        try:
            yield server.dsn
        finally:
            server.stop()

    def _broker_config(self, also_listens: str) -> Path:
        config = self.folder / "mosquitto.conf"
        listeners = "".join(
            f"listener {self.mqtt_port} {address}\n" for address in (HOST, also_listens) if address
        )
        config.write_text(
            f"{listeners}allow_anonymous true\nset_tcp_nodelay true\n"
            "max_inflight_messages 1000\nmax_queued_messages 100000\npersistence false\nlog_type error\n"
            "sys_interval 2\n"
        )
        return config


def _mosquitto() -> str:
    found = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
    if found is None:
        msg = "mosquitto: expected the broker on this machine; run: sudo apt-get install mosquitto"
        raise ChaosError(msg)
    return found


def _figures(text: str) -> Iterator[tuple[str, float]]:
    for line in text.splitlines():
        if line and not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            yield name, float(value)
