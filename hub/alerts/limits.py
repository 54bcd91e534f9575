"""Every limit, delay and priority of the alerts, as data.

All of it is tagged E: an engineering proposal that an obstetrician must sign
(question Q5).  A site may run with other numbers by passing its own rules to
`BedAlerts`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from hub.model import AlertPath, Evidence, Priority


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRule:
    """When one condition becomes an alert, and how urgent it is.

    The condition must have lasted `delay_s`.  In an urgent case, named in
    `urgent_when`, `urgent_delay_s` and `urgent_priority` take their place.  An open
    alert rises to `escalates_to` once its condition has lasted `escalates_after_s`,
    or once `escalates_after_segments` more complete segments have confirmed it.
    """

    key: str
    path: AlertPath
    priority: Priority
    limit: float
    unit: str
    delay_s: float = 0.0
    is_latching: bool
    needs_complete_segment: bool = False
    urgent_when: str = ""
    urgent_delay_s: float | None = None
    urgent_priority: Priority | None = None
    escalates_to: Priority | None = None
    escalates_after_s: float | None = None
    escalates_after_segments: int | None = None
    evidence: Evidence = "E"


URGENT_LEVEL: Final = 3
"""From this JSOG level on signal loss and silence are urgent (E)."""

PROLONGED_DROP_BPM: Final = 15.0
"""A rate at least this far under its baseline is a fall (E, after the prolonged deceleration)."""

RECOVERY_S: Final = 10.0
"""Back inside the limit for longer than this: the violation has ended (E)."""

RECOVERY_SEEN_S: Final = 1.0
"""Less signal than this inside the limit is no recovery (E)."""

LOSS_BRIDGED_S: Final = 60.0
"""A loss of signal up to this long does not end a violation (E)."""

SEEN_FRACTION: Final = 0.5
"""A violation counts only as far as it was seen for this share of its time (E)."""

SIGNAL_PIECE_S: Final = 5.0
"""There is signal again once half of a stretch of this length carries some (E)."""

PRIORITY_ORDER: Final = (Priority.LOW, Priority.MEDIUM, Priority.HIGH)


def _rules(*rules: AlertRule) -> Mapping[str, AlertRule]:
    return {rule.key: rule for rule in rules}


RULES: Final = _rules(
    AlertRule(
        key="fhr_below_80",
        path=AlertPath.RAW_RATE,
        priority=Priority.HIGH,
        limit=80.0,
        unit="bpm",
        delay_s=60.0,
        is_latching=True,
    ),
    AlertRule(
        key="fhr_below_110_prolonged",
        path=AlertPath.RAW_RATE,
        priority=Priority.MEDIUM,
        limit=110.0,
        unit="bpm",
        delay_s=120.0,
        is_latching=True,
    ),
    AlertRule(
        key="fhr_below_110",
        path=AlertPath.RAW_RATE,
        priority=Priority.HIGH,
        limit=110.0,
        unit="bpm",
        delay_s=240.0,
        is_latching=True,
    ),
    AlertRule(
        key="fhr_above_160",
        path=AlertPath.RAW_RATE,
        priority=Priority.MEDIUM,
        limit=160.0,
        unit="bpm",
        delay_s=300.0,
        is_latching=False,
    ),
    AlertRule(
        key="level_3",
        path=AlertPath.LEVEL,
        priority=Priority.LOW,
        limit=3.0,
        unit="JSOG level",
        is_latching=False,
        needs_complete_segment=True,
        escalates_to=Priority.MEDIUM,
        escalates_after_segments=1,
    ),
    AlertRule(
        key="level_4",
        path=AlertPath.LEVEL,
        priority=Priority.MEDIUM,
        limit=4.0,
        unit="JSOG level",
        is_latching=True,
        escalates_to=Priority.HIGH,
        escalates_after_segments=1,
    ),
    AlertRule(
        key="level_5",
        path=AlertPath.LEVEL,
        priority=Priority.HIGH,
        limit=5.0,
        unit="JSOG level",
        is_latching=True,
    ),
    AlertRule(
        key="tachysystole",
        path=AlertPath.LEVEL,
        priority=Priority.LOW,
        limit=5.0,
        unit="contractions/10 min, more than",
        is_latching=False,
        urgent_when="a uterotonic is given: rolling window instead of a complete segment",
        urgent_priority=Priority.MEDIUM,
    ),
    AlertRule(
        key="coincidence",
        path=AlertPath.TECHNICAL,
        priority=Priority.MEDIUM,
        limit=5.0,
        unit="bpm between fetal and maternal rate",
        delay_s=60.0,
        is_latching=False,
    ),
    AlertRule(
        key="signal_loss",
        path=AlertPath.TECHNICAL,
        priority=Priority.LOW,
        limit=50.0,
        unit="% of each 5 s",
        delay_s=120.0,
        is_latching=False,
        urgent_when="second stage of labour, or last level 3 or more",
        urgent_delay_s=60.0,
        escalates_to=Priority.MEDIUM,
        escalates_after_s=300.0,
    ),
    AlertRule(
        key="silent",
        path=AlertPath.TECHNICAL,
        priority=Priority.MEDIUM,
        # The clinical proposal is 10 s; the reliability goal is an alert within 5 s of the last
        # frame, with a check each second.
        limit=4.0,
        unit="s without a frame",
        delay_s=4.0,
        is_latching=True,
        urgent_when="last level 3 or more",
        urgent_priority=Priority.HIGH,
    ),
    AlertRule(
        key="indeterminate",
        path=AlertPath.TECHNICAL,
        priority=Priority.MEDIUM,
        limit=20.0,
        unit="min",
        delay_s=1200.0,
        is_latching=False,
    ),
    AlertRule(
        key="path_fault",
        path=AlertPath.TECHNICAL,
        priority=Priority.MEDIUM,
        limit=0.0,
        unit="failed paths",
        is_latching=True,
        urgent_when="two paths fail at once",
        urgent_priority=Priority.HIGH,
    ),
    AlertRule(
        key="two_feeds",
        path=AlertPath.TECHNICAL,
        priority=Priority.HIGH,
        limit=1.0,
        unit="feeds",
        is_latching=True,
    ),
    AlertRule(
        key="identity_conflict",
        path=AlertPath.TECHNICAL,
        priority=Priority.MEDIUM,
        limit=0.0,
        unit="frames put aside",
        is_latching=False,
    ),
)


def is_higher(priority: Priority, other: Priority) -> bool:
    """Say whether `priority` is more urgent than `other`."""
    return PRIORITY_ORDER.index(priority) > PRIORITY_ORDER.index(other)
