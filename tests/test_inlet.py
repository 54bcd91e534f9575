"""A broken message is counted and named, and does nothing else."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
from prometheus_client import CollectorRegistry

from hub.inlet import Inlet
from hub.journal import AlertJournal
from hub.pipeline import Pipeline
from hub.recorder import Recorder
from hub.sites import SiteDesk
from hub.stages import Clock, Stage
from hub.store.store import Store
from hub.web.live import Feed


async def _publish_nothing(*_: object) -> bool:
    return True


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
        cast("Feed", None),
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
