"""The demo: broker, hub with its database, and simulator as processes of their own, kept alive.

Each is a child that is started again when it dies, as systemd or compose would do it.
"""

import asyncio
import contextlib
import ctypes
import logging
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from hub.errors import SettingsError

_log = logging.getLogger(__name__)

FIRST_RETRY_S: Final = 0.5
LAST_RETRY_S: Final = 5.0
STOP_TIMEOUT_S: Final = 15.0
_PR_SET_PDEATHSIG: Final = 1


@dataclass(frozen=True, slots=True)
class Child:
    """A process of the demo."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DemoPlan:
    """Where the demo runs."""

    host: str
    http_port: int
    mqtt_port: int
    data_dir: Path


async def run_demo(plan: DemoPlan) -> None:
    """Run everything until SIGINT or SIGTERM.  Raises SettingsError when it cannot start."""
    _check_port(plan.host, plan.http_port, "the hub's page", "--port")
    _check_port(plan.host, plan.mqtt_port, "the broker", "--mqtt-port")
    _check_folder(plan.data_dir)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    with tempfile.TemporaryDirectory(prefix="ctg-demo-") as scratch:
        # Started in this order, stopped in the reverse: the hub takes leave of a live broker.
        async with contextlib.AsyncExitStack() as running:
            for child in _children(plan, Path(scratch)):
                await running.enter_async_context(_kept_alive(child))
            _log.info("open http://%s:%d/ in a browser; Ctrl-C ends everything", plan.host, plan.http_port)
            await stop.wait()
            _log.info("stopping")


def _children(plan: DemoPlan, scratch: Path) -> list[Child]:
    python = (sys.executable, "-m")
    return [
        Child("broker", _broker_command(plan, scratch)),
        Child(
            "hub",
            (*python, "hub", "serve"),
            {
                "CTG_MQTT_HOST": plan.host,
                "CTG_MQTT_PORT": str(plan.mqtt_port),
                "CTG_HTTP_HOST": plan.host,
                "CTG_HTTP_PORT": str(plan.http_port),
                "CTG_DATA_DIR": str(plan.data_dir),
            },
        ),
        Child(
            "simulator", (*python, "device_sim", "demo", "--broker", f"mqtt://{plan.host}:{plan.mqtt_port}")
        ),
    ]


def _broker_command(plan: DemoPlan, scratch: Path) -> Sequence[str]:
    mosquitto = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
    if mosquitto is None:
        return (sys.executable, "-m", "hub", "broker", "--host", plan.host, "--port", str(plan.mqtt_port))
    config = scratch / "mosquitto.conf"
    config.write_text(
        f"listener {plan.mqtt_port} {plan.host}\nallow_anonymous true\nset_tcp_nodelay true\nlog_type error\n"
    )
    scratch.chmod(0o755)  # as root mosquitto becomes another user before it reads on
    return (mosquitto, "-c", str(config))


@contextlib.asynccontextmanager
async def _kept_alive(child: Child) -> AsyncIterator[None]:
    process = await _start(child)

    async def keep() -> None:
        nonlocal process
        retry_s = FIRST_RETRY_S
        while True:
            code = await process.wait()
            _log.warning("%s ended with %s; starting it again in %.1f s", child.name, code, retry_s)
            await asyncio.sleep(retry_s)
            retry_s = min(retry_s * 2, LAST_RETRY_S)
            process = await _start(child)

    keeper = asyncio.create_task(keep(), name=f"keep {child.name}")
    try:
        yield
    finally:
        keeper.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await keeper
        await _stop(child, process)


async def _start(child: Child) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *child.command,
        env={**os.environ, **child.environment},
        stdin=asyncio.subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C reaches the demo alone, which then stops its children in order
        preexec_fn=_die_with_parent if sys.platform == "linux" else None,
    )


async def _stop(child: Child, process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        await asyncio.wait_for(process.wait(), STOP_TIMEOUT_S)
    except TimeoutError:
        _log.warning("%s did not stop within %.0f s; killed", child.name, STOP_TIMEOUT_S)
        process.kill()
        await process.wait()


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _check_port(host: str, port: int, what: str, option: str) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            msg = f"{host}:{port} for {what} cannot be used ({error.strerror}); choose another with {option}"
            raise SettingsError(msg) from error


def _check_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        msg = f"the data folder {folder} cannot be written ({error.strerror}); choose another with --data-dir"
        raise SettingsError(msg) from error
