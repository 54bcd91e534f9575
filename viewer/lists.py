"""Below the strip of an open bed: the readings by 10-minute segment, its alerts and events.  No Qt."""

from collections.abc import Iterable
from html import escape

from hub.model import Alert, BedEvent, Classification, FetusAnalysis
from viewer.texts import Texts, clock
from viewer.theme import Theme
from viewer.words import MARKS, acknowledged_words, alert_words

_COLUMNS = (
    "ui.col_time",
    "ui.col_level",
    "ui.col_baseline",
    "ui.col_variability",
    "ui.col_falls",
    "ui.col_contractions",
    "ui.col_signal",
)


def segments_html(texts: Texts, theme: Theme, fetus: FetusAnalysis | None) -> str:
    """Write the readings of the complete segments, newest first; the time is a link to its span."""
    heads = [texts(column) for column in _COLUMNS] + ["FIGO", "NICHD"]
    head = "".join(f'<td style="color:{theme.t3};font-size:12px">{escape(word)}</td>' for word in heads)
    rows = [_segment(texts, theme, fetus, s) for s in reversed(fetus.segments)] if fetus else []
    return f'<table cellspacing="0" cellpadding="3" width="100%"><tr>{head}</tr>{"".join(rows)}</table>'


def log_html(texts: Texts, theme: Theme, alerts: Iterable[Alert], events: Iterable[BedEvent]) -> str:
    """Write the open alerts and the events of a bed, newest first."""
    lines = [(alert.raised_ms, _alert(texts, alert)) for alert in alerts]
    lines += [(e.t_ms, f"{texts(f'event.{e.kind.value}')} {e.text or ''}") for e in events]
    if not lines:
        return f'<p style="color:{theme.t2}">{escape(texts("ui.log_empty"))}</p>'
    rows = (
        f'<tr><td width="56" style="color:{theme.t2}">{clock(t_ms)}</td><td>{escape(words)}</td></tr>'
        for t_ms, words in sorted(lines, reverse=True)
    )
    return f'<table cellspacing="0" cellpadding="3" width="100%">{"".join(rows)}</table>'


def _alert(texts: Texts, alert: Alert) -> str:
    state = acknowledged_words(texts, alert) if alert.acknowledged_ms else texts(f"state.{alert.state.value}")
    return f"{MARKS[alert.priority]} {alert_words(texts, alert)} · {state}"


def _segment(texts: Texts, theme: Theme, fetus: FetusAnalysis, segment: Classification) -> str:
    start_ms, end_ms = (fetus.origin_ms + round(s * 1000) for s in (segment.start_s, segment.end_s))
    if segment.level is not None:
        level = f"{segment.level} {texts(f'level.{segment.level}.short')}"
    else:
        why = segment.indeterminate
        level = "? " + (texts(f"indeterminate.{why.value}.short") if why else texts("ui.glyph_indeterminate"))
    cells = [
        f"<b>{escape(level)}</b>",
        _whole(segment.baseline_bpm),
        escape(_variability(texts, segment)),
        escape(texts(f"column.{segment.deceleration_class}") if segment.deceleration_class else "–"),
        "?" if segment.contractions_per_10min is None else str(segment.contractions_per_10min),
        f"{segment.valid_fraction:.0%}",
        escape(texts(f"figo.{segment.figo}") if segment.figo else "–"),
        escape(texts(f"nichd.{segment.nichd}") if segment.nichd else "–"),
    ]
    link = (
        f'href="span:{start_ms}:{end_ms}" style="color:{theme.accent};text-decoration:none;font-weight:700"'
    )
    time = f"<td><a {link}>{clock(start_ms)}–{clock(end_ms)}</a></td>"
    return f"<tr>{time}{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _whole(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f}"


def _variability(texts: Texts, segment: Classification) -> str:
    if segment.variability_class is None:
        return "–"
    word = texts(f"class.variability.{segment.variability_class.value}.short")
    return f"{_whole(segment.variability_bpm)} {word}"
