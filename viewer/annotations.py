"""What stands above the traces of a strip: labels, clocks, alert lines, the hatch where nothing is known."""

from collections.abc import Sequence
from math import ceil, floor
from typing import Final

import numpy as np
from PySide6.QtCore import QLineF, QPointF, QRectF, Qt
from PySide6.QtGui import QBrush, QColor, QFontMetricsF, QPainter, QPen, QPolygonF

from hub.model import Alert, AlertPath, BedEvent, Channel, EventKind
from viewer.marks import alert_colors
from viewer.paper import Layout, span_box
from viewer.strip import FHR_AXIS, TWIN_OFFSET_BPM, Loss, Span, SpanKind, Stretch, StripContent
from viewer.texts import Texts, clock
from viewer.theme import Theme, color, font

_LETTERED_NOTE: Final = 12


def paint_marks(
    p: QPainter,
    lay: Layout,
    theme: Theme,
    texts: Texts,
    content: StripContent | None,
    loss_lines: Sequence[str] = (),
) -> None:
    """Labels, clocks, alert lines, and the hatch where nothing is known."""
    p.setRenderHint(QPainter.RenderHint.Antialiasing, False)
    if content is not None:
        p.save()
        p.setClipRect(QRectF(lay.left, 0, lay.width - lay.left, lay.height))
        tagged = [-1e9, -1e9]
        for alert in sorted(content.alerts, key=lambda a: a.raised_ms):
            if alert.path is not AlertPath.TECHNICAL:
                _paint_alert(p, lay, theme, texts, alert, tagged)
        taken = [-1e9, -1e9]
        for late in content.late:
            _paint_late(p, lay, theme, texts, late)
        _paint_spans(p, lay, theme, texts, content.spans, taken)
        for suspect in content.suspect:
            _paint_suspect(p, lay, theme, texts, suspect)
        if lay.is_full:
            _paint_gap_words(p, lay, theme, texts, content.gaps)
            _paint_events(p, lay, theme, texts, content.events)
        _paint_clamped(p, lay, theme, content)
        _paint_twin_note(p, lay, theme, content)
        if content.loss is not None and content.lost_from_ms is not None:
            _paint_loss(p, lay, theme, content.loss, content.lost_from_ms, loss_lines)
        p.restore()
    _paint_axes(p, lay, theme)


def _paint_spans(
    p: QPainter, lay: Layout, theme: Theme, texts: Texts, spans: tuple[Span, ...], taken: list[float]
) -> None:
    has_twins = any(span.fetus > 1 for span in spans)
    for span in sorted(spans, key=lambda s: s.from_ms):
        box = span_box(lay, span.from_ms, span.to_ms)
        if box is None:
            continue
        if span.kind is SpanKind.DECELERATION:
            ink = color(theme.deceleration_ink)
            pen = QPen(ink, 3)
            if span.is_doubtful:
                pen.setDashPattern([1.6, 1.2])
            p.setPen(pen)
            p.drawLine(QLineF(box.left(), box.bottom() - 1.5, box.right(), box.bottom() - 1.5))
        else:
            ink = color(theme.acceleration_ink)
            p.setPen(QPen(ink, 3))
            p.drawLine(QLineF(box.left(), box.top() + 1.5, box.right(), box.top() + 1.5))
        lines = _full_label(texts, span) if lay.is_full else [_letter(texts, span)]
        if lay.is_full and has_twins:
            lines[0] = f"{'ABC'[span.fetus - 1]} {lines[0]}"
        _paint_label(p, lay, theme, box, lines, ink, taken)


