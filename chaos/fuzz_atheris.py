"""The same targets under atheris, which follows the branches of the decoders: for hours, by hand."""

import importlib
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Final

from chaos.fuzz import Target
from chaos.world import ChaosError

DECODERS: Final = ("hub.wire", "hub.web.messages", "hub.records", "hub.store.segment", "site_agent.drivers")
"""Packages and modules whose branches are followed; all of Python would take minutes to prepare."""


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
    arguments = ["chaos", str(corpus), f"-max_total_time={seconds}", "-timeout=5", "-rss_limit_mb=2000"]
    atheris.Setup(arguments, target.read)
    atheris.Fuzz()


def _decoder_functions() -> Iterator[FunctionType]:
    for name, module in list(sys.modules.items()):
        if name.startswith(DECODERS):
            for _, member in inspect.getmembers(module):
                owners = vars(member).values() if inspect.isclass(member) else (member,)
                yield from (one for one in owners if inspect.isfunction(one) and one.__module__ == name)
