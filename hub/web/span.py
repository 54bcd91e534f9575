"""The span of time that a strip is asked for: how it is written, and how long it may be."""

from datetime import datetime

from hub.web.limits import HttpLimits
from hub.web.problems import Fault, ProblemError, ProblemKind


def parse_instant(value: object) -> int:
    """Read ISO 8601 with an offset, or integer Unix ms, as Unix ms."""
    text = str(value).strip()
    if text.lstrip("-").isdigit():
        return int(text)
    expected = "expected ISO 8601 in UTC such as 2026-07-29T03:15:00Z, or integer Unix ms"
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(expected) from None
    if instant.tzinfo is None:
        msg = f"{expected}; the Z is missing"
        raise ValueError(msg)
    return round(instant.timestamp() * 1000)


def check_span(from_ms: int, to_ms: int, step_ms: int | None, limits: HttpLimits) -> None:
    """Refuse a span that ends before it begins, or that is longer than its form allows."""
    span_s = (to_ms - from_ms) / 1000
    if span_s <= 0:
        raise _span_problem(ProblemKind.INVALID_REQUEST, f"a time after from={from_ms}", f"{to_ms}")
    longest_s = limits.raw_span_s if step_ms is None else limits.decimated_span_s
    if span_s > longest_s:
        form = "without step_ms" if step_ms is None else "with step_ms"
        expected = f"a span of at most {longest_s} s {form}"
        raise _span_problem(ProblemKind.SPAN_TOO_LONG, expected, f"{span_s:g} s")
    if step_ms is not None and span_s * 1000 / step_ms > limits.bins:
        expected = f"a span of at most {limits.bins} steps"
        raise _span_problem(ProblemKind.SPAN_TOO_LONG, expected, f"{span_s * 1000 / step_ms:.0f} steps")


def _span_problem(kind: ProblemKind, expected: str, came: str) -> ProblemError:
    fault = Fault(where="query.to", expected=expected, came=came)
    return ProblemError(kind, f"query.to: expected {expected}, got {came}", [fault])
