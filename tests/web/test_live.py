"""The live push over real sockets."""

import asyncio
import contextlib
import socket
import time

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from hub.model import Channel, FrameFlag, HubNotice, Lane, LiveMessage, NoticeKind
from hub.web.access import AccessPolicy
from hub.web.limits import LiveLimits
from hub.wire import decode_json, decode_wave, encode_json, to_values
from tests.web.conftest import DEADLINE_S, T0_MS, Console, Rig, make_frame, serving, until

BEDS = [f"bed{n}" for n in range(1, 37)]
QUICK = LiveLimits(behind_s=0.5, cut_s=1.0, check_s=0.05)


async def keep_reading(console: Console, arrivals: list[float] | None = None) -> None:
    with contextlib.suppress(ConnectionClosed):
        while True:
            await console.read()
            if arrivals is not None:
                arrivals.append(time.monotonic())
            await console.ack()


async def test_the_first_message_is_a_snapshot_that_a_client_can_decode(rig: Rig):
    async with rig.client() as console:
        message = await console.read_json()
        live = decode_json(encode_json(message), LiveMessage, max_bytes=10**6)
        assert (live.type, live.seq, live.boot_id, live.t_ms) == ("snapshot", 1, "boot-1", rig.now_ms)
        assert [(bed.site, bed.bed) for bed in live.beds] == [("h012", "bed3")]
        assert live.beds[0].vitals.head_ms == rig.now_ms


async def test_seq_counts_json_and_binary_messages_alike(rig: Rig):
    async with rig.client(history_s=60) as console:
        await console.read_waves()
        for _ in range(5):
            rig.run(1)
            await console.read_waves()
        assert console.seqs == list(range(1, len(console.seqs) + 1))
        assert len(console.seqs) >= 11


async def test_snapshot_history_and_live_join_without_a_gap(rig: Rig):
    async with rig.client(["h012/bed3"], history_s=60) as console:
        await console.read_json()
        samples: dict[int, float] = {}
        for _ in range(5):
            rig.run(1)
        while T0_MS + 125_000 - 250 not in samples:
            for entry in await console.read_waves():
                frame = decode_wave(entry.payload, site=entry.site, bed=entry.bed)
                block = next(b for b in frame.channels if b.channel is Channel.FHR1)
                for tick, value in enumerate(to_values(block)):
                    samples[frame.t0_ms + tick * 250] = float(value)
    times = np.array(sorted(samples))
    assert times[0] <= T0_MS + 60_000
    assert set(np.diff(times)) == {250}
    ticks = (times - T0_MS) / 250
    expected = np.round((140 + 5 * np.sin(ticks / 20)) * 4) / 4
    np.testing.assert_allclose([samples[t] for t in times], expected)


async def test_a_live_frame_is_on_its_way_within_a_tenth_of_a_second(rig: Rig):
    async with rig.client() as console:
        await console.read_json()
        delays = []
        for _ in range(10):
            start_s = time.monotonic()
            entry = rig.push(make_frame(rig.seq))
            assert [got.payload for got in await console.read_waves()] == [entry.payload]
            delays.append(time.monotonic() - start_s)
            rig.seq += 1
            await console.ack()
        assert np.median(delays) < 0.1


async def test_an_alert_does_not_wait_for_the_second(rig: Rig):
    async with rig.client(["h012/bed9"]) as console:
        await console.read_json()
        rig.run(120, fhr=60.0)
        while not (message := await console.read_json())["alerts"]:
            await console.ack()
        assert {alert["bed"] for alert in message["alerts"]} == {"bed3"}
        alert = next(a for a in rig.pipeline.alerts() if a.state == "active")
        acknowledged = await rig.feed.backend.acknowledge(alert.id, "K.M.", "watching")  # type: ignore[arg-type]  # the enum's value
        while True:
            message = await console.read_json()
            if any(a["acknowledged_by"] == "K.M." for a in message["alerts"]):
                break
        assert message["beds"] == []
        assert message["alerts"][-1]["id"] == acknowledged.id


async def test_a_console_that_joins_later_is_told_of_every_open_alert(rig: Rig):
    rig.run(120, fhr=60.0)
    expected = {alert.id for alert in rig.pipeline.alerts()}
    assert expected
    async with rig.client() as console:
        snapshot = await console.read_json()
        assert {alert["id"] for alert in snapshot["alerts"]} == expected


