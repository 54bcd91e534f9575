"""Faults in the kernel on single loopback ports, where the machine lets us: TCP itself then suffers.

The rules stand in a table of their own whose owner is one `nft` process: the kernel removes the
table with it, so that nothing stays behind however the experiment ends, be it by `kill -9`.
"""

import os
import shutil
import subprocess
from enum import StrEnum
from typing import Final, Self

from chaos.world import ChaosError


class PortFault(StrEnum):
    """What the kernel does with the packets of a port, in both directions."""

    DROP = "drop"
    """They vanish; nobody is told."""
    REJECT = "reject"
    """Whoever calls or speaks gets an RST."""
    LOSS = "loss"
    """Three of ten vanish."""


_RULES: Final = {
    PortFault.DROP: ("tcp dport {port} drop", "tcp sport {port} drop"),
    PortFault.REJECT: ("tcp dport {port} reject with tcp reset",),
    PortFault.LOSS: (
        "tcp dport {port} numgen random mod 100 < 30 drop",
        "tcp sport {port} numgen random mod 100 < 30 drop",
    ),
}


class PortRules:
    """The faults that hold now, by port; `why_not` says why there can be none here."""

    def __init__(self) -> None:
        self.why_not = ""
        self._table = f"inet ctg_chaos_{os.getpid()}"
        self._faults: dict[int, PortFault] = {}
        self._nft: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        program = shutil.which("nft") or shutil.which("nft", path="/usr/sbin")
        if program is None:
            self.why_not = "nft is not installed"
            return self
        self._nft = subprocess.Popen(
            (program, "-i"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            bufsize=1,
            start_new_session=True,  # Ctrl-C is for us, and we end it
        )
        try:
            self._order(
                f"add table {self._table} {{ flags owner; }}",
                f"add chain {self._table} input {{ type filter hook input priority 0; }}",
            )
        except ChaosError as error:
            self.why_not = str(error)
            self.__exit__()
        return self

    def __exit__(self, *_: object) -> None:
        if self._nft is not None:
            self._nft.communicate(timeout=10)  # at the end of its input it goes, and the table with it
            self._nft = None

    def set(self, port: int, fault: PortFault | None) -> None:
        """Change what happens to one port; None ends it.  Raises ChaosError if the kernel refuses."""
        if fault is None:
            self._faults.pop(port, None)
        else:
            self._faults[port] = fault
        self._order(
            f"flush chain {self._table} input",
            *(
                f'add rule {self._table} input iifname "lo" {rule.format(port=port)}'
                for port, fault in self._faults.items()
                for rule in _RULES[fault]
            ),
        )

    def _order(self, *commands: str) -> None:
        """Send commands and read the table back: it is printed after they are done."""
        if self._nft is None or self._nft.stdin is None or self._nft.stdout is None:
            msg = f"no rules can be set here: {self.why_not or 'not entered'}"
            raise ChaosError(msg)
        self._nft.stdin.write("".join(f"{command}\n" for command in (*commands, f"list table {self._table}")))
        self._nft.stdin.flush()
        for line in self._nft.stdout:
            if "Error" in line or "not permitted" in line:
                msg = f"nft: {line.strip()}"
                raise ChaosError(msg)
            if line.startswith("}"):
                return
        msg = "nft: it ended"
        raise ChaosError(msg)
