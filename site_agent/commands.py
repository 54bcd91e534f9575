"""What the hub may ask of an agent: send again, read the configuration again, set the log level.  No more."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any, Final

from hub.errors import SettingsError
from hub.model import CommandKind, SiteCommand
from site_agent.committer import Committer
from site_agent.config import AgentConfig, read_config
from site_agent.happenings import Restored
from site_agent.outbox import Outbox
from site_agent.runs import Run
from site_agent.stock import Stock

_log = logging.getLogger(__name__)

LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR")
RESEND_STEP: Final = 20_000
"""Frames looked through at a time for a `resend`: commits go on in between."""


class ReloadError(Exception):
    """The agent is to start again with this configuration."""

    def __init__(self, config: AgentConfig) -> None:
        super().__init__("the configuration is to be taken anew")
        self.config = config


class CommandDesk:
    """Carries out the three commands, each once; everything else is refused and logged."""

    def __init__(
        self,
        config: AgentConfig,
        committer: Committer,
        *,
        push: Callable[[Restored], None],
        spawn: Callable[[Coroutine[Any, Any, None]], None],
        stop: Callable[[], Awaitable[None]],
    ) -> None:
        self._config = config
        self._committer = committer
        self._push = push
        self._spawn = spawn
        self._stop = stop
        self._done: deque[str] = deque(maxlen=32)

    def take(self, command: SiteCommand) -> None:
        """Take a command; the broker may deliver the same one again."""
        if command.id in self._done:
            return
        self._done.append(command.id)
        match command:
            case SiteCommand(kind=CommandKind.RESEND, bed=str(bed), from_ms=int(a), to_ms=int(b)) if (
                0 <= a < b
            ):
                _log.info("command %s: send %s again from %d to %d", command.id, bed, a, b)
                self._spawn(self._resend(bed, a, b))
            case SiteCommand(kind=CommandKind.LOG, text=str(level)) if level in LEVELS:
                _log.info("command %s: log level %s", command.id, level)
                logging.getLogger().setLevel(level)
            case SiteCommand(kind=CommandKind.RELOAD):
                self._spawn(self._reload(command.id))
            case _:
                _log.warning("command refused: %s", str(command)[:200])

    async def _resend(self, bed: str, from_ms: int, to_ms: int) -> None:
        for epoch, run in await find_span(self._committer, bed, from_ms, to_ms):
            await self._committer.ask(partial(Outbox.forget_ack, stock=[Stock(bed, epoch, [run])]))
            self._push(Restored(bed, epoch, (run,), is_resend=True))

    async def _reload(self, command_id: str) -> None:
        try:
            config = await asyncio.to_thread(read_config, self._config.path)
        except SettingsError as error:
            _log.error("command %s: the configuration stays as it is: %s", command_id, error)
            return
        if (config.site, config.data_dir) != (self._config.site, self._config.data_dir):
            _log.error("command %s: site and data folder change only by a restart", command_id)
            return
        _log.info("command %s: starting again with the present configuration", command_id)
        await self._stop()
        raise ReloadError(config)


async def find_span(committer: Committer, bed: str, from_ms: int, to_ms: int) -> list[tuple[int, Run]]:
    """Find the frames of a bed that begin in a span, as runs of seq of their epochs."""
    found: list[tuple[int, Run]] = []
    span_ms = (from_ms, min(to_ms, (1 << 48) - 1))
    for epoch, low, high in await committer.ask(partial(Outbox.find_streams, bed=bed)):
        for first in range(low, high + 1, RESEND_STEP):
            last = min(high, first + RESEND_STEP - 1)
            look = partial(Outbox.find_span, bed=bed, epoch=epoch, first=first, last=last, span_ms=span_ms)
            found += [(epoch, run) for run in await committer.ask(look)]
    return found
