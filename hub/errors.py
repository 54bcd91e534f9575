"""Errors that the hub raises on purpose.

::

    HubError
    ├── WireError       a message from a site is not what the protocol says
    ├── RecordError     a recording file cannot be read as a CTG
    ├── PictureError    a picture of a strip cannot be drawn
    ├── StoreError      the database refused
    │   └── StoreAwayError   it cannot be reached now
    └── SettingsError   the configuration cannot work

A message says where it happened, what was expected and what came.
"""

from enum import StrEnum


class HubError(Exception):
    """Anything the hub raises on purpose."""


class WireFault(StrEnum):
    """Which rule of the protocol a message broke, so that repeats can be counted and logged once."""

    SIZE = "size"
    SHORT = "short"
    LONG = "long"
    MAGIC = "magic"
    VERSION = "version"
    TICKS = "ticks"
    TIME = "time"
    CRC = "crc"
    CHANNEL = "channel"
    FILL = "fill"
    JSON = "json"
    TOPIC = "topic"


class WireError(HubError):
    """A message does not follow the protocol; nothing of it was used."""

    def __init__(self, kind: WireFault, detail: str) -> None:
        super().__init__(f"{kind}: {detail}")
        self.kind = kind
        self.detail = detail


class RecordError(HubError):
    """A recording file is missing, damaged or of an unknown form."""


class PictureError(HubError):
    """A picture of a strip cannot be drawn or written here."""


class StoreError(HubError):
    """The database refused a request or could not be reached."""


class StoreAwayError(StoreError):
    """The database cannot be reached, or has no room, now: the same request may succeed later."""


class SettingsError(HubError):
    """A setting is missing, malformed or contradicts another."""
