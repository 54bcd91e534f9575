"""Words of the consoles, from the catalogues that ship with the hub."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from importlib import resources
from math import ceil, floor
from typing import Final, Literal

Language = Literal["ja", "en"]
LANGUAGES: Final[tuple[Language, Language]] = ("ja", "en")

JAPAN: Final = timezone(timedelta(hours=9), "JST")
"""The console shows Japanese time wherever it runs; the wire carries UTC."""


_FAMILIES: Final = {
    "kind": "kind",
    "severity": "severity",
    "why": "indeterminate",
    "baseline_class": "class.baseline",
    "column": "column",
    "path": "path",
}
"""Key of the catalogue under which the words of a value stand."""


class Texts:
    """The catalogue of one language, with the other one beside it."""

    def __init__(self, language: Language = "ja") -> None:
        self.language: Language = language
        self._catalogues = {each: _read(each) for each in LANGUAGES}

    def switch(self) -> None:
        """Swap which language is large."""
        self.language = "en" if self.language == "ja" else "ja"

    def __call__(self, key: str, **values: object) -> str:
        """Text of a key in the language shown; a key nobody wrote shows itself."""
        return self._fill(self.language, key, values)

    def beside(self, key: str, **values: object) -> str:
        """Text of a key in the other language."""
        return self._fill("en" if self.language == "ja" else "ja", key, values)

    def worded(self, code: str, values: Mapping[str, float | str]) -> dict[str, object]:
        """Values of a reason or an alert with its class names put into words."""
        out: dict[str, object] = {}
        for name, value in values.items():
            family = f"class.{code}" if name == "class" else _FAMILIES.get(name)
            key = f"{family}.{value}"
            out[name] = self(key) if family is not None and self.has(key) else value
        if self.has(f"silent.{values.get('why')}"):
            out["why"] = self(f"silent.{values['why']}")
        if isinstance(values.get("ongoing"), str):
            out["ongoing"] = self("ui.ongoing" if values["ongoing"] == "yes" else "ui.ended")
        bpm, limit = values.get("value_bpm"), values.get("limit_bpm")
        if isinstance(bpm, float | int) and isinstance(limit, float | int) and bpm != limit:
            # A rate below its limit must not read as equal to it: rounded away from the limit.
            out["value_bpm"] = floor(bpm) if bpm < limit else ceil(bpm)
        if "from_level" in values:
            level = values["from_level"]
            out["before"] = "" if level == "-" else self("ui.level_before", level=level)
        if "duration_s" in values and isinstance(values["duration_s"], float | int):
            out["duration_min"] = round(values["duration_s"] / 60)
        return out

    def has(self, key: str) -> bool:
        """Whether the language shown has the key."""
        return key in self._catalogues[self.language]

    def _fill(self, language: Language, key: str, values: dict[str, object]) -> str:
        template = self._catalogues[language].get(key)
        if template is None:
            return key
        return template.format_map(_Blanks({name: _plain(value) for name, value in values.items()}))


class _Blanks(dict[str, str]):
    """A value the hub did not send leaves a dash, not an error."""

    def __missing__(self, key: str) -> str:
        return "–"


def _plain(value: object) -> str:
    return f"{value:.0f}" if isinstance(value, float) else str(value)


def _read(language: Language) -> dict[str, str]:
    path = resources.files("hub") / "web" / "static" / "texts" / f"{language}.json"
    catalogue: dict[str, str] = json.loads(path.read_text("utf-8"))
    return catalogue


def clock(t_ms: float, *, seconds: bool = False) -> str:
    """Time of day in Japan of a Unix time in ms."""
    return (
        datetime.fromtimestamp(t_ms / 1000, UTC)
        .astimezone(JAPAN)
        .strftime("%H:%M:%S" if seconds else "%H:%M")
    )


def elapsed(seconds: float) -> str:
    """Elapsed time as m:ss, or h:mm:ss from an hour on."""
    whole = max(0, int(seconds))
    hours, rest = divmod(whole, 3600)
    minutes, second = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{second:02}" if hours else f"{minutes}:{second:02}"
