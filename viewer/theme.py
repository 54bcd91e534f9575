"""Colours of console.md section 5, fonts of section 4."""

from dataclasses import dataclass
from functools import cache
from typing import Final

from PySide6.QtGui import QColor, QFont

FAMILIES: Final = ["Noto Sans JP", "Noto Sans CJK JP", "Hiragino Sans", "Yu Gothic UI", "Meiryo"]


@dataclass(frozen=True, slots=True)
class Theme:
    """Colour tokens of one theme, as #RRGGBB."""

    is_night: bool
    bg: str
    surface: str
    surface2: str
    line: str
    line2: str
    t1: str
    t2: str
    t3: str
    accent: str
    accent_ink: str
    paper: str
    band: str
    band_edge: str
    grid_fine: str
    grid: str
    grid_minute: str
    trace: str
    toco: str
    toco_fill: str
    baseline: str
    mhr: str
    twin: str
    deceleration: str
    deceleration_ink: str
    acceleration: str
    acceleration_ink: str
    late: str
    late_ink: str
    hatch: str
    level_fill: tuple[str, str, str, str, str]
    """Outline of levels 1 and 2, fill of 3 to 5."""
    level_ink: tuple[str, str, str, str, str]
    level_edge: tuple[str, str, str, str, str]
    no_answer: str
    high: str
    high_ink: str
    high_wash: str
    medium: str
    medium_ink: str
    medium_wash: str
    low: str
    low_ink: str
    low_wash: str

    def ribbon(self, level: int) -> QColor:
        """Colour of a bar of the ribbon."""
        return color(self.level_fill[level - 1])


DAY: Final = Theme(
    is_night=False,
    bg="#DFE4E7",
    surface="#FFFFFF",
    surface2="#F1F4F5",
    line="#C3CBD0",
    line2="#DDE3E6",
    t1="#101C24",
    t2="#3D4C56",
    t3="#56656F",
    accent="#0A57A4",
    accent_ink="#FFFFFF",
    paper="#FEFEFC",
    band="#E9F3EC",
    band_edge="#A9C4B2",
    grid_fine="#EBEEEF",
    grid="#D3DADD",
    grid_minute="#98A5AD",
    trace="#0B161D",
    toco="#2B4A63",
    toco_fill="#DCE5EC",
    baseline="#7A35B5",
    mhr="#8A4B00",
    twin="#0E6F6A",
    deceleration="#F3DCE3",
    deceleration_ink="#9C2E55",
    acceleration="#D8ECDC",
    acceleration_ink="#1C6E40",
    late="#E2EEF9",
    late_ink="#0F62B0",
    hatch="#9CA8B0",
    level_fill=("#2C7A4B", "#1D5FAE", "#F5C400", "#EE7F12", "#C00F2D"),
    level_ink=("#101C24", "#101C24", "#1A1500", "#1A0E00", "#FFFFFF"),
    level_edge=("#2C7A4B", "#1D5FAE", "#6B5500", "#8F4700", "#C00F2D"),
    no_answer="#5B6A74",
    high="#C8102E",
    high_ink="#FFFFFF",
    high_wash="#FCE9EC",
    medium="#F2C200",
    medium_ink="#1A1500",
    medium_wash="#FFF8DC",
    low="#00748F",
    low_ink="#FFFFFF",
    low_wash="#E3F3F7",
)

NIGHT: Final = Theme(
    is_night=True,
    bg="#050708",
    surface="#0E1317",
    surface2="#151B20",
    line="#2A343C",
    line2="#1C242A",
    t1="#D3DADE",
    t2="#A3AFB7",
    t3="#85929B",
    accent="#7FB4E8",
    accent_ink="#06121D",
    paper="#0A0F12",
    band="#0F1D18",
    band_edge="#2B493B",
    grid_fine="#090D10",
    grid="#11181D",
    grid_minute="#28353E",
    trace="#E4EAE4",
    toco="#8FB2CF",
    toco_fill="#14222D",
    baseline="#B795F2",
    mhr="#E0A560",
    twin="#63C7BF",
    deceleration="#33192A",
    deceleration_ink="#E58BAE",
    acceleration="#12301F",
    acceleration_ink="#7BC79A",
    late="#0D2236",
    late_ink="#74B5F5",
    hatch="#46545E",
    level_fill=("#69B487", "#6EA6EA", "#E2BD3C", "#E68A35", "#D63845"),
    level_ink=("#D3DADE", "#D3DADE", "#181300", "#180D00", "#FFFFFF"),
    level_edge=("#69B487", "#6EA6EA", "#E2BD3C", "#E68A35", "#D63845"),
    no_answer="#8B98A1",
    high="#D63845",
    high_ink="#FFFFFF",
    high_wash="#2A1014",
    medium="#E2BD3C",
    medium_ink="#181300",
    medium_wash="#26200C",
    low="#4FB3CC",
    low_ink="#04161B",
    low_wash="#0B2229",
)


