"""One simulated site on the broker: a live and a fill connection, an outbox per bed, faults between."""

import asyncio
import contextlib
import heapq
import logging
import math
import random
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NoReturn

import aiomqtt

from device_sim.broker import Broker, hold_connection, raise_if_cancelled
from device_sim.faults import FaultPlan, compute_stamp_ms, find_deliveries, is_out
from device_sim.frames import FRAME_MS, FrameMaker
from device_sim.outbox import CAPACITY_FRAMES, Outbox
from device_sim.pace import Pace
from device_sim.plan import OpenedBed, SitePlan
from hub.errors import WireError
from hub.model import GRID_MS, Ack, Advice, BedState, DeviceState, SiteState, SiteStatus
from hub.wire import TopicKind, decode_json, encode_fill, encode_json, parse_topic, topic

_log = logging.getLogger(__name__)

_QUEUE_S: Final = 5
"""Live frames wait at most this long for the line; then the newest are left to the fill lane."""

_UNDER_WAY: Final = 100
"""Live frames sent but not yet answered by the broker; the next waits."""

_FILL_BATCH: Final = 240
_FILL_PAUSE_S: Final = 0.2
_FAREWELL_S: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteOptions:
    """How a site behaves; `fill_rate` is frames a second on the fill lane."""

    pace: Pace
    seed: int = 1
    faults: FaultPlan = field(default_factory=FaultPlan)
    has_fill: bool = True
    fill_rate: float = 600.0
    outbox_frames: int = CAPACITY_FRAMES


@dataclass(slots=True)
class Counts:
    """What a site has done since its start."""

    made: int = 0
    sent_live: int = 0
    held_back: int = 0
    """Not sent live: lost, in an outage, or no connection."""
    filled: int = 0
    confirmed: int = 0


class _Bed:
    def __init__(self, site: str, opened: OpenedBed, pace: Pace, phase_ms: int, capacity: int) -> None:
        self.opened = opened
        self.name = opened.plan.bed
        # Fresh for each start of each bed: seq begins anew, and the pair must never repeat.
        self.epoch = random.SystemRandom().getrandbits(32)
        self.maker = FrameMaker(site, self.name, self.epoch, opened.source)
        self.outbox = Outbox(self.epoch, capacity=capacity)
        self.stream = zlib.crc32(f"{site}/{self.name}".encode())
        self.first_ms = pace.start_ms + phase_ms
        self.has_overflowed = False


