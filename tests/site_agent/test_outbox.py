"""What is on the site's disk stays there until the hub has it: full disks, broken files, restarts."""

import os
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from hub.model import Advice, BedEvent, Channel, EventKind, FrameFlag, MonitorStatus, Transducer, WaveFrame
from hub.wire import decode_wave, encode_wave, samples_from_values
from site_agent.outbox import Outbox
from site_agent.retention import KEEP_AFTER_ACK_H, KEEP_H
from site_agent.stock import Draft, OutboxDamagedError, OutboxError, OutboxLimits, Stock

T0_MS = 1_780_000_000_000
SMALL = OutboxLimits(max_bytes=400_000, ballast_bytes=0)


def draft(bed: str = "bed1", second: int = 0) -> Draft:
    t0_ms = T0_MS + 1000 * second
    fhr = samples_from_values(Channel.FHR1, np.full(4, 140.0), transducer=Transducer.ULTRASOUND)
    body = encode_wave(WaveFrame("h012", bed, 0, 0, t0_ms, 250, 4, FrameFlag.NONE, MonitorStatus.ON, (fhr,)))
    return Draft(bed, body, t0_ms, t0_ms + 1000)


def unacked(outbox: Outbox) -> dict[tuple[str, int], list[tuple[int, int]]]:
    return {(stock.bed, stock.epoch): stock.unacked for stock in outbox.unacked()}


def test_a_frame_gets_its_identity_and_a_crc_with_the_commit(tmp_path: Path):
    outbox = Outbox(tmp_path, "h012", 7)
    kept = outbox.append([draft("bed1", 0), draft("bed2", 0), draft("bed1", 1)])
    assert [(frame.draft.bed, frame.epoch, frame.seq) for frame in kept] == [
        ("bed1", 7, 0),
        ("bed2", 7, 0),
        ("bed1", 7, 1),
    ]
    frame = decode_wave(kept[2].payload, site="h012", bed="bed1")
    assert (frame.epoch, frame.seq, frame.t0_ms) == (7, 1, T0_MS + 1000)
    assert FrameFlag.CRC in frame.flags
    assert outbox.read("bed1", 7, 0, 5) == {0: kept[0].payload, 1: kept[2].payload}


def test_a_restart_finds_what_no_ack_covered(tmp_path: Path):
    outbox = Outbox(tmp_path, "h012", 7)
    outbox.append([draft(second=k) for k in range(10)])
    outbox.confirm([Stock("bed1", 7, [(0, 3), (6, 6)])])
    outbox.close()
    again = Outbox(tmp_path, "h012", 8)
    assert unacked(again) == {("bed1", 7): [(4, 5), (7, 9)]}
    again.append([draft(second=20)])
    assert unacked(again)["bed1", 8] == [(0, 0)]


def test_an_epoch_is_never_used_twice(tmp_path: Path):
    outbox = Outbox(tmp_path, "h012", 7)
    outbox.append([draft()])
    outbox.close()
    with pytest.raises(OutboxError, match="expected a new epoch, got 7"):
        Outbox(tmp_path, "h012", 7)


def test_the_outbox_of_another_site_is_refused(tmp_path: Path):
    Outbox(tmp_path, "h012", 1).close()
    with pytest.raises(OutboxError, match="expected the outbox of site h013, got that of h012"):
        Outbox(tmp_path, "h013", 2)


def test_unconfirmed_frames_never_leave_however_old(tmp_path: Path):
    outbox = Outbox(tmp_path, "h012", 7)
    outbox.append([draft(second=k) for k in range(10)])
    outbox.confirm([Stock("bed1", 7, [(0, 4)])])
    outbox.lived_s = 3600.0 * (KEEP_H + KEEP_AFTER_ACK_H + 1)
    assert outbox.sweep() == 5
    assert sorted(outbox.read("bed1", 7, 0, 20)) == [5, 6, 7, 8, 9]
    assert unacked(outbox) == {("bed1", 7): [(5, 9)]}


