"""Hours of a bad line in seconds: whatever dies, each frame of the outbox arrives, live never stale."""

import random
from collections import defaultdict
from typing import Any

import pytest

from hub.model import Ack, Lane
from hub.wire import MAX_FILL_FRAMES
from site_agent.happenings import (
    Acked,
    Answered,
    Ask,
    Confirmed,
    Heard,
    LineDown,
    LineUp,
    Renew,
    Restored,
    SendFill,
    SendLive,
    Stored,
    Tick,
)
from site_agent.runs import Runs
from site_agent.window import FRESH_S, Window

STEP_S = 0.2
QUIET_S = 180.0


class Chain:
    """Agent, broker and hub; a break of the line loses the messages that are on it."""

    def __init__(self, seed: int, beds: int = 3) -> None:
        self.random = random.Random(seed)
        self.now_s = 1000.0
        self.beds = [f"bed{k}" for k in range(beds)]
        self.outbox: dict[tuple[str, int], int] = {}
        self.confirmed: dict[tuple[str, int], Runs] = defaultdict(Runs)
        self.noted: dict[tuple[str, int], Runs] = defaultdict(Runs)
        self.made_s: dict[tuple[str, int, int], float] = {}
        self.hub: dict[tuple[str, int], Runs] = defaultdict(Runs)
        self.deliveries = 0
        self.wire: list[tuple[float, Lane, Any]] = []
        self.down: list[tuple[float, Lane, Any]] = []
        self.retained: dict[str, Ack] = {}
        self.is_up = dict.fromkeys(Lane, False)
        self.is_broken = dict.fromkeys(Lane, False)
        self.is_black_hole = False
        self.hub_down_until_s = 0.0
        self.database_down_until_s = 0.0
        self.queue: list[tuple[str, int, int, int]] = []
        self.is_quiet = False
        self.seed = seed
        self.epoch = 0
        self.start_agent()

    # ------------------------------------------------------------------ the agent

    def start_agent(self) -> None:
        self.epoch += 1
        self.window = Window()
        for lane in Lane:
            self.is_up[lane] = False
        self.confirmed = defaultdict(Runs)
        for key, runs in self.noted.items():
            self.confirmed[key] = Runs(runs)
        for (bed, epoch), count in self.outbox.items():
            open_ = Runs([(0, count - 1)])
            for first, last in self.confirmed[bed, epoch]:
                open_.remove(first, last)
            if open_:
                self.do(self.window.push(Restored(bed, epoch, tuple(open_)), self.now_s))

    def make_frames(self) -> None:
        for bed in self.beds:
            seq = self.outbox.get((bed, self.epoch), 0)
            self.outbox[bed, self.epoch] = seq + 1
            self.made_s[bed, self.epoch, seq] = self.now_s
            self.do(self.window.push(Stored(bed, self.epoch, seq, b"", is_live=True), self.now_s))

    def do(self, actions: list[Any]) -> None:
        for action in actions:
            match action:
                case SendLive(_, bed, epoch, seq):
                    assert self.is_up[Lane.LIVE], "live frames only go on a connection"
                    assert self.now_s - self.made_s[bed, epoch, seq] <= FRESH_S + 5.0 + STEP_S
                    self.send(Lane.LIVE, action)
                case SendFill(_, _, parts):
                    assert self.is_up[Lane.FILL]
                    assert 0 < sum(last - first + 1 for _, first, last in parts) <= MAX_FILL_FRAMES
                    self.send(Lane.FILL, action)
                case Ask():
                    self.send(Lane.LIVE, action)
                case Confirmed(bed, epoch, runs):
                    for run in runs:
                        self.confirmed[bed, epoch].add(*run)
                case Renew(lane):
                    self.break_line(lane)

    def send(self, lane: Lane, message: Any) -> None:
        if not self.is_black_hole:
            self.wire.append((self.now_s + self.delay(), lane, message))

    def delay(self) -> float:
        return 0.05 if self.is_quiet else self.random.choice([0.02, 0.05, 0.3, 2.0])

    def break_line(self, lane: Lane) -> None:
        if self.is_up[lane]:
            self.is_up[lane] = False
            self.wire = [entry for entry in self.wire if entry[1] is not lane]
            self.down = [entry for entry in self.down if entry[1] is not lane]
            self.do(self.window.push(LineDown(lane), self.now_s))

    def connect(self) -> None:
        for lane in Lane:
            if not self.is_up[lane] and not self.is_black_hole and self.random.random() < 0.1:
                self.is_up[lane] = True
                self.do(self.window.push(LineUp(lane), self.now_s))
                if lane is Lane.LIVE:
                    for bed, ack in self.retained.items():
                        self.down.append((self.now_s + 0.1, lane, Acked(bed, ack)))

    # ------------------------------------------------------------- broker and hub

    def deliver(self) -> None:
        due = [entry for entry in self.wire if entry[0] <= self.now_s]
        self.wire = [entry for entry in self.wire if entry[0] > self.now_s]
        for _, lane, message in due:
            self.down.append((self.now_s + self.delay(), lane, Answered(message.token)))
            if self.now_s >= self.hub_down_until_s:
                match message:
                    case Ask():
                        self.down.append((self.now_s + self.delay(), lane, Heard()))
                    case SendLive(_, bed, epoch, seq):
                        self.queue.append((bed, epoch, seq, seq))
                    case SendFill(_, bed, parts):
                        self.queue += [(bed, *part) for part in parts]
        back = [entry for entry in self.down if entry[0] <= self.now_s]
        self.down = [entry for entry in self.down if entry[0] > self.now_s]
        self.random.shuffle(back)
        for _, _, event in back:
            self.do(self.window.push(event, self.now_s))

    def commit(self) -> None:
        if self.now_s < max(self.database_down_until_s, self.hub_down_until_s):
            return
        touched = set()
        for bed, epoch, first, last in self.queue:
            self.hub[bed, epoch].add(first, last)
            self.deliveries += last - first + 1
            touched.add((bed, epoch))
        self.queue = []
        for bed, epoch in sorted(touched):
            ack = self.ack(bed, epoch)
            self.retained[bed] = ack
            if self.is_up[Lane.LIVE] and (self.is_quiet or self.random.random() > 0.1):
                self.down.append((self.now_s + self.delay(), Lane.LIVE, Acked(bed, ack)))

    def ack(self, bed: str, epoch: int) -> Ack:
        runs = list(self.hub[bed, epoch])
        edges = [-1, *(edge for run in runs for edge in run)]
        holes = [(edges[k] + 1, edges[k + 1] - 1) for k in range(0, len(edges) - 1, 2)]
        contiguous = runs[0][1] if runs[0][0] == 0 else -1
        return Ack(
            epoch=epoch,
            contiguous=contiguous,
            missing=tuple((a, b) for a, b in holes if a <= b)[-100:],
            highest=runs[-1][1],
        )

    # ------------------------------------------------------------------- the run

    def hurt(self) -> None:
        dice = self.random.random()
        if dice < 0.004:
            self.break_line(self.random.choice(list(Lane)))
        elif dice < 0.005:
            self.is_black_hole = not self.is_black_hole
        elif dice < 0.006:
            self.hub_down_until_s = self.now_s + self.random.uniform(1, 90)
            self.queue = []
        elif dice < 0.007:
            self.database_down_until_s = self.now_s + self.random.uniform(1, 200)
        elif dice < 0.0075:
            self.wire, self.down = [], []
            self.start_agent()

    def run(self, span_s: float, *, hurt: bool) -> None:
        end_s = self.now_s + span_s
        step = 0
        while self.now_s < end_s:
            self.now_s += STEP_S
            step += 1
            if step % 5 == 0:
                self.make_frames()
            if hurt:
                self.hurt()
            self.connect()
            self.deliver()
            self.commit()
            self.do(self.window.push(Tick(), self.now_s))
            if step % 25 == 0:
                self.noted = defaultdict(Runs, {key: Runs(runs) for key, runs in self.confirmed.items()})

    def calm(self) -> None:
        self.is_quiet, self.is_black_hole = True, False
        self.hub_down_until_s = self.database_down_until_s = 0.0


