"""The command `ctg-agent`."""

import asyncio
import json
import logging
import os
import signal
from importlib import import_module, util
from pathlib import Path
from typing import Annotated, Any

import typer

from hub.errors import HubError, SettingsError

app = typer.Typer(
    help="A site's agent: reads its CTG devices, loses nothing. Reading aid only: not a medical device.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
CONFIG = Path("/etc/ctg-agent/agent.toml")
ConfigFile = Annotated[Path, typer.Argument(metavar="FILE", help="The agent's configuration")]


@app.command()
def run(file: ConfigFile = CONFIG) -> None:
    """Run the agent until it is told to end."""
    # The arrays are small: threads of the linear algebra would only take memory.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

    config = _read(file)
    logging.basicConfig(level=config.log_level, format="%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    from site_agent.commands import ReloadError

    while True:
        try:
            asyncio.run(_serve(config))
        except ReloadError as reload:
            config = reload.config
            continue
        except HubError as error:
            typer.echo(f"ctg-agent: {error}", err=True)
            raise typer.Exit(1) from None
        return


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


@app.command()
def check(file: ConfigFile = CONFIG) -> None:
    """Read the configuration and say whether it is right, without starting anything."""
    config = _read(file)
    broker = config.broker
    typer.echo(f"{file}: right")
    typer.echo(f"  site {config.site} ({config.name or 'no name'}), data in {config.data_dir}")
    typer.echo(f"  broker {broker.host}:{broker.port}, {'TLS' if broker.tls else 'NOT encrypted'}")
    for bed in config.beds:
        typer.echo(f"  bed {bed.name} ({bed.label or 'no label'}): {bed.driver} on {bed.port}")


@app.command()
def status(file: ConfigFile = CONFIG) -> None:
    """Say what the outbox holds, while the agent runs or after it ended (JSON)."""
    from site_agent.status import read_status

    try:
        typer.echo(json.dumps(read_status(_read(file)), ensure_ascii=False, indent=1))
    except HubError as error:
        typer.echo(f"ctg-agent: {error}", err=True)
        raise typer.Exit(1) from None


def _read(file: Path) -> Any:  # noqa: ANN401  # see _serve
    from site_agent.config import read_config

    try:
        return read_config(file)
    except SettingsError as error:
        typer.echo(f"ctg-agent: {error}", err=True)
        raise typer.Exit(2) from None


if util.find_spec("site_agent.probe") is not None:
    app.command()(import_module("site_agent.probe").probe)

if __name__ == "__main__":
    app()
