"""Recordings as files: CSV, EDF and EDF+, WFDB, NPZ, MFER, laid onto the bed's clock by their own start.

What comes in are bundles (`bundle`) that the folder port makes of finished files; what goes back
is a `Reply` for each, so that a file is put away only when its ticks are stored.  A file without a
start, or with a local one while the site's offset from UTC is not set, is refused: a guessed time
would lay one woman's trace beside another hour.
"""

import io
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path, PurePosixPath
from typing import Final

from hub.errors import RecordError, WireError
from hub.model import Channel, EventKind, FloatArray
from hub.records import Record, read_record
from hub.wire import LATEST_MS
from site_agent.device import DeviceEvent, DriverItem, Reject, Reply
from site_agent.drivers.blocks import check_period, make_blocks
from site_agent.drivers.bundle import (
    HEAD_BYTES,
    MAGIC,
    decode_bundle,
    encode_answer,
    find_length,
    is_whole,
)
from site_agent.drivers.cutter import NOISE, WAIT, Cut, Cutter

FORMS: Final = (".csv", ".edf", ".hea", ".npz", ".mwf", ".mfer")
MAX_UNPACKED_BYTES: Final = 256 * 1024 * 1024
"""What an archive may claim to hold: a file of a few kB can claim gigabytes."""
MAX_NOTES: Final = 1000
MAX_NOTE_CHARACTERS: Final = 500
_FETAL: Final = (Channel.FHR1, Channel.FHR2, Channel.FHR3)


def cut(buffer: bytearray) -> Cut:
    """Look at the front of the buffer for one bundle."""
    start = buffer.find(MAGIC)
    if start < 0:
        return _skip_to_possible_start(buffer)
    if start > 0:
        return Cut(start, NOISE)
    if len(buffer) < HEAD_BYTES:
        return WAIT
    length = find_length(bytes(buffer[:HEAD_BYTES]))
    if length is None:
        return Cut(len(MAGIC), "header", "expected the head of a bundle, got a damaged one")
    if len(buffer) < length:
        return WAIT
    if not is_whole(bytes(buffer[:length])):
        return Cut(len(MAGIC), "crc", f"expected a bundle of {length} bytes, got a damaged one")
    return Cut(length)


def _skip_to_possible_start(buffer: bytearray) -> Cut:
    for n_kept in range(min(len(MAGIC) - 1, len(buffer)), 0, -1):
        if MAGIC.startswith(bytes(buffer[-n_kept:])):
            n_noise = len(buffer) - n_kept
            return Cut(n_noise, NOISE) if n_noise else WAIT
    return Cut(len(buffer), NOISE)


class FileDrop:
    """One folder; a `Driver`.  A subfolder that a file lay in is the `source` of its ticks.

    `utc_offset_min` is the offset of local times from UTC, such as 540 in Japan.
    """

    def __init__(self, *, utc_offset_min: int | None = None) -> None:
        self._zone = None if utc_offset_min is None else timezone(timedelta(minutes=utc_offset_min))
        self._cutter = Cutter(cut, expected="a bundle of files")

    def feed(self, data: bytes, t_ms: float) -> list[DriverItem]:
        """Take bundles; what is no good comes back as `Reject` and in the answer."""
        items: list[DriverItem] = []
        for piece in self._cutter.push(data, t_ms):
            if isinstance(piece, Reject):
                items.append(piece)
            else:
                items += self._read_bundle(piece.data)
        return items

    def due(self, t_ms: float) -> bytes:
        """Say nothing unasked."""
        del t_ms
        return b""

    def _read_bundle(self, bundle: bytes) -> list[DriverItem]:
        name = "?"
        try:
            files = decode_bundle(bundle)
            name = next(iter(files))
            items = list(self._read_files(name, files))
        except OSError as error:  # no room here says nothing against the file: it stays where it is
            return [Reject("disk", f"{name}: cannot be read now: {error}", len(bundle))]
        except (RecordError, WireError, ValueError, OverflowError, MemoryError) as error:
            reason = str(error) or type(error).__name__
            return [Reject("file", reason, len(bundle)), Reply(encode_answer(name, reason))]
        return [*items, Reply(encode_answer(name, None))]

    def _read_files(self, name: str, files: Mapping[str, bytes]) -> Iterator[DriverItem]:
        first = PurePosixPath(name)
        if first.suffix.lower() not in FORMS:
            raise _refused(name, "a file of " + ", ".join(FORMS), first.suffix or "no ending")
        if first.suffix.lower() == ".npz":
            _check_archive(name, files[name])
        record = _read_through_files(first, files)
        t0_ms = self._find_start(name, record.start)
        period_ms = check_period(1000.0 / record.fs)
        values: dict[Channel, FloatArray] = dict(zip(_FETAL, record.fhr, strict=False))
        others = {Channel.MHR: record.mhr, Channel.TOCO: record.toco, Channel.IUP: record.iup}
        values |= {channel: column for channel, column in others.items() if column is not None}
        folder = first.parent.as_posix()
        source = None if folder == "." else folder
        yield from make_blocks(values, t0_ms=t0_ms, period_ms=period_ms, source=source)
        notes = [one for one in record.remarks if 0 <= one.onset_s <= record.duration_s and one.text.strip()]
        if len(notes) > MAX_NOTES:
            what = f"expected at most {MAX_NOTES} remarks, got {len(notes)}: the rest is left out"
            yield Reject("remarks", f"{name}: {what}", 0)
        for one in notes[:MAX_NOTES]:
            at_ms = t0_ms + 1000.0 * one.onset_s
            yield DeviceEvent(
                EventKind.NOTE, at_ms, text=one.text.strip()[:MAX_NOTE_CHARACTERS], source=source
            )

    def _find_start(self, name: str, start: datetime | None) -> float:
        if start is None:
            raise _refused(name, "the time of the first sample in the file", "none")
        if start.tzinfo is None:
            if self._zone is None:
                raise _refused(name, "a start with a zone, or the option utc_offset_min", start.isoformat())
            start = start.replace(tzinfo=self._zone)
        t0_ms = start.timestamp() * 1000.0
        if not 0 <= t0_ms <= LATEST_MS:
            raise _refused(name, "a start from 1970 to 2200", start.isoformat())
        return t0_ms


def _read_through_files(first: PurePosixPath, files: Mapping[str, bytes]) -> Record:
    """Read by the readers of recordings, which work on files, in a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="ctg-file-drop-") as folder:
        for name, content in files.items():
            Path(folder, PurePosixPath(name).name).write_bytes(content)
        try:
            return read_record(Path(folder, first.name))
        except RecordError as error:
            raise RecordError(str(error).replace(f"{folder}/", "")) from error


def _check_archive(name: str, content: bytes) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            n_bytes = sum(info.file_size for info in archive.infolist())
    except (zipfile.BadZipFile, NotImplementedError) as error:
        raise _refused(name, "an npz archive", error) from error
    if n_bytes > MAX_UNPACKED_BYTES:
        raise _refused(name, f"at most {MAX_UNPACKED_BYTES} bytes unpacked", n_bytes)


def _refused(name: str, expected: str, came: object) -> RecordError:
    return RecordError(f"{name}: expected {expected}, got {came}")
