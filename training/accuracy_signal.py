"""Accuracy of the detector of false signals: by `analyse`, by its live answers, and on live beds."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hub.dsp import analyse
from hub.dsp.chosen_weights import use_weights
from hub.dsp.learned import LearnedStream, estimate_learned, load_network
from hub.dsp.network import Network
from hub.dsp.quality import remove_impossible
from hub.dsp.running import STEP_SAMPLES
from hub.model import FS_HZ, BoolArray, FloatArray
from training.false_signal_records import Record, load_records
from training.false_signal_report import (
    MOTHERS,
    count_agreement,
    count_false_episodes,
    hide_mother,
    join_live,
    measure_latencies,
)
from training.folds import Folds
from training.live_replay import Played, origin_s, replay

LIVE_SAID_AFTER_S = 30.0
"""A live bed has spoken of a sample in the first reading that is so much newer: at most 10 s later."""
BATCH = 16


@dataclass(frozen=True, slots=True)
class SignalCounts:
    """By answer ("revised.given", "live.hidden", "bed.given" and so on); a row for each record."""

    agreement: dict[str, list[FloatArray]] = field(default_factory=dict)
    """True and false positives, true and false negatives."""
    episodes: dict[str, list[FloatArray]] = field(default_factory=dict)
    """False episodes and hours of true signal."""
    latencies_s: dict[str, list[list[float]]] = field(default_factory=dict)
    n_cross_validated: int = 0
    n_records: int = 0


def measure_signal(directory: Path, folds: Folds, *, with_beds: bool) -> SignalCounts:
    """Judge every Doppler record by weights that never saw it, if it is one of a fold."""
    records = load_records(directory)
    counts = SignalCounts(
        n_records=len(records), n_cross_validated=sum(folds.fold_of(r.name) is not None for r in records)
    )
    for fold, places in folds.group([r.name for r in records]).items():
        group = sorted((records[k] for k in places), key=lambda r: r.fhr.size)
        with use_weights(folds.weights_of(fold)):
            for mother in MOTHERS:
                _add_group(counts, group, mother, with_beds=with_beds)
    return counts


def _add_group(counts: SignalCounts, records: Sequence[Record], mother: str, *, with_beds: bool) -> None:
    network = load_network()
    if network is None:
        msg = "expected weights of the detector of false signals, found none"
        raise FileNotFoundError(msg)
    for first in range(0, len(records), BATCH):
        batch = records[first : first + BATCH]
        live, now = _ask_live(network, batch, mother)
        for k, record in enumerate(batch):
            _add(counts, f"live.{mother}", record, live[k])
            counts.latencies_s.setdefault(f"now.{mother}", []).append(measure_latencies(record, now[k]))
    for record in records:
        fhr, toco, mhr = _as_given(record, mother)
        _add(counts, f"revised.{mother}", record, analyse(fhr, toco, mhr).false_signal >= 0.5)
    if with_beds:
        for record, (marked, told_s) in zip(records, _watch_beds(records, mother), strict=True):
            _add(counts, f"bed.{mother}", record, marked)
            counts.latencies_s.setdefault(f"bed.{mother}", []).append(
                measure_latencies(record, np.isfinite(told_s), told_s)
            )


def _add(counts: SignalCounts, answer: str, record: Record, is_marked: BoolArray) -> None:
    agreement = count_agreement(record, is_marked)
    counts.agreement.setdefault(answer, []).append(agreement)
    hours = (agreement[1] + agreement[2]) / FS_HZ / 3600
    counts.episodes.setdefault(answer, []).append(
        np.array([count_false_episodes(record, is_marked), hours], np.float64)
    )


def _as_given(record: Record, mother: str) -> tuple[FloatArray, FloatArray, FloatArray]:
    fhr, toco, mhr = (x.astype(np.float64) for x in (record.fhr, record.toco, hide_mother(record, mother)))
    return fhr, toco, mhr


def _ask_live(
    network: Network, records: Sequence[Record], mother: str
) -> tuple[list[BoolArray], list[BoolArray]]:
    """Give what is marked with at most 30 s of look-ahead, and what is flagged within a step of 2 s."""
    longest = max(r.fhr.size for r in records)
    padded = np.full((3, len(records), longest), np.nan)
    for k, record in enumerate(records):
        padded[:, k, : record.fhr.size] = _as_given(record, mother)
    fhr, toco, mhr = padded
    fhr, mhr = remove_impossible(fhr), remove_impossible(mhr)
    now = LearnedStream(network, len(records), is_revised=False).push(fhr, mhr, toco).now >= 0.5
    live = []
    for k, record in enumerate(records):
        n = record.fhr.size
        probability = estimate_learned(
            network, fhr[k : k + 1, :n], mhr[k : k + 1, :n], toco[k : k + 1, :n], is_revised=False
        )
        live.append(join_live(record, probability, mother))
    return live, [now[k, : r.fhr.size] for k, r in enumerate(records)]


def _watch_beds(records: Sequence[Record], mother: str) -> list[tuple[BoolArray, npt.NDArray[np.float64]]]:
    """Give what live beds had marked 30 to 40 s after, and when they first marked each sample, in s."""
    marked = [np.zeros(r.fhr.size, dtype=bool) for r in records]
    told_s = [np.full(r.fhr.size, np.nan) for r in records]
    said = [0] * len(records)
    beds = [Played(*_as_given(r, mother)) for r in records]
    for k, now_s, reading in replay(beds):
        n = records[k].fhr.size
        suspect = np.zeros(n, dtype=bool)
        for start_s, end_s in reading.suspect_spans_s:
            at = [round((x + origin_s(reading)) * FS_HZ) for x in (start_s, end_s)]
            suspect[max(at[0], 0) : max(at[1], 0)] = True
        is_new = suspect & np.isnan(told_s[k])
        told_s[k][is_new] = now_s
        is_last = now_s * FS_HZ >= n - n % STEP_SAMPLES - FS_HZ * LIVE_SAID_AFTER_S
        upto = n if is_last else max(round((now_s - LIVE_SAID_AFTER_S) * FS_HZ), 0)
        marked[k][said[k] : upto] = suspect[said[k] : upto]
        said[k] = min(said[k], upto) if is_last else upto
    return list(zip(marked, told_s, strict=True))
