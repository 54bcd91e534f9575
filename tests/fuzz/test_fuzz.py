"""No message, however broken, brings a decoder down or holds it up, and each is counted (goal R15)."""

import logging
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaos.fuzz import Crash, Mutator, Target, run_fuzz
from chaos.fuzz_targets import ACCEPTED, all_targets

MESSAGES = 100_000


@pytest.fixture(scope="module")
def targets() -> Iterator[list[Target]]:
    """Every decoder, its complaints kept out of the log."""
    logging.disable(logging.CRITICAL)
    with all_targets() as targets:
        yield targets
    logging.disable(logging.NOTSET)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_hundred_thousand_broken_messages_crash_nothing_and_stall_nothing(targets: list[Target]):
    report = run_fuzz(targets, messages=MESSAGES, seed=20_261_120)
    assert report.crashes == [], "\n".join(report.lines())
    assert report.stalls == []
    assert abs(report.messages - MESSAGES) < 100
    assert sum(verdicts.total() for verdicts in report.verdicts.values()) == report.messages
    wire = report.verdicts["wave"]
    assert {ACCEPTED, "short", "long", "magic", "version", "ticks", "time", "crc", "channel"} <= wire.keys()


def test_every_whole_message_is_accepted(targets: list[Target]):
    refused = {
        target.name: target.read(seed)
        for target in targets
        for seed in target.seeds
        if target.name not in {"inlet", "topic"}
        if target.read(seed) in {"json", "client", "record", "crc", "short", "long", "fill", "size"}
    }
    assert refused == {}


@given(st.data())
@settings(max_examples=60)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_any_bytes_at_all_get_a_verdict_from_every_decoder(targets: list[Target], data: st.DataObject):
    payload = data.draw(st.binary(max_size=400))
    for target in targets:
        assert isinstance(target.read(payload), str)


def test_a_crash_and_a_stall_are_seen_and_the_same_seed_finds_them_again():
    def brittle(payload: bytes) -> str:
        if payload[:1] == b"\x80":
            raise IndexError
        return ACCEPTED

    target = Target(name="brittle", seeds=[bytes(4)], read=brittle, share=1)
    runs = [run_fuzz([target], messages=3000, seed=5) for _ in range(2)]
    found: list[list[Crash]] = [run.crashes for run in runs]
    assert found[0]
    assert [crash.payload for crash in found[0]] == [crash.payload for crash in found[1]]
    assert runs[0].verdicts["brittle"]["CRASH"] > 0
    assert not runs[0].is_clean


def test_the_same_seed_makes_the_same_messages():
    first, second = Mutator("s"), Mutator("s")
    seeds = [bytes(range(40)), b'{"a": 1}']
    assert [first.make(seeds) for _ in range(500)] == [second.make(seeds) for _ in range(500)]
