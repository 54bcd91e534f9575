"""The newest view of every bed, encoded once for all clients."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from hub.model import BedAnalysis, BedView
from hub.web.backend import BedKey
from hub.wire import encode_json

FRESH_MS: Final = 250
"""Views younger than this are shared by clients that join at the same time."""


@dataclass(slots=True)
class _Slot:
    view: BedView
    analysis: BedAnalysis | None
    t_ms: int
    complete_ms: int
    plain: bytes | None = None
    full: bytes | None = None


class Board:
    """Latest view and latest analysis of each bed; a slow client reads from here what it missed."""

    def __init__(
        self,
        read_views: Callable[[Collection[BedKey] | None, bool], Sequence[BedView]],
        now_ms: Callable[[], int],
    ) -> None:
        self._read_views = read_views
        self._now_ms = now_ms
        self._slots: dict[BedKey, _Slot] = {}
        self._all_complete_ms = -FRESH_MS

    def put(self, views: Iterable[BedView], t_ms: int) -> None:
        """Take the views of one second; a view without analysis keeps the one known."""
        for view in views:
            key = (view.site, view.bed)
            old = self._slots.get(key)
            known = old.analysis if old else None
            complete_ms = t_ms if view.analysis else old.complete_ms if old else -FRESH_MS
            self._slots[key] = _Slot(view, view.analysis or known, t_ms, complete_ms)

    def load(self, keys: Collection[BedKey] | None) -> list[BedKey]:
        """Bring beds up to date with their analysis; return those of them that exist."""
        now_ms = self._now_ms()
        if keys is None:
            if abs(now_ms - self._all_complete_ms) >= FRESH_MS:
                self._slots.clear()
                self._read(None, now_ms)
                self._all_complete_ms = now_ms
            return list(self._slots)
        stale = [key for key in keys if not self._is_fresh(key, now_ms)]
        if stale:
            self._read(stale, now_ms)
        return [key for key in keys if key in self._slots]

    def encoded(self, key: BedKey, *, with_analysis: bool) -> tuple[bytes, int]:
        """JSON of one bed and the time at which it was true."""
        slot = self._slots[key]
        if with_analysis:
            if slot.full is None:
                slot.full = encode_json(replace(slot.view, analysis=slot.analysis))
            return slot.full, slot.t_ms
        if slot.plain is None:
            slot.plain = encode_json(replace(slot.view, analysis=None))
        return slot.plain, slot.t_ms

    def __contains__(self, key: BedKey) -> bool:
        return key in self._slots

    def _read(self, keys: Collection[BedKey] | None, now_ms: int) -> None:
        for view in self._read_views(keys, True):
            self._slots[view.site, view.bed] = _Slot(view, view.analysis, now_ms, now_ms)

    def _is_fresh(self, key: BedKey, now_ms: int) -> bool:
        slot = self._slots.get(key)
        return (
            slot is not None and abs(now_ms - slot.complete_ms) < FRESH_MS and slot.t_ms == slot.complete_ms
        )
