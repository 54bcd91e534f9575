"""The hub of the simulation: its real acks, gate, lag and alerts around a model of its database."""

from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from psycopg.types.multirange import Multirange
from psycopg.types.range import Range

from hub.acquisition.timeline import Arrival
from hub.alerts.engine import BedAlerts, TechnicalObservation
from hub.model import Ack, AckReason, AlertState, AlertTransition, FrameFlag, Lane, MonitorStatus, WaveFrame
from hub.pipeline.gate import LiveGate, Verdict
from hub.pipeline.lag import LagEstimator
from hub.recorder import bounded_ack
from hub.sites import free_capacity, share_out
from hub.store.frames import make_ack
from hub.wire import decode_json, encode_json
from site_agent.runs import Runs

if TYPE_CHECKING:
    from chaos.simulation import Simulation

BATCH_S: Final = 0.2
BATCH: Final = 500
QUEUE: Final = 2000
FILL_QUEUE: Final = 1500
CREDIT_S: Final = 10.0
GREET_S: Final = 1.0
LOOK_S: Final = 47.0
FRAME_MS: Final = 1000


@dataclass(frozen=True, slots=True)
class Message:
    """One frame on its way."""

    bed: str
    epoch: int
    seq: int
    t0_ms: int
    lane: Lane


class DatabaseModel:
    """Frames and what of each epoch is received, by the rules that `hub.store.frames` follows in SQL."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, int], dict[int, int]] = defaultdict(dict)
        """By bed and epoch: t0 of each seq, in the place of the payload."""
        self.conflicts = 0
        self._received: dict[tuple[str, int], Runs] = defaultdict(Runs)

    def append(self, batch: Sequence[Message]) -> list[tuple[str, Ack]]:
        """Store each frame once, put aside what claims a taken identity, and say what is stored now."""
        for one in batch:
            known = self.rows[one.bed, one.epoch].setdefault(one.seq, one.t0_ms)
            self.conflicts += known != one.t0_ms
            self._received[one.bed, one.epoch].add(one.seq, one.seq)
        return [
            (bed, self._ack(bed, epoch))
            for bed, epoch in dict.fromkeys((one.bed, one.epoch) for one in batch)
        ]

    def _ack(self, bed: str, epoch: int) -> Ack:
        runs = list(self._received[bed, epoch])
        begins = [low for low, _ in runs]
        ends = [0, *(high + 1 for _, high in runs)]
        gaps = [Range(end, begin) for end, begin in zip(ends, begins, strict=False) if end < begin]
        contiguous = runs[0][1] if runs[0][0] == 0 else -1
        return bounded_ack(make_ack(epoch, contiguous, Multirange(gaps), runs[-1][1]))


class _Watched:
    """What a worker keeps in memory of one bed."""

    def __init__(self, alerts: BedAlerts) -> None:
        self.gate = LiveGate()
        self.lag = LagEstimator()
        self.alerts = alerts
        self.heard_s: float | None = None
        """When the newest drawn live frame came."""
        self.head_ms: int | None = None


class HubModel:
    """Queue, commit, ack; what a kill leaves is the database, and the journal of the alerts."""

    def __init__(self, sim: "Simulation") -> None:
        self.sim = sim
        self.is_up = True
        self.deliveries = 0
        self.breaks_next_answer = False
        self.database = DatabaseModel()
        self._away_until_s = 0.0
        self._queue: deque[Message] = deque()
        self._is_writing = False
        self._acks: dict[tuple[str, int], Ack] = {}
        self._watched: dict[str, _Watched] = {}
        self._journal: dict[str, AlertTransition] = {}
        """The last step of each alert, which a kill does not touch."""
        self.life = 0
        sim.at(CREDIT_S, self._credit)
        sim.at(LOOK_S, self._look)

    # -------------------------------------------------------------------- database

    def lose_database(self, seconds: float) -> None:
        """Take the database away."""
        self._away_until_s = self.sim.now_s + seconds

    @property
    def _is_away(self) -> bool:
        return self.sim.now_s < self._away_until_s

    # ------------------------------------------------------------------- recorder

    def take(self, messages: list[Message]) -> None:
        """Take what the broker hands on; without a hub it hands it to nobody."""
        if not self.is_up:
            return
        for one in messages:
            self.deliveries += 1
            self._see(one)
            if len(self._queue) < (QUEUE if one.lane is Lane.LIVE else FILL_QUEUE):
                self._queue.append(one)
        if not self._is_writing:
            self._is_writing = True
            self._later(BATCH_S, self._write)

    def _write(self) -> None:
        if not self._queue:
            self._is_writing = False
            return
        if self._is_away:
            self._later(min(5.0, max(1.0, self._away_until_s - self.sim.now_s)), self._write)
            return
        batch = [self._queue[k] for k in range(min(BATCH, len(self._queue)))]
        acks = [(bed, decode_json(encode_json(ack), Ack)) for bed, ack in self.database.append(batch)]
        self.sim.hold(not self.database.conflicts, "two frames of one identity")
        if self.breaks_next_answer:  # committed, and the connection broke before it said so
            self.breaks_next_answer = False
            self._later(1.0, self._write)
            return
        for _ in batch:
            self._queue.popleft()
        for bed, ack in acks:
            self._check(bed, ack)
            self._later(0.1, lambda bed=bed, ack=ack: self.sim.publish_ack(bed, ack))  # type: ignore[misc]
        self._later(BATCH_S, self._write)

    def _check(self, bed: str, ack: Ack) -> None:
        """Hold an ack to the protocol: nothing that it says is stored is missing."""
        rows = self.database.rows[bed, ack.epoch]
        missing = Runs(ack.missing)
        for seq in range(max(ack.contiguous, ack.highest or -1) + 1):
            if seq <= ack.contiguous or seq not in missing:
                self.sim.hold(seq in rows, f"{bed}: an ack covers seq {seq}, which is not stored")

    def _credit(self) -> None:
        self._tell_credit()
        self.sim.at(CREDIT_S, self._credit)

    def greet(self) -> None:
        """Tell the site of a new session soon after it began."""
        self._later(GREET_S, self._tell_credit)

    def _tell_credit(self) -> None:
        if self.is_up:
            room = free_capacity(
                queued=len(self._queue) * 10, standstill_s=0.0, is_failing=self._is_away, live_per_s=2.0
            )
            self.sim.publish_credit(share_out(room, {"site": 100.0})["site"])

    def kill(self) -> None:
        """End the worker: queue, acks not yet sent and all that it saw are gone."""
        self.is_up = False
        self.life += 1
        self._queue.clear()
        self._is_writing = False
        self._watched.clear()

    def start(self) -> None:
        """Start it again; open alerts come back from the journal."""
        self.is_up = True
        self.greet()

    def calm(self) -> None:
        """Let all be well from now on."""
        self._away_until_s = 0.0
        self.breaks_next_answer = False
        if not self.is_up:
            self.start()

    def _later(self, delay_s: float, act: Callable[[], None]) -> None:
        life = self.life

        def in_this_life() -> None:
            if self.life == life:
                act()

        self.sim.at(delay_s, in_this_life)

    # ---------------------------------------------------------------- what is seen

    def _bed(self, name: str) -> _Watched:
        if name not in self._watched:
            alerts = BedAlerts("site", name)
            alerts.restore(
                step.alert
                for step in self._journal.values()
                if step.alert.bed == name and step.alert.state is not AlertState.CLEAR
            )
            self._watched[name] = _Watched(alerts)
        return self._watched[name]

    def _see(self, one: Message) -> None:
        """Take a frame as the pipeline does: live ones through the gate, filled ones beside it."""
        bed, now_s = self._bed(one.bed), self.sim.now_s
        frame = WaveFrame(
            "site",
            one.bed,
            one.epoch,
            one.seq,
            max(0, one.t0_ms),
            250,
            4,
            FrameFlag.TEST,
            MonitorStatus.ON,
            (),
        )
        if one.lane is Lane.FILL:
            arrival = bed.gate.fill(frame)
            self.sim.hold(arrival in {Arrival.LATE, Arrival.REPEATED}, "a filled frame passed for live")
            return
        if not bed.gate.admit(one.epoch, now_s):
            return
        arrival = bed.gate.arrive(frame)
        if arrival not in {Arrival.NEXT, Arrival.AHEAD}:
            return
        verdict = bed.gate.judge(frame, site_now_ms=bed.lag.site_now_ms(now_s * 1000), head_ms=bed.head_ms)
        if verdict is Verdict.HOLD:
            return
        if verdict is Verdict.STEP:
            bed.gate.held = []
            bed.lag.reset()
        bed.lag.push(frame.t0_ms, frame.end_ms, now_s * 1000, is_in_sequence=arrival is Arrival.NEXT)
        bed.head_ms, bed.heard_s = frame.end_ms, now_s

    def _look(self) -> None:
        """Look at each bed now and then, as the hub does each second: its age and its alerts."""
        self.sim.at(LOOK_S, self._look)
        if not self.is_up:
            return
        now_s = self.sim.now_s
        for name, bed in self._watched.items():
            age_ms = bed.lag.age_ms(now_s * 1000)
            if age_ms is None or bed.heard_s is None:
                continue
            true_ms = (now_s - bed.heard_s) * 1000
            self.sim.hold(age_ms >= true_ms - 1, f"{name}: shown {age_ms} ms old, heard {true_ms:.0f} ms ago")
            observation = TechnicalObservation(age_s=age_ms / 1000, head_ms=bed.head_ms or 0)
            for step in bed.alerts.push_technical(observation, round(now_s * 1000)):
                self._keep(step)
            for alert in bed.alerts.alerts:
                if alert.state in {AlertState.ACTIVE, AlertState.LATCHED} and self.sim.rng.random() < 0.05:
                    self._keep(self._acknowledge(bed, alert.id))

    def _acknowledge(self, bed: _Watched, alert_id: str) -> AlertTransition:
        t_ms = round(self.sim.now_s * 1000)
        return bed.alerts.acknowledge(alert_id, by="K.M.", reason=AckReason.WATCHING, t_ms=t_ms)

    def _keep(self, step: AlertTransition) -> None:
        """Journal a step; it must follow from the one before, whatever was killed in between."""
        before = self._journal.get(step.alert.id)
        was = before.to_state if before else AlertState.CLEAR
        self.sim.hold(step.from_state is was, f"{step.alert.id}: went on from {step.from_state}, was {was}")
        self._journal[step.alert.id] = step
        open_ = {
            one.alert.id
            for one in self._journal.values()
            if one.to_state is not AlertState.CLEAR
            and (one.alert.bed, one.alert.rule) == (step.alert.bed, step.alert.rule)
        }
        self.sim.hold(len(open_) <= 1, f"one condition is open as {sorted(open_)}")
        self._forget_clear()

    def _forget_clear(self) -> None:
        """Keep the journal short: what is long over cannot come back under its old id."""
        if len(self._journal) > 200:
            self._journal = {
                key: one for key, one in self._journal.items() if one.to_state is not AlertState.CLEAR
            }
