"""Every decoder that reads what others wrote, each with whole messages to begin from."""

import json
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, cast

from prometheus_client import CollectorRegistry

from chaos.fuzz import Target, Verdict
from chaos.fuzz_seeds import DRIVER_SEEDS, JSON_SEEDS, T0_MS, record_seeds, wave_seeds
from hub.errors import RecordError, WireError
from hub.inlet import Inlet
from hub.journal import AlertJournal
from hub.model import (
    Ack,
    Lane,
    TimeExchange,
    WaveEntry,
)
from hub.pipeline import Pipeline
from hub.recorder import Recorder
from hub.records.read import read_record
from hub.sites import SiteDesk
from hub.stages import Clock, Stage
from hub.store.rows import FrameRow
from hub.store.segment import decode_segment, encode_segments
from hub.store.store import Store
from hub.web.live import Feed
from hub.web.messages import decode_client_message
from hub.wire import (
    MAX_FILL_BYTES,
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
    parse_topic,
    to_movement,
    to_quality,
    to_values,
    topic,
    with_backfill_flag,
)
from site_agent.backlog import stored_runs
from site_agent.drivers.registry import DRIVERS, make_driver

ACCEPTED: Final = "accepted"
FRESH_AFTER: Final = 500
"""Pieces that one driver reads before a fresh one takes its place, and that one inlet reads."""


# ---------------------------------------------------------------------------- targets


def _wire(read: Callable[[bytes], object]) -> Callable[[bytes], Verdict]:
    """Let a decoder refuse with a WireError, and with nothing else."""

    def attempt(payload: bytes) -> Verdict:
        try:
            read(payload)
        except WireError as error:
            return str(error.kind)
        return ACCEPTED

    return attempt


def _read_wave(payload: bytes) -> None:
    frame = decode_wave(payload, site="h1", bed="b1")
    for block in frame.channels:
        to_values(block)
        to_quality(block)
        to_movement(block)
    decode_wave(with_backfill_flag(payload), site="h1", bed="b1")


def _read_fill(payload: bytes) -> None:
    for frame in decode_fill(payload):
        _read_wave(frame)


def _read_deflated(payload: bytes) -> None:
    """Read a fill message with the damage inside: broken first, deflated then."""
    _read_fill(zlib.compress(payload[: MAX_FILL_BYTES + 10], 1))


def _read_batch(payload: bytes) -> None:
    for entry in decode_batch(payload)[2]:
        decode_wave(entry.payload, site=entry.site, bed=entry.bed)


def _read_json(kind: type) -> Callable[[bytes], None]:
    def read(payload: bytes) -> None:
        message: object = decode_json(payload, kind)
        encode_json(message)
        if isinstance(message, Ack):
            stored_runs(message)

    return read


def _read_client(payload: bytes) -> Verdict:
    try:
        decode_client_message(payload.decode("utf-8", "replace"))
    except ValueError:
        return "client"
    return ACCEPTED


def _read_segment(payload: bytes) -> Verdict:
    """Whatever a site may have been believed comes back from a segment byte for byte."""
    try:
        frame = decode_wave(payload, site="h1", bed="b1")
    except WireError as error:
        return str(error.kind)
    rows = [
        FrameRow("h1", "b1", frame.epoch, seq, frame.t0_ms, frame.end_ms, Lane.LIVE, frame.t0_ms, one)
        for seq, one in ((frame.seq, payload),)
    ]
    back = [row.payload for segment in encode_segments(rows) for row in decode_segment(segment)]
    if back != [payload]:
        msg = f"expected {payload.hex()}, got {[one.hex() for one in back]}"
        raise AssertionError(msg)
    return ACCEPTED


def _record_reader(folder: Path, ending: str) -> Callable[[bytes], Verdict]:
    path = folder / f"a{ending}"

    def read(payload: bytes) -> Verdict:
        path.write_bytes(payload)
        try:
            read_record(path)
        except RecordError:
            return "record"
        return ACCEPTED

    return read


def _driver_reader(name: str) -> Callable[[bytes], Verdict]:
    """One connection after the other; a driver has no error to raise, whatever it hears."""
    state: list[Any] = [None, 0, float(T0_MS)]

    def read(payload: bytes) -> Verdict:
        if state[1] % FRESH_AFTER == 0:
            state[0] = make_driver(name)
        state[1] += 1
        state[2] += 250.0
        items = state[0].feed(payload, state[2])
        state[0].due(state[2])
        return type(items[0]).__name__ if items else "nothing"

    return read


async def _publish_nothing(*_: object) -> bool:
    return True


class _Deaf:
    """Consoles that nobody sits at: the inlet's last step, which takes what was accepted."""

    def publish_wave(self, entry: WaveEntry) -> None:
        """Take a frame."""


