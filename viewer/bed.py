"""One bed in full: strip with scroll-back over the whole record, why it has its level, what to do."""

from dataclasses import dataclass
from typing import Final

from PySide6.QtCore import QUrl, Signal
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QHBoxLayout, QTextBrowser, QVBoxLayout, QWidget

from hub.errors import WireError
from hub.model import GRID_MS, Alert
from viewer.banner import BedBanner, BedHead
from viewer.face import Face, Freshness, make_face
from viewer.link import Answer
from viewer.lists import log_html, segments_html
from viewer.neighbours import Neighbours
from viewer.overview import Overview
from viewer.panels import StripTools, panel_of, text_browser, title_label
from viewer.records import PastStrip, Record, decode_overview, decode_strip, strip_path
from viewer.state import Bed, Key, Wall, worst_level
from viewer.strip import HATCH_S, Loss, live_content
from viewer.texts import Texts, clock, elapsed
from viewer.theme import Theme
from viewer.traces import Strip
from viewer.why import reading_of, response_html, why_html
from viewer.words import bed_ribbon, both, loss_words, scale_words

LEAST_MIN: Final = 10.5
"""A whole 10-minute segment fits on the strip without zooming."""
_RECORD_MS: Final = 12 * 3_600_000
_RECORD_STEP_MS: Final = 30_000
_RECORD_EVERY_S: Final = 60.0
_RECORD_BINS: Final = 1200
_ASK_EVERY_S: Final = 0.5
_LEAST_RECORD_MS: Final = 3_600_000


@dataclass(frozen=True, slots=True)
class StripWanted:
    """Token of a request for a stretch of the past."""

    key: Key
    from_ms: int
    to_ms: int


@dataclass(frozen=True, slots=True)
class RecordWanted:
    """Token of a request for the envelope of the whole record."""

    key: Key


