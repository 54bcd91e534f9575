"""The key card: which key does what; it lies in the corner away from the alerts and stops nothing."""

from html import escape
from typing import Final

from PySide6.QtWidgets import QLabel, QWidget

from viewer.texts import Texts
from viewer.theme import Theme

_WALL: Final = (("← ↑ ↓ → Tab", "keys.choose"), ("Enter", "keys.open"), ("PgUp PgDn", "keys.page"))
_BED: Final = (
    ("← →", "keys.scroll_half"),
    ("Home End", "keys.ends"),
    ("Tab", "keys.neighbour"),
    ("V", "keys.speed"),
    ("Esc", "keys.back"),
)
_EVERYWHERE: Final = (
    ("A, 1–4", "keys.ack"),
    ("N", "keys.theme"),
    ("L", "keys.language"),
    ("[ ]", "keys.ribbon"),
    ("?", "keys.card"),
)
_WIDTH: Final = 418
_MARGIN: Final = 14


class KeyCard(QLabel):
    """A card over the lower right corner of the console."""

    def __init__(self, parent: QWidget, texts: Texts) -> None:
        super().__init__(parent)
        self._texts = texts
        self.setObjectName("keycard")
        self.setMargin(12)
        self.setWordWrap(True)
        self.hide()

    def open(self, theme: Theme, *, is_bed_open: bool) -> None:
        """Show the keys of the page that is open."""
        texts = self._texts
        rows = (*(_BED if is_bed_open else _WALL), *_EVERYWHERE)
        lines = "".join(
            f'<tr><td width="120"><b>{escape(caps)}</b></td><td>{escape(texts(key))} '
            f'<span style="font-size:12px;color:{theme.t3}">{escape(texts.beside(key))}</span></td></tr>'
            for caps, key in rows
        )
        self.setText(
            f'<p style="font-size:17px"><b>{escape(texts("keys.title"))}</b></p>'
            f'<table cellpadding="3">{lines}</table>'
            f'<p style="font-size:13px;color:{theme.t2}">{escape(texts("keys.note"))}</p>'
        )
        self.setFixedWidth(_WIDTH)
        self.adjustSize()
        self.place()
        self.show()
        self.raise_()

    def place(self) -> None:
        """Keep to the corner when the window changes its size."""
        page = self.parentWidget()
        if page is not None:
            self.move(page.width() - self.width() - _MARGIN, page.height() - self.height() - _MARGIN)
