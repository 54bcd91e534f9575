"""From a driver's blocks of ticks to wave frames of one second, without identity yet.  Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from hub.model import ChannelSamples, FrameFlag, MonitorStatus, WaveFrame
from hub.wire import LATEST_MS, encode_wave
from site_agent.device import TickBlock, TimeBase
from site_agent.phase import PhaseFit, Placed
from site_agent.stock import Draft

FRAME_MS: Final = 1000
LATE_MS: Final = 30_000.0
"""What ended longer ago than this when it is read is history: it is filled, never shown as of now."""
_WAIT_MS: Final = 1500.0
"""A frame that is not full waits this long for further ticks."""
_TOUCH_MS: Final = 30.0
"""Ticks follow one another if they begin this close to the end of those before."""

_Form = tuple[int, MonitorStatus, FrameFlag, tuple[tuple[int, int, bool], ...]]


@dataclass(slots=True)
class _Open:
    """Consecutive ticks of one form that do not fill a frame yet."""

    form: _Form
    t0_ms: float
    since_ms: float
    n_ticks: int = 0
    channels: list[tuple[ChannelSamples, ...]] = field(default_factory=list)

    @property
    def end_ms(self) -> float:
        return self.t0_ms + self.n_ticks * self.form[0]


class Framer:
    """Makes the frames of one bed.  Gaps end a frame; nothing is ever joined across one."""

    def __init__(self, site: str, bed: str, *, is_test: bool = False) -> None:
        self.fit = PhaseFit()
        self.refused = 0
        """Blocks that no wave frame can carry: a driver's fault, never seen in a conforming one."""
        self._site = site
        self._bed = bed
        self._flags = FrameFlag.TEST if is_test else FrameFlag.NONE
        self._open: _Open | None = None

    def push(self, block: TickBlock, now_ms: float, *, is_unsynchronised: bool = False) -> list[Draft]:
        """Take a block; gives the frames that are complete now."""
        if not _is_sound(block):
            self.refused += 1
            return []
        placed = (
            self.fit.push(block)
            if block.time_base is TimeBase.ARRIVAL
            else [Placed(block, block.t0_ms, is_joined=True)]
        )
        return self._take(placed, now_ms, is_unsynchronised=is_unsynchronised)

    def tick(self, now_ms: float, *, is_unsynchronised: bool = False) -> list[Draft]:
        """Give what has waited long enough; call it about four times a second."""
        drafts = self._take(self.fit.tick(now_ms), now_ms, is_unsynchronised=is_unsynchronised)
        if self._open is not None and now_ms - self._open.since_ms > _WAIT_MS:
            drafts += self._close(now_ms)
        return drafts

    def end(self, now_ms: float) -> list[Draft]:
        """Give all that is left: the device's connection ended."""
        drafts = self._take(self.fit.tick(float("inf")), now_ms, is_unsynchronised=False)
        return drafts + self._close(now_ms)

    def _take(self, placed: Iterable[Placed], now_ms: float, *, is_unsynchronised: bool) -> list[Draft]:
        flags = self._flags | (FrameFlag.CLOCK_UNSYNCHRONISED if is_unsynchronised else FrameFlag.NONE)
        drafts: list[Draft] = []
        for one in placed:
            block = one.block
            form = (
                block.period_ms,
                block.status,
                flags,
                tuple((int(c.channel), int(c.transducer), c.is_inop) for c in block.channels),
            )
            if self._open is not None and not self._goes_on(one, form):
                drafts += self._close(now_ms)
            if self._open is None:
                self._open = _Open(form, one.t0_ms, now_ms)
            self._open.channels.append(block.channels)
            self._open.n_ticks += block.n_ticks
            drafts += self._cut_full(now_ms)
        return drafts

    def _goes_on(self, one: Placed, form: _Form) -> bool:
        is_touching = self._open is not None and abs(one.t0_ms - self._open.end_ms) < _TOUCH_MS
        return one.is_joined and is_touching and self._open is not None and form == self._open.form

    def _cut_full(self, now_ms: float) -> list[Draft]:
        """Cut whole frames off the front of the open ticks."""
        rest = self._open
        if rest is None:
            return []
        size = max(1, FRAME_MS // rest.form[0])
        if rest.n_ticks < size:
            return []
        channels = _join(rest.channels)
        drafts = []
        at = 0
        while rest.n_ticks - at >= size:
            drafts.append(self._make(rest, channels, at, at + size, now_ms))
            at += size
        self._open = None
        if at < rest.n_ticks:
            t0_ms = rest.t0_ms + at * rest.form[0]
            left = tuple(_slice(block, at, rest.n_ticks) for block in channels)
            self._open = _Open(rest.form, t0_ms, now_ms, rest.n_ticks - at, [left])
        return drafts

    def _close(self, now_ms: float) -> list[Draft]:
        rest, self._open = self._open, None
        if rest is None or rest.n_ticks == 0:
            return []
        return [self._make(rest, _join(rest.channels), 0, rest.n_ticks, now_ms)]

    def _make(
        self, ticks: _Open, channels: tuple[ChannelSamples, ...], a: int, b: int, now_ms: float
    ) -> Draft:
        period_ms, status, flags, _ = ticks.form
        t0_ms = round(ticks.t0_ms + a * period_ms)
        is_live = now_ms - t0_ms - (b - a) * period_ms <= LATE_MS
        frame = WaveFrame(
            site=self._site,
            bed=self._bed,
            epoch=0,
            seq=0,
            t0_ms=t0_ms,
            period_ms=period_ms,
            n_ticks=b - a,
            flags=flags if is_live else flags | FrameFlag.BACKFILL,
            status=status,
            channels=tuple(_slice(block, a, b) for block in channels),
        )
        return Draft(self._bed, encode_wave(frame), t0_ms, frame.end_ms, is_live)


def _is_sound(block: TickBlock) -> bool:
    end_ms = block.t0_ms + block.n_ticks * block.period_ms
    numbers = [block_.channel for block_ in block.channels]
    return (
        block.n_ticks >= 1
        and 10 <= block.period_ms <= 2550
        and block.period_ms % 10 == 0
        and block.t0_ms >= 0
        and end_ms < LATEST_MS
        and all(channel.raw.shape == (block.n_ticks,) for channel in block.channels)
        and len(set(numbers)) == len(numbers)
    )


def _join(parts: list[tuple[ChannelSamples, ...]]) -> tuple[ChannelSamples, ...]:
    if len(parts) == 1:
        return parts[0]
    return tuple(
        ChannelSamples(
            same[0].channel, same[0].transducer, same[0].is_inop, np.concatenate([one.raw for one in same])
        )
        for same in zip(*parts, strict=True)
    )


def _slice(block: ChannelSamples, a: int, b: int) -> ChannelSamples:
    return ChannelSamples(block.channel, block.transducer, block.is_inop, block.raw[a:b])
