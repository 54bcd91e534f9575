import ast
import json
import re
from importlib import resources
from pathlib import Path

import pytest

import viewer.texts
from hub.model import (
    AckReason,
    AlertPath,
    DecelerationKind,
    DeviceState,
    EventKind,
    Indeterminate,
    Severity,
    SiteState,
)
from viewer.texts import LANGUAGES, Texts, clock, elapsed

KEY = re.compile(
    r"(ui|keys|viewer|level|letter|kind|severity|indeterminate|alert|ack|path|event|site|device|reason)(\.\w+)+"
)


def catalogue(language: str) -> dict[str, str]:
    path = resources.files("hub") / "web" / "static" / "texts" / f"{language}.json"
    read: dict[str, str] = json.loads(path.read_text("utf-8"))
    return read


def keys_in_source() -> set[str]:
    """Every string of the viewer's sources that is a whole key of the catalogues."""
    found = set()
    for path in Path(str(viewer.texts.__file__)).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and KEY.fullmatch(node.value):
                found.add(node.value)
    return found


def keys_of_families() -> set[str]:
    """Keys that the viewer puts together from closed sets."""
    return (
        {f"level.{n}{short}" for n in range(1, 6) for short in ("", ".short")}
        | {f"letter.{kind}" for kind in [*DecelerationKind, "running"]}
        | {f"kind.{kind}.short" for kind in DecelerationKind}
        | {f"severity.{severity}" for severity in Severity}
        | {f"indeterminate.{why}.short" for why in Indeterminate}
        | {f"ack.{reason}" for reason in AckReason}
        | {f"path.{path}" for path in AlertPath}
        | {f"event.{kind}" for kind in EventKind}
        | {f"site.{state}" for state in [*SiteState, "unknown"]}
        | {f"device.{state}" for state in [*DeviceState, "unknown"]}
        | {f"response.{who}.{letter}" for who in ("doctor", "midwife") for letter in "ABCD"}
    )


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_that_the_console_asks_for_is_written(language: str):
    wanted = keys_in_source() | keys_of_families()
    assert len(wanted) > 100
    assert wanted - set(catalogue(language)) == set()


def test_values_stand_in_the_sentence():
    texts = Texts()
    sentence = texts("alert.fhr_below_80", value_bpm=67.0, limit_bpm=80.0, duration_s=60.0)
    assert "67" in sentence
    assert "80" in sentence


def test_a_value_that_did_not_come_leaves_a_dash():
    assert "–" in Texts()("alert.fhr_below_80", value_bpm=67.0)


def test_the_language_key_swaps_which_is_large():
    texts = Texts()
    large, small = texts("ui.unacknowledged"), texts.beside("ui.unacknowledged")
    texts.switch()
    assert (texts("ui.unacknowledged"), texts.beside("ui.unacknowledged")) == (small, large)
    assert large != small


def test_class_names_become_words():
    texts = Texts()
    assert texts.worded("baseline", {"class": "normal"})["class"] == catalogue("ja")["class.baseline.normal"]
    assert texts.worded("cell", {"column": "late_mild"})["column"] == catalogue("ja")["column.late_mild"]


def test_clocks_show_japanese_time():
    assert clock(0) == "09:00"
    assert clock(61_000, seconds=True) == "09:01:01"


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0, "0:00"), (59.9, "0:59"), (372, "6:12"), (3661, "1:01:01")]
)
def test_elapsed_time_is_minutes_and_seconds(seconds: float, shown: str):
    assert elapsed(seconds) == shown
