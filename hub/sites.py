"""The hub's talk with each site's agent: its clock, its health, and its share of the fill lane."""

import asyncio
import math
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

from hub.model import FillCredit, Lane, SiteHealth, SiteState, SiteStatus, SiteView, TimeExchange
from hub.stages import Clock
from hub.wire import TopicKind, encode_json, encode_time, topic

MAX_SITES: Final = 1000
"""Sites that are remembered; a flood of invented names ends there."""
TIME_BURST: Final = 8
TIME_PER_S: Final = 1.0
"""Questions for the time that one site may ask at once, and then each second."""
ANSWER_WITHIN_MS: Final = 2_000
"""An answer that could not leave sooner would say more of the queue than of the clocks."""
CAPACITY_FRAMES_S: Final = 4_000.0
"""Frames a second that a hub on two cores decodes and commits beside everything else (E)."""
QUEUE_FREE: Final = 4_000
QUEUE_CLOSED: Final = 20_000
"""Between these frames that wait for the database the fill lane is throttled; half of the queue stays for
live."""
LATE_S: Final = 1.0
CLOSED_S: Final = 3.0
"""The same by the time without a commit although frames wait."""
SETTLE_S: Final = 10.0
"""A backlog is meant to be gone in this time, if the hub alone decided."""
LEAST_NEED: Final = 50.0
CREDIT_PERIOD_S: Final = 10.0
CHANGE: Final = 0.25
"""A credit that moved by this share is told at once."""
FILLING_S: Final = 30.0
HEALTH_FRESH_S: Final = 95.0
"""Three reports of 30 s; after that an agent's backlog is not believed any more."""
RATE_KEEPS: Final = 0.7


@dataclass(slots=True)
class AgentRecord:
    """What is known of one site's agent; times on the hub's monotonic clock."""

    health: SiteHealth | None = None
    health_s: float = -math.inf
    filled_s: float = -math.inf
    filled: int = 0
    fill_per_s: float = 0.0
    credit_per_s: float | None = None
    credit_s: float = -math.inf
    is_online: bool = False
    session: str | None = None
    """The one that the site was last told."""
    questions: float = TIME_BURST
    asked_s: float = 0.0

    def needs(self, now_s: float) -> float | None:
        """Frames a second that the site could use; None for one that has nothing to fill."""
        backlog = 0
        if self.health is not None and now_s - self.health_s < HEALTH_FRESH_S:
            backlog = max(0, self.health.backlog_frames)
        if not backlog and now_s - self.filled_s > FILLING_S:
            return None
        return max(LEAST_NEED, backlog / SETTLE_S, 1.5 * self.fill_per_s)


def free_capacity(*, queued: int, standstill_s: float, is_failing: bool, live_per_s: float) -> float:
    """Frames a second that the fill lanes of all sites may bring; 0 while nothing is committed."""
    if is_failing:
        return 0.0
    room = (QUEUE_CLOSED - queued) / (QUEUE_CLOSED - QUEUE_FREE)
    pace = (CLOSED_S - standstill_s) / (CLOSED_S - LATE_S)
    return max(0.0, CAPACITY_FRAMES_S - live_per_s) * min(1.0, max(0.0, min(room, pace)))


def share_out(capacity: float, needs: Mapping[str, float]) -> dict[str, float]:
    """Give each site what it needs as far as it goes round, the modest first, and the rest to all alike."""
    shares: dict[str, float] = {}
    left = capacity
    for number, (site, need) in enumerate(sorted(needs.items(), key=lambda item: item[1])):
        shares[site] = min(need, left / (len(needs) - number))
        left -= shares[site]
    return {site: share + left / len(needs) for site, share in shares.items()}


