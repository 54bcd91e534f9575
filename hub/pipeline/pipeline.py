"""The pipeline of one worker: rings, analysis and alerts of its beds."""

from collections.abc import Collection, Iterable, Sequence
from typing import Final

from hub.acquisition.timeline import Arrival
from hub.model import (
    GRID_MS,
    AckReason,
    Alert,
    AlertTransition,
    BedEvent,
    BedState,
    BedView,
    Lane,
    LevelSpan,
    SiteHealth,
    SiteStatus,
    WaveEntry,
    WaveFrame,
)
from hub.pipeline.analysis import BedResult, Round
from hub.pipeline.beds import BedKey, Beds
from hub.pipeline.checks import check
from hub.pipeline.clocks import Clocks
from hub.pipeline.intake import Intake
from hub.pipeline.outcome import Outcome, accept
from hub.pipeline.turns import Turns
from hub.pipeline.views import bed_view, recent_frames

NUMBER_SAMPLES: Final = 2000 // GRID_MS
"""A number shown as current is no older than 2 s within its own trace (design: stale from 3 s)."""
CONFLICT_S: Final = 60.0
"""A bed is in conflict for so long after a frame that claimed the identity of another."""


class Pipeline:
    """All beds of a worker.  Methods are called from one thread; `run_analysis` alone runs elsewhere."""

    def __init__(self, *, boot_id: str, capacity_beds: int = 256) -> None:
        self.boot_id = boot_id
        self._beds = Beds(capacity_beds)
        self._turns = Turns(self._beds)
        self._intake = Intake(self._beds, self._turns)
        self._clocks = Clocks(self._beds)
        self._now_s = 0.0

    # ------------------------------------------------------------------ in

    def push_frame(self, frame: WaveFrame, *, lane: Lane, arrived_ms: int, now_s: float) -> Arrival | None:
        """Take one frame; None when there is no room for its bed.  `now_s` is monotonic."""
        self._now_s = now_s
        return self._intake.push(frame, lane=lane, arrived_ms=arrived_ms, now_s=now_s)

    def push_status(self, site: str, status: SiteStatus) -> None:
        """Take what a site says of itself; its last will comes this way too."""
        self._beds.note_status(site, status)

    def push_health(self, site: str, health: SiteHealth, now_ms: int, now_s: float) -> None:
        """Take what an agent measured of its clock; the time on both clocks of the hub comes with it."""
        self._clocks.take(site, health, now_ms, now_s)

    def push_state(self, site: str, bed: str, state: BedState) -> None:
        """Take what a site says of a bed's device; the bed itself begins with its first frame."""
        self._beds.note_state(site, bed, state)

    def push_event(self, site: str, bed: str, event: BedEvent) -> bool:
        """Take an event; False for one that is known already."""
        record = self._beds.get((site, bed))
        if record is None:
            return True  # to be stored; there is no strip yet to show it on
        if any(known.id == event.id for known in record.events):
            return False
        record.events.append(event)
        return True

    def note_conflict(self, site: str, bed: str, now_s: float) -> None:
        """Take from the store that a frame of a bed claimed the identity of another one."""
        if record := self._beds.get((site, bed)):
            record.conflict_until_s = now_s + CONFLICT_S

    def restore_frames(self, frames: Iterable[tuple[WaveFrame, Lane, int]]) -> None:
        """Rebuild the rings from stored frames in time order; no live state follows from them."""
        self._intake.restore(frames, self._now_s)

    def restore_alerts(self, alerts: Iterable[Alert]) -> list[Alert]:
        """Take over the alerts that were open when the worker ended.

        Gives those in whose place another stands, raised anew before the stored one came.
        """
        replaced = []
        for alert in sorted(alerts, key=lambda alert: alert.changed_ms, reverse=True):
            if bed := self._beds.open(alert.site, alert.bed, self._now_s):
                bed.alerts.restore([alert])
                if all(alert.id != known.id for known in bed.alerts.alerts):
                    replaced.append(alert)
        return replaced

    def restore_ribbon(self, site: str, bed: str, fetus: int, spans: Sequence[LevelSpan]) -> None:
        """Put the stored ribbon of a fetus, oldest first, before what is known of it."""
        if record := self._beds.open(site, bed, self._now_s):
            ribbon = record.fetus(fetus).ribbon
            known_from_ms = ribbon[0].start_ms if ribbon else None
            earlier = [span for span in spans if known_from_ms is None or span.end_ms <= known_from_ms]
            ribbon.extendleft(reversed(earlier))

    # ------------------------------------------------------ alerts, analysis

    def tick(self, now_ms: int, now_s: float, *, part: int = 0, parts: int = 1) -> list[AlertTransition]:
        """Check raw rates and technical conditions, once a second.

        Of `parts` calls in a second each takes its own share of the beds.
        """
        self._now_s = now_s
        self._clocks.watch(now_ms, now_s)
        some = self._beds.slice(part, parts)
        return check(self._beds, some, now_ms, now_s) if some else []

    def due_windows(self, second: int = 0, *, most: int | None = None) -> Round:
        """Copy out the beds whose turn it is; at most so many rows."""
        del second  # every bed has its own second of ten, by the phase of its row
        return self._turns.next_round(self._now_s, most)

    def accept(self, results: list[BedResult], now_ms: int) -> Outcome:
        """Take the results of a round: levels, ribbons, level alerts, segments for the store."""
        return accept(self._beds, results, now_ms)

    def alerts(self) -> list[Alert]:
        """All alerts that are not clear."""
        return [alert for bed in self._beds for alert in bed.alerts.alerts]

    def acknowledge(self, alert_id: str, *, by: str, reason: AckReason, now_ms: int) -> AlertTransition:
        """Acknowledge an alert.  Raises KeyError for an unknown one, ValueError when it may not be."""
        for bed in self._beds:
            if any(alert.id == alert_id for alert in bed.alerts.alerts):
                return bed.alerts.acknowledge(alert_id, by=by, reason=reason, t_ms=now_ms)
        raise KeyError(alert_id)

    # ------------------------------------------------------------------ out

    @property
    def refused_beds(self) -> int:
        """Frames of beds for which there was no room."""
        return self._beds.refused

    def bed_keys(self) -> list[BedKey]:
        """Every bed, in the order of site and bed."""
        return self._beds.keys()

    def site_statuses(self) -> dict[str, SiteStatus]:
        """Give what the sites say of themselves."""
        return {name: site.status for name, site in self._beds.sites.items() if site.status is not None}

    def unwatched(self, now_s: float) -> list[BedKey]:
        """Beds that send and for which there is no room."""
        return self._beds.unwatched(now_s)

    def views(self, keys: Collection[BedKey] | None, *, now_s: float, with_analysis: bool) -> list[BedView]:
        """Beds as the consoles show them; without `with_analysis` only what is new of it."""
        wanted = self.bed_keys() if keys is None else sorted(key for key in keys if key in self._beds)
        beds = [self._beds[key] for key in wanted]
        if not beds:
            return []
        ring = self._beds.ring
        newest = ring.newest([bed.row for bed in beds], NUMBER_SAMPLES).tolist()
        return [
            bed_view(
                bed,
                self._beds.sites.get(bed.site),
                newest=newest[index],
                head_ms=ring.head_ms(bed.row),
                age_ms=bed.lag.age_ms(now_s * 1000),
                analysis=bed.analysis if with_analysis or bed.is_analysis_new else None,
            )
            for index, bed in enumerate(beds)
        ]

    def mark_pushed(self, keys: Iterable[BedKey] | None = None) -> None:
        """Note that every new analysis of these beds, or of all, has been handed to the consoles."""
        for bed in self._beds if keys is None else (self._beds[key] for key in keys):
            bed.is_analysis_new = False

    def gestational_weeks(self, key: BedKey) -> float | None:
        """Gestational age that the site gave for a bed."""
        bed = self._beds.get(key)
        return bed.state.gestational_weeks if bed and bed.state else None

    def recent_waves(self, key: BedKey, span_s: float) -> list[WaveEntry]:
        """Return the newest samples of a bed as wave frames; none for an unknown bed."""
        bed = self._beds.get(key)
        if bed is None:
            return []
        ring = self._beds.ring
        samples, late_ms, end_ms = ring.window(bed.row, min(round(span_s * 1000 / GRID_MS), ring.n_samples))
        return list(recent_frames(bed, samples[0], late_ms[0], int(end_ms[0])))
