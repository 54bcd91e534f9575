"""Frames and events on the site's disk until the hub has stored them: SQLite, one transaction per batch.

Used by one thread (`site_agent.committer`).  A frame's identity is given in the
transaction that stores it, so what has a seq is on the disk, and what is on the disk
has a seq.  `confirmed` holds runs of seq that the hub has stored, each with the hour
in which it said so; hours are those that the agent has lived, which no step of the
wall clock can move.
"""

import logging
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final

from hub.model import Advice, BedEvent
from hub.wire import encode_json
from site_agent import confirmed
from site_agent.ballast import Ballast
from site_agent.restock import put_back
from site_agent.retention import EVICT_SHARE, KEEP_AFTER_ACK_H, KEEP_H, evict
from site_agent.runs import Run, Runs
from site_agent.salvage import Found, is_whole, make_seal
from site_agent.schema import PAGE_BYTES, is_damage, is_full, look_before_opening, prepare, read_streams
from site_agent.stock import (
    Draft,
    Fill,
    Kept,
    OutboxDamagedError,
    OutboxError,
    OutboxFullError,
    OutboxLimits,
    Stock,
    seal,
)

_log = logging.getLogger(__name__)

PAST_FRAMES: Final = 3000
"""Most frames of an epoch that are looked through for the last minutes."""
T0_AT: Final = 10
"""Where a wave frame says when its first tick begins, in 6 bytes."""


