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
from pathlib import Path
from typing import Annotated, NoReturn, Protocol

from fastapi import APIRouter, FastAPI
from fastapi.responses import HTMLResponse, Response
from prometheus_client import CollectorRegistry
from pydantic import BaseModel, ConfigDict, Field

from hub.model import AckReason, Alert, BedEvent, Lane, WaveEntry
from hub.web.access import AccessPolicy
from hub.web.app import STATIC_DIR, create_app
from hub.web.backend import Backend, Dependency, StageProgress, StripData
from hub.web.live import Feed
from hub.web.problems import ProblemError, ProblemKind
from hub.wire import encode_json
from site_agent.watch import SiteWatch


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
    advice: tuple[ShownAdvice, ...] = ()


class SiteSource(Protocol):
    """What the page asks the agent."""

    def site_now(self) -> SiteNow:
        """Say how link, outbox, clock and advice stand."""

    async def read_frames(self, bed: str, from_ms: int, to_ms: int) -> Sequence[tuple[WaveEntry, Lane]]:
        """Read the frames of a span from the outbox."""

    async def read_events(self, bed: str, from_ms: int, to_ms: int) -> Sequence[BedEvent]:
        """Read the events of a span from the outbox."""

    async def confirm_advice(self, advice_id: str, by: str) -> None:
        """Confirm advice to the centre.  Raises KeyError for one that is not known here."""


class ConfirmRequest(BaseModel):
    """Who has read the advice."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    by: str = Field(min_length=1, max_length=64)


class SitePage:
    """Feeds the page: frames as they are written, one round a second."""

    def __init__(
        self,
        watch: SiteWatch,
        source: SiteSource,
        *,
        now_ms: Callable[[], int],
        now_s: Callable[[], float],
        progress: Callable[[], Mapping[str, StageProgress]] = dict,
        policy: AccessPolicy | None = None,
    ) -> None:
        self._watch = watch
        self._source = source
        self._now_ms = now_ms
        self._now_s = now_s
        self._progress = progress
        self._events: dict[str, list[BedEvent]] = {}
        self.feed = Feed(self._backend())
        self.app = self._build(policy)

    def publish_wave(self, entry: WaveEntry) -> None:
        """Hand a frame that the watch has taken to the open pages."""
        self.feed.publish_wave(entry)

    def publish_event(self, site: str, bed: str, event: BedEvent) -> None:
        """Hand an event to the open pages, with the next round."""
        self._events.setdefault(f"{site}/{bed}", []).append(event)

    async def run(self) -> NoReturn:
        """Check the alarms and tell the pages once a second, for ever."""
        while True:
            self.round()
            await asyncio.sleep(1.0)

    def round(self) -> None:
        """One second: alarms first, then what is shown."""
        now_ms, now_s = self._now_ms(), self._now_s()
        transitions = self._watch.tick(now_ms, now_s)
        events, self._events = self._events, {}
        views = self._watch.views(None, now_s=now_s)
        self.feed.publish_second(now_ms, views, [move.alert for move in transitions], events)

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
            progress=self._progress,
            ready=self._ready,
            registry=CollectorRegistry(),
        )

    async def _acknowledge(self, alert_id: str, by: str, reason: AckReason) -> Alert:
        move = self._watch.acknowledge(alert_id, by=by, reason=reason, now_ms=self._now_ms())
        self.feed.publish_alerts([move.alert])
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

    # ------------------------------------------------------------------- what it adds

    def _build(self, policy: AccessPolicy | None) -> FastAPI:
        router = APIRouter()
        page = Path(STATIC_DIR / "index.html").read_text(encoding="utf-8")
        page = page.replace("<html ", '<html data-role="site" ', 1)

        @router.get("/", include_in_schema=False)
        async def index() -> HTMLResponse:
            return HTMLResponse(page, headers={"cache-control": "no-cache"})

        @router.get("/api/v1/site")
        async def site() -> Response:
            """Say how the site's link, outbox, clock and advice stand."""
            return Response(encode_json(self._source.site_now()), media_type="application/json")

        @router.post("/api/v1/advice/{advice_id}/confirm")
        async def confirm(
            advice_id: Annotated[str, Field(max_length=64)], request: ConfirmRequest
        ) -> Response:
            """Tell the centre that a named person has read its advice."""
            try:
                await self._source.confirm_advice(advice_id, request.by)
            except KeyError:
                raise ProblemError(ProblemKind.NOT_FOUND, f"{advice_id}: no such advice here") from None
            return await site()

        return create_app(self.feed, policy=policy, further=router)
