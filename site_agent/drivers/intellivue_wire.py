"""Messages of the IntelliVue and Avalon Data Export protocol as bytes, as far as numerics need them.

Lengths are in front of every list, so a message can be told from its first bytes on; there is
no checksum, because UDP has one.  Layouts after the open implementations named in docs/drivers.md.
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from site_agent.drivers.cutter import NOISE, WAIT, Cut

INVOKE, RESULT, ERROR, LINKED = 1, 2, 3, 5
EVENT, CONFIRMED_EVENT, CONFIRMED_ACTION = 0, 1, 7
MDS_CREATE: Final = 0x0D06
POLL: Final = 0x0C16
POLL_EXTENDED: Final = 0xF13B
NUMERICS: Final = 6
_MDS: Final = 0x21
_SESSION: Final = b"\xe1\x00\x00\x02"
_ACCEPTED: Final = bytes.fromhex("05 08 13 01 00 16 01 02 80 00 14 02 00 02")
_START: Final = re.compile(rb"\xe1\x00\x00\x02\x00[\x01\x02\x03\x05]", re.DOTALL)
_POSSIBLE: Final = re.compile(rb"[\xe1\x0e]")
_VALUE: Final = 0x0950
_VALUES: Final = 0x094B
_MODEL: Final = 0x0928
_OBSERVED: Final = struct.Struct(">HHHbBH")
_NOT_NUMBERS: Final = frozenset({0x7FFFFF, 0x800000, 0x7FFFFE, 0x800002, 0x800001})


class MalformedError(ValueError):
    """A message whose lists do not fit into each other."""


@dataclass(frozen=True, slots=True)
class Observation:
    """One numeric value; `value` is None where the monitor sends "not a number"."""

    handle: int
    code: int
    state: int
    unit: int
    value: float | None


@dataclass(frozen=True, slots=True)
class Message:
    """One message of the data export: what it is, and its content behind the headers."""

    kind: int
    invoke: int
    command: int
    body: bytes


class _Reader:
    """Reads from the front of a list and refuses to read beyond its end."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, n_bytes: int) -> bytes:
        end = self._at + n_bytes
        if end > len(self._data):
            msg = f"expected {n_bytes} bytes at {self._at}, got {len(self._data) - self._at}"
            raise MalformedError(msg)
        piece, self._at = self._data[self._at : end], end
        return piece

    def u16(self) -> int:
        return int.from_bytes(self.take(2), "big")

    def sized(self) -> "_Reader":
        return _Reader(self.take(self.u16()))

    def text(self) -> str:
        return self._data.rstrip(b"\x00").decode("ascii", "replace").strip()


def cut(buffer: bytearray) -> Cut:
    """Look at the front of the buffer for an association response or a message of the data export."""
    found = _POSSIBLE.search(buffer)
    if found is None or found.start():
        return Cut(len(buffer) if found is None else found.start(), NOISE)
    if buffer[0] == 0x0E:
        return _cut_accept(buffer)
    head = bytes(buffer[:4])
    if not _SESSION.startswith(head):
        return Cut(1, NOISE)
    if len(buffer) < 8:
        return WAIT
    if buffer[4] != 0 or buffer[5] not in (INVOKE, RESULT, ERROR, LINKED):
        return Cut(4, "header", f"expected a remote operation 1, 2, 3 or 5, got {buffer[4:6].hex()}")
    n_inner = int.from_bytes(buffer[6:8], "big")
    # Invoke id, command and length, and in linked results two bytes before them.
    n_headers = 8 if buffer[5] == LINKED else 6
    if len(buffer) < 8 + n_headers:
        return WAIT
    n_body = int.from_bytes(buffer[6 + n_headers : 8 + n_headers], "big")
    if n_inner != n_headers + n_body:
        return Cut(4, "header", f"expected {n_headers + n_body} bytes in the message, got {n_inner}")
    inner = _START.search(buffer, 1, 8 + n_inner)
    if inner is not None:
        return Cut(inner.start(), "aborted", "expected the rest of a message, got the start of the next")
    return Cut(8 + n_inner) if len(buffer) >= 8 + n_inner else WAIT


def _cut_accept(buffer: bytearray) -> Cut:
    if len(buffer) < 2:
        return WAIT
    n_head = 4 if buffer[1] == 0xFF else 2
    fixed = bytes(buffer[n_head : n_head + len(_ACCEPTED)])
    if not _ACCEPTED.startswith(fixed):
        return Cut(1, NOISE)
    if len(buffer) < n_head + len(_ACCEPTED):
        return WAIT
    end = n_head + (int.from_bytes(buffer[2:4], "big") if n_head == 4 else buffer[1])
    if end < n_head + len(_ACCEPTED):
        return Cut(1, NOISE)
    inner = _START.search(buffer, 1, end)
    if inner is not None:
        return Cut(inner.start(), "aborted", "expected the rest of an answer, got the start of a message")
    return Cut(end) if len(buffer) >= end else WAIT


def is_accept(frame: bytes) -> bool:
    """Say whether a frame is the monitor's yes to an association."""
    return frame[0] == 0x0E


def parse_message(frame: bytes) -> Message:
    """Take a frame of the data export apart."""
    kind = frame[5]
    at = 10 if kind == LINKED else 8
    invoke, command = struct.unpack_from(">HH", frame, at)
    return Message(kind, invoke, command, frame[at + 6 :])