async def test_the_analysis_comes_with_the_snapshot_and_then_only_when_it_changed(rig: Rig):
    rig.run(600)
    rig.analyse()
    async with rig.client() as console:
        snapshot = await console.read_json()
        assert snapshot["beds"][0]["analysis"]["fetuses"][0]["fetus"] == 1
        rig.run(1)
        assert (await console.read_json())["beds"][0]["analysis"] is not None
        rig.run(1)
        assert (await console.read_json())["beds"][0]["analysis"] is None


async def test_no_alert_is_lost_while_a_console_is_behind():
    async with serving(Rig(live_limits=LiveLimits(behind_s=0.2, cut_s=20.0))) as rig:
        rig.run(5)
        async with rig.client() as console:
            await console.read_json()
            rig.run(1)
            await console.read_json()
            await until(lambda: rig.oldest_unacknowledged_s() > 0.2)
            rig.run(200, fhr=60.0)
            rig.run(200, fhr=140.0)
            changed: list[tuple[str, str]] = []
            while not changed or changed[-1] != _states(rig)[-1]:
                message = await console.read_json()
                assert not message["beds"]
                changed += [(a["id"], a["state"]) for a in message["alerts"]]
            assert {a for a, _ in changed} >= {alert.id for alert in rig.pipeline.alerts()}
            await console.ack()
            message = await console.read_json(acknowledges=True)
            assert message["beds"][0]["vitals"]["head_ms"] == rig.now_ms


def _states(rig: Rig) -> list[tuple[str, str]]:
    return [(a.id, a.state) for a in sorted(rig.pipeline.alerts(), key=lambda a: a.changed_ms)]


async def test_a_frozen_reader_is_cut_and_nobody_else_notices():
    async with serving(Rig(live_limits=QUICK)) as rig:
        rig.run(2, beds=BEDS)
        arrivals: list[float] = []
        async with rig.client() as console:
            reader = asyncio.create_task(keep_reading(console, arrivals))
            frozen = [await rig.frozen_client() for _ in range(5)]
            await until(lambda: len(rig.feed.clients) == 6)
            start_s = time.monotonic()
            sent: list[float] = []

            def send_until_cut() -> bool:
                if not sent or time.monotonic() - sent[-1] > 0.05:
                    sent.append(time.monotonic())
                    rig.run(1, beds=BEDS)
                return len(rig.feed.clients) == 1

            await until(send_until_cut)
            assert time.monotonic() - start_s < 2.0
            await until(lambda: arrivals[-1] > sent[-1])
            waits = [min(t - s for t in arrivals if t >= s) for s in sent]
            assert np.percentile(waits, 99) < 0.25
            assert rig.registry.get_sample_value("ctg_live_cut_total") == 5
            # Gone although they have not read: a mere close would wait for them.
            await until(lambda: len(rig.connections) == 1)
            for sock in frozen:
                await _read_to_the_end(sock)
            reader.cancel()


async def _read_to_the_end(sock: socket.socket) -> int:
    """Read what the kernel kept, until the reset; a connection that lives on would time out."""
    loop = asyncio.get_running_loop()
    n_bytes = 0
    with sock, contextlib.suppress(ConnectionResetError):
        async with asyncio.timeout(DEADLINE_S):
            while data := await loop.sock_recv(sock, 65536):
                n_bytes += len(data)
    return n_bytes


async def test_a_console_that_wakes_finds_little_and_then_the_end():
    """Nothing is sent into a silence of `behind_s`, so no minutes of trace wait for a sleeper."""
    async with serving(Rig(live_limits=QUICK)) as rig:
        rig.run(2, beds=BEDS)
        sock = await rig.frozen_client()
        await until(lambda: len(rig.feed.clients) == 1)

        def send_until_cut() -> bool:
            rig.run(1, beds=BEDS)
            return len(rig.feed.clients) == 0

        await until(send_until_cut)
        assert await _read_to_the_end(sock) < 256 * 1024


async def test_what_is_buffered_for_a_frozen_reader_stays_small_though_nothing_else_limits_it():
    limits = LiveLimits(window_bytes=10**9, behind_s=60.0, cut_s=1.5, check_s=0.05)
    async with serving(Rig(live_limits=limits)) as rig:
        rig.run(2, beds=BEDS)
        sock = await rig.frozen_client()
        await until(lambda: len(rig.feed.clients) == 1)

        def send_until_cut() -> bool:
            rig.run(1, beds=BEDS)
            return len(rig.feed.clients) == 0

        await until(send_until_cut)
        sent_bytes = rig.registry.get_sample_value("ctg_live_bytes_total")
        assert sent_bytes is not None
        assert 32 * 1024 < sent_bytes < 256 * 1024
        await until(lambda: not rig.connections)
        sock.close()


