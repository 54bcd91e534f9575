"""All alerts of one bed: observations in, transitions out.

Each of the three paths is a method of its own and touches only the alerts of its
own rules; when one fails, the caller reports it to `push_technical` and goes on
with the other two.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from hub.alerts.conditions import (
    Condition,
    LevelObservation,
    Presence,
    SignalObservation,
    TechnicalObservation,
    escalated_priority,
    level_conditions,
    rate_conditions,
    technical_conditions,
)
from hub.alerts.lifecycle import Event, next_state
from hub.alerts.limits import RULES, AlertRule, is_higher
from hub.alerts.raw_rate import RateViolation, RawRateObservation, raw_rate_seconds, signal_loss_seconds
from hub.model import AckReason, Alert, AlertPath, AlertState, AlertTransition

__all__ = [
    "BedAlerts",
    "LevelObservation",
    "RateViolation",
    "RawRateObservation",
    "SignalObservation",
    "TechnicalObservation",
    "raw_rate_seconds",
    "signal_loss_seconds",
]

Key = tuple[str, int | None]

_AT_RAISE = "segments"
"""Value that keeps how many segments had confirmed a level when its alert was raised."""


class BedAlerts:
    """The alerts of one bed.  At most one is open for a rule and a fetus; repeats update it.

    Push live observations only: data that came late must never raise an alert, and
    nothing in an observation tells late from live.  `t_ms` is the hub's time and
    need not agree with the sites' clocks.
    """

    def __init__(self, site: str, bed: str, *, rules: Mapping[str, AlertRule] = RULES) -> None:
        self.site = site
        self.bed = bed
        self._rules = rules
        self._alerts: dict[Key, Alert] = {}

    @property
    def alerts(self) -> list[Alert]:
        """Every alert that is not clear, in the order in which they were raised."""
        return sorted(self._alerts.values(), key=lambda alert: (alert.raised_ms, alert.id))

    def has_open(self, path: AlertPath) -> bool:
        """Say whether an alert of a path is open; if not, a quiet observation need not be pushed."""
        return any(alert.path is path for alert in self._alerts.values())

    def push_raw(self, obs: RawRateObservation, t_ms: int) -> list[AlertTransition]:
        """Take the raw rate of one fetus; without signal its alerts stay as they are."""
        return self._apply(rate_conditions(obs, self._rules), t_ms)

    def push_level(self, obs: LevelObservation, t_ms: int) -> list[AlertTransition]:
        """Take the shown level of one fetus; 「判定不能」 ends no level alert."""
        return self._apply(level_conditions(obs, self._rules), t_ms)

    def push_technical(self, obs: TechnicalObservation, t_ms: int) -> list[AlertTransition]:
        """Take what is known of link, device and signals, and of failures of the other paths."""
        return self._apply(technical_conditions(obs, self._rules), t_ms)

    def acknowledge(self, alert_id: str, *, by: str, reason: AckReason, t_ms: int) -> AlertTransition:
        """Take a person's acknowledgement.

        Raises KeyError if no such alert is open, ValueError if nobody is named or the
        alert is acknowledged already.
        """
        if not by.strip():
            msg = f"{alert_id}: expected the name of a person, got {by!r}"
            raise ValueError(msg)
        alert = next((alert for alert in self._alerts.values() if alert.id == alert_id), None)
        if alert is None:
            msg = f"{self.site}/{self.bed}: expected the id of an open alert, got {alert_id!r}"
            raise KeyError(msg)
        named = replace(alert, acknowledged_by=by.strip(), acknowledged_ms=t_ms, ack_reason=reason)
        return self._move(named, Event.ACKNOWLEDGED, t_ms, by=by.strip())

    def end_monitoring(self, t_ms: int, *, fetus: int | None = None) -> list[AlertTransition]:
        """Take every condition of the bed, or of one fetus, for gone: nobody is monitored there any more.

        Latched alerts stay until they are acknowledged.
        """
        return [
            self._resolve(alert, t_ms)
            for alert in self.alerts
            if alert.is_present and fetus in (None, alert.fetus)
        ]

    def restore(self, alerts: Iterable[Alert]) -> None:
        """Take over stored alerts after a restart; what is open here already stays, clear ones are left out.

        Nothing is raised again: the next observation finds its alert open and updates
        it.  Rebuild the rings first, or that observation may find the condition gone.
        Raises ValueError if an alert belongs to another bed.
        """
        for alert in sorted(alerts, key=lambda alert: alert.changed_ms, reverse=True):
            if (alert.site, alert.bed) != (self.site, self.bed):
                msg = f"{self.site}/{self.bed}: expected alerts of this bed, got {alert.id}"
                raise ValueError(msg)
            if alert.state is AlertState.CLEAR:
                continue
            is_orphan = alert.rule not in self._rules  # no observation will ever end it: a person has to
            kept = replace(alert, state=AlertState.LATCHED, is_present=False) if is_orphan else alert
            self._alerts.setdefault((kept.rule, kept.fetus), kept)

    def _apply(self, conditions: Iterable[Condition], t_ms: int) -> list[AlertTransition]:
        moves = (self._apply_one(condition, t_ms) for condition in conditions)
        return [move for move in moves if move is not None]

    def _apply_one(self, condition: Condition, t_ms: int) -> AlertTransition | None:
        alert = self._alerts.get((condition.rule, condition.fetus))
        if condition.presence is Presence.UNKNOWN:
            return None
        if condition.presence is Presence.ABSENT:
            return self._resolve(alert, t_ms) if alert is not None and alert.is_present else None
        if alert is not None and alert.is_present:
            return self._update(alert, condition, t_ms)
        if condition.presence is Presence.PENDING:
            return None
        return self._raise(alert, condition, t_ms)

    def _raise(self, alert: Alert | None, condition: Condition, t_ms: int) -> AlertTransition:
        if alert is None:
            alert = Alert(
                id=f"{self.site}.{self.bed}.{condition.fetus or 0}.{condition.rule}.{condition.onset_ms}",
                site=self.site,
                bed=self.bed,
                fetus=condition.fetus,
                rule=condition.rule,
                path=self._rules[condition.rule].path,
                priority=condition.priority,
                state=AlertState.CLEAR,
                is_present=True,
                onset_ms=condition.onset_ms,
                raised_ms=t_ms,
                changed_ms=t_ms,
            )
        elif is_higher(condition.priority, alert.priority):
            alert = replace(alert, priority=condition.priority)
        values = condition.values | {_AT_RAISE: condition.segments}
        return self._move(replace(alert, is_present=True, values=values), Event.ONSET, t_ms)

    def _update(self, alert: Alert, condition: Condition, t_ms: int) -> AlertTransition | None:
        """Refresh an open alert; only a higher priority moves it."""
        alert = replace(alert, values=alert.values | condition.values)
        self._alerts[alert.rule, alert.fetus] = alert
        priority = escalated_priority(self._rules[condition.rule], condition, _segments_at_raise(alert))
        if condition.presence is not Presence.PRESENT or not is_higher(priority, alert.priority):
            return None
        raised = replace(
            alert, priority=priority, acknowledged_by=None, acknowledged_ms=None, ack_reason=None
        )
        return self._move(raised, Event.ESCALATED, t_ms)

    def _resolve(self, alert: Alert, t_ms: int) -> AlertTransition:
        return self._move(replace(alert, is_present=False), Event.RESOLVED, t_ms)

    def _move(self, alert: Alert, event: Event, t_ms: int, *, by: str | None = None) -> AlertTransition:
        rule = self._rules.get(alert.rule)
        state = next_state(alert.state, event, is_latching=rule is None or rule.is_latching)
        moved = replace(alert, state=state, changed_ms=t_ms)
        if state is AlertState.CLEAR:
            self._alerts.pop((alert.rule, alert.fetus), None)
        else:
            self._alerts[alert.rule, alert.fetus] = moved
        return AlertTransition(
            alert=moved, from_state=alert.state, to_state=state, cause=event.value, t_ms=t_ms, by=by
        )


def _segments_at_raise(alert: Alert) -> int:
    count = alert.values.get(_AT_RAISE, 0)
    return int(count)