def _paint_label(
    p: QPainter, lay: Layout, theme: Theme, box: QRectF, lines: list[str], ink: QColor, taken: list[float]
) -> None:
    """Draw a label at the top of the lane, on the second row when it would touch its neighbour."""
    fonts = [font(14 if lay.is_full else 13, bold=True), font(12)]
    widths = [QFontMetricsF(f).horizontalAdvance(line) for f, line in zip(fonts, lines, strict=False)]
    width = max(widths) + (10 if lay.is_full else 2)
    height = 17.0 * len(lines) if lay.is_full else 15.0
    x = min(max(box.center().x() - width / 2, lay.left), lay.width - width - 2)
    row = 0 if x >= taken[0] else 1 if x >= taken[1] else None
    if row is None:
        return
    taken[row] = x + width + 2
    y = 3.0 + row * (height + 2)
    if lay.is_full:
        p.fillRect(QRectF(x, y, width, height), color(theme.paper))
        p.setPen(QPen(ink, 1))
        p.drawRect(QRectF(x, y, width, height))
    p.setPen(ink)
    for index, (line, face) in enumerate(zip(lines, fonts, strict=False)):
        p.setFont(face)
        p.drawText(
            QRectF(x, y + index * 16 - (0 if lay.is_full else 2), width, 17),
            Qt.AlignmentFlag.AlignCenter,
            line,
        )


def _letter(texts: Texts, span: Span) -> str:
    if span.kind is SpanKind.ACCELERATION:
        return texts("letter.acceleration")
    code = "running" if _is_running(span) else span.code
    mark = "?" if span.is_doubtful else "!" if span.severity == "severe" else ""
    return texts(f"letter.{code}") + mark


def _full_label(texts: Texts, span: Span) -> list[str]:
    if span.kind is SpanKind.ACCELERATION:
        return [texts("ui.acceleration")]
    if _is_running(span):
        title = texts("ui.deceleration_running")
    else:
        title = texts(f"kind.{span.code}.short")
        if span.severity != "ungraded":
            title = texts("ui.kind_severity", kind=title, severity=texts(f"severity.{span.severity}"))
    if span.is_doubtful:
        title += "?"
    key = "ui.event_doubtful" if span.is_doubtful else "ui.event_detail"
    key += "_ongoing" if span.is_ongoing else ""
    nadir = round(span.nadir_bpm)
    return [title, texts(key, duration=span.duration_s, nadir=nadir, readable=span.readable_percent)]


def _is_running(span: Span) -> bool:
    return span.is_ongoing and span.duration_s < 120


def _paint_late(p: QPainter, lay: Layout, theme: Theme, texts: Texts, late: Stretch) -> None:
    """Dotted rules and the time of arrival, at the bottom of the lane where no event has its letter."""
    box = span_box(lay, late.from_ms, late.to_ms)
    if box is None:
        return
    pen = QPen(color(theme.late_ink), 1.5, Qt.PenStyle.DotLine)
    p.setPen(pen)
    p.drawLine(box.topLeft(), box.topRight())
    p.drawLine(box.bottomLeft(), box.bottomRight())
    label = texts("ui.late_arrived", time=clock(late.note_ms))
    p.setFont(font(14 if lay.is_full else 12, bold=True))
    width = QFontMetricsF(p.font()).horizontalAdvance(label)
    if width <= max(box.width(), 40):
        beside_axis = 24 if lay.has_clock and not lay.is_full and box.left() < lay.left + 24 else 2
        p.drawText(
            box.adjusted(beside_axis, 0, 200, -4),
            Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignBottom,
            label,
        )


def _paint_twin_note(p: QPainter, lay: Layout, theme: Theme, content: StripContent) -> None:
    """Say by how much the second fetus is drawn higher than it beats."""
    if not np.isfinite(content.samples.channel(Channel.FHR2)).any():
        return
    p.setFont(font(13 if lay.is_full else 11, bold=True))
    p.setPen(color(theme.twin))
    p.drawText(
        lay.fhr.adjusted(0, 0, -4, -4),
        Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignBottom,
        f"B +{TWIN_OFFSET_BPM:.0f}",
    )


