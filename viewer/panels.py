"""Panels, titles and text fields that the pages are put together from."""

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QTextBrowser, QVBoxLayout, QWidget


class StripTools(QWidget):
    """Line above the strip: speed, scale, where one is."""

    def __init__(self) -> None:
        super().__init__()
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        self.title, self.scale, self.chip = QLabel(), QLabel(), QLabel()
        self.title.setObjectName("title")
        self.scale.setObjectName("body")
        self.chip.setObjectName("strong")
        self.speed, self.live = QPushButton(), QPushButton()
        self.live.setObjectName("main")
        for button in (self.speed, self.live):
            button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        for widget in (self.title, self.speed):
            row.addWidget(widget)
        row.addStretch(1)
        for widget in (self.scale, self.chip, self.live):
            row.addWidget(widget)
        self.setFixedHeight(46)

    def show_alive(self, *, is_alive: bool) -> None:
        """Let a strip that does not run say so in the colour of an alert."""
        name = "strong" if is_alive else "notlive"
        if name != self.chip.objectName():
            self.chip.setObjectName(name)
            self.chip.style().unpolish(self.chip)
            self.chip.style().polish(self.chip)


def title_label() -> QLabel:
    label = QLabel()
    label.setObjectName("title")
    label.setTextFormat(Qt.TextFormat.RichText)
    return label


def text_browser() -> QTextBrowser:
    browser = QTextBrowser()
    browser.setOpenLinks(False)
    browser.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    browser.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    return browser


def panel_of(*widgets: QWidget) -> QFrame:
    frame = QFrame()
    frame.setObjectName("panel")
    box = QVBoxLayout(frame)
    box.setContentsMargins(12, 8, 12, 8)
    box.setSpacing(6)
    for widget in widgets[:-1]:
        box.addWidget(widget)
    box.addWidget(widgets[-1], 1)
    return frame
