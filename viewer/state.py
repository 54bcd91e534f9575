"""What the console knows, and since when.  No Qt, no clock: `now_s` is the console's own monotonic time."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from hub.errors import WireError
from hub.model import (
    Alert,
    AlertState,
    BedAnalysis,
    BedEvent,
    BedView,
    HubNotice,
    LiveMessage,
    Priority,
    WaveEntry,
)
from hub.wire import decode_wave
from viewer.rings import Ring, is_backfill

HUB_DARK_S: Final = 3.0
"""A hub silent for longer is shown as dark (design.md 4.3, goal R10)."""

_PROMPT_MS: Final = 2_000
"""A frame this fresh when the hub sent it counts as live evidence."""
_DRIFT: Final = 0.02
_CLOCK_STEP_MS: Final = 60_000
_EVENTS_KEPT: Final = 500

Key = str
"""`site/bed`."""

_PRIORITY_ORDER: Final = {Priority.HIGH: 0, Priority.MEDIUM: 1, Priority.LOW: 2}


@dataclass(frozen=True, slots=True)
class LevelChange:
    """The shown level of a bed moved; None is 「判定不能」."""

    t_ms: int
    key: Key
    from_level: int | None
    to_level: int | None


class Transport:
    """How long messages of one connection were under way, without comparing two machines' clocks.

    The promptest message sets the offset between the hub's clock and ours; a later
    message that beats it less well has waited by the difference.  The first one
    cannot be older than the time since the hub was greeted.
    """

    def __init__(self, greeted_s: float) -> None:
        self._greeted_s = greeted_s
        self._offset_ms: float | None = None
        self._bound_ms = 0.0

    def push(self, t_ms: int, now_s: float) -> float:
        """Most that a message stamped `t_ms` and received now can have been under way, in s."""
        offset = now_s * 1000 - t_ms
        if self._offset_ms is None:
            self._offset_ms = offset
            self._bound_ms = max(0.0, (now_s - self._greeted_s) * 1000)
        if offset < self._offset_ms:
            self._bound_ms = max(0.0, self._bound_ms - (self._offset_ms - offset))
            self._offset_ms = offset
        return (offset - self._offset_ms + self._bound_ms) / 1000


@dataclass(slots=True)
class Bed:
    """One bed: its view, its samples, and when its data last proved to be live."""

    view: BedView
    ring: Ring = field(default_factory=Ring)
    analysis: BedAnalysis | None = None
    events: list[BedEvent] = field(default_factory=list)
    fresh_s: float | None = None
    """Own time at which the newest live frame is known to have reached the hub, at the latest."""
    revision: int = 0
    """Grows with whatever changes the strip."""
    view_revision: int = 0
    """Grows with every view from the hub."""
    is_namesake: bool = False
    """Another site has a bed of the same name, so the site belongs to it."""
    head_at_join: int | None = None
    """Head of the ring when the present connection began."""
    _edge_offset_ms: float | None = None

    @property
    def label(self) -> str:
        """What the bed is called at its site."""
        return self.view.label or self.view.bed

    def age_s(self, now_s: float) -> float | None:
        """Time since live data last reached the hub; None when it never did."""
        return None if self.fresh_s is None else max(0.0, now_s - self.fresh_s)

    def edge_ms(self, now_s: float) -> int | None:
        """Right edge of the strip on the site's clock; it moves on when the data do not."""
        if self._edge_offset_ms is None:
            return self.ring.head_ms
        return round(now_s * 1000 + self._edge_offset_ms)

    def follow_edge(self, end_ms: int, now_s: float) -> None:
        """Take note of a live frame: the promptest one sets the edge, later ones pull it only slowly."""
        offset = end_ms - now_s * 1000
        held = self._edge_offset_ms
        if held is None or offset > held or held - offset > _CLOCK_STEP_MS:
            self._edge_offset_ms = offset
        else:
            self._edge_offset_ms = held + (offset - held) * _DRIFT


