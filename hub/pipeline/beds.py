"""The beds of a worker: their samples, what the sites say of them, and those that find no room."""

import logging
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from hub.acquisition.ring import Ring
from hub.alerts.engine import BedAlerts
from hub.model import BedState, SiteStatus
from hub.pipeline.bed import Bed, Site

_log = logging.getLogger(__name__)

UNWATCHED_S: Final = 60.0
"""A bed without room that has not sent for so long is not counted any more."""
MAX_STATES: Final = 10_000
"""Sites, and beds without a frame, that are remembered: a flood of invented names ends there."""

BedKey = tuple[str, str]
"""Site and bed."""


class Beds:
    """All beds that have sent a frame, each with a row of the ring."""

    def __init__(self, capacity: int) -> None:
        self.ring = Ring(capacity)
        self.sites: dict[str, Site] = {}
        self.refused = 0
        """Frames of beds for which there was no room."""
        self._beds: dict[BedKey, Bed] = {}
        self._by_row: list[Bed] = []
        self._states: dict[BedKey, BedState] = {}
        """States of beds that have not sent a frame."""
        self._unwatched_s: dict[BedKey, float] = {}
        """When a bed without room last sent."""

    def __iter__(self) -> Iterator[Bed]:
        """Go through all beds in the order of their rows."""
        return iter(self._by_row)

    def __getitem__(self, key: BedKey) -> Bed:
        return self._beds[key]

    def __contains__(self, key: object) -> bool:
        return key in self._beds

    def get(self, key: BedKey) -> Bed | None:
        """Find a bed; None for one that has not sent a frame."""
        return self._beds.get(key)

    def of_row(self, row: int) -> Bed:
        """Give the bed of a row of the ring."""
        return self._by_row[row]

    def slice(self, part: int, parts: int) -> list[Bed]:
        """Give one of so many shares of the beds."""
        return self._by_row[part::parts]

    def keys(self) -> list[BedKey]:
        """Every bed, in the order of site and bed."""
        return sorted(self._beds)

    def open(self, site: str, name: str, now_s: float) -> Bed | None:
        """Find a bed, or begin it; None when there is no room for it."""
        bed = self._beds.get((site, name))
        if bed is not None:
            return bed
        row = self.ring.add_bed()
        if row is None:
            self._refuse(site, name, now_s)
            return None
        bed = Bed(site, name, row, BedAlerts(site, name), state=self._states.pop((site, name), None))
        self._beds[site, name] = bed
        self._by_row.append(bed)
        return bed

    def _refuse(self, site: str, name: str, now_s: float) -> None:
        if self.refused == 0:
            _log.error("%s/%s: no room for another bed, %d are kept", site, name, self.ring.capacity_beds)
        self.refused += 1
        if (site, name) in self._unwatched_s or len(self._unwatched_s) < MAX_STATES:
            self._unwatched_s[site, name] = now_s

    def unwatched(self, now_s: float) -> list[BedKey]:
        """Beds that send and for which there is no room."""
        return [key for key, seen_s in self._unwatched_s.items() if now_s - seen_s < UNWATCHED_S]

    def note_status(self, site: str, status: SiteStatus) -> None:
        """Take what a site says of itself; its last will comes this way too."""
        if site in self.sites or len(self.sites) < MAX_STATES:
            known = self.sites.setdefault(site, Site())
            if known.status is not None and status.name is None:
                status = replace(status, name=known.status.name)  # a last will names nobody
            known.status = status

    def note_state(self, site: str, bed: str, state: BedState) -> None:
        """Take what a site says of a bed's device; the bed itself begins with its first frame."""
        if record := self._beds.get((site, bed)):
            record.state = state
        elif len(self._states) < MAX_STATES:
            self._states[site, bed] = state