def _paint_suspect(p: QPainter, lay: Layout, theme: Theme, texts: Texts, suspect: Stretch) -> None:
    box = span_box(lay, suspect.from_ms, suspect.to_ms)
    if box is None:
        return
    x = lay.x(suspect.from_ms)
    p.setPen(QPen(color(theme.low), 1.5))
    p.drawLine(QLineF(x, lay.fhr.top(), x, lay.fhr.bottom()))
    if lay.is_full:
        p.setFont(font(12, bold=True))
        p.drawText(
            box.adjusted(4, 0, 200, -4),
            Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignBottom,
            texts("indeterminate.maternal_rate"),
        )


def _paint_gap_words(p: QPainter, lay: Layout, theme: Theme, texts: Texts, gaps: tuple[Stretch, ...]) -> None:
    p.setFont(font(12))
    for gap in gaps:
        box = span_box(lay, gap.from_ms, gap.to_ms)
        seconds = texts("ui.seconds", n=round((gap.to_ms - gap.from_ms) / 1000))
        words = f"{texts('alert.signal_loss.short')} {seconds}"
        if box is not None and (width := QFontMetricsF(p.font()).horizontalAdvance(words) + 8) < box.width():
            plate = QRectF(box.center().x() - width / 2, box.center().y() - 10, width, 20)
            p.fillRect(plate, color(theme.paper))
            p.setPen(color(theme.t2))
            p.drawText(plate, Qt.AlignmentFlag.AlignCenter, words)


def _paint_events(p: QPainter, lay: Layout, theme: Theme, texts: Texts, events: tuple[BedEvent, ...]) -> None:
    p.setFont(font(12, bold=True))
    for event in events:
        x = lay.x(event.t_ms)
        if not lay.left <= x <= lay.width:
            continue
        p.setPen(QPen(color(theme.accent), 1))
        p.drawLine(QLineF(x, lay.toco.top(), x, lay.toco.top() + 14))
        words = "▲" if event.kind is EventKind.MARKER else texts(f"event.{event.kind.value}")
        if event.text:
            note = event.text if len(event.text) <= _LETTERED_NOTE else event.text[:_LETTERED_NOTE] + "…"
            words = f"{words} {note}"
        p.drawText(QPointF(x + 3, lay.toco.top() + 12), words)


def _paint_clamped(p: QPainter, lay: Layout, theme: Theme, content: StripContent) -> None:
    """Draw a small triangle where a rate lies beyond the axis: clamped and marked, not hidden."""
    times = content.samples.times_s
    rates = content.samples.values[:3]
    p.setBrush(color(theme.trace))
    p.setPen(Qt.PenStyle.NoPen)
    low, high = FHR_AXIS
    for beyond, y, tip in ((rates > high, lay.fhr.top() + 1, -4.0), (rates < low, lay.fhr.bottom() - 1, 4.0)):
        at = np.flatnonzero(beyond.any(axis=0))
        for index in at[:: max(1, round(6 / max(lay.px_per_s / 4, 0.1)))]:
            x = lay.x(times[index] * 1000)
            if x >= lay.left:
                p.drawPolygon(QPolygonF([QPointF(x - 3, y - tip), QPointF(x + 3, y - tip), QPointF(x, y)]))
    p.setBrush(Qt.BrushStyle.NoBrush)


def _paint_alert(
    p: QPainter, lay: Layout, theme: Theme, texts: Texts, alert: Alert, taken: list[float]
) -> None:
    """Draw the line at the moment of an alert; its tag on the second row if it would touch the one before."""
    x = lay.x(alert.raised_ms)
    if not lay.left <= x <= lay.width:
        return
    ink, text = alert_colors(theme, alert)
    bottom = lay.toco.bottom() if lay.toco_cm else lay.fhr.bottom()
    p.setPen(QPen(ink, 2 if lay.is_full else 1))
    p.drawLine(QLineF(x, lay.fhr.top(), x, bottom))
    if lay.is_full and lay.toco_cm:
        words = texts("ui.alert_tag", time=clock(alert.raised_ms))
        p.setFont(font(12, bold=True))
        width = QFontMetricsF(p.font()).horizontalAdvance(words) + 8
        left = min(max(x - width / 2, lay.left), lay.width - width)
        row = 0 if left >= taken[0] else 1
        taken[row] = left + width + 2
        plate = QRectF(left, lay.toco.top() + 3 + 20 * row, width, 18)
        p.fillRect(plate, ink)
        p.setPen(text)
        p.drawText(plate, Qt.AlignmentFlag.AlignCenter, words)


