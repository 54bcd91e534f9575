"""The command `ctg-sim`: plays sites and beds to a broker."""

import asyncio
import dataclasses
import functools
import inspect
import logging
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import typer

from device_sim.broker import Broker, parse_broker
from device_sim.device_command import device
from device_sim.faults import FaultPlan
from device_sim.load import LoadPlan, LoadReport, run_load
from device_sim.pace import Pace
from device_sim.plan import DEMO, OpenedBed, SitePlan, check_names, open_bed, parse_bed
from device_sim.publisher import SiteOptions, SitePublisher, run_sites
from device_sim.records import list_shipped, read_shipped
from device_sim.scenarios import SCENARIOS, Scenario
from hub.errors import SettingsError

_log = logging.getLogger("device_sim")

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    help="Simulated delivery sites: real recordings and modelled patients, with faults on demand.",
)


BrokerOption = Annotated[str, typer.Option(help="mqtt://[user:password@]host[:port], or mqtts:// for TLS")]
SeedOption = Annotated[int, typer.Option(min=0, help="the same seed gives the same signals and faults")]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayOptions:
    """Options that all commands share which play something; each field is one."""

    broker: BrokerOption = "mqtt://127.0.0.1:1883"
    seed: SeedOption = 1
    speed: Annotated[
        float,
        typer.Option(min=1.0, help="play the history live, so many times as fast, until it has caught up"),
    ] = 1.0
    backfill_minutes: Annotated[
        float | None,
        typer.Option(min=0.0, help="minutes of history before the start; the demo has 30, others 0"),
    ] = None
    no_fill: Annotated[bool, typer.Option("--no-fill", help="never deliver later what was not sent live")] = (
        False
    )
    fill_rate: Annotated[float, typer.Option(min=1.0, help="frames a second of the fill lane of a site")] = (
        600.0
    )
    loss: Annotated[float, typer.Option(min=0.0, max=1.0, help="share of live frames lost")] = 0.0
    delay: Annotated[float, typer.Option(min=0.0, help="s by which each live frame is late")] = 0.0
    jitter: Annotated[float, typer.Option(min=0.0, help="mean of a random delay on top, s")] = 0.0
    duplicate: Annotated[float, typer.Option(min=0.0, max=1.0, help="share of live frames sent twice")] = 0.0
    reorder: Annotated[float, typer.Option(min=0.0, max=1.0, help="share of live frames overtaken")] = 0.0
    outage: Annotated[
        str, typer.Option(help="EVERY/LENGTH in s: 300/20 cuts the line for 20 s every 300 s")
    ] = ""
    clock_offset_ms: Annotated[int, typer.Option(help="ms by which the site's clock is wrong")] = 0
    clock_drift_ppm: Annotated[float, typer.Option(help="parts per million by which it runs fast")] = 0.0

    def plan_faults(self) -> FaultPlan:
        """Give the faults asked for.  Raises ValueError if they make no sense."""
        every, _, length = self.outage.partition("/")
        try:
            every_s, length_s = (float(every), float(length)) if self.outage else (0.0, 0.0)
        except ValueError as error:
            msg = f"outage: expected EVERY/LENGTH in s such as 300/20, got {self.outage!r}"
            raise ValueError(msg) from error
        return FaultPlan(
            loss=self.loss,
            delay_s=self.delay,
            jitter_s=self.jitter,
            duplicate=self.duplicate,
            reorder=self.reorder,
            outage_every_s=every_s,
            outage_s=length_s,
            clock_offset_ms=self.clock_offset_ms,
            clock_drift_ppm=self.clock_drift_ppm,
        )


