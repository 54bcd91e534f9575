"""The site's own page: the console of the centre, served by the agent for its own beds, hub or no hub.

One strip renderer and one push for all: this room gives `hub.web` a backend made of
the site's watch and outbox, and adds what only a site has: its link to the centre,
what waits to be sent, and the centre's advice.
"""

import asyncio
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NoReturn, Protocol

from prometheus_client import CollectorRegistry

from hub.model import AckReason, Alert, BedEvent, Lane, WaveEntry
from hub.web.access import AccessPolicy
from hub.web.backend import Backend, Dependency, StripData
from hub.web.live import Feed
from hub.wire import decode_wave
from site_agent.page_routes import build_site_app
from site_agent.watch import HISTORY_S, SiteWatch

RESTORED: Final = 120
"""Frames of the past that are taken at a time: there is little memory."""


class LinkState(StrEnum):
    """How far the site's voice carries."""

    NO_BROKER = "no_broker"
    NO_HUB = "no_hub"
    CONNECTED = "connected"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownAdvice:
    """A piece of advice of the centre, and who at the site has confirmed it."""

    id: str
    bed: str
    t_ms: int
    author: str
    text: str
    confirmed_ms: int | None = None
    confirmed_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteNow:
    """What the agent says of itself on its page, each second."""

    t_ms: int
    link: LinkState
    since_ms: int
    """Since when the link is in this state."""
    backlog_frames: int
    oldest_unacked_ms: int | None
    live_batch_s: float
    clock_offset_ms: float | None
    disk_free_percent: float | None
    refused_ticks: int
    """Ticks that could not be kept because the disk was full of unconfirmed ones."""
    damaged_outboxes: int = 0
    frames_back: int = 0
    """Frames that were read back from damaged outboxes."""
    advice: tuple[ShownAdvice, ...] = ()


class SiteSource(Protocol):
    """What the page asks the agent."""

    def site_now(self) -> SiteNow:
        """Say how link, outbox, clock and advice stand."""

    async def read_frames(self, bed: str, from_ms: int, to_ms: int) -> Sequence[tuple[WaveEntry, Lane]]:
        """Read the frames of a span from the outbox."""

    async def read_past(self, bed: str, since_ms: int) -> Sequence[bytes]:
        """Read the frames of the last minutes from the outbox, by time."""

    async def read_events(self, bed: str, from_ms: int, to_ms: int) -> Sequence[BedEvent]:
        """Read the events of a span from the outbox."""

    async def keep_alerts(self, alerts: Sequence[Alert]) -> None:
        """Bring the alerts that stand to the disk."""

    async def read_alerts(self) -> Sequence[Alert]:
        """Read those that stood when they were last kept."""

    async def confirm_advice(self, advice_id: str, by: str) -> None:
        """Confirm advice to the centre.  Raises KeyError for one that is not known here."""


class SitePage:
    """Feeds the page: frames as they are written, one round a second."""

    def __init__(
        self,
        watch: SiteWatch,
        source: SiteSource,
        *,
        now_ms: Callable[[], int],
        now_s: Callable[[], float],
        policy: AccessPolicy | None = None,
    ) -> None:
        self._watch = watch
        self._source = source
        self._now_ms = now_ms
        self._now_s = now_s
        self._events: dict[str, list[BedEvent]] = {}
        self.feed = Feed(self._backend())
        self.app = build_site_app(
            self.feed, site_now=source.site_now, confirm_advice=source.confirm_advice, policy=policy
        )

    def publish_wave(self, entry: WaveEntry) -> None:
        """Hand a frame that the watch has taken to the open pages."""
        self.feed.publish_wave(entry)

    def publish_event(self, site: str, bed: str, event: BedEvent) -> None:
        """Hand an event to the open pages, with the next round."""
        self._events.setdefault(f"{site}/{bed}", []).append(event)

    async def restore(self) -> None:
        """Begin where the last agent ended: its last minutes, and the alerts that stood."""
        since_ms = self._now_ms() - HISTORY_S * 1000
        for site, bed in self._watch.bed_keys():
            payloads = await self._source.read_past(bed, since_ms)
            for stop in range(len(payloads), 0, -RESTORED):
                piece = payloads[max(0, stop - RESTORED) : stop]
                past = [(decode_wave(payload, site=site, bed=bed), payload) for payload in piece]
                self._watch.restore(bed, past, now_ms=self._now_ms(), now_s=self._now_s())
                await asyncio.sleep(0)  # frames of now go first
        self._watch.restore_alerts(await self._source.read_alerts())

    async def run(self) -> NoReturn:
        """Check the alarms and tell the pages once a second, for ever."""
        while True:
            if self.round():
                await self._source.keep_alerts(self._watch.alerts())
            await asyncio.sleep(1.0)

    def round(self) -> bool:
        """One second: alarms first, then what is shown; True if an alert has changed."""
        now_ms, now_s = self._now_ms(), self._now_s()
        transitions = self._watch.tick(now_ms, now_s)
        events, self._events = self._events, {}
        views = self._watch.views(None, now_s=now_s)
        self.feed.publish_second(now_ms, views, [move.alert for move in transitions], events)
        return bool(transitions)

    # ------------------------------------------------------------ what hub.web is given

    def _backend(self) -> Backend:
        return Backend(
            boot_id=secrets.token_hex(8),
            now_ms=self._now_ms,
            views=lambda keys, _with_analysis: self._watch.views(keys, now_s=self._now_s()),
            recent_waves=lambda key, span_s: self._watch.recent_waves(key, span_s, now_ms=self._now_ms()),
            alerts=self._watch.alerts,
            sites=tuple,
            acknowledge=self._acknowledge,
            read_strip=self._read_strip,
            read_alerts=self._read_alerts,
            progress=dict,
            ready=self._ready,
            registry=CollectorRegistry(),
        )

    async def _acknowledge(self, alert_id: str, by: str, reason: AckReason) -> Alert:
        move = self._watch.acknowledge(alert_id, by=by, reason=reason, now_ms=self._now_ms())
        self.feed.publish_alerts([move.alert])
        await self._source.keep_alerts(self._watch.alerts())
        return move.alert

    async def _read_strip(self, site: str, bed: str, from_ms: int, to_ms: int) -> StripData:
        if (site, bed) not in self._watch.bed_keys():
            raise KeyError(site, bed)
        return StripData(
            entries=tuple(await self._source.read_frames(bed, from_ms, to_ms)),
            events=tuple(await self._source.read_events(bed, from_ms, to_ms)),
            alerts=tuple(
                alert
                for alert in self._watch.alerts()
                if (alert.site, alert.bed) == (site, bed) and from_ms <= alert.onset_ms <= to_ms
            ),
        )

    async def _read_alerts(
        self, *, open_only: bool, limit: int, site: str | None, bed: str | None
    ) -> Sequence[Alert]:
        # Alerts of a site's own page are those that stand; the centre keeps the history.
        found = [
            alert for alert in self._watch.alerts() if site in {None, alert.site} and bed in {None, alert.bed}
        ]
        return sorted(found, key=lambda alert: -alert.raised_ms)[:limit]

    async def _ready(self) -> Mapping[str, Dependency]:
        now = self._source.site_now()
        return {"centre": Dependency(is_ok=now.link is LinkState.CONNECTED, detail=str(now.link))}
