"""The agent of the simulation: the real window, and an outbox that no crash touches."""

from collections import defaultdict
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from chaos.simulated_hub import Message
from hub.model import Lane
from hub.wire import MAX_FILL_FRAMES
from site_agent.happenings import (
    Action,
    Ask,
    Confirmed,
    Event,
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

if TYPE_CHECKING:
    from chaos.simulation import Simulation

COMMIT_S: Final = 0.15
NOTE_S: Final = 5.0
BURST_FRAMES: Final = 30
PAUSE_S: Final = 2000.0
LONGEST_TICK_S: Final = 10.0
IDLE_TICK_S: Final = 120.0
"""Between ticks while something waits, and while nothing does."""
LONGEST_FREEZE_S: Final = 60.0
LIVE_BATCH_S: Final = 5.0


class AgentModel:
    """An agent around the real window: an outbox that a crash cannot touch, and a memory that it can."""

    def __init__(self, sim: "Simulation", beds: list[str]) -> None:
        self.sim = sim
        self.beds = beds
        self.outbox: dict[tuple[str, int], int] = {}
        """Frames committed, by bed and epoch: seq 0 up to this."""
        self.times_ms: dict[tuple[str, int, int], int] = {}
        self.made_s: dict[tuple[str, int, int], float] = {}
        self.connections = dict.fromkeys(Lane, 0)
        self.is_up = dict.fromkeys(Lane, False)
        self.is_frozen = False
        self.wall_offset_ms = 0
        self.drift = 1.0
        self.life = 0
        self._missed: list[Callable[[], None]] = []
        self._fresh: set[tuple[str, int]] = set()
        self._noted: dict[tuple[str, int], Runs] = defaultdict(Runs)
        self._confirmed: dict[tuple[str, int], Runs] = defaultdict(Runs)

    @property
    def backlog(self) -> int:
        """Frames that the window waits for."""
        return self._window.backlog

    def _clock_s(self) -> float:
        return self._born_s + (self.sim.now_s - self._started_s) * self._rate

    def start(self) -> None:
        """Begin a life: everything is rebuilt from the outbox."""
        self.life += 1
        self.epoch = self.sim.rng.getrandbits(32)
        self._window = Window()
        self._born_s = self.sim.rng.uniform(0, 1e6)
        self._rate = self.sim.rng.choice((1.0, 1.01, 0.99))
        self._started_s = self.sim.now_s
        self._tick_s = 0.2
        self._confirmed = defaultdict(Runs)
        self._fresh.clear()
        for key, runs in self._noted.items():
            self._confirmed[key] = Runs(runs)
        for (bed, epoch), count in self.outbox.items():
            open_ = Runs([(0, count - 1)])
            for run in self._confirmed[bed, epoch]:
                open_.remove(*run)
            if open_:
                self._push(Restored(bed, epoch, tuple(open_)))
        for lane in Lane:
            self.is_up[lane] = False
            self.connections[lane] += 1
            self.sim.connect(lane)
        for bed in self.beds:
            self._begin_burst(bed)
        self._wake(self._tick)
        self._wake(self._note)

    def kill(self) -> None:
        """End it at once and start it again: what was not committed is gone, and so is every connection."""
        self._missed.clear()
        self.is_frozen = False
        self.start()

    def thaw(self) -> None:
        """Go on after a freeze: everything that came meanwhile comes at once."""
        self.is_frozen = False
        missed, self._missed = self._missed, []
        for act in missed:
            act()

    def _alive(self, act: Callable[[], None]) -> Callable[[], None]:
        """Let something happen in this life only, and not while frozen."""
        life = self.life

        def when_possible() -> None:
            if self.life != life:
                return
            if self.is_frozen:
                self._missed.append(when_possible)
            else:
                act()

        return when_possible

    def _wake(self, act: Callable[[], None], delay_s: float = 0.2) -> None:
        self.sim.at(delay_s, self._alive(act))

    # -------------------------------------------------------------------- devices

    def _begin_burst(self, bed: str) -> None:
        left = self.sim.rng.randrange(1, BURST_FRAMES)

        def make() -> None:
            nonlocal left
            self._wake(lambda: self._commit(bed), COMMIT_S)
            left -= 1
            if left:
                self._wake(make, 1.0)
            elif not self.sim.is_calm:
                self._wake(lambda: self._begin_burst(bed), self.sim.rng.expovariate(1 / PAUSE_S))

        make()

    def _commit(self, bed: str) -> None:
        seq = self.outbox.get((bed, self.epoch), 0)
        self.outbox[bed, self.epoch] = seq + 1
        key = (bed, self.epoch, seq)
        self.times_ms[key] = round(self.sim.now_s * 1000 * self.drift) + self.wall_offset_ms
        self.made_s[key] = self._clock_s()
        self._tick_s = 0.2
        self._push(Stored(bed, self.epoch, seq, b"", is_live=True))

    def _note(self) -> None:
        for key in self._fresh:
            self._noted[key] = Runs(self._confirmed[key])
        self._fresh.clear()
        self._wake(self._note, NOTE_S if self.backlog else IDLE_TICK_S)

    # --------------------------------------------------------------------- window

    def _tick(self) -> None:
        self._push(Tick())
        # Ticks of a quiet window come rarely, so that hours pass quickly; a busy machine does the same.
        self._tick_s = min(LONGEST_TICK_S if self.backlog else IDLE_TICK_S, self._tick_s * 1.3)
        self._wake(self._tick, self._tick_s)

    def line_up(self, lane: Lane) -> None:
        """Note a new connection."""
        self.is_up[lane] = True
        self.connections[lane] += 1
        self._tick_s = 0.2
        self._push(LineUp(lane))

    def line_down(self, lane: Lane) -> None:
        """Note that a connection is gone."""
        if not self.is_up[lane]:
            return
        self.is_up[lane] = False
        self.connections[lane] += 1
        self._alive(lambda: self._push(LineDown(lane)))()
        self.sim.connect(lane)

    def hear(self, event: Event, lane: Lane, connection: int) -> None:
        """Take what came on a connection, if it is the present one."""
        if self.connections[lane] == connection:
            self._alive(lambda: self._push(event))()

    def _push(self, event: Event) -> None:
        for action in self._window.push(event, self._clock_s()):
            self._do(action)

    def _do(self, action: Action) -> None:
        sim = self.sim
        match action:
            case SendLive(token, bed, epoch, seq):
                late_s = self._clock_s() - self.made_s[bed, epoch, seq]
                sim.hold(
                    late_s <= FRESH_S + LIVE_BATCH_S + LONGEST_TICK_S + LONGEST_FREEZE_S,
                    f"a frame {late_s} s old went live",
                )
                sim.send(Lane.LIVE, token, [self._message(bed, epoch, seq, Lane.LIVE)])
            case SendFill(token, bed, parts):
                seqs = [(epoch, seq) for epoch, low, high in parts for seq in range(low, high + 1)]
                sim.hold(0 < len(seqs) <= MAX_FILL_FRAMES, f"a fill message of {len(seqs)} frames")
                sim.send(Lane.FILL, token, [self._message(bed, epoch, seq, Lane.FILL) for epoch, seq in seqs])
            case Ask(token):
                sim.send(Lane.LIVE, token, [])
            case Confirmed(bed, epoch, runs):
                stored = sim.hub.database.rows[bed, epoch]
                for low, high in runs:
                    for seq in range(low, high + 1):
                        sim.hold(seq in stored, f"{bed} seq {seq} was confirmed and is not stored")
                    self._confirmed[bed, epoch].add(low, high)
                self._fresh.add((bed, epoch))
            case Renew(lane):
                self.is_up[lane] = False
                self.connections[lane] += 1
                sim.connect(lane)

    def _message(self, bed: str, epoch: int, seq: int, lane: Lane) -> Message:
        self.sim.hold(seq < self.outbox[bed, epoch], f"{bed} seq {seq} was sent before it was committed")
        return Message(bed, epoch, seq, self.times_ms[bed, epoch, seq], lane)
