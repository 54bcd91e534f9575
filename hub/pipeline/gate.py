"""Which live frames of a bed may be drawn: a single wrong time or a second feed must not wipe the trace."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from hub.acquisition.timeline import Arrival, Timeline
from hub.model import WaveFrame

AHEAD_MS: Final = 10_000
"""A frame that ends this far behind what the site's clock can show has a wrong time, or the clock stepped."""
CONTINUOUS_MS: Final = 2_000
AGREEING: Final = 3
"""So many frames that continue one another make a stepped clock of what one makes a wrong time."""
RETURNS: Final = 3
"""So many returns to an epoch that another had replaced mean two feeds."""
CONTEST_S: Final = 60.0
EPOCHS: Final = 4


class Verdict(StrEnum):
    """What to do with a live frame; it is stored in any case."""

    DRAW = "draw"
    HOLD = "hold"
    """Its time does not fit: wait whether the next ones agree."""
    STEP = "step"
    """The site's clock was set: draw what was held, and this one."""
    FOREIGN = "foreign"
    """Of a second feed that uses the same site and bed."""


@dataclass(slots=True)
class LiveGate:
    """The feeds of one bed, and the times of its frames."""

    timelines: dict[int, Timeline] = field(default_factory=dict)
    """By epoch, the one in use last."""
    filled: dict[int, Timeline] = field(default_factory=dict)
    held: list[WaveFrame] = field(default_factory=list)
    contested_until_s: float = -1.0
    _seen_s: dict[int, float] = field(default_factory=dict)
    _first_s: dict[int, float] = field(default_factory=dict)
    _returns_s: list[float] = field(default_factory=list)

    def is_contested(self, now_s: float) -> bool:
        """Whether two feeds have used this bed within the last minute."""
        return now_s < self.contested_until_s

    def admit(self, epoch: int, now_s: float) -> bool:
        """Note a frame of an epoch; False for the frames of a second feed."""
        current = next(reversed(self.timelines), None)
        is_known = epoch in self.timelines and now_s - self._seen_s[epoch] < CONTEST_S
        self._seen_s[epoch] = now_s
        self._first_s.setdefault(epoch, now_s)
        if epoch == current:
            return True
        if is_known and current is not None:
            self._returns_s = [one for one in self._returns_s if now_s - one < CONTEST_S] + [now_s]
            if len(self._returns_s) >= RETURNS:
                self.contested_until_s = now_s + CONTEST_S
                if self._first_s[epoch] > self._first_s[current]:
                    return False  # who was there first is drawn on
        timeline = self.timelines.pop(epoch, None) if is_known else None
        self.timelines[epoch] = timeline or Timeline(epoch)
        while len(self.timelines) > EPOCHS:
            oldest = next(iter(self.timelines))
            del self.timelines[oldest], self._seen_s[oldest], self._first_s[oldest]
        return True

    def arrive(self, frame: WaveFrame) -> Arrival:
        """Say how a live frame stands to the others of its epoch."""
        return self.timelines[frame.epoch].push(frame.seq)

    def fill(self, frame: WaveFrame) -> Arrival:
        """Say whether a filled frame is new: one that was seen live or filled in before is not."""
        live = self.timelines.get(frame.epoch)
        if live is not None and frame.seq in live:
            return Arrival.REPEATED
        filled = self.filled.setdefault(frame.epoch, Timeline(frame.epoch))
        while len(self.filled) > EPOCHS:
            del self.filled[next(iter(self.filled))]
        return Arrival.REPEATED if filled.push(frame.seq) is Arrival.REPEATED else Arrival.LATE

    def judge(self, frame: WaveFrame, *, site_now_ms: float | None, head_ms: int | None) -> Verdict:
        """Judge the time of the newest live frame against the site's clock and what is drawn already."""
        is_ahead = site_now_ms is not None and frame.end_ms > site_now_ms + AHEAD_MS
        is_back = head_ms is not None and frame.end_ms < head_ms - AHEAD_MS
        if not is_ahead and not is_back:
            self.held.clear()
            return Verdict.DRAW
        if self.held and abs(frame.t0_ms - self.held[-1].end_ms) > CONTINUOUS_MS:
            self.held.clear()
        self.held.append(frame)
        return Verdict.STEP if len(self.held) >= AGREEING else Verdict.HOLD
