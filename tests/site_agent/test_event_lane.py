"""An event goes out until the hub names it: never lost to a broker's PUBACK, never sent in a rush."""

from site_agent.event_lane import FIRST_WAIT_S, GIVE_UP_SENDS, IN_FLIGHT, LONGEST_WAIT_S, EventLane


def lane_with(count: int) -> EventLane:
    lane = EventLane()
    for number in range(count):
        lane.keep(f"e{number}", "bed1", b"{}")
    return lane


def test_an_event_is_sent_again_until_the_hub_names_it():
    lane = lane_with(1)
    assert lane.take_due(0.0) == []
    lane.line_up()
    (event,) = lane.take_due(0.0)
    assert lane.take_due(1.0) == [], "it is under way"
    lane.sent(event.id, 1.0, is_answered=True)
    assert lane.take_due(1.0 + FIRST_WAIT_S - 1) == []
    assert lane.take_due(1.0 + FIRST_WAIT_S) == [event]
    lane.sent(event.id, 40.0, is_answered=True)
    assert lane.confirmed(event.id)
    assert not lane.confirmed(event.id)
    assert lane.take_due(1e6) == []
    assert len(lane) == 0


def test_a_new_connection_sends_all_of_them_again_at_once():
    lane = lane_with(3)
    lane.line_up()
    for event in lane.take_due(0.0):
        lane.sent(event.id, 0.0, is_answered=True)
    lane.line_down()
    assert lane.take_due(1000.0) == []
    lane.line_up()
    assert len(lane.take_due(1.0)) == 3


def test_what_the_broker_did_not_take_is_due_at_once():
    lane = lane_with(1)
    lane.line_up()
    (event,) = lane.take_due(0.0)
    lane.sent(event.id, 5.0, is_answered=False)
    assert lane.take_due(5.0) == [event]


def test_a_flood_of_events_goes_out_in_pieces():
    lane = lane_with(100)
    lane.line_up()
    assert len(lane.take_due(0.0)) == IN_FLIGHT
    assert lane.take_due(0.1) == []


def test_an_older_hub_that_names_none_is_not_asked_for_ever():
    lane = lane_with(1)
    lane.line_up()
    now_s, sends = 0.0, 0
    while lane.take_due(now_s):
        sends += 1
        if lane.sent("e0", now_s, is_answered=True):
            break
        now_s += LONGEST_WAIT_S
    assert sends == GIVE_UP_SENDS
    assert len(lane) == 0


def test_a_hub_that_names_events_is_waited_for():
    lane = lane_with(2)
    lane.line_up()
    lane.confirmed("e1")
    for turn in range(3 * GIVE_UP_SENDS):
        (event,) = lane.take_due(turn * LONGEST_WAIT_S)
        assert not lane.sent(event.id, turn * LONGEST_WAIT_S, is_answered=True)
