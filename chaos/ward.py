"""Many Series 50 monitors in one process, each on a TCP port of its own, for the agents to hear."""

import asyncio
import logging
from collections.abc import Sequence

from device_sim.device import Device, listen
from device_sim.line_faults import LinePlan
from device_sim.scenarios import scenario_source
from device_sim.series50 import MonitorPlan, Series50Monitor

SCENARIOS = ("reassuring", "variable_mild", "late_severe", "tachycardia", "bradycardia")


async def run_ward(host: str, ports: Sequence[int], *, seed: int = 1, scenario: str | None = None) -> None:
    """Be one monitor on each port until cancelled; beds play different scenarios unless one is named."""
    async with asyncio.TaskGroup() as group:
        for number, port in enumerate(ports):
            source = scenario_source(scenario or SCENARIOS[number % len(SCENARIOS)], seed=seed + number)
            device = Device(
                monitor=Series50Monitor(source, MonitorPlan(), serial=f"CHAOS{number:05d}"),
                plan=LinePlan(),
                seed=seed + number,
            )
            await listen(device, host, port)
            group.create_task(device.run())
    logging.getLogger(__name__).info("%d monitors end", len(ports))
