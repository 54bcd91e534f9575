"""How a site stands at one moment, for whoever shows it."""

from dataclasses import dataclass

from hub.model import Advice, BedState
from site_agent.clock import Synchrony


@dataclass(frozen=True, slots=True)
class ShownAdvice:
    """Advice of the centre, and who at the site has confirmed it."""

    bed: str
    advice: Advice
    confirmed_ms: int | None = None
    confirmed_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BedSnapshot:
    """One bed."""

    bed: str
    state: BedState
    backlog_frames: int
    ticks_age_s: float | None
    """Seconds since ticks of the moment came; None before the first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSnapshot:
    """The whole site."""

    site: str
    name: str | None
    t_ms: int
    epoch: int
    is_live_up: bool
    is_fill_up: bool
    link_why: str
    hub_heard_s: float | None
    """Seconds since the hub itself said anything (an ack, an answer); None if never since the start."""
    rtt_s: float | None
    live_batch_s: float
    backlog_frames: int
    oldest_unacked_ms: int | None
    stalled_s: float
    clock_offset_ms: float | None
    synchrony: Synchrony
    disk_free_share: float | None
    refused_ticks: int
    damaged_outboxes: int
    """Files in the data folder that SQLite could not read any more."""
    frames_back: int
    """Frames that were read back from them."""
    advice: tuple[ShownAdvice, ...]
    beds: tuple[BedSnapshot, ...]
