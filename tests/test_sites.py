"""The hub tells a site's agent the time, hears its health and shares out the fill lane."""

import asyncio
import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest

from hub.model import Lane, SiteHealth, SiteState, SiteStatus, TimeExchange
from hub.sites import (
    CAPACITY_FRAMES_S,
    CREDIT_PERIOD_S,
    TIME_BURST,
    SiteDesk,
    free_capacity,
    share_out,
)
from hub.stages import Clock
from hub.wire import decode_time

CALM: dict[str, Any] = {"queued": 0, "standstill_s": 0.0, "is_failing": False, "live_per_s": 0.0}


class HandClock(Clock):
    """Two clocks that the test moves."""

    def __init__(self) -> None:
        self.s = 1000.0

    def now_s(self) -> float:
        return self.s

    def now_ms(self) -> int:
        return 1_763_610_000_000 + round(self.s * 1000)


class Desk(SiteDesk):
    """A desk whose messages are kept, and whose hub has the room that the test says."""

    def __init__(self) -> None:
        self.clock = HandClock()
        self.said: list[tuple[str, bytes, int]] = []
        self.has_said = asyncio.Event()
        self.room = CAPACITY_FRAMES_S
        self.session = "boot.1"
        self.registry = CollectorRegistry()
        super().__init__(
            self.clock, self.keep, lambda live_per_s: self.room, lambda: self.session, self.registry
        )

    async def keep(self, topic: str, payload: bytes, qos: int) -> bool:
        self.said.append((topic, payload, qos))
        self.has_said.set()
        return True

    def tell(self, site: str) -> None:
        agent = self._agents[site]
        agent.credit_per_s, agent.credit_s, agent.session = self.room, self.clock.s, self.session

    async def answer(self) -> list[TimeExchange]:
        answering = asyncio.create_task(self.run_answers())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        answering.cancel()
        await asyncio.gather(answering, return_exceptions=True)
        return [decode_time(payload) for topic, payload, _ in self.said if topic.endswith("/time")]


def health(backlog: int) -> SiteHealth:
    return SiteHealth(t_ms=1, backlog_frames=backlog, disk_free_percent=40.0, clock_offset_ms=-7.0)


async def test_a_question_for_the_time_is_answered_with_the_hubs_own_times():
    desk = Desk()
    desk.take_time("h1", TimeExchange(5))
    asked_ms = desk.clock.now_ms()
    desk.clock.s += 0.25
    assert await desk.answer() == [TimeExchange(5, asked_ms, asked_ms + 250)]
    assert [topic for topic, _, _ in desk.said] == ["ctg/v1/h1/time"]


async def test_the_hubs_own_answer_is_no_question_and_a_late_answer_is_none():
    desk = Desk()
    desk.take_time("h1", TimeExchange(5, 6, 7))
    assert await desk.answer() == []
    desk.take_time("h1", TimeExchange(5))
    desk.clock.s += 3.0
    assert await desk.answer() == []


async def test_a_site_that_asks_without_end_gets_its_share_and_leaves_others_theirs():
    desk = Desk()
    for _ in range(1000):
        desk.take_time("h1", TimeExchange(5))
    desk.take_time("h2", TimeExchange(6))
    answers = await desk.answer()
    assert [answer.asked_ms for answer in answers] == [5] * TIME_BURST + [6]
    desk.clock.s += 2.0
    for _ in range(1000):
        desk.take_time("h1", TimeExchange(7))
    assert [answer.asked_ms for answer in await desk.answer()][TIME_BURST + 1 :] == [7, 7]


def test_one_site_alone_may_catch_up_with_eight_hours_of_twenty_beds_in_ten_minutes():
    frames = 8 * 3600 * 20
    credit = share_out(free_capacity(**CALM), {"h1": frames / 10})["h1"]
    assert credit >= 2000
    assert frames / credit <= 600


@pytest.mark.parametrize(
    "trouble",
    [{"is_failing": True}, {"queued": 20_000}, {"standstill_s": 3.0}, {"live_per_s": CAPACITY_FRAMES_S}],
)
def test_the_fill_lane_is_closed_while_nothing_is_stored_or_live_takes_all(trouble: dict[str, float]):
    assert free_capacity(**(CALM | trouble)) == 0.0


def test_a_growing_queue_and_late_commits_lower_the_credit():
    rooms = [free_capacity(**(CALM | {"queued": queued})) for queued in range(0, 21_000, 1000)]
    assert rooms == sorted(rooms, reverse=True)
    assert free_capacity(**(CALM | {"standstill_s": 2.0})) == pytest.approx(CAPACITY_FRAMES_S / 2)


@given(
    st.floats(0, 1e4),
    st.dictionaries(st.text(min_size=1, max_size=3), st.floats(0.1, 1e6), min_size=1, max_size=30),
)
def test_shares_add_up_to_the_room_and_the_modest_get_what_they_need(
    capacity: float, needs: dict[str, float]
):
    shares = share_out(capacity, needs)
    assert sum(shares.values()) == pytest.approx(capacity, abs=1e-6)
    fair = capacity / len(needs)
    assert all(shares[site] >= min(need, fair) - 1e-6 for site, need in needs.items())


async def test_a_site_with_a_backlog_hears_its_credit_at_least_every_10_s_and_a_change_at_once():
    desk = Desk()
    desk.take_health("h1", health(576_000))
    told_s = []
    for _ in range(40):
        desk.clock.s += 1.0
        if desk.share_credits():
            told_s.append(desk.clock.s)
            desk.tell("h1")
    assert max(b - a for a, b in pairwise(told_s)) <= CREDIT_PERIOD_S
    desk.room = 0.0
    assert desk.share_credits() == {"h1": 0.0}


def test_a_site_without_backlog_or_fill_hears_nothing_and_one_that_fills_does():
    desk = Desk()
    desk.take_health("calm", health(0))
    desk.count("live", Lane.LIVE)
    desk.count("fills", Lane.FILL)
    assert desk.share_credits() == {"fills": CAPACITY_FRAMES_S}


def test_what_an_agent_tells_is_in_the_list_of_sites_and_in_the_metrics():
    desk = Desk()
    desk.take_health("h1", health(12))
    desk.clock.s += 4.0
    [view] = desk.views({"h1": SiteStatus(state=SiteState.ONLINE, name="架空", beds=("b1",))})
    assert (view.site_name, view.beds, view.health_age_ms) == ("架空", ("b1",), 4000)
    assert view.health == health(12)
    text = generate_latest(desk.registry).decode()
    assert 'ctg_site_backlog_frames{site="h1"} 12.0' in text
    assert 'ctg_site_health_age_seconds{site="h1"} 4.0' in text


async def test_credits_leave_as_the_protocol_says():
    desk = Desk()
    desk.take_health("h1", health(100))
    task = asyncio.create_task(desk.run_credits())
    await asyncio.wait_for(desk.has_said.wait(), 5)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    topic, payload, _ = desk.said[0]
    assert topic == "ctg/v1/h1/credit"
    assert json.loads(payload) == {"frames_per_s": CAPACITY_FRAMES_S, "valid_s": 30.0, "session": "boot.1"}


def test_every_site_that_is_there_hears_of_a_new_session_and_one_that_is_not_does_not():
    desk = Desk()
    desk.take_status("here", SiteStatus(state=SiteState.ONLINE))
    desk.take_status("gone", SiteStatus(state=SiteState.OFFLINE))
    assert desk.share_credits().keys() == {"here"}
    desk.tell("here")
    assert desk.share_credits() == {}
    desk.session = "boot.2"
    assert desk.share_credits().keys() == {"here"}