class Outbox:
    """The database of one site's agent.  `epoch` must be new at each start."""

    def __init__(self, folder: Path, site: str, epoch: int, limits: OutboxLimits | None = None) -> None:
        """Open the outbox of a folder, or begin one.

        Raises
        ------
        OutboxDamagedError
            If the file is there and is not a sound database.
        OutboxError
            If it is of another site or another version.
        """
        self.path = folder / "outbox.db"
        self.epoch = epoch
        self.bytes_refused = 0
        self._limits = limits or OutboxLimits()
        self._ballast = Ballast(folder / "ballast", self._limits.ballast_bytes)
        self._seqs: dict[str, int] = {}
        self._streams: dict[tuple[str, int], int] = {}
        look_before_opening(self.path)
        self._db = sqlite3.connect(self.path, isolation_level=None, timeout=10, check_same_thread=False)
        try:
            self._prepare(site)
        except (sqlite3.DatabaseError, OutboxError) as error:
            # Before the file can be renamed: SQLite removes the journal by its name when it is closed.
            self.close()
            if isinstance(error, OutboxError):
                raise
            is_odd = error.sqlite_errorcode == sqlite3.SQLITE_ERROR  # such as a table that is not there
            if is_damage(error) or is_odd:
                msg = f"{self.path}: expected an SQLite database, got: {error}"
                raise OutboxDamagedError(msg) from error
            msg = f"{self.path}: {error}"
            raise OutboxError(msg) from error
        self._ballast.restore()

    def _prepare(self, site: str) -> None:
        self._lived_before_s = prepare(self._db, site, self.path, self._limits.max_bytes)
        self.lived_s = 0.0
        self._streams = read_streams(self._db, self.path)
        if any(epoch == self.epoch for _, epoch in self._streams):
            msg = f"{self.path}: expected a new epoch, got {self.epoch}, which it holds already"
            raise OutboxError(msg)

    def close(self) -> None:
        """Close the file; what was committed is safe without it."""
        try:
            self._db.close()
        except sqlite3.DatabaseError as error:
            _log.warning("%s: %s", self.path, error)

    @property
    def hour(self) -> int:
        """Hours that agents have lived on this outbox."""
        return int((self._lived_before_s + self.lived_s) / 3600)

    # ---------------------------------------------------------------- writing

    def append(self, drafts: Sequence[Draft], events: Sequence[tuple[str, BedEvent]] = ()) -> list[Kept]:
        """Store frames and events in one transaction and give the frames their identity.

        Where there is no room even after the oldest acknowledged frames are given up, the
        frames get their identity all the same, so that they can be shown live, and are
        marked as not stored.

        Raises
        ------
        OutboxDamagedError
            If the file proves damaged; nothing of the batch has a seq then.
        """
        kept = self._seal(drafts)
        try:
            self._guard(lambda: self._write(kept, events))
        except OutboxFullError:
            self.bytes_refused += sum(len(frame.payload) for frame in kept)
            kept = [Kept(f.draft, f.epoch, f.seq, f.payload, is_stored=False) for f in kept]
        for frame in kept:
            self._seqs[frame.draft.bed] = frame.seq + 1
        return kept

    def take_over_seqs(self, other: "Outbox") -> None:
        """Go on counting where the outbox that this one replaces had come to."""
        self._seqs = dict(other._seqs)  # noqa: SLF001  # of the same class

    def _seal(self, drafts: Sequence[Draft]) -> list[Kept]:
        seqs = dict(self._seqs)
        kept = []
        for draft in drafts:
            seq = seqs.get(draft.bed, 0)
            seqs[draft.bed] = seq + 1
            kept.append(Kept(draft, self.epoch, seq, seal(draft.body, self.epoch, seq)))
        return kept

    def _guard(self, work: Callable[[], object]) -> None:
        """Run one transaction; a full disk gets one more try after giving up acknowledged frames."""
        for is_last in (False, True):
            try:
                work()
            except sqlite3.DatabaseError as error:
                if is_damage(error):
                    msg = f"{self.path}: {error}"
                    raise OutboxDamagedError(msg) from error
                self._roll_back()
                if not is_full(error):
                    raise
                if is_last or not self._make_room():
                    raise OutboxFullError(str(self.path)) from error
            else:
                return

    def _write(self, kept: Iterable[Kept], events: Iterable[tuple[str, BedEvent]]) -> None:
        db, hour = self._db, self.hour
        db.execute("BEGIN IMMEDIATE")
        rows = [(f.draft.bed, f.epoch, f.seq, f.payload) for f in kept]
        db.executemany(
            "INSERT INTO frame VALUES (?, ?, ?, ?, ?)",
            [(self._stream(b, epoch), seq, hour, p, make_seal(b, p)) for b, epoch, seq, p in rows],
        )
        db.executemany(
            "INSERT INTO event VALUES (?, ?, ?, ?, NULL) ON CONFLICT DO NOTHING",
            [(event.id, bed, encode_json(event), hour) for bed, event in events],
        )
        db.execute("COMMIT")

    def take_back(self, found: Found) -> list[Stock]:
        """Store what was found in a damaged outbox under its own identity; gives what is new here."""
        new: dict[tuple[str, int], Runs] = {}
        self._guard(lambda: new.update(put_back(self._db, found, stream_of=self._stream, hour=self.hour)))
        return [Stock(bed, epoch, list(runs)) for (bed, epoch), runs in new.items()]

    def _roll_back(self) -> None:
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")
        # A stream whose row went with the transaction must be made again.
        self._streams = read_streams(self._db, self.path)

    def _stream(self, bed: str, epoch: int) -> int:
        known = self._streams.get((bed, epoch))
        if known is None:
            row = self._db.execute("INSERT INTO stream (bed, epoch) VALUES (?, ?) RETURNING id", [bed, epoch])
            known = self._streams[bed, epoch] = int(row.fetchone()[0])
        return known

    def confirm(self, stock: Iterable[Stock], event_ids: Iterable[str] = ()) -> None:
        """Note the runs that the hub has stored (the `unacked` of each stock here) and the time lived."""
        stock, event_ids = list(stock), list(event_ids)
        self._guard(lambda: self._confirm(stock, event_ids))

    def _confirm(self, stock: Iterable[Stock], event_ids: Iterable[str]) -> None:
        db, hour = self._db, self.hour
        db.execute("BEGIN IMMEDIATE")
        db.execute(
            "UPDATE meta SET value = ? WHERE name = 'lived_s'", [int(self._lived_before_s + self.lived_s)]
        )
        for of_stream in stock:
            stream = self._streams.get((of_stream.bed, of_stream.epoch))
            if stream is not None:
                for first, last in of_stream.unacked:
                    confirmed.add_run(db, stream, first, last, hour)
        db.executemany("UPDATE event SET done_hour = ? WHERE id = ?", [(hour, i) for i in event_ids])
        db.execute("COMMIT")

    # ---------------------------------------------------------------- reading

    def unacked(self) -> list[Stock]:
        """Find what is here and not confirmed, oldest epoch of each bed first."""
        stock = []
        for (bed, epoch), stream in sorted(self._streams.items(), key=lambda item: item[1]):
            try:
                runs = confirmed.find_open(self._db, stream)
            except TypeError as error:  # SQLite gives a value whose type a fault has changed as it finds it
                msg = f"{self.path}: expected whole numbers, got: {error}"
                raise OutboxDamagedError(msg) from error
            if runs:
                stock.append(Stock(bed, epoch, runs))
        return stock

    def read(self, bed: str, epoch: int, first: int, last: int) -> dict[int, bytes]:
        """Frames by seq.  One whose CRC no longer fits is left out, with an error in the log."""
        stream = self._streams.get((bed, epoch))
        if stream is None:
            return {}
        frames = {}
        for seq, payload, of_bed in self._db.execute(
            "SELECT seq, payload, seal FROM frame WHERE stream = ? AND seq BETWEEN ? AND ?",
            [stream, first, last],
        ):
            if is_whole(payload, epoch, seq) and of_bed in (None, make_seal(bed, payload)):
                frames[seq] = payload
            else:
                _log.error("%s: %s epoch %d seq %s does not fit its CRC or seal", self.path, bed, epoch, seq)
        return frames

    def find_streams(self, bed: str) -> list[tuple[int, int, int]]:
        """Find the epochs of a bed, each with its lowest and highest seq."""
        found = []
        for (name, epoch), stream in self._streams.items():
            if name != bed:
                continue
            low, high = self._db.execute(
                "SELECT min(seq), max(seq) FROM frame WHERE stream = ?", [stream]
            ).fetchone()
            if low is not None:
                found.append((epoch, low, high))
        return found

    def find_span(self, bed: str, epoch: int, first: int, last: int, span_ms: tuple[int, int]) -> list[Run]:
        """Find the frames among these that begin in [from, to), as runs of seq."""
        from_ms, to_ms = (max(0, t_ms).to_bytes(6, "big") for t_ms in span_ms)
        runs = Runs()
        for (seq,) in self._db.execute(
            "SELECT seq FROM frame WHERE stream = ? AND seq BETWEEN ? AND ?"
            " AND substr(payload, ?, 6) >= ? AND substr(payload, ?, 6) < ?",
            [self._streams.get((bed, epoch)), first, last, T0_AT + 1, from_ms, T0_AT + 1, to_ms],
        ):
            runs.add(seq, seq)
        return list(runs)

    def read_past(self, bed: str, since_ms: int) -> list[bytes]:
        """Read the frames of the last minutes by their time, without looking through a week of them."""
        found: list[tuple[int, bytes]] = []
        for epoch, low, high in self.find_streams(bed):
            if (self.read_t0_ms(bed, epoch, high) or 0) >= since_ms:
                frames = self.read(bed, epoch, max(low, high - PAST_FRAMES), high).values()
                found += [(t0_ms, frame) for frame in frames if (t0_ms := read_t0_ms(frame)) >= since_ms]
        return [frame for _, frame in sorted(found)]

    def forget_ack(self, stock: Iterable[Stock]) -> None:
        """Take frames as not confirmed again: the hub asked for them anew."""
        stock = list(stock)
        self._guard(lambda: self._forget_ack(stock))

    def _forget_ack(self, stock: Iterable[Stock]) -> None:
        db = self._db
        db.execute("BEGIN IMMEDIATE")
        for of_stream in stock:
            stream = self._streams[of_stream.bed, of_stream.epoch]
            for first, last in of_stream.unacked:
                confirmed.remove_run(db, stream, first, last)
        db.execute("COMMIT")

    def read_t0_ms(self, bed: str, epoch: int, seq: int) -> int | None:
        """When a frame begins."""
        payload = self.read(bed, epoch, seq, seq).get(seq)
        return None if payload is None else read_t0_ms(payload)

    def read_events(self) -> list[tuple[str, str, bytes]]:
        """Events that are not confirmed, oldest first: id, bed, JSON."""
        return self._db.execute(
            "SELECT id, bed, payload FROM event WHERE done_hour IS NULL ORDER BY id"
        ).fetchall()

    def keep_advice(self, bed: str, advice: Advice) -> None:
        """Keep advice of the centre; the same advice may come again."""
        row = [advice.id, bed, encode_json(advice), self.hour]
        self._guard(
            lambda: self._db.execute(
                "INSERT INTO advice VALUES (?, ?, ?, ?, NULL, NULL) ON CONFLICT DO NOTHING", row
            )
        )

    def confirm_advice(self, advice_id: str, by: str, t_ms: int) -> None:
        """Note who confirmed advice, and when."""
        self._guard(
            lambda: self._db.execute(
                "UPDATE advice SET confirmed_ms = ?, confirmed_by = ? WHERE id = ?", [t_ms, by, advice_id]
            )
        )

    def read_advice(self, most: int = 50) -> list[tuple[str, bytes, int | None, str | None]]:
        """Read the newest advice, oldest first: bed, JSON, when and by whom it was confirmed."""
        return self._db.execute(
            "SELECT bed, payload, confirmed_ms, confirmed_by FROM advice ORDER BY rowid DESC LIMIT ?", [most]
        ).fetchall()[::-1]

    # ---------------------------------------------------------------- small notes

    def note(self, name: str, value: str) -> None:
        """Keep a short text under a name of the agent's own."""
        self._guard(lambda: self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", [name, value]))

    def read_notes(self, prefix: str) -> dict[str, str]:
        """Read the texts whose name begins so."""
        rows = self._db.execute(
            "SELECT name, value FROM meta WHERE substr(name, 1, ?) = ?", [len(prefix), prefix]
        )
        return {name: str(value) for name, value in rows}

    # ---------------------------------------------------------------- room

    def fill(self) -> Fill:
        """Say how full the outbox is, by its own limit and by the disk."""
        (pages,) = self._db.execute("PRAGMA page_count").fetchone()
        (free,) = self._db.execute("PRAGMA freelist_count").fetchone()
        size = pages * PAGE_BYTES
        disk_free, disk_total = self._ballast.disk()
        limit = min(self._limits.max_bytes, size + max(0, disk_free - self._ballast.missing_bytes))
        return Fill((pages - free) * PAGE_BYTES, limit, disk_free / max(1, disk_total))

    def sweep(self) -> int:
        """Delete a bounded number of frames that need no longer be kept; gives how many."""
        self._ballast.restore()
        is_tight = self.fill().share >= EVICT_SHARE
        deleted = 0
        try:
            self._guard(self._delete_events)
            deleted = self._evict(0 if is_tight else KEEP_H, 0 if is_tight else KEEP_AFTER_ACK_H)
        except OutboxFullError as error:
            _log.warning("no room to delete in: %s", error)
        return deleted

    def _delete_events(self) -> None:
        self._db.execute("DELETE FROM event WHERE done_hour < ?", [self.hour - KEEP_H])
        self._db.execute("DELETE FROM advice WHERE hour < ?", [self.hour - KEEP_H])

    def _make_room(self) -> bool:
        """Give up the oldest acknowledged frames on a full disk; False when there are none."""
        self._ballast.release()  # a delete needs room in the journal
        try:
            deleted = self._evict(0, 0)
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.DatabaseError as error:
            self._roll_back()
            _log.warning("%s: no room even for deleting: %s", self.path, error)
            return False
        if deleted:
            _log.warning("%s: full; %d acknowledged frames given up before their time", self.path, deleted)
        return deleted > 0

    def _evict(self, keep_h: int, keep_after_ack_h: int) -> int:
        deleted = evict(self._db, self.hour, keep_h, keep_after_ack_h)
        for key, stream in list(self._streams.items()):
            if key[1] != self.epoch and not self._holds_frames(stream):
                self._db.execute("DELETE FROM confirmed WHERE stream = ?", [stream])
                self._db.execute("DELETE FROM stream WHERE id = ?", [stream])
                del self._streams[key]
        return deleted

    def _holds_frames(self, stream: int) -> bool:
        row = self._db.execute("SELECT 1 FROM frame WHERE stream = ? LIMIT 1", [stream]).fetchone()
        return row is not None


def read_t0_ms(payload: bytes) -> int:
    """When a frame begins, by its own words."""
    return int.from_bytes(payload[T0_AT : T0_AT + 6], "big")
