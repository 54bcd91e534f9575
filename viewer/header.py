"""The header: who we are, census of levels, sites, delay, scale, clock; red when the hub is dark."""

from collections import Counter
from dataclasses import dataclass

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QFontMetricsF, QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget

from hub.model import SiteState
from viewer.face import Freshness, Glyph, make_face
from viewer.glyphs import draw_glyph
from viewer.marks import text_right
from viewer.state import Wall
from viewer.texts import JAPAN, Texts, clock, elapsed
from viewer.theme import Theme, color, font

HEIGHT = 58
_WIDE = 2200
"""From here on there is room for both languages in the title."""
_CENSUS = (
    Glyph.LEVEL_1,
    Glyph.LEVEL_2,
    Glyph.LEVEL_3,
    Glyph.LEVEL_4,
    Glyph.LEVEL_5,
    Glyph.UNKNOWN,
    Glyph.DARK,
)


@dataclass(frozen=True, slots=True)
class Census:
    """Counts over all beds at one moment; a greyed glyph counts as unknown."""

    levels: tuple[tuple[Glyph, int], ...]
    sites_up: int
    sites: int
    sites_down: tuple[str, ...]
    delay_s: tuple[float, float] | None
    is_test: bool


def take_census(wall: Wall, now_s: float) -> Census:
    """Count what may be shown of every bed, on whatever page it is."""
    counts: Counter[Glyph] = Counter()
    ages: list[float] = []
    sites: dict[str, bool] = {}
    names: dict[str, str] = {}
    for bed in wall.beds.values():
        face = make_face(wall, bed, now_s)
        counts[Glyph.UNKNOWN if face.is_grey else face.glyph] += 1
        site = bed.view.site
        names[site] = bed.view.site_name or site
        sites[site] = sites.get(site, True) and bed.view.vitals.link is not SiteState.OFFLINE
        if face.freshness <= Freshness.MARKED and face.age_s is not None:
            ages.append(face.age_s)
    return Census(
        levels=tuple((glyph, counts[glyph]) for glyph in _CENSUS),
        sites_up=sum(sites.values()),
        sites=len(sites),
        sites_down=tuple(sorted(names[site] for site, is_up in sites.items() if not is_up)),
        delay_s=(min(ages), max(ages)) if ages else None,
        is_test=any(bed.view.vitals.is_test for bed in wall.beds.values()),
    )


