"""One bed on the wall: glyph, code, time at level, strip, numbers, ribbon, age."""

from collections.abc import Sequence
from typing import Final

from PySide6.QtCore import QPointF, QRect, QRectF, Qt, Signal
from PySide6.QtGui import (
    QFontMetricsF,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QRegion,
    QResizeEvent,
)
from PySide6.QtWidgets import QWidget

from hub.model import Alert, Priority
from viewer.anatomy import anatomy, strip_cm
from viewer.face import Face, Freshness, Look, Number, find_freshness, make_face
from viewer.glyphs import draw_glyph
from viewer.marks import alert_colors, draw_number, draw_signal, draw_test_mark, text_right
from viewer.paper import TOCO_CM
from viewer.ribbon import draw_ribbon
from viewer.state import Bed, Key, Wall
from viewer.strip import Loss, live_content
from viewer.texts import Texts, elapsed
from viewer.theme import Theme, color, font
from viewer.traces import Strip
from viewer.words import (
    MARKS,
    acknowledged_words,
    age_words,
    alert_tone,
    alert_words,
    bed_ribbon,
    describe_bed,
    level_words,
    loss_words,
    scale_words,
)

FLASH_HZ: Final = {Priority.HIGH: 2.0, Priority.MEDIUM: 0.6}
"""Border flash of an unacknowledged alert, half the time on (clinical-rules.md 8.1)."""
_LOOK_S: Final = 1.05
"""Longest time between two looks at a bed of which nothing new has come: its age grows all the same."""
_BORDER: Final = 9
"""What flashes lies within this many pixels of the edge."""
RIBBON_HOURS: Final = (4, 8, 12)


