"""The report as a JSON document, for programs; its numbers are not rounded for people."""

from typing import Any

import msgspec
import numpy as np

from hub.model import FloatArray
from hub.report.reading import Reading

FORMAT = "ctg-hub analysis 1"
SERIES_PERIOD_S = 1.0


def to_document(readings: list[Reading]) -> dict[str, Any]:
    """Lay readings out as JSON; times in s from the first sample of the stretch, None where not readable."""
    return {
        "format": FORMAT,
        "notice": "Reading aid only, not a medical device.",
        "traces": [_to_trace(reading) for reading in readings],
    }


def _to_trace(reading: Reading) -> dict[str, Any]:
    found = reading.analysis
    events = {
        "accelerations": found.accelerations,
        "decelerations": found.decelerations,
        "contractions": found.contractions,
        "segments": found.segments,
        "rolling": found.rolling,
        "nst": reading.nst,
        "stv": reading.stv,
    }
    return {
        "record": reading.name,
        "trace": reading.trace,
        "algorithm": found.algorithm,
        "fs": reading.fs,
        "start_s": reading.start_s,
        "end_s": reading.end_s,
        "gestational_weeks": reading.gestational_weeks,
        "valid_fraction": reading.valid_fraction,
        "is_coincidence_checked": found.is_coincidence_checked,
        "are_contractions_known": found.are_contractions_known,
        **msgspec.to_builtins(events),
        "false_signal": [{"start_s": a, "end_s": b} for a, b in reading.false_spans],
        "series": {
            "period_s": SERIES_PERIOD_S,
            "baseline_bpm": _sample(found.baseline_bpm, reading.fs),
            "variability_bpm": _sample(found.variability_bpm, reading.fs),
        },
    }


def _sample(values: FloatArray, fs: float) -> list[float | None]:
    at = np.arange(0, values.size, SERIES_PERIOD_S * fs).astype(np.intp)
    return [None if np.isnan(value) else round(float(value), 2) for value in values[at]]
