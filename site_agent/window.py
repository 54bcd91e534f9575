"""Which frame goes when, on which of the two lanes: the delivery guarantee of a site.  Pure.

`push(event, now_s)` takes what happened and gives what is to be done.  No clock, no
randomness, no I/O: the same events give the same actions, so that years of bad
lines run in seconds.  What is not confirmed is rebuilt from the outbox after a
restart (`Restored`); nothing that only memory knows decides whether a frame arrives.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from hub.model import Ack, Lane
from hub.wire import MAX_FILL_FRAMES
from site_agent.backlog import Stream
from site_agent.happenings import (
    Absent,
    Acked,
    Action,
    Answered,
    Ask,
    Confirmed,
    Credited,
    Event,
    Heard,
    LineDown,
    LineUp,
    Renew,
    Restored,
    SendFill,
    SendLive,
    Stored,
    Tick,
    WindowCounts,
)
from site_agent.pacing import FillPace, LinePulse, LiveBatch

FRESH_S: Final = 5.0
"""A frame older than this is not sent live any more: completeness is the fill lane's job."""
LIVE_IN_FLIGHT: Final = 200
LIVE_STALLED_S: Final = 6.0
"""While the broker owes an answer for this long, no further live frames are heaped onto the line."""
LIVE_PATIENCE_S: Final = 5.0
FILL_PATIENCE_S: Final = 8.0
UNCONFIRMED_S: Final = 4.0
"""Fill frames sent and not yet committed by the hub: at most what this many seconds of the rate carry."""
MIN_UNCONFIRMED: Final = 2 * MAX_FILL_FRAMES
STALL_S: Final = 10.0
"""Backlog and no confirmation for this long is a standstill (reliability rule 7)."""
SILENT_S: Final = 60.0
"""A standstill with no word from the hub at all for this long renews the live connection too."""
LONGEST_STALL_S: Final = 600.0
TIDY_S: Final = 1.0
SESSION_S: Final = 0.5
"""Frames that a new session of the hub took just now are acknowledged within this."""
ASK_S: Final = 5.0
"""With the shortest patience a line without any bed is known to be dead within two of these."""


@dataclass(slots=True)
class _Flight:
    """One message that the broker has not answered."""

    lane: Lane
    sent_s: float
    bed: str
    parts: tuple[tuple[int, int, int], ...]


