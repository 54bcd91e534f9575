"""What the agent says of itself every 30 s, as far as the machine lets it know."""

import asyncio
import contextlib
import logging
import os
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final, NoReturn

from hub.model import Lane, SiteHealth
from site_agent.committer import Committer
from site_agent.now import AgentClock
from site_agent.outbox import Outbox
from site_agent.retention import ALARM_SHARE
from site_agent.uplink import Uplink

try:
    import psutil
except ImportError:  # the extra `agent` has it; without it there is less to say
    psutil = None  # type: ignore[assignment]

_log = logging.getLogger(__name__)

HEALTH_S: Final = 30.0
UNHEARD_S: Final = 2.0
"""Without a connection it is measured this often, and told as soon as there is one."""
_CALM_SHARE: Final = ALARM_SHARE - 0.05


class Machine:
    """Processor and memory of this process, and the load of the machine."""

    def __init__(self) -> None:
        self._process: Any = psutil.Process(os.getpid()) if psutil is not None else None
        self.cpu_percent()  # the first answer of psutil is always 0

    def cpu_percent(self) -> float | None:
        """Load of all processors since the last call; None is not measured."""
        return None if psutil is None else float(psutil.cpu_percent(interval=None))

    def memory_mb(self) -> float | None:
        """Resident memory of the agent."""
        if self._process is not None:
            return round(float(self._process.memory_info().rss) / 1e6, 1)
        with contextlib.suppress(OSError, ValueError, StopIteration), open("/proc/self/status") as status:
            line = next(line for line in status if line.startswith("VmRSS"))
            return round(int(line.split()[1]) * 1024 / 1e6, 1)
        return None


class HealthTeller:
    """Measures and tells every 30 s, to a new hub at once, and raises the alarm of a disk that fills."""

    def __init__(
        self,
        committer: Committer,
        uplink: Uplink,
        clock: AgentClock,
        *,
        rejected: Callable[[], dict[str, int]],
        tell_failure: Callable[[str], Awaitable[None]],
    ) -> None:
        self.disk_free_share: float | None = None
        self.outbox_bytes: int | None = None
        self.oldest_ms: int | None = None
        """When the oldest unconfirmed frame begins."""
        self._committer = committer
        self._uplink = uplink
        self._clock = clock
        self._rejected = rejected
        self._tell_failure = tell_failure
        self._machine = Machine()
        self._is_filling = False

    async def run(self) -> NoReturn:
        """Tell for ever."""
        while True:
            await self._measure()
            await self._uplink.publish_health(self._describe())
            self._uplink.to_tell.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(
                    self._uplink.to_tell.wait(), HEALTH_S if self._uplink.live.is_up else UNHEARD_S
                )

    async def _measure(self) -> None:
        fill = await self._committer.ask(Outbox.fill)
        self.disk_free_share, self.outbox_bytes = fill.disk_free_share, fill.used_bytes
        if fill.share >= ALARM_SHARE and not self._is_filling:
            self._is_filling = True
            _log.error("the outbox is %.0f %% full", 100 * fill.share)
            await self._tell_failure(f"outbox {100 * fill.share:.0f} % full")
        elif fill.share < _CALM_SHARE:
            self._is_filling = False
        times = [
            await self._committer.ask(partial(Outbox.read_t0_ms, bed=bed, epoch=epoch, seq=seq))
            for bed, (epoch, seq) in self._uplink.window.oldest().items()
        ]
        self.oldest_ms = min((t_ms for t_ms in times if t_ms is not None), default=None)

    def _describe(self) -> SiteHealth:
        window, offset = self._uplink.window, self._uplink.offset
        rtt_s = window.rtt_s(Lane.LIVE)
        return SiteHealth(
            t_ms=round(self._clock.now_ms()),
            backlog_frames=window.backlog,
            oldest_unacked_ms=self.oldest_ms,
            outbox_bytes=self.outbox_bytes,
            disk_free_percent=None if self.disk_free_share is None else round(100 * self.disk_free_share, 1),
            cpu_percent=self._machine.cpu_percent(),
            memory_mb=self._machine.memory_mb(),
            rtt_ms=None if rtt_s is None else round(1000 * rtt_s, 1),
            clock_offset_ms=None if offset.offset_ms is None else round(offset.offset_ms, 1),
            clock_delay_ms=None if offset.delay_ms is None else round(offset.delay_ms, 1),
            live_batch_s=window.batch.span_s,
            rejected=self._rejected(),
        )