async def test_a_console_that_never_acknowledges_is_cut_though_it_reads():
    async with serving(Rig(live_limits=QUICK)) as rig:
        rig.run(2)
        async with rig.client() as console:
            await console.read_json()
            with pytest.raises(ConnectionClosed):
                await _read_for_ever(rig, console)


async def _read_for_ever(rig: Rig, console: Console) -> None:
    while True:
        rig.run(1)
        await console.read()


async def test_a_slow_console_gets_the_newest_not_the_stale():
    async with serving(Rig(live_limits=LiveLimits(behind_s=0.2, cut_s=20.0, check_s=0.05))) as rig:
        rig.run(2)
        async with rig.client(history_s=0) as console:
            await console.read_json()
            rig.run(1)
            await console.read_json()
            await until(lambda: rig.oldest_unacknowledged_s() > 0.2)
            rig.run(4)
            await until(lambda: rig.oldest_unacknowledged_s() > 0.5)
            message = await console.read_json(acknowledges=True)
            assert message["beds"][0]["vitals"]["head_ms"] == rig.now_ms
            times: list[int] = []
            while not times or times[-1] < rig.now_ms - 1000 or len(set(times)) < 5:
                for entry in await console.read_waves():
                    frame = decode_wave(entry.payload, site=entry.site, bed=entry.bed)
                    times += range(frame.t0_ms, frame.end_ms, 1000)
                await console.ack()
            assert max(np.diff(sorted(set(times)))) == 1000


async def test_backfill_is_delivered_with_its_flag(rig: Rig):
    async with rig.client() as console:
        await console.read_json()
        entry = rig.push(make_frame(5, flags=FrameFlag.BACKFILL), Lane.FILL)
        (got,) = await console.read_waves()
        assert got.payload == entry.payload
        assert FrameFlag.BACKFILL in decode_wave(got.payload, site=got.site, bed=got.bed).flags


async def test_only_the_beds_asked_for_come_and_the_choice_can_change():
    async with serving(Rig()) as rig:
        rig.run(3, beds=["bed1", "bed2", "bed3"])
        async with rig.client(["h012/bed1"], history_s=3) as console:
            snapshot = await console.read_json()
            assert [bed["bed"] for bed in snapshot["beds"]] == ["bed1"]
            assert {entry.bed for entry in await console.read_waves()} == {"bed1"}
            await console.say({"type": "beds", "beds": ["h012/bed1", "h012/bed2"]})
            update = await console.read_json()
            assert [bed["bed"] for bed in update["beds"]] == ["bed2"]
            assert {entry.bed for entry in await console.read_waves()} == {"bed2"}
            rig.run(1, beds=["bed1", "bed2", "bed3"])
            seen: set[str] = set()
            while seen < {"bed1", "bed2"}:
                seen |= {entry.bed for entry in await console.read_waves()}
            assert seen == {"bed1", "bed2"}
            await console.say({"type": "beds", "beds": []})
            await until(lambda: all(s.selection == frozenset() for s in rig.feed.clients))
            rig.run(1, beds=["bed1", "bed2", "bed3"])
            while (update := await console.read_json())["t_ms"] < rig.now_ms:
                pass
            assert update["beds"] == []


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ('{"type":"hello","beds":"all"}', "Expected `array | null`, got `str` - at `$.beds`"),
        ('{"type":"hello","beds":["h012 bed3"]}', "at `$.beds[0]`"),
        ('{"type":"hello","history_s":-1}', "Expected `float` >= 0"),
        ('{"type":"greeting"}', "Invalid value 'greeting' - at `$.type`"),
        ("hello", "JSON is malformed"),
        ("[" * 60_000, "Expected `object`, got `array`"),
        ('{"type":"ack","seq":0}', "expected a hello first"),
        (b"\x00\x01", "got a binary one"),
    ],
)
async def test_a_bad_hello_is_answered_with_its_reason(rig: Rig, message: str | bytes, reason: str):
    async with rig.client(says_hello=False) as console:
        await console.connection.send(message)
        with pytest.raises(ConnectionClosed) as closed:
            await console.read()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1008
        assert reason in closed.value.rcvd.reason
    counts = [
        rig.registry.get_sample_value("ctg_live_refused_total", {"why": why}) or 0.0
        for why in ("bad_message", "no_hello")
    ]
    assert sum(counts) == 1.0


