"""The report as lines of text."""

from collections.abc import Iterator

from hub.dsp.nst import NstReport, NstVerdict
from hub.dsp.stv import Stv
from hub.model import Acceleration, Classification, Contraction, Deceleration, Reason
from hub.report.reading import Reading
from hub.report.words import Words, clock


def write_report(readings: list[Reading], words: Words) -> Iterator[str]:
    """Give the lines of a report, the reading aid's own name first and last."""
    yield words("ui.reading_aid")
    for reading in readings:
        yield from _write_reading(reading, words)
    yield ""
    yield words("ui.not_a_diagnosis")


def title_of(reading: Reading, words: Words) -> str:
    """Name a trace: record, number, stretch, gestational age."""
    parts = [words("report.record", name=reading.name)]
    if reading.n_traces > 1:
        parts.append(words("report.trace", n=reading.trace, count=reading.n_traces))
    parts.append(f"{clock(reading.start_s)}–{clock(reading.end_s)}")
    if reading.gestational_weeks is not None:
        parts.append(words("report.weeks", weeks=reading.gestational_weeks))
    return " · ".join(parts)


def verdict_of(window: Classification, words: Words) -> str:
    """Name the level of a window with its cell, or say that there is none and why."""
    if window.level is None:
        why = words(f"indeterminate.{window.indeterminate}") if window.indeterminate else ""
        return f"{words('ui.glyph_indeterminate')} {why}".strip()
    cell = f" [{window.cell}]" if window.cell else ""
    return words(f"level.{window.level}") + cell


def compared(window: Classification, words: Words) -> str:
    """Give FIGO and NICHD, marked as there for comparison only."""
    return words(
        "ui.compare",
        figo=words(f"figo.{window.figo}") if window.figo else None,
        nichd=words(f"nichd.{window.nichd}") if window.nichd else None,
    )


def _write_reading(reading: Reading, words: Words) -> Iterator[str]:
    found = reading.analysis
    yield ""
    yield title_of(reading, words)
    yield words("report.source", fs=reading.fs, percent=100.0 * reading.valid_fraction)
    if not found.is_coincidence_checked:
        yield words("reason.coincidence_unchecked")
    yield ""
    yield words("ui.segments")
    windows = found.segments or ([found.rolling] if found.rolling is not None else [])
    if not windows:
        yield "  " + words("report.none")
    for window in windows:
        yield from _write_window(window, reading, words)
    yield from _write_list(
        words("report.decelerations"), [_fall(e, reading, words) for e in found.decelerations]
    )
    yield from _write_list(
        words("report.accelerations"), [_rise(e, reading, words) for e in found.accelerations]
    )
    contractions = [_contraction(e, reading, words) for e in found.contractions]
    if contractions or reading.are_contractions_known:
        yield from _write_list(words("report.contractions"), contractions)
    else:
        yield from ("", words("ui.contractions_unknown"))
    spans = [_span(a, b, reading) for a, b in reading.false_spans]
    yield from _write_list(words("report.false_signal"), spans)
    if reading.nst is not None:
        yield from _write_nst(reading.nst, words)
    if reading.stv is not None:
        yield from _write_stv(reading.stv, words)
    yield ""
    yield words("ui.version", version=found.algorithm) + " · " + words("ui.jsog_provisional")


def _write_window(window: Classification, reading: Reading, words: Words) -> Iterator[str]:
    poor = f" · {words('ui.poor_signal')}" if window.is_poor_signal else ""
    yield f"  {_span(window.start_s, window.end_s, reading)}  {verdict_of(window, words)}{poor}"
    for reason in window.reasons:
        if reason.code not in ("indeterminate", "coincidence_unchecked"):
            yield f"      {words.reason(reason)} ({reason.evidence})"
    if window.level is not None:
        yield f"      {compared(window, words)}"


def _write_list(title: str, lines: list[str]) -> Iterator[str]:
    yield ""
    yield f"{title}: {len(lines)}"
    yield from (f"  {line}" for line in lines)


def _fall(event: Deceleration, reading: Reading, words: Words) -> str:
    reason = Reason(
        code="deceleration",
        start_s=event.onset_s,
        end_s=event.end_s,
        values={
            "kind": event.kind.value,
            "severity": event.severity.value,
            "duration_s": event.end_s - event.onset_s,
            "depth_bpm": event.depth_bpm,
            "nadir_bpm": event.nadir_bpm,
            "readable_percent": 100.0 * event.readable_fraction,
            "ongoing": "yes" if event.is_ongoing else "no",
        },
    )
    return f"{_span(event.onset_s, event.end_s, reading)}  {words.reason(reason)}"


def _rise(event: Acceleration, reading: Reading, words: Words) -> str:
    name = words("ui.prolonged_acceleration" if event.is_prolonged else "ui.acceleration")
    size = words("report.rise", duration_s=event.end_s - event.onset_s, rise_bpm=event.rise_bpm)
    return f"{_span(event.onset_s, event.end_s, reading)}  {name} {size}"


def _contraction(event: Contraction, reading: Reading, words: Words) -> str:
    size = words(
        "report.contraction",
        duration_s=event.end_s - event.onset_s,
        peak=clock(reading.start_s + event.peak_s),
        amplitude=event.amplitude,
    )
    return f"{_span(event.onset_s, event.end_s, reading)}  {size}"


def _span(start_s: float, end_s: float, reading: Reading) -> str:
    return f"{clock(reading.start_s + start_s)}–{clock(reading.start_s + end_s)}"


def _write_nst(nst: NstReport, words: Words) -> Iterator[str]:
    yield ""
    yield words("nst.title")
    minutes = int(nst.end_s // 60)
    yield "  " + words(f"nst.{nst.verdict}", count=nst.acceleration_count, minutes=minutes)
    for condition in nst.conditions:
        answer = {True: "nst.met", False: "nst.not_met", None: "nst.not_read"}[condition.is_met]
        yield f"    {words(f'nst.condition.{condition.name}')}: {words(answer)} ({condition.evidence})"
    if nst.verdict in (NstVerdict.REACTIVE, NstVerdict.NON_REACTIVE):
        yield "  " + words("nst.reassuring" if nst.is_reassuring else "nst.not_reassuring")
    yield "  " + words("report.signal", percent=100.0 * nst.valid_fraction)


def _write_stv(stv: Stv, words: Words) -> Iterator[str]:
    yield ""
    yield words("stv.title")
    if stv.stv_ms is None:
        yield "  " + words(f"stv.refusal.{stv.refusal}", step_bpm=stv.step_bpm, fs=stv.source_fs)
        return
    yield "  " + words("stv.value", stv_ms=f"{stv.stv_ms:.1f}", minutes=stv.minutes)
    yield "  " + words("stv.episodes", high=stv.high_min, low=stv.low_min)
    if stv.reference_ms is not None:
        yield "  " + words("stv.reference", reference_ms=f"{stv.reference_ms:.1f}")
    if stv.is_early:
        yield "  " + words("stv.early")
    yield "  " + words("stv.not_for_labour")