class Window:
    """The send window of one site."""

    def __init__(self) -> None:
        self.counts = WindowCounts()
        self.pace = FillPace()
        self.batch = LiveBatch()
        self._pulse = {lane: LinePulse() for lane in Lane}
        self._beds: dict[str, dict[int, Stream]] = {}
        """By bed and epoch, epochs in the order of their age; only those with unconfirmed frames."""
        self._pending: list[tuple[Stored, float]] = []
        self._flushed_s = 0.0
        self._flights: dict[int, _Flight] = {}
        self._next_token = 1
        self._next_bed = 0
        self._progress_s: float | None = None
        self._stall_wait_s = STALL_S
        self._stalled_next_s = 0.0
        self._heard_s = 0.0
        self._tidied_s = 0.0
        self._asked_s = -ASK_S
        self._session: str | None = None

    # ------------------------------------------------------------------ what is seen

    @property
    def backlog(self) -> int:
        """Frames that the hub has not confirmed."""
        return sum(stream.unacked.count for stream in self._streams())

    def backlog_of(self, bed: str) -> int:
        """Frames of one bed that the hub has not confirmed."""
        return sum(stream.unacked.count for stream in self._beds.get(bed, {}).values())

    def oldest(self) -> dict[str, tuple[int, int]]:
        """Find the oldest unconfirmed frame of each bed: epoch and seq."""
        found: dict[str, tuple[int, int]] = {}
        for stream in self._streams():
            if stream.unacked.lowest is not None:
                found.setdefault(stream.bed, (stream.epoch, stream.unacked.lowest))
        return found

    def is_up(self, lane: Lane) -> bool:
        """Whether a lane is connected."""
        return self._pulse[lane].is_up

    def rtt_s(self, lane: Lane) -> float | None:
        """Smoothed time from a publish to its PUBACK."""
        return self._pulse[lane].rtt_s

    def stalled_s(self, now_s: float) -> float:
        """For how long there is backlog, a connection, and no confirmation."""
        return 0.0 if self._progress_s is None else now_s - self._progress_s

    # ------------------------------------------------------------------ what happens

    def push(self, event: Event, now_s: float) -> list[Action]:
        """Take one event; gives what is to be done now, in this order."""
        actions: list[Action] = []
        match event:
            case Stored():
                self._store(event, now_s)
            case Restored():
                self._restore(event, now_s)
            case LineUp(lane):
                self._line_up(lane, now_s)
            case LineDown(lane):
                self._line_down(lane, now_s)
            case Answered(token):
                self._answer(token, now_s)
            case Heard():
                self._heard_s = now_s
            case Acked(bed, ack):
                self._heard_s = now_s
                actions += self._acknowledge(bed, ack, now_s)
            case Credited(frames_per_s, valid_s, session):
                self.pace.credit(frames_per_s, valid_s, now_s)
                self._meet(session, now_s)
            case Absent():
                self._drop(event)
            case Tick():
                actions += self._watch(now_s)
        actions += self._send_live(now_s)
        if isinstance(event, Tick | Answered | Acked):
            actions += self._send_fill(now_s)
        return actions

    def _store(self, frame: Stored, now_s: float) -> None:
        if frame.is_kept:
            stream = self._stream(frame.bed, frame.epoch)
            stream.unacked.add(frame.seq, frame.seq)
            self._note_work(now_s)
        if not frame.is_live:
            return
        if self._pulse[Lane.LIVE].is_up:
            self._pending.append((frame, now_s))
            self._mark(frame.bed, frame.epoch, frame.seq, frame.seq, Lane.LIVE, now_s)
        else:
            self.counts.not_live += 1

    def _meet(self, session: str | None, now_s: float) -> None:
        """Send again what a hub of another session may not have."""
        if session is not None and session != self._session:
            self._session = session
            for stream in self._streams():
                stream.call_due(now_s + SESSION_S)

    def _restore(self, event: Restored, now_s: float) -> None:
        stream = self._stream(event.bed, event.epoch, is_past=event.is_past)
        for first, last in event.runs:
            stream.unacked.add(first, last)
            stream.unmark(first, last, now_s)
            if event.is_resend:
                stream.lost.add(first, last)
        self._note_work(now_s)

    def _line_up(self, lane: Lane, now_s: float) -> None:
        self._pulse[lane].up(now_s)
        self._asked_s = now_s - ASK_S
        self._heard_s = now_s
        self._note_work(now_s)
        if self._progress_s is not None:
            self._progress_s = max(self._progress_s, now_s)
        for stream in self._streams():
            stream.call_due(now_s + LIVE_PATIENCE_S)

    def _line_down(self, lane: Lane, now_s: float) -> None:
        self._pulse[lane].down()
        self._land([token for token, flight in self._flights.items() if flight.lane is lane], now_s)
        if lane is Lane.LIVE:
            for frame, _ in self._pending:
                self._give_up_live(frame, now_s)
            self._pending = []

    def _expire(self, lane: Lane, before_s: float, now_s: float) -> None:
        """Give up single messages whose answer got lost though later ones were answered."""
        answered_s = self._pulse[lane].answered_s
        self._land(
            [
                token
                for token, flight in self._flights.items()
                if flight.lane is lane and flight.sent_s < min(before_s, answered_s)
            ],
            now_s,
        )

    def _land(self, tokens: list[int], now_s: float) -> None:
        """Take messages as lost: what they carried is due again."""
        for token in tokens:
            flight = self._flights.pop(token)
            for epoch, first, last in flight.parts:
                if (stream := self._find(flight.bed, epoch)) is not None:
                    stream.unmark(first, last, now_s)

    def _answer(self, token: int, now_s: float) -> None:
        flight = self._flights.pop(token, None)
        if flight is None:
            return  # of a connection that is gone
        took_s = now_s - flight.sent_s
        self._pulse[flight.lane].answer(took_s, now_s)
        if flight.lane is Lane.FILL:
            self.pace.answer(took_s)

    def _acknowledge(self, bed: str, ack: Ack, now_s: float) -> list[Action]:
        stream = self._find(bed, ack.epoch)
        if stream is None:
            return []
        runs = stream.acknowledge(ack, now_s, max(2.0, 3 * (self.rtt_s(Lane.LIVE) or 0.0)))
        if not runs:
            return []
        if self._stall_wait_s > STALL_S:  # the hub stores again: do not wait out long patiences
            for other in self._streams():
                other.call_due(now_s + 1.0)
        self.counts.confirmed += sum(last - first + 1 for first, last in runs)
        self._progress_s, self._stall_wait_s = now_s, STALL_S
        self._forget_if_empty(stream)
        if not self._beds:
            self._progress_s = None
        return [Confirmed(bed, ack.epoch, tuple(runs))]

    def _drop(self, event: Absent) -> None:
        if (stream := self._find(event.bed, event.epoch)) is not None:
            self.counts.absent += stream.drop(event.first, event.last)
            self._forget_if_empty(stream)

    # ---------------------------------------------------------------------- sending

    def _send_live(self, now_s: float) -> list[Action]:
        pulse = self._pulse[Lane.LIVE]
        longest_s = FRESH_S + self.batch.span_s
        for frame, since_s in self._pending:
            if now_s - since_s > longest_s:
                self._give_up_live(frame, now_s)
        self._pending = [one for one in self._pending if now_s - one[1] <= longest_s]
        if not self._pending or not pulse.is_up:
            return []
        if self.batch.span_s > 1.0 and now_s - self._flushed_s < self.batch.span_s:
            return []
        flights = [f.sent_s for f in self._flights.values() if f.lane is Lane.LIVE]
        silent_s = pulse.silent_s(min(flights, default=None), now_s)
        if len(flights) >= LIVE_IN_FLIGHT or silent_s > LIVE_STALLED_S:
            return []
        sending, self._pending = self._pending, []
        self._flushed_s = now_s
        self.counts.sent_live += len(sending)
        actions: list[Action] = []
        for frame, _ in sending:
            token = self._fly(Lane.LIVE, frame.bed, ((frame.epoch, frame.seq, frame.seq),), now_s)
            actions.append(SendLive(token, frame.bed, frame.epoch, frame.seq, frame.payload))
        return actions

    def _send_fill(self, now_s: float) -> list[Action]:
        if not self._pulse[Lane.FILL].is_up:
            return []
        under_way = sum(s.count_under_way(Lane.FILL, now_s) for s in self._streams())
        room = max(MIN_UNCONFIRMED, round(UNCONFIRMED_S * self.pace.rate(now_s))) - under_way
        flying = sum(flight.lane is Lane.FILL for flight in self._flights.values())
        actions: list[Action] = []
        beds = list(self._beds)
        idle = 0
        while beds and idle < len(beds) and flying < self.pace.max_flights:
            size = min(self.pace.message_frames(now_s), room)
            if size <= 0:
                break
            bed = beds[self._next_bed % len(beds)]
            self._next_bed += 1
            parts = self._take_due(bed, size, now_s)
            if not parts:
                idle += 1
                continue
            idle, flying = 0, flying + 1
            count = sum(last - first + 1 for _, first, last in parts)
            room -= count
            self.pace.spend(count, now_s)
            self.counts.filled += count
            actions.append(SendFill(self._fly(Lane.FILL, bed, parts, now_s), bed, parts))
        return actions

    def _take_due(self, bed: str, limit: int, now_s: float) -> tuple[tuple[int, int, int], ...]:
        parts: list[tuple[int, int, int]] = []
        for stream in reversed(self._beds[bed].values()):
            runs = stream.take_due(limit, now_s)
            for first, last in runs:
                self._mark(bed, stream.epoch, first, last, Lane.FILL, now_s)
                limit -= last - first + 1
            parts = [(stream.epoch, first, last) for first, last in runs] + parts
            if limit <= 0:
                break
        return tuple(parts)

    # --------------------------------------------------------------------- watching

    def _watch(self, now_s: float) -> list[Action]:
        """Renew a line that does not answer, or that carries nothing although there is backlog."""
        actions: list[Action] = []
        live = self._pulse[Lane.LIVE]
        for lane, pulse in self._pulse.items():
            self._expire(lane, now_s - pulse.patience_s, now_s)
            oldest_s = min((f.sent_s for f in self._flights.values() if f.lane is lane), default=None)
            silent_s = pulse.silent_s(oldest_s, now_s)
            if lane is Lane.LIVE:
                self.batch.judge(max(live.rtt_s or 0.0, silent_s), now_s)
                self.pace.yield_to_live(live.rtt_s, live.least_rtt_s, silent_s, now_s)
            if silent_s > pulse.patience_s:
                actions.append(
                    self._renew(lane, f"no answer for {silent_s:.0f} s", is_dead=True, now_s=now_s)
                )
        # A line whose answers take seconds needs several of them to carry a frame and bring its ack.
        stall_wait_s = self._stall_wait_s + 4 * (self.rtt_s(Lane.FILL) or 0.0)
        if self.stalled_s(now_s) > stall_wait_s and self._pulse[Lane.FILL].is_up:
            stalled_s = self.stalled_s(now_s)
            why = f"{self.backlog} frames, none confirmed for {stalled_s:.0f} s"
            self._stall_wait_s = min(2 * self._stall_wait_s, LONGEST_STALL_S)
            actions.append(self._renew(Lane.FILL, why, is_dead=False, now_s=now_s))
            if now_s - self._heard_s > SILENT_S and live.is_up:
                actions.append(self._renew(Lane.LIVE, why, is_dead=False, now_s=now_s))
        if live.is_up and now_s - self._asked_s >= ASK_S:
            self._asked_s = now_s
            actions.append(Ask(self._fly(Lane.LIVE, "", (), now_s)))
        if now_s - self._tidied_s >= TIDY_S:
            self._tidied_s = now_s
            for stream in self._streams():
                stream.tidy(now_s)
        return actions

    def _renew(self, lane: Lane, why: str, *, is_dead: bool, now_s: float) -> Renew:
        self.counts.renewals[lane] = self.counts.renewals.get(lane, 0) + 1
        self._line_down(lane, now_s)
        return Renew(lane, why, is_dead)

    # ----------------------------------------------------------------------- small

    def _streams(self) -> Iterator[Stream]:
        return (stream for streams in self._beds.values() for stream in streams.values())

    def _find(self, bed: str, epoch: int) -> Stream | None:
        return self._beds.get(bed, {}).get(epoch)

    def _stream(self, bed: str, epoch: int, *, is_past: bool = False) -> Stream:
        streams = self._beds.setdefault(bed, {})
        if epoch not in streams:
            new = {epoch: Stream(bed, epoch)}
            streams = self._beds[bed] = new | streams if is_past else streams | new
        return streams[epoch]

    def _forget_if_empty(self, stream: Stream) -> None:
        if not stream.unacked:
            del self._beds[stream.bed][stream.epoch]
            if not self._beds[stream.bed]:
                del self._beds[stream.bed]

    def _mark(self, bed: str, epoch: int, first: int, last: int, lane: Lane, now_s: float) -> None:
        if (stream := self._find(bed, epoch)) is not None:
            patience_s = LIVE_PATIENCE_S if lane is Lane.LIVE else FILL_PATIENCE_S
            patience_s += 4 * (self.rtt_s(lane) or 0.0) + self.batch.span_s
            stream.mark(first, last, lane, now_s, patience_s)

    def _give_up_live(self, frame: Stored, now_s: float) -> None:
        self.counts.not_live += 1
        if (stream := self._find(frame.bed, frame.epoch)) is not None:
            stream.unmark(frame.seq, frame.seq, now_s)

    def _fly(self, lane: Lane, bed: str, parts: tuple[tuple[int, int, int], ...], now_s: float) -> int:
        token = self._next_token
        self._next_token += 1
        self._flights[token] = _Flight(lane, now_s, bed, parts)
        return token

    def _note_work(self, now_s: float) -> None:
        if self._progress_s is None and self._beds:
            self._progress_s = now_s