def test_a_frame_stays_seven_days_and_three_days_after_its_ack(tmp_path: Path):
    outbox = Outbox(tmp_path, "h012", 7)
    outbox.append([draft(second=k) for k in range(2)])
    outbox.confirm([Stock("bed1", 7, [(0, 0)])])
    outbox.lived_s = 3600.0 * (KEEP_H - 1)
    assert outbox.sweep() == 0
    outbox.confirm([Stock("bed1", 7, [(1, 1)])])
    outbox.lived_s = 3600.0 * KEEP_H + 1
    assert outbox.sweep() == 1
    outbox.lived_s = 3600.0 * (KEEP_H - 1 + KEEP_AFTER_ACK_H) + 1
    assert outbox.sweep() == 1


def test_hours_lived_do_not_follow_the_wall_clock_and_survive_a_restart(tmp_path: Path):
    outbox = Outbox(tmp_path, "h012", 7)
    outbox.lived_s = 7300.0
    outbox.confirm([])
    outbox.close()
    assert Outbox(tmp_path, "h012", 8).hour == 2


def test_a_full_outbox_gives_up_acknowledged_frames_first(tmp_path: Path):
    outbox = Outbox(tmp_path, "h012", 7, SMALL)
    second = 0
    while outbox.fill().share < 0.95:
        outbox.append([draft(second=second + k) for k in range(50)])
        second += 50
    outbox.confirm([Stock("bed1", 7, [(0, 999)])])
    for _ in range(10):
        kept = outbox.append([draft(second=second + k) for k in range(100)])
        second += 100
        assert all(frame.is_stored for frame in kept)
    stored = outbox.read("bed1", 7, 0, second)
    assert set(range(1000, second)) <= set(stored), "what is not acknowledged stays"
    assert 0 not in stored


def test_with_nothing_acknowledged_left_new_frames_are_refused_loudly_and_old_ones_stay(tmp_path: Path):
    outbox = Outbox(tmp_path, "h012", 7, SMALL)
    stored = 0
    for step in range(200):
        kept = outbox.append([draft(second=50 * step + k) for k in range(50)])
        if not kept[0].is_stored:
            break
        stored += 50
    assert not any(frame.is_stored for frame in kept)
    assert kept[0].seq == stored, "a refused frame still has its identity, for the live lane"
    assert outbox.bytes_refused > 0
    assert unacked(outbox) == {("bed1", 7): [(0, stored - 1)]}
    outbox.confirm([Stock("bed1", 7, [(0, stored - 1)])])
    after = outbox.append([draft(second=99_999)])
    assert after[0].is_stored
    assert after[0].seq == stored + 50, "a number is never given twice"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to mount a small disk")
