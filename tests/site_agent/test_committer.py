"""The thread of the outbox: batches share a commit, and no file that breaks takes the site with it."""

import asyncio
from pathlib import Path

import pytest

from site_agent import committer as module
from site_agent.committer import Committer
from site_agent.outbox import Outbox
from site_agent.salvager import find_damaged
from tests.site_agent.test_outbox import draft


@pytest.fixture
def committer(tmp_path: Path):
    running = Committer(tmp_path, "h012", commit_s=0.05)
    running.start()
    yield running
    running.close()


async def test_what_comes_together_shares_a_commit_and_keeps_its_order(committer: Committer):
    kept = await asyncio.gather(*(committer.append([draft(f"bed{k % 3}", k)]) for k in range(60)))
    assert [frames[0].draft.t0_ms for frames in kept] == [draft(second=k).t0_ms for k in range(60)]
    assert [frames[0].seq for frames in kept] == [k // 3 for k in range(60)]
    assert committer.commits <= 3
    assert committer.frames_waiting == 0


async def test_who_gave_up_waiting_loses_nothing(committer: Committer):
    waiting = asyncio.create_task(committer.append([draft()]))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    (kept,) = await committer.append([draft(second=1)])
    assert kept.seq == 1
    assert sorted(await committer.ask(lambda outbox: outbox.read("bed0", committer.epoch, 0, 9))) == []
    assert sorted(await committer.ask(lambda outbox: outbox.read("bed1", committer.epoch, 0, 9))) == [0, 1]


async def test_a_question_that_fails_is_the_problem_of_who_asked(committer: Committer):
    def wrong(_outbox: Outbox) -> None:
        msg = "no"
        raise ValueError(msg)

    with pytest.raises(ValueError, match="no"):
        await committer.ask(wrong)
    assert len(await committer.append([draft()])) == 1


async def test_more_than_memory_may_hold_is_refused_and_counted(
    committer: Committer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "MAX_WAITING", 5)
    assert await committer.append([draft(second=k) for k in range(6)]) == []
    assert committer.frames_refused == 6
    assert len(await committer.append([draft()])) == 1


async def test_a_file_that_breaks_while_it_is_used_is_set_aside_and_the_batch_kept(
    committer: Committer, tmp_path: Path
):
    first = await committer.append([draft(second=k) for k in range(300)])
    await committer.ask(lambda outbox: outbox._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall())
    path = tmp_path / "outbox.db"
    content = bytearray(path.read_bytes())
    content[4096 : len(content)] = b"\xa5" * (len(content) - 4096)
    path.write_bytes(content)
    await committer.ask(lambda outbox: outbox._db.execute("PRAGMA shrink_memory").fetchall())
    kept = await committer.append([draft(second=1000)])
    assert [frame.is_stored for frame in kept] == [True]
    assert kept[0].epoch == first[0].epoch
    assert kept[0].seq == 300, "a number is never given twice"
    assert len(find_damaged(tmp_path)) == 1
    assert sorted(await committer.ask(lambda o: o.read("bed1", committer.epoch, 0, 999))) == [300]


def test_closing_commits_what_waits(tmp_path: Path):
    running = Committer(tmp_path, "h012", commit_s=5.0)
    running.start()

    async def give() -> None:
        await running.append([draft()])
        late = asyncio.create_task(running.append([draft(second=1)]))
        await asyncio.sleep(0)
        running.close()
        assert [frame.seq for frame in await late] == [1]

    asyncio.run(give())
    outbox = Outbox(tmp_path, "h012", 1)
    assert [stock.unacked for stock in outbox.unacked()] == [[(0, 1)]]
    outbox.close()
