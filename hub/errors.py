"""Errors that the hub raises on purpose.

::

    HubError
    ├── WireError       a message from a site is not what the protocol says
    ├── RecordError     a recording file cannot be read as a CTG
    ├── StoreError      the database refused or could not be reached
    └── SettingsError   the configuration cannot work

A message says where it happened, what was expected and what came.
"""


class HubError(Exception):
    """Anything the hub raises on purpose."""


class WireError(HubError):
    """A message does not follow the protocol; nothing of it was used.

    `kind` names the rule that was broken, in a word or two, so that repeats can
    be counted and logged once.
    """

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(f"{kind}: {detail}")
        self.kind = kind
        self.detail = detail


class RecordError(HubError):
    """A recording file is missing, damaged or of an unknown form."""


class StoreError(HubError):
    """The database refused a request or could not be reached."""


class SettingsError(HubError):
    """A setting is missing, malformed or contradicts another."""
