"""The life cycle of an alert: everything that moves a state stands in this table.

After IEC 60601-1-8 (its text was not read): a latched alert stays until a person
has acknowledged it, although its condition has gone; a condition that grows more
urgent breaks through an acknowledgement.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from hub.model import AlertState as State


class Event(StrEnum):
    """What can happen to an alert."""

    ONSET = "onset"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"
    ESCALATED = "escalated"


LATCHING: Final[Mapping[tuple[State, Event], State]] = {
    (State.CLEAR, Event.ONSET): State.ACTIVE,
    (State.ACTIVE, Event.ACKNOWLEDGED): State.ACKNOWLEDGED,
    (State.ACTIVE, Event.RESOLVED): State.LATCHED,
    (State.ACTIVE, Event.ESCALATED): State.ACTIVE,
    (State.ACKNOWLEDGED, Event.ESCALATED): State.ACTIVE,
    (State.ACKNOWLEDGED, Event.RESOLVED): State.CLEAR,
    (State.LATCHED, Event.ONSET): State.ACTIVE,
    (State.LATCHED, Event.ACKNOWLEDGED): State.CLEAR,
}
NON_LATCHING: Final[Mapping[tuple[State, Event], State]] = {
    **LATCHING,
    (State.ACTIVE, Event.RESOLVED): State.CLEAR,
}


def next_state(state: State, event: Event, *, is_latching: bool) -> State:
    """Tell the state that follows.  Raises ValueError if the table has no such move."""
    table = LATCHING if is_latching else NON_LATCHING
    following = table.get((state, event))
    if following is None:
        expected = sorted(possible.value for start, possible in table if start is state)
        msg = f"alert in state {state.value}: expected {' or '.join(expected)}, got {event.value}"
        raise ValueError(msg)
    return following
