"""The codec holds the document's byte examples and never fails but by WireError."""

import contextlib
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.errors import WireError, WireFault
from hub.model import (
    HEART_RATES,
    Ack,
    Advice,
    BedEvent,
    BedState,
    Channel,
    ChannelSamples,
    DeviceState,
    EventKind,
    FrameFlag,
    MonitorStatus,
    SignalQuality,
    SiteState,
    SiteStatus,
    TimeExchange,
    Transducer,
    WaveEntry,
    WaveFrame,
)
from hub.wire import (
    MAX_FILL_BYTES,
    MAX_FILL_FRAMES,
    TopicKind,
    decode_batch,
    decode_fill,
    decode_json,
    decode_time,
    decode_wave,
    encode_batch,
    encode_fill,
    encode_json,
    encode_time,
    encode_wave,
    parse_topic,
    samples_from_values,
    to_movement,
    to_quality,
    to_values,
    topic,
    with_backfill_flag,
)

EXAMPLE = bytes.fromhex(
    "c7100000000700003039019a9f58fa8004190201"  # header
    "01104230423142344236"  # FHR1
    "204028292a2b"  # toco
)


def frames() -> st.SearchStrategy[WaveFrame]:
    @st.composite
    def build(draw: st.DrawFn) -> WaveFrame:
        n_ticks = draw(st.integers(1, 255))
        channels = []
        for channel in draw(st.lists(st.sampled_from(list(Channel)), unique=True)):
            kind = np.uint16 if channel in HEART_RATES else np.int16 if channel is Channel.IUP else np.uint8
            seed = draw(st.integers(0, 2**32 - 1))
            limits = np.iinfo(kind)
            raw = np.random.default_rng(seed).integers(limits.min, limits.max, n_ticks, kind, endpoint=True)
            channels.append(
                ChannelSamples(channel, draw(st.sampled_from(list(Transducer))), draw(st.booleans()), raw)
            )
        return WaveFrame(
            "h012",
            "bed3",
            draw(st.integers(0, 2**32 - 1)),
            draw(st.integers(0, 2**32 - 1)),
            draw(st.integers(0, 7_258_118_400_000)),
            draw(st.integers(1, 255)) * 10,
            n_ticks,
            FrameFlag(draw(st.integers(0, 15))),
            MonitorStatus(draw(st.integers(0, 255))),
            tuple(channels),
        )

    return build()


def test_the_example_of_the_document_decodes_to_its_values():
    frame = decode_wave(EXAMPLE, site="h012", bed="bed3")
    assert (frame.epoch, frame.seq, frame.t0_ms) == (7, 12345, 1763610000000)
    assert (frame.n_ticks, frame.period_ms, frame.end_ms) == (4, 250, 1763610001000)
    assert frame.status is MonitorStatus.ON
    fhr, toco = frame.channels
    assert (fhr.channel, fhr.transducer) == (Channel.FHR1, Transducer.ULTRASOUND)
    assert to_values(fhr).tolist() == [140.0, 140.25, 141.0, 141.5]
    assert to_quality(fhr).tolist() == [SignalQuality.GREEN] * 4
    assert (toco.channel, toco.transducer) == (Channel.TOCO, Transducer.EXTERNAL)
    assert to_values(toco).tolist() == [20.0, 20.5, 21.0, 21.5]


def test_the_example_of_the_document_is_encoded_byte_for_byte():
    frame = WaveFrame(
        "h012",
        "bed3",
        7,
        12345,
        1763610000000,
        250,
        4,
        FrameFlag.NONE,
        MonitorStatus.ON,
        (
            samples_from_values(
                Channel.FHR1, [140.0, 140.25, 141.0, 141.5], transducer=Transducer.ULTRASOUND
            ),
            samples_from_values(Channel.TOCO, [20.0, 20.5, 21.0, 21.5], transducer=Transducer.EXTERNAL),
        ),
    )
    assert encode_wave(frame) == EXAMPLE


@given(frames())
def test_what_is_encoded_comes_back_the_same(frame: WaveFrame):
    payload = encode_wave(frame)
    back = decode_wave(payload, site="h012", bed="bed3")
    assert encode_wave(back) == payload
    for ours, theirs in zip(frame.channels, back.channels, strict=True):
        assert (ours.channel, ours.transducer, ours.is_inop) == (
            theirs.channel,
            theirs.transducer,
            theirs.is_inop,
        )
        np.testing.assert_array_equal(ours.raw, theirs.raw)