@cache
def color(token: str) -> QColor:
    """Colour of a token."""
    return QColor(token)


@cache
def font(pixels: int, *, bold: bool = False) -> QFont:
    """Font of the console at a pixel size, with tabular figures."""
    made = QFont()
    made.setFamilies(FAMILIES)
    made.setPixelSize(pixels)
    made.setWeight(QFont.Weight.Bold if bold else QFont.Weight.Normal)
    made.setFeature(QFont.Tag("tnum"), 1)
    return made


def style_sheet(theme: Theme) -> str:
    """Qt style sheet of panels, buttons and fields."""
    families = ", ".join(f'"{name}"' for name in FAMILIES)
    return f"""
    QWidget {{ font-family: {families}; color: {theme.t1}; }}
    QWidget#page {{ background: {theme.bg}; }}
    QFrame#panel {{ background: {theme.surface}; border-radius: 4px; }}
    QFrame#card {{ background: {theme.surface}; border: 1px solid {theme.line}; border-radius: 4px; }}
    QFrame#card[priority="high"] {{ background: {theme.high_wash}; border: 1px solid {theme.high};
        border-left: 6px solid {theme.high}; }}
    QFrame#card[priority="medium"] {{ background: {theme.medium_wash}; border: 1px solid {theme.medium};
        border-left: 6px solid {theme.medium}; }}
    QFrame#card[priority="low"] {{ background: {theme.low_wash}; border: 1px solid {theme.low};
        border-left: 6px solid {theme.low}; }}
    QFrame#card:disabled {{ background: {theme.surface2};
        border: 1px solid {theme.line}; }}
    QFrame#card QLabel:disabled {{ color: {theme.t3}; }}
    QFrame#card[chosen="true"] {{ border-top: 2px solid {theme.accent};
        border-bottom: 2px solid {theme.accent}; border-right: 2px solid {theme.accent}; }}
    QLabel {{ background: transparent; }}
    QLabel#keycard {{ background: {theme.surface}; border: 2px solid {theme.accent}; border-radius: 4px;
        font-size: 15px; }}
    QLabel#title {{ font-size: 17px; font-weight: 700; }}
    QLabel#small {{ font-size: 12px; color: {theme.t3}; }}
    QLabel#body {{ font-size: 14px; color: {theme.t2}; }}
    QLabel#strong {{ font-size: 16px; font-weight: 700; }}
    QLabel#notlive {{ font-size: 16px; font-weight: 700; color: {theme.high_ink}; background: {theme.high};
        border-radius: 3px; padding: 2px 8px; }}
    QLabel#code {{ font-size: 24px; font-weight: 700; }}
    QPushButton {{ background: {theme.surface}; color: {theme.t1}; border: 1px solid {theme.line};
        border-radius: 3px; padding: 4px 10px; font-size: 14px; font-weight: 700; min-height: 34px; }}
    QPushButton#main {{ background: {theme.accent}; color: {theme.accent_ink};
        border-color: {theme.accent}; }}
    QPushButton#reason {{ color: {theme.accent}; border-color: {theme.accent}; }}
    QPushButton:checked {{ background: {theme.t1}; color: {theme.surface}; }}
    QPushButton:focus {{ border: 2px solid {theme.accent}; }}
    QPushButton:disabled {{ color: {theme.t3}; border-color: {theme.line2}; background: {theme.surface2}; }}
    QLineEdit {{ background: {theme.surface}; border: 1px solid {theme.line}; border-radius: 3px;
        padding: 4px 6px; font-size: 15px; min-height: 28px; selection-background-color: {theme.accent}; }}
    QLineEdit:focus {{ border: 2px solid {theme.accent}; }}
    QTextBrowser {{ background: transparent; border: none; font-size: 15px; }}
    QScrollArea, QWidget#plain {{ background: transparent; border: none; }}
    QScrollBar:vertical {{ background: {theme.surface2}; width: 8px; }}
    QScrollBar::handle:vertical {{ background: {theme.line}; border-radius: 4px; min-height: 24px; }}
    QScrollBar::add-line, QScrollBar::sub-line {{ height: 0; }}
    """
