"""A central system as HL7: sends `ORU^R01` over MLLP and sends again what was not acknowledged."""

import asyncio
import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import numpy as np

from device_sim.signals import SignalSource
from hub.model import FS_HZ, GRID_MS, FloatArray

_log = logging.getLogger(__name__)

ANSWER_S: Final = 10.0
_RETRY_S: Final = 0.5
_END: Final = b"\x1c\r"
_FETAL: Final = ("55283-6^Fetal heart rate^LN", "fhr2^^L", "fhr3^^L")


def encode_oru(source: SignalSource, *, start: int, stop: int, t0_ms: int, bed: str, control: str) -> bytes:
    """Give samples `start` to `stop` of a source as one message of a bed."""
    signals = source.samples(start, stop)
    arrays: list[tuple[str, FloatArray, str]] = [
        (code, rate, "/min") for code, rate in zip(_FETAL, signals.fhr, strict=False)
    ]
    if signals.mhr is not None:
        arrays.append(("8867-4^Heart rate^LN", signals.mhr, "/min"))
    if signals.toco is not None:
        arrays.append(("toco^^L", signals.toco, ""))
    results = [f"NA|{code}||{_join(values)}|{unit}" for code, values, unit in arrays]
    results.append(f"NM|interval_ms^^L||{GRID_MS}|ms")
    begin, end = _stamp(t0_ms), _stamp(t0_ms + (stop - start) * GRID_MS)
    lines = [
        f"MSH|^~\\&|CTG-SIM|CENTRAL|CTG-AGENT|SITE|{end}||ORU^R01^ORU_R01|{control}|P|2.5",
        f"PV1|1|I|{bed}",
        f"OBR|1|||CTG|||{begin}|{end}",
        *(f"OBX|{number}|{result}" for number, result in enumerate(results, 1)),
    ]
    return b"\x0b" + "".join(line + "\r" for line in lines).encode() + _END


def _join(values: FloatArray) -> str:
    return "^".join("" if np.isnan(v) else f"{v:g}" for v in values)


def _stamp(t_ms: int) -> str:
    at = datetime.fromtimestamp(t_ms // 1000, UTC)
    return f"{at:%Y%m%d%H%M%S}.{t_ms % 1000:03d}+0000"


@dataclass(kw_only=True)
class CentralSystem:
    """Beds of one central system; each message holds `block_s` seconds of one bed."""

    beds: dict[str, SignalSource]
    start_ms: int
    """Time of the first sample, Unix ms UTC."""
    block_s: int = 5
    speed: float = 1.0
    n_accepted: int = 0
    n_refused: int = 0
    n_sent: int = 0

    async def run(self, host: str, port: int) -> None:
        """Send for ever; a message goes out again until it is answered, and then the next."""
        n_block = 0
        begun_s = asyncio.get_running_loop().time()
        while True:
            try:
                reader, writer = await asyncio.open_connection(host, port)
            except OSError:
                await asyncio.sleep(_RETRY_S)
                continue
            try:
                while True:
                    due_s = begun_s + (n_block + 1) * self.block_s / self.speed
                    await asyncio.sleep(max(due_s - asyncio.get_running_loop().time(), 0))
                    for bed in self.beds:
                        await self._send(reader, writer, bed, n_block)
                    n_block += 1
            except (OSError, EOFError, TimeoutError) as error:
                _log.info("block %d of the beds goes out again: %s", n_block, error or "no answer")
            finally:
                writer.close()

    async def _send(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, bed: str, n_block: int
    ) -> None:
        n_ticks = round(self.block_s * FS_HZ)
        message = encode_oru(
            self.beds[bed],
            start=n_block * n_ticks,
            stop=(n_block + 1) * n_ticks,
            t0_ms=self.start_ms + n_block * n_ticks * GRID_MS,
            bed=bed,
            control=f"{bed}-{n_block}",
        )
        writer.write(message)
        await writer.drain()
        self.n_sent += 1
        async with asyncio.timeout(ANSWER_S):
            answer = await reader.readuntil(_END)
        if b"MSA|AA|" in answer:
            self.n_accepted += 1
        else:
            self.n_refused += 1
            _log.warning("refused: %s", answer.decode("utf-8", "replace").replace("\r", " "))
