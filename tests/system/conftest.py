"""The demo as a newcomer starts it, on free ports, with the real broker and the real database."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(what: str, holds: Callable[[], Any], *, within_s: float) -> Any:
    """Ask again and again until the answer is true; fail with what was waited for."""
    end = time.monotonic() + within_s
    while True:
        try:
            if answer := holds():
                return answer
        except (httpx.HTTPError, psutil.NoSuchProcess):
            pass
        if time.monotonic() > end:
            pytest.fail(f"not within {within_s:.0f} s: {what}")
        time.sleep(0.2)


class Demo:
    """A running `ctg-hub demo`."""

    def __init__(self, data_dir: Path, port: int | None = None, mqtt_port: int | None = None) -> None:
        self.data_dir = data_dir
        self.port = port or free_port()
        self.mqtt_port = mqtt_port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log_path = data_dir.parent / f"demo-{self.port}.log"
        self.started_s = time.monotonic()
        self.log = self.log_path.open("ab")
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "hub",
                "demo",
                f"--port={self.port}",
                f"--mqtt-port={self.mqtt_port}",
                f"--data-dir={data_dir}",
            ],
            stdout=self.log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )

    def get(self, path: str, **keywords: Any) -> httpx.Response:
        return httpx.get(self.url + path, timeout=10, **keywords)

    def beds(self) -> list[dict[str, Any]]:
        beds: list[dict[str, Any]] = self.get("/api/v1/beds").raise_for_status().json()["beds"]
        return beds

    def live_beds(self) -> list[dict[str, Any]]:
        return [
            bed
            for bed in self.beds()
            if bed["vitals"]["age_ms"] is not None and bed["vitals"]["age_ms"] < 3000
        ]

    def child(self, part: str) -> psutil.Process:
        """The process of one part: broker, hub, simulator or database."""
        if part == "database":
            masters = [
                process
                for process in psutil.process_iter(["name", "cmdline"])
                if process.info["name"] == "postgres"
                and str(self.data_dir) in " ".join(process.info["cmdline"] or ())
            ]
            if not masters:
                raise psutil.NoSuchProcess(0)
            return masters[0]
        marks = {"broker": ("mosquitto", "broker"), "hub": ("serve",), "simulator": ("device_sim",)}[part]
        for process in psutil.Process(self.process.pid).children():
            if any(mark in word for word in process.cmdline() for mark in marks):
                return process
        raise psutil.NoSuchProcess(0)

    def stop(self) -> int:
        """Ctrl-C, as in a terminal."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        code = self.process.wait(40)
        self.log.close()
        return code

    def wait_for_beds(self, count: int = 12, within_s: float = 60) -> None:
        wait_until(f"{count} live beds", lambda: len(self.live_beds()) >= count, within_s=within_s)


@pytest.fixture(scope="session")
def demo() -> Iterator[Demo]:
    """One demo for all tests that do not end it."""
    with tempfile.TemporaryDirectory(prefix="ctg-test-") as folder:
        Path(folder).chmod(0o755)  # the database of a demo run by root belongs to another account
        running = Demo(Path(folder) / "data")
        try:
            running.wait_for_beds()
            yield running
        finally:
            running.stop()
            sys.stdout.write(running.log_path.read_text())
