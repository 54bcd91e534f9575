"""The deployment files, parsed, and a real broker that runs them in a folder of the test."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
DEADLINE_S = 10.0
_VARIABLE = re.compile(r"\$(?:\$|\{(?P<name>\w+)(?:(?P<sign>:[-?])(?P<word>[^}]*))?\})")


class MissingVariableError(Exception):
    """A variable that compose would refuse to start without."""


def fill_in(text: str, variables: Mapping[str, str]) -> str:
    """Put variables into a text of the compose file as compose does it."""

    def value(match: re.Match[str]) -> str:
        if match["name"] is None:
            return "$"
        found = variables.get(match["name"], "")
        if match["sign"] == ":?" and not found:
            raise MissingVariableError(match["name"])
        return found or (match["word"] or "" if match["sign"] == ":-" else "")

    return _VARIABLE.sub(value, text)


def fill_in_all(node: Any, variables: Mapping[str, str]) -> Any:
    """Put variables into every text of a parsed file."""
    if isinstance(node, str):
        return fill_in(node, variables)
    if isinstance(node, list):
        return [fill_in_all(item, variables) for item in node]
    if isinstance(node, dict):
        return {key: fill_in_all(item, variables) for key, item in node.items()}
    return node


def read_env(path: Path) -> dict[str, str]:
    """Variables of a file such as `.env`."""
    lines = (line for line in path.read_text("utf-8").splitlines() if line and not line.startswith("#"))
    return {name: value for name, _, value in (line.partition("=") for line in lines)}


def free_port() -> int:
    """Find a port of loopback that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Deployment:
    """A copy of what an operator has, in a folder of its own."""

    root: Path
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def run(self, *arguments: str, check: bool = True) -> str:
        """Run `credentials.py` for this folder and give its output."""
        command = [sys.executable, str(ROOT / "deploy/credentials.py"), "--root", str(self.root), *arguments]
        return subprocess.run(command, check=check, capture_output=True, text=True, timeout=20).stdout

    def add_site(self, name: str) -> str:
        """Give a site a password and return it."""
        return self.run("site", name).split("password ")[1].strip()

    @property
    def variables(self) -> dict[str, str]:
        """What compose reads from `.env`."""
        return read_env(self.root / ".env")

    @property
    def secrets(self) -> Path:
        """Folder of the broker's passwords."""
        return self.root / "deploy/secrets/broker"

    def start_broker(self, *listeners: str, tls: Path | None = None) -> "Broker":
        """Run the real broker with the real files; only folders and ports are those of the test."""
        mosquitto = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
        assert mosquitto is not None, "mosquitto is needed (scripts/setup.sh dev installs it)"
        folder = self.root / "listeners"
        folder.mkdir()
        ports = {}
        for name in listeners:
            text = (ROOT / "deploy/mosquitto/listeners" / name).read_text("utf-8")
            ports[name] = free_port()
            text, count = re.subn(r"^listener \d+$", f"listener {ports[name]} 127.0.0.1", text, flags=re.M)
            assert count == 1
            (folder / name).write_text(text.replace("/mosquitto/tls", str(tls)))
        text = (ROOT / "deploy/mosquitto/mosquitto.conf").read_text("utf-8")
        for inside, outside in (
            ("/mosquitto/secrets", self.secrets),
            ("/mosquitto/acl", ROOT / "deploy/mosquitto/acl"),
            ("/mosquitto/listeners", folder),
        ):
            assert inside in text
            text = text.replace(inside, str(outside))
        # Started as root the broker would become another user; the container is never root.
        config = self.root / "mosquitto.conf"
        config.write_text(f"user root\n{text}" if os.geteuid() == 0 else text)
        log = self.root / "broker.log"
        with log.open("wb") as file:
            process = subprocess.Popen([mosquitto, "-c", str(config)], stderr=file, stdout=file)
        self.processes.append(process)
        broker = Broker(process, ports, log)
        broker.wait_until(lambda: all(_answers(port) for port in ports.values()), "answers")
        return broker

    def stop(self) -> None:
        """End what was started."""
        for process in reversed(self.processes):
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        for process in reversed(self.processes):
            process.wait(20)


@dataclass
class Broker:
    """A broker that runs."""

    process: subprocess.Popen[bytes]
    ports: dict[str, int]
    log: Path

    def client(self, name: str | None, password: str | None, **more: Any) -> aiomqtt.Client:
        """Build a client of the password listener; the identifier is what a feed would take."""
        more.setdefault("identifier", f"{name}-live")
        port = more.pop("port", self.ports["internal.conf"])
        more.setdefault("timeout", 5)
        return aiomqtt.Client("127.0.0.1", port, username=name, password=password, **more)

    def reload(self) -> None:
        """Let it read its passwords again, as `docker compose kill --signal HUP` does."""
        self.process.send_signal(signal.SIGHUP)

    def wait_until(self, is_done: Callable[[], bool], what: str) -> None:
        """Poll until something is so; a broker that ended says why."""
        end = time.monotonic() + DEADLINE_S
        while not is_done():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < end, f"not within {DEADLINE_S} s: {what}\n{self.log.read_text()}"
            time.sleep(0.02)


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


@pytest.fixture
def compose() -> dict[str, Any]:
    """The compose file, variables not filled in."""
    parsed: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
    return parsed


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[Deployment]:
    """A deployment with fresh passwords."""
    made = Deployment(tmp_path)
    made.run("init")
    try:
        yield made
    finally:
        made.stop()