def _paint_loss(
    p: QPainter, lay: Layout, theme: Theme, loss: Loss, from_ms: int, lines: Sequence[str]
) -> None:
    x = max(lay.left, lay.x(from_ms))
    if x >= lay.width:
        return
    bottom = lay.toco.bottom() if lay.toco_cm else lay.fhr.bottom()
    box = QRectF(x, 0, lay.width - x, bottom)
    ink = QColor(color(theme.hatch))
    if loss is Loss.STALE:
        p.fillRect(box, QBrush(ink, Qt.BrushStyle.BDiagPattern))
    else:
        p.fillRect(box, color(theme.surface2))
        p.fillRect(box, QBrush(ink, Qt.BrushStyle.FDiagPattern))
        p.fillRect(box.translated(1, 0), QBrush(ink, Qt.BrushStyle.FDiagPattern))
    p.setPen(QPen(color(theme.t2), 2))
    p.drawLine(QLineF(x, 0, x, bottom))
    if lines:
        _paint_plate(p, lay, theme, box, lines)


def _paint_plate(p: QPainter, lay: Layout, theme: Theme, box: QRectF, lines: Sequence[str]) -> None:
    """Words on a plain plate in the middle of a hatched box."""
    height = 24.0 * len(lines) + 4
    width = max(QFontMetricsF(font(14, bold=True)).horizontalAdvance(line) for line in lines) + 16
    plate = QRectF(box.center().x() - width / 2, box.center().y() - height / 2, width, height)
    plate.moveRight(min(plate.right(), lay.width - 4))
    p.fillRect(plate, color(theme.surface))
    for index, line in enumerate(lines):
        p.setFont(font(14, bold=index == 0))
        p.setPen(color(theme.t1 if index == 0 else theme.t2))
        p.drawText(
            QRectF(plate.x(), plate.y() + 2 + index * 24, width, 24), Qt.AlignmentFlag.AlignCenter, line
        )


def _paint_axes(p: QPainter, lay: Layout, theme: Theme) -> None:
    p.setPen(color(theme.t2 if lay.is_full else theme.t3))
    p.setFont(font(13 if lay.is_full else 11))
    right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
    if lay.is_full:
        for bpm in range(30, 241, 30):
            y = min(max(lay.y_fhr(bpm), 7), lay.fhr.bottom() - 7)
            p.drawText(QRectF(0, y - 8, lay.left - 5, 16), right, str(bpm))
        for units in (0, 25, 50, 75, 100) if lay.toco_cm else ():
            y = min(max(lay.y_toco(units), lay.toco.top() + 7), lay.toco.bottom() - 7)
            p.drawText(QRectF(0, y - 8, lay.left - 5, 16), right, str(units))
    elif lay.has_clock:
        for bpm in (60, 120, 180):
            p.drawText(QPointF(1, lay.y_fhr(bpm) + 4), str(bpm))
    if lay.has_clock:
        every_s = 60 if lay.is_full and lay.cm_per_min >= 3 else 300 if lay.is_full else 120
        top = lay.toco.bottom() if lay.toco_cm else lay.fhr.bottom()
        left_s = lay.right_s - lay.span_s
        for t_s in range(ceil(left_s / every_s) * every_s, floor(lay.right_s) + 1, every_s):
            x = lay.x(t_s * 1000)
            if lay.left + 16 <= x <= lay.width - (16 if lay.is_full else 44):
                p.drawText(
                    QRectF(x - 24, top, 48, 20 if lay.is_full else 13),
                    Qt.AlignmentFlag.AlignCenter,
                    clock(t_s * 1000),
                )
