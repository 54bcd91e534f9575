"""Joins the site's own page to the agent: its frames to the watch, its state to the page's bar."""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import closing
from typing import Final, NoReturn

from hub.errors import SettingsError, WireError
from hub.model import Alert, BedEvent, Lane, WaveEntry
from hub.web.server import build_server
from hub.wire import decode_json, decode_wave, encode_json
from site_agent.agent import Agent, NewFrame
from site_agent.config import PageConfig
from site_agent.page import LinkState, ShownAdvice, SiteNow, SitePage
from site_agent.watch import SiteWatch

_log = logging.getLogger(__name__)

RETRY_S: Final = 10.0
HUB_SILENT_S: Final = 10.0
"""The hub answers a question about the time more often than this: without an answer it is away."""
EVENTS_KEPT: Final = 200
"""Events of each bed that the page can show; all of them are in the outbox until the hub has them."""

_ALERTS: Final = "page/alerts"


class AgentSource:
    """What the page asks, answered by the agent."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._events: dict[str, list[BedEvent]] = {}
        self._link = LinkState.NO_BROKER
        self._since_ms = round(agent.clock.now_ms())

    def note_event(self, bed: str, event: BedEvent) -> None:
        """Keep an event for the strip."""
        self._events[bed] = [*self._events.get(bed, []), event][-EVENTS_KEPT:]

    def site_now(self) -> SiteNow:
        """Say how link, outbox, clock and advice stand."""
        at = self._agent.snapshot()
        link = LinkState.CONNECTED
        if not at.is_live_up:
            link = LinkState.NO_BROKER
        elif at.hub_heard_s is None or at.hub_heard_s > HUB_SILENT_S:
            link = LinkState.NO_HUB
        if link is not self._link:
            self._link, self._since_ms = link, at.t_ms
        return SiteNow(
            t_ms=at.t_ms,
            link=link,
            since_ms=self._since_ms,
            backlog_frames=at.backlog_frames,
            oldest_unacked_ms=at.oldest_unacked_ms,
            live_batch_s=at.live_batch_s,
            clock_offset_ms=at.clock_offset_ms,
            disk_free_percent=None if at.disk_free_share is None else round(100 * at.disk_free_share, 1),
            refused_ticks=at.refused_ticks,
            damaged_outboxes=at.damaged_outboxes,
            frames_back=at.frames_back,
            advice=tuple(
                ShownAdvice(
                    id=one.advice.id,
                    bed=one.bed,
                    t_ms=one.advice.t_ms,
                    author=one.advice.author,
                    text=one.advice.text,
                    confirmed_ms=one.confirmed_ms,
                    confirmed_by=one.confirmed_by,
                )
                for one in sorted(at.advice, key=lambda one: one.advice.t_ms)
            ),
        )

    async def read_frames(self, bed: str, from_ms: int, to_ms: int) -> Sequence[tuple[WaveEntry, Lane]]:
        """Read the frames of a span from the outbox; here nothing came late but what the device sent late."""
        site = self._agent.config.site
        entries = []
        for payload in await self._agent.read_frames(bed, from_ms, to_ms):
            frame = decode_wave(payload, site=site, bed=bed)
            entries.append((WaveEntry(site, bed, frame.end_ms, payload), Lane.LIVE))
        return entries

    async def read_past(self, bed: str, since_ms: int) -> Sequence[bytes]:
        """Read the frames of the last minutes from the outbox, by time."""
        return await self._agent.read_past(bed, since_ms)

    async def read_events(self, bed: str, from_ms: int, to_ms: int) -> Sequence[BedEvent]:
        """Give the events of a span since the agent's start."""
        return [event for event in self._events.get(bed, ()) if from_ms <= event.t_ms < to_ms]

    async def keep_alerts(self, alerts: Sequence[Alert]) -> None:
        """Bring the alerts that stand to the disk."""
        await self._agent.keep_note(_ALERTS, b"\n".join(encode_json(alert) for alert in alerts).decode())

    async def read_alerts(self) -> Sequence[Alert]:
        """Read those that stood when they were last kept."""
        alerts = []
        for line in (await self._agent.read_note(_ALERTS)).encode().splitlines():
            try:
                alerts.append(decode_json(line, Alert))
            except WireError as error:
                _log.error("an alert of the last run left unread: %s", error)
        return alerts

    async def confirm_advice(self, advice_id: str, by: str) -> None:
        """Confirm advice to the centre.  Raises KeyError for one that is not known here."""
        await self._agent.confirm_advice(advice_id, by)


def open_page(agent: Agent) -> SitePage:
    """Make the page of an agent, and let it hear of every frame, event and state from now on."""
    site = agent.config.site
    watch = SiteWatch(site, [bed.name for bed in agent.config.beds], site_name=agent.config.name)
    source = AgentSource(agent)
    page = SitePage(watch, source, now_ms=lambda: round(agent.clock.now_ms()), now_s=agent.clock.now_s)

    def take_frame(new: NewFrame) -> None:
        frame = decode_wave(new.payload, site=site, bed=new.bed)
        watch.push_frame(
            frame, new.payload, is_late=not new.is_live, now_ms=new.now_ms, now_s=agent.clock.now_s()
        )
        page.publish_wave(WaveEntry(site, new.bed, new.now_ms, new.payload))

    def take_event(bed: str, event: BedEvent) -> None:
        source.note_event(bed, event)
        page.publish_event(site, bed, event)

    agent.on_frame.append(take_frame)
    agent.on_event.append(take_event)
    agent.on_state.append(watch.push_state)
    return page


async def keep_page(agent: Agent, at: PageConfig) -> NoReturn:
    """Serve the page for ever; whatever befalls it never touches what the agent collects and sends."""
    page = open_page(agent)
    is_restored = False
    while True:
        try:
            if not is_restored:
                await page.restore()
                is_restored = True
            server, listener = build_server(page.app, at.host, at.port)
            _log.info("this site's page: http://%s:%d/", at.host, at.port)
            with closing(listener):
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(server.serve(sockets=[listener]), name="page server")
                    tasks.create_task(page.run(), name="page")
        except SettingsError as error:
            _log.error("no page for this site, trying again: %s", error)
        except Exception:  # noqa: BLE001  # a fault of the page must not end what reads the devices
            _log.exception("this site's page failed and starts again")
        await asyncio.sleep(RETRY_S)