@pytest.mark.parametrize("seed", range(12))
def test_every_frame_of_the_outbox_reaches_the_hub_whatever_dies(seed: int):
    chain = Chain(seed)
    chain.run(1200.0, hurt=True)
    chain.calm()
    chain.run(QUIET_S, hurt=False)
    for key, count in chain.outbox.items():
        missing = Runs([(0, count - 1)])
        for run in chain.hub[key]:
            missing.remove(*run)
        if key[1] == chain.epoch:
            missing.remove(count - 3, count - 1)  # on their way
        assert not missing, f"{key}: {missing} of {count} never arrived"
    assert chain.window.backlog < 20
    assert chain.deliveries < 8 * sum(chain.outbox.values())


def test_on_a_good_line_every_frame_goes_live_once_and_nothing_is_filled():
    chain = Chain(1)
    chain.calm()
    chain.run(20.0, hurt=False)
    filled = chain.window.counts.filled
    chain.run(600.0, hurt=False)
    assert chain.window.counts.filled == filled
    assert chain.window.backlog < 10
    assert chain.window.counts.renewals == {}


def test_a_hub_without_its_database_for_half_an_hour_costs_the_live_lane_nothing():
    chain = Chain(2)
    chain.calm()
    chain.run(20.0, hurt=False)
    chain.database_down_until_s = chain.now_s + 1800.0
    before = chain.window.counts.sent_live
    chain.run(1800.0, hurt=False)
    assert chain.window.counts.sent_live - before >= 3 * 1795
    assert len(chain.window._beds["bed0"][1]._sent) < 100
    chain.run(70.0, hurt=False)
    assert chain.window.backlog < 20
