"""Ends the process when a stage of it does not move, and tells systemd that it lives when all do."""

import asyncio
import logging
import os
import socket
from typing import Final, NoReturn

from site_agent.committer import Committer
from site_agent.link import Line
from site_agent.uplink import Uplink

_log = logging.getLogger(__name__)

LOOK_S: Final = 2.0
DISK_STUCK_S: Final = 60.0
"""A cheap card may pause for many seconds; no disk pauses for a minute."""
LAST_LOOK_S: Final = 5.0
PAUSE_S: Final = 15.0
LINE_STUCK_S: Final = 150.0
"""A line that is down tries again within 75 s at the most, each time with a new number."""


class Supervisor:
    """Feeds the watchdog of systemd from the far end: the outbox answers and the lines turn."""

    def __init__(self, committer: Committer, uplink: Uplink) -> None:
        self._committer = committer
        self._lines = (uplink.live, uplink.fill)
        self._turned: dict[str, tuple[int, float]] = {}
        self._looked_s = 0.0

    async def run(self) -> NoReturn:
        """Look every two seconds, for ever."""
        notify("READY=1")
        while True:
            # The second look is for a process that was itself stopped meanwhile: its thread needs a moment.
            if not await self._answers(DISK_STUCK_S) and not await self._answers(LAST_LOOK_S):
                self._die(f"the outbox has not answered for {DISK_STUCK_S:.0f} s")
            self._forget_after_pause()
            for line in self._lines:
                self._watch(line)
            notify("WATCHDOG=1")
            await asyncio.sleep(LOOK_S)

    async def _answers(self, within_s: float) -> bool:
        try:
            async with asyncio.timeout(within_s):
                await self._committer.ask(lambda _outbox: None)
        except TimeoutError:
            return False
        return True

    def _forget_after_pause(self) -> None:
        """Count no time in which this process, or its machine, stood still."""
        now_s = asyncio.get_running_loop().time()
        if now_s - self._looked_s > PAUSE_S:
            self._turned.clear()
        self._looked_s = now_s

    def _watch(self, line: Line) -> None:
        now_s = asyncio.get_running_loop().time()
        generation, since_s = self._turned.get(line.identifier, (-1, now_s))
        if line.is_up or line.generation != generation:
            self._turned[line.identifier] = (line.generation, now_s)
        elif now_s - since_s > LINE_STUCK_S:
            self._die(f"{line.identifier} is down and has not tried to connect for {LINE_STUCK_S:.0f} s")

    def _die(self, why: str) -> NoReturn:
        """End at once: a thread that hangs would hold up any orderly end."""
        _log.critical("%s: ending, to be started again", why)
        logging.shutdown()
        os._exit(1)


def notify(message: str) -> None:
    """Tell systemd, where it listens."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
        try:
            out.connect("\0" + address[1:] if address.startswith("@") else address)
            out.send(message.encode())
        except OSError as error:
            _log.warning("systemd was not told %s: %s", message, error)
