"""HL7 v2 `ORU^R01` over MLLP, as a central system emits it: arrays of numbers for each channel.

One message carries one bed (PV1-3), one OBX of type NA for each channel, and the sampling
interval as an OBX of its own or by the start and end in OBR.  The acknowledgement goes out as a
`Reply`, so only when everything of the message is stored; a message that cannot be used in
full is refused with the reason, so that its sender knows.  No patient data leave the driver.
"""

import hashlib
from collections.abc import Iterator, Mapping
from datetime import timedelta, timezone
from typing import Final

import numpy as np

from hub.model import Channel, EventKind, FloatArray
from site_agent.device import DeviceEvent, DriverItem, Reject, Reply
from site_agent.drivers.blocks import CHANNELS, check_period, make_blocks
from site_agent.drivers.cutter import NOISE, WAIT, Cut, Cutter
from site_agent.drivers.hl7_text import (
    AckCode,
    Fault,
    Hl7Error,
    Segment,
    find_zone,
    make_ack,
    parse_message,
    parse_time,
)

START: Final = 0x0B
END: Final = b"\x1c\x0d"
MAX_MESSAGE: Final = 1024 * 1024
IGNORE: Final = "ignore"
INTERVAL: Final = "interval_ms"
MOVEMENT: Final = "fm"
_EVENTS: Final = {"marker": EventKind.MARKER, "note": EventKind.NOTE}
MEANINGS: Final = (*CHANNELS, MOVEMENT, INTERVAL, *_EVENTS, IGNORE)
"""What an OBX-3 code may be mapped to."""
KNOWN_CODES: Final[Mapping[str, str]] = {
    "55283-6": "fhr1",
    "8867-4": "mhr",
    **{name: name for name in (*CHANNELS, MOVEMENT, INTERVAL, *_EVENTS)},
}
"""LOINC for the fetal and the maternal rate, and our own names; a site's table goes before it."""
_RATE_UNITS: Final = frozenset({"", "/min", "1/min", "bpm", "beats/min", "{beats}/min", "{beat}/min"})
_UNITS: Final[Mapping[Channel, frozenset[str]]] = {
    Channel.IUP: frozenset({"", "mm[Hg]", "mmHg"}),
    Channel.FSPO2: frozenset({"", "%"}),
    # Toco has no unit of its own; pressure under this name would be drawn on the wrong scale.
    Channel.TOCO: frozenset({"", "%", "1", "nd", "{toco}", "{unit}", "units"}),
}


def cut(buffer: bytearray) -> Cut:
    """Look at the front of the buffer for one message between VT and FS CR."""
    start = buffer.find(START)
    if start != 0:
        return Cut(len(buffer) if start < 0 else start, NOISE)
    inner = buffer.find(START, 1, MAX_MESSAGE + 2)
    end = buffer.find(END, 1, inner if inner > 0 else MAX_MESSAGE + 2)
    if end > 0:
        return Cut(end + len(END))
    if inner > 0:
        return Cut(inner, "aborted", "expected FS CR, got the start of the next message")
    if len(buffer) >= MAX_MESSAGE + 2:
        return Cut(1, "overflow", f"expected at most {MAX_MESSAGE} bytes in a message, got more")
    return WAIT


def encode_mllp(text: str) -> bytes:
    """Frame one message."""
    return bytes([START]) + text.encode() + END


class Hl7Mllp:
    """One connection of one central system; a `Driver`.  `source` of what it gives is PV1-3.

    `channels` maps OBX-3 codes to one of `MEANINGS`; `utc_offset_min` is for times without a zone.

    Raises
    ------
    ValueError
        If a code is mapped to something else.
    """

    def __init__(
        self, *, channels: Mapping[str, str] | None = None, utc_offset_min: int | None = None
    ) -> None:
        unknown = [meaning for meaning in (channels or {}).values() if meaning not in MEANINGS]
        if unknown:
            msg = f"channels: expected one of {', '.join(MEANINGS)}, got {unknown[0]!r}"
            raise ValueError(msg)
        self._codes = {**KNOWN_CODES, **(channels or {})}
        self._zone = None if utc_offset_min is None else timezone(timedelta(minutes=utc_offset_min))
        self._cutter = Cutter(cut, expected="VT before a message")

    def feed(self, data: bytes, t_ms: float) -> list[DriverItem]:
        """Take bytes that came at `t_ms`; what is no good comes back as `Reject`."""
        items: list[DriverItem] = []
        for piece in self._cutter.push(data, t_ms):
            if isinstance(piece, Reject):
                items.append(piece)
            else:
                items += self._answer(piece.data, piece.t_ms)
        return items

    def due(self, t_ms: float) -> bytes:
        """Say nothing unasked."""
        del t_ms
        return b""

    def _answer(self, frame: bytes, t_ms: float) -> list[DriverItem]:
        header: Segment | None = None
        try:
            segments = parse_message(frame[1 : -len(END)])
            header = segments[0]
            items = list(self._read(segments))
        except Hl7Error as error:
            where = f"message {header.field(10)!r}: " if header else ""
            return [
                Reject(error.fault, f"{where}{error}", len(frame)),
                Reply(encode_mllp(make_ack(header, error.code, t_ms, str(error)))),
            ]
        return [*items, Reply(encode_mllp(make_ack(header, AckCode.AA, t_ms)), _name(header, frame))]

    def _read(self, segments: list[Segment]) -> Iterator[DriverItem]:
        header = segments[0]
        _check_header(header)
        zone = find_zone(header.field(7)) or self._zone
        bed = next((s.field(3).rstrip("^ ") for s in segments if s.name == "PV1"), "")
        if not bed:
            raise _wrong(Fault.BED, "expected the bed in PV1-3, got none")
        groups = _split_groups(segments)
        if not groups:
            raise _wrong(Fault.SEGMENTS, "expected OBR and OBX, got none")
        for order, results in groups:
            yield from self._read_group(order, results, bed, zone)

    def _read_group(
        self, order: Segment, results: list[Segment], bed: str, zone: timezone | None
    ) -> Iterator[DriverItem]:
        columns: dict[tuple[float, int], dict[str, FloatArray]] = {}
        interval_ms: float | None = None
        events: list[DriverItem] = []
        for result in results:
            meaning = self._find_meaning(result)
            if meaning == INTERVAL:
                interval_ms = _read_number(result.field(5), "the sampling interval")
            elif meaning in _EVENTS:
                at_ms = parse_time(result.field(14) or order.field(7), "OBX-14 or OBR-7", zone=zone)
                events.append(DeviceEvent(_EVENTS[meaning], at_ms, text=result.text(5) or None, source=bed))
            elif meaning != IGNORE:
                values = _read_array(result, meaning)
                at_ms = parse_time(result.field(14) or order.field(7), "OBX-14 or OBR-7", zone=zone)
                column = columns.setdefault((at_ms, values.size), {})
                if meaning in column:
                    raise _wrong(Fault.CHANNEL, f"{meaning} comes twice for one time")
                column[meaning] = values
        yield from events
        for (at_ms, n_samples), column in sorted(columns.items()):
            if interval_ms is None:
                span_ms = parse_time(order.field(8), "OBR-8", zone=zone) - at_ms
                period = _check_period(span_ms / n_samples)
            else:
                period = _check_period(interval_ms)
            yield from _lay_out(column, at_ms, period, bed)

    def _find_meaning(self, result: Segment) -> str:
        code = result.component(3, 1)
        meaning = self._codes.get(code)
        if meaning is None and result.field(2) == "NA":
            raise _wrong(Fault.CODE, f"OBX-3: {code!r} is not in the site's table of channels")
        return meaning or IGNORE  # other results are not a CTG


