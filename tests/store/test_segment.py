"""Segments: small, and exact."""

import binascii
from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hub.model import FrameFlag, Lane
from hub.store.rows import FrameRow
from hub.store.segment import ARRIVAL_PRECISION_MS, decode_segment, encode_segments, frame_core
from hub.wire import with_backfill_flag
from tests.store.conftest import T0_MS, Traffic, payloads

_CHANNELS = st.lists(
    st.sampled_from([0x01, 0x02, 0x10, 0x20, 0x21, 0x30, 0x7A, 0x7B]), unique=True, max_size=4
)


def _frame(
    seq: int, t0_ms: int, flags: int, status: int, ticks: int, channels: list[int], noise: bytes
) -> FrameRow:
    body = bytearray(b"\xc7" + bytes([0x10 | flags]))
    body += (7).to_bytes(4, "big") + seq.to_bytes(4, "big") + t0_ms.to_bytes(6, "big")
    body += bytes([ticks, 25, len(channels), status])
    for index, channel in enumerate(channels):
        width = 2 if channel < 0x20 or channel & 1 else 1
        samples = (noise * (1 + ticks * width // len(noise)))[: ticks * width]
        body += bytes([channel, noise[index % len(noise)]]) + samples
    if flags & FrameFlag.CRC:
        body += binascii.crc_hqx(bytes(body), 0).to_bytes(2, "big")
    return FrameRow("h012", "bed1", 7, seq, t0_ms, t0_ms + ticks * 250, Lane.LIVE, t0_ms + 5000, bytes(body))


@st.composite
def _runs(draw: st.DrawFn) -> list[FrameRow]:
    rows = []
    seq, t0_ms = draw(st.integers(0, 2**31)), draw(st.integers(0, 2**47))
    for _ in range(draw(st.integers(1, 12))):
        seq += draw(st.sampled_from([1, 1, 1, 2, 300, 70_000]))
        t0_ms += draw(st.sampled_from([1000, 1000, 1000, 1001, 999, 40_000, -500]))
        t0_ms = max(t0_ms, 0)
        rows.append(
            _frame(
                seq,
                t0_ms,
                draw(st.integers(0, 15)),
                draw(st.integers(0, 255)),
                draw(st.sampled_from([4, 4, 4, 1, 255])),
                draw(_CHANNELS),
                draw(st.binary(min_size=1, max_size=40)),
            )
        )
    return rows


@given(_runs())
def test_every_frame_comes_back_byte_for_byte(rows: list[FrameRow]) -> None:
    back = [row for segment in encode_segments(rows) for row in decode_segment(segment)]
    assert sorted(back, key=lambda row: row.seq) == [
        replace(row, arrived_ms=known.arrived_ms)
        for row, known in zip(rows, sorted(back, key=lambda row: row.seq), strict=True)
    ]


@given(st.lists(st.binary(max_size=60), min_size=1, max_size=6))
def test_what_is_no_frame_of_version_1_is_kept_as_it_is(blobs: list[bytes]) -> None:
    rows = [
        FrameRow("h012", "bed1", 7, seq, T0_MS, T0_MS + 1, Lane.FILL, T0_MS + seq, blob)
        for seq, blob in enumerate(blobs)
    ]
    back = [row for segment in encode_segments(rows) for row in decode_segment(segment)]
    assert sorted(back, key=lambda row: row.seq) == rows


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 40_000)), min_size=1, max_size=60))
def test_lane_is_exact_and_arrival_is_kept_to_its_precision(arrivals: list[tuple[bool, int]]) -> None:
    rows = [
        replace(
            _frame(seq, T0_MS + seq * 1000, 0, 1, 4, [1], b"\x41\x30"),
            lane=Lane.FILL if is_fill else Lane.LIVE,
            arrived_ms=T0_MS + seq * 1000 + delay_ms,
        )
        for seq, (is_fill, delay_ms) in enumerate(arrivals)
    ]
    (segment,) = encode_segments(rows)
    for row, back in zip(rows, decode_segment(segment), strict=True):
        assert back.lane is row.lane
        assert abs(back.arrived_ms - row.arrived_ms) <= ARRIVAL_PRECISION_MS


def test_ten_minutes_with_late_frames_among_them_are_one_segment(traffic: Traffic) -> None:
    rows = traffic(600)
    late = [
        replace(
            row, lane=Lane.FILL, arrived_ms=row.arrived_ms + 90_000, payload=with_backfill_flag(row.payload)
        )
        if row.seq % 7 == 0
        else row
        for row in rows
        if row.seq % 11
    ]
    (segment,) = encode_segments(late)
    assert payloads(decode_segment(segment)) == payloads(late)


def test_a_burst_of_backfill_is_one_span_of_arrival(traffic: Traffic) -> None:
    rows = [replace(row, lane=Lane.FILL, arrived_ms=T0_MS + 7_200_000) for row in traffic(600)]
    (segment,) = encode_segments(rows)
    assert len(segment.arrivals) == 3
    assert decode_segment(segment) == rows


def test_order_of_arrival_does_not_change_a_segment(traffic: Traffic) -> None:
    rows = traffic(300)
    shuffled = [rows[index] for index in np.random.default_rng(3).permutation(300)]
    assert encode_segments(shuffled) == encode_segments(rows)


def test_a_second_sending_has_the_same_core(traffic: Traffic) -> None:
    for flags in (FrameFlag.NONE, FrameFlag.CRC):
        (row,) = traffic(1, flags=flags)
        again = with_backfill_flag(row.payload)
        assert again != row.payload
        assert frame_core(again) == frame_core(row.payload)
        for at in (1, 25):
            other = again[:at] + bytes([again[at] ^ 0x20]) + again[at + 1 :]
            assert frame_core(other) != frame_core(row.payload)
