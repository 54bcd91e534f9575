"""The commands as they are typed: what they print, what they write, how they end."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from hub.__main__ import app
from hub.dsp import ALGORITHM

ROOT = Path(__file__).parents[1]
RECORDING = ROOT / "device_sim" / "recordings" / "1017.npz"
GOLDEN = ROOT / "tests" / "dsp" / "golden-classification.json"


def ctg_hub(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hub", *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "200", "NO_COLOR": "1", **environment},
        capture_output=True,
        text=True,
        timeout=25,
        check=False,
    )


def typed(*arguments: object) -> Result:
    """The same command within this process: for the many ways to be refused."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


# ---------------------------------------------------------------------- classify


def test_classify_prints_the_cases_with_result_and_mismatches():
    done = ctg_hub("classify", GOLDEN)
    assert (done.returncode, done.stderr) == (0, "")
    given, answered = json.loads(GOLDEN.read_text("utf-8")), json.loads(done.stdout)
    assert {key: value for key, value in answered.items() if key != "cases"} == {
        key: value for key, value in given.items() if key != "cases"
    }
    assert len(answered["cases"]) == len(given["cases"]) == 54
    for asked, case in zip(given["cases"], answered["cases"], strict=True):
        assert {**case, **asked} == case
        assert set(case["result"]) == {"jsog", "figo2015", "nichd2008"}
        assert case["result"]["jsog"].keys() >= asked["expected"]["jsog"].keys()
        assert case["mismatches"] == []


def test_classify_says_where_it_differs_and_what_it_cannot_read(tmp_path: Path):
    findings = {"baseline_bpm": 140, "variability_amplitude_bpm": 12, "decelerations": []}
    document = {
        "cases": [
            {"id": "a", "input": findings, "expected": {"jsog": {"level": 5}, "nichd2008": "III"}},
            {"id": "b", "input": {**findings, "baseline_bpm": "fast"}},
            {"id": "c", "input": findings, "expected": {"jsog": 1}},
        ]
    }
    path = tmp_path / "cases.json"
    path.write_text(json.dumps(document))
    done = typed("classify", path)
    assert done.exit_code == 0
    differs, unread, odd = json.loads(done.stdout)["cases"]
    assert differs["mismatches"] == [
        {"field": "jsog.level", "expected": 5, "got": 1},
        {"field": "nichd2008", "expected": "III", "got": "I"},
    ]
    assert unread["result"] is None
    assert unread["error"] == "baseline_bpm: expected a number from 0 to 300 or null, got 'fast'"
    assert odd["mismatches"][0]["field"] == "jsog"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "No such file"),
        (b"{", "Expecting property name"),
        (b'{"cases": 3}', "cases: expected a list of objects with input, got 3"),
        (b"[]", "cases: expected a list of objects with input, got"),
        (b'{"cases": [{"input": {"baseline_bpm": NaN}}]}', "expected JSON, got NaN"),
        (b"\xff\xfe", "utf-8"),
    ],
)
def test_classify_refuses_a_file_in_one_sentence(tmp_path: Path, content: bytes | None, sentence: str):
    path = tmp_path / "cases.json"
    if content is not None:
        path.write_bytes(content)
    done = typed("classify", path)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith(f"ctg-hub: {path}: ")
    assert sentence in done.stderr
    assert len(done.stderr.splitlines()) == 1


# ----------------------------------------------------------------------- analyse


def test_analyse_prints_and_writes_what_it_found(tmp_path: Path):
    picture, document = tmp_path / "strip.png", tmp_path / "strip.json"
    done = ctg_hub(
        *("analyse", RECORDING, "--from", 20, "--to", "0:40:00", "--language", "en", "--antenatal"),
        *("--dpi", 80, "--picture", picture, "--json", document),
    )
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "Reading aid, not a diagnosis"
    assert "Record 1017 · 0:20:00–0:40:00 · 41 weeks" in lines
    assert any(line.startswith("  0:20:00–0:30:00  Level ") for line in lines)
    assert "NST (before labour)" in lines
    assert any(ALGORITHM in line for line in lines)
    assert "criteria" not in done.stdout
    (trace,) = json.loads(document.read_text("utf-8"))["traces"]
    assert [s["start_s"] for s in trace["segments"]] == [0.0, 600.0]
    assert f"Decelerations: {len(trace['decelerations'])}" in lines
    assert len(trace["series"]["baseline_bpm"]) == 1200
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_analyse_speaks_japanese_unless_told_otherwise():
    done = typed("analyse", RECORDING, "--to", 10)
    assert done.exit_code == 0
    assert done.stdout.startswith("判読支援(参考)\n")
    assert "一過性徐脈: " in done.stdout
    assert "NST" not in done.stdout


