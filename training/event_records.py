"""Annotated records, as the hub sees them, and the stretches from which the event model learns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hub.dsp.analyse import remove_false
from hub.dsp.baseline import estimate_baseline
from hub.dsp.contractions import UterineActivity, find_contractions
from hub.dsp.event_features import describe_stretches, is_worth_a_look, measure_peaks
from hub.dsp.event_model import Forest
from hub.dsp.events import (
    ACCELERATION_EDGE_BPM,
    DECELERATION_EDGE_BPM,
    find_accelerations,
    find_decelerations,
    measure_fall,
    measure_rise,
)
from hub.dsp.quality import find_runs
from hub.dsp.sinusoidal import find_sinusoidal, is_cycle
from hub.model import FS_HZ, BoolArray, FloatArray
from training.event_scores import label, leave_out_unscored

KINDS = ("rise", "fall")
TAIL_S = 60.0
"""The last minute is not scored, unless the record says otherwise."""


@dataclass(frozen=True, eq=False)
class Record:
    """One record, cleaned, with its baseline and what experts marked in it (start and end in s)."""

    name: str
    fhr: FloatArray
    toco: FloatArray
    baseline: FloatArray
    is_scored: BoolArray
    rise: FloatArray
    fall: FloatArray
    contractions: FloatArray | None
    expert_baseline: FloatArray
    """The one that the marks imply."""

    def marked(self, kind: str) -> FloatArray:
        return self.rise if kind == "rise" else self.fall


def load_records(directory: Path) -> list[Record]:
    """Read all records of a directory, in the order of their names."""
    paths = sorted(directory.glob("*.npz"))
    if not paths:
        msg = f"{directory}: expected records (*.npz), found none"
        raise FileNotFoundError(msg)
    return [_load(path) for path in paths]


def _load(path: Path) -> Record:
    with np.load(path, allow_pickle=False) as file:
        stored = {key: file[key] for key in file.files}
    raw = stored["fhr"].astype(np.float64)
    clean, _ = remove_false(raw[None], np.full((1, raw.size), np.nan))
    is_scored = np.isfinite(raw)
    for start_s, end_s in _spans(stored.get("unreliable")):
        is_scored[round(start_s * FS_HZ) : round(end_s * FS_HZ)] = False
    tail_s = float(stored.get("tail_s", TAIL_S))
    if tail_s:
        is_scored[-round(tail_s * FS_HZ) :] = False
    return Record(
        name=path.stem,
        fhr=clean[0],
        toco=stored["toco"].astype(np.float64),
        baseline=estimate_baseline(clean)[0],
        is_scored=is_scored,
        rise=_spans(stored["acc"]),
        fall=_spans(stored["dec"]),
        contractions=_spans(stored["con"]) if "con" in stored else None,
        expert_baseline=stored["proxy_baseline"].astype(np.float64),
    )


def _spans(stored: npt.NDArray[np.float64] | None) -> FloatArray:
    return np.zeros((0, 2)) if stored is None or not stored.size else stored.astype(np.float64)[:, :2]


def describe_record(record: Record, kind: str) -> tuple[npt.NDArray[np.float32], FloatArray]:
    """Give the scored stretches of a record, described, and whether experts marked them."""
    fhr, baseline = record.fhr[None], record.baseline[None]
    if kind == "rise":
        departure, swing, edge_bpm = measure_rise(fhr, baseline), fhr - baseline, ACCELERATION_EDGE_BPM
    else:
        departure, swing, edge_bpm = measure_fall(fhr, baseline), baseline - fhr, DECELERATION_EDGE_BPM
    runs = find_runs(departure > edge_bpm)
    runs = runs[is_worth_a_look(runs, measure_peaks(runs, departure))]
    rows = describe_stretches(runs, departure, swing, baseline)
    spans_s = runs[:, 1:] / FS_HZ
    labels = label(leave_out_unscored(record.marked(kind), record.is_scored), spans_s)
    is_used = np.array([len(leave_out_unscored(s[None], record.is_scored)) > 0 for s in spans_s], dtype=bool)
    return rows[is_used], labels[is_used]


class PeakCollector:
    """Stands in for a contraction model: accepts every peak and keeps how it was described."""

    def __init__(self) -> None:
        self.rows: list[FloatArray] = []

    def accept(self, rows: FloatArray) -> BoolArray:
        self.rows.append(rows)
        return np.ones(len(rows), dtype=bool)


def describe_peaks_of(record: Record) -> tuple[FloatArray, FloatArray]:
    """Give the peaks of a record's toco, described, and whether experts marked them."""
    collector = PeakCollector()
    found = find_contractions(record.toco[None], model=collector)  # type: ignore[arg-type]
    spans_s = to_spans(found.contractions[0])
    expert_s = np.zeros((0, 2)) if record.contractions is None else record.contractions
    return np.concatenate(collector.rows), label(expert_s, spans_s)


def to_spans(events: Sequence[object]) -> FloatArray:
    """Give start and end of findings in s."""
    return np.array([(e.onset_s, e.end_s) for e in events], dtype=np.float64).reshape(-1, 2)  # type: ignore[attr-defined]


def find_all(
    fhr: FloatArray, baseline: FloatArray, activity: UterineActivity, models: Mapping[str, Forest]
) -> dict[str, list[FloatArray]]:
    """Find the events of some beds by the given models, and by the rules where there is none."""
    falls = find_decelerations(
        fhr,
        baseline,
        contractions=activity.contractions,
        are_contractions_known=activity.is_known,
        model=models.get("fall"),
    )
    rises = find_accelerations(
        fhr,
        baseline,
        gestational_weeks=[None] * len(fhr),
        decelerations=falls,
        model=models.get("rise"),
    )
    waves = find_sinusoidal(fhr, baseline)
    return {
        "fall": [
            to_spans([e for e in row if not is_cycle(wave, e.onset_s, e.end_s, e.depth_bpm)])
            for row, wave in zip(falls, waves, strict=True)
        ],
        "rise": [
            to_spans([e for e in row if not is_cycle(wave, e.onset_s, e.end_s, e.rise_bpm)])
            for row, wave in zip(rises, waves, strict=True)
        ],
    }
