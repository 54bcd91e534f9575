"""Alerts in the words of IEC 60601-1-8."""

from dataclasses import dataclass, field
from enum import StrEnum


class Priority(StrEnum):
    """IEC 60601-1-8 priorities."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class AlertPath(StrEnum):
    """The three independent paths; a fault in one leaves the other two working."""

    RAW_RATE = "raw_rate"
    LEVEL = "level"
    TECHNICAL = "technical"


class AlertState(StrEnum):
    CLEAR = "clear"
    ACTIVE = "active"
    ACKNOWLEDGED = "acknowledged"
    LATCHED = "latched"


class AckReason(StrEnum):
    """Why an alert may rest: keys 1 to 4 on the consoles."""

    WATCHING = "watching"
    AT_BEDSIDE = "at_bedside"
    ARTEFACT = "artefact"
    TREATED = "treated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One alert of one bed as it stands; repeats update it, `id` is deterministic.

    The sentence is `alert.{rule}` in the text catalogue, filled from `values`.
    """

    id: str
    site: str
    bed: str
    fetus: int | None
    rule: str
    path: AlertPath
    priority: Priority
    state: AlertState
    is_present: bool
    onset_ms: int
    raised_ms: int
    changed_ms: int
    values: dict[str, float | str] = field(default_factory=dict)
    acknowledged_by: str | None = None
    acknowledged_ms: int | None = None
    ack_reason: AckReason | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertTransition:
    """An alert moved: what was stored and pushed, in order, never dropped."""

    alert: Alert
    from_state: AlertState
    to_state: AlertState
    cause: str
    t_ms: int
    by: str | None = None
