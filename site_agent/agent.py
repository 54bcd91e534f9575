"""The agent of one site: devices → outbox → window → broker, and whoever looks at it.

Crash-only: a start is a recovery.  Whatever is unforeseen takes the process down, and the
next start goes on from the outbox.
"""

import asyncio
import fcntl
import importlib.metadata
import logging
import os
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, NoReturn, TextIO

from hub.errors import SettingsError, WireError
from hub.model import (
    Advice,
    BedEvent,
    BedState,
    EventKind,
    Lane,
    SiteState,
    SiteStatus,
)
from hub.wire import decode_json, encode_json
from site_agent.clock import Synchrony
from site_agent.commands import CommandDesk, ReloadError, find_span
from site_agent.committer import Committer
from site_agent.config import AgentConfig
from site_agent.happenings import Restored, Stored
from site_agent.health import HealthTeller
from site_agent.link import BrokerAddress
from site_agent.now import AgentClock
from site_agent.outbox import Outbox
from site_agent.reader import Bed, PortReader, failure
from site_agent.salvager import Salvager
from site_agent.snapshot import AgentSnapshot, BedSnapshot, ShownAdvice
from site_agent.stock import Draft, Kept, OutboxLimits
from site_agent.supervisor import Supervisor
from site_agent.ulid import make_ulid
from site_agent.uplink import Uplink

_log = logging.getLogger(__name__)

SWEEP_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class NewFrame:
    """A frame that has just been committed, for the site's own page."""

    bed: str
    payload: bytes
    is_live: bool
    now_ms: int


