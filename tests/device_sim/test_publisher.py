"""A simulated site against a real broker."""

import asyncio
import contextlib
import itertools
import logging
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable

import numpy as np
import pytest

from device_sim.broker import Broker, parse_broker
from device_sim.faults import FaultPlan
from device_sim.load import LoadPlan, LoadReport, run_load
from device_sim.pace import Pace
from device_sim.plan import DEMO, BedPlan, SitePlan, check_names, open_bed, parse_bed
from device_sim.publisher import SiteOptions, SitePublisher
from hub.errors import SettingsError
from hub.model import Ack, BedState, Channel, DeviceState, FrameFlag, SiteState, SiteStatus, WaveFrame
from hub.wire import TopicKind, decode_fill, decode_json, decode_wave, encode_json, to_values, topic

from .conftest import Listener, Mosquitto, listening

SITE = SitePlan(
    site="h001",
    name="架空の産院",
    beds=(
        BedPlan(bed="bed1", kind="scenario", name="reassuring", label="陣痛室1"),
        BedPlan(bed="bed2", kind="scenario", name="twins"),
    ),
)


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@contextlib.asynccontextmanager
async def playing(
    broker: Broker,
    *,
    lead_s: float = 0.0,
    speed: float = 1.0,
    faults: FaultPlan | None = None,
    has_fill: bool = True,
    outbox_frames: int = 7200,
) -> AsyncIterator[SitePublisher]:
    options = SiteOptions(
        pace=Pace(real_ms=now_ms(), lead_s=lead_s, speed=speed),
        faults=faults or FaultPlan(),
        has_fill=has_fill,
        outbox_frames=outbox_frames,
    )
    publisher = SitePublisher(SITE, [open_bed(SITE.site, bed, 1) for bed in SITE.beds], broker, options)
    task = asyncio.create_task(publisher.run())
    try:
        yield publisher
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110  the publisher counts, it signals nobody
            await asyncio.sleep(0.05)


def live(listener: Listener, bed: str = "bed1") -> list[WaveFrame]:
    return [decode_wave(p, site="h001", bed=bed) for p in listener.of(f"/{bed}/wave/live")]


def filled(listener: Listener, bed: str = "bed1") -> list[WaveFrame]:
    payloads = [p for fill in listener.of(f"/{bed}/wave/fill") for p in decode_fill(fill)]
    return [decode_wave(p, site="h001", bed=bed) for p in payloads]


async def test_each_bed_sends_one_frame_of_four_ticks_a_second(mosquitto: Mosquitto) -> None:
    async with listening(mosquitto.port) as heard, playing(mosquitto.address) as publisher:
        await heard.wait_until(lambda: len(live(heard)) >= 4 and len(live(heard, "bed2")) >= 4)
        latest = live(heard)[-1]
        assert abs(latest.end_ms - now_ms()) < 1000
        for bed, epoch in publisher.beds.items():
            frames = live(heard, bed)
            assert [f.seq for f in frames] == list(range(len(frames)))
            assert {(f.epoch, f.n_ticks, f.period_ms) for f in frames} == {(epoch, 4, 250)}
            assert {f.t0_ms % 250 for f in frames} == {0}
            assert set(np.diff([f.t0_ms for f in frames])) == {1000}
            assert all(FrameFlag.TEST in f.flags and FrameFlag.BACKFILL not in f.flags for f in frames)
        assert live(heard)[0].t0_ms % 1000 != live(heard, "bed2")[0].t0_ms % 1000


