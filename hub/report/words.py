"""The sentences of a report, from the catalogues that the consoles use."""

import json
from importlib import resources
from typing import Final, Literal

from hub.model import Reason

Language = Literal["ja", "en"]

NOT_KNOWN: Final = "–"
_FAMILIES: Final = {
    "kind": "kind",
    "severity": "severity",
    "why": "indeterminate",
    "baseline_class": "class.baseline",
    "column": "column",
}
"""Key under which the words of a value stand, by the name of its placeholder."""

_IN_WHOLES: Final = frozenset(
    {"duration_s", "longest_gap_s", "depth_bpm", "nadir_bpm", "rise_bpm", "amplitude", "percent"}
    | {"readable_percent", "valid_percent"}
)
"""Values of which a fraction says nothing; a baseline before rounding is not one of them."""


class Words:
    """The catalogue of one language."""

    def __init__(self, language: Language) -> None:
        path = resources.files("hub") / "web" / "static" / "texts" / f"{language}.json"
        self.language: Language = language
        self._catalogue: dict[str, str] = json.loads(path.read_text("utf-8"))

    def __call__(self, key: str, **values: object) -> str:
        """Text of a key; a key nobody wrote shows itself, a value that is not there a dash."""
        template = self._catalogue.get(key, key)
        return template.format_map(_Dashes({name: _plain(name, value) for name, value in values.items()}))

    def reason(self, reason: Reason) -> str:
        """Put one reason of a classification into a sentence."""
        values: dict[str, object] = dict(reason.values)
        for name, value in reason.values.items():
            family = f"class.{reason.code}" if name == "class" else _FAMILIES.get(name)
            key = f"{family}.{value}"
            if key in self._catalogue:
                values[name] = self(key)
        if "ongoing" in values:
            values["ongoing"] = self("ui.ongoing" if values["ongoing"] == "yes" else "ui.ended")
        return self(f"reason.{reason.code}", **values)


class _Dashes(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return NOT_KNOWN


def _plain(name: str, value: object) -> str:
    if value is None:
        return NOT_KNOWN
    if isinstance(value, float):
        is_whole = name in _IN_WHOLES or abs(value - round(value)) < 0.05
        return f"{value:.0f}" if is_whole else f"{value:.1f}"
    return str(value)


def clock(seconds: float) -> str:
    """Time in a recording as h:mm:ss.

    Examples
    --------
    >>> clock(3725.4)
    '1:02:05'
    """
    hours, rest = divmod(max(round(seconds), 0), 3600)
    minutes, second = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{second:02}"


def parse_clock(text: str) -> float:
    """Read minutes, m:ss or h:mm:ss as seconds.

    Raises
    ------
    ValueError
        If the text is none of these.

    Examples
    --------
    >>> parse_clock("20"), parse_clock("20:30"), parse_clock("1:00:00")
    (1200.0, 1230.0, 3600.0)
    """
    parts = text.split(":")
    if not 1 <= len(parts) <= 3 or not all(part.isascii() and part.isdigit() for part in parts):
        msg = f"expected minutes, m:ss or h:mm:ss, got {text!r}"
        raise ValueError(msg)
    numbers = [int(part) for part in parts]
    if len(numbers) == 1:
        return numbers[0] * 60.0
    return float(sum(number * 60**i for i, number in enumerate(reversed(numbers))))
