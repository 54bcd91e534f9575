"""The live push: what the hub publishes, handed to every console that asked for it."""

import asyncio
from collections.abc import Collection, Mapping, Sequence

from hub.model import Alert, BedEvent, BedView, HubNotice, WaveEntry
from hub.web.access import Caller
from hub.web.backend import Backend, BedKey
from hub.web.board import Board
from hub.web.counters import LiveCounters
from hub.web.limits import LiveLimits
from hub.web.outbox import Outbox


class Subscriber:
    """One console: what it may see, what it asked for, and what waits for it."""

    def __init__(self, caller: Caller, selection: frozenset[BedKey] | None, outbox: Outbox) -> None:
        self.caller = caller
        self.selection = selection
        self.outbox = outbox
        self.has_news = asyncio.Event()

    def among(self, keys: frozenset[BedKey]) -> Collection[BedKey]:
        """Return those of the beds that it wants."""
        asked = keys if self.selection is None else keys & self.selection
        return asked if self.caller.sites is None else [key for key in asked if self.wants(key)]

    def wants(self, key: BedKey) -> bool:
        """Tell whether the bed is in the console's scope and among those it asked for."""
        return (self.selection is None or key in self.selection) and self.caller.may_see(key[0])


class Feed:
    """Where the application publishes; every call belongs on the event loop and returns at once.

    Each console has an outbox and a task of its own, so a frozen one costs the
    others nothing: publishing only writes into the outboxes.
    """

    def __init__(self, backend: Backend, limits: LiveLimits | None = None) -> None:
        self.backend = backend
        self.limits = limits or LiveLimits()
        self.counters = LiveCounters(backend.registry)
        self._board = Board(backend.views, backend.now_ms)
        self._to_all: set[Subscriber] = set()
        self._by_bed: dict[BedKey, set[Subscriber]] = {}
        self._waiting: list[tuple[WaveEntry, float]] = []
        self._subscribers: set[Subscriber] = set()
        self._notices: tuple[HubNotice, ...] = ()

    @property
    def clients(self) -> frozenset[Subscriber]:
        """Consoles that are subscribed now."""
        return frozenset(self._subscribers)

    # ---------------------------------------------------------------- publishing

    def publish_wave(self, entry: WaveEntry) -> None:
        """Hand on a frame; a live one is on its way to the consoles within `flush_s`.

        The ring must hold it already, so that a console that joins now finds it in its history.
        """
        if not self._subscribers:
            return
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_later(self.limits.flush_s, self._flush_waves)
        self._waiting.append((entry, loop.time()))

    def publish_second(
        self,
        t_ms: int,
        views: Sequence[BedView],
        alerts_changed: Sequence[Alert] = (),
        events: Mapping[str, Sequence[BedEvent]] | None = None,
        notices: Sequence[HubNotice] = (),
    ) -> None:
        """Hand on one second: the beds as they stand at `t_ms`, and what happened (`site/bed` to events)."""
        self._board.put(views, t_ms)
        self._notices = tuple(notices)
        analysed = frozenset((view.site, view.bed) for view in views if view.analysis is not None)
        others = frozenset((view.site, view.bed) for view in views if view.analysis is None)
        for subscriber in self._subscribers:
            outbox = subscriber.outbox
            outbox.flight.count_second()
            outbox.notices = self._notices
            outbox.push_views(subscriber.among(others), with_analysis=False)
            outbox.push_views(subscriber.among(analysed), with_analysis=True)
            for name, of_bed in (events or {}).items():
                site, _, bed = name.partition("/")
                if of_bed and subscriber.wants((site, bed)):
                    outbox.push_events((site, bed), of_bed)
            subscriber.has_news.set()
        self.publish_alerts(alerts_changed)

    def publish_alerts(self, changed: Sequence[Alert]) -> None:
        """Hand on alerts at once, to every console that may see their site, whatever beds it shows."""
        if not changed:
            return
        for subscriber in self._subscribers:
            alerts = [alert for alert in changed if subscriber.caller.may_see(alert.site)]
            if alerts:
                subscriber.outbox.push_alerts(alerts)
                subscriber.has_news.set()

    def _flush_waves(self) -> None:
        waiting, self._waiting = self._waiting, []
        nobody: set[Subscriber] = set()
        for entry, arrived_s in waiting:
            key = (entry.site, entry.bed)
            for subscriber in self._by_bed.get(key, nobody):
                subscriber.outbox.push_wave(entry, arrived_s)
            for subscriber in self._to_all:
                if subscriber.caller.may_see(entry.site):
                    subscriber.outbox.push_wave(entry, arrived_s)
        for subscriber in self._subscribers:
            subscriber.has_news.set()

    # ------------------------------------------------------------------ consoles

    def join(self, caller: Caller, selection: frozenset[BedKey] | None, history_s: float) -> Subscriber:
        """Subscribe a console: snapshot, history and live follow each other without a gap.

        Nothing is awaited between reading the snapshot and being subscribed, and
        the history is read after that, so a frame can come twice but not be missed.
        """
        outbox = Outbox(self.limits, self._board, self.backend.recent_waves, self.backend.boot_id)
        outbox.notices = self._notices
        subscriber = Subscriber(caller, selection, outbox)
        self._add(subscriber, self._wanted(subscriber), history_s)
        outbox.push_alerts(alert for alert in self.backend.alerts() if caller.may_see(alert.site))
        self._subscribers.add(subscriber)
        self.counters.clients.set(len(self._subscribers))
        return subscriber

    def reselect(self, subscriber: Subscriber, selection: frozenset[BedKey] | None, history_s: float) -> None:
        """Change the beds of a console; those new to it come with analysis and history."""
        before = set(self._wanted(subscriber))
        self._forget(subscriber)
        subscriber.selection = selection
        subscriber.outbox.keep(subscriber.wants)
        self._add(subscriber, [key for key in self._wanted(subscriber) if key not in before], history_s)
        subscriber.has_news.set()

    def leave(self, subscriber: Subscriber) -> None:
        """Forget a console."""
        self._forget(subscriber)
        self._subscribers.discard(subscriber)
        self.counters.clients.set(len(self._subscribers))
        self.counters.dropped_waves.inc(subscriber.outbox.dropped_waves)

    def _wanted(self, subscriber: Subscriber) -> Collection[BedKey]:
        return [key for key in self._board.load(subscriber.selection) if subscriber.wants(key)]

    def _add(self, subscriber: Subscriber, new_keys: Collection[BedKey], history_s: float) -> None:
        if subscriber.selection is None:
            self._to_all.add(subscriber)
        else:
            for key in subscriber.selection:
                if subscriber.wants(key):
                    self._by_bed.setdefault(key, set()).add(subscriber)
        subscriber.outbox.push_joined(new_keys)
        history_s = min(history_s, self.limits.history_s)
        subscriber.outbox.history_s = history_s
        if history_s > 0:
            since_s = asyncio.get_running_loop().time() - history_s
            subscriber.outbox.ask_history(new_keys, since_s)
        subscriber.has_news.set()

    def _forget(self, subscriber: Subscriber) -> None:
        self._to_all.discard(subscriber)
        for key in subscriber.selection or ():
            subscribers = self._by_bed.get(key, set())
            subscribers.discard(subscriber)
            if not subscribers:
                self._by_bed.pop(key, None)
