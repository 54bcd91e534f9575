"""Dockerfile, wheel and scripts of the image held against the code; a hub is run as the image runs it."""

import contextlib
import fnmatch
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.version import Version

from tests.deploy.conftest import ROOT, free_port

HEALTH_CHECK = ROOT / "deploy/healthcheck.py"
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def read_dockerfile() -> list[tuple[str, str]]:
    """Instructions and their arguments, continued lines joined."""
    text = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text("utf-8"))
    lines = (line.strip() for line in text.splitlines())
    pairs = (line.partition(" ") for line in lines if line and not line.startswith("#"))
    return [(instruction, argument) for instruction, _, argument in pairs]


def is_in_context(path: str) -> bool:
    """Tell whether .dockerignore lets a path through: the last line that matches decides."""
    is_in = True
    for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines():
        pattern = line.removeprefix("!")
        if (
            pattern
            and not line.startswith("#")
            and (fnmatch.fnmatch(path, pattern) or path.startswith(f"{pattern}/"))
        ):
            is_in = line.startswith("!")
    return is_in


def copied() -> list[str]:
    """Sources of every COPY from the checkout."""
    words = [shlex.split(argument) for instruction, argument in read_dockerfile() if instruction == "COPY"]
    return [source for one in words if not one[0].startswith("--from") for source in one[:-1]]


def test_what_the_image_copies_exists_and_is_let_through():
    assert copied()
    for source in copied():
        assert (ROOT / source).exists(), source
        assert is_in_context(source), source
    for secret in (".env", "deploy/secrets/broker/passwords", ".git", ".venv", ".demo/postgres"):
        assert not is_in_context(secret), secret


def test_the_image_holds_every_package_of_the_project():
    packages = {
        pattern.rstrip("*") for pattern in PROJECT["tool"]["setuptools"]["packages"]["find"]["include"]
    }
    assert packages <= set(copied())
    assert {PROJECT["project"]["readme"], *PROJECT["project"]["license-files"]} <= set(copied())


def test_the_last_stage_runs_the_hub_as_an_ordinary_user_and_checks_its_health():
    instructions = read_dockerfile()
    last = max(index for index, (name, _) in enumerate(instructions) if name == "FROM")
    stage = instructions[last:]
    assert [argument for name, argument in stage if name == "CMD"] == ['["ctg-hub", "serve"]']
    assert [argument for name, argument in stage if name == "USER"] == ["10001:10001"]
    (health,) = (argument for name, argument in stage if name == "HEALTHCHECK")
    assert "python" in health
    assert HEALTH_CHECK.name in health
    assert not any(name == "RUN" and "pip" in argument for name, argument in stage)
    assert {argument.split()[0] for name, argument in instructions if name == "FROM"} == {
        "python:3.11-slim-bookworm"
    }


def test_the_locked_libraries_satisfy_the_project_and_hold_no_tool_of_a_developer():
    text = (ROOT / "deploy/requirements.txt").read_text("utf-8")
    locked = {name: Version(number) for name, number in re.findall(r"^([\w.-]+)==(\S+)", text, flags=re.M)}
    for wanted in map(Requirement, PROJECT["project"]["dependencies"]):
        assert locked[wanted.name] in wanted.specifier, wanted
    extras = PROJECT["project"]["optional-dependencies"]
    needed = {Requirement(one).name for one in PROJECT["project"]["dependencies"]}
    optional = {Requirement(one).name for extra in extras.values() for one in extra} - needed
    assert not optional & set(locked)
    assert text.count("--hash=sha256:") >= len(locked)


# --------------------------------------------------------------------------- wheel


def packaged(folder: Path) -> set[str]:
    """Files that the image's wheel would hold, from a wheel if one can be built here, else from the globs."""
    for name in ("hub", "viewer", "device_sim"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder / name)
    wanted = next(Requirement(one) for one in PROJECT["build-system"]["requires"])
    with contextlib.suppress(ModuleNotFoundError):
        if Version(version("setuptools")) in wanted.specifier:
            command = [
                sys.executable,
                "-m",
                "pip",
                "wheel",
                "-q",
                "--no-deps",
                "--no-build-isolation",
                "-w",
                ".",
                ".",
            ]
            subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=28)
            (wheel,) = folder.glob("*.whl")
            with zipfile.ZipFile(wheel) as archive:
                return set(archive.namelist())
    return {
        file.relative_to(folder).as_posix()
        for package, patterns in PROJECT["tool"]["setuptools"]["package-data"].items()
        for pattern in patterns
        for file in (folder / package).glob(pattern)
        if file.is_file()
    }


def test_the_wheel_holds_migrations_console_and_recordings(tmp_path: Path):
    names = packaged(tmp_path)
    tracked = subprocess.run(
        ["git", "ls-files", "hub/store/migrations", "hub/web/static", "device_sim/recordings"],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        timeout=10,
    ).stdout.split()
    assert tracked, "this test reads the checkout's list of files"
    assert set(tracked) <= names
    assert {Path(name).suffix for name in tracked} >= {".sql", ".js", ".npz"}


def test_a_hub_that_does_not_answer_is_not_healthy():
    environment = {**os.environ, "CTG_HTTP_PORT": str(free_port())}
    command = [sys.executable, str(HEALTH_CHECK)]
    result = subprocess.run(command, env=environment, check=False, capture_output=True, text=True, timeout=20)
    assert result.returncode == 1
    assert "readyz" in result.stderr