class BedView(QWidget):
    """The open bed; the neighbours stay in sight, and alerts on top of everything."""

    closed = Signal()
    opened = Signal(str)
    acknowledged = Signal(str, object)
    wanted = Signal(object, str)
    """A request for the hub: token and path."""

    def __init__(self, theme: Theme, texts: Texts, px_per_cm: float) -> None:
        super().__init__()
        self.key: Key | None = None
        self._theme, self._texts, self._px_per_cm = theme, texts, px_per_cm
        self._right_ms: int | None = None
        self._past: PastStrip | None = None
        self._past_error = ""
        self._record: Record | None = None
        self._asked: StripWanted | None = None
        self._asked_s = -1e9
        self._record_s = -1e9
        self._edge_ms = 0
        self._drawn: tuple[object, ...] = ()
        self._why = ""
        self.neighbours = Neighbours(theme, texts)
        self.neighbours.opened.connect(self.opened)
        self.head = BedHead(theme, texts)
        self.banner = BedBanner(theme, texts)
        self.banner.acknowledged.connect(self.acknowledged)
        self.strip = Strip(theme, texts, is_full=True)
        self.overview = Overview(theme)
        self.overview.moved.connect(self._centre)
        self.live_strip = Strip(theme, texts)
        self._build()
        self.retext()

    def _build(self) -> None:
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(10)
        row.addWidget(self.neighbours)
        middle = QVBoxLayout()
        middle.setContentsMargins(0, 10, 0, 10)
        middle.setSpacing(10)
        middle.addWidget(self.banner)
        self._tools = StripTools()
        self._tools.speed.clicked.connect(self.switch_speed)
        self._tools.live.clicked.connect(lambda: self.go_live())
        self._strip_panel = panel_of(self._tools, self.strip)
        middle.addWidget(self._strip_panel, 9)
        self._record_title = title_label()
        record = panel_of(self._record_title, self.overview)
        record.setMinimumHeight(150)
        record.setMaximumHeight(190)
        middle.addWidget(record, 2)
        self._segments_title, self._segments_text = title_label(), text_browser()
        self._segments_text.anchorClicked.connect(self._follow)
        self._log_title, self._log_text = title_label(), text_browser()
        lists = QHBoxLayout()
        lists.setSpacing(10)
        lists.addWidget(panel_of(self._segments_title, self._segments_text), 13)
        lists.addWidget(panel_of(self._log_title, self._log_text), 10)
        for each in (self._segments_text, self._log_text):
            each.setMinimumHeight(108)
        middle.addLayout(lists, 2)
        row.addLayout(middle, 1)
        side = QVBoxLayout()
        side.setContentsMargins(0, 10, 10, 10)
        side.setSpacing(10)
        self._live_title = title_label()
        self._live_panel = panel_of(self._live_title, self.live_strip)
        self._live_panel.setFixedHeight(190)
        side.addWidget(self._live_panel)
        self._why_title, self._why_text = title_label(), text_browser()
        self._why_text.anchorClicked.connect(self._follow)
        side.addWidget(panel_of(self._why_title, self._why_text), 3)
        self._response_title, self._response_text = title_label(), text_browser()
        response = panel_of(self._response_title, self._response_text)
        response.setFixedHeight(170)
        side.addWidget(response)
        self._signal_title, self._signal_text = title_label(), text_browser()
        signal = panel_of(self._signal_title, self._signal_text)
        signal.setFixedHeight(170)
        side.addWidget(signal)
        holder = QWidget()
        holder.setLayout(side)
        holder.setFixedWidth(430)
        row.addWidget(holder)

    # -------------------------------------------------------------------- settings

    def set_theme(self, theme: Theme) -> None:
        """Take the colours of a theme."""
        self._theme = theme
        for part in (self.neighbours, self.head, self.banner, self.strip, self.overview, self.live_strip):
            part.set_theme(theme)
        self._drawn, self._why = (), ""

    def retext(self) -> None:
        """Write again in the language now chosen."""
        texts = self._texts
        self._record_title.setText(both(texts, "ui.whole_labour"))
        self._live_title.setText(both(texts, "ui.live_running"))
        self._response_title.setText(both(texts, "ui.response"))
        self._signal_title.setText(both(texts, "ui.col_signal"))
        self._segments_title.setText(both(texts, "ui.segments"))
        self._log_title.setText(both(texts, "ui.bed_log"))
        self._tools.title.setText(both(texts, "ui.strip"))
        self._tools.live.setText(texts("ui.to_live") + "  End")
        self.banner.retext()
        self._drawn, self._why = (), ""

    # ------------------------------------------------------------------- navigation

    def show_bed(self, key: Key) -> None:
        """Open a bed, live."""
        if key != self.key:
            self.key = key
            self._record, self._past, self._asked = None, None, None
            self._record_s = -1e9
            self.go_live()

    def go_live(self) -> None:
        """Return to the running strip."""
        self._right_ms, self._past, self._asked, self._past_error = None, None, None, ""
        self._drawn, self._why = (), ""

    def go_start(self) -> None:
        """Go to the beginning of the record."""
        first_ms = self._record.first_ms if self._record else None
        if first_ms is not None:
            self._go(first_ms + self._span_ms)

    def scroll_pages(self, pages: float) -> None:
        """Go back (negative) or forward by a share of the strip; past the newest means live."""
        right_ms = self._edge_ms if self._right_ms is None else self._right_ms
        self._go(right_ms + round(pages * self._span_ms))

    def switch_speed(self) -> None:
        """3 cm/min or 1 cm/min."""
        self.strip.use_layout(
            has_clock=True,
            toco_cm=self.strip.toco_cm,
            cm_per_min=1.0 if self.strip.cm_per_min > 1 else 3.0,
            max_cm=self.strip.max_cm,
        )
        self._asked, self._drawn = None, ()

    @property
    def is_live(self) -> bool:
        """Whether the strip runs, as against being scrolled back."""
        return self._right_ms is None

    @property
    def _span_ms(self) -> int:
        return round(self.strip.span_s * 1000)

    def _go(self, right_ms: int) -> None:
        if right_ms >= self._edge_ms:
            self.go_live()
            return
        first_ms = self._record.first_ms if self._record else None
        if first_ms is not None:
            right_ms = max(right_ms, min(first_ms + self._span_ms, self._edge_ms))
        self._right_ms = right_ms // GRID_MS * GRID_MS
        self._drawn = ()

    def _centre(self, t_ms: int) -> None:
        self._go(t_ms + self._span_ms // 2)

    def _follow(self, url: QUrl) -> None:
        """Show the span of a finding: `span:from:to`."""
        parts = url.toString().split(":")
        if len(parts) == 3 and parts[0] == "span":
            from_ms, to_ms = int(parts[1]), int(parts[2])
            if to_ms < self._edge_ms - self._span_ms or self._right_ms is not None:
                self._centre((from_ms + to_ms) // 2)

    def wheelEvent(self, event: QWheelEvent) -> None:  # noqa: N802 - Qt's name
        self.scroll_pages(-event.angleDelta().y() / 120 * 0.1)

    # ---------------------------------------------------------------- what is shown

    def refresh(self, wall: Wall, now_s: float) -> None:
        """Show what may be shown now."""
        if self.key is None or self.key not in wall.beds:
            return
        bed = wall.beds[self.key]
        face = make_face(wall, bed, now_s)
        waiting, answered = wall.waiting_at(self.key), wall.acknowledged_at(self.key)
        self._edge_ms = bed.edge_ms(now_s) or wall.now_ms(now_s)
        hub_ms = wall.now_ms(now_s)
        self.neighbours.refresh(wall, now_s, self.key)
        self.head.refresh(bed, face, self._edge_ms)
        self.banner.setEnabled(face.freshness is not Freshness.HUB_DARK)
        self.banner.refresh(waiting[0] if waiting else None, answered[0] if answered else None, hub_ms)
        self._fit_scale()
        self._ask(now_s)
        alerts = tuple(waiting + answered)
        if self.is_live:
            self._show_live(bed, face, alerts, now_s)
        else:
            self._show_past(bed, face, alerts)
        self._show_tools(face)
        self._show_record(bed, face)
        self._show_why(bed, face)
        self._show_signal(bed, face)
        self._show_lists(bed, alerts)

    def take_answer(self, answer: Answer) -> None:
        """Take what the hub answered to a request of this view."""
        token = answer.token
        try:
            if isinstance(token, RecordWanted) and token.key == self.key and answer.error is None:
                if self._record is None:
                    self._record_s = -1e9
                self._record = decode_overview(answer.body)
            elif isinstance(token, StripWanted) and token == self._asked:
                self._past_error = answer.error or ""
                self._past = None if answer.error else decode_strip(answer.body)
                self._drawn, self._why = (), ""
        except WireError as error:
            self._past_error = str(error)

    def _ask(self, now_s: float) -> None:
        assert self.key is not None  # noqa: S101  refresh has looked
        if now_s - self._record_s > _RECORD_EVERY_S:
            self._record_s = now_s
            path = strip_path(self.key, *self._record_span())
            self.wanted.emit(RecordWanted(self.key), path)
        if self._right_ms is None:
            return
        margin_ms = round(HATCH_S * 1000)
        token = StripWanted(self.key, self._right_ms - self._span_ms - margin_ms, self._right_ms)
        if token != self._asked and now_s - self._asked_s > _ASK_EVERY_S:
            self._asked, self._asked_s = token, now_s
            self.wanted.emit(token, strip_path(token.key, token.from_ms, token.to_ms))

    def _record_span(self) -> tuple[int, int, int]:
        """Start, end and step of the record to ask for: finer once its beginning is known."""
        first_ms = self._record.first_ms if self._record else None
        start_ms, step_ms = self._edge_ms - _RECORD_MS, _RECORD_STEP_MS
        if first_ms is not None:
            start_ms = max(start_ms, min(first_ms - 60_000, self._edge_ms - _LEAST_RECORD_MS))
            step_ms = max(1, round((self._edge_ms - start_ms) / _RECORD_BINS / 1000)) * 1000
        end_ms = self._edge_ms // step_ms * step_ms + step_ms
        return start_ms // step_ms * step_ms, end_ms, step_ms

    def _fit_scale(self) -> None:
        """At most so large that a whole segment fits across."""
        widest = (self.strip.width() - 36) / (3 * LEAST_MIN)
        self._strip_panel.setMaximumHeight(round(11 * max(8.0, widest)) + 110)
        self.strip.use_layout(
            has_clock=True, toco_cm=4.0, cm_per_min=self.strip.cm_per_min, max_cm=max(8.0, widest)
        )

    def _show_live(self, bed: Bed, face: Face, alerts: tuple[Alert, ...], now_s: float) -> None:
        self._live_panel.setVisible(False)
        pixel = int(self._edge_ms / 1000 * self.strip.geometry_px.px_per_s)
        drawn = (
            "live",
            bed.revision,
            pixel,
            face.freshness,
            self.strip.size(),
            len(alerts),
            int(now_s) if face.lost_ms else 0,
        )
        if drawn == self._drawn:
            return
        self._drawn = drawn
        content = live_content(bed, face, alerts, self._edge_ms - self._span_ms, self._edge_ms)
        self.strip.show_content(
            content, self._edge_ms, with_mhr=True, loss_lines=self._loss_lines(bed, face, content.loss)
        )

    def _show_past(self, bed: Bed, face: Face, alerts: tuple[Alert, ...]) -> None:
        self._live_panel.setVisible(True)
        live_from = self._edge_ms - round(self.live_strip.span_s * 1000)
        live = live_content(bed, face, alerts, live_from, self._edge_ms)
        self.live_strip.show_content(live, self._edge_ms, with_mhr=False)
        drawn = ("past", self._right_ms, self._past, self.strip.size(), self.strip.cm_per_min)
        if drawn != self._drawn:
            self._drawn = drawn
            assert self._right_ms is not None  # noqa: S101  the caller has looked
            self.strip.show_content(self._past.content if self._past else None, self._right_ms, with_mhr=True)

    def _loss_lines(self, bed: Bed, face: Face, loss: Loss | None) -> list[str]:
        if loss not in (Loss.SITE_DARK, Loss.HUB_DARK):
            return []
        return loss_words(self._texts, loss, bed.view.site_name or bed.view.site, face)

    def _show_tools(self, face: Face) -> None:
        texts = self._texts
        self._tools.speed.setText(texts("ui.cm_per_min", n=f"{self.strip.cm_per_min:.0f}") + "  V")
        self._tools.scale.setText(scale_words(self.strip.cm, self._px_per_cm) + " · 30 bpm/cm")
        if self._right_ms is None:
            delay = "–" if face.age_s is None else f"{face.age_s:.1f}"
            key = "ui.live" if face.freshness is Freshness.LIVE else "ui.not_live"
            self._tools.chip.setText(texts(key, age=texts("ui.seconds", n=delay)))
        else:
            left_ms = self._right_ms - self._span_ms
            words = texts(
                "ui.shown_span",
                **{"from": clock(left_ms), "to": clock(self._right_ms)},
                behind=elapsed((self._edge_ms - self._right_ms) / 1000),
            )
            if self._past_error:
                words = texts("ui.record_failed", why=self._past_error)
            elif self._past is None:
                words += " …"
            self._tools.chip.setText(words)
        self._tools.live.setVisible(self._right_ms is not None)
        self._tools.show_alive(is_alive=self._right_ms is not None or face.freshness is Freshness.LIVE)

    def _show_record(self, bed: Bed, face: Face) -> None:
        ribbon = tuple(bed_ribbon(bed))
        first_ms = self._record.first_ms if self._record else None
        starts = [t for t in (first_ms, ribbon[0].start_ms if ribbon else None) if t is not None]
        start_ms = min([*starts, self._edge_ms - _LEAST_RECORD_MS])
        start_ms = max(start_ms, self._edge_ms - _RECORD_MS)
        live = (self._edge_ms - self._span_ms, self._edge_ms)
        window = live if self._right_ms is None else (self._right_ms - self._span_ms, self._right_ms)
        self.overview.show_record(
            self._record, bed.analysis, ribbon, (start_ms, self._edge_ms), window, live, face.lost_ms
        )

    def _show_why(self, bed: Bed, face: Face) -> None:
        texts, theme = self._texts, self._theme
        analysis = bed.analysis if self.is_live else self._past.analysis if self._past else None
        reading = reading_of(analysis)
        level = face.level if self.is_live else worst_level(analysis)
        if self.is_live:
            title = texts("ui.why_level", level=level) if level else texts("ui.why_none")
        else:
            title = texts("ui.why_then", time=clock(self._right_ms or 0), level=level or "?")
        html = why_html(texts, theme, *reading) if reading else f"<p>{texts('ui.no_reading')}</p>"
        shown = f"{title}{html}{face.level}{theme.is_night}"
        if shown != self._why:
            self._why = shown
            self._why_title.setText(title)
            self._why_text.setHtml(html)
            self._response_text.setHtml(response_html(texts, theme, face.level))

    def _show_signal(self, bed: Bed, face: Face) -> None:
        texts, vitals = self._texts, bed.view.vitals
        lines = [
            texts(
                "ui.signal_share",
                share="–" if face.signal_fraction is None else f"{face.signal_fraction:.0%}",
            ),
            texts(f"site.{vitals.link.value if vitals.link else 'unknown'}"),
            texts(f"device.{vitals.device.value if vitals.device else 'unknown'}"),
        ]
        if vitals.clock_offset_ms is not None and abs(vitals.clock_offset_ms) >= 1000:
            lines.append(texts("ui.clock_skew", s=f"{vitals.clock_offset_ms / 1000:.1f}"))
        html = "".join(f"<p style='margin:2px 0'>{line}</p>" for line in lines)
        _set_html(self._signal_text, html)

    def _show_lists(self, bed: Bed, alerts: tuple[Alert, ...]) -> None:
        reading = reading_of(bed.analysis)
        fetus = reading[0] if reading else None
        _set_html(self._segments_text, segments_html(self._texts, self._theme, fetus))
        _set_html(self._log_text, log_html(self._texts, self._theme, alerts, bed.events))


def _set_html(browser: QTextBrowser, html: str) -> None:
    """Write only what has changed, so that a list keeps its place."""
    if html != browser.property("shown"):
        browser.setProperty("shown", html)
        browser.setHtml(html)
