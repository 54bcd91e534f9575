"""Frames on their way into the outbox and out of it, and what can be wrong with it.  Pure."""

import binascii
from dataclasses import dataclass, field

from hub.errors import HubError
from hub.model import FrameFlag
from site_agent.runs import Run


class OutboxError(HubError):
    """The outbox cannot be used."""


class OutboxFullError(OutboxError):
    """The disk or the limit of the outbox leaves no room, and nothing acknowledged is left to give up."""


class OutboxDamagedError(OutboxError):
    """The database file is not readable as one."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A frame without identity: `body` is a wave frame with epoch and seq 0 and no CRC."""

    bed: str
    body: bytes
    t0_ms: int
    end_ms: int
    is_live: bool = True
    """False for what lies in the past when it is read: it is filled, never shown as of now."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A frame with its identity; `is_stored` is False if the disk had no room for it."""

    draft: Draft
    epoch: int
    seq: int
    payload: bytes
    is_stored: bool = True


@dataclass(frozen=True, slots=True)
class OutboxLimits:
    """How much of the disk the outbox may take, in bytes."""

    max_bytes: int = 2_000_000_000
    ballast_bytes: int = 16_000_000


@dataclass(slots=True)
class Fill:
    """How full the outbox is."""

    used_bytes: int
    limit_bytes: int
    """What it can grow to: its own limit, or what the disk leaves."""
    disk_free_share: float

    @property
    def share(self) -> float:
        """0 empty, 1 full."""
        return self.used_bytes / max(1, self.limit_bytes)


@dataclass(slots=True)
class Stock:
    """What of one epoch of one bed the hub has not confirmed."""

    bed: str
    epoch: int
    unacked: list[Run] = field(default_factory=list)


def seal(body: bytes, epoch: int, seq: int) -> bytes:
    """Give a draft its identity and its CRC."""
    sealed = bytearray(body)
    sealed[1] |= FrameFlag.CRC
    sealed[2:10] = epoch.to_bytes(4, "big") + seq.to_bytes(4, "big")
    return bytes(sealed) + binascii.crc_hqx(bytes(sealed), 0).to_bytes(2, "big")
