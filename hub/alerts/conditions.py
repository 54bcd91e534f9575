"""Is it present now?  Pure predicates from observations to conditions; no state, no clock."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from math import isnan
from typing import Final

from hub.alerts.limits import PRIORITY_ORDER, URGENT_LEVEL, AlertRule
from hub.alerts.raw_rate import RawRateObservation
from hub.model import Priority

LEVEL_RULES: Final = {3: "level_3", 4: "level_4", 5: "level_5"}

Values = dict[str, float | str]


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelObservation:
    """What the classified level of one fetus says now; contractions belong to the bed.

    `level` is the shown level, None for 「判定不能」; it stands since `since_ms`, and
    the window that says so ends at `end_ms`, both on the site's clock.
    `segments_at_level` counts the complete segments that confirmed it.  Contractions
    are None while unknown.
    """

    fetus: int
    level: int | None
    since_ms: int
    end_ms: int
    from_level: int | None = None
    segments_at_level: int = 0
    why: str = ""
    """Why there is no level, a value of `hub.model.Indeterminate`."""
    contractions_per_10min: int | None = None
    """In the rolling window."""
    segment_contractions: int | None = None
    """In the newest complete segment."""
    has_uterotonic: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalObservation:
    """The signal of one fetus that is being monitored: how long lost, how long like the mother's rate."""

    fetus: int
    loss_s: float
    loss_since_ms: int
    signal_percent: float
    """Share of the last 10 minutes that carries signal."""
    coincidence_s: float = 0.0
    coincidence_since_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TechnicalObservation:
    """What is known of link, device, signal and of the paths themselves.

    `age_s` is the time since the last live frame, measured on a monotonic clock;
    `head_ms` is the end of that frame.  `signals` is left empty while there are no
    new samples: silence is its own alert.  `faults` names the paths that failed,
    with the reason.  `is_monitored` is False for a bed that nobody is on.
    """

    age_s: float
    head_ms: int
    is_monitored: bool = True
    why: str = "no_data"
    last_level: int | None = None
    """Worst level of the bed's fetuses, the last one known if there is none now."""
    is_second_stage: bool = False
    signals: tuple[SignalObservation, ...] = ()
    faults: Mapping[str, str] = field(default_factory=dict)
    is_contested: bool = False
    """Two feeds use the same site and bed: the trace may be of two women."""
    has_conflict: bool = False
    """A frame came under the identity of another one with other content."""


class Presence(StrEnum):
    """Whether a condition is there."""

    PRESENT = "present"
    PENDING = "pending"
    """There, but not yet for its delay: raises nothing, and ends nothing."""
    ABSENT = "absent"
    UNKNOWN = "unknown"
    """Cannot be told now: whatever stands, stays."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One alert condition of one fetus (None: of the bed) as it is now."""

    rule: str
    fetus: int | None
    presence: Presence
    priority: Priority
    onset_ms: int
    duration_s: float = 0.0
    segments: int = 0
    values: Values = field(default_factory=dict)


def rate_conditions(obs: RawRateObservation, rules: Mapping[str, AlertRule]) -> list[Condition]:
    """Check one fetal heart rate against every raw-rate limit."""
    return [
        Condition(
            rule=one.rule,
            fetus=obs.fetus,
            presence=(
                Presence.UNKNOWN
                if isnan(one.duration_s)
                else _presence(one.duration_s, rules[one.rule].delay_s)
            ),
            priority=rules[one.rule].priority,
            onset_ms=one.onset_ms,
            duration_s=one.duration_s,
            values={
                "value_bpm": one.value_bpm,
                "limit_bpm": rules[one.rule].limit if one.limit_bpm is None else one.limit_bpm,
                "duration_s": one.duration_s,
            },
        )
        for one in obs.violations
    ]


def level_conditions(obs: LevelObservation, rules: Mapping[str, AlertRule]) -> list[Condition]:
    """Check the shown level of one fetus, its lack, and the contractions of the bed."""
    levels = [_level_condition(obs, level, rules[key]) for level, key in LEVEL_RULES.items()]
    return [
        *levels,
        _indeterminate(obs, rules["indeterminate"]),
        _tachysystole(obs, rules["tachysystole"]),
    ]


def technical_conditions(obs: TechnicalObservation, rules: Mapping[str, AlertRule]) -> list[Condition]:
    """Check link, device, signals and the paths of one bed."""
    signals = [
        condition
        for signal in obs.signals
        for condition in (
            _signal_loss(signal, obs, rules["signal_loss"]),
            _coincidence(signal, obs, rules["coincidence"]),
        )
    ]
    return [
        _silent(obs, rules["silent"]),
        *signals,
        _path_fault(obs, rules["path_fault"]),
        _plain(obs, rules["two_feeds"], is_present=obs.is_contested),
        _plain(obs, rules["identity_conflict"], is_present=obs.has_conflict),
    ]


def escalated_priority(rule: AlertRule, condition: Condition, segments_at_raise: int) -> Priority:
    """Tell the priority of an open alert whose condition has gone on until now."""
    after_s, after_segments = rule.escalates_after_s, rule.escalates_after_segments
    is_long = after_s is not None and condition.duration_s >= after_s
    is_confirmed = after_segments is not None and condition.segments - segments_at_raise >= after_segments
    if rule.escalates_to is not None and (is_long or is_confirmed):
        return max(rule.escalates_to, condition.priority, key=PRIORITY_ORDER.index)
    return condition.priority


