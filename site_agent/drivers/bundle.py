"""A finished file on its way from the folder to the driver, and the answer on its way back.

A bundle holds the files of one recording (WFDB has two)::

    "CTGFILE1" · u32 length of the body · u32 CRC-32 of these 12 bytes · body · u32 CRC-32 of the body
    body: for each file  u16 length · name (UTF-8, '/' before it a subfolder) · u32 length · content

It goes through the raw log and a replay like the bytes of any device.  The answer names the
bundle's first file and, if it was refused, why.
"""

import struct
import zlib
from collections.abc import Mapping
from typing import Final

from hub.errors import WireError, WireFault

MAGIC: Final = b"CTGFILE1"
MAX_BODY_BYTES: Final = 32 * 1024 * 1024
"""A week of five channels as text is less; more is another kind of file."""
_HEAD: Final = struct.Struct(">8sI")
_U32: Final = struct.Struct(">I")
HEAD_BYTES: Final = _HEAD.size + _U32.size


def encode_bundle(files: Mapping[str, bytes]) -> bytes:
    """Pack the files of one recording.  Raises WireError if they are too large."""
    body = b"".join(
        len(name.encode()).to_bytes(2, "big") + name.encode() + _U32.pack(len(content)) + content
        for name, content in files.items()
    )
    if len(body) > MAX_BODY_BYTES:
        name = next(iter(files))
        raise WireError(WireFault.SIZE, f"{name}: expected at most {MAX_BODY_BYTES} bytes, got {len(body)}")
    head = _HEAD.pack(MAGIC, len(body))
    return head + _U32.pack(zlib.crc32(head)) + body + _U32.pack(zlib.crc32(body))


def find_length(head: bytes) -> int | None:
    """Length of the whole bundle by its first `HEAD_BYTES`; None if they are not a bundle's."""
    magic, n_body = _HEAD.unpack_from(head)
    is_head = magic == MAGIC and _U32.unpack_from(head, _HEAD.size)[0] == zlib.crc32(head[: _HEAD.size])
    return HEAD_BYTES + n_body + _U32.size if is_head and n_body <= MAX_BODY_BYTES else None


def is_whole(bundle: bytes) -> bool:
    """Say whether the body of a bundle is what was sent."""
    return int.from_bytes(bundle[-4:], "big") == zlib.crc32(bundle[HEAD_BYTES:-4])


def decode_bundle(bundle: bytes) -> dict[str, bytes]:
    """Unpack the files of a whole bundle.  Raises WireError."""
    files: dict[str, bytes] = {}
    at, end = HEAD_BYTES, len(bundle) - 4
    while at < end:
        name, at = _take(bundle, at, 2, end)
        content, at = _take(bundle, at, 4, end)
        try:
            files[name.decode()] = content
        except UnicodeDecodeError as error:
            raise WireError(WireFault.FILL, f"expected a file name in UTF-8, got {name!r}") from error
    if not files:
        raise WireError(WireFault.FILL, "expected at least one file, got none")
    return files


def _take(bundle: bytes, at: int, width: int, end: int) -> tuple[bytes, int]:
    start = at + width
    stop = start + int.from_bytes(bundle[at:start], "big")
    if stop > end:
        raise WireError(WireFault.SHORT, f"expected {stop - start} bytes of a file, got {end - start}")
    return bundle[start:stop], stop


def encode_answer(name: str, refused: str | None) -> bytes:
    """Say that a bundle is stored, or why it was refused."""
    return f"{'refused' if refused else 'stored'}\n{name}\n{refused or ''}".encode()


def decode_answer(answer: bytes) -> tuple[str, str | None]:
    """Read the name of the bundle's first file, and why it was refused, or None."""
    verdict, name, reason = answer.decode("utf-8", "replace").split("\n", 2)
    return name, reason if verdict == "refused" else None