def test_a_full_disk_recovers_by_itself_when_space_returns(tmp_path: Path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.system(f"mount -t tmpfs -o size=3m tmpfs {disk}") != 0:
        pytest.skip("mounting is not allowed here")
    try:
        outbox = Outbox(disk, "h012", 7, OutboxLimits(ballast_bytes=300_000))
        assert (disk / "ballast").stat().st_size == 300_000
        outbox.append([draft(second=k) for k in range(500)])
        outbox.confirm([Stock("bed1", 7, [(0, 199)])])
        (disk / "other").write_bytes(b"x" * 1_000_000)
        step, refused = 0, 0
        while refused < 3:
            kept = outbox.append([draft(second=1000 + 500 * step + k) for k in range(500)])
            refused += not kept[0].is_stored
            step += 1
            assert step < 100, "the disk never got full"
        assert not (disk / "ballast").exists(), "the reserve was given for deleting"
        assert 0 not in outbox.read("bed1", 7, 0, 250), "acknowledged frames went first"
        assert 200 in outbox.read("bed1", 7, 0, 250)
        (disk / "other").unlink()
        assert outbox.append([draft(second=999_999)])[0].is_stored
        outbox.sweep()
        assert (disk / "ballast").exists()
        outbox.close()
    finally:
        os.system(f"umount -l {disk}")


def test_a_frame_that_rotted_on_the_disk_is_never_sent(tmp_path: Path):
    outbox = Outbox(tmp_path, "h012", 7)
    outbox.append([draft(second=k) for k in range(3)])
    payload = bytearray(outbox.read("bed1", 7, 1, 1)[1])
    payload[25] ^= 1
    outbox._db.execute("UPDATE frame SET payload = ? WHERE seq = 1", [bytes(payload)])
    assert sorted(outbox.read("bed1", 7, 0, 9)) == [0, 2]


def test_a_file_that_is_no_database_is_told_apart(tmp_path: Path):
    (tmp_path / "outbox.db").write_bytes(b"not a database" * 1000)
    with pytest.raises(OutboxDamagedError, match="expected an SQLite database"):
        Outbox(tmp_path, "h012", 7)


def test_a_span_can_be_asked_for_again(tmp_path: Path):
    outbox = Outbox(tmp_path, "h012", 7)
    outbox.append([draft(second=k) for k in range(10)])
    outbox.confirm([Stock("bed1", 7, [(0, 9)])])
    assert outbox.find_streams("bed1") == [(7, 0, 9)]
    found = outbox.find_span("bed1", 7, 0, 9, (T0_MS + 3000, T0_MS + 6000))
    assert found == [(3, 5)]
    outbox.forget_ack([Stock("bed1", 7, found)])
    outbox.close()
    assert unacked(Outbox(tmp_path, "h012", 8)) == {("bed1", 7): [(3, 5)]}


def test_an_event_is_kept_until_it_is_confirmed(tmp_path: Path):
    outbox = Outbox(tmp_path, "h012", 7)
    event = BedEvent(id="01J0000000000000000000000A", kind=EventKind.MARKER, t_ms=T0_MS)
    outbox.append([], [("bed1", event), ("bed1", event)])
    outbox.close()
    again = Outbox(tmp_path, "h012", 8)
    assert [(key, bed) for key, bed, _ in again.read_events()] == [(event.id, "bed1")]
    again.confirm([], [event.id])
    assert again.read_events() == []


def test_an_unforeseen_error_of_sqlite_is_not_taken_for_a_full_disk(tmp_path: Path):
    outbox = Outbox(tmp_path, "h012", 7)
    outbox._db.execute("DROP TABLE frame")
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        outbox.append([draft()])


def test_advice_and_who_confirmed_it_survive_a_restart(tmp_path: Path):
    outbox = Outbox(tmp_path, "h012", 7)
    for _ in range(2):
        outbox.keep_advice("bed1", Advice(id="a1", t_ms=T0_MS, author="Dr. Sato", text="体位変換を"))
    outbox.confirm_advice("a1", "助産師 田中", T0_MS + 5000)
    outbox.close()
    ((bed, payload, confirmed_ms, by),) = Outbox(tmp_path, "h012", 8).read_advice()
    assert (bed, confirmed_ms, by) == ("bed1", T0_MS + 5000, "助産師 田中")
    assert "体位変換を".encode() in payload


def test_a_sweep_of_a_week_that_must_stay_reads_next_to_nothing(tmp_path: Path):
    outbox = Outbox(tmp_path, "h012", 7)
    outbox.append([draft(second=k) for k in range(20_000)])
    for hour in range(100):
        outbox.lived_s = 3600.0 * hour
        outbox.confirm([Stock("bed1", 7, [(200 * hour, 200 * hour + 199)])])
    outbox.lived_s = 3600.0 * (KEEP_H - 1)
    steps = 0

    def count() -> None:
        nonlocal steps
        steps += 1

    outbox._db.set_progress_handler(count, 1000)
    assert outbox.sweep() == 0
    assert steps < 100
