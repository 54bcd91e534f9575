"""Sentences of the console, made from what may be shown.  No Qt."""

from collections.abc import Sequence
from math import floor
from typing import Final, Literal

from hub.model import Alert, AlertPath, LevelSpan, Priority
from viewer.face import Face, Freshness
from viewer.state import Bed
from viewer.strip import Loss
from viewer.texts import Texts, clock, elapsed

MARKS: Final = {Priority.HIGH: "!!!", Priority.MEDIUM: "!!", Priority.LOW: "!"}
"""Marks of the priorities, beside their colours."""


def both(texts: Texts, key: str, count: int | None = None) -> str:
    """Title in the language shown with the other one small beside it, as rich text."""
    number = "" if count is None else f" {count}"
    beside = f'<span style="font-weight:400;font-size:12px">{texts.beside(key)}</span>'
    return f"{texts(key)}{number} &nbsp;{beside}"


def bed_code(bed: Bed) -> str:
    """Name the bed as it is called, with its site before it where two share a name."""
    return f"{bed.view.site} {bed.label}" if bed.is_namesake else bed.label


def describe_bed(bed: Bed, *, is_short: bool = False) -> str:
    """Site and weeks of a bed, in one line; on a small tile the weeks first, for what comes last is cut."""
    site = bed.view.site_name or bed.view.site
    weeks = bed.view.gestational_weeks
    age = "" if weeks is None else f"{int(weeks)}w{round(weeks % 1 * 7) % 7}d"
    return " · ".join(part for part in ((age, site) if is_short else (site, age)) if part)


def level_words(texts: Texts, face: Face, edge_ms: int | None, *, is_short: bool = False) -> tuple[str, str]:
    """Time at the level with its arrow, and the level's name; for the unknown, what was known last."""
    if face.freshness in (Freshness.SITE_DARK, Freshness.HUB_DARK, Freshness.STALE):
        lost_s = lost_seconds(face)
        title = elapsed(lost_s) if lost_s is not None else "–"
        return title, last_words(texts, face) or texts("ui.no_level_yet")
    if face.freshness is Freshness.WAITING:
        return texts("ui.no_data"), ""
    minutes = None
    if edge_ms is not None and face.since_ms is not None:
        minutes = max(0, (edge_ms - face.since_ms) // 60_000)
    arrow = {1: "↗", 0: "→", -1: "↘"}[face.trend]
    title = ""
    if minutes is not None:
        title = (
            texts("ui.minutes", n=minutes)
            if minutes < 100
            else texts("ui.hours", h=minutes // 60, m=minutes % 60)
        )
    if face.level is None:
        return title, last_words(texts, face) or why_unknown_words(texts, face)
    line = texts(f"level.{face.level}" + (".short" if is_short else ""))
    if face.is_poor_signal:
        line += " · " + texts("ui.poor_signal")
    return f"{title} {arrow}", line


def last_words(texts: Texts, face: Face) -> str:
    """Say the level that stood before, in words only."""
    if face.last_level is None:
        return ""
    at = clock(face.last_level_ms) if face.last_level_ms else ""
    return texts("ui.last_level", level=face.last_level, time=at)


def why_unknown_words(texts: Texts, face: Face) -> str:
    """Why there is no level."""
    return (
        texts(f"indeterminate.{face.why_unknown.value}.short")
        if face.why_unknown
        else texts("ui.glyph_indeterminate")
    )


def alert_words(texts: Texts, alert: Alert, *, is_short: bool = False) -> str:
    """Sentence of an alert: parameter, value, limit, how long."""
    key = f"alert.{alert.rule}" + (".short" if is_short else "")
    return texts(key, **texts.worded(alert.rule, alert.values))


def alert_tone(alert: Alert) -> Literal["high", "medium", "low"]:
    """Which of the three looks an alert has; technical ones share that of low."""
    if alert.priority is Priority.HIGH:
        return "high"
    return "low" if alert.path is AlertPath.TECHNICAL or alert.priority is Priority.LOW else "medium"


def acknowledged_words(texts: Texts, alert: Alert, *, with_clock: bool = True) -> str:
    """Who answers for an alert, why, since when."""
    parts = [alert.acknowledged_by or ""]
    if alert.ack_reason is not None:
        parts.append(texts(f"ack.{alert.ack_reason.value}"))
    if with_clock and alert.acknowledged_ms is not None:
        parts.append(clock(alert.acknowledged_ms))
    return " ".join(part for part in parts if part)


def age_words(texts: Texts, face: Face) -> str:
    """Age of the data: tenths while live, whole seconds and words when not."""
    if face.age_s is None:
        return texts("ui.no_data")
    if face.freshness is Freshness.LIVE:
        return texts("ui.seconds", n=f"{floor(face.age_s * 10) / 10:.1f}")
    if face.age_s < 60:
        return texts("ui.ago", age=texts("ui.seconds", n=int(face.age_s)))
    return texts("ui.ago", age=elapsed(face.age_s))


def scale_words(cm: float, px_per_cm: float) -> str:
    """Print the factor to paper size; 実寸 is not said of a screen nobody measured."""
    return f"×{cm / px_per_cm:.2f}"


def bed_ribbon(bed: Bed) -> Sequence[LevelSpan]:
    """Ribbon of the fetus whose level is shown.

    Before the levels that were shown stand the 10-minute segments: data that came
    late were never shown, but they have been read.
    """
    fetuses = bed.analysis.fetuses if bed.analysis else ()
    if not fetuses:
        return ()
    fetus = max(fetuses, key=lambda f: f.level or 0)
    shown_ms = fetus.ribbon[0].start_ms if fetus.ribbon else None
    read = []
    for segment in fetus.segments:
        start_ms, end_ms = (fetus.origin_ms + round(s * 1000) for s in (segment.start_s, segment.end_s))
        if shown_ms is None or start_ms < shown_ms:
            end_ms = end_ms if shown_ms is None else min(end_ms, shown_ms)
            read.append(LevelSpan(start_ms=start_ms, end_ms=end_ms, level=segment.level))
    return (*read, *fetus.ribbon)


def lost_seconds(face: Face) -> float | None:
    """How long the contact has been lost: that of the hub if it is silent, else that of the bed."""
    return face.silent_s if face.freshness is Freshness.HUB_DARK else face.age_s


def loss_words(texts: Texts, loss: Loss, site: str, face: Face, *, is_short: bool = False) -> list[str]:
    """Words in the hatch of a dark strip."""
    lost_s = lost_seconds(face)
    time = elapsed(lost_s) if lost_s is not None else ""
    if loss is Loss.HUB_DARK:
        return [texts("ui.hub_dark", age=time)]
    if is_short:
        return [texts("ui.site_dark", site="", age=time).strip()]
    return [texts("ui.site_dark", site=site, age=time), texts("ui.site_goes_on")]
