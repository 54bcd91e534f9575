"""Annotated records, as the hub sees them, and the stretches from which the event model learns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.ndimage import uniform_filter1d

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
from training.event_scores import find_clear, label, leave_out_unscored

KINDS = ("rise", "fall")
TAIL_S = 60.0
"""The last minute is not scored, unless the record says otherwise."""


NO_SPANS: FloatArray = np.zeros((0, 2))
CLEAR_MEAN_S = 3.0


@dataclass(frozen=True, eq=False)
class Marked:
    """One record as it was recorded, and what experts marked in it (start and end in s)."""

    name: str
    fhr: FloatArray
    toco: FloatArray
    is_scored: BoolArray
    """Samples with signal on which there is an opinion."""
    marks: Mapping[str, FloatArray]
    expert_baseline: FloatArray
    """The one that the marks imply."""

    def measure_away(self, kind: str) -> FloatArray:
        """Give the departure from the experts' baseline, up for accelerations, down for decelerations."""
        return _measure_away(self.fhr, self.expert_baseline, 1.0 if kind == "acceleration" else -1.0)


def read_marked(directory: Path) -> list[Marked]:
    """Read all records of a directory, in the order of their names."""
    return [_read_marked(path) for path in find_paths(directory)]


def _read_marked(path: Path) -> Marked:
    with np.load(path, allow_pickle=False) as file:
        stored = {key: file[key] for key in file.files}
    raw = stored["fhr"].astype(np.float64)
    is_scored = np.isfinite(raw)
    for start_s, end_s in _spans(stored.get("unreliable")):
        is_scored[round(start_s * FS_HZ) : round(end_s * FS_HZ)] = False
    tail_s = float(stored.get("tail_s", TAIL_S))
    if tail_s:
        is_scored[-round(tail_s * FS_HZ) :] = False
    names = {"acceleration": "acc", "deceleration": "dec", "contraction": "con"}
    return Marked(
        name=path.stem,
        fhr=raw,
        toco=stored["toco"].astype(np.float64),
        is_scored=is_scored,
        marks={kind: _spans(stored.get(key)) for kind, key in names.items()},
        expert_baseline=stored["proxy_baseline"].astype(np.float64),
    )


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
    contractions: FloatArray
    expert_baseline: FloatArray
    """The one that the marks imply."""

    def marked(self, kind: str) -> FloatArray:
        return self.rise if kind == "rise" else self.fall

    def measure_away(self, kind: str) -> FloatArray:
        """Give the departure from the experts' baseline, in the direction of the events."""
        return _measure_away(self.fhr, self.expert_baseline, 1.0 if kind == "rise" else -1.0)


def _measure_away(fhr: FloatArray, baseline: FloatArray, sign: float) -> FloatArray:
    seen = np.flatnonzero(np.isfinite(fhr))
    rate = np.interp(np.arange(fhr.size), seen, fhr[seen])
    return np.asarray(uniform_filter1d(sign * (rate - baseline), round(CLEAR_MEAN_S * FS_HZ)))


def find_paths(directory: Path) -> list[Path]:
    """List the records of a directory, in the order of their names."""
    paths = sorted(directory.glob("*.npz"))
    if not paths:
        msg = f"{directory}: expected records (*.npz), found none"
        raise FileNotFoundError(msg)
    return paths


def load_records(directory: Path) -> list[Record]:
    """Read all records of a directory, in the order of their names."""
    return [_clean(marked) for marked in read_marked(directory)]


def _clean(marked: Marked) -> Record:
    clean, _ = remove_false(marked.fhr[None], np.full((1, marked.fhr.size), np.nan))
    return Record(
        name=marked.name,
        fhr=clean[0],
        toco=marked.toco,
        baseline=estimate_baseline(clean)[0],
        is_scored=marked.is_scored,
        rise=marked.marks["acceleration"],
        fall=marked.marks["deceleration"],
        contractions=marked.marks["contraction"],
        expert_baseline=marked.expert_baseline,
    )


def _spans(stored: npt.NDArray[np.float64] | None) -> FloatArray:
    return NO_SPANS if stored is None or not stored.size else stored.astype(np.float64)[:, :2]


def describe_record(record: Record, kind: str) -> tuple[npt.NDArray[np.float32], FloatArray, BoolArray]:
    """Give the scored stretches of a record, described; whether experts marked them; which are clear."""
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
    is_clear = find_clear(spans_s, record.measure_away(kind))
    return rows[is_used], labels[is_used], is_clear[is_used]


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
    rows = np.concatenate(collector.rows)
    # One that is still under way at the end comes behind those that the model was asked about.
    spans_s = to_spans(found.contractions[0])[: len(rows)]
    return rows, label(record.contractions, spans_s)


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
