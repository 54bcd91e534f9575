"""What a slow client gets, and what it never misses."""

import json
from dataclasses import replace

import pytest

from hub.model import AlertState, BedEvent, EventKind, FrameFlag, WaveEntry
from hub.web import examples
from hub.web.board import Board
from hub.web.limits import LiveLimits
from hub.web.outbox import Outbox
from hub.wire import decode_batch, decode_wave, encode_wave

KEY = ("h012", "bed3")
LIMITS = LiveLimits(window_bytes=2000, behind_s=3.0, cut_s=10.0, pending_alerts=10)


def wave(seq: int, *, bed: str = "bed3", is_backfill: bool = False) -> WaveEntry:
    frame = decode_wave(examples.WAVE.payload, site="h012", bed=bed)
    flags = FrameFlag.BACKFILL if is_backfill else FrameFlag.NONE
    later = replace(frame, seq=seq, t0_ms=frame.t0_ms + seq * 1000, flags=flags)
    return WaveEntry("h012", bed, later.end_ms + 40, encode_wave(later))


def seqs(batch: object) -> list[int]:
    assert isinstance(batch, bytes)
    return [decode_wave(e.payload, site=e.site, bed=e.bed).seq for e in decode_batch(batch)[2]]


class Client:
    """An outbox with one bed on its board, and a ring behind it."""

    def __init__(self, limits: LiveLimits = LIMITS) -> None:
        self.ring: dict[tuple[str, str], list[WaveEntry]] = {}
        self.spans: list[float] = []
        self.view = examples.BED
        self.board = Board(lambda keys, full: [self.view], lambda: examples.T_MS)
        self.outbox = Outbox(limits, self.board, self._recent, "boot")
        self.outbox.push_joined(self.board.load(None))

    def _recent(self, key: tuple[str, str], span_s: float) -> list[WaveEntry]:
        self.spans.append(span_s)
        return self.ring.get(key, [])

    def second(self, fhr_bpm: float) -> None:
        vitals = replace(self.view.vitals, fetuses=(replace(self.view.vitals.fetuses[0], fhr_bpm=fhr_bpm),))
        self.view = replace(self.view, vitals=vitals)
        self.board.put([self.view], examples.T_MS)
        self.outbox.push_views([KEY], with_analysis=False)

    def take(self, now_s: float) -> list[str | bytes]:
        messages: list[str | bytes] = []
        while (message := self.outbox.next_message(now_s, examples.T_MS)) is not None:
            messages.append(message)
        return messages


@pytest.fixture
def client():
    client = Client()
    (snapshot,) = client.take(0.0)
    assert json.loads(snapshot)["type"] == "snapshot"
    client.outbox.flight.acknowledge(1)
    return client


def test_the_first_message_is_the_snapshot_with_every_bed_even_beyond_the_message_size():
    client = Client(LiveLimits(message_bytes=1))
    messages = [json.loads(message) for message in client.take(0.0)]
    assert (messages[0]["type"], messages[0]["seq"]) == ("snapshot", 1)
    assert [bed["bed"] for bed in messages[0]["beds"]] == ["bed3"]


def test_nothing_to_say_is_no_message(client: Client):
    assert client.take(0.1) == []


def test_waves_that_wait_together_share_a_message(client: Client):
    for seq in range(3):
        client.outbox.push_wave(wave(seq), 0.1)
    (batch,) = client.take(0.15)
    assert seqs(batch) == [0, 1, 2]


def test_of_a_bed_only_the_newest_view_waits_for_a_slow_client(client: Client):
    client.second(140.0)
    client.take(1.0)
    for index in range(4):
        client.second(150.0 + index)
        assert client.take(4.5 + index) == []
    client.outbox.flight.acknowledge(2)
    (update,) = client.take(8.6)
    assert [bed["vitals"]["fetuses"][0]["fhr_bpm"] for bed in json.loads(update)["beds"]] == [153.0]