class InletTarget:
    """The hub's own way from a broker message to pipeline and queue, with damage in topic and payload."""

    def __init__(self, folder: Path) -> None:
        clock = Clock()
        registry = CollectorRegistry()
        self._errors = 0
        self._journal = AlertJournal(folder)
        self._recorder = Recorder(
            cast("Store", None),
            _publish_nothing,
            lambda name, pending: Stage(name, clock, pending),
            self._journal,
        )
        self._pipeline = Pipeline(boot_id="fuzz", capacity_beds=8)
        self._clock = clock
        self._count = 0
        self._inlet = Inlet(
            self._pipeline,
            self._recorder,
            cast("Feed", _Deaf()),
            SiteDesk(clock, _publish_nothing, lambda live_per_s: 0.0, lambda: "boot.1", registry),
            clock=clock,
            stage=Stage("acquisition", clock),
            registry=registry,
        )

    def close(self) -> None:
        """Let go of the journal's file."""
        self._journal.close()

    def read(self, payload: bytes) -> Verdict:
        """Take a topic, a zero byte and a payload as one message; check the alerts now and then."""
        where, _, body = payload.partition(b"\0")
        self._inlet.take(where.decode("utf-8", "replace"), body)
        while self._inlet.take_filled():
            pass
        self._count += 1
        if self._count % FRESH_AFTER == 0:
            self._recorder._frames.clear()  # noqa: SLF001  # nobody writes here
            self._recorder._records.clear()  # noqa: SLF001
            self._pipeline.tick(self._clock.now_ms(), self._clock.now_s())
            self._inlet.take_events()
        return "taken"

    def seeds(self) -> list[bytes]:
        """Whole messages of every topic that the hub reads."""
        waves = wave_seeds()
        of_bed: dict[TopicKind, list[bytes]] = {
            TopicKind.WAVE_LIVE: waves,
            TopicKind.WAVE_FILL: [encode_fill([with_backfill_flag(one) for one in waves])],
            TopicKind.STATE: [encode_json(JSON_SEEDS[1])],
            TopicKind.EVENT: [encode_json(JSON_SEEDS[2])],
        }
        of_site: dict[TopicKind, list[bytes]] = {
            TopicKind.STATUS: [encode_json(JSON_SEEDS[0])],
            TopicKind.HEALTH: [encode_json(JSON_SEEDS[5])],
            TopicKind.TIME: [encode_time(TimeExchange(T0_MS))],
        }
        return [
            topic("h1", bed, kind).encode() + b"\0" + body
            for bed, kinds in (("b1", of_bed), (None, of_site))
            for kind, bodies in kinds.items()
            for body in bodies
        ]


@contextmanager
def all_targets(folder: Path | None = None) -> Iterator[list[Target]]:
    """Every target; recordings are written below `folder`, by default in memory."""
    base = folder or (Path("/dev/shm") if Path("/dev/shm").is_dir() else None)  # tests' own folder in it
    with tempfile.TemporaryDirectory(prefix="ctg-fuzz-", dir=base) as scratch:
        inlet = InletTarget(Path(scratch))
        try:
            yield [*_wire_targets(), *_other_targets(Path(scratch), inlet)]
        finally:
            inlet.close()


def _wire_targets() -> Iterator[Target]:
    waves = wave_seeds()
    flagged = [with_backfill_flag(one) for one in waves]
    inner = [b"".join(len(p).to_bytes(2, "big") + p for p in flagged[k : k + 3]) for k in range(5)]
    batches = [encode_batch(3, T0_MS, [WaveEntry("h1", "b1", T0_MS, one)] * 3) for one in waves[:6]]
    topics = [topic("h-1_A", bed, kind).encode() for kind in TopicKind for bed in (None, "b1")]
    times = [encode_time(TimeExchange(T0_MS)), encode_time(TimeExchange(T0_MS, T0_MS + 1, T0_MS + 2))]
    yield Target(name="wave", seeds=waves, read=_wire(_read_wave), share=30)
    yield Target(name="fill", seeds=[encode_fill(flagged[:3])], read=_wire(_read_fill), share=5)
    yield Target(name="fill, inside", seeds=inner, read=_wire(_read_deflated), share=5)
    yield Target(name="batch", seeds=batches, read=_wire(_read_batch), share=8)
    yield Target(
        name="topic",
        seeds=topics,
        read=_wire(lambda text: parse_topic(text.decode("utf-8", "replace"))),
        share=8,
    )
    yield Target(name="time", seeds=times, read=_wire(decode_time), share=3)
    for message in JSON_SEEDS:
        kind = type(message)
        yield Target(name=kind.__name__, seeds=[encode_json(message)], read=_wire(_read_json(kind)), share=2)


def _other_targets(folder: Path, inlet: InletTarget) -> Iterator[Target]:
    client = [
        {"type": "hello", "beds": ["h1/b1"], "history_s": 1200.0},
        {"type": "beds", "beds": None},
        {"type": "ack", "seq": 7},
    ]
    yield Target(
        name="console", seeds=[json.dumps(one).encode() for one in client], read=_read_client, share=3
    )
    yield Target(name="segment", seeds=wave_seeds(), read=_read_segment, share=3)
    yield Target(name="inlet", seeds=inlet.seeds(), read=inlet.read, share=10)
    for ending, content in record_seeds().items():
        yield Target(name=ending, seeds=[content], read=_record_reader(folder, ending), share=0.05)
    everything = [one for seeds in DRIVER_SEEDS.values() for one in seeds]
    for name in DRIVERS:
        yield Target(name=name, seeds=DRIVER_SEEDS.get(name, everything), read=_driver_reader(name), share=5)
