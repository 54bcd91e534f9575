"""The command `ctg-sim device`: one monitor on a serial line or a TCP port."""

import asyncio
import contextlib
import logging
import signal
import time
from collections.abc import Coroutine
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from device_sim.device import Device, Monitor, Pty, listen
from device_sim.ge115 import Ge115Monitor
from device_sim.hl7 import CentralSystem
from device_sim.line_faults import LinePlan
from device_sim.plan import open_bed, parse_bed
from device_sim.series50 import MonitorPlan, Series50Monitor
from hub.errors import SettingsError
from hub.model import GRID_MS

_log = logging.getLogger("device_sim")


class Protocol(StrEnum):
    """What the simulated device speaks."""

    SERIES50 = "series50"
    GE115 = "ge115"
    HL7_MLLP = "hl7-mllp"


def device(
    source: Annotated[str, typer.Argument(help="scenario:NAME, recording:NAME[@S] or file:PATH[@S]")],
    protocol: Annotated[Protocol, typer.Option(help="what the device speaks")] = Protocol.SERIES50,
    port: Annotated[str | None, typer.Option(help="pty: a pseudo-terminal; its name is printed")] = None,
    link: Annotated[
        Path | None, typer.Option(help="also make this name point to the pseudo-terminal")
    ] = None,
    listen_on: Annotated[str | None, typer.Option("--listen", help="[HOST:]PORT: wait for TCP")] = None,
    connect: Annotated[str | None, typer.Option(help="HOST:PORT to send HL7 to")] = None,
    slow: Annotated[bool, typer.Option(help="let bytes leave at 1200 baud")] = False,
    events_every: Annotated[int, typer.Option(min=0, help="s: marker, NIBP, SpO2, temperature, note")] = 0,
    failure_every: Annotated[int, typer.Option(min=0, help="s: a device failure, then silence")] = 0,
    insert_ticks: Annotated[int, typer.Option(min=0, help="s: one tick inserted each time")] = 0,
    delete_ticks: Annotated[int, typer.Option(min=0, help="s: one tick deleted each time")] = 0,
    byte_loss: Annotated[float, typer.Option(min=0, max=1, help="share of bytes lost")] = 0.0,
    bit_flip: Annotated[float, typer.Option(min=0, max=1, help="share of bytes with a flipped bit")] = 0.0,
    garbage: Annotated[float, typer.Option(min=0, max=1, help="share of blocks at another speed")] = 0.0,
    cable_out: Annotated[str, typer.Option(help="EVERY/LENGTH in s: the cable is out")] = "",
    power_off: Annotated[str, typer.Option(help="EVERY/LENGTH in s: the device is off")] = "",
    seed: Annotated[int, typer.Option(min=0, help="the same seed gives the same signals and faults")] = 1,
) -> None:
    """Be a fetal monitor on a pseudo-terminal or TCP, or a central system that sends HL7."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        opened = open_bed("sim", parse_bed(f"bed={source}"), seed)
        cable_every_s, cable_out_s = _read_pause("cable-out", cable_out)
        power_every_s, power_off_s = _read_pause("power-off", power_off)
        plan = LinePlan(
            byte_loss=byte_loss,
            bit_flip=bit_flip,
            garbage=garbage,
            cable_every_s=cable_every_s,
            cable_out_s=cable_out_s,
            power_every_s=power_every_s,
            power_off_s=power_off_s,
        )
        address = None if listen_on is None else _read_address(listen_on)
        target = None if connect is None else _read_address(connect)
    except (SettingsError, ValueError) as error:
        raise typer.BadParameter(str(error)) from error
    if protocol is Protocol.HL7_MLLP:
        if target is None:
            msg = "expected --connect HOST:PORT for HL7"
            raise typer.BadParameter(msg)
        central = CentralSystem(beds={"LDR^1": opened.source}, start_ms=_now_ms() // GRID_MS * GRID_MS)
        asyncio.run(_send(central, target))
        return
    if (port != "pty") == (address is None):
        msg = "expected either --port pty or --listen [HOST:]PORT"
        raise typer.BadParameter(msg)
    monitor: Monitor
    if protocol is Protocol.SERIES50:
        habits = MonitorPlan(
            events_every_s=events_every,
            failure_every_s=failure_every,
            insert_every_s=insert_ticks,
            delete_every_s=delete_ticks,
        )
        monitor = Series50Monitor(opened.source, habits)
    else:
        monitor = Ge115Monitor(opened.source)
    baud = (1200 if protocol is Protocol.SERIES50 else 9600) if slow else 0
    asyncio.run(_run(Device(monitor=monitor, plan=plan, seed=seed, baud=baud), address, link))


async def _run(device: Device, address: tuple[str, int] | None, link: Path | None) -> None:
    async with contextlib.AsyncExitStack() as stack:
        if address is None:
            pty = stack.enter_context(Pty(device, link))
            typer.echo(pty.path)
        else:
            server = await stack.enter_async_context(await listen(device, *address))
            typer.echo(f"{address[0]}:{server.sockets[0].getsockname()[1]}")
        await _run_until_signal(device.run())
    _log.info("%d blocks sent, %d harmed on the line", device.monitor.n_blocks, device.line.n_harmed)


async def _send(central: CentralSystem, target: tuple[str, int]) -> None:
    await _run_until_signal(central.run(*target))
    _log.info("%d sent, %d stored, %d refused", central.n_sent, central.n_accepted, central.n_refused)


async def _run_until_signal(work: Coroutine[None, None, None]) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    running = asyncio.create_task(work)
    stopping = asyncio.create_task(stop.wait())
    done, _ = await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    if stopping not in done:
        await running  # say what ended it


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _read_pause(name: str, text: str) -> tuple[float, float]:
    every, _, length = text.partition("/")
    try:
        return (float(every), float(length)) if text else (0.0, 0.0)
    except ValueError as error:
        msg = f"{name}: expected EVERY/LENGTH in s such as 300/20, got {text!r}"
        raise ValueError(msg) from error


def _read_address(text: str) -> tuple[str, int]:
    host, _, number = text.rpartition(":")
    if not (number.isascii() and number.isdigit() and int(number) < 65536):
        msg = f"listen: expected [HOST:]PORT, got {text!r}"
        raise ValueError(msg)
    return host or "127.0.0.1", int(number)
