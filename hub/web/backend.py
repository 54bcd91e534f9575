"""What the web room is given: everything it knows of the hub comes through here."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from prometheus_client import CollectorRegistry

from hub.model import AckReason, Alert, BedAnalysis, BedEvent, BedView, Lane, SiteView, WaveEntry

BedKey = tuple[str, str]
"""Site and bed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StripData:
    """All that is known of one bed over one span; the frames may reach beyond it."""

    entries: tuple[tuple[WaveEntry, Lane], ...]
    events: tuple[BedEvent, ...] = ()
    analysis: BedAnalysis | None = None
    alerts: tuple[Alert, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StageProgress:
    """How far a stage of the hub has come; `age_ms` is measured on the monotonic clock."""

    last_item_ms: int | None
    age_ms: int | None
    pending: int = 0
    waits_for: str | None = None
    """What the stage cannot go on without, and has not got."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependency:
    """Something the hub cannot do its work without, and how it is."""

    is_ok: bool
    detail: str = ""


class ReadAlerts(Protocol):
    """Read alerts, newest first; what is None does not restrict."""

    def __call__(
        self, *, open_only: bool, limit: int, site: str | None, bed: str | None
    ) -> Awaitable[Sequence[Alert]]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """The rest of the hub as the web room sees it.

    The plain callables run on the event loop and return at once.  The awaitables
    may raise KeyError (no such bed or alert), ValueError (not possible in this
    state) and StoreError (database away); anything else is a fault of the hub.
    """

    boot_id: str
    now_ms: Callable[[], int]
    views: Callable[[Collection[BedKey] | None, bool], Sequence[BedView]]
    """Beds as they stand now, all or those asked for, with or without their analysis."""
    sites: Callable[[], Sequence[SiteView]]
    """Every site and what its agent says of itself."""
    recent_waves: Callable[[BedKey, float], Sequence[WaveEntry]]
    """Frames of the last seconds of a bed, in time order; none for an unknown bed."""
    alerts: Callable[[], Sequence[Alert]]
    """All alerts that are not clear."""
    acknowledge: Callable[[str, str, AckReason], Awaitable[Alert]]
    """Acknowledge an alert: its id, who, and why."""
    read_strip: Callable[[str, str, int, int], Awaitable[StripData]]
    """Read one bed from one Unix ms to another."""
    read_alerts: ReadAlerts
    progress: Callable[[], Mapping[str, StageProgress]]
    ready: Callable[[], Awaitable[Mapping[str, Dependency]]]
    registry: CollectorRegistry