async def test_a_client_without_a_hello_is_sent_away():
    async with (
        serving(Rig(live_limits=LiveLimits(hello_s=0.2))) as rig,
        rig.client(says_hello=False) as console,
    ):
        with pytest.raises(ConnectionClosed, match=r"1008.*expected a hello within 0\.2 s"):
            await console.read()


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ('{"type":"ack","seq":5000}', "ack: expected a seq up to "),
        ('{"type":"hello"}', "expected one hello, got a second"),
        ('{"type":"beds"}', "missing required field `beds`"),
        ("{", "Input data was truncated"),
    ],
)
async def test_a_bad_message_ends_the_connection_with_its_reason(rig: Rig, message: str, reason: str):
    async with rig.client() as console:
        await console.read_json()
        await console.connection.send(message)
        with pytest.raises(ConnectionClosed) as closed:
            await _read_for_ever(rig, console)
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, reason in closed.value.rcvd.reason) == (1008, True)
    await until(lambda: len(rig.feed.clients) == 0)


async def test_a_flood_of_messages_ends_the_connection(rig: Rig):
    async with rig.client() as console:
        await console.read_json()
        with pytest.raises(ConnectionClosed, match="expected at most 50 messages/s"):
            await _acknowledge_for_ever(console)


async def _acknowledge_for_ever(console: Console) -> None:
    while True:
        await console.ack()


async def test_a_message_larger_than_the_limit_is_not_taken(rig: Rig):
    async with rig.client(says_hello=False) as console:
        await console.connection.send("x" * 70_000)
        with pytest.raises(ConnectionClosed) as closed:
            await console.read()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009


async def test_a_page_of_a_foreign_origin_is_refused_at_the_handshake(rig: Rig):
    with pytest.raises(InvalidStatus) as refused:
        async with rig.client(origin="http://evil.example"):
            pass
    response = refused.value.response
    assert response.status_code == 403
    assert response.headers["content-type"] == "application/problem+json"
    assert b"http://evil.example" in bytes(response.body or b"")


async def test_the_hubs_own_pages_and_allowed_origins_are_let_in():
    policy = AccessPolicy(origins=frozenset({"https://console.example"}))
    async with serving(Rig(policy=policy)) as rig:
        rig.run(1)
        for origin in (f"http://127.0.0.1:{rig.port}", "https://console.example"):
            async with rig.client(origin=origin) as console:
                assert (await console.read_json())["type"] == "snapshot"


async def test_there_is_a_most_of_consoles():
    async with serving(Rig(live_limits=LiveLimits(clients=1))) as rig, rig.client() as console:
        await console.read_json()
        with pytest.raises(InvalidStatus, match="503"):
            async with rig.client():
                pass


async def test_a_console_that_leaves_is_forgotten(rig: Rig):
    async with rig.client() as console:
        await console.read_json()
        assert len(rig.feed.clients) == 1
    await until(lambda: len(rig.feed.clients) == 0)
    rig.run(1)
    assert rig.feed._by_bed == {}


async def test_a_server_stops_although_a_reader_is_frozen():
    async with serving(Rig()) as rig:
        rig.run(2, beds=BEDS)
        sock = await rig.frozen_client()
        await until(lambda: len(rig.feed.clients) == 1)
        rig.run(20, beds=BEDS)
        await until(lambda: rig.oldest_unacknowledged_s() > 0.2)
        start_s = time.monotonic()
    assert time.monotonic() - start_s < 5.0
    sock.close()


async def test_what_stands_about_the_hub_is_in_every_message_until_it_is_over(rig: Rig):
    rig.notices = [HubNotice(kind=NoticeKind.STORE_AWAY, since_ms=T0_MS)]
    rig.run(1)
    async with rig.client() as console:
        for _ in range(3):
            message = await console.read_json(acknowledges=True)
            assert message["notices"] == [{"kind": "store_away", "since_ms": T0_MS, "count": None}]
            rig.run(1)
        rig.notices = []
        rig.run(1)
        while message["notices"]:
            message = await console.read_json(acknowledges=True)
