"""Frames into the rings: what of them is drawn, as live or as late."""

from collections.abc import Iterable

from hub.acquisition.ring import is_test_frame
from hub.acquisition.timeline import Arrival
from hub.model import GRID_MS, Lane, WaveFrame
from hub.pipeline.bed import Bed
from hub.pipeline.beds import Beds
from hub.pipeline.gate import CONTINUOUS_MS, Verdict
from hub.pipeline.observe import PAUSE_MS, SILENT_MS
from hub.pipeline.turns import Turns


class Intake:
    """Takes frames of every lane, and those that the store gives back after a start."""

    def __init__(self, beds: Beds, turns: Turns) -> None:
        self._beds = beds
        self._turns = turns

    def push(self, frame: WaveFrame, *, lane: Lane, arrived_ms: int, now_s: float) -> Arrival | None:
        """Take one frame; None when there is no room for its bed."""
        bed = self._beds.open(frame.site, frame.bed, now_s)
        if bed is None:
            return None
        if lane is Lane.LIVE:
            arrival = self._push_live(bed, frame, arrived_ms=arrived_ms, now_s=now_s)
        else:
            arrival = self._push_fill(bed, frame, arrived_ms=arrived_ms, now_s=now_s)
        bed.is_test = is_test_frame(frame)
        return arrival

    def restore(self, frames: Iterable[tuple[WaveFrame, Lane, int]], now_s: float) -> None:
        """Rebuild the rings from stored frames in time order; no live state follows from them.

        Of a bed that has sent live frames meanwhile only what lies before these is taken.
        """
        for frame, lane, arrived_ms in frames:
            bed = self._beds.open(frame.site, frame.bed, now_s)
            if bed is None or (bed.live_since_ms is not None and frame.end_ms > bed.live_since_ms):
                continue
            late_ms = arrived_ms if lane is Lane.FILL else 0
            self._write(bed, frame, is_newest=False, now_s=now_s, late_ms=late_ms)
            if bed.live_since_ms is None:
                bed.note_frame(frame)
                bed.is_test = is_test_frame(frame)

    def _push_fill(self, bed: Bed, frame: WaveFrame, *, arrived_ms: int, now_s: float) -> Arrival:
        arrival = bed.gate.fill(frame)
        site_now_ms = bed.lag.site_now_ms(now_s * 1000)
        # What lies in the future of a site that is live was stamped by a clock that was wrong.
        is_possible = site_now_ms is None or frame.end_ms <= site_now_ms + CONTINUOUS_MS
        if arrival is Arrival.LATE and is_possible:
            self._write(bed, frame, is_newest=False, now_s=now_s, late_ms=arrived_ms)
        return arrival

    def _push_live(self, bed: Bed, frame: WaveFrame, *, arrived_ms: int, now_s: float) -> Arrival:
        if not bed.gate.admit(frame.epoch, now_s):
            return Arrival.REPEATED  # of a second feed: stored under its own epoch, drawn nowhere
        arrival = bed.gate.arrive(frame)
        if arrival is Arrival.LATE:
            self._write(bed, frame, is_newest=False, now_s=now_s)
        if arrival not in {Arrival.NEXT, Arrival.AHEAD}:
            return arrival
        head_ms = self._beds.ring.head_ms(bed.row)
        site_now_ms = bed.lag.site_now_ms(now_s * 1000)
        verdict = bed.gate.judge(frame, site_now_ms=site_now_ms, head_ms=head_ms)
        if verdict is Verdict.HOLD:
            return arrival
        frames = [frame]
        if verdict is Verdict.STEP:
            frames, bed.gate.held = bed.gate.held, []
            bed.lag.reset()
            bed.note_step(head_ms or frames[0].t0_ms, frames[0].t0_ms)
        for one in frames:
            self._write(bed, one, is_newest=True, now_s=now_s)
        age_ms = bed.lag.age_ms(now_s * 1000)
        if age_ms is None or age_ms > SILENT_MS:
            bed.analysed_ms = arrived_ms  # live from here on: from here on an analysis is due
        if age_ms is None or age_ms > PAUSE_MS:
            bed.live_again_ms = frames[0].t0_ms
        bed.lag.push(frame.t0_ms, frame.end_ms, now_s * 1000, is_in_sequence=arrival is Arrival.NEXT)
        bed.clock_offset_ms = frame.end_ms - arrived_ms
        if bed.live_since_ms is None or frames[0].t0_ms < bed.live_since_ms:
            bed.live_since_ms = frames[0].t0_ms
        bed.note_frame(frame)
        return arrival

    def _write(self, bed: Bed, frame: WaveFrame, *, is_newest: bool, now_s: float, late_ms: int = 0) -> None:
        ring = self._beds.ring
        head = int(ring.heads[bed.row])
        start, stop = round(frame.t0_ms / GRID_MS), round(frame.end_ms / GRID_MS)
        # One tick of jitter of a live stream is closed by the ring, and changes nothing that was read.
        is_next = is_newest and abs(start - head) <= 1
        bed.note_span(head if is_next else start, stop, head=head, is_late=late_ms > 0)
        self._turns.note_samples(bed, is_first=head == 0, now_s=now_s)
        ring.push(bed.row, frame, is_newest=is_newest, late_ms=late_ms)