class Wall:
    """Everything the hub has said, by bed, and the time it last said anything."""

    def __init__(self) -> None:
        self.beds: dict[Key, Bed] = {}
        self.alerts: dict[str, Alert] = {}
        self.alert_revision = 0
        """Grows with every change of an alert."""
        self.notices: tuple[HubNotice, ...] = ()
        """What the hub said of itself last."""
        self.heard_s: float | None = None
        """Own time at which the hub is known to have been alive."""
        self.boot_id: str | None = None
        self.hub_ms: int | None = None
        self.delay_s = 0.0
        self.rejected = 0
        """Frames and messages that did not follow the protocol."""
        self._transport = Transport(0.0)

    # ------------------------------------------------------------- what comes in

    def join(self, greeted_s: float) -> None:
        """Begin a connection: nothing carries over but what was already on screen."""
        self._transport = Transport(greeted_s)
        for bed in self.beds.values():
            bed.head_at_join = bed.ring.head

    def push_message(self, message: LiveMessage, now_s: float) -> None:
        """Take in a snapshot or an update."""
        self._hear(message.t_ms, now_s)
        self.notices = message.notices
        if message.type == "snapshot":
            self.alerts.clear()
            self.alert_revision += 1
            self.boot_id = message.boot_id
        for view in message.beds:
            self._push_view(view, now_s)
        self._mark_namesakes()
        for alert in message.alerts:
            self.push_alert(alert)
        for key, events in message.events.items():
            if key in self.beds:
                _merge_events(self.beds[key].events, events)
                self.beds[key].revision += 1

    def push_waves(self, entries: Iterable[WaveEntry], t_ms: int, now_s: float) -> None:
        """Take in one wave batch."""
        self._hear(t_ms, now_s)
        for entry in entries:
            bed = self.beds.get(f"{entry.site}/{entry.bed}")
            if bed is None:
                continue
            try:
                frame = decode_wave(entry.payload, site=entry.site, bed=entry.bed)
            except WireError:
                self.rejected += 1
                continue
            waited_ms = t_ms - entry.arrived_ms
            is_replay = frame.epoch == frame.seq == 0
            late_ms = 0
            if is_backfill(frame):
                late_ms = entry.arrived_ms
            elif is_replay and bed.head_at_join is not None:
                # This console was open before: what the replay adds, it has missed.
                late_ms = t_ms
            bed.ring.push(frame, late_ms)
            bed.revision += 1
            # A replay is no proof that anything is live.
            if late_ms == 0 and not is_replay and 0 <= waited_ms <= _PROMPT_MS:
                fresh_s = now_s - self.delay_s - waited_ms / 1000
                bed.fresh_s = fresh_s if bed.fresh_s is None else max(bed.fresh_s, fresh_s)
                bed.follow_edge(frame.end_ms, fresh_s)

    def push_alert(self, alert: Alert) -> None:
        """Take in one alert as it now stands; an older standing than the one held is left out."""
        self.alert_revision += 1
        held = self.alerts.get(alert.id)
        if held is not None and held.changed_ms > alert.changed_ms:
            return
        if alert.state is AlertState.CLEAR:
            self.alerts.pop(alert.id, None)
        else:
            self.alerts[alert.id] = alert

    # ---------------------------------------------------------------- what is said

    def silent_s(self, now_s: float) -> float | None:
        """Time since the hub last spoke; None when it never did."""
        return None if self.heard_s is None else max(0.0, now_s - self.heard_s)

    def is_dark(self, now_s: float) -> bool:
        """Whether the hub has been silent for too long to believe anything on screen."""
        silent_s = self.silent_s(now_s)
        return silent_s is None or silent_s > HUB_DARK_S

    def now_ms(self, now_s: float) -> int:
        """Time of the hub's clock, carried on with our own."""
        if self.hub_ms is None or self.heard_s is None:
            return 0
        return self.hub_ms + round((now_s - self.heard_s) * 1000)

    def bed_keys(self) -> list[Key]:
        """Beds in the order of the wall: site, then bed; nothing moves of itself."""
        return sorted(self.beds)

    def unacknowledged(self) -> list[Alert]:
        """Alerts that wait for a person: by priority, then the oldest first."""
        waiting = (a for a in self.alerts.values() if a.state in (AlertState.ACTIVE, AlertState.LATCHED))
        return sorted(waiting, key=_rank)

    def acknowledged(self) -> list[Alert]:
        """Alerts that somebody answers for and whose condition has not cleared."""
        held = (a for a in self.alerts.values() if a.state is AlertState.ACKNOWLEDGED)
        return sorted(held, key=_rank)

    def waiting_at(self, key: Key) -> list[Alert]:
        """Unacknowledged alerts of one bed, the most urgent first."""
        return [a for a in self.unacknowledged() if f"{a.site}/{a.bed}" == key]

    def acknowledged_at(self, key: Key) -> list[Alert]:
        """Acknowledged alerts of one bed, the most urgent first."""
        return [a for a in self.acknowledged() if f"{a.site}/{a.bed}" == key]

    # --------------------------------------------------------------------- private

    def _hear(self, t_ms: int, now_s: float) -> None:
        self.delay_s = self._transport.push(t_ms, now_s)
        heard_s = now_s - self.delay_s
        if self.heard_s is None or heard_s >= self.heard_s:
            self.heard_s, self.hub_ms = heard_s, t_ms

    def _push_view(self, view: BedView, now_s: float) -> None:
        key = f"{view.site}/{view.bed}"
        bed = self.beds.get(key)
        if bed is None:
            bed = self.beds[key] = Bed(view)
        bed.view = view
        vitals = view.vitals
        if vitals.age_ms is None:
            bed.fresh_s = None
        else:
            bed.fresh_s = now_s - self.delay_s - vitals.age_ms / 1000
        if vitals.head_ms is not None:
            bed.ring.expect_head(vitals.head_ms)
            if bed.edge_ms(now_s) is None and bed.fresh_s is not None:
                bed.follow_edge(vitals.head_ms, bed.fresh_s)
        if view.analysis is not None:
            bed.analysis = view.analysis
            bed.revision += 1
        bed.view_revision += 1

    def _mark_namesakes(self) -> None:
        names = Counter(bed.label for bed in self.beds.values())
        for bed in self.beds.values():
            bed.is_namesake = names[bed.label] > 1