async def test_the_samples_sent_are_those_of_the_source(mosquitto: Mosquitto) -> None:
    async with listening(mosquitto.port) as heard, playing(mosquitto.address, lead_s=62):
        await heard.wait_until(lambda: len(filled(heard, "bed2")) >= 60)
        frames = sorted(filled(heard, "bed2"), key=lambda f: f.seq)[:60]
    expected = open_bed("h001", SITE.beds[1], 1).source.samples(0, 240)
    blocks = [Channel.FHR1, Channel.FHR2, Channel.MHR, Channel.TOCO]
    assert [c.channel for c in frames[0].channels] == blocks
    sent = [np.concatenate([to_values(f.channels[i]) for f in frames]) for i in range(4)]
    for values, wanted in zip(sent, [*expected.fhr, expected.mhr, expected.toco], strict=True):
        np.testing.assert_array_equal(values, wanted)


async def test_status_and_states_are_retained_and_a_clean_end_says_offline(mosquitto: Mosquitto) -> None:
    async with playing(mosquitto.address):
        async with listening(mosquitto.port) as heard:
            await heard.wait_until(lambda: bool(heard.of("bed1/state") and heard.of("bed2/state")))
        async with listening(mosquitto.port) as late:
            await late.wait_until(lambda: bool(late.of("/status") and late.of("bed2/state")))
            status = decode_json(late.of("/status")[0], SiteStatus)
            assert (status.state, status.name, status.beds) == (SiteState.ONLINE, SITE.name, ("bed1", "bed2"))
            states = [decode_json(late.of(f"{bed}/state")[0], BedState) for bed in ("bed1", "bed2")]
            assert [s.state for s in states] == [DeviceState.OK] * 2
            assert [s.is_twin for s in states] == [False, True]
            assert (states[0].label, states[0].gestational_weeks) == ("陣痛室1", 39.0)
    async with listening(mosquitto.port) as after:
        await after.wait_until(lambda: bool(after.of("/status")))
        assert decode_json(after.of("/status")[0], SiteStatus).state is SiteState.OFFLINE


async def test_a_killed_site_is_said_offline_by_its_last_will(mosquitto: Mosquitto) -> None:
    command = [sys.executable, "-m", "device_sim", "bed", "h001/bed1", "recording:1139"]
    process = await asyncio.create_subprocess_exec(*command, "--broker", f"mqtt://127.0.0.1:{mosquitto.port}")
    try:
        async with listening(mosquitto.port) as heard:
            await heard.wait_until(lambda: len(live(heard)) >= 1, within_s=15)
            process.kill()
            await heard.wait_until(
                lambda: decode_json(heard.of("/status")[-1], SiteStatus).state is SiteState.OFFLINE
            )
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def test_history_is_filled_in_and_live_goes_on_behind_it(mosquitto: Mosquitto) -> None:
    async with listening(mosquitto.port) as heard, playing(mosquitto.address, lead_s=302):
        await heard.wait_until(lambda: len(filled(heard)) >= 300 and len(live(heard)) >= 2)
        past, present = filled(heard), live(heard)
        assert all(FrameFlag.BACKFILL in f.flags for f in past)
        seqs = [f.seq for f in past + present]
        assert len(seqs) == len(set(seqs))
        assert set(range(300)) <= {f.seq for f in past}
        assert {f.t0_ms - f.seq * 1000 for f in past + present} == {present[0].t0_ms - present[0].seq * 1000}
        first, *_ = decode_fill(heard.of("/bed1/wave/fill")[0])
        assert decode_wave(first, site="h001", bed="bed1").seq > 0, "the newest go first"


async def test_frames_lost_on_the_way_come_later_through_fill(mosquitto: Mosquitto) -> None:
    async with listening(mosquitto.port) as heard, playing(mosquitto.address, faults=FaultPlan(loss=0.5)):
        await heard.wait_until(lambda: len(filled(heard)) >= 2 and len(live(heard)) >= 2, within_s=20)
        seqs = {f.seq for f in live(heard)} | {f.seq for f in filled(heard)}
        assert {f.seq for f in live(heard)}.isdisjoint(f.seq for f in filled(heard))
        assert max(seqs) + 1 - len(seqs) <= 1