class Header(QWidget):
    """Top line of the window; `refresh` is called by its timer."""

    def __init__(self, theme: Theme, texts: Texts) -> None:
        super().__init__()
        self._theme, self._texts = theme, texts
        self._census: Census | None = None
        self._silent_s: float | None = None
        self._is_dark = True
        self._hub_ms = 0
        self._page = (1, 1)
        self.scale = ""
        self.setFixedHeight(HEIGHT)

    def set_theme(self, theme: Theme) -> None:
        """Take the colours of a theme."""
        self._theme = theme
        self.update()

    def refresh(self, wall: Wall, now_s: float, page: tuple[int, int]) -> None:
        """Show how things stand."""
        self._census = take_census(wall, now_s)
        self._silent_s = wall.silent_s(now_s)
        self._is_dark = wall.is_dark(now_s)
        self._hub_ms = wall.now_ms(now_s)
        self._page = page
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        theme = self._theme
        p = QPainter(self)
        p.fillRect(self.rect(), color(theme.surface))
        p.setPen(color(theme.line))
        p.drawLine(0, HEIGHT - 1, self.width(), HEIGHT - 1)
        x = self._title(p)
        if not self._is_dark:
            x = self._census_row(p, x + 24)
        right = text_right(
            p,
            clock(self._hub_ms, seconds=True) if self._hub_ms else "--:--:--",
            font(36, bold=True),
            color(theme.t3 if self._is_dark else theme.t1),
            text_right(p, str(JAPAN), font(12), color(theme.t3), self.width() - 12.0, 24, 18) - 6,
            4,
            50,
        )
        if self._is_dark:
            self._paint_dark(p, x + 16, right - 24)
        else:
            self._paint_status(p, x + 20, right - 28)
        p.end()

    def _title(self, p: QPainter) -> float:
        theme, texts = self._theme, self._texts
        title, line = texts("ui.title"), texts("ui.not_a_diagnosis")
        p.setPen(color(theme.t1))
        p.setFont(font(20, bold=True))
        p.drawText(QPointF(14, 28), title)
        width = QFontMetricsF(p.font()).horizontalAdvance(title)
        p.setFont(font(13))
        p.setPen(color(theme.t2))
        if self.width() >= _WIDE:
            line = f"{line}  {texts.beside('ui.not_a_diagnosis')}"
        p.drawText(QPointF(14, 47), line)
        width = max(width, QFontMetricsF(p.font()).horizontalAdvance(line))
        if self._census is not None and self._census.is_test:
            words = texts("ui.test_data")
            p.setFont(font(14, bold=True))
            box = QRectF(14 + width + 14, 14, QFontMetricsF(p.font()).horizontalAdvance(words) + 16, 30)
            p.setPen(color(theme.t2))
            p.drawRoundedRect(box, 3, 3)
            p.drawText(box, Qt.AlignmentFlag.AlignCenter, words)
            return box.right()
        return 14 + width

    def _census_row(self, p: QPainter, x: float) -> float:
        for glyph, count in self._census.levels if self._census else ():
            draw_glyph(p, self._theme, glyph, x, 15, 28)
            p.setPen(color(self._theme.t1))
            p.setFont(font(24, bold=count > 0))
            p.drawText(QPointF(x + 35, 38), str(count))
            x += 44 + QFontMetricsF(p.font()).horizontalAdvance(str(count))
        return x

    def _paint_status(self, p: QPainter, left: float, right: float) -> None:
        census, texts = self._census, self._texts
        if census is None:
            return
        sites = f"{census.sites_up} / {census.sites}"
        if census.sites_down:
            sites += " · " + texts("ui.sites_down", names="・".join(census.sites_down[:2]))
        delay = "–" if census.delay_s is None else f"{census.delay_s[0]:.1f}–{census.delay_s[1]:.1f}"
        columns = [
            ("ui.sites", sites),
            ("ui.delay", texts("ui.seconds", n=delay) if census.delay_s else "–"),
            ("ui.scale", self.scale),
            ("ui.sound", texts("viewer.sound_none")),
            ("ui.order", texts("ui.order_site")),
        ]
        if not self.scale:  # an open bed prints its own
            del columns[2]
        if self._page[1] > 1:
            columns.insert(1, ("ui.list", texts("ui.page", n=f"{self._page[0]} / {self._page[1]}")))
        heads = [f"{texts(key)} {texts.beside(key)}" for key, _ in columns]
        widths = [
            max(
                QFontMetricsF(font(12)).horizontalAdvance(head),
                QFontMetricsF(font(16, bold=True)).horizontalAdvance(value),
            )
            + 26
            for head, (_, value) in zip(heads, columns, strict=True)
        ]
        # What is cut off and how old the data are stands first; what does not fit is left out from the end.
        shown = len(columns)
        while shown > 1 and sum(widths[:shown]) > right - left:
            shown -= 1
        for head, (_, value), width in reversed(list(zip(heads, columns, widths, strict=True))[:shown]):
            text_right(p, head, font(12), color(self._theme.t3), right, 8, 18)
            text_right(p, value, font(16, bold=True), color(self._theme.t1), right, 27, 22)
            right -= width

    def _paint_dark(self, p: QPainter, left: float, right: float) -> None:
        theme, texts = self._theme, self._texts
        box = QRectF(left, 7, max(120.0, right - left), HEIGHT - 15)
        p.setPen(Qt.PenStyle.NoPen)
        p.setBrush(color(theme.high))
        p.drawRoundedRect(box, 4, 4)
        p.setPen(color(theme.high_ink))
        if self._silent_s is None:
            title = texts("ui.no_data")
        else:
            title = texts("ui.hub_silent", age=elapsed(self._silent_s))
        p.setFont(font(19, bold=True))
        p.drawText(box.adjusted(14, 3, -8, -19), Qt.AlignmentFlag.AlignVCenter, title)
        p.setFont(font(13))
        p.drawText(box.adjusted(14, 24, -8, 0), Qt.AlignmentFlag.AlignVCenter, texts("ui.hub_silent_do"))
