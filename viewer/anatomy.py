"""Measures of a tile by its size: what shrinks, shrinks in a fixed order (console.md 7).  No Qt."""

from dataclasses import dataclass
from typing import Final

from viewer.paper import FHR_CM, TOCO_CM

LARGE: Final = (480, 320)
_NO_TOCO_BELOW: Final = 220


@dataclass(frozen=True, slots=True)
class Anatomy:
    """Measures of a tile size, px (console.md 7)."""

    pad_x: int
    pad_y: int
    head: int
    glyph: int
    code: int
    fhr: int
    numbers: int
    ribbon: int
    hours: int
    foot: int
    is_large: bool
    has_toco: bool


def anatomy(width: int, height: int) -> Anatomy:
    """Measures for a tile of this size: what shrinks, shrinks in a fixed order."""
    if width >= LARGE[0] and height >= LARGE[1]:
        return Anatomy(10, 9, 70, 62, 40, 50, 86, 26, 12, 25, is_large=True, has_toco=True)
    has_toco = height >= _NO_TOCO_BELOW
    return Anatomy(9, 7, 48, 42, 28, 38, 74, 20, 0, 24, is_large=False, has_toco=has_toco)


def strip_cm(width: int, height: int) -> float:
    """Scale of the strip on a tile of this size, pixels per centimetre of paper.

    One scale serves both axes, so a tile too high for its width does not use its height.
    """
    size = anatomy(width, height)
    lanes_cm = FHR_CM + (TOCO_CM if size.has_toco else 0.0)
    room = height - 2 * size.pad_y - size.head - size.ribbon - size.hours - size.foot - 7
    room -= 13 if size.is_large else 0
    minutes = 10.0 if size.is_large else 8.8 if size.has_toco else 7.3
    return max(1.0, min(room / lanes_cm, (width - 2 * size.pad_x - size.numbers - 4) / (3 * minutes)))