@given(st.binary(max_size=400))
def test_random_bytes_raise_only_wire_errors(payload: bytes):
    for decode in (
        lambda: decode_wave(payload, site="s", bed="b"),
        lambda: decode_wave(b"\xc7\x10" + payload, site="s", bed="b"),
        lambda: decode_wave(EXAMPLE[:18] + payload, site="s", bed="b"),
        lambda: decode_fill(payload),
        lambda: decode_fill(zlib.compress(payload)),
        lambda: decode_batch(payload),
        lambda: decode_batch(b"\xc8\x01" + payload),
        lambda: decode_json(payload, Ack),
        lambda: decode_json(payload, SiteStatus),
        lambda: decode_json(payload, BedEvent),
    ):
        with contextlib.suppress(WireError):
            decode()


@given(frames(), st.integers(0, 200))
def test_a_torn_frame_is_refused(frame: WaveFrame, cut: int):
    payload = encode_wave(frame)
    with pytest.raises(WireError):
        decode_wave(payload[: max(0, len(payload) - 1 - cut)], site="s", bed="b")


def test_a_frame_with_a_flipped_bit_fails_its_crc():
    frame = decode_wave(EXAMPLE, site="s", bed="b")
    guarded = encode_wave(
        WaveFrame(
            "s",
            "b",
            frame.epoch,
            frame.seq,
            frame.t0_ms,
            250,
            4,
            FrameFlag.CRC,
            frame.status,
            frame.channels,
        )
    )
    assert decode_wave(guarded, site="s", bed="b").seq == 12345
    broken = bytearray(guarded)
    broken[24] ^= 1
    with pytest.raises(WireError) as caught:
        decode_wave(bytes(broken), site="s", bed="b")
    assert caught.value.kind is WireFault.CRC


def test_an_unknown_channel_is_stepped_over():
    with_unknown = bytearray(EXAMPLE)
    with_unknown[18] = 3  # three channels: an unknown one of two bytes a sample comes first
    payload = bytes(with_unknown[:20]) + bytes([0x17, 0x10]) + bytes(8) + bytes(with_unknown[20:])
    assert [c.channel for c in decode_wave(payload, site="s", bed="b").channels] == [
        Channel.FHR1,
        Channel.TOCO,
    ]


def test_an_unknown_version_is_refused_with_what_was_expected():
    with pytest.raises(WireError, match="expected version 1, got 2") as caught:
        decode_wave(b"\xc7\x20" + EXAMPLE[2:], site="s", bed="b")
    assert caught.value.kind is WireFault.VERSION


@given(st.lists(st.floats(0.25, 511.75).map(lambda x: round(x * 4) / 4) | st.just(float("nan")), min_size=1))
def test_heart_rates_survive_to_the_quarter_beat(values: list[float]):
    block = samples_from_values(
        Channel.FHR2, values, transducer=Transducer.ULTRASOUND, quality=SignalQuality.YELLOW, movement=1
    )
    np.testing.assert_array_equal(to_values(block), values)
    assert set(to_quality(block)) == {SignalQuality.YELLOW}
    assert set(to_movement(block)) == {1}


@pytest.mark.parametrize("channel", [Channel.TOCO, Channel.IUP, Channel.FSPO2])
def test_what_the_wire_cannot_carry_is_missing_not_clamped(channel: Channel):
    block = samples_from_values(channel, [np.nan, np.inf, -np.inf, 1e9, 10.0], transducer=Transducer.EXTERNAL)
    np.testing.assert_array_equal(to_values(block), [np.nan, np.nan, np.nan, np.nan, 10.0])


def test_a_channel_that_is_inop_carries_no_signal():
    block = ChannelSamples(Channel.FHR1, Transducer.ULTRASOUND, True, np.array([0x4230], np.uint16))
    assert np.isnan(to_values(block)).all()


def test_a_blank_trace_is_never_a_rate_of_zero():
    block = ChannelSamples(Channel.FHR1, Transducer.ULTRASOUND, False, np.array([0x4000], np.uint16))
    assert np.isnan(to_values(block)).all()


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_a_fill_message_gives_its_frames_back(payloads: list[bytes]):
    assert decode_fill(encode_fill(payloads)) == payloads


def test_a_fill_message_that_would_swell_beyond_its_bound_is_refused():
    with pytest.raises(WireError) as caught:
        decode_fill(zlib.compress(bytes(MAX_FILL_BYTES + 1)))
    assert caught.value.kind is WireFault.SIZE


