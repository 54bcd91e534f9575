"""What was filled in never raises an alert as if it were now; what is live is never missed for it."""

import random
from dataclasses import dataclass, field

import pytest

from hub.model import (
    Alert,
    AlertPath,
    AlertState,
    AlertTransition,
    Channel,
    FrameFlag,
    Lane,
    MonitorStatus,
    Transducer,
    WaveFrame,
)
from hub.pipeline import Pipeline
from hub.wire import samples_from_values

T0_MS = 1_763_610_000_000
CALM_BPM, LOW_BPM = 140.0, 70.0
RULE = "fhr_below_80"
RAISED_WITHIN_S = 75
SECONDS = 4500


@dataclass
class Life:
    """A bed whose rate falls at times, on a line that is cut at times; the hub is killed at times."""

    seed: int
    low: list[tuple[int, int]] = field(default_factory=list)
    cut: list[tuple[int, int]] = field(default_factory=list)
    moves: list[tuple[int, AlertTransition]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        at = 60
        while at < SECONDS - 400:
            kind = self.rng.choice(("live fall", "late fall", "cut"))
            length = self.rng.randrange(90, 200)
            if kind != "cut":
                self.low.append((at + 20, at + 20 + length))
            if kind != "live fall":
                self.cut.append((at, at + 60 + length))
            at += length + self.rng.randrange(200, 300)

    def run(self) -> None:
        pipeline = Pipeline(boot_id="one", capacity_beds=1)
        stored: list[tuple[WaveFrame, Lane, int]] = []
        waiting: list[WaveFrame] = []
        known: dict[str, Alert] = {}
        for second in range(SECONDS):
            now_ms, now_s = T0_MS + second * 1000, float(second)
            frame = self.frame(second)
            if self.is_in(self.cut, second):
                waiting.append(frame)
            else:
                pipeline.push_frame(frame, lane=Lane.LIVE, arrived_ms=now_ms, now_s=now_s)
                stored.append((frame, Lane.LIVE, now_ms))
                for _ in range(min(40, len(waiting))):  # newest first, some twice
                    late = waiting.pop() if self.rng.random() < 0.8 else self.rng.choice(waiting)
                    pipeline.push_frame(late, lane=Lane.FILL, arrived_ms=now_ms, now_s=now_s)
                    stored.append((late, Lane.FILL, now_ms))
            if self.rng.random() < 1 / 900:
                pipeline = Pipeline(boot_id="next", capacity_beds=1)
                recent = [one for one in stored if one[0].end_ms > now_ms - 2_400_000]
                pipeline.restore_frames(sorted(recent, key=lambda one: one[0].t0_ms))
                pipeline.restore_alerts(a for a in known.values() if a.state is not AlertState.CLEAR)
            for move in pipeline.tick(now_ms, now_s):
                known[move.alert.id] = move.alert
                self.moves.append((second, move))

    def frame(self, second: int) -> WaveFrame:
        rate = LOW_BPM if self.is_in(self.low, second) else CALM_BPM
        block = samples_from_values(Channel.FHR1, [rate] * 4, transducer=Transducer.ULTRASOUND)
        return WaveFrame(
            *("h", "b", 1, second, T0_MS + second * 1000 - 1000, 250, 4),
            *(FrameFlag.NONE, MonitorStatus.ON, (block,)),
        )

    @staticmethod
    def is_in(spans: list[tuple[int, int]], second: int) -> bool:
        return any(start <= second < stop for start, stop in spans)

    def live_lows(self, stop: int, length: int = 300) -> int:
        """Seconds of a fall that came live within the last minutes."""
        span = range(max(0, stop - length), stop + 1)
        return sum(self.is_in(self.low, s) and not self.is_in(self.cut, s) for s in span)


@pytest.mark.parametrize("seed", range(3))
def test_falls_behind_a_cut_line_stay_silent_and_live_ones_are_raised_once_over_kills(seed: int):
    life = Life(seed)
    life.run()
    raised = [
        (second, move.alert)
        for second, move in life.moves
        if move.alert.path is AlertPath.RAW_RATE and move.cause == "onset"
    ]
    for second, alert in raised:
        assert life.live_lows(second) >= 30, f"{alert.id} at {second} s without a live fall"
    live_falls = [span for span in life.low if not any(a < span[1] and span[0] < b for a, b in life.cut)]
    late_falls = [span for span in life.low if span not in live_falls]
    assert live_falls
    assert late_falls
    for start, stop in live_falls:
        at = [second for second, alert in raised if alert.rule == RULE and start < second <= stop]
        held = any(
            alert.rule == RULE and second <= start and not ended(life, alert.id, start)
            for second, alert in raised
        )
        assert held or (at and at[0] - start <= RAISED_WITHIN_S), (start, stop, at)
    standing: dict[str, AlertState] = {}
    for _, move in life.moves:
        assert move.from_state is standing.get(move.alert.id, AlertState.CLEAR), "raised twice over a restart"
        standing[move.alert.id] = move.to_state


def ended(life: Life, alert_id: str, before: int) -> bool:
    """Whether the condition of an alert had gone by then."""
    steps = [move.cause for second, move in life.moves if move.alert.id == alert_id and second <= before]
    return steps[-1:] == ["resolved"]