class Agent:
    """Everything of one site.  `run` ends only by cancellation, by a failure or by `ReloadError`."""

    def __init__(self, config: AgentConfig, *, clock: AgentClock | None = None) -> None:
        self.config = config
        self.clock = clock or AgentClock()
        self.on_frame: list[Callable[[NewFrame], None]] = []
        self.on_event: list[Callable[[str, BedEvent], None]] = []
        self.on_state: list[Callable[[str, BedState], None]] = []
        self.refused_ticks = 0
        self._lock = _lock_folder(config.data_dir)
        limits = config.limits
        self._committer = Committer(
            config.data_dir,
            config.site,
            limits=OutboxLimits(limits.outbox_mb * 1_000_000, limits.reserve_mb * 1_000_000),
        )
        broker = config.broker
        self._uplink = Uplink(
            config.site,
            BrokerAddress(
                host=broker.host,
                port=broker.port,
                username=broker.username,
                password=config.password,
                tls=config.tls,
                keepalive_s=broker.keepalive_s,
            ),
            committer=self._committer,
            clock=self.clock,
            status=self._status,
            states=lambda: [(bed.name, bed.state) for bed in self._beds.values()],
        )
        self._uplink.window.pace.own_rate = limits.fill_frames_per_s
        self._uplink.on_advice = self._take_advice
        self._beds = {bed.name: Bed(config.site, bed) for bed in config.beds}
        self._advice: dict[str, ShownAdvice] = {}
        self._readers = self._make_readers()
        self._health = HealthTeller(
            self._committer,
            self._uplink,
            self.clock,
            rejected=self._count_rejected,
            tell_failure=self._tell_failure,
        )
        self.salvager = Salvager(
            config.data_dir,
            tuple(self._beds),
            self._committer,
            push=self._uplink.push,
            keep_event=self._uplink.events.keep,
            tell_failure=self._tell_failure,
        )
        desk = CommandDesk(config, self._committer, push=self._uplink.push, spawn=self._spawn, stop=self.stop)
        self._uplink.on_command = desk.take
        self._tasks: asyncio.TaskGroup | None = None
        self._failing: set[str] = set()

    async def run(self) -> None:
        """Recover what the last run left, then work."""
        self._committer.start()
        try:
            await self._recover()
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                tasks.create_task(self._uplink.run(), name="uplink")
                for reader in self._readers:
                    tasks.create_task(reader.run(), name=f"reader {reader.beds[0].name}")
                tasks.create_task(self._health.run(), name="health")
                tasks.create_task(self._sweep(), name="sweep")
                tasks.create_task(self.salvager.run(), name="salvage")
                tasks.create_task(Supervisor(self._committer, self._uplink).run(), name="supervisor")
        except BaseExceptionGroup as group:
            if reload := group.subgroup(ReloadError):
                error: BaseException = reload
                while isinstance(error, BaseExceptionGroup):
                    error = error.exceptions[0]
                raise error from None
            raise
        finally:
            self._committer.close()
            self._lock.close()

    async def stop(self) -> None:
        """Bring what waits to the disk and say goodbye; whoever runs the agent cancels it after this."""
        for reader in self._readers:
            await reader.finish()
        await self._uplink.say_goodbye()
        await self._uplink.note_confirmed()

    # -------------------------------------------------------------------- looked at

    def snapshot(self) -> AgentSnapshot:
        """Say how the site stands."""
        window, now_s = self._uplink.window, self.clock.now_s()
        return AgentSnapshot(
            site=self.config.site,
            name=self.config.name,
            t_ms=round(self.clock.now_ms()),
            epoch=self._committer.epoch,
            is_live_up=self._uplink.live.is_up,
            is_fill_up=self._uplink.fill.is_up,
            link_why=self._uplink.live.why,
            hub_heard_s=None if self._uplink.heard_s is None else now_s - self._uplink.heard_s,
            rtt_s=window.rtt_s(Lane.LIVE),
            live_batch_s=window.batch.span_s,
            backlog_frames=window.backlog,
            oldest_unacked_ms=self._health.oldest_ms,
            stalled_s=window.stalled_s(now_s),
            clock_offset_ms=self._uplink.offset.offset_ms,
            synchrony=self._uplink.offset.synchrony,
            disk_free_share=self._health.disk_free_share,
            refused_ticks=self.refused_ticks,
            damaged_outboxes=self.salvager.damaged,
            frames_back=self.salvager.frames_back,
            advice=tuple(self._advice.values()),
            beds=tuple(
                BedSnapshot(
                    bed=name,
                    state=bed.state,
                    backlog_frames=window.backlog_of(name),
                    ticks_age_s=None if bed.ticks_s is None else now_s - bed.ticks_s,
                )
                for name, bed in self._beds.items()
            ),
        )

    async def read_frames(self, bed: str, from_ms: int, to_ms: int) -> list[bytes]:
        """Read the frames of a span from the outbox, in the order of their epochs and seqs."""
        found: list[bytes] = []
        for epoch, run in await find_span(self._committer, bed, from_ms, to_ms):
            frames = await self._committer.ask(
                partial(Outbox.read, bed=bed, epoch=epoch, first=run[0], last=run[1])
            )
            found += [frames[seq] for seq in sorted(frames)]
        return found

    async def read_past(self, bed: str, since_ms: int) -> list[bytes]:
        """Read the frames that begin after a time of the last minutes, by that time."""
        return await self._committer.ask(partial(Outbox.read_past, bed=bed, since_ms=since_ms))

    async def keep_note(self, name: str, text: str) -> None:
        """Keep a short text in the outbox; returns when it is on the disk."""
        await self._committer.ask(partial(Outbox.note, name=name, value=text))

    async def read_note(self, name: str) -> str:
        """Read a short text; empty if there is none."""
        return (await self._committer.ask(partial(Outbox.read_notes, prefix=name))).get(name, "")

    async def confirm_advice(self, advice_id: str, by: str) -> None:
        """Tell the centre that a named person has read its advice.  Raises KeyError for an unknown one."""
        shown = self._advice[advice_id]
        t_ms = round(self.clock.now_ms())
        event = BedEvent(
            id=make_ulid(t_ms), kind=EventKind.ADVICE_CONFIRMED, t_ms=t_ms, text=advice_id, by=by
        )
        await self._keep((), [(shown.bed, event)])
        await self._committer.ask(lambda outbox: outbox.confirm_advice(advice_id, by, t_ms))
        self._advice[advice_id] = ShownAdvice(shown.bed, shown.advice, t_ms, by)

    # ----------------------------------------------------------------------- stages

    async def _recover(self) -> None:
        """Rebuild what is owed to the hub from the outbox itself."""
        stock = await self._committer.ask(lambda outbox: outbox.unacked())
        for of_stream in stock:
            self._uplink.push(Restored(of_stream.bed, of_stream.epoch, tuple(of_stream.unacked)))
        for event_id, bed, payload in await self._committer.ask(lambda outbox: outbox.read_events()):
            self._uplink.events.keep(event_id, bed, payload)
        for bed, payload, at_ms, by in await self._committer.ask(lambda outbox: outbox.read_advice()):
            try:
                advice = decode_json(payload, Advice)
            except WireError as error:
                _log.error("advice in the outbox left unread: %s", error)
            else:
                self._advice[advice.id] = ShownAdvice(bed, advice, at_ms, by)
        backlog = self._uplink.window.backlog
        _log.info("%s: epoch %d, %d frames to be sent", self.config.site, self._committer.epoch, backlog)
        if self._committer.was_missing:
            await self._tell_failure("the outbox of the last run is not there")

    async def _keep(self, drafts: Sequence[Draft], events: Sequence[tuple[str, BedEvent]]) -> None:
        """Bring frames and events to the disk, then to the window."""
        kept = await self._committer.append(drafts, events)
        if len(kept) < len(drafts):
            self._refuse(sum(draft.end_ms - draft.t0_ms for draft in drafts) // 250)
        now_ms = round(self.clock.now_ms())
        for frame in kept:
            self._take_frame(frame, now_ms)
        unstored = [frame for frame in kept if not frame.is_stored]
        if unstored:
            self._refuse(sum((f.draft.end_ms - f.draft.t0_ms) // 250 for f in unstored))
        elif kept and "full" in self._failing:
            self._failing.discard("full")
            _log.info("the outbox takes ticks again; %d were not kept", self.refused_ticks)
            await self._tell_failure(f"outbox takes ticks again, {self.refused_ticks} were not kept")
        for bed, event in events:
            self._uplink.events.keep(event.id, bed, encode_json(event))
            for listener in self.on_event:
                listener(bed, event)

    def _take_frame(self, frame: Kept, now_ms: int) -> None:
        draft = frame.draft
        for listener in self.on_frame:
            listener(NewFrame(draft.bed, frame.payload, draft.is_live, now_ms))
        self._uplink.push(
            Stored(draft.bed, frame.epoch, frame.seq, frame.payload, draft.is_live, frame.is_stored)
        )

    def _refuse(self, ticks: int) -> None:
        """Tell loudly that ticks are not kept: they go live, and are gone if that fails."""
        self.refused_ticks += ticks
        if "full" not in self._failing:
            self._failing.add("full")
            _log.critical("the outbox is full of unconfirmed frames: ticks are not kept from now on")
            self._spawn(self._tell_failure("outbox full, ticks are not kept"))

    async def _tell_failure(self, text: str) -> None:
        event = failure(text, round(self.clock.now_ms()))
        bed = next(iter(self._beds))
        self._uplink.events.keep(event.id, bed, encode_json(event))
        await self._committer.append((), [(bed, event)])

    async def _sweep(self) -> NoReturn:
        while True:
            swept = await self._committer.ask(lambda outbox: outbox.sweep())
            await asyncio.sleep(1.0 if swept else SWEEP_S)

    # --------------------------------------------------------------- what the hub says

    def _take_advice(self, bed: str, advice: Advice) -> None:
        if advice.id not in self._advice:
            _log.info("%s: advice %s from %s", bed, advice.id, advice.author)
            self._advice[advice.id] = ShownAdvice(bed, advice)
            self._spawn(self._committer.ask(lambda outbox: outbox.keep_advice(bed, advice)))

    # ------------------------------------------------------------------------ small

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        if self._tasks is None:
            work.close()
        else:
            self._tasks.create_task(work)

    def _count_rejected(self) -> dict[str, int]:
        rejected: dict[str, int] = {}
        for reader in self._readers:
            for fault, count in reader.rejected.items():
                rejected[fault] = rejected.get(fault, 0) + count
        if self.refused_ticks:
            rejected["outbox/full"] = self.refused_ticks
        if self.salvager.damaged:
            rejected["outbox/damaged"] = self.salvager.damaged
        return rejected

    def _status(self, state: SiteState) -> SiteStatus:
        offset_ms = self._uplink.offset.offset_ms
        return SiteStatus(
            state=state,
            t_ms=round(self.clock.now_ms()),
            name=self.config.name,
            version=f"ctg-agent {importlib.metadata.version('ctg-hub')}",
            clock_error_ms=None if offset_ms is None else round(offset_ms),
            beds=tuple(self._beds),
        )

    def _make_readers(self) -> list[PortReader]:
        by_port: dict[str, list[Bed]] = {}
        for bed in self._beds.values():
            by_port.setdefault(bed.config.port, []).append(bed)
        return [
            PortReader(
                beds,
                clock=self.clock,
                keep=self._keep,
                on_state=self._tell_state,
                is_unsynchronised=lambda: self._uplink.offset.synchrony is Synchrony.UNSYNCHRONISED,
                raw_folder=self.config.data_dir / "raw" / beds[0].name,
                raw_bytes=self.config.limits.raw_log_mb * 1_000_000,
            )
            for beds in by_port.values()
        ]

    def _tell_state(self, bed: Bed) -> None:
        _log.info("%s: device %s", bed.name, bed.state.state)
        for listener in self.on_state:
            listener(bed.name, bed.state)
        self._spawn(self._uplink.publish_state(bed.name, bed.state))


def _lock_folder(folder: Path) -> TextIO:
    """Keep a second agent off the same outbox.  Raises SettingsError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / "lock").open("w", encoding="ascii")
    except OSError as error:
        msg = f"data_dir: expected a folder to write in, got: {error}"
        raise SettingsError(msg) from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        msg = f"{folder}: expected no other agent at work, but one holds the lock"
        raise SettingsError(msg) from error
    file.write(f"{os.getpid()}\n")
    file.flush()
    return file