def test_each_trace_of_twins_has_a_report_and_a_picture(tmp_path: Path):
    fhr = 140 + 4 * np.random.default_rng(1).standard_normal((2, 2880))
    np.savez(tmp_path / "twins.npz", fhr1=fhr[0], fhr2=fhr[1], fs=4.0)
    done = typed("analyse", tmp_path / "twins.npz", "--language", "en", "--picture", tmp_path / "a.svg")
    assert done.exit_code == 0
    assert "trace 1 of 2" in done.stdout
    assert "trace 2 of 2" in done.stdout
    assert sorted(path.name for path in tmp_path.glob("*.svg")) == ["a-1.svg", "a-2.svg"]
    merged = typed("analyse", tmp_path / "twins.npz", "--language", "en", "--one-fetus")
    assert "trace" not in merged.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["none.npz"], 1, "ctg-hub: none.npz: expected an npz archive, got no file"),
        (["none.csv"], 1, "ctg-hub: none.csv: expected a readable .csv file, got"),
        (["none.md"], 1, "ctg-hub: none.md: expected one of .hea"),
        ([RECORDING, "--from", "3:00:00"], 1, "expected a stretch inside its 5400 s, got 10800 to 5400 s"),
        ([RECORDING, "--from", 20, "--to", 10], 1, "expected a stretch inside"),
        ([RECORDING, "--from", "soon"], 2, "expected minutes, m:ss or h:mm:ss, got 'soon'"),
        (
            [RECORDING, "--to", 10, "--picture", "a.bmp"],
            1,
            "expected a picture named .png, .svg or .pdf, got .bmp",
        ),
        ([RECORDING, "--to", 10, "--json", "no/such/a.json"], 1, "expected to write a document"),
        ([RECORDING, "--weeks", 400], 2, "--weeks"),
    ],
)
def test_analyse_refuses_in_a_sentence(arguments: list[Any], code: int, sentence: str):
    done = typed("analyse", *arguments)
    assert done.exit_code == code
    assert sentence in done.stderr
    assert isinstance(done.exception, SystemExit)


def test_without_matplotlib_analyse_says_how_to_get_it(tmp_path: Path):
    (tmp_path / "matplotlib.py").write_text("raise ImportError('not here')\n")
    done = ctg_hub(
        *("analyse", RECORDING, "--to", 10, "--picture", tmp_path / "a.png"), PYTHONPATH=str(tmp_path)
    )
    assert done.returncode == 1
    assert (
        "pictures need matplotlib, which is not installed; try: pip install 'ctg-hub[plots]'" in done.stderr
    )
    without = ctg_hub("analyse", RECORDING, "--to", 10, PYTHONPATH=str(tmp_path))
    assert without.returncode == 0


def test_a_rate_that_cannot_be_analysed_is_named(tmp_path: Path):
    (tmp_path / "slow.csv").write_text("# fs=0.1\nfhr\n140\n141\n")
    done = typed("analyse", tmp_path / "slow.csv")
    assert done.exit_code == 1
    assert "slow: fs must lie in 1.0 to 1000.0 Hz, got 0.1" in done.stderr


def test_nothing_is_raised_inside_except_star():
    # Python 3.11.2 of Debian 12 wraps in an ExceptionGroup what is raised there: the caller waits in vain.
    raising = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for room in ("hub", "device_sim", "viewer", "site_agent", "chaos")
        for path in (ROOT / room).rglob("*.py")
        for tried in ast.walk(ast.parse(path.read_text()))
        if isinstance(tried, ast.TryStar)
        for handler in tried.handlers
        for node in ast.walk(handler)
        if isinstance(node, ast.Raise)
    ]
    assert raising == []
