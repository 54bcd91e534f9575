"""A central system that sends HL7 to a port whose reader comes and goes."""

import asyncio
import socket

import numpy as np

from device_sim.hl7 import CentralSystem
from device_sim.signals import Signals
from hub.stages import Clock
from hub.wire import to_values
from site_agent.device import Driver, Reply, TickBlock
from site_agent.drivers.registry import make_driver
from site_agent.ports import Turn, open_port

START_MS = 1_763_632_800_000


class Ramp:
    """Each sample says which one it is."""

    def __init__(self, base_bpm: float) -> None:
        self._base_bpm = base_bpm

    def samples(self, start: int, stop: int) -> Signals:
        index = np.arange(start, stop, dtype=float)
        return Signals(fhr=(self._base_bpm + index % 400 / 4)[None, :], toco=index % 200 / 2)


async def serve(number: int, stored: dict[tuple[str, int], float], n_answers: int) -> None:
    """Store what comes and answer so many messages; the connection goes with the one after that."""
    drivers: dict[int, Driver] = {}
    async with open_port(f"tcp-listen:127.0.0.1:{number}", clock=Clock()) as port:
        async for received in port:
            if received.turn is Turn.OPENED:
                drivers[received.connection] = make_driver("hl7-mllp")
            elif received.turn is Turn.DATA:
                for item in drivers[received.connection].feed(received.data, received.t_ms):
                    if isinstance(item, TickBlock):
                        rates = to_values(item.channels[0])
                        for i, bpm in enumerate(rates):
                            key = (item.source or "", round(item.t0_ms) + i * item.period_ms)
                            assert stored.setdefault(key, bpm) == bpm
                    elif isinstance(item, Reply):
                        if n_answers == 0:
                            return
                        n_answers -= 1
                        await port.write(item.data, received.connection)


async def test_what_was_not_acknowledged_is_sent_again_and_nothing_is_lost() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number = probe.getsockname()[1]
    central = CentralSystem(
        beds={"LDR^1": Ramp(100), "LDR^2": Ramp(120)}, start_ms=START_MS, block_s=5, speed=100
    )
    stored: dict[tuple[str, int], float] = {}
    sending = asyncio.create_task(central.run("127.0.0.1", number))
    try:
        async with asyncio.timeout(20):
            for n_answers in (3, 0, 5, 4):
                await serve(number, stored, n_answers)
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
    assert central.n_accepted == 12
    assert central.n_refused == 0
    assert central.n_sent > central.n_accepted
    for bed, base in (("LDR^1", 100.0), ("LDR^2", 120.0)):
        times = sorted(t_ms for source, t_ms in stored if source == bed)
        assert times == list(range(START_MS, START_MS + 250 * len(times), 250))
        assert len(times) >= 20 * 4
        np.testing.assert_array_equal(
            [stored[bed, t_ms] for t_ms in times], Ramp(base).samples(0, len(times)).fhr[0]
        )