def _name(header: Segment, frame: bytes) -> bytes:
    """Name a message by its sender, its control id and all that follows MSH, which may be dated anew."""
    body = frame[1:].partition(b"\r")[2]
    sender = "|".join(header.field(number) for number in (3, 4, 10))
    return hashlib.sha256(sender.encode() + b"\r" + body).digest()


def _check_header(header: Segment) -> None:
    if not header.field(10):
        raise _wrong(Fault.CONTROL, "expected a control id in MSH-10, got none")
    if (header.component(9, 1), header.component(9, 2)) != ("ORU", "R01"):
        detail = f"MSH-9: expected ORU^R01, got {header.field(9)[:20]!r}"
        raise Hl7Error(AckCode.AR, Fault.TYPE, detail)
    if header.component(11, 1) not in ("P", ""):
        detail = f"MSH-11: expected P, got {header.field(11)[:5]!r}: test data are not stored with patients'"
        raise Hl7Error(AckCode.AR, Fault.PROCESSING, detail)


def _split_groups(segments: list[Segment]) -> list[tuple[Segment, list[Segment]]]:
    groups: list[tuple[Segment, list[Segment]]] = []
    for segment in segments:
        if segment.name == "OBR":
            groups.append((segment, []))
        elif segment.name == "OBX":
            if not groups:
                raise _wrong(Fault.SEGMENTS, "expected OBR before OBX, got OBX")
            groups[-1][1].append(segment)
    return groups


def _read_array(result: Segment, meaning: str) -> FloatArray:
    if result.field(2) not in ("NA", "NM"):
        raise _wrong(Fault.KIND, f"{meaning}: expected NA in OBX-2, got {result.field(2)[:10]!r}")
    unit = result.component(6, 1)
    channel = CHANNELS.get(meaning)
    if channel is not None and unit not in _UNITS.get(channel, _RATE_UNITS):
        known = ", ".join(sorted(u for u in _UNITS.get(channel, _RATE_UNITS) if u))
        raise _wrong(Fault.UNIT, f"{meaning}: expected {known} in OBX-6, got {unit!r}")
    separators = result.separators
    if separators.repetition in result.field(5):
        raise _wrong(Fault.KIND, f"{meaning}: expected one row of numbers, got several")
    cells = result.field(5).split(separators.component)
    return np.array([_read_number(cell, meaning) if cell.strip(' "') else np.nan for cell in cells])


def _lay_out(column: dict[str, FloatArray], at_ms: float, period_ms: int, bed: str) -> Iterator[DriverItem]:
    moved = column.pop(MOVEMENT, None)
    values: dict[Channel, FloatArray] = {CHANNELS[name]: found for name, found in column.items()}
    if not values:
        raise _wrong(Fault.CHANNEL, "expected a rate or toco beside fetal movements, got none")
    movement = None if moved is None else np.nan_to_num(moved) > 0
    yield from make_blocks(values, t0_ms=at_ms, period_ms=period_ms, source=bed, movement=movement)


def _read_number(text: str, what: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = np.nan
    if not np.isfinite(value):
        raise _wrong(Fault.NUMBER, f"{what}: expected a number, got {text[:20]!r}")
    return value


def _check_period(period_ms: float) -> int:
    try:
        return check_period(period_ms)
    except ValueError as error:
        raise _wrong(Fault.INTERVAL, str(error)) from error


def _wrong(fault: Fault, detail: str) -> Hl7Error:
    return Hl7Error(AckCode.AE, fault, detail)
