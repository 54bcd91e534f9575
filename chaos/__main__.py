"""The experiments as commands: `python -m chaos overload --beds 2000 --seconds 1800`."""

import asyncio
import logging
import random
import signal
import tempfile
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import Annotated, NoReturn

import typer

from chaos.breaking_point import LEGEND, run_breaking_point
from chaos.experiments import EXPERIMENTS
from chaos.fuzz import run_fuzz
from chaos.fuzz_atheris import run_atheris, search_each
from chaos.fuzz_targets import all_targets
from chaos.kills import run_kills
from chaos.outages import Outcome
from chaos.overload import run_overload
from chaos.repeats import run_repeats
from chaos.simulation import BrokenPromiseError, Simulation
from chaos.ward import run_ward
from chaos.wire import be_wire
from chaos.world import HOST

app = typer.Typer(add_completion=False, no_args_is_help=True, help=__doc__)

FolderOption = Annotated[
    Path | None, typer.Option(help="where logs and data go; a temporary folder if not given")
]


@app.callback()
def main() -> None:
    """Hurt real parts on purpose, and count what is lost."""
    for number in _ENDING:
        signal.signal(number, _end)  # also where a shell had SIGINT ignored, as behind `&`


_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _end(number: int, _frame: FrameType | None) -> NoReturn:
    """Leave every `with`, so that no process, mount or rule stays behind; further signals change nothing."""
    for other in _ENDING:
        signal.signal(other, signal.SIG_IGN)
    raise SystemExit(128 + number)


@app.command()
def overload(
    beds: Annotated[int, typer.Option(min=1, help="beds, one frame a second each")] = 2000,
    seconds: Annotated[int, typer.Option(min=1, help="length of the run")] = 1800,
    folder: FolderOption = None,
) -> None:
    """Let many beds speak for a long time; ends with 1 if a frame is missing."""
    with tempfile.TemporaryDirectory(prefix="ctg-chaos-") as scratch:
        result = run_overload(folder or Path(scratch), beds=beds, seconds=seconds, tell=typer.echo)
    for name, value in {**asdict(result), "lost": result.lost}.items():
        typer.echo(f"{name:30} {value:,.1f}" if isinstance(value, float) else f"{name:30} {value:,}")
    raise typer.Exit(1 if result.lost else 0)


@app.command("breaking-point")
def breaking_point(
    steps: Annotated[
        str, typer.Option(help="growing numbers of beds")
    ] = "1000,1500,2000,2500,3000,4000,5000",
    seconds: Annotated[int, typer.Option(min=15, help="length of each step")] = 75,
    goes_on: Annotated[
        bool, typer.Option("--go-on", help="make every step, also after a goal has broken")
    ] = False,
    folder: FolderOption = None,
) -> None:
    """Let more and more beds speak until a goal breaks, and say which; ends with 1 if a frame is missing."""
    with tempfile.TemporaryDirectory(prefix="ctg-chaos-") as scratch:
        result = run_breaking_point(
            folder or Path(scratch),
            steps=[int(word) for word in steps.split(",")],
            seconds=seconds,
            goes_on=goes_on,
            tell=typer.echo,
        )
    typer.echo(LEGEND)
    typer.echo(f"sent {result.sent:,}, stored {result.stored:,}, lost {result.sent - result.stored:,}")
    typer.echo(f"all stored {result.drained_s:.1f} s after the end of the load")
    typer.echo(result.verdict)
    raise typer.Exit(1 if result.sent != result.stored else 0)


PIECE_H = 50.0
SeedOption = Annotated[
    int | None, typer.Option(help="the same seed does the same; drawn and told if not given")
]


@app.command()
def fuzz(
    messages: Annotated[int, typer.Option(min=1, help="broken messages, over all decoders")] = 10_000_000,
    seed: SeedOption = None,
    only: Annotated[str | None, typer.Option(help="one decoder, by its name in the report")] = None,
    atheris_s: Annotated[
        int, typer.Option(min=0, help="instead so many seconds of atheris at each decoder, or at --only")
    ] = 0,
    corpus: Annotated[Path, typer.Option(help="folder of what atheris finds")] = Path(".fuzz"),
) -> None:
    """Throw broken messages at every decoder; ends with 1 if one crashes or holds things up."""
    logging.disable(logging.CRITICAL)  # complaints are what is asked for here; the report counts them
    corpus = corpus.absolute()
    scratch = corpus / "scratch" / only if atheris_s and only else None  # atheris leaves it behind
    if scratch:
        scratch.mkdir(parents=True, exist_ok=True)
    with all_targets(scratch) as every:
        targets = [target for target in every if only in (None, target.name)]
        if not targets:
            names = ", ".join(target.name for target in every)
            msg = f"expected one of {names}, got {only!r}"
            raise typer.BadParameter(msg, param_hint="--only")
        if atheris_s and only:
            run_atheris(targets[0], seconds=atheris_s, corpus=corpus / only)
            return
        if atheris_s:
            searches = []
            for search in search_each(targets, seconds=atheris_s, corpus=corpus):
                searches.append(search)
                typer.echo(search.line())
            raise typer.Exit(0 if all(search.is_clean for search in searches) else 1)
        report = run_fuzz(targets, messages=messages, seed=random.randrange(10**9) if seed is None else seed)
    for line in report.lines():
        typer.echo(line)
    raise typer.Exit(0 if report.is_clean else 1)