def read_model(body: bytes) -> str | None:
    """Give maker and model of an MDS create event; None for another event.

    Raises
    ------
    MalformedError
        If its lists do not fit.
    """
    reader = _Reader(body)
    reader.take(6 + 4)
    if reader.u16() != MDS_CREATE:
        return None
    event = reader.sized()
    event.take(6)
    for code, value in _attributes(event):
        if code == _MODEL:
            labels = _Reader(value)
            words = [labels.sized().text() for _ in range(2)]
            return " ".join(word for word in words if word)
    return ""


def read_observations(body: bytes) -> list[Observation] | None:
    """Give the numerics of a poll result; None for another result.

    Raises
    ------
    MalformedError
        If its lists do not fit.
    """
    reader = _Reader(body)
    reader.take(6)
    action = reader.u16()
    if action not in (POLL, POLL_EXTENDED):
        return None
    result = reader.sized()
    result.take(2 + (2 if action == POLL_EXTENDED else 0) + 4 + 8)
    result.take(2)
    if result.u16() != NUMERICS:
        return None
    result.take(2)
    found: list[Observation] = []
    n_contexts, contexts = result.u16(), result.sized()
    for _ in range(n_contexts):
        contexts.take(2)
        n_objects, objects = contexts.u16(), contexts.sized()
        for _ in range(n_objects):
            handle = objects.u16()
            for code, value in _attributes(objects):
                if code == _VALUE:
                    found.append(_read_value(handle, value))
                elif code == _VALUES:
                    values = _Reader(value)
                    n_values, inner = values.u16(), values.sized()
                    found += [_read_value(handle, inner.take(_OBSERVED.size)) for _ in range(n_values)]
    return found


def _attributes(reader: _Reader) -> Iterator[tuple[int, bytes]]:
    n_attributes, attributes = reader.u16(), reader.sized()
    for _ in range(n_attributes):
        code = attributes.u16()
        yield code, attributes.take(attributes.u16())


def _read_value(handle: int, value: bytes) -> Observation:
    if len(value) != _OBSERVED.size:
        msg = f"expected a numeric of {_OBSERVED.size} bytes, got {len(value)}"
        raise MalformedError(msg)
    code, state, unit, exponent, high, low = _OBSERVED.unpack(value)
    bits = high << 16 | low
    if bits in _NOT_NUMBERS or abs(exponent) > 9:
        return Observation(handle, code, state, unit, None)
    mantissa = bits - (1 << 24) if bits & 0x800000 else bits
    return Observation(handle, code, state, unit, mantissa * 10.0**exponent)


def make_association() -> bytes:
    """Ask the monitor to associate, as a client that polls once a second."""
    profile = struct.pack(">IIIIII", 0x80000000, 8000, 2500, 1000, 0xFFFFFFFF, 0x60000000)
    profile += struct.pack(">HHHHII", 1, 12, 0xF001, 8, 0x8C000000, 0)  # extended polls, as known clients say
    support = struct.pack(">HH", 1, len(profile)) + profile
    user = struct.pack(">IIIII", 0x80000000, 0x40000000, 0, 0x80000000, 0x20000000) + bytes(4)
    user += struct.pack(">HH", 1, len(support)) + support
    presentation = _PRESENTATION + bytes([len(user)]) + user + bytes(16)
    body = _ACCEPTED + b"\xc1" + bytes([len(presentation)]) + presentation
    return b"\x0d" + bytes([len(body)]) + body


def make_confirmation(message: Message) -> bytes:
    """Confirm an MDS create event."""
    result = message.body[:10] + struct.pack(">HH", MDS_CREATE, 0)
    inner = struct.pack(">HHH", message.invoke, CONFIRMED_EVENT, len(result)) + result
    return _SESSION + struct.pack(">HH", RESULT, len(inner)) + inner


def make_poll(number: int) -> bytes:
    """Ask for all numerics once."""
    action = struct.pack(">HHHIHHHHHH", _MDS, 0, 0, 0, POLL, 8, number & 0xFFFF, 1, NUMERICS, 0)
    inner = struct.pack(">HHH", number & 0xFFFF, CONFIRMED_ACTION, len(action)) + action
    return _SESSION + struct.pack(">HH", INVOKE, len(inner)) + inner


_SYNTAX: Final = bytes.fromhex("06 0c 2a 86 48 ce 14 02 01 00 00 00")
"""Tag, length and root of the object identifiers of the protocol's syntaxes."""
_PRESENTATION: Final = b"".join(
    (
        bytes.fromhex("31 80 a0 80 80 01 01 00 00 a2 80 a0 03 00 00 01 a4 80"),
        bytes.fromhex("30 80 02 01 01 06 04 52 01 00 01 30 80 06 02 51 01 00 00 00 00"),
        bytes.fromhex("30 80 02 01 02") + _SYNTAX + bytes.fromhex("01 01 30 80"),
        _SYNTAX + bytes.fromhex("02 01 00 00 00 00 00 00"),
        bytes.fromhex("61 80 30 80 02 01 01 a0 80 60 80 a1 80") + _SYNTAX + bytes.fromhex("03 01 00 00"),
        bytes.fromhex("be 80 28 80") + _SYNTAX + bytes.fromhex("01 01 02 01 02 81"),
    )
)
"""Constant part of the request: context definitions, in indefinite lengths."""
