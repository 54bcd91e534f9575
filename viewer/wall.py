"""The wall: every bed in the order site, bed; nothing moves unless a person moves it."""

from math import ceil
from typing import Final

from PySide6.QtCore import QRect, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QWidget

from viewer.anatomy import anatomy, strip_cm
from viewer.state import Key, Wall
from viewer.texts import Texts
from viewer.theme import Theme
from viewer.tile import Tile

GAP: Final = 10
LEAST: Final = (340, 180)
"""Smallest tile that still carries a strip (size M)."""
_MOST: Final = (760, 400)
_MAX_COLUMNS: Final = 6


def choose_grid(n_beds: int, width: int, height: int) -> tuple[int, int]:
    """Columns and rows that give every bed the largest strip; more beds than fit go to the next page."""
    widest = max(1, min(_MAX_COLUMNS, (width + GAP) // (LEAST[0] + GAP)))
    highest = max(1, (height + GAP) // (LEAST[1] + GAP))
    best = (widest, highest)
    if n_beds > widest * highest:
        return best
    best_score = -1.0
    for columns in range(1, widest + 1):
        rows = max(1, ceil(n_beds / columns))
        if rows > highest:
            continue
        tile_w = min((width + GAP) / columns - GAP, _MOST[0])
        tile_h = min((height + GAP) / rows - GAP, _MOST[1])
        size = anatomy(int(tile_w), int(tile_h))
        # What a tile can hold comes first, then the scale of its strip.
        score = 1000.0 * (size.is_large + size.has_toco) + strip_cm(int(tile_w), int(tile_h))
        if score > best_score:
            best, best_score = (columns, rows), score
    return best


class WallView(QWidget):
    """The grid of tiles, in pages."""

    opened = Signal(str)
    paged = Signal()
    """Another page, or another number of pages."""

    def __init__(self, theme: Theme, texts: Texts, px_per_cm: float, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme, self._texts = theme, texts
        self._px_per_cm = px_per_cm
        self.tiles: dict[Key, Tile] = {}
        self._order: list[Key] = []
        self.page = 0
        self.selected: Key | None = None
        self._grid = (4, 4)

    @property
    def pages(self) -> int:
        """Number of pages."""
        return max(1, ceil(len(self._order) / (self._grid[0] * self._grid[1])))

    def set_theme(self, theme: Theme) -> None:
        """Take the colours of a theme."""
        self._theme = theme
        for tile in self.tiles.values():
            tile.set_theme(theme)

    def retext(self) -> None:
        """Draw again in the language now chosen."""
        for tile in self.tiles.values():
            tile.retext()

    def refresh(self, wall: Wall, now_s: float) -> int:
        """Show what may be shown now; returns how many strips were drawn again."""
        keys = wall.bed_keys()
        if keys != self._order:
            self._order = keys
            for key in keys:
                if key not in self.tiles:
                    tile = self.tiles[key] = Tile(key, self._theme, self._texts, self)
                    tile.px_per_cm = self._px_per_cm
                    tile.opened.connect(self.opened)
            if self.selected is None and keys:
                self.select(keys[0])
            self._place()
        return sum(self.tiles[key].refresh(wall, now_s) for key in self._shown())

    def select(self, key: Key) -> None:
        """Put the keyboard on a bed and turn to its page."""
        self.selected = key
        for each, tile in self.tiles.items():
            tile.set_selected(each == key)
        per_page = self._grid[0] * self._grid[1]
        if key in self._order and self._order.index(key) // per_page != self.page:
            self.turn(self._order.index(key) // per_page)

    def step(self, columns: int, rows: int = 0) -> None:
        """Move the selection in reading order."""
        if not self._order:
            return
        at = self._order.index(self.selected) if self.selected in self._order else 0
        at = min(max(at + columns + rows * self._grid[0], 0), len(self._order) - 1)
        self.select(self._order[at])

    def turn(self, page: int) -> None:
        """Turn to a page."""
        self.page = min(max(page, 0), self.pages - 1)
        self._place()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 - Qt's name
        super().resizeEvent(event)
        self._place()

    def _shown(self) -> list[Key]:
        per_page = self._grid[0] * self._grid[1]
        return self._order[self.page * per_page : (self.page + 1) * per_page]

    def _place(self) -> None:
        self._grid = columns, rows = choose_grid(len(self._order), self.width(), self.height())
        self.page = min(self.page, self.pages - 1)
        shown = self._shown()
        width = min((self.width() + GAP) // columns - GAP, _MOST[0])
        height = min((self.height() + GAP) // rows - GAP, _MOST[1])
        for index, key in enumerate(shown):
            row, column = divmod(index, columns)
            self.tiles[key].setGeometry(QRect(column * (width + GAP), row * (height + GAP), width, height))
            self.tiles[key].show()
        for key, tile in self.tiles.items():
            if key not in shown:
                tile.hide()
        self.paged.emit()
