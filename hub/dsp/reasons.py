"""The why-panel of one classification: every sentence with its numbers, its span and its evidence tag."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from hub.dsp import rules
from hub.dsp.features import WindowFeatures
from hub.dsp.tables import FOOTNOTE_GROWTH, SPECIAL_CAUSE, Cell, canonical_modifiers
from hub.model import Classification, Deceleration, Evidence, Reason


def explain(classification: Classification, features: WindowFeatures, cell: Cell | None) -> Classification:
    """Add to a classification the reasons for it.

    Parameters
    ----------
    classification : Classification
        The reading to explain; its own reasons are replaced.
    features : WindowFeatures
        What the signal analysis said of the same window.
    cell : Cell or None
        The table cell that gave the level; None for 「判定不能」.

    Returns
    -------
    Classification
        The same with `reasons`: first the cell or why there is none, then baseline,
        variability, events, contractions and signal.  Each carries the evidence tag
        of its rule.
    """
    reasons = (
        *_verdict(classification, features, cell),
        *_baseline(classification),
        *_variability(classification, features),
        *_events(classification, features),
        *_contractions(classification, features),
        *_signal(classification, features),
    )
    return replace(classification, reasons=reasons)


def _verdict(classification: Classification, features: WindowFeatures, cell: Cell | None) -> Iterator[Reason]:
    if classification.indeterminate is not None:
        yield _reason(classification, "indeterminate", "E", why=classification.indeterminate.value)
    if cell is not None and classification.baseline_class is not None:
        yield _reason(
            classification,
            "cell",
            "K",
            table=cell.table,
            baseline_class=classification.baseline_class.value,
            column=cell.column,
            level=cell.level,
        )
        if cell.is_fallback:
            yield _reason(classification, "fallback", "E", cell=cell.reference)
        if cell.footnote == FOOTNOTE_GROWTH:
            yield _reason(classification, "growth_restriction", "K")
    if SPECIAL_CAUSE in canonical_modifiers(features.modifiers):
        yield _reason(classification, "special_cause", "K")


def _baseline(classification: Classification) -> Iterator[Reason]:
    raw_bpm, rounded_bpm = classification.baseline_raw_bpm, classification.baseline_bpm
    if raw_bpm is None or rounded_bpm is None or classification.baseline_class is None:
        return
    _, evidence = rules.BASELINE_RANGES[classification.baseline_class]
    values = {
        "baseline_bpm": rounded_bpm,
        "baseline_raw_bpm": raw_bpm,
        "class": classification.baseline_class.value,
    }
    yield _reason(classification, "baseline", evidence, **values)
    if classification.is_near_boundary:
        yield _reason(classification, "near_boundary", "E", raw_bpm=raw_bpm)


def _variability(classification: Classification, features: WindowFeatures) -> Iterator[Reason]:
    if features.sinusoidal_min > 0:
        yield _reason(classification, "sinusoidal", "V1", minutes=features.sinusoidal_min)
    elif classification.variability_class is not None and features.variability_bpm is not None:
        values = {
            "variability_bpm": features.variability_bpm,
            "class": classification.variability_class.value,
        }
        yield _reason(classification, "variability", "V2", **values)
    if classification.needs_confirmation:
        yield _reason(classification, "absent_candidate", "E")


def _events(classification: Classification, features: WindowFeatures) -> Iterator[Reason]:
    counts = Counter((event.kind, event.severity) for event in features.decelerations)
    for event in features.decelerations:
        yield _deceleration(event, counts[event.kind, event.severity])
    if not features.decelerations:
        yield _reason(classification, "no_deceleration", "V2")
    if features.accelerations:
        yield _reason(classification, "acceleration", "V2", count=len(features.accelerations))
    else:
        yield _reason(classification, "no_acceleration", "V2")


def _deceleration(event: Deceleration, count: int) -> Reason:
    return Reason(
        code="deceleration",
        start_s=event.onset_s,
        end_s=event.end_s,
        values={
            "kind": event.kind.value,
            "severity": event.severity.value,
            "duration_s": event.end_s - event.onset_s,
            "depth_bpm": event.depth_bpm,
            "nadir_bpm": event.nadir_bpm,
            "count": count,
            "readable_percent": 100.0 * event.readable_fraction,
            "ongoing": "yes" if event.is_ongoing else "no",
        },
        evidence="K",
    )


def _contractions(classification: Classification, features: WindowFeatures) -> Iterator[Reason]:
    count = features.contractions_per_10min
    if count is None or not features.are_contractions_known:
        yield _reason(classification, "contractions_unknown", "E")
        return
    yield _reason(classification, "contractions", "V2", count=count)
    if classification.is_tachysystole:
        yield _reason(classification, "tachysystole", "V2", count=count)


def _signal(classification: Classification, features: WindowFeatures) -> Iterator[Reason]:
    values = {
        "valid_percent": 100.0 * features.valid_fraction,
        "longest_gap_s": features.longest_gap_s,
    }
    yield _reason(classification, "signal", "E", **values)
    if features.is_maternal_rate:
        yield _reason(classification, "maternal_rate", "E")
    if not features.is_coincidence_checked:
        yield _reason(classification, "coincidence_unchecked", "E")


def _reason(classification: Classification, code: str, evidence: Evidence, **values: float | str) -> Reason:
    return Reason(
        code=code,
        start_s=classification.start_s,
        end_s=classification.end_s,
        values=dict(values),
        evidence=evidence,
    )
