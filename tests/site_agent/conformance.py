"""What every driver must hold, whatever its protocol.

A new driver adds a `Case` to `test_drivers_conformance.py`: how it is made, some whole frames of
its protocol, and one frame spoiled so that the protocol itself says it is bad.  Every check in
`CHECKS` is then run over it.  A driver gives the same items however its bytes were chopped, loses
nothing that is valid beside whatever is not, counts each byte it does not use, and never raises.
"""

import itertools
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

import psutil
from hypothesis import given, settings
from hypothesis import strategies as st

from site_agent.device import DeviceEvent, DeviceIdentity, Driver, DriverItem, Reject, Reply, TickBlock

T_MS: Final = 1_795_000_000_000.0
HOUR_MS: Final = 3_600_000.0
RANDOM_BYTES: Final = 10 * 1024 * 1024
BLOCK: Final = 64 * 1024
MAX_GROWTH: Final = 24 * 1024 * 1024
BAUD_GARBAGE: Final = bytes((0x00, 0x80, 0xC0, 0xE0, 0xF0, 0xF8, 0xFC, 0xFE, 0xFF, 0x78, 0x1E, 0x66))
"""What a line at the wrong speed looks like: long runs of ones or zeros."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One driver under test; each of `frames` gives items, and nothing of it is refused."""

    name: str
    make: Callable[[], Driver]
    frames: tuple[bytes, ...]
    spoiled: tuple[bytes, ...]
    """Frames that the protocol lets a receiver know as bad."""
    has_checksum: bool
    """Then a single changed byte anywhere must be noticed as well."""


def describe(item: DriverItem) -> tuple[object, ...]:
    """Give an item as plain values, so that two runs can be compared."""
    if isinstance(item, TickBlock):
        channels = tuple(
            (c.channel, c.transducer, c.is_inop, str(c.raw.dtype), tuple(c.raw.tolist()))
            for c in item.channels
        )
        return (
            "ticks",
            item.t0_ms,
            item.time_base,
            item.period_ms,
            item.n_ticks,
            item.status,
            channels,
            item.source,
        )
    if isinstance(item, DeviceEvent):
        return ("event", item.kind, item.t_ms, item.text, tuple(sorted(item.values.items())), item.source)
    if isinstance(item, DeviceIdentity):
        return ("identity", item.model, item.serial, item.revision, item.source)
    if isinstance(item, Reply):
        return ("reply", item.data)
    return ("reject", item.fault, item.detail, item.n_bytes)


def feed(driver: Driver, pieces: Iterable[bytes], t_ms: float = T_MS) -> list[tuple[object, ...]]:
    return [describe(item) for piece in pieces for item in driver.feed(piece, t_ms)]


def kept(items: Iterable[tuple[object, ...]]) -> list[tuple[object, ...]]:
    return [item for item in items if item[0] != "reject"]


def count_rejected(items: Iterable[tuple[object, ...]]) -> int:
    return sum(int(str(item[3])) for item in items if item[0] == "reject")


def timeless(items: Iterable[tuple[object, ...]]) -> list[tuple[object, ...]]:
    """Ticks and events without their time of arrival; answers carry a time, so they go."""
    return [
        (item[0], *item[2:]) if item[0] == "ticks" else (*item[:2], *item[3:])
        for item in items
        if item[0] in ("ticks", "event")
    ]


def flushed(case: Case, driver: Driver, pieces: Iterable[bytes]) -> list[tuple[object, ...]]:
    """Items of the pieces; a whole frame behind them ends what may still be waiting."""
    items = feed(driver, pieces)
    end = feed(driver, [case.frames[0]], T_MS)
    n_last = len(feed(case.make(), [case.frames[0]], T_MS))
    return items + end[:-n_last]


def a_valid_stream_is_used_to_its_last_byte(case: Case) -> None:
    for frame in case.frames:
        items = feed(case.make(), [frame])
        assert items, frame
        assert kept(items) == items, frame
    items = feed(case.make(), case.frames)
    assert kept(items) == items
    assert feed(case.make(), [b""]) == []


def torn_anywhere_it_gives_the_same(case: Case) -> None:
    stream = b"".join(case.frames)
    whole = feed(case.make(), [stream])
    assert whole == feed(case.make(), case.frames)
    assert whole == feed(case.make(), [stream[i : i + 1] for i in range(len(stream))])
    for at in range(1, len(stream)):
        assert whole == feed(case.make(), [stream[:at], stream[at:]]), at


def noise_between_frames_costs_nothing_and_is_counted(case: Case) -> None:
    rng = random.Random(case.name)
    for _ in range(20):
        noise = [rng.randbytes(rng.randrange(1, 300)) for _ in case.frames]
        pieces = [piece for pair in zip(noise, case.frames, strict=True) for piece in pair]
        items = flushed(case, case.make(), [b"".join(pieces)])
        assert kept(items) == kept(feed(case.make(), case.frames))
        assert count_rejected(items) == sum(map(len, noise))


def a_spoiled_frame_harms_no_neighbour_and_is_counted(case: Case) -> None:
    first, last = case.frames[0], case.frames[-1]
    expected = kept(feed(case.make(), [first, last]))
    for bad in case.spoiled:
        items = flushed(case, case.make(), [first, bad, last])
        assert kept(items) == expected, bad
        assert count_rejected(items) == len(bad), bad


