"""Between the send window and the two connections: carries out its actions, hands it what the hub says."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import Final, NoReturn

import aiomqtt

from hub.errors import WireError
from hub.model import (
    Ack,
    Advice,
    BedState,
    FillCredit,
    Lane,
    SiteCommand,
    SiteHealth,
    SiteState,
    SiteStatus,
    TimeExchange,
)
from hub.wire import (
    TopicKind,
    decode_json,
    decode_time,
    encode_fill,
    encode_json,
    encode_time,
    parse_topic,
    topic,
    with_backfill_flag,
)
from site_agent.clock import OffsetFilter
from site_agent.committer import Committer
from site_agent.event_lane import EventLane, SendEvent
from site_agent.happenings import (
    Absent,
    Acked,
    Action,
    Answered,
    Ask,
    Confirmed,
    Credited,
    Event,
    Heard,
    LineDown,
    LineUp,
    Renew,
    SendFill,
    SendLive,
    Tick,
)
from site_agent.link import BrokerAddress, Line
from site_agent.now import AgentClock
from site_agent.outbox import Outbox
from site_agent.runs import Runs
from site_agent.stock import Stock
from site_agent.window import Window

_log = logging.getLogger(__name__)

PUMP_S: Final = 0.2
NOTE_S: Final = 5.0
"""Confirmations are noted in the outbox this often; one that was not yet is only sent again."""
FAREWELL_S: Final = 2.0
_DOWN: Final = (TopicKind.ACK, TopicKind.ADVICE)
_DOWN_SITE: Final = (TopicKind.CMD, TopicKind.TIME, TopicKind.CREDIT)


class Uplink:
    """The site's voice.  Everything here runs in the event loop; the outbox is asked through its thread."""

    def __init__(
        self,
        site: str,
        address: BrokerAddress,
        *,
        committer: Committer,
        clock: AgentClock,
        status: Callable[[SiteState], SiteStatus],
        states: Callable[[], Sequence[tuple[str, BedState]]],
    ) -> None:
        self.window = Window()
        self.events = EventLane()
        self._offset = OffsetFilter()
        self.to_tell = asyncio.Event()
        """Set when the hub should not wait for the next report of health: it is new, or the offset is."""
        self._session: str | None = None
        self.wire_errors: dict[str, int] = {}
        self.heard_s: float | None = None
        """When the hub last said anything that only it can say."""
        self.on_advice: Callable[[str, Advice], None] = lambda _bed, _advice: None
        self.on_command: Callable[[SiteCommand], None] = lambda _command: None
        self._site = site
        self._committer = committer
        self._clock = clock
        self._status = status
        self._states = states
        self._confirmed: dict[tuple[str, int], Stock] = {}
        self._confirmed_events: list[str] = []
        self._asked: list[int] = []
        self._steps = 0
        self._tasks: asyncio.TaskGroup | None = None
        will = aiomqtt.Will(
            topic(site, None, TopicKind.STATUS),
            encode_json(SiteStatus(state=SiteState.OFFLINE)),
            qos=1,
            retain=True,
        )
        self.live = Line(
            address,
            f"{site}-live",
            topics=[topic(site, "+", kind) for kind in _DOWN]
            + [topic(site, None, kind) for kind in _DOWN_SITE],
            will=will,
            greet=self._greet,
            on_up=lambda: self._line(Lane.LIVE, is_up=True),
            on_down=lambda: self._line(Lane.LIVE, is_up=False),
            on_message=self._hear,
        )
        self.fill = Line(
            address,
            f"{site}-fill",
            on_up=lambda: self._line(Lane.FILL, is_up=True),
            on_down=lambda: self._line(Lane.FILL, is_up=False),
        )

    async def run(self) -> None:
        """Hold both lines and keep the window turning until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            tasks.create_task(self.live.run(), name="live line")
            tasks.create_task(self.fill.run(), name="fill line")
            tasks.create_task(self._pump(), name="window")
            tasks.create_task(self._note_confirmed(), name="confirmations")

    async def say_goodbye(self) -> None:
        """Say offline before a clean end, which sends no last will."""
        try:
            async with asyncio.timeout(FAREWELL_S):
                await self._publish_status(SiteState.OFFLINE)
        except TimeoutError:
            _log.warning("the broker did not take the farewell")

    def push(self, event: Event) -> None:
        """Hand an event to the window and carry out what it wants."""
        for action in self.window.push(event, self._clock.now_s()):
            self._carry_out(action)

    async def publish_state(self, bed: str, state: BedState) -> None:
        """Tell the state of a device; a later connection tells it again."""
        await self.live.publish(
            topic(self._site, bed, TopicKind.STATE), encode_json(state), qos=1, retain=True
        )

    async def publish_health(self, health: SiteHealth) -> None:
        """Tell how the agent is; nobody waits for it, and nothing keeps it."""
        await self.live.publish(topic(self._site, None, TopicKind.HEALTH), encode_json(health), qos=0)

    # ---------------------------------------------------------------------- sending

    def _carry_out(self, action: Action) -> None:
        match action:
            case Confirmed(bed, epoch, runs):
                self._confirmed.setdefault((bed, epoch), Stock(bed, epoch)).unacked.extend(runs)
            case Renew(lane, why, is_dead):
                (self.live if lane is Lane.LIVE else self.fill).renew(why, is_dead=is_dead)
            case SendLive():
                self._spawn(self._send_live(action))
            case SendFill():
                self._spawn(self._send_fill(action))
            case Ask():
                self._spawn(self._ask_time(action))

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        if self._tasks is None:
            work.close()
            return
        self._tasks.create_task(work)

    async def _send_live(self, action: SendLive) -> None:
        where = topic(self._site, action.bed, TopicKind.WAVE_LIVE)
        if await self.live.publish(where, action.payload):
            self.push(Answered(action.token))

    async def _send_fill(self, action: SendFill) -> None:
        payload, absent = await self._committer.ask(lambda outbox: pack_fill(outbox, action))
        for missing in absent:
            _log.error(
                "%s: epoch %d seq %d to %d are not in the outbox any more and cannot be sent",
                action.bed,
                missing.epoch,
                missing.first,
                missing.last,
            )
            self.push(missing)
        where = topic(self._site, action.bed, TopicKind.WAVE_FILL)
        if payload is None or await self.fill.publish(where, payload):
            self.push(Answered(action.token))

    async def _ask_time(self, action: Ask) -> None:
        asked_ms = round(self._clock.now_ms())
        self._asked = [*self._asked[-15:], asked_ms]
        if await self.live.publish(
            topic(self._site, None, TopicKind.TIME), encode_time(TimeExchange(asked_ms))
        ):
            self.push(Answered(action.token))

    async def _send_event(self, event: SendEvent) -> None:
        is_answered = await self.live.publish(topic(self._site, event.bed, TopicKind.EVENT), event.payload)
        if self.events.sent(event.id, self._clock.now_s(), is_answered=is_answered):
            self._confirmed_events.append(event.id)

    def _greet(self) -> list[tuple[str, bytes]]:
        where = topic(self._site, None, TopicKind.STATUS)
        return [
            (where, encode_json(self._status(SiteState.ONLINE))),
            *((topic(self._site, bed, TopicKind.STATE), encode_json(state)) for bed, state in self._states()),
        ]

    async def _publish_status(self, state: SiteState) -> None:
        where = topic(self._site, None, TopicKind.STATUS)
        await self.live.publish(where, encode_json(self._status(state)), qos=1, retain=True)

    async def _pump(self) -> NoReturn:
        while True:
            self.push(Tick())
            for event in self.events.take_due(self._clock.now_s()):
                self._spawn(self._send_event(event))
            await asyncio.sleep(PUMP_S)

    async def _note_confirmed(self) -> NoReturn:
        while True:
            await asyncio.sleep(NOTE_S)
            await self.note_confirmed()

    async def note_confirmed(self) -> None:
        """Bring what the hub has confirmed to the disk."""
        stock, self._confirmed = list(self._confirmed.values()), {}
        events, self._confirmed_events = self._confirmed_events, []
        await self._committer.ask(lambda outbox: outbox.confirm(stock, events))

    def _line(self, lane: Lane, *, is_up: bool) -> None:
        self.push(LineUp(lane) if is_up else LineDown(lane))
        if lane is Lane.LIVE:
            if is_up:
                self.events.line_up()
            else:
                self.events.line_down()

    # ---------------------------------------------------------------------- hearing

    def _hear(self, where: str, payload: bytes) -> None:
        """Take one message; what is malformed is counted and logged once per kind."""
        try:
            parsed = parse_topic(where)
            if payload:
                self._take(parsed.kind, parsed.bed or "", payload)
        except WireError as error:
            self.wire_errors[error.kind] = self.wire_errors.get(error.kind, 0) + 1
            if self.wire_errors[error.kind] == 1:
                _log.warning("message on %r left unread: %s (counted from now on)", where[:120], error)

    def _take(self, kind: TopicKind, bed: str, payload: bytes) -> None:
        match kind:
            case TopicKind.ACK:
                self.heard_s = self._clock.now_s()
                ack = decode_json(payload, Ack)
                self._confirmed_events += [i for i in ack.events if self.events.confirmed(i)]
                if not ack.events:
                    self.push(Acked(bed, ack))
            case TopicKind.ADVICE:
                self.on_advice(bed, decode_json(payload, Advice))
            case TopicKind.CMD:
                self.on_command(decode_json(payload, SiteCommand))
            case TopicKind.CREDIT:
                credit = decode_json(payload, FillCredit)
                self.push(Credited(credit.frames_per_s, credit.valid_s, credit.session))
                if credit.session != self._session:
                    self._session = credit.session
                    self.to_tell.set()
            case TopicKind.TIME:
                self._take_time(decode_time(payload))
            case _:
                pass  # ours

    def _take_time(self, answer: TimeExchange) -> None:
        if answer.received_ms == 0 or answer.asked_ms not in self._asked:
            return  # an own question, which comes back under its topic, or of an earlier start
        self.heard_s = self._clock.now_s()
        self.push(Heard())
        is_first = self.offset.offset_ms is None
        if self.offset.push(answer, self._clock.now_ms()) and is_first:
            self.to_tell.set()

    @property
    def offset(self) -> OffsetFilter:
        """What the exchanges with the hub say of this clock; nothing from before it was set counts."""
        if self._clock.steps != self._steps:
            self._steps = self._clock.steps
            self._offset.clear()
        return self._offset


def pack_fill(outbox: Outbox, action: SendFill) -> tuple[bytes | None, list[Absent]]:
    """Read the frames of a fill message and pack them; also tells which are not there."""
    payloads: list[bytes] = []
    absent: list[Absent] = []
    for epoch, first, last in action.parts:
        frames = outbox.read(action.bed, epoch, first, last)
        payloads += [with_backfill_flag(frames[seq]) for seq in sorted(frames)]
        missing = Runs([(first, last)])
        for seq in frames:
            missing.remove(seq, seq)
        absent += [Absent(action.bed, epoch, a, b) for a, b in missing]
    return (encode_fill(payloads) if payloads else None), absent