def test_a_fill_message_of_too_many_frames_is_refused():
    assert len(decode_fill(encode_fill([b"x"] * MAX_FILL_FRAMES))) == MAX_FILL_FRAMES
    with pytest.raises(WireError, match="at most 1200 frames"):
        decode_fill(encode_fill([b"x"] * (MAX_FILL_FRAMES + 1)))


@given(frames())
def test_the_backfill_flag_changes_nothing_else(frame: WaveFrame):
    back = decode_wave(with_backfill_flag(encode_wave(frame)), site="h012", bed="bed3")
    assert back.flags == frame.flags | FrameFlag.BACKFILL
    assert (back.epoch, back.seq, back.t0_ms) == (frame.epoch, frame.seq, frame.t0_ms)


def test_a_frame_too_long_for_a_wave_batch_is_refused_as_it_comes():
    wide, narrow = [*range(0x20), *range(0x21, 0x100, 2)][:141], range(0x20, 0x100, 2)
    blocks = [bytes((n, 0)) + bytes(165 * 2) for n in wide] + [bytes((n, 0)) + bytes(165) for n in narrow]
    head = bytes.fromhex("c710 00000001 00000000 019a9f58fa80 a5 19") + bytes((len(blocks), 0))
    payload = head + b"".join(blocks)
    assert len(payload) == 65_536
    with pytest.raises(WireError) as caught:
        decode_wave(payload, site="h012", bed="bed3")
    assert caught.value.kind is WireFault.SIZE


def test_a_wave_batch_gives_its_entries_back():
    entries = [WaveEntry("h012", "bed3", 1763610001050, EXAMPLE), WaveEntry("x", "y", 0, b"")]
    assert decode_batch(encode_batch(9, 1763610001100, entries)) == (9, 1763610001100, entries)


@pytest.mark.parametrize(
    "message",
    [
        SiteStatus(state=SiteState.ONLINE, t_ms=1, name="架空クリニック", beds=("bed1",)),
        BedState(state=DeviceState.OK, driver="series50", gestational_weeks=39.4),
        BedEvent(id="01JD", kind=EventKind.NIBP, t_ms=5, values={"systolic_mmhg": 118.0}),
        Ack(epoch=7, contiguous=11, missing=((13, 14),)),
        Advice(id="01JE", t_ms=6, author="K.M.", text="体位変換と内診を。"),
    ],
)
def test_a_json_message_comes_back_the_same(message: object):
    assert decode_json(encode_json(message), type(message)) == message


def test_an_unknown_field_is_ignored_and_a_wrong_type_named():
    assert decode_json(b'{"epoch":1,"contiguous":2,"colour":"red"}', Ack) == Ack(epoch=1, contiguous=2)
    with pytest.raises(WireError, match=r"Expected `int`, got `str` - at `\$.contiguous`"):
        decode_json(b'{"epoch":1,"contiguous":"two"}', Ack)


@pytest.mark.parametrize("kind", list(TopicKind))
def test_a_topic_is_built_and_taken_apart_alike(kind: TopicKind):
    of_site = {TopicKind.STATUS, TopicKind.HEALTH, TopicKind.TIME, TopicKind.CMD, TopicKind.CREDIT}
    bed = None if kind in of_site else "bed3"
    parsed = parse_topic(topic("h012", bed, kind))
    assert (parsed.site, parsed.bed, parsed.kind) == ("h012", bed, kind)


@pytest.mark.parametrize(
    "name", ["", "ctg/v1/a", "ctg/v2/a/status", "ctg/v1//bed/state", "ctg/v1/a/b/c/d", "ctg/v1/山/b/ack"]
)
def test_a_topic_outside_the_tree_is_refused(name: str):
    with pytest.raises(WireError):
        parse_topic(name)


def test_a_numpy_scalar_in_a_finding_does_not_stop_a_message():
    event = BedEvent(id="01JD", kind=EventKind.NIBP, t_ms=5, values={"systolic_mmhg": np.float64(118.5)})
    assert decode_json(encode_json(event), BedEvent).values == {"systolic_mmhg": 118.5}


def test_a_time_exchange_survives_the_wire_and_garbage_is_refused():
    question = TimeExchange(1_795_000_000_123)
    answer = TimeExchange(1_795_000_000_123, 1_795_000_000_200, 1_795_000_000_201)
    assert len(encode_time(question)) == 24
    assert decode_time(encode_time(question)) == question
    assert decode_time(encode_time(answer)) == answer
    for garbage in (b"", b"\x00" * 23, b"\xff" * 24):
        with pytest.raises(WireError):
            decode_time(garbage)
