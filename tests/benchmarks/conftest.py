"""Ends a run of the benchmarks with the figures in the units that are spoken of."""

from typing import Any

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print what each benchmark measured beside its time."""
    session: Any = getattr(config, "_benchmarksession", None)
    measured = (
        [(bench.name, bench.extra_info) for bench in session.benchmarks if bench.extra_info]
        if session
        else []
    )
    if not measured:
        return
    terminalreporter.section("figures")
    for name, figures in measured:
        for what, value in figures.items():
            terminalreporter.write_line(f"{name}: {what} {value}")
