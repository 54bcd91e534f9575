"""What the agent says of itself every 30 s, as far as the machine lets it know."""

import contextlib
import os
from typing import Any

try:
    import psutil
except ImportError:  # the extra `agent` has it; without it there is less to say
    psutil = None  # type: ignore[assignment]


class Machine:
    """Processor and memory of this process, and the load of the machine."""

    def __init__(self) -> None:
        self._process: Any = psutil.Process(os.getpid()) if psutil is not None else None
        self.cpu_percent()  # the first answer of psutil is always 0

    def cpu_percent(self) -> float | None:
        """Load of all processors since the last call; None is not measured."""
        return None if psutil is None else psutil.cpu_percent(interval=None)

    def memory_mb(self) -> float | None:
        """Resident memory of the agent."""
        if self._process is not None:
            return round(self._process.memory_info().rss / 1e6, 1)
        with contextlib.suppress(OSError, ValueError, StopIteration), open("/proc/self/status") as status:
            line = next(line for line in status if line.startswith("VmRSS"))
            return round(int(line.split()[1]) * 1024 / 1e6, 1)
        return None
