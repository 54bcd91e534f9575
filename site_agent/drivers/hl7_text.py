"""HL7 version 2 as text: a message taken apart into segments, times, and the answer to it.

Only what an `ORU^R01` with numeric arrays and its acknowledgement need.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum
from typing import Final

from hub.wire import LATEST_MS

_CHARSETS: Final = {
    "": "utf-8",
    "ASCII": "ascii",
    "UNICODE": "utf-8",
    "UNICODE UTF-8": "utf-8",
    "8859/1": "latin-1",
    "ISO IR6": "ascii",
    "ISO IR14": "iso2022_jp",
    "ISO IR87": "iso2022_jp",
    "ISO IR159": "iso2022_jp_1",
}
_DTM = re.compile(
    r"(?P<day>\d{8})(?P<clock>\d{4}(?:\d\d)?)(?:\.(?P<fraction>\d{1,6}))?(?P<zone>[+-]\d{4})?", re.ASCII
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class AckCode(StrEnum):
    """How a message is answered: taken, an error in it, not for us."""

    AA = "AA"
    AE = "AE"
    AR = "AR"


class Fault(StrEnum):
    """Why a message was refused."""

    BED = "bed"
    CHANNEL = "channel"
    CHARSET = "charset"
    CODE = "code"
    CONTROL = "control"
    HEADER = "header"
    INTERVAL = "interval"
    KIND = "kind"
    NUMBER = "number"
    PROCESSING = "processing"
    SEGMENTS = "segments"
    TIME = "time"
    TYPE = "type"
    UNIT = "unit"
    ZONE = "zone"


class Hl7Error(ValueError):
    """A message that is refused."""

    def __init__(self, code: AckCode, fault: Fault, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.fault = fault


@dataclass(frozen=True, slots=True)
class Separators:
    field: str = "|"
    component: str = "^"
    repetition: str = "~"
    escape: str = "\\"
    subcomponent: str = "&"


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment; fields count from 1 as in the standard, and one that is not there is empty."""

    fields: tuple[str, ...]
    separators: Separators

    @property
    def name(self) -> str:
        return self.fields[0]

    def field(self, number: int) -> str:
        return self.fields[number] if number < len(self.fields) else ""

    def component(self, number: int, component: int) -> str:
        parts = self.field(number).split(self.separators.component)
        return parts[component - 1] if component <= len(parts) else ""

    def text(self, number: int) -> str:
        """Give a field with its escapes undone."""
        s = self.separators
        value = self.field(number)
        for letter, char in (
            ("F", s.field),
            ("S", s.component),
            ("T", s.subcomponent),
            ("R", s.repetition),
            ("E", s.escape),
        ):
            value = value.replace(f"{s.escape}{letter}{s.escape}", char)
        return value


def parse_message(raw: bytes) -> list[Segment]:
    """Take a message apart; the first segment is MSH.

    Raises
    ------
    Hl7Error
        If it does not begin with MSH, or is not in a character set known here.
    """
    if not raw.startswith(b"MSH") or len(raw) < 8:
        raise _wrong(Fault.HEADER, f"expected a message that begins with MSH, got {raw[:12]!r}")
    first = raw.splitlines()[0].split(raw[3:4])
    charset = first[17].split(b"~")[-1].decode("ascii", "replace").strip() if len(first) > 17 else ""
    codec = _CHARSETS.get(charset.upper())
    if codec is None:
        raise _wrong(
            Fault.CHARSET, f"MSH-18: expected one of {', '.join(filter(None, _CHARSETS))}, got {charset}"
        )
    try:
        text = raw.decode(codec)
    except UnicodeDecodeError as error:
        raise _wrong(Fault.CHARSET, f"expected text in {charset or 'UTF-8'}: {error}") from error
    separators = Separators(text[3], *text[4:8].partition(text[3])[0].ljust(4)[:4])
    lines = [line for line in re.split(r"[\r\n]+", text) if line]
    segments = [Segment(tuple(line.split(separators.field)), separators) for line in lines]
    # MSH-1 is the separator itself, which splitting took away.
    segments[0] = Segment(("MSH", separators.field, *segments[0].fields[1:]), separators)
    return segments


def parse_time(text: str, what: str, *, zone: timezone | None) -> float:
    """Read an HL7 time as Unix ms UTC; `zone` is for times that name none.

    Raises
    ------
    Hl7Error
        If it is no time to the minute or better, or no zone is known.
    """
    found = _DTM.fullmatch(text.strip())
    if found is None:
        raise _wrong(Fault.TIME, f"{what}: expected YYYYMMDDHHMM[SS[.SSSS]][+ZZZZ], got {text[:30]!r}")
    own_zone = find_zone(text) or zone
    if own_zone is None:
        detail = f"{what}: expected a zone behind {text!r}, in MSH-7, or the option utc_offset_min"
        raise _wrong(Fault.ZONE, detail)
    try:
        day = datetime.strptime(found["day"] + found["clock"].ljust(6, "0"), "%Y%m%d%H%M%S").replace(
            tzinfo=own_zone
        )
        t_ms = (day - _EPOCH) / timedelta(milliseconds=1)
    except (ValueError, OverflowError) as error:
        raise _wrong(Fault.TIME, f"{what}: expected a date and a time, got {text[:30]!r}") from error
    if not 0 <= t_ms <= LATEST_MS:
        raise _wrong(Fault.TIME, f"{what}: expected a time from 1970 to 2200, got {text[:30]!r}")
    return t_ms + float("0." + (found["fraction"] or "0")) * 1000.0


def find_zone(text: str) -> timezone | None:
    """Give the zone that an HL7 time names, or None."""
    found = _DTM.fullmatch(text.strip())
    if found is None or not found["zone"]:
        return None
    minutes = int(found["zone"][1:3]) * 60 + int(found["zone"][3:])
    if minutes >= 24 * 60:
        return None
    return timezone(timedelta(minutes=-minutes if found["zone"][0] == "-" else minutes))


def make_ack(header: Segment | None, code: AckCode, t_ms: float, reason: str = "") -> str:
    """Give the answer to a message whose MSH is `header`."""
    at = (_EPOCH + timedelta(milliseconds=min(max(t_ms, 0.0), 4e12))).strftime("%Y%m%d%H%M%S+0000")
    control = header.field(10) if header else ""
    back = [header.field(n) if header else "" for n in (5, 6, 3, 4)]
    version = header.field(12) if header and header.field(12) else "2.5"
    told = _escape(reason)
    lines = [
        "|".join(["MSH", "^~\\&", *back, at, "", "ACK^R01^ACK", f"A{control}"[:20], "P", version]),
        "|".join(["MSA", code, control, told] if told else ["MSA", code, control]),
    ]
    if told:
        lines.append(f"ERR|||207^Application internal error^HL70357|E||||{told}")
    return "".join(line + "\r" for line in lines)


def _escape(text: str) -> str:
    table = {"\\": "\\E\\", "|": "\\F\\", "^": "\\S\\", "~": "\\R\\", "&": "\\T\\", "\r": " ", "\n": " "}
    return "".join(table.get(char, char) for char in text)


def _wrong(fault: Fault, detail: str) -> Hl7Error:
    return Hl7Error(AckCode.AE, fault, detail)