async def test_without_fill_what_is_lost_stays_lost(mosquitto: Mosquitto) -> None:
    faults = FaultPlan(loss=0.5)
    async with (
        listening(mosquitto.port) as heard,
        playing(mosquitto.address, faults=faults, has_fill=False) as publisher,
    ):
        await heard.wait_until(lambda: len(live(heard)) >= 3, within_s=20)
        assert publisher.counts.held_back > 0
        assert heard.of("/wave/fill") == []


async def test_an_acknowledged_frame_leaves_the_outbox_and_a_missing_one_is_sent_again(
    mosquitto: Mosquitto,
) -> None:
    async with listening(mosquitto.port) as heard, playing(mosquitto.address) as publisher:
        await heard.wait_until(lambda: len(live(heard)) >= 4)
        ack = Ack(epoch=publisher.beds["bed1"], contiguous=0, missing=((1, 2),))
        await heard.client.publish(topic("h001", "bed1", TopicKind.ACK), encode_json(ack), qos=1, retain=True)
        await heard.wait_until(lambda: len(filled(heard)) >= 2)
        assert [f.seq for f in filled(heard)] == [1, 2]
        assert publisher.counts.confirmed == 2  # 0 is contiguous, 3 is the one behind the hole


async def test_a_message_that_is_no_ack_is_stepped_over(
    mosquitto: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with listening(mosquitto.port) as heard, playing(mosquitto.address):
        await heard.wait_until(lambda: len(live(heard)) >= 1)
        await heard.client.publish(topic("h001", "bed1", TopicKind.ACK), b"{nonsense", qos=1)
        advice = b'{"id":"a1","t_ms":1,"author":"K.M.","text":"..."}'
        await heard.client.publish(topic("h001", "bed1", TopicKind.ADVICE), advice, qos=1)
        count = len(live(heard))
        await heard.wait_until(lambda: len(live(heard)) >= count + 2)
        assert "message left unread" in caplog.text
        assert "advice a1 from K.M." in caplog.text


async def test_nothing_is_missing_after_the_broker_was_killed(mosquitto: Mosquitto) -> None:
    async with playing(mosquitto.address) as publisher:
        async with listening(mosquitto.port) as before:
            await before.wait_until(lambda: len(live(before)) >= 2)
            mosquitto.kill()
        held_back = publisher.counts.held_back
        await until(lambda: publisher.counts.held_back >= held_back + 4)
        mosquitto.start()
        async with listening(mosquitto.port) as after:
            await after.wait_until(lambda: len(live(after)) >= 2, within_s=15)
            last = live(after)[-1].seq
            first = live(before)[-1].seq + 1
            # A frame under way when the broker died is due again only after its patience; ask as a hub would.
            ack = Ack(epoch=publisher.beds["bed1"], contiguous=first - 1, missing=((first, last - 1),))
            await after.client.publish(topic("h001", "bed1", TopicKind.ACK), encode_json(ack), qos=1)
            wanted = set(range(first, last))
            await after.wait_until(
                lambda: wanted <= {f.seq for f in live(after)} | {f.seq for f in filled(after)}
            )


async def test_without_a_broker_it_tries_again_and_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        async with playing(Broker(host="127.0.0.1", port=9)) as publisher:
            await until(lambda: publisher.counts.made >= 6)
    said = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert sorted(message.split(":")[0] for message in said) == ["h001-fill", "h001-live"]
    assert all("no broker at 127.0.0.1:9" in message for message in said)


async def test_a_full_outbox_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    async with playing(Broker(host="127.0.0.1", port=9), lead_s=100, outbox_frames=60) as publisher:
        await until(lambda: publisher.counts.made >= 204)
    said = [r.getMessage() for r in caplog.records if "outbox full at 60 frames" in r.getMessage()]
    assert len(said) == 2, "one per bed"


async def test_history_played_fast_ends_at_real_time(mosquitto: Mosquitto) -> None:
    async with listening(mosquitto.port) as heard, playing(mosquitto.address, lead_s=57, speed=20):
        await heard.wait_until(lambda: len(live(heard)) >= 61)
        frames = live(heard)
        assert [f.seq for f in frames] == list(range(len(frames)))
        assert -200 < now_ms() - frames[-1].end_ms < 1000
        assert heard.of("/wave/fill") == []


async def test_the_line_is_dead_in_an_outage_and_the_outbox_fills_the_gap(mosquitto: Mosquitto) -> None:
    faults = FaultPlan(outage_every_s=3.0, outage_s=2.0)
    async with listening(mosquitto.port) as heard, playing(mosquitto.address, faults=faults):
        await heard.wait_until(lambda: len(filled(heard)) >= 2, within_s=15)
        gap = {f.seq for f in filled(heard)}
        assert gap.isdisjoint(f.seq for f in live(heard))
        assert gap == set(range(min(gap), max(gap) + 1))


def test_the_demo_ends_cleanly_on_a_signal(mosquitto: Mosquitto) -> None:
    command = [sys.executable, "-m", "device_sim", "demo", "--backfill-minutes", "1"]
    process = subprocess.Popen(
        [*command, "--broker", f"mqtt://127.0.0.1:{mosquitto.port}"], stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stderr is not None
        connected = 0
        while connected < 8:
            line = process.stderr.readline()
            assert line, "the demo ended by itself"
            connected += "connected" in line
        process.send_signal(signal.SIGTERM)
        rest = process.communicate(timeout=10)[1]
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 0, rest
    assert rest.count("frames made") == 4
    assert "Traceback" not in rest


def test_two_starts_of_a_bed_have_different_epochs() -> None:
    opened = [open_bed(SITE.site, bed, 1) for bed in SITE.beds]
    options = SiteOptions(pace=Pace(real_ms=now_ms()))

    async def epochs() -> dict[str, int]:
        return SitePublisher(SITE, opened, Broker(host="127.0.0.1", port=9), options).beds

    first, second = asyncio.run(epochs()), asyncio.run(epochs())
    assert len({*first.values(), *second.values()}) == 4


async def test_the_load_generator_sends_frames_that_decode(mosquitto: Mosquitto) -> None:
    async with listening(mosquitto.port) as heard:
        plan = LoadPlan(beds=30, seconds=2, beds_per_site=20)
        report = await run_load(plan, mosquitto.address)
        await heard.wait_until(lambda: len(heard.of("/wave/live")) >= 60)
        assert (report.sites, report.sent, report.answered) == (2, 60, 60)
        beds: dict[str, list[WaveFrame]] = {}
        for where, payload in heard.messages:
            if where.endswith("/wave/live"):
                beds.setdefault(where, []).append(decode_wave(payload, site="s", bed="b"))
        assert len(beds) == 30
        assert all([f.seq for f in frames] == [0, 1] for frames in beds.values())
        assert all(b.t0_ms - a.t0_ms == 1000 and a.t0_ms % 250 == 0 for a, b in beds.values())
        assert len({frames[0].epoch for frames in beds.values()}) == 30
        assert all(FrameFlag.TEST in f.flags for frames in beds.values() for f in frames)
        rates = [to_values(frames[0].channels[0]) for frames in beds.values()]
        assert len({tuple(np.nan_to_num(rate)) for rate in rates}) > 10


async def test_the_load_grows_by_steps_tells_each_second_and_ends_when_asked(mosquitto: Mosquitto) -> None:
    told: list[LoadReport] = []
    ending = asyncio.Event()

    def note(report: LoadReport) -> None:
        told.append(report)
        if report.sites == 3:
            ending.set()

    async with listening(mosquitto.port) as heard:
        plan = LoadPlan(beds=5, ramp=(2, 5), seconds=2, beds_per_site=2, prefix="ramp")
        report = await run_load(plan, mosquitto.address, ending=ending, tell=note)
        await heard.wait_until(lambda: len(heard.of("/wave/live")) >= report.sent)
    assert (told[0].sites, told[0].sent) == (1, 2)
    assert report.sites == 3
    assert report.answered == report.sent < 2 * 2 + 5 * 2


async def test_a_load_of_many_frames_a_second_is_late_data_that_ends_at_the_present(
    mosquitto: Mosquitto,
) -> None:
    async with listening(mosquitto.port) as heard:
        plan = LoadPlan(beds=1, seconds=1, frames_per_s=20)
        report = await run_load(plan, mosquitto.address)
        await heard.wait_until(lambda: len(heard.of("/wave/live")) >= 20)
        frames = [decode_wave(payload, site="s", bed="b") for payload in heard.of("/wave/live")]
    assert report.sent == 20
    assert [frame.seq for frame in frames] == list(range(20))
    assert all(b.t0_ms - a.t0_ms == 1000 for a, b in itertools.pairwise(frames))
    assert abs(frames[-1].end_ms - now_ms()) < 3000


async def test_load_without_a_broker_says_so() -> None:
    with pytest.raises(SettingsError, match=r"expected a broker at 127\.0\.0\.1:9"):
        await run_load(LoadPlan(beds=1, seconds=1), Broker(host="127.0.0.1", port=9))


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("mqtt://127.0.0.1:1884", "127.0.0.1", 1884),
        ("mqtt://broker.example", "broker.example", 1883),
        ("mqtts://u:p@b.example/", "b.example", 8883),
    ],
)
def test_a_broker_address_is_read(url: str, host: str, port: int) -> None:
    broker = parse_broker(url)
    assert (broker.host, broker.port) == (host, port)
    assert "p@" not in repr(broker)
    assert broker.is_encrypted == url.startswith("mqtts")


