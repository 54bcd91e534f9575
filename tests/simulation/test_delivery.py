"""Hours of bad luck, seeded: every frame of the outbox is stored once, and nothing is said that is not so."""

from typing import Any

import pytest

from chaos.simulated_agent import AgentModel
from chaos.simulated_hub import HubModel
from chaos.simulation import BrokenPromiseError, Simulation
from hub.model import Ack
from site_agent.happenings import Acked, Event, Restored

HOURS = 250
KEPT_SEEDS: tuple[tuple[int, float], ...] = ((61, 5.0), (70, 2.0))
"""Seeds and hours that once broke a promise."""


@pytest.mark.parametrize("part", range(8))
def test_two_thousand_hours_of_faults_lose_nothing_double_nothing_and_drain(part: int):
    hours = 0.0
    frames = 0
    kinds: set[str] = set()
    for seed in range(5):
        tally = Simulation(1000 * part + seed).run(HOURS / 5)
        hours += tally.hours
        frames += tally.frames
        kinds |= tally.faults.keys()
        assert tally.deliveries > tally.frames
    assert hours >= HOURS
    assert frames > 20 * HOURS
    assert kinds == {
        *("cut_line", "hole", "kill_broker", "kill_hub", "lose_database", "break_commit"),
        *("kill_agent", "freeze_agent", "step_clock"),
    }


@pytest.mark.parametrize(("seed", "hours"), KEPT_SEEDS)
def test_a_seed_that_once_failed_holds(seed: int, hours: float):
    Simulation(seed).run(hours)


def test_the_same_seed_lives_the_same_hours():
    first, second = (Simulation(7).run(20.0) for _ in range(2))
    assert first == second


def break_promise(hours: float = 60.0) -> str:
    """What the simulation complains of within some seeds."""
    for seed in range(20):
        try:
            Simulation(seed).run(hours)
        except BrokenPromiseError as broken:
            return str(broken)
    return "nothing"


def test_an_agent_that_forgets_its_outbox_over_a_restart_is_found_out(monkeypatch: pytest.MonkeyPatch):
    push = AgentModel._push

    def forgetful(self: AgentModel, event: Event) -> None:
        if not isinstance(event, Restored):
            push(self, event)

    monkeypatch.setattr(AgentModel, "_push", forgetful)
    assert "frames there are" in break_promise()


def test_a_hub_that_acknowledges_before_it_has_stored_is_found_out(monkeypatch: pytest.MonkeyPatch):
    check = HubModel._check

    def hasty(self: HubModel, bed: str, ack: Ack) -> None:
        check(self, bed, Ack(epoch=ack.epoch, contiguous=ack.contiguous + 1, highest=ack.highest))

    monkeypatch.setattr(HubModel, "_check", hasty)
    assert "which is not stored" in break_promise()


def test_an_agent_that_believes_more_than_the_ack_says_is_found_out(monkeypatch: pytest.MonkeyPatch):
    hear = AgentModel.hear

    def credulous(self: AgentModel, event: Event, *where: Any) -> None:
        if isinstance(event, Acked):
            highest = event.ack.highest
            event = Acked(event.bed, Ack(epoch=event.ack.epoch, contiguous=highest or 0, highest=highest))
        hear(self, event, *where)

    monkeypatch.setattr(AgentModel, "hear", credulous)
    assert "was confirmed and is not stored" in break_promise()


def test_an_alert_that_a_restart_forgets_is_found_out(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("chaos.simulated_hub.BedAlerts.restore", lambda self, alerts: None)
    assert "one condition is open as" in break_promise()
