"""The command `ctg-hub`."""

import asyncio
import json
import logging
import os
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from hub.errors import HubError

app = typer.Typer(
    help="Fetal monitoring hub. Reading aid only: not a medical device.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _run(work: Coroutine[Any, Any, None], level: str = "INFO") -> None:
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    error: BaseException | None = None
    try:
        asyncio.run(work)
    except* HubError as group:
        error = group
    # Raised only out here: Python before 3.11.4 wraps in a group what is raised inside `except*`.
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if error is not None:
        typer.echo(f"ctg-hub: {error}", err=True)
        raise typer.Exit(1)


def _refuse_constant(name: str) -> None:
    # Python reads and writes NaN and Infinity, which are not JSON.
    msg = f"expected JSON, got {name}"
    raise ValueError(msg)


@app.command()
def serve() -> None:
    """Run the hub; its settings are the CTG_… variables of the environment."""
    # The matrices of the analysis are small: threads of the linear algebra only wait for one another.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from hub.app import serve as run_hub  # the other commands start without the database and web libraries
    from hub.errors import SettingsError
    from hub.settings import read_settings

    try:
        settings = read_settings()
    except SettingsError as error:
        typer.echo(f"ctg-hub: {error}", err=True)
        raise typer.Exit(2) from None
    _run(run_hub(settings), settings.log_level)


@app.command()
def demo(
    host: Annotated[str, typer.Option(help="Address of page and broker")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port of the page")] = 8000,
    mqtt_port: Annotated[int, typer.Option(help="Port of the broker")] = 1883,
    data_dir: Annotated[Path, typer.Option(help="Where the database lives")] = Path(".demo"),
) -> None:
    """Run hub, broker, database and twelve simulated beds."""
    from hub.demo import DemoPlan, run_demo

    _run(run_demo(DemoPlan(host, port, mqtt_port, data_dir)))


@app.command()
def broker(
    host: Annotated[str, typer.Option(help="Address to listen on")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on")] = 1883,
) -> None:
    """Run a small MQTT broker, for a demo without mosquitto."""
    from hub.broker import run_broker

    _run(run_broker(host, port))


@app.command()
def analyse(
    record: Annotated[Path, typer.Argument(help="Recording: WFDB, CSV, NPZ, EDF+, FHRMA .fhr or .fhrm")],
    weeks: Annotated[float | None, typer.Option(min=20, max=45, help="Gestational age [the file's]")] = None,
    picture: Annotated[Path | None, typer.Option(help="Write the strip: .png, .svg or .pdf")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the findings as JSON")] = None,
    from_time: Annotated[str, typer.Option("--from", help="Minutes, m:ss or h:mm:ss")] = "0",
    to_time: Annotated[str | None, typer.Option("--to", help="Minutes, m:ss or h:mm:ss [the end]")] = None,
    language: Annotated[Literal["ja", "en"], typer.Option(help="Language of report and picture")] = "ja",
    antenatal: Annotated[bool, typer.Option("--antenatal", help="Before labour: add NST and STV")] = False,
    one_fetus: Annotated[bool, typer.Option("--one-fetus", help="Traces are sensors of one fetus")] = False,
    dpi: Annotated[int, typer.Option(min=50, max=600, help="Resolution of the picture")] = 150,
) -> None:
    """Read a recording, print what is found and draw the strip.  Reading aid only."""
    from hub.report.command import AnalyseOrder, carry_out
    from hub.report.words import parse_clock

    try:
        from_s, to_s = parse_clock(from_time), None if to_time is None else parse_clock(to_time)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    order = AnalyseOrder(
        record=record,
        language=language,
        gestational_weeks=weeks,
        from_s=from_s,
        to_s=to_s,
        is_antenatal=antenatal,
        is_one_fetus=one_fetus,
        picture=picture,
        dpi=dpi,
        document=json_file,
    )
    try:
        for line in carry_out(order):
            typer.echo(line)
    except HubError as error:
        typer.echo(f"ctg-hub: {error}", err=True)
        raise typer.Exit(1) from None


@app.command()
def classify(cases: Annotated[Path, typer.Argument(help="JSON file of findings")]) -> None:
    """Classify findings in the form of golden-classification.json and print the results."""
    from hub.dsp.cases import classify_cases

    try:
        document = json.loads(cases.read_text(encoding="utf-8"), parse_constant=_refuse_constant)
        result = classify_cases(document)
    except (OSError, ValueError) as error:
        typer.echo(f"ctg-hub: {cases}: {error}", err=True)
        raise typer.Exit(1) from None
    json.dump(result, sys.stdout, ensure_ascii=False, indent=1)
    sys.stdout.write("\n")


if __name__ == "__main__":
    app()
