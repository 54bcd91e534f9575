"""What goes into the store and what comes out of it, beyond the values of `hub.model`."""

from dataclasses import dataclass
from enum import StrEnum

from hub.model import Ack, Classification, Lane


@dataclass(frozen=True, slots=True)
class FrameRow:
    """One wave frame as it arrived: exact bytes, and what orders and finds them."""

    site: str
    bed: str
    epoch: int
    seq: int
    t0_ms: int
    end_ms: int
    lane: Lane
    arrived_ms: int
    payload: bytes


class Acks(dict[tuple[str, str], Ack]):
    """Answer to one `append_frames`: by (site, bed), the `Ack` of the epoch that is live there.

    `older` are the acknowledgements of earlier epochs that the batch touched as
    well; a site empties its outbox by these too.  The counts are of the batch.
    """

    def __init__(self) -> None:
        super().__init__()
        self.older: list[tuple[str, str, Ack]] = []
        self.stored = 0
        self.repeated = 0
        """Frames that were there already, with the same content."""
        self.conflicting = 0
        """Frames whose identity is taken by other content: kept in quarantine, not stored."""
        self.contested: set[tuple[str, str]] = set()
        """The beds of these."""
        self.refused = 0
        """Frames neither stored nor acknowledged, because their epoch is too fragmented."""


@dataclass(frozen=True, slots=True)
class Reject:
    """A message that could not be used, for the quarantine."""

    site: str
    bed: str
    reason: str
    arrived_ms: int
    payload: bytes
    epoch: int | None = None
    seq: int | None = None


@dataclass(frozen=True, slots=True)
class StoredClassification:
    """A classification with its place; `revision` counts how often its window was read anew."""

    fetus: int
    origin_ms: int
    algorithm: str
    revision: int
    classification: Classification


class Layout(StrEnum):
    """How the long-term tables are divided by time; chosen once, when a database is set up."""

    TIMESCALEDB = "timescaledb"
    PARTITIONS = "partitions"


@dataclass(frozen=True, slots=True)
class StoreInfo:
    """What `/readyz` says of the database."""

    server_version: str
    layout: Layout
    size_bytes: int
    frames: int
    """Wave frames not yet compacted (PostgreSQL's estimate)."""
    segments: int
    """Segments of compacted frames (PostgreSQL's estimate)."""
    quarantined: int
