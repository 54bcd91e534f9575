"""An outbox with hours of many beds in it, as an agent leaves it that was cut off."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from device_sim.frames import FRAME_MS, FrameMaker
from device_sim.scenarios import scenario_source
from hub.wire import decode_wave, encode_wave
from site_agent.committer import new_epoch
from site_agent.outbox import Outbox
from site_agent.stock import Draft

SCENARIOS: Final = ("reassuring", "bradycardia", "variable_mild", "late_severe")
"""With falls in it, so that an alert from late data would show."""
LOOP_S: Final = 600
BATCH: Final = 5000


def fill_outbox(folder: Path, site: str, beds: Sequence[str], *, hours: float) -> int:
    """Write `hours` of every bed, up to a minute ago, as frames that no hub confirmed; give their number."""
    folder.mkdir(parents=True, exist_ok=True)
    outbox = Outbox(folder, site, new_epoch())
    seconds = round(hours * 3600)
    start_ms = time.time_ns() // 10**6 // 1000 * 1000 - (seconds + 60) * 1000
    loops = [_bodies(name) for name in SCENARIOS]
    drafts: list[Draft] = []
    for second in range(seconds):
        t0_ms = start_ms + second * FRAME_MS
        stamp = t0_ms.to_bytes(6, "big")
        for number, bed in enumerate(beds):
            body = loops[number % len(loops)][(second + 37 * number) % LOOP_S]
            drafts.append(Draft(bed, body[:10] + stamp + body[16:], t0_ms, t0_ms + FRAME_MS, is_live=False))
        if len(drafts) >= BATCH:
            outbox.append(drafts)
            drafts = []
    outbox.append(drafts)
    outbox.close()
    return seconds * len(beds)


def _bodies(scenario: str) -> list[bytes]:
    """Ten minutes of a scenario as frames without identity and CRC."""
    maker = FrameMaker("site", "bed", 0, scenario_source(scenario, seed=1))
    frames = (
        decode_wave(maker.make(0, second * FRAME_MS), site="site", bed="bed") for second in range(LOOP_S)
    )
    return [encode_wave(frame) for frame in frames]
