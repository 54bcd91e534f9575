"""The delivery guarantee in a world of its own: real window, real acks, real gate, invented time.

Everything random comes from the seed and everything that happens from one queue of
events, so that a bad hour can be had again by its number.  Devices send in bursts with
long pauses between, which lets an hour pass in some hundredths of a second.
"""

import heapq
import itertools
import random
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from chaos.simulated_agent import LONGEST_FREEZE_S, AgentModel
from chaos.simulated_hub import HubModel, Message
from hub.model import Ack, Lane
from site_agent.happenings import Acked, Answered, Credited, Event, Heard

FAULT_S: Final = 600.0
DRAIN_S: Final = 60.0
"""A backlog of a simulated run is gone this long after its last fault: some patience and some rounds."""


@dataclass(slots=True)
class Tally:
    """What a run was made of."""

    hours: float = 0.0
    frames: int = 0
    deliveries: int = 0
    faults: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    drained_s: float = 0.0


class BrokenPromiseError(AssertionError):
    """An invariant does not hold; the text says the seed and the simulated second."""


class Simulation:
    """One site with some beds, a line with a broker on it, and a hub with its database."""

    def __init__(self, seed: int, *, beds: int = 2) -> None:
        self.seed = seed
        self.rng = random.Random(seed)
        self.now_s = 0.0
        self.tally = Tally()
        self.is_calm = False
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._number = itertools.count()
        self.hub = HubModel(self)
        self.agent = AgentModel(self, [f"bed{k}" for k in range(beds)])
        self._is_broker_up = True
        self._broker_starts = 0
        self._is_hole = False
        self._retained: dict[str, Ack] = {}
        self.agent.start()

    # ------------------------------------------------------------------------ time

    def at(self, delay_s: float, act: Callable[[], None]) -> None:
        """Let something happen later."""
        heapq.heappush(self._events, (self.now_s + delay_s, next(self._number), act))

    def run_until(self, end_s: float) -> None:
        """Let time pass."""
        while self._events and self._events[0][0] <= end_s:
            self.now_s, _, act = heapq.heappop(self._events)
            act()
        self.now_s = end_s

    def hold(self, is_so: bool, promise: str) -> None:
        """Check an invariant."""
        if not is_so:
            msg = f"seed {self.seed} at {self.now_s:.1f} s: {promise}"
            raise BrokenPromiseError(msg)

    def run(self, hours: float) -> Tally:
        """Hurt the world for so long, then let it rest, and hold it to its promises."""
        self._fault()
        self.run_until(hours * 3600)
        self._calm()
        calm_s = self.now_s
        while self.agent.backlog and self.now_s < calm_s + DRAIN_S:
            self.run_until(self.now_s + 1.0)
        self.tally.drained_s = self.now_s - calm_s
        self.hold(not self.agent.backlog, f"{self.agent.backlog} frames are not drained after {DRAIN_S} s")
        for (bed, epoch), count in self.agent.outbox.items():
            stored = self.hub.database.rows[bed, epoch]
            kept = {seq: self.agent.times_ms[bed, epoch, seq] for seq in range(count)}
            self.hold(stored == kept, f"{bed} epoch {epoch}: of {count} frames there are {len(stored)}")
        self.tally.hours += self.now_s / 3600
        self.tally.frames += sum(self.agent.outbox.values())
        self.tally.deliveries = self.hub.deliveries
        return self.tally

    # -------------------------------------------------------------------- the line

    def delay_s(self) -> float:
        """How long one message takes; each its own time, so they overtake one another."""
        return 0.03 if self.is_calm else self.rng.choice((0.01, 0.03, 0.03, 0.1, 0.5, 3.0))

    def send(self, lane: Lane, token: int, messages: list[Message]) -> None:
        """Carry a message of the agent to the broker, and what the broker makes of it to the hub."""
        connection = self.agent.connections[lane]
        if self._is_hole or not self.agent.is_up[lane]:
            return  # an agent that was frozen writes to a connection that is gone

        def reach_broker() -> None:
            if not self._is_broker_up or self.agent.connections[lane] != connection:
                return
            self.at(self.delay_s(), lambda: self.agent.hear(Answered(token), lane, connection))
            copies = 1 if self.is_calm else self.rng.choice((1, 1, 1, 1, 2, 3))
            for _ in range(copies if messages else 0):
                self.at(self.delay_s(), lambda: self.hub.take(messages))
            if not messages and self.hub.is_up:
                self.at(self.delay_s(), lambda: self.agent.hear(Heard(), lane, connection))

        self.at(self.delay_s(), reach_broker)

    def publish_ack(self, bed: str, ack: Ack) -> None:
        """Carry an ack from the hub to the agent; the broker keeps the newest of each bed."""
        if not self._is_broker_up:
            return
        self._retained[bed] = ack
        if self.is_calm or self.rng.random() > 0.05:
            self._to_agent(lambda: Acked(bed, ack))

    def publish_credit(self, frames_per_s: float) -> None:
        """Carry a credit."""
        session = f"{self.hub.life}.{self._broker_starts}"
        self._to_agent(lambda: Credited(frames_per_s, 30.0, session))

    def _to_agent(self, event: Callable[[], Event]) -> None:
        connection = self.agent.connections[Lane.LIVE]
        if not self._is_hole and self._is_broker_up:
            self.at(self.delay_s(), lambda: self.agent.hear(event(), Lane.LIVE, connection))

    def connect(self, lane: Lane) -> None:
        """Try to connect a lane of the agent, again and again."""
        agent, life = self.agent, self.agent.life

        def attempt() -> None:
            if agent.life != life or agent.is_up[lane]:
                return
            if self._is_hole or not self._is_broker_up or agent.is_frozen:
                self.at(1.0, attempt)
                return
            agent.line_up(lane)
            if lane is Lane.LIVE:
                for bed, ack in self._retained.items():
                    self._to_agent(lambda bed=bed, ack=ack: Acked(bed, ack))  # type: ignore[misc]  # bound now

        self.at(0.2 if self.is_calm else self.rng.uniform(0.1, 3.0), attempt)

    # ---------------------------------------------------------------------- faults

    def _fault(self) -> None:
        if self.is_calm:
            return
        hurt = self.rng.choice(
            (
                self._cut_line,
                self._hole,
                self._kill_broker,
                self._kill_hub,
                self._lose_database,
                self._break_commit,
                self._kill_agent,
                self._freeze_agent,
                self._step_clock,
            )
        )
        hurt()
        self.tally.faults[hurt.__name__.strip("_")] += 1
        self.at(self.rng.expovariate(1 / FAULT_S), self._fault)

    def _calm(self) -> None:
        self.is_calm = True
        self._is_hole = False
        if not self._is_broker_up:
            self._start_broker()
        self.hub.calm()
        self.agent.is_frozen = False
        self.agent.thaw()

    def _cut_line(self) -> None:
        for lane in Lane:
            if self.rng.random() < 0.7:
                self.agent.line_down(lane)

    def _hole(self) -> None:
        self._is_hole = True
        self.at(self.rng.choice((2.0, 20.0, 200.0, 3000.0)), self._fill_hole)

    def _fill_hole(self) -> None:
        self._is_hole = False

    def _kill_broker(self) -> None:
        self._is_broker_up = False
        self._retained.clear()
        for lane in Lane:
            self.agent.line_down(lane)
        self.at(self.rng.choice((0.5, 5.0, 600.0)), self._start_broker)

    def _start_broker(self) -> None:
        self._is_broker_up = True
        self._broker_starts += 1
        self.hub.greet()

    def _kill_hub(self) -> None:
        self.hub.kill()
        self.at(self.rng.choice((0.5, 5.0, 60.0, 1000.0)), self.hub.start)

    def _lose_database(self) -> None:
        self.hub.lose_database(self.rng.choice((1.0, 10.0, 300.0, 3000.0)))

    def _break_commit(self) -> None:
        self.hub.breaks_next_answer = True

    def _kill_agent(self) -> None:
        self.agent.kill()

    def _freeze_agent(self) -> None:
        self.agent.is_frozen = True
        self.at(self.rng.uniform(1.0, LONGEST_FREEZE_S), self.agent.thaw)

    def _step_clock(self) -> None:
        self.agent.wall_offset_ms += self.rng.choice((-300_000, -5000, 700, 5000, 300_000))
        self.agent.drift = self.rng.choice((1.0, 1.0, 1.01, 0.99))
