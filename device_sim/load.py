"""Many beds at once for benchmarks: frames encoded beforehand, only seq and time written anew each second.

A client library spends some 50 µs on each message, which at 10,000 beds would measure
the simulator and not the hub.  So this one module writes MQTT 3.1.1 packets itself: a
site's beds lie in one array of bytes that is patched and sent once a second.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from device_sim.broker import Broker, find_cause
from device_sim.frames import FRAME_MS, FrameMaker
from device_sim.scenarios import scenario_source
from hub.errors import SettingsError
from hub.model import GRID_MS, BedState, DeviceState, SiteState, SiteStatus
from hub.wire import TopicKind, encode_json, topic

_SCENARIOS: Final = ("reassuring", "variable_mild", "late_severe", "tachycardia")
_LOOP_S: Final = 600
"""Frames made beforehand per scenario; beds begin at different places of the loop."""

_CONNECT_S: Final = 5.0
_CONNECT_AHEAD_S: Final = 1.0
_ANSWER_S: Final = 5.0
_GOLDEN: Final = 0.618034
"""Its multiples lie evenly in each second, also when some sites do not speak yet."""

# Offsets inside a wave frame, by the protocol.
_EPOCH, _SEQ, _T0, _BODY = 2, 6, 10, 16


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadPlan:
    """`ramp`: how many beds speak in each step of `seconds`; all of them from the start when empty."""

    beds: int
    seconds: int
    ramp: tuple[int, ...] = ()
    beds_per_site: int = 20
    frames_per_s: int = 1
    """Of each bed: with more than one the load is late data that comes fast, and ends at the present."""
    qos: int = 1
    prefix: str = "load"
    seed: int = 1

    def begin_s(self, number: int) -> int:
        """Give the second in which a site begins to speak."""
        before = sum(number * self.beds_per_site >= beds for beds in self.ramp)
        return before * self.seconds

    @property
    def total_s(self) -> int:
        """Length of all steps together."""
        return self.seconds * max(1, len(self.ramp))


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadReport:
    """What was sent; `latest_ms` is how far behind its time the latest second of a site was begun.

    What is sent and not answered has not been read by the broker.
    """

    sites: int
    sent: int
    answered: int
    latest_ms: float


async def run_load(
    plan: LoadPlan,
    broker: Broker,
    *,
    ending: asyncio.Event | None = None,
    tell: Callable[[LoadReport], object] | None = None,
) -> LoadReport:
    """Send one frame a second for each bed, sites spread over the second.

    `ending` ends it early; `tell` is called each second, with the lateness of that second.

    Raises
    ------
    SettingsError
        If the broker cannot be reached or refuses, or the connection is lost meanwhile.
    """
    loops = [_encode_loop(name, plan.seed) for name in _SCENARIOS]
    names = [f"{plan.prefix}{number:04d}" for number in range(-(-plan.beds // plan.beds_per_site))]
    sites = [
        _Site(
            name,
            min(plan.beds_per_site, plan.beds - number * plan.beds_per_site),
            loops,
            plan,
            plan.begin_s(number),
        )
        for number, name in enumerate(names)
    ]
    ending = ending or asyncio.Event()
    start_s = time.monotonic() + 1.0
    t0_ms = round((time.time_ns() // 1_000_000 + 1000) / GRID_MS) * GRID_MS - FRAME_MS
    cause: BaseException | None = None
    try:
        async with asyncio.TaskGroup() as tasks:
            telling = tasks.create_task(_tell_each_second(sites, tell)) if tell else None
            async with asyncio.TaskGroup() as speaking:
                for number, site in enumerate(sites):
                    phase_s = number * _GOLDEN % 1.0
                    speaking.create_task(site.run(broker, start_s + phase_s, t0_ms, ending))
            if telling:
                telling.cancel()
    except* (OSError, EOFError, TimeoutError) as group:
        cause = group
    if cause is not None:  # Python before 3.11.4 wraps in a group what is raised inside `except*`
        msg = f"expected a broker at {broker.address} for {len(sites)} connections, got: {find_cause(cause)}"
        raise SettingsError(msg) from cause
    return _report(sites, max(site.latest_s for site in sites))


def _report(sites: Sequence["_Site"], latest_s: float) -> LoadReport:
    return LoadReport(
        sites=sum(site.sent > 0 for site in sites),
        sent=sum(site.sent for site in sites),
        answered=sum(site.answered for site in sites),
        latest_ms=1000 * latest_s,
    )


async def _tell_each_second(sites: Sequence["_Site"], tell: Callable[[LoadReport], object]) -> None:
    while True:
        await asyncio.sleep(1.0)
        tell(_report(sites, max(site.late_s for site in sites)))


class _Site:
    """One connection with the beds of one site: packets of one length, side by side in an array."""

    def __init__(
        self, name: str, beds: int, loops: list[npt.NDArray[np.uint8]], plan: LoadPlan, begin_s: int
    ) -> None:
        self.sent = 0
        self.answered = 0
        self.late_s = 0.0
        self.latest_s = 0.0
        self._is_sent = False
        self._all_answered = asyncio.Event()
        self._name = name
        self._plan = plan
        self._begin_s = begin_s
        self._beds = [f"bed{number + 1:02d}" for number in range(beds)]
        # What each bed plays: which loop, and from where in it.
        order = np.arange(beds) + random.Random(f"{plan.seed} {name}").randrange(_LOOP_S)  # noqa: S311  no secret
        self._loop = np.stack([loops[number % len(loops)] for number in order])
        self._from = order * 37
        frame = self._loop[:, 0]
        heads = [
            _encode_publish_head(topic(name, bed, TopicKind.WAVE_LIVE), frame.shape[1], plan.qos)
            for bed in self._beds
        ]
        self._head = len(heads[0])
        self._packets = np.concatenate(
            (np.array([list(head) for head in heads], np.uint8), frame), axis=1, dtype=np.uint8
        )
        system = random.SystemRandom()
        self._put(_EPOCH, np.array([system.getrandbits(32) for _ in self._beds]), 4)

    async def run(self, broker: Broker, start_s: float, t0_ms: int, ending: asyncio.Event) -> None:
        start_s, t0_ms = start_s + self._begin_s, t0_ms + self._begin_s * 1000
        if not await _sleep_until(start_s - _CONNECT_AHEAD_S, ending):
            return
        async with asyncio.timeout(_CONNECT_S):
            reader, writer = await asyncio.open_connection(broker.host, broker.port)
            writer.write(_encode_connect(f"{self._name}-live", broker.username, broker.password))
            answer = await reader.readexactly(4)
        if answer[0] != 0x20 or answer[3] != 0:
            msg = f"{self._name}: expected CONNACK 0, got {answer.hex(' ')}"
            raise OSError(msg)
        try:
            async with asyncio.TaskGroup() as tasks:
                counting = tasks.create_task(self._count_answers(reader))
                await self._send(writer, start_s, t0_ms, ending)
                counting.cancel()
        finally:
            writer.close()

    async def _send(
        self, writer: asyncio.StreamWriter, start_s: float, t0_ms: int, ending: asyncio.Event
    ) -> None:
        self._announce(writer, SiteState.ONLINE)
        rate, seconds = self._plan.frames_per_s, self._plan.total_s - self._begin_s
        first_ms = t0_ms - (rate - 1) * seconds * FRAME_MS
        for seq in range(rate * seconds):
            due_s = start_s + seq / rate
            if not await _sleep_until(due_s, ending):
                break
            self.late_s = time.monotonic() - due_s
            self.latest_s = max(self.latest_s, self.late_s)
            self._fill_in(seq, first_ms + seq * FRAME_MS)
            writer.write(self._packets.tobytes())
            await writer.drain()
            self.sent += len(self._beds)
        if self._plan.qos:
            self._is_sent = True
            if self.answered >= self.sent:
                self._all_answered.set()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_ANSWER_S):
                    await self._all_answered.wait()
        self._announce(writer, SiteState.OFFLINE)
        writer.write(b"\xe0\x00")
        await writer.drain()

    def _fill_in(self, seq: int, t0_ms: int) -> None:
        beds = np.arange(len(self._beds))
        body = self._loop[beds, (self._from + seq) % _LOOP_S, _BODY:]
        self._packets[:, self._head + _BODY :] = body
        self._put(_SEQ, np.full(beds.size, seq), 4)
        self._put(_T0, np.full(beds.size, t0_ms), 6)
        if self._plan.qos:
            # Identifiers may be used again once answered; 0 is not one.
            self._put(-2, (seq * beds.size + beds) % 65535 + 1, 2)

    def _put(self, offset: int, values: npt.NDArray[np.int64], width: int) -> None:
        """Write one big-endian number per bed, `offset` bytes from the start of the frame."""
        octets = values.astype(">i8").view(np.uint8).reshape(-1, 8)[:, 8 - width :]
        start = self._head + offset
        self._packets[:, start : start + width] = octets

    async def _count_answers(self, reader: asyncio.StreamReader) -> None:
        rest = 0
        while chunk := await reader.read(65536):
            # Nothing but PUBACKs of four bytes comes here: nothing is subscribed.
            self.answered += (rest + len(chunk)) // 4
            rest = (rest + len(chunk)) % 4
            if self._is_sent and self.answered >= self.sent:
                self._all_answered.set()
        msg = f"{self._name}: expected the broker to stay, got a closed connection"
        raise EOFError(msg)

    def _announce(self, writer: asyncio.StreamWriter, state: SiteState) -> None:
        status = SiteStatus(state=state, name=self._name, version="load", beds=tuple(self._beds))
        messages = [(topic(self._name, None, TopicKind.STATUS), encode_json(status))]
        for bed in self._beds:
            device = DeviceState.OK if state is SiteState.ONLINE else DeviceState.DISCONNECTED
            messages.append(
                (topic(self._name, bed, TopicKind.STATE), encode_json(BedState(state=device, driver="load")))
            )
        for where, payload in messages:
            writer.write(_encode_publish_head(where, len(payload), 0, retain=True) + payload)


async def _sleep_until(due_s: float, ending: asyncio.Event) -> bool:
    """Sleep; False once the load is to end."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(max(0.0, due_s - time.monotonic())):
            await ending.wait()
    return not ending.is_set()