class SiteDesk:
    """Answers the agents of all sites.  `take_*` and `count` are called in the moment a message is read."""

    def __init__(
        self,
        clock: Clock,
        publish: Callable[[str, bytes, int], Awaitable[bool]],
        capacity: Callable[[float], float],
        session: Callable[[], str],
        registry: CollectorRegistry,
    ) -> None:
        self._clock = clock
        self._publish = publish
        self._capacity = capacity
        self._session = session
        self._agents: dict[str, AgentRecord] = {}
        self._answers: deque[tuple[str, TimeExchange]] = deque(maxlen=MAX_SITES)
        self._wake = asyncio.Event()
        self._live = 0
        self._live_per_s = 0.0
        self._refused = Counter(
            "ctg_time_refused", "Questions for the time beyond a site's share", registry=registry
        )
        self._gauges = {
            name: Gauge(f"ctg_site_{name}", what, ["site"], registry=registry)
            for name, what in (
                ("backlog_frames", "Frames in the site's outbox that the hub has not confirmed"),
                ("health_age_seconds", "Time since the agent last told its health"),
                ("disk_free_percent", "Free space of the agent's disk"),
                ("clock_offset_ms", "The hub's clock less the site's, as the agent measured it"),
                ("credit_frames_per_s", "What the site may send on its fill lane"),
            )
        }

    # ------------------------------------------------------------- what comes in

    def take_status(self, site: str, status: SiteStatus) -> None:
        """Take whether a site is there: one that is hears of every new session of the hub."""
        if agent := self._agent(site):
            agent.is_online = status.state is SiteState.ONLINE

    def take_time(self, site: str, exchange: TimeExchange) -> None:
        """Take a question for the time; the hub's own answers, which come back here, are passed by."""
        if exchange.received_ms:
            return
        agent = self._agent(site)
        now_s = self._clock.now_s()
        if agent is None or not _may_ask(agent, now_s):
            self._refused.inc()
            return
        self._answers.append((site, replace(exchange, received_ms=self._clock.now_ms())))
        self._wake.set()

    def take_health(self, site: str, health: SiteHealth) -> None:
        """Take what an agent says of itself."""
        agent = self._agent(site)
        if agent is None:
            return
        if agent.health is None:
            age = self._gauges["health_age_seconds"].labels(site)
            age.set_function(lambda: self._clock.now_s() - agent.health_s)
        agent.health, agent.health_s = health, self._clock.now_s()
        for name in ("backlog_frames", "disk_free_percent", "clock_offset_ms"):
            value = getattr(health, name)
            if value is not None:
                self._gauges[name].labels(site).set(value)

    def count(self, site: str, lane: Lane) -> None:
        """Count a frame."""
        if lane is Lane.LIVE:
            self._live += 1
        elif agent := self._agent(site):
            agent.filled += 1

    def _agent(self, site: str) -> AgentRecord | None:
        agent = self._agents.get(site)
        if agent is None and len(self._agents) < MAX_SITES:
            agent = self._agents[site] = AgentRecord()
        return agent

    # ------------------------------------------------------------- what goes out

    async def run_answers(self) -> None:
        """Answer the questions for the time, for ever."""
        while True:
            if not self._answers:
                self._wake.clear()
                await self._wake.wait()
            site, exchange = self._answers.popleft()
            answer = replace(exchange, answered_ms=self._clock.now_ms())
            if abs(answer.answered_ms - answer.received_ms) <= ANSWER_WITHIN_MS:
                await self._publish(topic(site, None, TopicKind.TIME), encode_time(answer), 0)

    async def run_credits(self) -> None:
        """Share out the fill lane each second; tell a site its share when it changed, else each 10 s."""
        while True:
            await asyncio.sleep(1.0)
            session = self._session()
            for site, credit in self.share_credits().items():
                payload = encode_json(FillCredit(frames_per_s=round(credit, 1), session=session))
                if not await self._publish(topic(site, None, TopicKind.CREDIT), payload, 1):
                    break
                agent = self._agents[site]
                agent.credit_per_s, agent.credit_s = credit, self._clock.now_s()
                agent.session = session
                self._gauges["credit_frames_per_s"].labels(site).set(credit)

    def share_credits(self) -> dict[str, float]:
        """Take stock of the last second; the credits that have to be told now."""
        now_s = self._clock.now_s()
        self._live_per_s = _rate(self._live_per_s, self._live)
        self._live = 0
        for agent in self._agents.values():
            agent.fill_per_s = _rate(agent.fill_per_s, agent.filled)
            if agent.filled:
                agent.filled, agent.filled_s = 0, now_s
        session = self._session()
        needs = {
            site: LEAST_NEED if need is None else need
            for site, agent in self._agents.items()
            if (need := agent.needs(now_s)) is not None or (agent.is_online and agent.session != session)
        }
        shares = share_out(self._capacity(self._live_per_s), needs)
        return {
            site: credit
            for site, credit in shares.items()
            if self._agents[site].session != session or _is_news(self._agents[site], credit, now_s)
        }

    def views(self, statuses: Mapping[str, SiteStatus]) -> list[SiteView]:
        """Every site that said anything, by name."""
        now_s = self._clock.now_s()
        views = []
        for site in sorted(statuses.keys() | self._agents.keys()):
            status, agent = statuses.get(site), self._agents.get(site) or AgentRecord()
            views.append(
                SiteView(
                    site=site,
                    site_name=status.name if status else None,
                    link=status.state if status else None,
                    version=status.version if status else None,
                    beds=status.beds if status else (),
                    health=agent.health,
                    health_age_ms=None if agent.health is None else round((now_s - agent.health_s) * 1000),
                    fill_frames_per_s=round(agent.fill_per_s, 1),
                    credit_frames_per_s=agent.credit_per_s,
                )
            )
        return views


def _may_ask(agent: AgentRecord, now_s: float) -> bool:
    agent.questions = min(TIME_BURST, agent.questions + (now_s - agent.asked_s) * TIME_PER_S)
    agent.asked_s = now_s
    if agent.questions < 1:
        return False
    agent.questions -= 1
    return True


def _rate(rate: float, count: int) -> float:
    return RATE_KEEPS * rate + (1 - RATE_KEEPS) * count


def _is_news(agent: AgentRecord, credit: float, now_s: float) -> bool:
    told = agent.credit_per_s
    if told is None or now_s - agent.credit_s >= CREDIT_PERIOD_S:
        return True
    return abs(credit - told) > CHANGE * max(credit, told)
