"""Judge logits of a cross-validation: agreement by sample, episodes, latency, each with its uncertainty."""

import argparse
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from hub.dsp.false_signal import estimate_false_signal
from hub.dsp.learned import AlongStream
from hub.dsp.quality import find_spikes, remove_impossible
from hub.dsp.running import STEP_SAMPLES, Float32Array
from hub.dsp.suspicion import join_learned
from training.false_signal_augment import FS_HZ, MATERNAL_BPM
from training.false_signal_records import FALSE, Record, find_false_stretches, find_stretches, load_records

log = logging.getLogger("false_signal_report")

HEADS: Final = ("now", "live", "revised")
MOTHERS: Final = ("given", "hidden")
LIVE_S: Final = 30
EPISODE_S: Final = 10.0
EPISODE_JOIN_S: Final = 5.0
CAPTURE_S: Final = 15.0
"""Captures of the maternal rate shorter than the time allowed to flag them are not counted."""
SHIFTS: Final = (-1.0, 1.25, 0.75)
"""Taken off each head's logit.  The first only flags, and is decided again 28 s later, so it may be quick
to suspect; the others keep false episodes near one an hour.  Agreement hardly depends on it."""
HINDSIGHT_SHIFT: Final = 0.8
N_BOOTSTRAP: Final = 2000

