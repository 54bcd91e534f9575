"""Whatever happens, in whatever order: the promises that every bed keeps."""

from collections import Counter

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from hub.alerts.engine import (
    BedAlerts,
    LevelObservation,
    RateViolation,
    RawRateObservation,
    SignalObservation,
    TechnicalObservation,
)
from hub.alerts.limits import RULES
from hub.model import AckReason, Alert, AlertPath, AlertState, AlertTransition

pytestmark = [pytest.mark.req(number) for number in ("ALT-1", "ALT-3", "ALT-16", "ALT-17")]

DURATION = st.sampled_from([0.0, 30.0, 60.0, 120.0, 240.0, 300.0, float("nan")])
LEVEL = st.none() | st.integers(1, 5)
RATE_RULES = sorted(key for key, entry in RULES.items() if entry.path is AlertPath.RAW_RATE)
FETUS = st.integers(1, 2)
SITE, BED = "h012", "bed3"


class AlertsOfOneBed(RuleBasedStateMachine):
    """Random observations, acknowledgements, faults and restarts of one bed."""

    def __init__(self) -> None:
        super().__init__()
        self.alerts = BedAlerts(SITE, BED)
        self.t_ms = 1_800_000_000_000
        self.stored: dict[str, Alert] = {}
        self.states: dict[str, AlertState] = {}

    def take(self, moves: list[AlertTransition]) -> None:
        """Store transitions as the store would, and check each against what it knew."""
        for move in moves:
            before = self.states.get(move.alert.id, AlertState.CLEAR)
            assert move.from_state is before, "a transition starts from the state that was stored"
            is_latching = RULES[move.alert.rule].is_latching
            if before is not AlertState.CLEAR and move.to_state is AlertState.CLEAR and is_latching:
                assert move.alert.acknowledged_by is not None, "latched vanished without a person"
            assert (move.cause == "acknowledged") == (move.by is not None)
            self.stored[move.alert.id] = move.alert
            self.states[move.alert.id] = move.to_state

    @rule(seconds=st.integers(1, 700))
    def wait(self, seconds: int) -> None:
        self.t_ms += seconds * 1000

    @rule(fetus=FETUS, durations=st.lists(DURATION, min_size=4, max_size=4))
    def see_rates(self, fetus: int, durations: list[float]) -> None:
        violations = tuple(
            RateViolation(rule=name, duration_s=duration, onset_ms=self._onset(duration), value_bpm=70)
            for name, duration in zip(RATE_RULES, durations, strict=True)
        )
        self.take(self.alerts.push_raw(RawRateObservation(fetus=fetus, violations=violations), self.t_ms))

    @rule(fetus=FETUS, level=LEVEL, minutes=st.integers(0, 30), segments=st.integers(0, 3))
    def see_level(self, fetus: int, level: int | None, minutes: int, segments: int) -> None:
        observation = LevelObservation(
            fetus=fetus,
            level=level,
            since_ms=self.t_ms - minutes * 60_000,
            end_ms=self.t_ms,
            segments_at_level=segments,
            segment_contractions=None if level is None else level + 2,
        )
        self.take(self.alerts.push_level(observation, self.t_ms))

    @rule(age_s=st.floats(0, 20), fetus=FETUS, loss_s=DURATION, last_level=LEVEL, faults=st.integers(0, 2))
    def see_technical(
        self, age_s: float, fetus: int, loss_s: float, last_level: int | None, faults: int
    ) -> None:
        signal = SignalObservation(
            fetus=fetus,
            loss_s=loss_s if loss_s == loss_s else 0.0,
            loss_since_ms=self._onset(loss_s),
            signal_percent=50.0,
            coincidence_s=loss_s if loss_s == loss_s else 0.0,
            coincidence_since_ms=self._onset(loss_s),
        )
        observation = TechnicalObservation(
            age_s=age_s,
            head_ms=self.t_ms - round(age_s * 1000),
            last_level=last_level,
            signals=(signal,),
            faults=dict(list({"level": "x", "raw_rate": "y"}.items())[:faults]),
        )
        self.take(self.alerts.push_technical(observation, self.t_ms))

    def _onset(self, duration_s: float) -> int:
        return self.t_ms - (round(duration_s * 1000) if duration_s == duration_s else 0)

    @rule(index=st.integers(0, 30), reason=st.sampled_from(AckReason))
    def acknowledge(self, index: int, reason: AckReason) -> None:
        waiting = [alert for alert in self.alerts.alerts if alert.state is not AlertState.ACKNOWLEDGED]
        if waiting:
            alert = waiting[index % len(waiting)]
            self.take([self.alerts.acknowledge(alert.id, by="K.M.", reason=reason, t_ms=self.t_ms)])

    @rule()
    def break_a_path(self) -> None:
        before = self.alerts.alerts
        broken = RateViolation(rule="no_such_rule", duration_s=60.0, onset_ms=0, value_bpm=70.0)
        with pytest.raises(KeyError):
            self.alerts.push_raw(RawRateObservation(fetus=1, violations=(broken,)), self.t_ms)
        assert self.alerts.alerts == before

    @rule()
    def restart(self) -> None:
        """Lose the memory of the worker; values since the last transition are lost with it."""
        before = [alert.id for alert in self.alerts.alerts]
        self.alerts = BedAlerts(SITE, BED)
        self.alerts.restore(self.stored.values())
        assert [alert.id for alert in self.alerts.alerts] == before

    @invariant()
    def one_open_alert_for_a_rule_and_a_fetus(self) -> None:
        keys = Counter((alert.rule, alert.fetus) for alert in self.alerts.alerts)
        assert all(count == 1 for count in keys.values())

    @invariant()
    def no_id_twice(self) -> None:
        ids = [alert.id for alert in self.alerts.alerts]
        assert len(ids) == len(set(ids))

    @invariant()
    def states_say_what_is_present(self) -> None:
        for alert in self.alerts.alerts:
            assert alert.is_present == (alert.state is not AlertState.LATCHED)
            assert (alert.state is AlertState.ACKNOWLEDGED) == (alert.acknowledged_by is not None)
            assert alert.state is not AlertState.LATCHED or RULES[alert.rule].is_latching

    @invariant()
    def the_store_knows_every_open_alert(self) -> None:
        is_open = {alert.id: alert.state for alert in self.alerts.alerts}
        assert is_open == {key: state for key, state in self.states.items() if state is not AlertState.CLEAR}


AlertsOfOneBed.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


TestAlertsOfOneBed = AlertsOfOneBed.TestCase