def _with_play_options(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command take each field of `PlayOptions` as an option of its own.

    typer reads the signature of a command and knows no groups of options.
    """
    own = [p for p in inspect.signature(command).parameters.values() if p.name != "options"]
    shared = [
        inspect.Parameter(
            field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=field.type
        )
        for field in dataclasses.fields(PlayOptions)
    ]

    @functools.wraps(command)
    def play(**given: object) -> None:
        options = {field.name: given.pop(field.name) for field in shared}
        command(**given, options=PlayOptions(**options))  # type: ignore[arg-type]  # typer has checked them

    play.__signature__ = inspect.Signature([*own, *shared])  # type: ignore[attr-defined]  # read by inspect
    play.__annotations__ = {parameter.name: parameter.annotation for parameter in (*own, *shared)}
    return play


@app.command("list")
def list_sources() -> None:
    """List scenarios with the level they should get, and recordings with their outcome."""
    typer.echo("scenario                       level  cell                            what it shows")
    for scenario in SCENARIOS.values():
        level, cell = _describe(scenario)
        typer.echo(f"{scenario.name:30} {level:>5}  {cell:30}  {scenario.summary}")
    typer.echo("\nrecording  minutes  signal    pH  Apgar 1/5  weeks")
    for name in list_shipped():
        record = read_shipped(name)
        ph, one, five, weeks = (record.outcome.get(key) for key in ("pH", "Apgar1", "Apgar5", "Gest. weeks"))
        signal_percent = 100 * float((record.fhr == record.fhr).mean())
        typer.echo(
            f"{name:9}  {record.duration_s / 60:7.0f}  {signal_percent:5.0f}%  {ph or float('nan'):4.2f}"
            f"  {one or 0:4.0f} /{five or 0:3.0f}  {weeks or 0:5.0f}"
        )


@app.command()
@_with_play_options
def demo(*, options: PlayOptions) -> None:
    """Play four invented sites with twelve beds."""
    _play(DEMO, options, default_history_minutes=30.0)


@app.command()
@_with_play_options
def site(
    site: Annotated[str, typer.Argument(help="name in the topics, such as h001")],
    bed: Annotated[
        list[str], typer.Option(help="bed1=scenario:late_severe, bed2=recording:1017@600, bed3=file:a.csv")
    ],
    name: Annotated[str | None, typer.Option(help="name shown on the consoles")] = None,
    *,
    options: PlayOptions,
) -> None:
    """Play one site with the beds given."""
    try:
        plan = SitePlan(site=site, name=name, beds=tuple(parse_bed(text) for text in bed))
    except SettingsError as error:
        raise typer.BadParameter(str(error)) from error
    _play((plan,), options)


@app.command("bed")
@_with_play_options
def one_bed(
    where: Annotated[str, typer.Argument(help="SITE/BED, such as h001/bed1")],
    source: Annotated[
        str, typer.Argument(help="scenario:NAME, recording:NAME[@SECONDS] or file:PATH[@SECONDS]")
    ],
    *,
    options: PlayOptions,
) -> None:
    """Play one bed, as a site of its own."""
    site_name, _, bed_name = where.partition("/")
    try:
        plan = SitePlan(site=site_name, beds=(parse_bed(f"{bed_name}={source}"),))
    except SettingsError as error:
        raise typer.BadParameter(str(error)) from error
    _play((plan,), options)


@app.command()
def load(
    beds: Annotated[int, typer.Option(min=1, help="beds, one frame a second each")] = 200,
    seconds: Annotated[int, typer.Option(min=1, help="length of the run, or of each step")] = 60,
    ramp: Annotated[
        str, typer.Option(help="steps with so many beds each, such as 1000,2000,3000, instead of --beds")
    ] = "",
    beds_per_site: Annotated[int, typer.Option(min=1, max=99, help="beds sharing a connection")] = 20,
    frames_per_s: Annotated[int, typer.Option(min=1, help="of each bed; more than one is late data")] = 1,
    prefix: Annotated[str, typer.Option(help="what the names of the sites begin with")] = "load",
    qos: Annotated[int, typer.Option(min=0, max=1, help="MQTT quality of service of the frames")] = 1,
    broker: BrokerOption = "mqtt://127.0.0.1:1883",
    seed: SeedOption = 1,
) -> None:
    """Load the broker and the hub with many beds, for benchmarks; Ctrl-C ends it with its report."""
    try:
        address = parse_broker(broker)
        steps = _parse_ramp(ramp)
        plan = LoadPlan(
            beds=steps[-1] if steps else beds,
            seconds=seconds,
            ramp=steps,
            beds_per_site=beds_per_site,
            frames_per_s=frames_per_s,
            prefix=prefix,
            qos=qos,
            seed=seed,
        )
        report = asyncio.run(_load_until_ended(plan, address))
    except SettingsError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
    _tell_load(report)
    if qos and report.answered < report.sent:
        raise typer.Exit(1)


async def _load_until_ended(plan: LoadPlan, address: Broker) -> LoadReport:
    ending = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ending.set)
    return await run_load(plan, address, ending=ending, tell=_tell_load)


def _tell_load(report: LoadReport) -> None:
    typer.echo(
        f"{report.sites} sites: {report.sent} frames sent, {report.answered} answered,"
        f" at most {report.latest_ms:.0f} ms late"
    )


def _parse_ramp(text: str) -> tuple[int, ...]:
    try:
        steps = tuple(int(word) for word in text.split(",") if word)
    except ValueError:
        steps = (0,)
    if any(beds < 1 for beds in steps) or list(steps) != sorted(set(steps)):
        msg = f"--ramp: expected growing numbers of beds such as 1000,2000,3000, got {text!r}"
        raise SettingsError(msg)
    return steps


app.command("device")(device)


def _play(plans: tuple[SitePlan, ...], options: PlayOptions, *, default_history_minutes: float = 0.0) -> None:
    """Check everything that was asked for, then play until a signal ends it."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    history_minutes = options.backfill_minutes
    if history_minutes is None:
        history_minutes = default_history_minutes
    try:
        broker = parse_broker(options.broker)
        faults = options.plan_faults()
        opened = []
        for plan in plans:
            check_names(plan)
            opened.append((plan, [open_bed(plan.site, bed, options.seed) for bed in plan.beds]))
        pace = Pace(real_ms=time.time_ns() // 1_000_000, lead_s=history_minutes * 60.0, speed=options.speed)
    except (SettingsError, ValueError) as error:
        raise typer.BadParameter(str(error)) from error
    site_options = SiteOptions(
        pace=pace,
        seed=options.seed,
        faults=faults,
        has_fill=not options.no_fill,
        fill_rate=options.fill_rate,
    )
    asyncio.run(_run_until_signal(opened, broker, site_options))


async def _run_until_signal(
    opened: list[tuple[SitePlan, list[OpenedBed]]], broker: Broker, options: SiteOptions
) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    publishers = [SitePublisher(plan, beds, broker, options) for plan, beds in opened]
    _log.info(
        "playing %d sites with %d beds; Ctrl-C ends it", len(opened), sum(len(beds) for _, beds in opened)
    )
    await run_sites(publishers, stop)
    for (plan, _), publisher in zip(opened, publishers, strict=True):
        counts = publisher.counts
        _log.info(
            "%s: %d frames made, %d sent live, %d held back, %d filled in, %d confirmed as stored",
            plan.site,
            counts.made,
            counts.sent_live,
            counts.held_back,
            counts.filled,
            counts.confirmed,
        )


def _describe(scenario: Scenario) -> tuple[str, str]:
    expected = scenario.expected
    if expected.level is None:
        return "-", str(expected.indeterminate)
    return str(expected.level), expected.cell or ""


if __name__ == "__main__":
    app()