Counts = npt.NDArray[np.float64]
Logits = Mapping[str, npt.NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Agreement:
    """How the marks of one head agree with the experts, over all records."""

    mcc: float
    low: float
    high: float
    """95 % interval of `mcc`, records drawn with replacement."""
    sensitivity: float
    specificity: float
    false_episodes_per_hour: float
    """Marked runs of 10 s or more of true signal, for each hour of true signal."""

    def as_dict(self) -> dict[str, float]:
        """Give the figures, rounded."""
        return {key: round(value, 4) for key, value in asdict(self).items()}


def load_logits(folder: Path) -> dict[str, npt.NDArray[np.float32]]:
    """Read what `train_false_signal --fold` wrote; several seeds are averaged."""
    found: dict[str, list[npt.NDArray[np.float32]]] = {}
    for path in sorted(folder.glob("fold*_seed*.npz")):
        if path.stem.endswith("weights"):
            continue
        with np.load(path, allow_pickle=False) as file:
            for key in file.files:
                found.setdefault(key, []).append(file[key].astype(np.float32))
    return {key: np.mean(parts, axis=0) for key, parts in found.items()}


def compute_mcc(counts: Counts) -> npt.NDArray[np.float64]:
    """Matthews' correlation of counts (..., 4): true and false positives, true and false negatives."""
    tp, fp, tn, fn = (counts[..., k] for k in range(4))
    scale = np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    result: npt.NDArray[np.float64] = (tp * tn - fp * fn) / np.maximum(scale, 1.0)
    return result


def count_agreement(record: Record, is_marked: npt.NDArray[np.bool_]) -> Counts:
    """Count true and false positives, true and false negatives among the judged samples."""
    judged = record.is_judged
    is_false, marked = record.label[judged] == FALSE, is_marked[judged]
    pairs = (marked & is_false, marked & ~is_false, ~marked & ~is_false, ~marked & is_false)
    return np.array([x.sum() for x in pairs], np.float64)


def count_false_episodes(record: Record, is_marked: npt.NDArray[np.bool_]) -> int:
    """Count marked runs of at least 10 s of true signal; a gap of the trace over 5 s ends a run."""
    at = np.flatnonzero(np.isfinite(record.fhr))
    wrong = (record.is_judged & (record.label != FALSE) & is_marked)[at]
    pieces = np.split(wrong, np.flatnonzero(np.diff(at) > EPISODE_JOIN_S * FS_HZ) + 1)
    return sum(int(b - a >= EPISODE_S * FS_HZ) for piece in pieces for a, b in find_stretches(piece))


def measure_latencies(
    record: Record,
    is_marked_now: npt.NDArray[np.bool_],
    told_s: npt.NDArray[np.float64] | None = None,
) -> list[float]:
    """Seconds from each capture of the maternal rate to its first mark; infinite where it is missed.

    A capture is a false stretch of at least 15 s whose median distance from the
    maternal rate is at most 8 beats/min.  A mark is there at the end of its step, or
    at the time `told_s` of its sample.
    """
    latencies = []
    for start, stop in find_false_stretches(record):
        apart = np.abs(record.fhr[start:stop] - record.mhr[start:stop])
        pairs = np.isfinite(apart)
        n_signal = np.isfinite(record.fhr[start:stop]).sum()
        if stop - start < CAPTURE_S * FS_HZ or pairs.sum() < 0.5 * n_signal:
            continue
        if np.median(apart[pairs]) > MATERNAL_BPM:
            continue
        hits = start + np.flatnonzero(is_marked_now[start:stop] & np.isfinite(record.fhr[start:stop]))
        if hits.size == 0:
            latencies.append(float("inf"))
            continue
        known = (hits[0] // STEP_SAMPLES + 1) * STEP_SAMPLES
        known_s = known / FS_HZ if told_s is None else float(told_s[hits].min())
        latencies.append(known_s - start / FS_HZ)
    return latencies


def judge(records: Sequence[Record], marks: Sequence[npt.NDArray[np.bool_]]) -> Agreement:
    """Judge the marks of all records together."""
    counts = np.array([count_agreement(r, m) for r, m in zip(records, marks, strict=True)])
    rng = np.random.default_rng(0)
    drawn = rng.integers(0, len(records), (N_BOOTSTRAP, len(records)))
    low, high = np.percentile(compute_mcc(counts[drawn].sum(axis=1)), (2.5, 97.5))
    tp, fp, tn, fn = counts.sum(axis=0)
    episodes = sum(count_false_episodes(r, m) for r, m in zip(records, marks, strict=True))
    return Agreement(
        mcc=float(compute_mcc(counts.sum(axis=0))),
        low=float(low),
        high=float(high),
        sensitivity=float(tp / (tp + fn)),
        specificity=float(tn / (tn + fp)),
        false_episodes_per_hour=float(episodes / ((tn + fp) / FS_HZ / 3600)),
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the report as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--logits", type=Path, required=True)
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logits = load_logits(given.logits)
    records = [r for r in load_records(given.data) if f"{r.name}.given" in logits]
    log.info(json.dumps(report(records, logits), indent=1))


def report(records: Sequence[Record], logits: Logits) -> dict[str, object]:
    """Judge all heads, or hindsight, with the mother and without; the slow ones joined to the rules too."""
    result: dict[str, object] = {"records": len(records)}
    is_first = len(next(iter(logits.values()))) == len(HEADS)
    shifts = dict(zip(HEADS, SHIFTS, strict=True)) if is_first else {"hindsight": HINDSIGHT_SHIFT}
    for mother in MOTHERS:
        for head, (name, shift) in enumerate(shifts.items()):
            raw = [logits[f"{r.name}.{mother}"][head] - shift for r in records]
            marks = [x >= 0 for x in raw]
            if name == "now":
                marks = [m | _is_along(r, mother) for r, m in zip(records, marks, strict=True)]
            result[f"{name}.{mother}"] = judge(records, marks).as_dict()
            if name == "now" and mother == "given":
                latencies = [s for r, m in zip(records, marks, strict=True) for s in measure_latencies(r, m)]
                result["latency"] = _summarise(latencies)
            if name != "now":
                joined = [
                    _join(r, x, mother, is_live=name == "live") for r, x in zip(records, raw, strict=True)
                ]
                result[f"{name}.{mother}.joined"] = judge(records, joined).as_dict()
    return result


def hide_mother(record: Record, mother: str) -> Float32Array:
    """Give the maternal channel, or one without a sample."""
    return record.mhr if mother == "given" else np.full_like(record.mhr, np.nan)


def _is_along(record: Record, mother: str) -> npt.NDArray[np.bool_]:
    along = AlongStream(1).push(record.fhr[None], hide_mother(record, mother)[None])
    return np.asarray(along[0])


def _join(
    record: Record, logit: npt.NDArray[np.float32], mother: str, *, is_live: bool
) -> npt.NDArray[np.bool_]:
    learned = np.where(np.isfinite(record.fhr), 1 / (1 + np.exp(-logit.astype(np.float64))), np.nan)[None]
    return join_live(record, learned, mother, is_live=is_live)


def join_live(
    record: Record, learned: npt.NDArray[np.float64], mother: str, *, is_live: bool = True
) -> npt.NDArray[np.bool_]:
    """Join as the analysis does; live, of the rules' marks only those that 30 s later were known."""
    fhr = remove_impossible(record.fhr[None].astype(np.float64))
    mhr = remove_impossible(hide_mother(record, mother)[None].astype(np.float64))
    rules_only = estimate_false_signal(np.where(find_spikes(fhr), np.nan, fhr), mhr)
    if is_live:
        on = rules_only.is_coincident
        later = np.concatenate((on, np.repeat(on[:, -1:], LIVE_S * FS_HZ, axis=1)), axis=1)[
            :, LIVE_S * FS_HZ :
        ]
        rules_only = replace(rules_only, probability=np.where(on | later, rules_only.probability, 0.0))
    learned = np.where(np.isfinite(fhr), learned, np.nan)
    with np.errstate(invalid="ignore"):
        return np.asarray(join_learned(rules_only, learned, fhr, mhr).probability[0] >= 0.5)


def _summarise(latencies: Sequence[float]) -> dict[str, float]:
    seconds = np.sort(latencies)
    at = {
        name: float(seconds[int(np.ceil(q * seconds.size)) - 1])
        for name, q in (("median", 0.5), ("p90", 0.9))
    }
    return {
        "captures": float(seconds.size),
        "flagged_within_15_s": round(float((seconds <= CAPTURE_S).mean()), 4),
        "never_flagged": round(float(np.isinf(seconds).mean()), 4),
        **at,
    }


if __name__ == "__main__":
    main()
