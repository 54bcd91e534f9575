"""The single outages by name, for the command line."""

from collections.abc import Callable
from typing import Final

from chaos.burst import run_burst
from chaos.outages import (
    Outcome,
    run_backlog,
    run_broker_away,
    run_clocks,
    run_database_away,
    run_full_disk,
    run_silence,
)
from chaos.thin_line import run_thin_line

EXPERIMENTS: Final[dict[str, Callable[..., Outcome]]] = {
    "backlog": run_backlog,
    "database": run_database_away,
    "broker": run_broker_away,
    "thin-line": run_thin_line,
    "silence": run_silence,
    "clocks": run_clocks,
    "full-disk": run_full_disk,
    "burst": run_burst,
}
