"""What happens to a site's send window, and what it wants done.  Pure."""

from dataclasses import dataclass, field

from hub.model import Ack, Lane
from site_agent.runs import Run

# --------------------------------------------------------------------- what happened


@dataclass(frozen=True, slots=True)
class Stored:
    """A frame was committed; `is_live` if it is of this moment, `is_kept` if the disk had room."""

    bed: str
    epoch: int
    seq: int
    payload: bytes
    is_live: bool
    is_kept: bool = True


@dataclass(frozen=True, slots=True)
class Restored:
    """The outbox holds frames that no ack has covered: at the start, or asked for again."""

    bed: str
    epoch: int
    runs: tuple[Run, ...]
    is_resend: bool = False
    """The centre has lost them: an ack from before it noticed may still be on its way, or be retained."""
    is_past: bool = False
    """Read back from a damaged outbox: they go after every epoch that is known already."""


@dataclass(frozen=True, slots=True)
class LineUp:
    lane: Lane


@dataclass(frozen=True, slots=True)
class LineDown:
    lane: Lane


@dataclass(frozen=True, slots=True)
class Answered:
    """The broker has a message (PUBACK).  It says nothing about the hub."""

    token: int


@dataclass(frozen=True, slots=True)
class Heard:
    """Any message of the hub, such as the answer to a time question."""


@dataclass(frozen=True, slots=True)
class Acked:
    bed: str
    ack: Ack


@dataclass(frozen=True, slots=True)
class Credited:
    frames_per_s: float
    valid_s: float
    session: str | None = None
    """Of the hub; another one than before may have lost what it has not acknowledged."""


@dataclass(frozen=True, slots=True)
class Absent:
    """Frames that were to be filled are not in the outbox."""

    bed: str
    epoch: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Tick:
    """Time passed; to be pushed about five times a second."""


Event = Stored | Restored | LineUp | LineDown | Answered | Heard | Acked | Credited | Absent | Tick


# ------------------------------------------------------------------- what is to be done


@dataclass(frozen=True, slots=True)
class SendLive:
    token: int
    bed: str
    epoch: int
    seq: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class SendFill:
    """Frames of one bed, to be read from the outbox; parts are (epoch, first, last), oldest first."""

    token: int
    bed: str
    parts: tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, slots=True)
class Confirmed:
    """The hub has these frames; the outbox may note it whenever it likes."""

    bed: str
    epoch: int
    runs: tuple[Run, ...]


@dataclass(frozen=True, slots=True)
class Renew:
    """Close this connection and open another; `is_dead` if the peer does not answer and need not be told."""

    lane: Lane
    why: str
    is_dead: bool


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask the hub for its time on the live lane; the broker's answer shows that the line lives."""

    token: int


Action = SendLive | SendFill | Confirmed | Renew | Ask


@dataclass(slots=True)
class WindowCounts:
    """Since the start of the agent, in frames."""

    sent_live: int = 0
    not_live: int = 0
    """Of this moment, but not sent live: no connection, or a line too slow."""
    filled: int = 0
    confirmed: int = 0
    absent: int = 0
    """Awaited by the hub and not in the outbox any more."""
    renewals: dict[str, int] = field(default_factory=dict)
