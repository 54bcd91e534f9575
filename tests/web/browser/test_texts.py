"""Both languages say the same things, and everything the code asks for is said."""

import json
import re
from pathlib import Path

import pytest

from hub.alerts.limits import RULES
from hub.dsp import reasons
from hub.dsp.tables import COLUMNS
from hub.model import (
    AckReason,
    AlertPath,
    AlertState,
    BaselineClass,
    DecelerationKind,
    DeviceState,
    EventKind,
    Indeterminate,
    Priority,
    Severity,
    SiteState,
    VariabilityClass,
)
from hub.web.app import STATIC_DIR
from site_agent.page import LinkState

LITERAL = re.compile(
    r'"((?:ui|keys|level|kind|severity|letter|column|event|state|ack|device|site|agent)\.[a-z0-9_.]+)"'
)
SLOT = re.compile(r"\{(\w+)\}")


def catalogue(name: str) -> dict[str, str]:
    texts: dict[str, str] = json.loads((STATIC_DIR / "texts" / f"{name}.json").read_text())
    return texts


def reason_codes() -> set[str]:
    source = Path(reasons.__file__).read_text()
    return set(re.findall(r'_reason\(\s*classification, "(\w+)"', source)) | {"deceleration"}


FAMILIES = {
    "kind.{}": DecelerationKind,
    "kind.{}.short": DecelerationKind,
    "letter.{}": DecelerationKind,
    "severity.{}": Severity,
    "indeterminate.{}": Indeterminate,
    "indeterminate.{}.short": Indeterminate,
    "class.baseline.{}": BaselineClass,
    "class.variability.{}": VariabilityClass,
    "class.variability.{}.short": VariabilityClass,
    "ack.{}": AckReason,
    "path.{}": AlertPath,
    "priority.{}": Priority,
    "state.{}": AlertState,
    "device.{}": DeviceState,
    "site.{}": SiteState,
    "agent.link.{}": LinkState,
    "silent.{}": ("no_data", "site_offline", "device_disconnected", "device_stale"),
    "event.{}": EventKind,
    "column.{}": COLUMNS,
    "alert.{}": RULES,
    "alert.{}.short": RULES,
    "level.{}": range(1, 6),
    "level.{}.short": range(1, 6),
    "figo.{}": ("normal", "suspicious", "pathological"),
    "nichd.{}": ("I", "II", "III"),
    "response.doctor.{}": "ABCD",
    "response.midwife.{}": "ABCD",
}


def test_both_catalogues_have_the_same_keys_and_placeholders():
    ja, en = catalogue("ja"), catalogue("en")
    assert list(ja) == list(en)
    assert {key: set(SLOT.findall(text)) for key, text in ja.items()} == {
        key: set(SLOT.findall(text)) for key, text in en.items()
    }


def test_every_key_written_in_the_code_exists():
    known = catalogue("ja")
    asked = {
        (path.name, key)
        for path in (STATIC_DIR / "js").glob("*.js")
        for key in LITERAL.findall(path.read_text())
    }
    assert len(asked) > 100
    assert sorted((name, key) for name, key in asked if key not in known) == []


@pytest.mark.parametrize("pattern", FAMILIES)
def test_every_closed_word_of_the_hub_has_its_text(pattern: str):
    known = catalogue("ja")
    assert [word for word in map(str, FAMILIES[pattern]) if pattern.format(word) not in known] == []


def test_every_reason_of_the_analysis_has_its_sentence():
    codes = reason_codes()
    assert len(codes) > 15
    assert sorted(code for code in codes if f"reason.{code}" not in catalogue("ja")) == []


def test_the_console_says_that_it_is_a_reading_aid():
    assert "判読支援(参考)" in catalogue("ja")["ui.not_a_diagnosis"]
    assert "not a diagnosis" in catalogue("en")["ui.not_a_diagnosis"]
