"""Frames and events out of the bytes of a damaged outbox, wherever in it they lie.  Pure.

No page, index or header of the file is relied on.  A frame says itself how long it is, which
epoch and seq it has, and whether it is whole (its CRC); the seal that follows it in its
row says of which bed it is.  What does not fit all of that is left where it lies.
"""

import binascii
import json
import re
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

SEAL_BYTES: Final = 4
_CRC_BYTES: Final = 2
_HEADER_BYTES: Final = 20
_FRAME: Final = re.compile(rb"\xc7[\x18-\x1f]")
"""First byte, version 1 and the CRC flag: no frame is in an outbox without one."""
_EVENT: Final = re.compile(rb'([0-9A-HJKMNP-TV-Z]{26})([A-Za-z0-9_-]{1,32})(?=\{"id":"\1")')
LONGEST_BYTES: Final = 4096
"""No row that lies in one piece is longer than a page."""


def make_seal(bed: str, payload: bytes) -> bytes:
    """Bind a frame to its bed: a frame itself does not name it, and no fault may move it to another's."""
    return zlib.crc32(payload, zlib.crc32(bed.encode())).to_bytes(SEAL_BYTES, "big")


def is_whole(payload: object, epoch: int, seq: object) -> bool:
    """Whether this is a frame that fits its CRC and has this identity."""
    return (
        isinstance(payload, bytes)
        and binascii.crc_hqx(payload, 0) == 0
        and _read_identity(payload) == (epoch, seq)
    )


def _read_identity(payload: bytes) -> tuple[int, int]:
    return int.from_bytes(payload[2:6], "big"), int.from_bytes(payload[6:10], "big")


@dataclass(frozen=True, slots=True)
class FoundFrame:
    """A whole frame of a bed."""

    bed: str
    epoch: int
    seq: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class FoundEvent:
    """An event of a bed, as JSON."""

    id: str
    bed: str
    payload: bytes


@dataclass(slots=True)
class Found:
    """What one piece of the file held."""

    frames: list[FoundFrame] = field(default_factory=list)
    events: list[FoundEvent] = field(default_factory=list)
    strangers: int = 0
    """Whole frames that carry no seal of a known bed."""


class Searcher:
    """Looks through pieces of the file for the rows of some beds."""

    def __init__(self, beds: Iterable[str]) -> None:
        self._crcs = {bed: zlib.crc32(bed.encode()) for bed in beds}

    def search(self, data: bytes, n_bytes: int) -> Found:
        """Find what begins in the first `n_bytes`; the rest is there for rows that reach beyond them."""
        found = Found()
        at = 0
        while (match := _FRAME.search(data, at, n_bytes + 1)) is not None and match.start() < n_bytes:
            start = match.start()
            stop = _frame_stop(data, start)
            if stop is None or binascii.crc_hqx(data[start:stop], 0) != 0:
                at = start + 1
                continue
            at = stop
            payload = data[start:stop]
            bed = self._find_bed(payload, data[stop : stop + SEAL_BYTES])
            if bed is None:
                found.strangers += 1
                continue
            found.frames.append(FoundFrame(bed, *_read_identity(payload), payload))
        for event in _EVENT.finditer(data, 0, min(len(data), n_bytes + LONGEST_BYTES)):
            if event.start() < n_bytes and (one := self._read_event(event, data)) is not None:
                found.events.append(one)
        return found

    def _find_bed(self, payload: bytes, seal: bytes) -> str | None:
        number = int.from_bytes(seal, "big") if len(seal) == SEAL_BYTES else None
        return next((bed for bed, crc in self._crcs.items() if zlib.crc32(payload, crc) == number), None)

    def _read_event(self, event: re.Match[bytes], data: bytes) -> FoundEvent | None:
        bed = event[2].decode()
        text = data[event.end() : event.end() + LONGEST_BYTES].decode(errors="replace")
        try:
            _, n_characters = json.JSONDecoder().raw_decode(text)
        except ValueError:
            return None
        if bed not in self._crcs or "\ufffd" in text[:n_characters]:
            return None
        return FoundEvent(event[1].decode(), bed, text[:n_characters].encode())


def _frame_stop(data: bytes, start: int) -> int | None:
    """Where the frame that begins here ends, by its own words; None if it cannot be one."""
    if start + _HEADER_BYTES > len(data):
        return None
    n_ticks, n_channels = data[start + 16], data[start + 18]
    at = start + _HEADER_BYTES
    for _ in range(n_channels):
        if at >= len(data):
            return None
        number = data[at]
        at += 2 + n_ticks * (2 if number < 0x20 or number % 2 else 1)
    at += _CRC_BYTES
    return at if n_ticks and at <= min(len(data), start + LONGEST_BYTES) else None