def recent_changes(beds: Mapping[Key, Bed], since_ms: int) -> list[LevelChange]:
    """List the moves of the shown levels since a time, the newest first, as the ribbons tell them."""
    found = [
        LevelChange(after.start_ms, key, before.level, after.level)
        for key, bed in beds.items()
        for fetus in (bed.analysis.fetuses if bed.analysis else ())
        for before, after in pairwise(fetus.ribbon)
        if after.start_ms >= since_ms and before.level != after.level
    ]
    return sorted(found, key=lambda change: -change.t_ms)


def worst_level(analysis: BedAnalysis | None) -> int | None:
    """Level of a bed: the worst of its fetuses.  Not knowing one of them hides a 1 or 2, never a 3 to 5."""
    if analysis is None or not analysis.fetuses:
        return None
    levels = [fetus.level for fetus in analysis.fetuses]
    known = [level for level in levels if level is not None]
    if not known or (len(known) < len(levels) and max(known) < 3):
        return None
    return max(known)


def _rank(alert: Alert) -> tuple[int, int]:
    return _PRIORITY_ORDER[alert.priority], alert.raised_ms


def _merge_events(held: list[BedEvent], new: Sequence[BedEvent]) -> None:
    seen = {event.id for event in held}
    held.extend(event for event in new if event.id not in seen)
    held.sort(key=lambda event: event.t_ms)
    del held[:-_EVENTS_KEPT]
