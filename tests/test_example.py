"""docs/example-analysis.md does what it says, and its pictures are there."""

import doctest
import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hub.__main__ import app

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "example-analysis.md"
PICTURES = sorted((ROOT / "docs" / "pictures").glob("*analysis*.png"))
LENIENT = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)


def test_the_python_of_the_example_gives_what_it_shows():
    parser, names = doctest.DocTestParser(), dict[str, object]()
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    said: list[str] = []
    for number, block in enumerate(blocks("pycon")):
        example = parser.get_doctest(block, names, f"block {number + 1}", str(PAGE), 0)
        runner.run(example, out=said.append, clear_globs=False)
        names.update(example.globs)
    assert runner.summarize(verbose=False).failed == 0, "".join(said)
    assert runner.tries > 30


def test_the_commands_of_the_example_print_what_it_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "device_sim").symlink_to(ROOT / "device_sim")
    monkeypatch.chdir(tmp_path)
    for block in blocks("console"):
        line, _, expected = block.partition("\n")
        program, *arguments = shlex.split(line.removeprefix("$ "))
        assert program == "ctg-hub"
        done = CliRunner().invoke(app, arguments)
        assert done.exit_code == 0
        checker = doctest.OutputChecker()
        assert checker.check_output(expected, done.stdout, LENIENT), done.stdout
    assert (tmp_path / "strip.png").exists()


def test_the_pictures_of_the_analysis_are_small_and_shown():
    shown = PAGE.read_text("utf-8") + (ROOT / "docs" / "analysis.md").read_text("utf-8")
    assert PICTURES
    for path in PICTURES:
        assert f"pictures/{path.name})" in shown
        assert path.stat().st_size < 300_000
    for name in re.findall(r"\]\(pictures/([\w-]*analysis[\w-]*\.png)\)", shown):
        assert (ROOT / "docs" / "pictures" / name) in PICTURES
