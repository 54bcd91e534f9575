"""A damaged outbox is set aside, and whatever is whole in it comes back under its own identity, once."""

import asyncio
import random
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from hub.model import BedEvent, EventKind
from hub.wire import encode_json
from site_agent.committer import Committer
from site_agent.happenings import Restored
from site_agent.outbox import Outbox
from site_agent.runs import Run, Runs
from site_agent.salvage import FoundEvent, Searcher, make_seal
from site_agent.salvager import Salvager, find_damaged
from site_agent.stock import OutboxDamagedError, Stock
from site_agent.ulid import make_ulid
from tests.site_agent.test_outbox import draft

EPOCH = 0xC7180001
"""With the bytes in it that frames begin with."""
BEDS = ("bed1", "bed2", "bed3")
SECONDS = 2000
Frames = dict[tuple[str, int, int], bytes]
EVENT = BedEvent(id=make_ulid(1_780_000_000_000), kind=EventKind.NOTE, t_ms=1, text='体位変換 {"}')


def fill(folder: Path, *, seconds: int = SECONDS) -> Frames:
    """Write an outbox as an agent leaves it; give every frame in it."""
    outbox = Outbox(folder, "h012", EPOCH)
    kept = []
    for first in range(0, seconds, 100):
        kept += outbox.append([draft(bed, k) for k in range(first, first + 100) for bed in BEDS])
    outbox.append([], [("bed2", EVENT)])
    outbox.confirm([Stock("bed1", EPOCH, [(0, 700)])])
    outbox.close()
    return {(frame.draft.bed, EPOCH, frame.seq): frame.payload for frame in kept}