@pytest.mark.parametrize("url", ["127.0.0.1:1883", "http://x", "mqtt://", "mqtt://h:port", "mqtt://h/path"])
def test_another_address_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match="broker: expected mqtt://"):
        parse_broker(url)


@pytest.mark.parametrize(
    "text", ["bed1", "bed1=", "=scenario:early", "bed1=tape:1", "bed1=recording:1017@later", "bed1=scenario:"]
)
def test_a_bed_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="expected"):
        parse_bed(text)


def test_a_bed_is_read_with_its_offset() -> None:
    assert parse_bed("b1=recording:1017@600") == BedPlan(
        bed="b1", kind="recording", name="1017", offset_s=600
    )


@pytest.mark.parametrize(
    ("kind", "name"), [("scenario", "nonsense"), ("recording", "0"), ("file", "/nowhere/a.csv")]
)
def test_what_cannot_be_opened_is_a_settings_error(kind: str, name: str) -> None:
    with pytest.raises(SettingsError, match="h001/b1"):
        open_bed("h001", BedPlan(bed="b1", kind=kind, name=name), 1)


@pytest.mark.parametrize(
    ("site", "beds"),
    [("h001", ()), ("h001", ("a", "a")), ("h 1", ("a",)), ("h001", ("a/b",)), ("h001", ("#",))],
)
def test_names_that_no_topic_carries_are_refused(site: str, beds: tuple[str, ...]) -> None:
    plans = tuple(BedPlan(bed=bed, kind="scenario", name="early") for bed in beds)
    with pytest.raises(SettingsError, match="expected"):
        check_names(SitePlan(site=site, beds=plans))


def test_the_demo_is_twelve_beds_of_four_sites_mostly_recordings() -> None:
    beds = [bed for plan in DEMO for bed in plan.beds]
    assert (len(DEMO), len(beds)) == (4, 12)
    assert sum(bed.kind == "recording" for bed in beds) == 8
    for plan in DEMO:
        check_names(plan)
        assert plan.name is not None
        assert "架空" in plan.name
        for bed in plan.beds:
            assert open_bed(plan.site, bed, 1).source.samples(0, 4).fhr.shape[1] == 4