@app.command()
def run(
    kills: Annotated[int, typer.Option(min=1, help="kills and freezes of any part")] = 1000,
    seed: SeedOption = None,
    sites: Annotated[int, typer.Option(min=1, help="sites, an agent each")] = 3,
    beds: Annotated[int, typer.Option(min=1, help="beds of each site")] = 2,
    pause_s: Annotated[float, typer.Option(min=0.1, help="on average between two")] = 1.5,
    freeze_s: Annotated[float, typer.Option(min=1, help="longest freeze")] = 60.0,
    folder: FolderOption = None,
) -> None:
    """Kill and freeze agents, broker, hub and database on bad lines; ends with 1 if one byte differs."""
    drawn = random.randrange(10**9) if seed is None else seed
    logging.basicConfig(format="%(asctime)s %(message)s")
    logging.getLogger("chaos").setLevel(logging.INFO)
    typer.echo(f"seed {drawn}")
    with tempfile.TemporaryDirectory(prefix="ctg-chaos-") as scratch:
        report = run_kills(
            folder or Path(scratch),
            kills=kills,
            seed=drawn,
            sites=sites,
            beds=beds,
            pause_s=pause_s,
            longest_freeze_s=freeze_s,
        )
    for line in report.lines():
        typer.echo(line)
    raise typer.Exit(0 if report.is_clean else 1)


@app.command()
def simulate(
    hours: Annotated[float, typer.Option(min=1, help="simulated hours, over all seeds")] = 2000.0,
    seed: Annotated[int, typer.Option(help="of the first 50 hours; the next have the next ones")] = 0,
) -> None:
    """Live hours of bad luck in an invented world; ends with 1 at the first promise that is broken."""
    lived, frames, faults = 0.0, 0, 0
    while lived < hours:
        try:
            tally = Simulation(seed).run(PIECE_H)
        except BrokenPromiseError as broken:
            typer.echo(str(broken), err=True)
            raise typer.Exit(1) from broken
        seed += 1
        lived += tally.hours
        frames += tally.frames
        faults += sum(tally.faults.values())
    typer.echo(f"{lived:,.0f} hours, {faults:,} faults, {frames:,} frames: each stored once, all drained")


@app.command()
def outage(
    name: Annotated[str, typer.Argument(help=f"one of {', '.join(EXPERIMENTS)}")],
    seconds: Annotated[float | None, typer.Option(help="how long it lasts, where that can be chosen")] = None,
    beds: Annotated[int | None, typer.Option(min=1, help="beds, where that can be chosen")] = None,
    folder: FolderOption = None,
) -> None:
    """Make one outage with real parts; ends with 1 if something happened that must not."""
    if name not in EXPERIMENTS:
        typer.echo(f"expected one of {', '.join(EXPERIMENTS)}, got {name!r}", err=True)
        raise typer.Exit(2)
    given = {key: value for key, value in (("seconds", seconds), ("beds", beds)) if value is not None}
    with tempfile.TemporaryDirectory(prefix="ctg-chaos-") as scratch:
        outcome = EXPERIMENTS[name](folder or Path(scratch), **given)
    _tell(outcome)


@app.command()
def repeats(
    hours: Annotated[float, typer.Option(min=0.1, help="of one bed")] = 24.0,
    seed: Annotated[int, typer.Option(help="the same seed shuffles alike")] = 1,
    folder: FolderOption = None,
) -> None:
    """Send a day three times out of order, then once more; ends with 1 unless each frame is stored once."""
    with tempfile.TemporaryDirectory(prefix="ctg-chaos-") as scratch:
        outcome = run_repeats(folder or Path(scratch), hours=hours, seed=seed)
    _tell(outcome)


def _tell(outcome: Outcome) -> NoReturn:
    for key, value in outcome.figures.items():
        typer.echo(f"{key:30} {value:,.1f}" if isinstance(value, float) else f"{key:30} {value}")
    for what in outcome.wrong:
        typer.echo(f"did not hold: {what}", err=True)
    raise typer.Exit(1 if outcome.wrong else 0)


@app.command()
def ward(
    ports: Annotated[str, typer.Option(help="TCP ports with commas between, a monitor on each")],
    seed: Annotated[int, typer.Option(help="what the modelled patients do")] = 1,
    scenario: Annotated[str | None, typer.Option(help="one scenario for all of them")] = None,
) -> None:
    """Be many Series 50 monitors, for the agents of an experiment."""
    logging.basicConfig(level=logging.WARNING)
    asyncio.run(run_ward(HOST, [int(port) for port in ports.split(",")], seed=seed, scenario=scenario))


@app.command()
def wire(
    centre: Annotated[str, typer.Argument(help="address of the centre's end")],
    site: Annotated[str, typer.Argument(help="address of the site's end, in a namespace of its own")],
    seed: Annotated[int, typer.Option(help="what is lost, and how late the rest is")] = 0,
) -> None:
    """Be a bad line below TCP, for an experiment that gives it orders; needs root."""
    be_wire(centre, site, seed=seed)


if __name__ == "__main__":
    app()
