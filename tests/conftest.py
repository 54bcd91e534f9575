"""What holds for every test: properties are tried without a deadline, because a busy machine pauses."""

import pytest
from hypothesis import settings

settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say of each test that could not run here why, so that no green run hides it."""
    for report in terminalreporter.stats.get("skipped", ()):
        _, _, reason = report.longrepr
        terminalreporter.write_line(f"NOT RUN: {report.nodeid}: {reason}", yellow=True)
