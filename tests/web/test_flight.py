"""Who keeps up and who does not, second by second."""

import pytest

from hub.web.flight import Flight
from hub.web.limits import LiveLimits


def send(flight: Flight, n_bytes: int, now_s: float, *, is_history: bool = False) -> None:
    flight.seq += 1
    flight.send(n_bytes, now_s, is_history=is_history)


def test_a_client_is_behind_from_the_window_on_until_it_acknowledges():
    flight = Flight(LiveLimits(window_bytes=1000))
    send(flight, 999, 0.0)
    assert not flight.is_behind(0.0)
    send(flight, 1, 0.0)
    assert flight.is_behind(0.0)
    flight.acknowledge(1)
    assert not flight.is_behind(0.0)


def test_a_client_is_behind_when_its_oldest_message_is_too_old():
    flight = Flight(LiveLimits(behind_s=3.0))
    send(flight, 10, 100.0)
    send(flight, 10, 103.0)
    assert not flight.is_behind(103.0)
    assert flight.is_behind(103.1)
    flight.acknowledge(1)
    assert not flight.is_behind(103.1)
    assert flight.oldest_age_s(104.0) == 1.0


def test_history_leaves_the_window_of_live_messages_alone():
    flight = Flight(LiveLimits(window_bytes=1000, history_bytes=5000))
    send(flight, 4999, 0.0, is_history=True)
    assert not flight.is_behind(0.0)
    assert flight.may_send_history(0.0)
    send(flight, 1, 0.0, is_history=True)
    assert not flight.is_behind(0.0)
    assert not flight.may_send_history(0.0)


def test_many_beds_have_a_window_of_three_seconds_of_their_traffic():
    flight = Flight(LiveLimits(window_bytes=1000, behind_s=3.0))
    send(flight, 50_000, 0.0)
    flight.count_second()
    assert flight.window_bytes == 150_000
    for _ in range(60):
        flight.count_second()
    assert flight.window_bytes == 1000


def test_an_acknowledgement_of_what_was_never_sent_is_refused():
    flight = Flight(LiveLimits())
    send(flight, 10, 0.0)
    with pytest.raises(ValueError, match="expected a seq up to 1, got 2"):
        flight.acknowledge(2)


def test_an_old_acknowledgement_changes_nothing():
    flight = Flight(LiveLimits())
    send(flight, 10, 0.0)
    send(flight, 10, 1.0)
    flight.acknowledge(1)
    flight.acknowledge(0)
    assert flight.oldest_age_s(2.0) == 1.0
