"""The alerts of one bed, from observations to transitions."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from hub.alerts.engine import (
    BedAlerts,
    LevelObservation,
    RateViolation,
    RawRateObservation,
    SignalObservation,
    TechnicalObservation,
)
from hub.alerts.limits import PRIORITY_ORDER, RULES
from hub.model import AckReason, Alert, AlertPath, AlertState, AlertTransition, Priority

T0 = 1_800_000_000_000


def bed() -> BedAlerts:
    return BedAlerts("h012", "bed3")


def rate(
    rule: str, duration_s: float, *, fetus: int = 1, onset_ms: int = T0, bpm: float = 75
) -> RawRateObservation:
    violation = RateViolation(rule=rule, duration_s=duration_s, onset_ms=onset_ms, value_bpm=bpm)
    return RawRateObservation(fetus=fetus, violations=(violation,))


def level(number: int | None, *, segments: int = 1, minutes: float = 0, **more: object) -> LevelObservation:
    observed = LevelObservation(
        fetus=1, level=number, since_ms=T0, end_ms=T0 + round(minutes * 60_000), segments_at_level=segments
    )
    return replace(observed, **more)  # type: ignore[arg-type]  # tests name fields of the observation


def technical(age_s: float = 0.5, **more: object) -> TechnicalObservation:
    return replace(TechnicalObservation(age_s=age_s, head_ms=T0), **more)  # type: ignore[arg-type]  # as above


def signal(loss_s: float = 0, coincidence_s: float = 0) -> SignalObservation:
    return SignalObservation(
        fetus=1,
        loss_s=loss_s,
        loss_since_ms=T0,
        signal_percent=40.0,
        coincidence_s=coincidence_s,
        coincidence_since_ms=T0,
    )


def only(alerts: list[Alert]) -> Alert:
    assert len(alerts) == 1
    return alerts[0]


def causes(moves: list[AlertTransition]) -> list[tuple[str, str]]:
    return [(move.alert.rule, move.cause) for move in moves]


# ------------------------------------------------------------------- raw rates


@pytest.mark.req("ALT-6")
@pytest.mark.parametrize(
    ("rule", "delay_s", "priority"),
    [
        ("fhr_below_80", 60, Priority.HIGH),
        ("fhr_below_110_prolonged", 120, Priority.MEDIUM),
        ("fhr_below_110", 240, Priority.HIGH),
        ("fhr_above_160", 300, Priority.MEDIUM),
    ],
)
def test_a_raw_rate_alert_is_raised_exactly_at_its_delay(
    rule: str, delay_s: float, priority: Priority
) -> None:
    alerts = bed()
    assert alerts.push_raw(rate(rule, delay_s - 0.25), T0) == []
    move = alerts.push_raw(rate(rule, delay_s), T0 + 1000)[0]
    assert (move.from_state, move.to_state, move.cause) == (AlertState.CLEAR, AlertState.ACTIVE, "onset")
    assert (move.alert.priority, move.alert.path) == (priority, AlertPath.RAW_RATE)
    assert (move.alert.onset_ms, move.alert.raised_ms) == (T0, T0 + 1000)


@pytest.mark.req("ALT-1")
def test_repeats_update_the_one_alert_of_a_condition() -> None:
    alerts = bed()
    alerts.push_raw(rate("fhr_below_80", 60), T0)
    for second in range(61, 90):
        assert alerts.push_raw(rate("fhr_below_80", second, bpm=72), T0 + second * 1000) == []
    assert only(alerts.alerts).values["duration_s"] == 89
    assert only(alerts.alerts).values["value_bpm"] == 72


@pytest.mark.req("ALT-2")
def test_the_same_onset_gives_the_same_id_whoever_sees_it_first() -> None:
    early, late = bed(), bed()
    early.push_raw(rate("fhr_below_80", 60), T0)
    late.push_raw(rate("fhr_below_80", 75), T0 + 15_000)
    assert only(early.alerts).id == only(late.alerts).id == f"h012.bed3.1.fhr_below_80.{T0}"


@pytest.mark.req("ALT-2")
def test_the_alert_keeps_its_id_when_the_onset_has_left_the_window() -> None:
    alerts = bed()
    alerts.push_raw(rate("fhr_below_110", 240), T0)
    alerts.push_raw(rate("fhr_below_110", 360, onset_ms=T0 + 60_000), T0 + 420_000)
    assert only(alerts.alerts).id.endswith(str(T0))


@pytest.mark.req("ALT-1")
def test_twins_have_an_alert_each() -> None:
    alerts = bed()
    for fetus in (1, 2):
        alerts.push_raw(rate("fhr_below_80", 60, fetus=fetus), T0)
    assert [alert.fetus for alert in alerts.alerts] == [1, 2]


@pytest.mark.req("ALT-18")
def test_a_fall_under_the_baseline_names_the_limit_that_held() -> None:
    fall = RateViolation(
        rule="fhr_below_110_prolonged", duration_s=120, onset_ms=T0, value_bpm=120, limit_bpm=125
    )
    alerts = bed()
    alerts.push_raw(RawRateObservation(fetus=1, violations=(fall,)), T0)
    assert only(alerts.alerts).values == {
        "value_bpm": 120,
        "limit_bpm": 125,
        "duration_s": 120,
        "segments": 0,
    }


@pytest.mark.req("ALT-7")
def test_a_loss_of_signal_ends_no_raw_rate_alert() -> None:
    alerts = bed()
    alerts.push_raw(rate("fhr_above_160", 300), T0)
    assert alerts.push_raw(rate("fhr_above_160", float("nan")), T0 + 70_000) == []
    assert only(alerts.alerts).is_present


@pytest.mark.req("ALT-9")
def test_a_more_urgent_raw_rate_alert_leaves_the_less_urgent_one_as_it_is() -> None:
    alerts = bed()
    alerts.push_raw(rate("fhr_below_110_prolonged", 120), T0)
    before = only(alerts.alerts)
    alerts.push_raw(rate("fhr_below_110", 240), T0 + 120_000)
    alerts.push_raw(rate("fhr_below_80", 60), T0 + 130_000)
    assert before in alerts.alerts
    assert len(alerts.alerts) == 3


# ------------------------------------------------------------------ life cycle


@pytest.mark.req("ALT-3")
def test_a_latched_alert_stays_until_a_person_acknowledges_it() -> None:
    alerts = bed()
    alerts.push_raw(rate("fhr_below_80", 60), T0)
    move = alerts.push_raw(rate("fhr_below_80", 0), T0 + 90_000)[0]
    assert (move.to_state, move.alert.is_present) == (AlertState.LATCHED, False)
    assert alerts.push_raw(rate("fhr_below_80", 0), T0 + 3_600_000) == []
    acked = alerts.acknowledge(
        only(alerts.alerts).id, by="K.M.", reason=AckReason.TREATED, t_ms=T0 + 3_700_000
    )
    assert acked.to_state is AlertState.CLEAR
    assert alerts.alerts == []


@pytest.mark.req("ALT-3")
def test_a_latched_alert_whose_condition_returns_is_active_again_under_its_own_id() -> None:
    alerts = bed()
    alerts.push_raw(rate("fhr_below_80", 60), T0)
    alerts.push_raw(rate("fhr_below_80", 0), T0 + 90_000)
    assert alerts.push_raw(rate("fhr_below_80", 59, onset_ms=T0 + 100_000), T0 + 159_000) == []
    move = alerts.push_raw(rate("fhr_below_80", 60, onset_ms=T0 + 100_000), T0 + 160_000)[0]
    assert (move.from_state, move.to_state) == (AlertState.LATCHED, AlertState.ACTIVE)
    assert only(alerts.alerts).id == f"h012.bed3.1.fhr_below_80.{T0}"


@pytest.mark.req("ALT-3")
def test_a_non_latching_alert_clears_with_its_condition() -> None:
    alerts = bed()
    alerts.push_raw(rate("fhr_above_160", 300), T0)
    assert alerts.push_raw(rate("fhr_above_160", 0), T0 + 1000)[0].to_state is AlertState.CLEAR
    assert alerts.alerts == []


@pytest.mark.req("ALT-4")
def test_an_acknowledgement_names_person_reason_and_time() -> None:
    alerts = bed()
    alerts.push_raw(rate("fhr_below_80", 60), T0)
    move = alerts.acknowledge(only(alerts.alerts).id, by=" K.M. ", reason=AckReason.WATCHING, t_ms=T0 + 9000)
    assert (move.by, move.cause, move.to_state) == ("K.M.", "acknowledged", AlertState.ACKNOWLEDGED)
    alert = only(alerts.alerts)
    assert (alert.acknowledged_by, alert.acknowledged_ms, alert.ack_reason) == (
        "K.M.",
        T0 + 9000,
        AckReason.WATCHING,
    )


@pytest.mark.req("ALT-4")
def test_an_acknowledgement_of_nothing_by_nobody_or_twice_is_refused() -> None:
    alerts = bed()
    alerts.push_raw(rate("fhr_below_80", 60), T0)
    name = only(alerts.alerts).id
    with pytest.raises(KeyError, match=r"expected the id of an open alert, got 'h012\.bed3\.1\.level_5\.1'"):
        alerts.acknowledge("h012.bed3.1.level_5.1", by="K.M.", reason=AckReason.WATCHING, t_ms=T0)
    with pytest.raises(ValueError, match="expected the name of a person"):
        alerts.acknowledge(name, by="  ", reason=AckReason.WATCHING, t_ms=T0)
    alerts.acknowledge(name, by="K.M.", reason=AckReason.WATCHING, t_ms=T0)
    with pytest.raises(ValueError, match="in state acknowledged: expected"):
        alerts.acknowledge(name, by="A.B.", reason=AckReason.WATCHING, t_ms=T0)
    assert only(alerts.alerts).acknowledged_by == "K.M."


# ---------------------------------------------------------------------- levels


@pytest.mark.req("ALT-10")
def test_level_3_waits_for_a_complete_segment_and_rises_with_the_next() -> None:
    alerts = bed()
    assert alerts.push_level(level(3, segments=0), T0) == []
    raised = alerts.push_level(level(3, segments=1), T0)[0].alert
    assert (raised.rule, raised.priority) == ("level_3", Priority.LOW)
    assert alerts.push_level(level(3, segments=1, minutes=9), T0) == []
    assert causes(alerts.push_level(level(3, segments=2, minutes=10), T0)) == [("level_3", "escalated")]
    assert only(alerts.alerts).priority is Priority.MEDIUM


@pytest.mark.req("ALT-10")
@pytest.mark.parametrize("segments", [0, 1])
def test_level_4_is_raised_at_once_and_is_high_one_segment_later(segments: int) -> None:
    alerts = bed()
    raised = alerts.push_level(level(4, segments=segments), T0)[0].alert
    assert (raised.rule, raised.priority) == ("level_4", Priority.MEDIUM)
    assert alerts.push_level(level(4, segments=segments), T0) == []
    alerts.push_level(level(4, segments=segments + 1), T0)
    assert only(alerts.alerts).priority is Priority.HIGH


@pytest.mark.req("ALT-10")
def test_level_5_is_high_at_once() -> None:
    raised = bed().push_level(level(5, segments=0), T0)[0].alert
    assert (raised.rule, raised.priority) == ("level_5", Priority.HIGH)


@pytest.mark.req("ALT-10")
@pytest.mark.parametrize("number", [1, 2])
def test_levels_1_and_2_raise_nothing(number: int) -> None:
    assert bed().push_level(level(number, segments=9, minutes=90), T0) == []


@pytest.mark.req("ALT-5")
def test_a_priority_that_rises_breaks_through_an_acknowledgement() -> None:
    alerts = bed()
    alerts.push_level(level(4), T0)
    alerts.acknowledge(only(alerts.alerts).id, by="K.M.", reason=AckReason.WATCHING, t_ms=T0)
    move = alerts.push_level(level(4, segments=2), T0)[0]
    assert (move.from_state, move.to_state) == (AlertState.ACKNOWLEDGED, AlertState.ACTIVE)
    assert only(alerts.alerts).acknowledged_by is None


@pytest.mark.req("ALT-5")
def test_a_level_that_rises_raises_an_alert_of_its_own() -> None:
    alerts = bed()
    alerts.push_level(level(4), T0)
    alerts.acknowledge(only(alerts.alerts).id, by="K.M.", reason=AckReason.WATCHING, t_ms=T0)
    moves = alerts.push_level(level(5, from_level=4), T0 + 60_000)
    assert sorted(causes(moves)) == [("level_4", "resolved"), ("level_5", "onset")]
    assert only(alerts.alerts).state is AlertState.ACTIVE
    assert only(alerts.alerts).values["from_level"] == 4


@pytest.mark.req("ALT-5")
def test_the_priority_of_an_open_alert_never_falls() -> None:
    alerts = bed()
    alerts.push_technical(technical(5, last_level=4), T0)
    alerts.push_technical(technical(6, last_level=1), T0)
    assert only(alerts.alerts).priority is Priority.HIGH


@pytest.mark.req("ALT-11")
def test_a_level_that_can_no_longer_be_told_ends_no_level_alert() -> None:
    alerts = bed()
    alerts.push_level(level(3), T0)
    assert alerts.push_level(level(None, minutes=19, why="long_gap"), T0) == []
    assert only(alerts.alerts).is_present


@pytest.mark.req("ALT-11")
def test_twenty_minutes_without_a_level_are_a_technical_alert() -> None:
    alerts = bed()
    assert alerts.push_level(level(None, minutes=19.9, why="long_gap"), T0) == []
    raised = alerts.push_level(level(None, minutes=20, why="long_gap"), T0)[0].alert
    assert (raised.rule, raised.path, raised.priority) == (
        "indeterminate",
        AlertPath.TECHNICAL,
        Priority.MEDIUM,
    )
    assert raised.values["why"] == "long_gap"
    assert raised.values["duration_min"] == 20
    assert alerts.push_level(level(2), T0)[0].to_state is AlertState.CLEAR


@pytest.mark.req("ALT-12")
def test_more_than_five_contractions_of_a_complete_segment_raise_a_low_alert() -> None:
    alerts = bed()
    assert alerts.push_level(level(1, segment_contractions=5, contractions_per_10min=7), T0) == []
    raised = alerts.push_level(level(1, segment_contractions=6), T0)[0].alert
    assert (raised.rule, raised.priority, raised.fetus) == ("tachysystole", Priority.LOW, None)
    assert raised.values["count"] == 6


@pytest.mark.req("ALT-12")
def test_with_a_uterotonic_the_rolling_window_raises_a_medium_alert() -> None:
    alerts = bed()
    seen = level(1, segment_contractions=5, contractions_per_10min=6, has_uterotonic=True)
    assert alerts.push_level(seen, T0)[0].alert.priority is Priority.MEDIUM


@pytest.mark.req("ALT-12")
def test_unknown_contractions_neither_raise_nor_end_an_alert() -> None:
    alerts = bed()
    assert alerts.push_level(level(1), T0) == []
    alerts.push_level(level(1, segment_contractions=6), T0)
    assert alerts.push_level(level(1), T0) == []
    assert alerts.push_level(level(1, segment_contractions=4), T0)[0].to_state is AlertState.CLEAR


# ------------------------------------------------------------------- technical


@pytest.mark.req("ALT-15")
def test_a_silent_bed_is_an_alert_within_five_seconds() -> None:
    alerts = bed()
    assert alerts.push_technical(technical(3.9), T0) == []
    raised = alerts.push_technical(technical(4.9, why="site_offline"), T0)[0].alert
    assert (raised.rule, raised.priority, raised.fetus) == ("silent", Priority.MEDIUM, None)
    assert raised.values["why"] == "site_offline"


@pytest.mark.req("ALT-15")
@pytest.mark.parametrize(("last", "priority"), [(None, "medium"), (2, "medium"), (3, "high"), (5, "high")])
def test_silence_is_high_if_the_last_level_was_3_or_more(last: int | None, priority: str) -> None:
    assert bed().push_technical(technical(5, last_level=last), T0)[0].alert.priority.value == priority


@pytest.mark.req("ALT-15")
def test_silence_that_has_ended_stays_latched() -> None:
    alerts = bed()
    alerts.push_technical(technical(5), T0)
    assert alerts.push_technical(technical(0.2), T0)[0].to_state is AlertState.LATCHED


@pytest.mark.req("ALT-15")
def test_a_bed_that_nobody_is_on_is_not_silent() -> None:
    assert bed().push_technical(technical(500, is_monitored=False), T0) == []


@pytest.mark.req("ALT-14")
@pytest.mark.parametrize(
    ("more", "delay_s"), [({}, 120), ({"is_second_stage": True}, 60), ({"last_level": 3}, 60)]
)
def test_signal_loss_is_urgent_in_the_second_stage_and_from_level_3(
    more: dict[str, object], delay_s: float
) -> None:
    alerts = bed()
    assert alerts.push_technical(technical(0.5, signals=(signal(delay_s - 1),), **more), T0) == []
    raised = alerts.push_technical(technical(0.5, signals=(signal(delay_s),), **more), T0)[0].alert
    assert (raised.rule, raised.priority) == ("signal_loss", Priority.LOW)
    assert raised.values["limit_s"] == delay_s


@pytest.mark.req("ALT-14")
def test_signal_loss_of_five_minutes_is_medium() -> None:
    alerts = bed()
    alerts.push_technical(technical(signals=(signal(120),)), T0)
    assert causes(alerts.push_technical(technical(signals=(signal(300),)), T0)) == [
        ("signal_loss", "escalated")
    ]


@pytest.mark.req("ALT-13")
def test_a_minute_of_coincidence_is_a_medium_technical_alert_that_clears_itself() -> None:
    alerts = bed()
    assert alerts.push_technical(technical(signals=(signal(coincidence_s=59),)), T0) == []
    raised = alerts.push_technical(technical(signals=(signal(coincidence_s=60),)), T0)[0].alert
    assert (raised.rule, raised.priority, raised.path) == (
        "coincidence",
        Priority.MEDIUM,
        AlertPath.TECHNICAL,
    )
    assert alerts.push_technical(technical(signals=(signal(),)), T0)[0].to_state is AlertState.CLEAR


@pytest.mark.req("ALT-14")
def test_a_silent_bed_says_nothing_of_its_signal() -> None:
    alerts = bed()
    alerts.push_technical(technical(signals=(signal(130),)), T0)
    alerts.push_technical(technical(10, signals=()), T0)
    assert {alert.rule for alert in alerts.alerts if alert.is_present} == {"signal_loss", "silent"}


@pytest.mark.req("ALT-16")
def test_a_failed_path_is_an_alert_and_two_are_a_high_one() -> None:
    alerts = bed()
    raised = alerts.push_technical(technical(faults={"level": "ValueError: x"}), T0)[0].alert
    assert (raised.rule, raised.priority, raised.values["path"]) == ("path_fault", Priority.MEDIUM, "level")
    both = technical(faults={"level": "ValueError: x", "raw_rate": "IndexError: y"})
    moved = alerts.push_technical(both, T0)[0].alert
    assert (moved.priority, moved.values["path"]) == (Priority.HIGH, "level, raw_rate")


@pytest.mark.req("ALT-16")
def test_a_path_that_fails_leaves_the_others_and_its_own_alerts_as_they_were() -> None:
    alerts = bed()
    alerts.push_raw(rate("fhr_below_80", 60), T0)
    alerts.push_level(level(4), T0)
    before = alerts.alerts
    broken: list[Callable[[], object]] = [
        lambda: alerts.push_raw(rate("no_such_rule", 60), T0),
        lambda: alerts.push_level(replace(level(4), end_ms=None), T0),  # type: ignore[arg-type]  # the fault
        lambda: alerts.push_technical(technical(None), T0),  # type: ignore[arg-type]  # the fault
    ]
    for call in broken:
        with pytest.raises((KeyError, TypeError)):
            call()
        assert alerts.alerts == before
    assert causes(alerts.push_raw(rate("fhr_below_110", 240), T0)) == [("fhr_below_110", "onset")]
    assert causes(alerts.push_technical(technical(5), T0)) == [("silent", "onset")]
    assert ("level_5", "onset") in causes(alerts.push_level(level(5), T0))


def test_when_monitoring_ends_conditions_end_and_latched_alerts_stay() -> None:
    alerts = bed()
    alerts.push_raw(rate("fhr_below_80", 60), T0)
    alerts.push_raw(rate("fhr_above_160", 300, fetus=2), T0)
    assert [move.alert.fetus for move in alerts.end_monitoring(T0, fetus=2)] == [2]
    assert [move.to_state for move in alerts.end_monitoring(T0)] == [AlertState.LATCHED]
    assert only(alerts.alerts).rule == "fhr_below_80"


def test_open_alerts_are_known_by_path() -> None:
    alerts = bed()
    alerts.push_raw(rate("fhr_below_80", 60), T0)
    assert alerts.has_open(AlertPath.RAW_RATE)
    assert not alerts.has_open(AlertPath.LEVEL)


# --------------------------------------------------------------------- restart


@pytest.mark.req("ALT-17")
def test_after_a_restart_the_same_conditions_raise_nothing_again() -> None:
    alerts = bed()
    alerts.push_raw(rate("fhr_below_80", 60), T0)
    alerts.push_level(level(4), T0)
    alerts.push_technical(technical(5), T0)
    alerts.acknowledge(alerts.alerts[0].id, by="K.M.", reason=AckReason.WATCHING, t_ms=T0)
    again = bed()
    again.restore(alerts.alerts)
    again.restore(alerts.alerts)
    assert again.alerts == alerts.alerts
    assert again.push_raw(rate("fhr_below_80", 90, onset_ms=T0 + 500), T0 + 30_000) == []
    assert again.push_level(level(4), T0 + 30_000) == []
    assert again.push_technical(technical(6), T0 + 30_000) == []
    assert [alert.id for alert in again.alerts] == [alert.id for alert in alerts.alerts]


@pytest.mark.req("ALT-17")
def test_a_restart_does_not_forget_how_far_a_level_had_been_confirmed() -> None:
    alerts = bed()
    alerts.push_level(level(4), T0)
    again = bed()
    again.restore(alerts.alerts)
    assert again.push_level(level(4, segments=1), T0) == []
    assert causes(again.push_level(level(4, segments=2), T0)) == [("level_4", "escalated")]


@pytest.mark.req("ALT-17")
def test_a_live_alert_is_not_overwritten_by_a_stored_one() -> None:
    alerts = bed()
    alerts.push_raw(rate("fhr_below_80", 60), T0)
    stored = only(alerts.alerts)
    alerts.acknowledge(stored.id, by="K.M.", reason=AckReason.WATCHING, t_ms=T0)
    alerts.restore([stored])
    assert only(alerts.alerts).state is AlertState.ACKNOWLEDGED


@pytest.mark.req("ALT-17")
def test_clear_alerts_and_those_of_other_beds_are_not_taken_over() -> None:
    alerts = bed()
    alerts.push_raw(rate("fhr_above_160", 300), T0)
    cleared = alerts.push_raw(rate("fhr_above_160", 0), T0)[0].alert
    again = bed()
    again.restore([cleared])
    assert again.alerts == []
    with pytest.raises(ValueError, match="h012/bed4: expected alerts of this bed"):
        BedAlerts("h012", "bed4").restore([cleared])


@pytest.mark.req("ALT-17")
def test_an_alert_of_a_rule_that_is_no_more_waits_for_a_person() -> None:
    alerts = bed()
    alerts.push_raw(rate("fhr_below_80", 60), T0)
    old = replace(only(alerts.alerts), rule="fhr_below_70", id="h012.bed3.1.fhr_below_70.1")
    again = bed()
    again.restore([old])
    assert only(again.alerts).state is AlertState.LATCHED
    again.acknowledge(old.id, by="K.M.", reason=AckReason.ARTEFACT, t_ms=T0)
    assert again.alerts == []


# ---------------------------------------------------------------------- values


@pytest.mark.req("ALT-18")
def test_every_alert_says_its_duration_and_its_limit() -> None:
    alerts = bed()
    for rule in ("fhr_below_80", "fhr_below_110_prolonged", "fhr_below_110", "fhr_above_160"):
        alerts.push_raw(rate(rule, 300), T0)
    for number in (3, 4, 5):
        alerts.push_level(level(number, segment_contractions=6), T0)
    alerts.push_level(level(None, minutes=20), T0)
    alerts.push_technical(technical(5, signals=(signal(130, 70),)), T0)
    seen = {alert.rule: set(alert.values) for alert in alerts.alerts}
    assert all("duration_s" in values for values in seen.values())
    assert all(any(name.startswith("limit_") for name in values) for values in seen.values())
    assert {"value_bpm", "limit_bpm"} <= seen["fhr_below_80"]
    assert {"signal_percent"} <= seen["signal_loss"]


def test_a_site_may_run_with_other_limits() -> None:
    strict = {**RULES, "fhr_below_80": replace(RULES["fhr_below_80"], delay_s=30)}
    assert BedAlerts("h012", "bed3", rules=strict).push_raw(rate("fhr_below_80", 30), T0)


def test_every_rule_can_only_rise_in_priority() -> None:
    for rule in RULES.values():
        for higher in (rule.escalates_to, rule.urgent_priority):
            assert higher is None or PRIORITY_ORDER.index(higher) > PRIORITY_ORDER.index(rule.priority)