def test_no_alert_is_dropped_or_merged_and_none_waits_for_an_acknowledgement(client: Client):
    client.second(140.0)
    client.take(1.0)
    raised = examples.ALERT
    cleared = replace(raised, state=AlertState.CLEAR, changed_ms=raised.changed_ms + 1)
    client.outbox.push_alerts([raised])
    client.outbox.push_alerts([cleared])
    client.second(150.0)
    (update,) = client.take(5.0)
    message = json.loads(update)
    assert [alert["state"] for alert in message["alerts"]] == ["active", "clear"]
    assert message["beds"] == []


def test_bed_events_are_all_kept(client: Client):
    client.second(140.0)
    client.take(1.0)
    marks = [BedEvent(id=str(n), kind=EventKind.MARKER, t_ms=n) for n in range(3)]
    for mark in marks:
        client.outbox.push_events(KEY, [mark])
    (update,) = client.take(5.0)
    assert [event["id"] for event in json.loads(update)["events"]["h012/bed3"]] == ["0", "1", "2"]


def test_a_slow_client_loses_its_oldest_waves_and_reads_them_again_from_the_ring(client: Client):
    client.second(140.0)
    client.take(1.0)
    entries = [wave(seq) for seq in range(10)]
    client.ring[KEY] = entries
    for seq, entry in enumerate(entries):
        client.outbox.push_wave(entry, 4.5 + seq)
    assert client.take(14.0) == []
    assert client.outbox.dropped_waves == 6
    client.outbox.flight.acknowledge(2)
    live, history = client.take(14.1)
    assert seqs(live) == [7, 8, 9]
    assert seqs(history) == list(range(10))
    assert client.spans[0] >= 14.1 - 4.5


def test_waves_beyond_the_window_are_dropped_oldest_first(client: Client):
    client.second(140.0)
    client.take(1.0)
    for seq in range(100):
        client.outbox.push_wave(wave(seq), 4.5)
    client.outbox.flight.acknowledge(2)
    (live,) = client.take(4.6)
    assert seqs(live)[-1] == 99
    assert len(live) <= LIMITS.window_bytes + 12


def test_backfill_goes_with_the_history_behind_what_is_live(client: Client):
    client.outbox.push_wave(wave(1, is_backfill=True), 0.1)
    client.outbox.push_wave(wave(2), 0.1)
    live, history = client.take(0.15)
    assert (seqs(live), seqs(history)) == ([2], [1])


def test_history_is_cut_into_chunks():
    client = Client(LiveLimits(chunk_bytes=500))
    client.ring[KEY] = [wave(seq) for seq in range(30)]
    client.outbox.ask_history([KEY], -1200.0)
    _, *batches = client.take(0.0)
    assert [seq for batch in batches for seq in seqs(batch)] == list(range(30))
    assert max(len(batch) for batch in batches) < 600
    assert client.spans == [1200.0]


def test_beds_no_longer_asked_for_are_forgotten(client: Client):
    client.second(140.0)
    client.outbox.push_wave(wave(1), 0.1)
    client.outbox.push_wave(wave(2, bed="bed4"), 0.1)
    client.outbox.ask_history([KEY], 0.0)
    client.outbox.keep(lambda key: key == ("h012", "bed4"))
    update, batch = client.take(0.2)
    assert json.loads(update)["beds"] == []
    assert seqs(batch) == [2]


def test_a_client_is_lost_after_ten_seconds_without_acknowledgement(client: Client):
    client.second(140.0)
    client.take(1.0)
    assert not client.outbox.is_lost(11.0)
    assert client.outbox.is_lost(11.1)


def test_a_client_is_lost_when_more_alerts_wait_than_it_will_ever_read(client: Client):
    client.outbox.push_alerts([examples.ALERT] * 10)
    assert not client.outbox.is_lost(0.1)
    client.outbox.push_alerts([examples.ALERT])
    assert client.outbox.is_lost(0.1)
