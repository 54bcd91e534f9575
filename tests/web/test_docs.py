"""The page that strangers write clients from says what is so."""

import json
import re
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from hub.model import Alert, LiveMessage
from hub.web import examples
from hub.web.limits import HttpLimits, LiveLimits
from hub.web.problems import KINDS
from hub.web.schemas import Problem, Strip
from hub.wire import encode_batch

PAGE = (Path(__file__).parents[2] / "docs" / "api.md").read_text()


def blocks(language: str) -> list[str]:
    inside = [block.partition("\n") for block in PAGE.split("```")[1::2]]
    return [text for name, _, text in inside if name == language]


def test_the_example_of_a_wave_batch_is_what_the_hub_sends():
    (text,) = [block for block in blocks("") if block.startswith("c8 ")]
    digits = "".join(re.split(r"\s{2,}", line)[0] for line in text.splitlines())
    expected = encode_batch(2, examples.T_MS + 1060, [examples.WAVE])
    assert bytes.fromhex(digits) == expected
    assert f"Example, {len(expected)} bytes" in PAGE


def test_the_examples_of_json_have_the_form_of_the_model():
    kinds: dict[str, Any] = {
        "boot_id": LiveMessage,
        "priority": Alert,
        "channels": Strip,
        "instance": Problem,
    }
    seen = set()
    for block in blocks("json"):
        message = json.loads(block)
        mark = next(mark for mark in kinds if mark in message)
        TypeAdapter(kinds[mark]).validate_python(message)
        seen.add(mark)
    assert seen == set(kinds)


def test_every_problem_is_named_with_its_status():
    rows = re.findall(r"^\| `/problems/([a-z-]+)` \| (\d+) \|", PAGE, re.MULTILINE)
    assert dict(rows) == {str(kind): str(status) for kind, (status, _) in KINDS.items()}


def test_the_limits_are_those_of_the_code():
    live, http = LiveLimits(), HttpLimits()
    assert f"at most {live.messages_per_s} a second" in PAGE
    assert f"within {live.hello_s:g} s; once" in PAGE
    assert f"less than {live.behind_s:g} s and {live.window_bytes // 1024} KiB" in PAGE
    assert f"0 to {live.history_s:g}" in PAGE
    assert f"{live.clients} consoles are connected" in PAGE
    assert f"larger than {live.message_bytes // 1024} KiB" in PAGE
    assert f"at most {http.raw_span_s // 3600} h; with it at most {http.decimated_span_s // 3600} h" in PAGE
    assert f"{http.bins:,} steps" in PAGE
    assert f"did not answer in {http.answer_s:g} s" in PAGE
    assert f"`limit` 1 to {http.alerts}" in PAGE
