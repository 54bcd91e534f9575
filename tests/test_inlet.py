"""A broken message is counted and named, and does nothing else."""

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
from prometheus_client import CollectorRegistry

from hub.inlet import FILL_AT_ONCE, MAX_FILL_WAITING, Inlet
from hub.journal import AlertJournal
from hub.model import WaveEntry
from hub.pipeline import Pipeline
from hub.recorder import Recorder
from hub.sites import SiteDesk
from hub.stages import Clock, Stage
from hub.store.store import Store
from hub.web.live import Feed
from hub.wire import encode_fill


async def _publish_nothing(*_: object) -> bool:
    return True


class Deaf:
    """Consoles that nobody sits at."""

    def publish_wave(self, entry: WaveEntry) -> None:
        """Take a frame."""


@pytest.fixture
def inlet(tmp_path: Path) -> Iterator[Inlet]:
    clock = Clock()
    registry = CollectorRegistry()
    journal = AlertJournal(tmp_path)
    recorder = Recorder(
        cast("Store", None), _publish_nothing, lambda name, pending: Stage(name, clock, pending), journal
    )
    yield Inlet(
        Pipeline(boot_id="b", capacity_beds=2),
        recorder,
        cast("Feed", Deaf()),
        SiteDesk(clock, _publish_nothing, lambda live_per_s: 0.0, lambda: "boot.1", registry),
        clock=clock,
        stage=Stage("acquisition", clock),
        registry=registry,
    )
    journal.close()


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        ("ctg/v1/h012\nCRITICAL all is well/status", b"{}"),
        ("ctg/v1/h012/bed3/state", b'{"state": "' + b"x" * 5000 + b'"}'),
        ("ctg/v1/h012/bed3/state", '{"state": "\u2028\\nCRITICAL all is well"}'.encode()),
    ],
)
def test_what_a_broken_message_says_writes_no_line_of_its_own_into_the_log(
    inlet: Inlet, caplog: pytest.LogCaptureFixture, topic: str, payload: bytes
):
    with caplog.at_level(logging.WARNING):
        inlet.take(topic, payload)
    [line] = caplog.messages
    assert len(line.splitlines()) == 1
    assert len(line) < 500


def test_a_long_fill_message_is_taken_a_few_frames_at_a_time_and_a_flood_is_refused(inlet: Inlet):
    frame = bytes.fromhex("c7110000000700000000019a9f58fa800419010101104230423142344236")
    numbered = [frame[:6] + seq.to_bytes(4, "big") + frame[10:] for seq in range(1200)]
    inlet.take("ctg/v1/h1/b1/wave/fill", encode_fill(numbered))
    assert inlet.fill_waiting == 1200
    assert inlet.take_filled() == 1200 - FILL_AT_ONCE
    while inlet.take_filled():
        pass
    assert inlet._recorder.frame_stage.pending == 1200
    for _ in range(20):
        inlet.take("ctg/v1/h1/b1/wave/fill", encode_fill(numbered))
    assert inlet.fill_waiting <= MAX_FILL_WAITING
    assert inlet._recorder.refused_frames == 20 * 1200 - inlet.fill_waiting


async def test_what_is_laid_by_is_taken_without_being_asked_and_a_bad_frame_spoils_no_other(inlet: Inlet):
    frame = bytes.fromhex("c7110000000700000000019a9f58fa800419010101104230423142344236")
    filling = asyncio.create_task(inlet.run_fill())
    await asyncio.sleep(0)
    inlet.take("ctg/v1/h1/b1/wave/fill", encode_fill([frame, b"broken", frame[:9] + b"\x01" + frame[10:]]))
    for _ in range(5):
        await asyncio.sleep(0)
    assert inlet.fill_waiting == 0
    assert inlet._recorder.frame_stage.pending == 2
    filling.cancel()
    await asyncio.gather(filling, return_exceptions=True)