def _encode_loop(name: str, seed: int) -> npt.NDArray[np.uint8]:
    maker = FrameMaker("load", "bed", 0, scenario_source(name, seed=seed))
    frames = [np.frombuffer(maker.make(seq, 0), np.uint8) for seq in range(_LOOP_S)]
    return np.stack(frames)


def _encode_connect(identifier: str, username: str | None, password: str | None) -> bytes:
    fields = [identifier]
    flags = 0x02  # clean session
    if username is not None:
        flags |= 0x80
        fields.append(username)
        if password is not None:
            flags |= 0x40
            fields.append(password)
    body = b"\x00\x04MQTT\x04" + bytes((flags,)) + (60).to_bytes(2, "big")
    body += b"".join(_encode_text(text) for text in fields)
    return b"\x10" + _encode_length(len(body)) + body


def _encode_publish_head(where: str, payload_bytes: int, qos: int, *, retain: bool = False) -> bytes:
    """Encode all of a PUBLISH before its payload; with QoS 1 it ends in the identifier, still 0."""
    identifier = b"\x00\x00" if qos else b""
    name = _encode_text(where)
    first = 0x30 | qos << 1 | retain
    return bytes((first,)) + _encode_length(len(name) + len(identifier) + payload_bytes) + name + identifier


def _encode_text(text: str) -> bytes:
    octets = text.encode()
    return len(octets).to_bytes(2, "big") + octets


def _encode_length(length: int) -> bytes:
    octets = bytearray()
    while True:
        length, low = divmod(length, 128)
        octets.append(low | (0x80 if length else 0))
        if not length:
            return bytes(octets)
