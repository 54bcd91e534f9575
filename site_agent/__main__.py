"""The command `ctg-agent`."""

import argparse
import asyncio
import json
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from hub.errors import HubError, SettingsError

CONFIG: Final = Path("/etc/ctg-agent/agent.toml")


def app(arguments: Sequence[str] | None = None) -> int:
    """Run a command; gives what the process is to end with.

    Each imports what it needs: an agent has little memory, and none for the others.
    """
    parser = argparse.ArgumentParser(
        prog="ctg-agent",
        description="A site's agent: reads its CTG devices, loses nothing. "
        "Reading aid only: not a medical device.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command, words in (
        (run, "run the agent until it is told to end"),
        (check, "read the configuration and say whether it is right, without starting anything"),
        (status, "say what the outbox holds, while the agent runs or after it ended (JSON)"),
    ):
        of_command = commands.add_parser(command.__name__, help=words, description=words)
        of_command.add_argument(
            "file", metavar="FILE", type=Path, nargs="?", default=CONFIG, help="the agent's configuration"
        )
        of_command.set_defaults(work=command)
    words = "listen to a port and say which protocol it speaks; nothing is stored, nothing is changed"
    probing = commands.add_parser("probe", help=words, description=words)
    probing.add_argument(
        "port", metavar="PORT", help="serial:/dev/ttyUSB0, tcp://HOST:PORT, udp://HOST:24105 …"
    )
    probing.add_argument("--seconds", type=float, default=5.0, help="how long to listen with each setting")
    probing.set_defaults(work=probe)
    told = vars(parser.parse_args(arguments))
    work = told.pop("work")
    try:
        return int(work(**told))
    except SettingsError as error:
        return _fail(error, 2)
    except HubError as error:
        return _fail(error, 1)


def run(file: Path) -> int:
    """Run the agent until it is told to end."""
    # The arrays are small: threads of the linear algebra would only take memory.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from site_agent.commands import ReloadError
    from site_agent.config import read_config

    config = read_config(file)
    logging.basicConfig(level=config.log_level, format="%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    while True:
        try:
            asyncio.run(_serve(config))
        except ReloadError as reload:
            config = reload.config
            continue
        except HubError as error:
            return _fail(error, 1)
        return 0


async def _serve(config: Any) -> None:  # noqa: ANN401  # the type is imported late, with the rest of the agent
    from site_agent.agent import Agent

    agent = Agent(config)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    working = asyncio.create_task(agent.run(), name="agent")
    showing = None
    if config.page is not None:
        from site_agent.page_source import keep_page

        showing = asyncio.create_task(keep_page(agent, config.page), name="page")
    ending = asyncio.create_task(stop.wait(), name="stop")
    await asyncio.wait({working, ending}, return_when=asyncio.FIRST_COMPLETED)
    ending.cancel()
    if not working.done():
        await agent.stop()
        working.cancel()
    if showing is not None:
        showing.cancel()
    await asyncio.gather(working, return_exceptions=stop.is_set())


def check(file: Path) -> int:
    """Read the configuration and say whether it is right, without starting anything."""
    from site_agent.config import read_config

    config = read_config(file)
    broker = config.broker
    _say(f"{file}: right")
    _say(f"  site {config.site} ({config.name or 'no name'}), data in {config.data_dir}")
    _say(f"  broker {broker.host}:{broker.port}, {'TLS' if broker.tls else 'NOT encrypted'}")
    for bed in config.beds:
        _say(f"  bed {bed.name} ({bed.label or 'no label'}): {bed.driver} on {bed.port}")
    return 0


def status(file: Path) -> int:
    """Say what the outbox holds, while the agent runs or after it ended."""
    from site_agent.config import read_config
    from site_agent.status import read_status

    _say(json.dumps(read_status(read_config(file)), ensure_ascii=False, indent=1))
    return 0


def probe(port: str, seconds: float) -> int:
    """Listen to a port and say which protocol it speaks."""
    from site_agent.probe import probe_port

    if seconds < 0.5:
        msg = f"--seconds: expected at least 0.5, got {seconds:g}"
        raise SettingsError(msg)
    report = asyncio.run(probe_port(port, seconds))
    for line in report.lines():
        _say(line)
    return 0 if report.driver is not None else 1


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def _fail(error: HubError, code: int) -> int:
    sys.stderr.write(f"ctg-agent: {error}\n")
    return code


if __name__ == "__main__":
    sys.exit(app())