def a_changed_byte_is_noticed_where_there_is_a_checksum(case: Case) -> None:
    if not case.has_checksum:
        return
    rng = random.Random(case.name)
    first, last = case.frames[0], case.frames[-1]
    expected = kept(feed(case.make(), [first, last]))
    for frame in case.frames:
        for at in range(len(frame)):
            bad = bytearray(frame)
            bad[at] ^= rng.randrange(1, 256)
            items = flushed(case, case.make(), [first, bytes(bad), last])
            assert kept(items) == expected, (at, bytes(bad).hex(" "))
            assert count_rejected(items) == len(bad), (at, bytes(bad).hex(" "))


def a_line_at_the_wrong_speed_gives_nothing_and_ends_without_a_trace(case: Case) -> None:
    rng = random.Random(case.name)
    garbage = bytes(rng.choice(BAUD_GARBAGE) for _ in range(20_000))
    driver = case.make()
    items = feed(driver, [garbage, *case.frames])
    assert kept(items) == kept(feed(case.make(), case.frames))
    assert count_rejected(items) == len(garbage)


def a_cable_pulled_inside_a_frame_costs_that_frame_only(case: Case) -> None:
    frame = case.frames[0]
    step = max(len(frame) // 40, 1)
    for at in range(1, len(frame), step):
        driver = case.make()
        items = feed(driver, [frame[:at]])
        back = feed(driver, case.frames, T_MS + HOUR_MS)
        assert kept(items) == []
        fresh = feed(case.make(), case.frames, T_MS + HOUR_MS)
        assert [x for x in back if x[0] in ("ticks", "event")] == [
            x for x in fresh if x[0] in ("ticks", "event")
        ], at
        assert count_rejected(back) == at


def a_device_off_and_on_again_is_read_again(case: Case) -> None:
    driver = case.make()
    expected = timeless(feed(case.make(), case.frames))
    for hour in range(3):
        start_ms = T_MS + hour * HOUR_MS
        assert isinstance(driver.due(start_ms), bytes)
        assert timeless(feed(driver, case.frames, start_ms)) == expected
        for quarter in range(60):
            assert isinstance(driver.due(start_ms + 250 * quarter), bytes)


def a_clock_that_jumps_costs_nothing(case: Case) -> None:
    driver = case.make()
    expected = timeless(feed(case.make(), case.frames))
    for jump_ms in (0.0, -24 * HOUR_MS, 24 * HOUR_MS, -1e12, 1e12):
        driver.due(T_MS + jump_ms)
        assert timeless(feed(driver, case.frames, T_MS + jump_ms)) == expected
        driver.due(T_MS)


def random_bytes_without_end_need_no_memory(case: Case) -> None:
    rng = random.Random(case.name)
    driver = case.make()
    process = psutil.Process()
    n_rejected = 0
    before = 0
    for n_fed in range(0, RANDOM_BYTES, BLOCK):
        items = driver.feed(rng.randbytes(BLOCK), T_MS + n_fed / 1000)
        n_rejected += sum(item.n_bytes for item in items if isinstance(item, Reject))
        if n_fed == 16 * BLOCK:  # imports and buffers have reached their size
            before = process.memory_info().rss
    assert process.memory_info().rss - before < MAX_GROWTH
    assert n_rejected > RANDOM_BYTES * 0.85


def whatever_comes_it_does_not_raise(case: Case) -> None:
    pieces = st.one_of(
        st.binary(max_size=40),
        st.sampled_from(case.frames),
        st.sampled_from(case.frames).flatmap(
            lambda frame: st.integers(0, len(frame)).map(lambda at: frame[:at])
        ),
    )

    @settings(max_examples=60, derandomize=True, database=None)
    @given(st.lists(pieces, max_size=8), st.randoms(use_true_random=False))
    def hold(parts: list[bytes], rng: random.Random) -> None:
        stream = b"".join(parts)
        cuts = sorted(rng.randrange(len(stream) + 1) for _ in range(4))
        edges = [0, *cuts, len(stream)]
        chopped = [stream[a:b] for a, b in itertools.pairwise(edges)]
        whole = feed(case.make(), [stream])
        assert whole == feed(case.make(), chopped)
        assert count_rejected(whole) <= len(stream)

    hold()


CHECKS: Final[tuple[Callable[[Case], None], ...]] = (
    a_valid_stream_is_used_to_its_last_byte,
    torn_anywhere_it_gives_the_same,
    noise_between_frames_costs_nothing_and_is_counted,
    a_spoiled_frame_harms_no_neighbour_and_is_counted,
    a_changed_byte_is_noticed_where_there_is_a_checksum,
    a_line_at_the_wrong_speed_gives_nothing_and_ends_without_a_trace,
    a_cable_pulled_inside_a_frame_costs_that_frame_only,
    a_device_off_and_on_again_is_read_again,
    a_clock_that_jumps_costs_nothing,
    random_bytes_without_end_need_no_memory,
    whatever_comes_it_does_not_raise,
)
