"""Events on their way to the hub: sent until it says that they are stored.  Pure."""

import math
from dataclasses import dataclass
from typing import Final

FIRST_WAIT_S: Final = 30.0
LONGEST_WAIT_S: Final = 600.0
IN_FLIGHT: Final = 20
GIVE_UP_SENDS: Final = 20
"""A hub that confirms no event at all has them after this many PUBACKs in two and a half hours."""


@dataclass(slots=True)
class _Waiting:
    bed: str
    payload: bytes
    due_s: float = -math.inf
    sends: int = 0
    is_flying: bool = False


@dataclass(frozen=True, slots=True)
class SendEvent:
    id: str
    bed: str
    payload: bytes


class EventLane:
    """The unconfirmed events of a site, oldest first; the hub takes the same one any number of times."""

    def __init__(self) -> None:
        self._waiting: dict[str, _Waiting] = {}
        self._is_up = False
        self._hub_confirms = False

    def __len__(self) -> int:
        return len(self._waiting)

    def keep(self, event_id: str, bed: str, payload: bytes) -> None:
        """Take an event that is in the outbox."""
        self._waiting.setdefault(event_id, _Waiting(bed, payload))

    def line_up(self) -> None:
        """Send everything again: what a broker had in its memory may be gone with it."""
        self._is_up = True
        for waiting in self._waiting.values():
            waiting.due_s, waiting.is_flying = -math.inf, False

    def line_down(self) -> None:
        """Note that nothing can be sent."""
        self._is_up = False

    def take_due(self, now_s: float) -> list[SendEvent]:
        """Give what is to be sent now."""
        if not self._is_up:
            return []
        room = IN_FLIGHT - sum(waiting.is_flying for waiting in self._waiting.values())
        sending: list[SendEvent] = []
        for event_id, waiting in self._waiting.items():
            if len(sending) >= room:
                break
            if not waiting.is_flying and waiting.due_s <= now_s:
                waiting.is_flying = True
                sending.append(SendEvent(event_id, waiting.bed, waiting.payload))
        return sending

    def sent(self, event_id: str, now_s: float, *, is_answered: bool) -> bool:
        """Note how a sending ended; True if the event counts as stored by that, for an older hub."""
        waiting = self._waiting.get(event_id)
        if waiting is None:
            return False
        waiting.is_flying = False
        if not is_answered:
            return False
        waiting.due_s = now_s + min(FIRST_WAIT_S * 2**waiting.sends, LONGEST_WAIT_S)
        waiting.sends += 1
        if self._hub_confirms or waiting.sends < GIVE_UP_SENDS:
            return False
        del self._waiting[event_id]
        return True

    def confirmed(self, event_id: str) -> bool:
        """Drop an event that the hub has stored; False for one that is not known."""
        self._hub_confirms = True
        return self._waiting.pop(event_id, None) is not None
