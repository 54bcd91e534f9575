"""Fault proxies in a thread of their own, for experiments that are written as plain steps."""

import asyncio
import threading
from typing import Self

from chaos.proxy import FaultProxy, Faults


class Lines(threading.Thread):
    """One proxy for each site, all to one broker; `set` and `reset` may be called from any thread."""

    def __init__(self, to_port: int, count: int, *, seed: int = 0) -> None:
        super().__init__(name="lines", daemon=True)
        self._loop = asyncio.new_event_loop()
        self.proxies = [FaultProxy(to_port, seed=seed + number) for number in range(count)]
        self._is_open = threading.Event()

    @property
    def ports(self) -> list[int]:
        """Where each site finds its broker."""
        return [proxy.port for proxy in self.proxies]

    def __enter__(self) -> Self:
        self.start()
        self._is_open.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        for proxy in self.proxies:
            asyncio.run_coroutine_threadsafe(proxy.stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self.join(10)

    def run(self) -> None:
        """Carry until stopped."""
        asyncio.set_event_loop(self._loop)
        for proxy in self.proxies:
            self._loop.run_until_complete(proxy.start())
        self._is_open.set()
        self._loop.run_forever()
        self._loop.close()

    def set(self, number: int, faults: Faults) -> None:
        """Change one line."""
        asyncio.run_coroutine_threadsafe(self.proxies[number].set(faults), self._loop).result(10)

    def reset(self, number: int) -> None:
        """Cut what one line carries."""
        self._loop.call_soon_threadsafe(self.proxies[number].reset)