class Site:
    """The outbox of an agent that starts on a folder, with what it pushes and tells."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.committer = Committer(folder, "h012", commit_s=0.01)
        self.restored: dict[tuple[str, int], list[tuple[int, int]]] = {}
        self.events: list[str] = []
        self.told: list[str] = []
        self.salvager = Salvager(
            folder,
            BEDS,
            self.committer,
            push=self._push,
            keep_event=lambda event_id, bed, payload: self.events.append(event_id),
            tell_failure=self._tell,
        )

    def _push(self, restored: Restored) -> None:
        assert restored.is_past
        self.restored.setdefault((restored.bed, restored.epoch), []).extend(restored.runs)

    async def _tell(self, text: str) -> None:
        self.told.append(text)

    async def read(self) -> Frames:
        """Everything that the present outbox holds and would send."""

        def everything(outbox: Outbox) -> Frames:
            return {
                (stock.bed, stock.epoch, seq): payload
                for stock in outbox.unacked()
                for first, last in stock.unacked
                for seq, payload in outbox.read(stock.bed, stock.epoch, first, last).items()
            }

        return await self.committer.ask(everything)

    async def salvaged(self) -> None:
        async with asyncio.timeout(25):
            while not any("frames read back" in text for text in self.told):  # noqa: ASYNC110  # told, no event
                await asyncio.sleep(0.02)


@asynccontextmanager
async def start(folder: Path) -> AsyncIterator[Site]:
    site = Site(folder)
    site.committer.start()
    task = asyncio.create_task(site.salvager.run())
    try:
        yield site
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        site.committer.close()


def flip(content: bytearray, rng: random.Random) -> None:
    """One byte in 2000, in all of the file but its first page."""
    for at in rng.sample(range(4096, len(content)), len(content) // 2000):
        content[at] ^= 1 << rng.randrange(8)


def tear(content: bytearray, rng: random.Random) -> None:
    """Pages of which only some sectors were written, every tenth or so."""
    for page in range(4096, len(content), 4096):
        if rng.random() < 0.1:
            content[page : page + 512] = bytes(512)


def truncate(content: bytearray, rng: random.Random) -> None:
    del content[len(content) * 2 // 3 + 17 :]


def zero_header(content: bytearray, rng: random.Random) -> None:
    content[:4096] = bytes(4096)


def lose_the_inner_pages(content: bytearray, rng: random.Random) -> None:
    """The index pages, and the page of the streams: nothing says any more which rows are whose."""
    for page in range(4096, len(content), 4096):
        if content[page] in (0x02, 0x05, 0x0D):
            content[page : page + 4096] = rng.randbytes(4096)


def untouched(content: bytes, frames: Frames) -> set[tuple[str, int, int]]:
    """The frames whose bytes, seal included, still lie in the file: what must come back, by plain search."""
    return {key for key, payload in frames.items() if payload + make_seal(key[0], payload) in content}


@pytest.mark.parametrize("hurt", [flip, tear, truncate, zero_header, lose_the_inner_pages])
async def test_whatever_is_whole_in_a_damaged_outbox_comes_back_once_under_its_own_identity(
    tmp_path: Path, hurt: Callable[[bytearray, random.Random], None]
):
    written = fill(tmp_path)
    path = tmp_path / "outbox.db"
    content = bytearray(path.read_bytes())
    hurt(content, random.Random(7))
    path.write_bytes(content)
    async with start(tmp_path) as site:
        await site.committer.ask(provoke)
        await site.salvaged()
        (aside,) = find_damaged(tmp_path)
        assert aside.read_bytes() == content, "the damaged file stays as it is"
        whole = untouched(bytes(content), written)
        back = {key: payload for key, payload in (await site.read()).items() if key[1] == EPOCH}
        assert whole <= set(back), "nothing readable is lost"
        assert len(whole) > len(written) // 2
        assert back.items() <= written.items(), "nothing is invented, altered, or given to another bed"
        assert site.salvager.frames_back == len(back)
        assert (site.salvager.damaged, site.events[:1]) in [(1, [EVENT.id]), (1, [])]
        pushed = {
            (*key, seq) for key, runs in site.restored.items() for a, b in runs for seq in range(a, b + 1)
        }
        assert pushed == set(back)
        assert (await site.committer.append([draft(second=9000)]))[0].epoch != EPOCH
        assert aside.name in site.told[0]
    async with start(tmp_path) as again:
        await asyncio.sleep(0.1)
        assert (again.told, again.salvager.frames_back) == ([], len(back)), "done is done"


def runs_of(frames: Frames, bed: str, epoch: int) -> list[Run]:
    return list(Runs((seq, seq) for b, e, seq in sorted(frames) if (b, e) == (bed, epoch)))


def provoke(outbox: Outbox) -> None:
    """Read all of it, as a hub that asks for everything would make the agent do."""
    for stock in outbox.unacked():
        for first, last in stock.unacked:
            outbox.read(stock.bed, stock.epoch, first, last)
    (answer,) = outbox._db.execute("PRAGMA integrity_check(1)").fetchone()
    if answer != "ok":
        raise OutboxDamagedError(answer)


async def test_frames_of_the_journal_alone_come_back(tmp_path: Path):
    fill(tmp_path, seconds=100)
    outbox = Outbox(tmp_path, "h012", EPOCH + 1)
    kept = outbox.append([draft(second=k) for k in range(50)])
    journal = (tmp_path / "outbox.db-wal").read_bytes()
    outbox.close()
    (tmp_path / "outbox.db").write_bytes(b"")
    (tmp_path / "outbox.db-wal").write_bytes(journal)
    async with start(tmp_path) as site:
        await site.salvaged()
        back = await site.read()
        assert {("bed1", EPOCH + 1, frame.seq): frame.payload for frame in kept}.items() <= back.items()


async def test_a_lost_journal_stops_nobody(tmp_path: Path):
    written = fill(tmp_path)
    outbox = Outbox(tmp_path, "h012", EPOCH + 1)
    outbox.append([draft(second=k) for k in range(50)])
    database = (tmp_path / "outbox.db").read_bytes()
    outbox.close()
    (tmp_path / "outbox.db").write_bytes(database)
    async with start(tmp_path) as site:
        back = await site.read()
        assert {key for key in written if key[0] != "bed1"} <= set(back)
        assert (await site.committer.append([draft()]))[0].is_stored


async def test_what_the_hub_has_confirmed_meanwhile_is_not_taken_back_twice(tmp_path: Path):
    fill(tmp_path, seconds=200)
    path = tmp_path / "outbox.db"
    path.write_bytes(bytes(4096) + path.read_bytes()[4096:])
    async with start(tmp_path) as site:
        await site.salvaged()
    with sqlite3.connect(tmp_path / "outbox.db") as db:
        db.execute("DELETE FROM meta WHERE name LIKE 'salvaged/%'")  # as if it had ended in between
    async with start(tmp_path) as again:
        await again.committer.ask(lambda outbox: outbox.confirm([Stock("bed1", EPOCH, [(0, 199)])]))
        await again.salvaged()
        assert again.restored == {}
        assert again.salvager.frames_back == 0


async def test_a_damaged_file_that_cannot_be_read_at_all_ends_nothing(tmp_path: Path):
    (tmp_path / "outbox-damaged-20261120T000000Z.db").mkdir()
    Outbox(tmp_path, "h012", 5).close()
    with sqlite3.connect(tmp_path / "outbox.db") as db:
        db.execute("INSERT INTO meta VALUES ('salvaged/x', 'no report')")
    db.close()
    async with start(tmp_path) as site:
        while not site.told:  # noqa: ASYNC110  # told, no event
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        assert (await site.committer.append([draft()]))[0].is_stored
        assert site.salvager.damaged == 1


def test_a_frame_under_another_beds_row_is_never_read_for_it(tmp_path: Path):
    outbox = Outbox(tmp_path, "h012", 7)
    outbox.append([draft("bed1"), draft("bed2")])
    outbox._db.execute("UPDATE frame SET stream = 3 - stream + 100")
    outbox._db.execute("UPDATE frame SET stream = stream - 100")
    assert outbox.read("bed1", 7, 0, 0) == outbox.read("bed2", 7, 0, 0) == {}


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE stream SET bed = x'00ff' WHERE id = 1",
        "DELETE FROM meta WHERE name = 'site'",
        "UPDATE meta SET value = 'x' WHERE name = 'lived_s'",
        "DROP TABLE stream",
        "PRAGMA user_version = 4711",
        "PRAGMA user_version = 0",
    ],
)
def test_odd_values_are_damage_and_not_a_reason_to_refuse_work(tmp_path: Path, change: str):
    fill(tmp_path, seconds=100)
    with sqlite3.connect(tmp_path / "outbox.db") as db:
        db.execute(change)
    db.close()
    with pytest.raises(OutboxDamagedError):
        Outbox(tmp_path, "h012", 8)
    committer = Committer(tmp_path, "h012")
    committer._outbox.close()
    assert len(find_damaged(tmp_path)) == 1


def test_a_payload_that_is_no_bytes_any_more_is_left_out(tmp_path: Path):
    outbox = Outbox(tmp_path, "h012", 7)
    outbox.append([draft(second=k) for k in range(3)])
    outbox._db.execute("UPDATE frame SET payload = 'text' WHERE seq = 1")
    assert sorted(outbox.read("bed1", 7, 0, 9)) == [0, 2]


def test_an_outbox_of_the_first_version_goes_on(tmp_path: Path):
    written = fill(tmp_path, seconds=100)
    with sqlite3.connect(tmp_path / "outbox.db") as db:
        db.execute("ALTER TABLE frame DROP COLUMN seal")
        db.execute("PRAGMA user_version = 1")
    db.close()
    outbox = Outbox(tmp_path, "h012", 8)
    assert len(outbox.read("bed2", EPOCH, 0, 999)) == 100
    assert outbox.read("bed2", EPOCH, 5, 5) == {5: written["bed2", EPOCH, 5]}


def test_two_outboxes_that_break_in_one_second_are_both_kept(tmp_path: Path):
    for _ in range(3):
        (tmp_path / "outbox.db").write_bytes(b"rubbish" * 1000)
        Committer(tmp_path, "h012")._outbox.close()
    assert len(find_damaged(tmp_path)) == 3


def test_an_outbox_that_is_gone_is_noticed(tmp_path: Path):
    fill(tmp_path, seconds=100)
    (tmp_path / "outbox.db").unlink()
    committer = Committer(tmp_path, "h012")
    committer._outbox.close()
    assert committer.was_missing


def test_an_event_is_found_by_its_own_words_only(tmp_path: Path):
    payload = encode_json(EVENT)
    searcher = Searcher(BEDS)

    def found(bytes_: bytes) -> list[Any]:
        return searcher.search(bytes_, len(bytes_)).events

    row = b"\x07A\x19" + EVENT.id.encode() + b"bed2" + payload + b"\x00\x01"
    assert found(row) == [FoundEvent(EVENT.id, "bed2", payload)]
    assert found(row.replace(b"bed2", b"bed9")) == []
    assert found(row.replace(b'"kind"', b'"kind')) == []
    assert found(row[:60]) == []
