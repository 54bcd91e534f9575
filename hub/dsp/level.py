"""The level that is shown: raised at once, lowered only by a complete segment."""

from dataclasses import dataclass
from typing import Final

from hub.dsp import rules
from hub.model import Classification, Indeterminate

_SAME_SEGMENT_MS: Final = round(rules.SEGMENT_S.value * 1000 / 2)
"""Ends closer than this belong to one segment: segments end 10 min apart, clocks jitter by seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownLevel:
    """The level of one fetus as the consoles show it, since `since_ms`.

    `level` is None for 「判定不能」; `last_level` then stood until `last_level_ms`
    and is shown greyed.  `segments_at_level` counts the complete segments that
    confirmed the level since it began.
    """

    level: int | None
    since_ms: int
    last_level: int | None = None
    last_level_ms: int | None = None
    is_poor_signal: bool = False
    indeterminate: Indeterminate | None = None
    segments_at_level: int = 0
    segment_end_ms: int | None = None
    """End of the newest complete segment that was taken into account."""
    seen_ms: int | None = None
    """When a level was last told."""


def next_shown(
    shown: ShownLevel | None,
    rolling: Classification | None,
    newest_complete_segment: Classification | None,
    t_ms: int,
) -> ShownLevel:
    """Tell which level is to be shown next, for one fetus.

    Parameters
    ----------
    shown : ShownLevel or None
        What is shown so far; None at the beginning.
    rolling : Classification or None
        The window that ends at `t_ms`; None if the analysis failed, which is shown
        as 「判定不能」.
    newest_complete_segment : Classification or None
        The newest complete segment, seen before or not, its times counted from the
        same sample as those of `rolling`.
    t_ms : int
        End of the rolling window, in ms.  May lag or lead by some seconds.

    Returns
    -------
    ShownLevel
        The level to show from now on.

    Notes
    -----
    All rules are engineering choices (E).  The rolling window may raise the level
    at once; only a complete segment may lower it, and none of poor signal.  While
    the rolling window is 「判定不能」 the last level stays, greyed.  What stood
    before an interruption is not lowered by the mere end of the interruption.

    Examples
    --------
    >>> window = Classification(start_s=0.0, end_s=600.0, level=3)
    >>> next_shown(None, window, None, 600_000).level
    3
    """
    segment, segment_end_ms = _new_segment(shown, rolling, newest_complete_segment, t_ms)
    before = None if shown is None else shown.last_level if shown.level is None else shown.level
    known = _next_known(before, rolling, segment)
    level = None if rolling is None or rolling.level is None else known
    is_same = shown is not None and shown.level == level
    return ShownLevel(
        level=level,
        since_ms=shown.since_ms if shown is not None and is_same else t_ms,
        last_level=known if level is None else None,
        last_level_ms=_last_level_ms(shown, segment, t_ms) if level is None and known is not None else None,
        is_poor_signal=rolling is not None and rolling.is_poor_signal,
        indeterminate=_why(rolling),
        segments_at_level=_count_segments(shown, before, known, segment),
        segment_end_ms=segment_end_ms,
        seen_ms=t_ms if level is not None else shown.seen_ms if shown is not None else None,
    )


def _new_segment(
    shown: ShownLevel | None, rolling: Classification | None, newest: Classification | None, t_ms: int
) -> tuple[Classification | None, int | None]:
    """Return the newest segment if it was not taken into account yet, and the end of the newest one."""
    known_end_ms = None if shown is None else shown.segment_end_ms
    if rolling is None or newest is None:
        return None, known_end_ms
    end_ms = t_ms - round((rolling.end_s - newest.end_s) * 1000)
    if known_end_ms is not None and end_ms - known_end_ms < _SAME_SEGMENT_MS:
        return None, known_end_ms
    return newest, end_ms


def _next_known(
    before: int | None, rolling: Classification | None, segment: Classification | None
) -> int | None:
    known = before
    if segment is not None and segment.level is not None:
        may_lower = before is None or not segment.is_poor_signal
        known = segment.level if may_lower else max(before or 0, segment.level)
    if rolling is not None and rolling.level is not None:
        known = max(known or 0, rolling.level)
    return known


def _last_level_ms(shown: ShownLevel | None, segment: Classification | None, t_ms: int) -> int | None:
    if segment is not None and segment.level is not None:
        return t_ms
    if shown is None:
        return None
    if shown.level is None:
        return shown.last_level_ms
    return shown.since_ms if shown.seen_ms is None else shown.seen_ms


def _why(rolling: Classification | None) -> Indeterminate | None:
    return Indeterminate.FAULT if rolling is None else rolling.indeterminate


def _count_segments(
    shown: ShownLevel | None, before: int | None, known: int | None, segment: Classification | None
) -> int:
    count = shown.segments_at_level if shown is not None and known == before else 0
    is_confirmed = segment is not None and segment.level is not None and segment.level >= (known or 0)
    return count + 1 if is_confirmed else count
