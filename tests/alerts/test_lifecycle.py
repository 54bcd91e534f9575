"""The table that moves alerts."""

from itertools import product

import pytest

from hub.alerts.lifecycle import LATCHING, NON_LATCHING, Event, next_state
from hub.model import AlertState as State


@pytest.mark.req("ALT-3")
def test_a_latching_alert_leaves_only_through_a_person() -> None:
    into_clear = {
        (state, event) for (state, event), following in LATCHING.items() if following is State.CLEAR
    }
    assert into_clear == {(State.LATCHED, Event.ACKNOWLEDGED), (State.ACKNOWLEDGED, Event.RESOLVED)}


@pytest.mark.req("ALT-19")
def test_the_two_tables_differ_in_one_move_only() -> None:
    different = {move for move in NON_LATCHING if NON_LATCHING[move] is not LATCHING.get(move)}
    assert different == {(State.ACTIVE, Event.RESOLVED)}


@pytest.mark.req("ALT-19")
@pytest.mark.parametrize("is_latching", [True, False])
def test_a_move_that_is_not_in_the_table_is_refused(is_latching: bool) -> None:
    table = LATCHING if is_latching else NON_LATCHING
    for state, event in product(State, Event):
        if (state, event) in table:
            assert next_state(state, event, is_latching=is_latching) is table[state, event]
        else:
            with pytest.raises(ValueError, match=f"in state {state.value}: expected"):
                next_state(state, event, is_latching=is_latching)


@pytest.mark.req("ALT-19")
def test_every_state_can_be_reached_and_left() -> None:
    assert set(LATCHING.values()) == set(State)
    assert {state for state, _ in LATCHING} == set(State)
