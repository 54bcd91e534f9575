"""What of one epoch of one bed the hub has not confirmed, and what of it is under way.  Pure."""

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from hub.model import Ack, Lane
from site_agent.runs import Run, Runs

LONGEST_WAIT_S: Final = 300.0
"""Frames sent again and again in vain (a hub without its database) go out this often at the least."""
_JOIN_S: Final = 2.0
"""Live frames sent within this time of each other are one entry, due when the newest is."""


@dataclass(slots=True)
class Sent:
    """Frames first … last that were sent and are not confirmed; due to be sent again at `due_s`."""

    first: int
    last: int
    lane: Lane
    sent_s: float
    due_s: float
    tries: int = 0

    @property
    def count(self) -> int:
        """How many frames."""
        return self.last - self.first + 1


def stored_runs(ack: Ack) -> list[Run]:
    """Find the runs of seq that an ack says are stored, by the rule of the protocol, section 5."""
    missing = sorted((low, high) for low, high in ack.missing if low <= high)
    highest = ack.highest
    if highest is None:
        highest = max([ack.contiguous, *(high for _, high in missing)])
    stored = Runs([(0, max(ack.contiguous, highest))])
    for low, high in missing:
        stored.remove(low, high)
    stored.add(0, ack.contiguous)
    return list(stored)


class Stream:
    """One epoch of one bed."""

    def __init__(self, bed: str, epoch: int) -> None:
        self.bed = bed
        self.epoch = epoch
        self.unacked = Runs()
        self.lost = Runs()
        """Frames that the centre asked for again and that were not sent since: no ack can mean them yet."""
        self._sent: list[Sent] = []
        """By rising seq, never overlapping."""

    def mark(self, first: int, last: int, lane: Lane, now_s: float, patience_s: float) -> None:
        """Note that frames were handed to a lane; each further time they are waited for twice as long."""
        self.lost.remove(first, last)
        tries = self._cut(first, last)
        wait_s = min(patience_s * 2 ** min(tries, 10), max(LONGEST_WAIT_S, patience_s))
        sent = Sent(first, last, lane, now_s, now_s + wait_s, tries + 1)
        index = bisect_left(self._sent, first, key=lambda entry: entry.first)
        before = self._sent[index - 1] if index else None
        if (
            before is not None
            and before.last == first - 1
            and (before.lane, before.tries) == (lane, sent.tries)
            and lane is Lane.LIVE
            and now_s - before.sent_s < _JOIN_S
        ):
            before.last, before.due_s = last, sent.due_s
        else:
            self._sent.insert(index, sent)

    def unmark(self, first: int, last: int, now_s: float) -> None:
        """Take frames as not on their way any longer: due at once."""
        for entry in self._sent:
            if entry.first <= last and entry.last >= first:
                entry.due_s = min(entry.due_s, now_s)

    def acknowledge(self, ack: Ack, now_s: float, in_flight_s: float) -> list[Run]:
        """Drop what is stored, call due what is missing; gives the runs that were confirmed by this."""
        confirmed = []
        stored = Runs(stored_runs(ack))
        for first, last in self.lost:
            stored.remove(first, last)
        for first, last in stored:
            removed = self.unacked.remove(first, last)
            confirmed += removed
            if removed:
                self._cut(removed[0][0], removed[-1][1], only=removed)
        if confirmed:
            self._sent = [entry for entry in self._sent if self.unacked.overlapping(entry.first, entry.last)]
        for low, high in ack.missing:
            for entry in self._sent:
                if entry.first <= high and entry.last >= low and now_s - entry.sent_s > in_flight_s:
                    entry.due_s = min(entry.due_s, now_s)
        return confirmed

    def drop(self, first: int, last: int) -> int:
        """Forget frames that are not in the outbox any longer; gives how many were still awaited."""
        removed = self.unacked.remove(first, last)
        self._cut(first, last)
        return sum(b - a + 1 for a, b in removed)

    def take_due(self, limit: int, now_s: float) -> list[Run]:
        """Up to `limit` frames that may be sent now, from the newest down, as runs in rising order."""
        taken: list[Run] = []
        blocked = [entry for entry in self._sent if entry.due_s > now_s]
        at = len(blocked) - 1
        for low, top in reversed(self.unacked):
            high = top
            while high >= low and limit > 0:
                while at >= 0 and blocked[at].first > high:
                    at -= 1
                if at >= 0 and blocked[at].last >= high:
                    high = blocked[at].first - 1
                    continue
                first = max(low, high - limit + 1, blocked[at].last + 1 if at >= 0 else low)
                taken.append((first, high))
                limit -= high - first + 1
                high = first - 1
            if limit <= 0:
                break
        return taken[::-1]

    def count_under_way(self, lane: Lane, now_s: float) -> int:
        """Frames on a lane whose confirmation is still waited for."""
        return sum(entry.count for entry in self._sent if entry.lane is lane and entry.due_s > now_s)

    def tidy(self, now_s: float) -> None:
        """Join neighbours that are due, so that hours without acks stay a few entries."""
        if len(self._sent) < 16:
            return
        joined: list[Sent] = []
        for entry in self._sent:
            before = joined[-1] if joined else None
            if before and before.last == entry.first - 1 and max(before.due_s, entry.due_s) <= now_s:
                before.last, before.tries = entry.last, max(before.tries, entry.tries)
            else:
                joined.append(entry)
        self._sent = joined

    def call_due(self, due_s: float) -> None:
        """Wait for nothing beyond `due_s`: the line is new, or the hub answers again."""
        for entry in self._sent:
            entry.due_s = min(entry.due_s, due_s)

    def _cut(self, first: int, last: int, *, only: Iterable[Run] | None = None) -> int:
        """Take frames out of the entries; gives the highest number of tries met."""
        tries = 0
        for low, high in only if only is not None else ((first, last),):
            kept: list[Sent] = []
            for entry in self._sent:
                if entry.last < low or entry.first > high:
                    kept.append(entry)
                    continue
                tries = max(tries, entry.tries)
                if entry.first < low:
                    kept.append(
                        Sent(entry.first, low - 1, entry.lane, entry.sent_s, entry.due_s, entry.tries)
                    )
                if entry.last > high:
                    kept.append(
                        Sent(high + 1, entry.last, entry.lane, entry.sent_s, entry.due_s, entry.tries)
                    )
            self._sent = kept
        return tries
