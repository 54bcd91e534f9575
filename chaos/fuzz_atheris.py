"""The same targets under atheris, which follows the branches of the decoders: for hours, by hand."""

import importlib
import inspect
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Final

from chaos.fuzz import Target
from chaos.world import ROOT, ChaosError

DECODERS: Final = ("hub.wire", "hub.web.messages", "hub.records", "hub.store.segment", "site_agent.drivers")
"""Packages and modules whose branches are followed; all of Python would take minutes to prepare."""
_DONE: Final = re.compile(r"#(\d+)\s+DONE\s+cov: \d+ ft: (\d+)")


@dataclass(frozen=True, slots=True)
class Search:
    """What the search at one decoder came to."""

    name: str
    tries: int
    branches: int
    """Edges and values that were reached, as libFuzzer counts features."""
    is_clean: bool
    log: Path

    def line(self) -> str:
        """Give it as one line."""
        end = "" if self.is_clean else f"  FAILED, see {self.log}"
        return f"{self.name:20} {self.tries:>12,} tries {self.branches:>7,} features{end}"


def search_each(targets: Sequence[Target], *, seconds: int, corpus: Path) -> Iterator[Search]:
    """Let atheris look at one decoder after the other, each in a process of its own: it ends its process."""
    corpus.mkdir(parents=True, exist_ok=True)
    for target in targets:
        log = corpus / f"{target.name}.log"
        words = ("--only", target.name, "--atheris-s", str(seconds), "--corpus", str(corpus))
        with log.open("wb") as file:
            ended = subprocess.run(
                (sys.executable, "-m", "chaos", "fuzz", *words),
                stdout=file,
                stderr=subprocess.STDOUT,
                check=False,
                cwd=ROOT,
            )
        shutil.rmtree(corpus / "scratch" / target.name, ignore_errors=True)
        told = _DONE.findall(log.read_text(errors="replace"))
        tries, branches = (int(number) for number in told[-1]) if told else (0, 0)
        yield Search(target.name, tries, branches, ended.returncode == 0 and bool(told), log)


def run_atheris(target: Target, *, seconds: int, corpus: Path) -> None:
    """Fuzz one target; ends the process, with a status other than 0 if it crashed.

    Raises
    ------
    ChaosError
        If atheris is not installed.
    """
    try:
        atheris: ModuleType = importlib.import_module("atheris")
    except ImportError as error:
        msg = (
            "atheris: expected it to be installed; run: pip install atheris (it needs clang on some machines)"
        )
        raise ChaosError(msg) from error
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.seeds):
        (corpus / f"seed-{number}").write_bytes(seed)
    for function in _decoder_functions():
        atheris.instrument_func(function)
    limits = (f"-max_total_time={seconds}", "-timeout=5", "-rss_limit_mb=2000")
    # What makes it crash is kept beside what it found, and tried first the next time.
    atheris.Setup(["chaos", str(corpus), f"-artifact_prefix={corpus}/", *limits], target.read)
    atheris.Fuzz()


def _decoder_functions() -> Iterator[FunctionType]:
    for name, module in list(sys.modules.items()):
        if name.startswith(DECODERS):
            for _, member in inspect.getmembers(module):
                owners = vars(member).values() if inspect.isclass(member) else (member,)
                yield from (one for one in owners if inspect.isfunction(one) and one.__module__ == name)