def _level_condition(obs: LevelObservation, level: int, rule: AlertRule) -> Condition:
    presence = Presence.PRESENT if obs.level == level else Presence.ABSENT
    if obs.level is None:
        presence = Presence.UNKNOWN
    elif obs.level == level and rule.needs_complete_segment and obs.segments_at_level < 1:
        presence = Presence.PENDING
    duration_s = (obs.end_ms - obs.since_ms) / 1000
    return Condition(
        rule=rule.key,
        fetus=obs.fetus,
        presence=presence,
        priority=rule.priority,
        onset_ms=obs.since_ms,
        duration_s=duration_s,
        segments=obs.segments_at_level,
        values={
            "level": level,
            "from_level": "-" if obs.from_level is None else obs.from_level,
            "limit_level": rule.limit,
            "duration_s": duration_s,
        },
    )


def _indeterminate(obs: LevelObservation, rule: AlertRule) -> Condition:
    duration_s = (obs.end_ms - obs.since_ms) / 1000
    return Condition(
        rule=rule.key,
        fetus=obs.fetus,
        presence=Presence.ABSENT
        if obs.level is not None
        else _presence(duration_s, rule.delay_s, pending=True),
        priority=rule.priority,
        onset_ms=obs.since_ms,
        duration_s=duration_s,
        values={
            "why": obs.why,
            "duration_s": duration_s,
            "duration_min": int(duration_s // 60),
            "limit_s": rule.delay_s,
        },
    )


def _tachysystole(obs: LevelObservation, rule: AlertRule) -> Condition:
    counts = [obs.segment_contractions, obs.contractions_per_10min if obs.has_uterotonic else None]
    known = [count for count in counts if count is not None]
    count = max(known, default=0)
    presence = Presence.PRESENT if count > rule.limit else Presence.ABSENT if known else Presence.UNKNOWN
    return Condition(
        rule=rule.key,
        fetus=None,
        presence=presence,
        priority=rule.urgent_priority if obs.has_uterotonic and rule.urgent_priority else rule.priority,
        onset_ms=obs.since_ms,
        values={"count": count, "limit_count": rule.limit, "duration_s": 600.0},
    )


def _silent(obs: TechnicalObservation, rule: AlertRule) -> Condition:
    is_silent = obs.is_monitored and obs.age_s >= rule.delay_s
    return Condition(
        rule=rule.key,
        fetus=None,
        presence=Presence.PRESENT if is_silent else Presence.ABSENT,
        priority=rule.urgent_priority if _is_high_level(obs) and rule.urgent_priority else rule.priority,
        onset_ms=obs.head_ms,
        duration_s=obs.age_s,
        values={"age_s": obs.age_s, "why": obs.why, "limit_s": rule.delay_s, "duration_s": obs.age_s},
    )


def _signal_loss(signal: SignalObservation, obs: TechnicalObservation, rule: AlertRule) -> Condition:
    is_urgent = obs.is_second_stage or _is_high_level(obs)
    delay_s = rule.urgent_delay_s if is_urgent and rule.urgent_delay_s is not None else rule.delay_s
    return Condition(
        rule=rule.key,
        fetus=signal.fetus,
        presence=_presence(signal.loss_s, delay_s) if obs.is_monitored else Presence.ABSENT,
        priority=rule.priority,
        onset_ms=signal.loss_since_ms,
        duration_s=signal.loss_s,
        values={
            "signal_percent": signal.signal_percent,
            "limit_s": delay_s,
            "duration_s": signal.loss_s,
        },
    )


def _coincidence(signal: SignalObservation, obs: TechnicalObservation, rule: AlertRule) -> Condition:
    return Condition(
        rule=rule.key,
        fetus=signal.fetus,
        presence=_presence(signal.coincidence_s, rule.delay_s) if obs.is_monitored else Presence.ABSENT,
        priority=rule.priority,
        onset_ms=signal.coincidence_since_ms,
        duration_s=signal.coincidence_s,
        values={"limit_s": rule.delay_s, "duration_s": signal.coincidence_s},
    )


def _path_fault(obs: TechnicalObservation, rule: AlertRule) -> Condition:
    paths = sorted(obs.faults)
    is_urgent = len(paths) > 1 and rule.urgent_priority is not None
    return Condition(
        rule=rule.key,
        fetus=None,
        presence=Presence.PRESENT if paths else Presence.ABSENT,
        priority=rule.urgent_priority if is_urgent and rule.urgent_priority else rule.priority,
        onset_ms=obs.head_ms,
        values={"path": ", ".join(paths), "why": "; ".join(obs.faults[path] for path in paths)},
    )


def _plain(obs: TechnicalObservation, rule: AlertRule, *, is_present: bool) -> Condition:
    return Condition(
        rule=rule.key,
        fetus=None,
        presence=Presence.PRESENT if is_present else Presence.ABSENT,
        priority=rule.priority,
        onset_ms=obs.head_ms,
    )


def _presence(duration_s: float, delay_s: float, *, pending: bool = False) -> Presence:
    if duration_s <= 0 and not pending:
        return Presence.ABSENT
    return Presence.PRESENT if duration_s >= delay_s else Presence.PENDING


def _is_high_level(obs: TechnicalObservation) -> bool:
    return obs.last_level is not None and obs.last_level >= URGENT_LEVEL
