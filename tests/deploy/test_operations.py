"""docs/operations.md held against the code: whoever reads it at night must find what is there."""

import ast
import re
from pathlib import Path

import pytest
import yaml

from hub.acquisition.ring import RING_CHANNELS, Ring
from hub.settings import Settings
from tests.deploy.conftest import ROOT

PAGE = (ROOT / "docs/operations.md").read_text("utf-8")


def rows(heading: str) -> list[list[str]]:
    """Cells of the table whose first column has this heading."""
    table = PAGE.partition(f"| {heading} |")[2].splitlines()[2:]
    found = []
    for line in table:
        if not line.startswith("|"):
            break
        found.append([cell.strip() for cell in line.strip("|").split(" | ")])
    assert found
    return found


def logged() -> dict[str, set[str]]:
    """Every sentence that the hub logs, by level."""
    sentences: dict[str, set[str]] = {}
    for file in (ROOT / "hub").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            match node:
                case ast.Call(
                    func=ast.Attribute(value=ast.Name(id="_log"), attr=level),
                    args=[ast.Constant(value=str(text)), *_],
                ):
                    sentences.setdefault({"exception": "error"}.get(level, level), set()).add(text)
    return sentences


def as_pattern(sentence: str) -> str:
    """Turn a documented sentence into a pattern for the text in the code."""
    return "".join(".*" if part == "…" else re.escape(part) for part in re.split("(…)", sentence))


def test_the_table_of_settings_is_that_of_the_code():
    documented = {cells[0].strip("`"): (cells[1].strip("`"), cells[2]) for cells in rows("Variable")}
    expected = {
        f"CTG_{name.upper()}": (
            "none" if field.default is None else str(field.default),
            str(field.description),
        )
        for name, field in Settings.model_fields.items()
    }
    assert documented == expected


def test_every_documented_sentence_of_the_log_is_one_that_the_hub_can_say():
    sentences = logged()
    for cells in rows("Sentence"):
        said, level = cells[0].strip("`"), cells[1]
        assert any(re.fullmatch(as_pattern(said), text) for text in sentences[level]), said


@pytest.mark.parametrize("level", ["error", "critical"])
def test_every_error_that_the_hub_can_log_is_documented(level: str):
    documented = [as_pattern(cells[0].strip("`")) for cells in rows("Sentence") if cells[1] == level]
    whole = [text for text in logged()[level] if not any(re.fullmatch(one, text) for one in documented)]
    assert whole == []


def test_services_and_images_are_those_of_compose():
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))["services"]
    documented = {cells[0].strip("`"): re.findall(r"`([^`]+)`", cells[1])[0] for cells in rows("Service")}
    assert documented == {name: service["image"] for name, service in services.items()}


def test_every_file_and_script_that_is_named_exists():
    names = set(re.findall(r"(?:deploy|docs|tests)/[\w./-]+\w", PAGE)) | {
        f"docs/{name}" for name in re.findall(r"\]\((\w+\.md)\)", PAGE)
    }
    made = {name for name in names if name.startswith("deploy/secrets")}
    assert len(names - made) > 5
    assert [name for name in sorted(names - made) if not (ROOT / name).exists()] == []


def test_the_memory_of_a_channel_is_as_stated():
    of_a_channel = Ring(1)._codes.nbytes / len(RING_CHANNELS)
    assert f"{round(of_a_channel / 1000)} kB more\nwith each further channel" in PAGE


def test_the_limits_that_are_stated_are_those_of_compose():
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))["services"]
    limits = {name: one["deploy"]["resources"]["limits"]["memory"] for name, one in services.items()}
    assert "hub 1 GB, database 2 GB, broker 512 MB" in PAGE
    assert (limits["hub"], limits["timescaledb"], limits["mosquitto"]) == ("1g", "2g", "512m")


def test_a_decision_has_a_context_a_decision_and_a_consequence_of_one_sentence_each():
    text = (ROOT / "docs/decisions.md").read_text("utf-8")
    records = re.split(r"^## ", text, flags=re.M)[1:]
    assert [int(record.split(".")[0]) for record in records] == list(range(1, len(records) + 1))
    for record in records:
        parts = re.findall(r"^- \*\*(\w+)\.\*\* (.+)$", record, flags=re.M)
        assert [name for name, _ in parts] == ["Context", "Decision", "Consequence"]
        for _, sentence in parts:
            assert sentence.endswith(".")
            assert not re.search(r"[a-z]\. [A-Z]", sentence), sentence


def test_the_hooks_before_a_commit_are_those_of_make_check():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))["repos"][0]["hooks"]
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for hook in hooks:
        tool = Path(hook["entry"].split()[0])
        assert tool.parts[:2] == (".venv", "bin")
        assert f"$(BIN)/{tool.name}" in makefile