class Tile(QWidget):
    """A bed on the wall; `refresh` is called by the wall's timer."""

    opened = Signal(str)
    """The bed's key: show it in full."""

    def __init__(self, key: Key, theme: Theme, texts: Texts, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.key = key
        self._theme, self._texts = theme, texts
        self._size = anatomy(514, 333)
        self.strip = Strip(theme, texts, parent=self)
        self._bed: Bed | None = None
        self.face: Face | None = None
        self._alert: Alert | None = None
        self._acknowledged: Alert | None = None
        self._now_s = 0.0
        self._hub_ms = 0
        self._seen: tuple[object, ...] = ()
        self._look: tuple[object, ...] = ()
        self._alerts: tuple[Alert, ...] = ()
        self.is_selected = False
        self._is_flash_on = True
        self.px_per_cm = 42.9
        self.ribbon_h = RIBBON_HOURS[0]
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setCursor(Qt.CursorShape.PointingHandCursor)

    # -------------------------------------------------------------- what is shown

    def set_theme(self, theme: Theme) -> None:
        """Take the colours of a theme."""
        self._theme = theme
        self.strip.set_theme(theme)
        self.update()

    def retext(self) -> None:
        """Draw again in the language now chosen."""
        self._seen = self._look = ()
        self.update()

    def set_selected(self, is_selected: bool) -> None:
        """Mark the tile that the keyboard is on."""
        if is_selected != self.is_selected:
            self.is_selected = is_selected
            self._update_around()

    def refresh(self, wall: Wall, now_s: float) -> bool:
        """Take what may be shown now; True if the strip was drawn again."""
        bed = self._bed = wall.beds[self.key]
        look = (bed.view_revision, wall.alert_revision, find_freshness(wall, bed, now_s))
        if look != self._look or now_s - self._now_s > _LOOK_S:
            self._look = look
            self._look_again(wall, bed, now_s)
        self._flash(now_s)
        edge_ms = bed.edge_ms(now_s)
        pixel = None if edge_ms is None else int(edge_ms / 1000 * self.strip.geometry_px.px_per_s)
        lost_s = int(now_s) if self.face is not None and self.face.lost_ms else 0
        seen = (bed.revision, *look[1:], pixel, lost_s)
        if seen == self._seen or self.face is None:
            return False
        self._seen = seen
        self._draw_strip(bed, self.face, edge_ms)
        return True

    def _look_again(self, wall: Wall, bed: Bed, now_s: float) -> None:
        self._now_s = now_s
        self._hub_ms = wall.now_ms(now_s)
        self.face = make_face(wall, bed, now_s)
        waiting, answered = wall.waiting_at(self.key), wall.acknowledged_at(self.key)
        self._alerts = (*waiting, *answered)
        self._alert = waiting[0] if waiting else None
        self._acknowledged = answered[0] if answered else None
        self._update_around()

    def _draw_strip(self, bed: Bed, face: Face, edge_ms: int | None) -> None:
        if edge_ms is None:
            self.strip.show_content(None, self._hub_ms, with_mhr=False)
            return
        from_ms = edge_ms - round(self.strip.span_s * 1000)
        content = live_content(bed, face, self._alerts, from_ms, edge_ms)
        lines: Sequence[str] = ()
        if content.loss in (Loss.SITE_DARK, Loss.HUB_DARK):
            site = bed.view.site_name or bed.view.site
            lines = loss_words(self._texts, content.loss, site, face, is_short=not self._size.is_large)
        self.strip.show_content(content, edge_ms, with_mhr=face.is_maternal, loss_lines=lines)

    def _flash(self, now_s: float) -> None:
        hertz = FLASH_HZ.get(self._alert.priority) if self._alert else None
        is_on = hertz is None or (now_s * hertz) % 1.0 < 0.5
        if is_on != self._is_flash_on:
            self._is_flash_on = is_on
            border = QRegion(self.rect()).subtracted(QRegion(self._inside))
            self.update(border)

    @property
    def _inside(self) -> QRect:
        return self.rect().adjusted(_BORDER, _BORDER, -_BORDER, -_BORDER)

    def _update_around(self) -> None:
        """Ask for everything but the strip to be painted again."""
        self.update(QRegion(self.rect()).subtracted(QRegion(self.strip.geometry())))

    # -------------------------------------------------------------------- geometry

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 - Qt's name
        super().resizeEvent(event)
        self._size = size = anatomy(self.width(), self.height())
        top = size.pad_y + size.head
        height = self.height() - top - size.ribbon - size.hours - size.foot - size.pad_y - 2
        self.strip.use_layout(
            has_clock=size.is_large,
            toco_cm=TOCO_CM if size.has_toco else 0.0,
            cm_per_min=3.0,
            max_cm=strip_cm(self.width(), self.height()),
        )
        self.strip.setGeometry(
            QRect(size.pad_x, top, self.width() - 2 * size.pad_x - size.numbers - 4, height)
        )
        self._seen = ()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:  # noqa: N802 - Qt's name
        if event.button() is Qt.MouseButton.LeftButton and self.rect().contains(event.position().toPoint()):
            self.opened.emit(self.key)

    # -------------------------------------------------------------------- painting

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        p = QPainter(self)
        p.setRenderHint(QPainter.RenderHint.Antialiasing)
        p.fillRect(self.rect(), color(self._theme.bg))
        self._paint_border(p)
        is_more_than_border = event.region().intersects(self._inside)
        if is_more_than_border and self._bed is not None and self.face is not None:
            self._paint_head(p, self._bed, self.face)
            self._paint_numbers(p, self.face)
            self._paint_ribbon(p, self._bed, self.face)
            self._paint_foot(p, self._bed, self.face)
        p.end()

    def _paint_border(self, p: QPainter) -> None:
        theme = self._theme
        width = 7 if self._size.is_large else 5
        box = QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5)
        p.setPen(Qt.PenStyle.NoPen)
        p.setBrush(color(theme.surface))
        p.drawRoundedRect(box, 4, 4)
        p.setBrush(Qt.BrushStyle.NoBrush)
        is_known = self.face is not None and self.face.freshness is not Freshness.HUB_DARK
        if self._alert is not None and is_known and self._is_flash_on:
            ink, _ = alert_colors(theme, self._alert)
            if alert_tone(self._alert) == "medium" and not theme.is_night:
                # Yellow alone is too faint on white: a dark key line carries it.
                p.setPen(QPen(color(theme.t1), 2))
                p.drawRoundedRect(box, 7, 7)
            p.setPen(QPen(ink, width))
            p.drawRoundedRect(box.adjusted(width / 2, width / 2, -width / 2, -width / 2), 6, 6)
        elif self.is_selected:
            p.setPen(QPen(color(theme.accent), 2))
            p.drawRoundedRect(box.adjusted(1, 1, -1, -1), 5, 5)

    def _paint_head(self, p: QPainter, bed: Bed, face: Face) -> None:
        size, theme, texts = self._size, self._theme, self._texts
        x, y = float(size.pad_x), float(size.pad_y)
        draw_glyph(p, theme, face.glyph, x, y + 1, size.glyph, grey=face.is_grey)
        x += size.glyph + 8
        baseline = y + size.code * 0.92
        end = x
        if bed.is_namesake:
            p.setPen(color(theme.t2))
            p.setFont(font(size.code // 2, bold=True))
            p.drawText(QPointF(x, baseline), bed.view.site)
            end += QFontMetricsF(p.font()).horizontalAdvance(bed.view.site) + 6
        # The code is never cut: whatever else stands in the line gives way to it.
        p.setPen(color(theme.t1))
        p.setFont(font(size.code, bold=True))
        p.drawText(QPointF(end, baseline), bed.label)
        end += QFontMetricsF(p.font()).horizontalAdvance(bed.label)
        if face.is_test and size.is_large:
            end = draw_test_mark(p, theme, texts, end + 9, baseline - 26)
        right = self._paint_right(p, face, end + 10)
        below = y + size.head - (9 if size.is_large else 5)
        if face.is_test and not size.is_large:
            x = draw_test_mark(p, theme, texts, x, below - 12, height=15) + 6
        p.setPen(color(theme.t2))
        p.setFont(font(15 if size.is_large else 13))
        line = describe_bed(bed, is_short=not size.is_large)
        line = QFontMetricsF(p.font()).elidedText(line, Qt.TextElideMode.ElideRight, max(right - x - 6, 40.0))
        p.drawText(QPointF(x, below), line)

    def _paint_right(self, p: QPainter, face: Face, least: float) -> float:
        """Time at level, or the alert, right of `least`; returns the left edge of the second line."""
        size, theme, texts = self._size, self._theme, self._texts
        right = self.width() - size.pad_x - (0 if self._alert is None else 4)
        top = float(size.pad_y) + (2 if self._alert is None else 6)
        if self._alert is not None:
            return self._paint_alert(p, self._alert, right, top, least)
        title, line = level_words(texts, face, self._edge_ms(), is_short=not size.is_large)
        text_right(p, title, font(25 if size.is_large else 19, bold=True), color(theme.t1), right, top, 30)
        below = top + (34 if size.is_large else 24)
        face_below = font(14 if size.is_large else 12, bold=self._acknowledged is not None)
        if self._acknowledged is not None:
            line = "✓ " + acknowledged_words(texts, self._acknowledged, with_clock=size.is_large)
        room = right - least + (0 if size.is_large else 20)
        line = QFontMetricsF(face_below).elidedText(line, Qt.TextElideMode.ElideRight, max(room, 80.0))
        return text_right(p, line, face_below, color(theme.t2), right, below, 20)

    def _paint_alert(self, p: QPainter, alert: Alert, right: float, top: float, least: float) -> float:
        size, theme, texts = self._size, self._theme, self._texts
        fill, ink = alert_colors(theme, alert)
        if self.face is not None and self.face.freshness is Freshness.HUB_DARK:
            fill, ink = color(theme.line), color(theme.t2)  # it stood when the hub fell silent
        words = f"{MARKS[alert.priority]} {alert_words(texts, alert, is_short=not size.is_large)}"
        p.setFont(font(16 if size.is_large else 13, bold=True))
        widest = right - least - 12
        words = QFontMetricsF(p.font()).elidedText(words, Qt.TextElideMode.ElideRight, widest)
        width = QFontMetricsF(p.font()).horizontalAdvance(words) + 12
        height = 26.0 if size.is_large else 21.0
        chip = QRectF(right - width, top, width, height)
        p.setPen(Qt.PenStyle.NoPen)
        p.setBrush(fill)
        p.drawRoundedRect(chip, 3, 3)
        p.setPen(ink)
        p.drawText(chip, Qt.AlignmentFlag.AlignCenter, words)
        since = texts("ui.unacknowledged_for", age=elapsed((self._hub_ms - alert.raised_ms) / 1000))
        if not alert.is_present and size.is_large:
            since = texts("ui.latched") + " · " + since
        return text_right(
            p,
            since,
            font(14 if size.is_large else 12, bold=True),
            color(theme.t1),
            right,
            top + height + 2,
            20,
        )

    def _paint_numbers(self, p: QPainter, face: Face) -> None:
        size, theme, texts = self._size, self._theme, self._texts
        right = float(self.width() - size.pad_x)
        top = float(self.strip.y())
        small = font(12)
        first = (
            face.fetuses[0].fhr
            if face.fetuses
            else Number(Look.GONE if face.freshness >= Freshness.STALE else Look.UNKNOWN)
        )
        label = "FHR" if size.is_large else ""  # a small tile has no line to spare for what every tile says
        if face.freshness is Freshness.MARKED and face.age_s is not None:
            label = texts("ui.ago", age=texts("ui.seconds", n=int(face.age_s)))
        elif len(face.fetuses) > 1 and size.is_large:
            label = texts("ui.fetus_short", name="A")
        rows: list[tuple[str, Number]] = []
        if len(face.fetuses) > 1:
            rows.append((texts("ui.fetus_short", name="B"), face.fetuses[1].fhr))
        rows += [
            (texts("ui.maternal" if size.is_large else "ui.maternal_short"), face.mhr),
            (texts("ui.contractions_10" if size.is_large else "ui.contractions_short"), face.contractions),
        ]
        if size.is_large:
            rows.append(("Toco", face.toco))
        text_right(p, label, small, color(theme.t3), right, top - (4 if size.is_large else 3), 16)
        y = top + (12 if label else -2)
        step = 27.0 if size.is_large else 21.0
        # Nothing is dropped for want of height: all of it shrinks together.
        room = self.strip.geometry().bottom() + 2 - y
        share = min(1.0, room / (size.fhr * 1.08 + step * len(rows)))
        draw_number(p, theme, first, right, y, round(size.fhr * share))
        y += size.fhr * 1.08 * share
        step *= share
        pixels = round((20 if size.is_large else 17) * share)
        for label, number in rows:
            is_bold = face.is_tachysystole and number is face.contractions
            left = draw_number(p, theme, number, right, y, pixels, bold=is_bold, plain=True)
            # Labels stand in one column, and give way to three figures.
            text_right(p, label, small, color(theme.t3), min(left, right - 26) - 4, y + step / 2 - 9, 18)
            y += step

    def _paint_ribbon(self, p: QPainter, bed: Bed, face: Face) -> None:
        size = self._size
        edge_ms = self._edge_ms()
        if edge_ms is None:
            return
        top = float(self.height() - size.pad_y - size.foot - size.hours - size.ribbon)
        box = QRectF(size.pad_x, top, self.width() - 2 * size.pad_x, size.ribbon)
        draw_ribbon(
            p,
            self._theme,
            box,
            bed_ribbon(bed),
            edge_ms - self.ribbon_h * 3_600_000,
            edge_ms,
            window=(edge_ms - self.strip.span_s * 1000, edge_ms),
            dark_from_ms=face.lost_ms,
            hours=size.is_large,
        )

    def _paint_foot(self, p: QPainter, bed: Bed, face: Face) -> None:
        size, theme, texts = self._size, self._theme, self._texts
        y = float(self.height() - size.pad_y - size.foot)
        box = QRectF(size.pad_x, y + 4, self.width() - 2 * size.pad_x, size.foot - 4)
        is_bad = face.freshness is not Freshness.LIVE
        p.setFont(font(14 if size.is_large else 12, bold=is_bad))
        p.setPen(color(theme.t1 if is_bad else theme.t2))
        age = age_words(texts, face)
        p.drawText(box, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, age)
        x = box.left() + QFontMetricsF(p.font()).horizontalAdvance(age) + 14
        x = draw_signal(p, theme, x, box.center().y(), face.signal_fraction) + 5
        p.setFont(font(14 if size.is_large else 12, bold=face.is_poor_signal))
        p.setPen(color(theme.t1 if face.is_poor_signal else theme.t2))
        percent = "–" if face.signal_fraction is None else f"{face.signal_fraction:.0%}"
        p.drawText(QRectF(x, box.top(), 60, box.height()), Qt.AlignmentFlag.AlignVCenter, percent)
        if size.is_large:
            text_right(
                p,
                scale_words(self.strip.cm, self.px_per_cm),
                font(12),
                color(theme.t3),
                box.right(),
                box.top() + 1,
                box.height(),
            )

    def _edge_ms(self) -> int | None:
        return None if self._bed is None else self._bed.edge_ms(self._now_s)