class SitePublisher:
    """Acts as one delivery site until its `run` is cancelled."""

    def __init__(
        self, plan: SitePlan, beds: Sequence[OpenedBed], broker: Broker, options: SiteOptions
    ) -> None:
        self.counts = Counts()
        self._plan = plan
        self._broker = broker
        self._options = options
        self._started_s = time.monotonic()
        steps = FRAME_MS // GRID_MS
        self._beds = {
            opened.plan.bed: _Bed(
                # Beds speak in turn within the second, in steps that keep each on the grid.
                plan.site,
                opened,
                options.pace,
                (zlib.crc32(plan.site.encode()) + index) % steps * GRID_MS,
                options.outbox_frames,
            )
            for index, opened in enumerate(beds)
        }
        self._queue: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue(
            maxsize=math.ceil(_QUEUE_S * len(beds) * options.pace.speed)
        )
        self._is_live = False
        self._has_history = asyncio.Event()

    @property
    def beds(self) -> dict[str, int]:
        """The beds with their epochs."""
        return {name: bed.epoch for name, bed in self._beds.items()}

    async def run(self) -> None:
        """Publish until cancelled, then say offline."""
        site = self._plan.site
        will = aiomqtt.Will(
            topic(site, None, TopicKind.STATUS),
            encode_json(SiteStatus(state=SiteState.OFFLINE)),
            1,
            retain=True,
        )
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._produce(), name=f"{site} produce")
            tasks.create_task(
                hold_connection(self._broker, f"{site}-live", self._serve_live, will=will),
                name=f"{site} live",
            )
            if self._options.has_fill:
                tasks.create_task(
                    hold_connection(self._broker, f"{site}-fill", self._serve_fill), name=f"{site} fill"
                )

    # ------------------------------------------------------------- making frames

    async def _produce(self) -> NoReturn:
        """Make each frame when its last tick has ended, keep it, and offer it to the live lane."""
        options = self._options
        now_s = self._elapsed_s()
        due: list[tuple[float, str, int]] = []
        for name, bed in self._beds.items():
            seq = 0
            if options.pace.speed == 1.0:
                seq = await self._make_history(bed, now_s)
            heapq.heappush(due, (self._due_s(bed, seq), name, seq))
        self._has_history.set()
        while True:
            at_s, name, seq = due[0]
            await asyncio.sleep(max(at_s - self._elapsed_s(), 0.0))
            bed = self._beds[name]
            payload = self._make(bed, seq)
            was_sent = self._offer_live(bed, seq, payload)
            bed.outbox.push(seq, payload, self._elapsed_s(), was_sent=was_sent)
            self._report_overflow(bed)
            heapq.heapreplace(due, (self._due_s(bed, seq + 1), name, seq + 1))

    async def _make_history(self, bed: _Bed, now_s: float) -> int:
        """Put what lies before the start into the outbox; give the seq to go on with."""
        seq = 0
        while self._due_s(bed, seq) <= now_s:
            bed.outbox.push(seq, self._make(bed, seq), now_s, was_sent=False)
            seq += 1
            if seq % 50 == 0:
                await asyncio.sleep(0)
        self._report_overflow(bed)
        return seq

    def _make(self, bed: _Bed, seq: int) -> bytes:
        self.counts.made += 1
        t0_ms = bed.first_ms + seq * FRAME_MS
        age_s = (t0_ms - self._options.pace.start_ms) / 1000.0
        return bed.maker.make(seq, compute_stamp_ms(self._options.faults, t0_ms, age_s))

    def _due_s(self, bed: _Bed, seq: int) -> float:
        return self._options.pace.compute_due_s(bed.first_ms + (seq + 1) * FRAME_MS)

    def _elapsed_s(self) -> float:
        return time.monotonic() - self._started_s

    def _report_overflow(self, bed: _Bed) -> None:
        if bed.outbox.overflowed and not bed.has_overflowed:
            bed.has_overflowed = True
            _log.warning(
                "%s/%s: outbox full at %d frames, the oldest are given up and will be missing",
                self._plan.site,
                bed.name,
                len(bed.outbox),
            )

    # --------------------------------------------------------------------- live

    def _offer_live(self, bed: _Bed, seq: int, payload: bytes) -> bool:
        """Hand a frame to the live lane as the faults have it; False if nothing of it will be sent."""
        faults = self._options.faults
        delays = find_deliveries(faults, self._options.seed, bed.stream, seq)
        if not delays or not self._is_live or is_out(faults, self._elapsed_s()):
            self.counts.held_back += 1
            return False
        where = topic(self._plan.site, bed.name, TopicKind.WAVE_LIVE)
        was_sent = False
        for delay_s in delays:
            if delay_s > 0:
                asyncio.get_running_loop().call_later(delay_s, self._enqueue, where, payload)
                was_sent = True
            else:
                was_sent |= self._enqueue(where, payload)
        return was_sent

    def _enqueue(self, where: str, payload: bytes) -> bool:
        try:
            self._queue.put_nowait((where, payload))
        except asyncio.QueueFull:
            # The line is too slow for live; the outbox still has the frame.
            self.counts.held_back += 1
            return False
        return True

    async def _serve_live(self, client: aiomqtt.Client) -> None:
        site = self._plan.site
        try:
            await client.subscribe(
                [(topic(site, "+", kind), 1) for kind in (TopicKind.ACK, TopicKind.ADVICE)]
            )
            await self._announce(client)
            raise_if_cancelled()
            while not self._queue.empty():
                self._queue.get_nowait()
            self._is_live = True
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._receive(client), name=f"{site} receive")
                tasks.create_task(self._send(client), name=f"{site} send")
        except asyncio.CancelledError:
            # A clean end sends no last will.
            with contextlib.suppress(aiomqtt.MqttError, TimeoutError):
                async with asyncio.timeout(_FAREWELL_S):
                    await self._publish_status(client, SiteState.OFFLINE)
            raise
        finally:
            self._is_live = False

    async def _announce(self, client: aiomqtt.Client) -> None:
        await self._publish_status(client, SiteState.ONLINE)
        for bed in self._beds.values():
            state = BedState(
                state=DeviceState.OK,
                since_ms=bed.first_ms,
                driver="simulator",
                device=f"{bed.opened.plan.kind}:{bed.opened.plan.name}",
                label=bed.opened.plan.label,
                gestational_weeks=bed.opened.gestational_weeks,
                is_twin=bed.opened.is_twin,
            )
            where = topic(self._plan.site, bed.name, TopicKind.STATE)
            await client.publish(where, encode_json(state), qos=1, retain=True)

    async def _publish_status(self, client: aiomqtt.Client, state: SiteState) -> None:
        status = SiteStatus(
            state=state,
            t_ms=self._options.pace.real_ms + round(self._elapsed_s() * 1000),
            name=self._plan.name,
            version="simulator",
            beds=tuple(self._beds),
        )
        where = topic(self._plan.site, None, TopicKind.STATUS)
        await client.publish(where, encode_json(status), qos=1, retain=True)

    async def _send(self, client: aiomqtt.Client) -> NoReturn:
        """Publish in order without waiting for each answer, so that a slow line delays no later frame."""
        slots = asyncio.Semaphore(_UNDER_WAY)

        async def publish(where: str, payload: bytes) -> None:
            try:
                await client.publish(where, payload, qos=1)
            finally:
                slots.release()
            self.counts.sent_live += 1

        async with asyncio.TaskGroup() as tasks:
            while True:
                where, payload = await self._queue.get()
                await slots.acquire()
                tasks.create_task(publish(where, payload))

    async def _receive(self, client: aiomqtt.Client) -> None:
        async for message in client.messages:
            try:
                self._hear(str(message.topic), bytes(message.payload))
            except WireError as error:
                _log.warning("%s: message left unread: %s", self._plan.site, error)

    def _hear(self, where: str, payload: bytes) -> None:
        parsed = parse_topic(where)
        bed = self._beds.get(parsed.bed or "")
        if bed is None or not payload:
            return
        if parsed.kind is TopicKind.ACK:
            self.counts.confirmed += bed.outbox.acknowledge(decode_json(payload, Ack), self._elapsed_s())
        elif parsed.kind is TopicKind.ADVICE:
            advice = decode_json(payload, Advice)
            _log.info("%s/%s: advice %s from %s", parsed.site, parsed.bed, advice.id, advice.author)

    # --------------------------------------------------------------------- fill

    async def _serve_fill(self, client: aiomqtt.Client) -> NoReturn:
        """Send what is due, newest first, bed by bed, no faster than the fill rate."""
        await self._has_history.wait()
        while True:
            for bed in self._beds.values():
                if is_out(self._options.faults, self._elapsed_s()):
                    break
                payloads = bed.outbox.take_due(self._elapsed_s(), _FILL_BATCH)
                if payloads:
                    where = topic(self._plan.site, bed.name, TopicKind.WAVE_FILL)
                    await client.publish(where, encode_fill(payloads), qos=1)
                    raise_if_cancelled()
                    self.counts.filled += len(payloads)
                    await asyncio.sleep(len(payloads) / self._options.fill_rate)
            await asyncio.sleep(_FILL_PAUSE_S)


async def run_sites(publishers: Sequence[SitePublisher], stop: asyncio.Event) -> None:
    """Run sites side by side until `stop` is set; each says offline before it goes."""
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(publisher.run()) for publisher in publishers]
        await stop.wait()
        for task in running:
            task.cancel()
