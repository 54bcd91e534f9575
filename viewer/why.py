"""The why-panel: each reason of a level with its span, its numbers and its evidence.  No Qt."""

from collections.abc import Iterable
from html import escape
from typing import Final

from hub.model import BedAnalysis, Classification, FetusAnalysis, Reason
from viewer.texts import Texts, clock
from viewer.theme import Theme

RESPONSES: Final = {
    "doctor": {1: "A", 2: "AB", 3: "BC", 4: "CD", 5: "D"},
    "midwife": {1: "A", 2: "B", 3: "BC", 4: "CD", 5: "D"},
}
"""Categories of response by level (clinical rules 2.6: doctor rows 3-5 V1, the rest K)."""

_LAST: Final = ("cell",)


def why_html(texts: Texts, theme: Theme, fetus: FetusAnalysis, reading: Classification) -> str:
    """Reasons of one reading, deceleration by deceleration, as rich text with links to their spans."""
    rows = [_row(texts, theme, fetus, reading, reason) for reason in _sorted(reading.reasons)]
    foot = [
        texts(
            "ui.compare",
            figo=texts(f"figo.{reading.figo}") if reading.figo else "–",
            nichd=texts(f"nichd.{reading.nichd}") if reading.nichd else "–",
        ),
        texts("ui.version", version=fetus.algorithm or "–"),
    ]
    if reading.needs_confirmation:
        foot.insert(0, texts("reason.absent_candidate"))
    notes = "".join(
        f'<p style="color:{theme.t3};font-size:12px;margin:2px 0">{escape(line)}</p>' for line in foot
    )
    return f'<table cellspacing="0" cellpadding="3" width="100%">{"".join(rows)}</table>{notes}'


def response_html(texts: Texts, theme: Theme, level: int | None) -> str:
    """Response table of the guideline for a level; the bedside decides."""
    if level is None:
        return f'<p style="color:{theme.t2}">{escape(texts("ui.response_none"))}</p>'
    doctor, midwife = (
        " / ".join(f"{letter} {texts(f'response.{who}.{letter}')}" for letter in RESPONSES[who][level])
        for who in ("doctor", "midwife")
    )
    return (
        f"<p style='margin:2px 0'><b>{escape(texts('ui.doctor'))}</b> {escape(doctor)}</p>"
        f"<p style='margin:2px 0'><b>{escape(texts('ui.midwife'))}</b> {escape(midwife)}</p>"
        f"<p style='color:{theme.t3};font-size:12px;margin:2px 0'>{escape(texts('ui.bedside_decides'))}</p>"
    )


def reading_of(analysis: BedAnalysis | None) -> tuple[FetusAnalysis, Classification] | None:
    """Find the reading that the level rests on: the rolling window, else the last segment with that level."""
    if analysis is None or not analysis.fetuses:
        return None
    fetus = max(analysis.fetuses, key=lambda f: f.level or 0)
    held = next((s for s in reversed(fetus.segments) if s.level == fetus.level), None)
    rolling = fetus.rolling
    reading = rolling if rolling is not None and (rolling.level == fetus.level or held is None) else held
    return None if reading is None else (fetus, reading)


def reason_words(texts: Texts, reason: Reason) -> str:
    """Sentence of one reason; class names among its numbers are put into words."""
    return texts(f"reason.{reason.code}", **texts.worded(reason.code, reason.values))


def _row(texts: Texts, theme: Theme, fetus: FetusAnalysis, reading: Classification, reason: Reason) -> str:
    start_ms = round(fetus.origin_ms + reason.start_s * 1000)
    end_ms = round(fetus.origin_ms + reason.end_s * 1000)
    is_whole = reason.start_s <= reading.start_s and reason.end_s >= reading.end_s
    time = texts("ui.ten_minutes") if is_whole else clock(start_ms)
    link = (
        f'style="color:{theme.accent};text-decoration:none;font-weight:700" href="span:{start_ms}:{end_ms}"'
    )
    evidence = f'<span style="color:{theme.t3};font-size:11px">[{reason.evidence}]</span>'
    return (
        f'<tr><td width="60" valign="top" style="white-space:nowrap"><a {link}>{escape(time)}</a></td>'
        f"<td>{escape(reason_words(texts, reason))} {evidence}</td></tr>"
    )


def _sorted(reasons: Iterable[Reason]) -> list[Reason]:
    def order(reason: Reason) -> tuple[int, float]:
        rank = 0 if reason.code == "deceleration" else 2 if reason.code in _LAST else 1
        return rank, -reason.start_s

    return sorted(reasons, key=order)
