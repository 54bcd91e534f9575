"""Measure the event model alone, over several partitions: `python -m training.evaluate_events --data DIR`.

Prints tables of docs/events.md; `make accuracy` measures the analysis as a whole, and live.
No record is judged by a model that saw it: in the last table, where those of another
hospital are judged by all of FHRMA, too.
"""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from hub.dsp.contraction_model import ContractionModel
from hub.dsp.contractions import find_contractions
from hub.dsp.event_model import Forest
from hub.model import FloatArray
from training.event_records import KINDS, Record, describe_peaks_of, find_all, load_records, to_spans
from training.event_scores import Counts, count, count_clear, interval_of_f
from training.train_events import Arrays, describe_all, fit_contractions, fit_events

N_FOLDS = 5
NAMES = {"rise": "accelerations", "fall": "decelerations"}

T = TypeVar("T")
Models = Mapping[str, Forest]
Found = dict[str, dict[str, FloatArray]]
"""Kind, then name of the record: start and end of what was found, in s."""


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="directory with fhrma-train/ and ctu/")
    parser.add_argument("--partitions", type=int, default=5, help="random partitions into five folds")
    parser.add_argument("--halves", type=int, default=10, help="random halves")
    given = parser.parse_args()
    records = load_records(given.data / "fhrma-train")
    tocos = load_records(given.data / "ctu")
    _evaluate_events(records, given.partitions, given.halves)
    _evaluate_contractions(tocos, given.partitions)
    _evaluate_transfer(records, tocos)


def _evaluate_events(records: Sequence[Record], n_partitions: int, n_halves: int) -> None:
    described = describe_all(records)
    activity = {r.name: find_contractions(r.toco[None]) for r in records}

    def fit(names: Sequence[str]) -> Models:
        return _read(fit_events(described, names))

    def find(record: Record, models: Models) -> dict[str, FloatArray]:
        found = find_all(record.fhr[None], record.baseline[None], activity[record.name], models)
        return {kind: rows[0] for kind, rows in found.items()}

    _say("| FHRMA, 44 records | F (sensitivity / precision) | 95 % over records | clear events |")
    _say("|---|---|---|---|")
    by_rules = _all_by(records, lambda r: find(r, {}))
    for kind in KINDS:
        _say_row(f"{NAMES[kind]}, rules", records, kind, [by_rules])
    runs = [_cross_validate(records, fit, find, seed) for seed in range(n_partitions)]
    for kind in KINDS:
        _say_row(f"{NAMES[kind]}, model", records, kind, runs)
    _say("")
    _say(
        f"| Trained on a random half, judged on the other, {n_halves} times | mean F | SD | lowest | rules |"
    )
    _say("|---|---|---|---|---|")
    halves = [_judge_half(records, fit, find, seed) for seed in range(n_halves)]
    for kind in KINDS:
        f = np.array([_pool(records_of, kind, found).f for records_of, found in halves])
        plain = np.array([_pool(records_of, kind, by_rules).f for records_of, _ in halves])
        _say(
            f"| {NAMES[kind]} | {f.mean():.3f} | {f.std():.3f} | {f.min():.3f} | {plain.mean():.3f}, "
            f"worse than the model in {int((plain < f).sum())} of {n_halves} |"
        )


def _evaluate_contractions(records: Sequence[Record], n_partitions: int) -> None:
    peaks = {r.name: describe_peaks_of(r) for r in records}

    def of_record(record: Record, model: ContractionModel | None) -> dict[str, FloatArray]:
        found = find_contractions(record.toco[None], model=model)
        return {"contraction": to_spans(found.contractions[0])}

    def fit(names: Sequence[str]) -> ContractionModel:
        return ContractionModel.from_arrays(fit_contractions(peaks, names))

    _say("")
    _say("| CTU, 40 records | F (sensitivity / precision) | 95 % over records |")
    _say("|---|---|---|")
    runs = [_cross_validate(records, fit, of_record, seed) for seed in range(n_partitions)]
    for name, found in (("rules", [_all_by(records, lambda r: of_record(r, None))]), ("model", runs)):
        counts = [[_count(r, "contraction", f) for r in records] for f in found]
        pooled = [sum(c, Counts()) for c in counts]
        low, high = interval_of_f(counts[0])
        _say(f"| contractions, {name} | {_mean_of(pooled)} | {low:.3f} to {high:.3f} |")


def _evaluate_transfer(records: Sequence[Record], others: Sequence[Record]) -> None:
    models = _read(fit_events(describe_all(records), [r.name for r in records]))
    _say("")
    _say("| Trained on FHRMA, held against the marks of CTU | rules | model |")
    _say("|---|---|---|")
    found: dict[str, Found] = {}
    found["rules"] = _all_by(others, lambda r: _find_in(r, {}))
    found["model"] = _all_by(others, lambda r: _find_in(r, models))
    for kind in KINDS:
        rules, learned = (_pool(others, kind, found[name]) for name in ("rules", "model"))
        _say(f"| {NAMES[kind]} | {rules} | {learned} |")


def _read(arrays: Arrays) -> Models:
    return {kind: Forest.from_arrays(arrays, kind) for kind in KINDS}


def _find_in(record: Record, models: Models) -> dict[str, FloatArray]:
    activity = find_contractions(record.toco[None])
    found = find_all(record.fhr[None], record.baseline[None], activity, models)
    return {kind: rows[0] for kind, rows in found.items()}


def _cross_validate(
    records: Sequence[Record],
    fit: Callable[[Sequence[str]], T],
    find: Callable[[Record, T], dict[str, FloatArray]],
    seed: int,
) -> Found:
    order = np.random.default_rng(seed).permutation(len(records))
    found: Found = {}
    for fold in range(N_FOLDS):
        held = set(order[fold::N_FOLDS].tolist())
        model = fit([r.name for k, r in enumerate(records) if k not in held])
        _merge(found, {records[k].name: find(records[k], model) for k in sorted(held)})
    return found


def _judge_half(
    records: Sequence[Record],
    fit: Callable[[Sequence[str]], T],
    find: Callable[[Record, T], dict[str, FloatArray]],
    seed: int,
) -> tuple[list[Record], Found]:
    order = np.random.default_rng(1000 + seed).permutation(len(records))
    half = len(records) // 2
    model = fit([records[k].name for k in order[:half]])
    held = [records[k] for k in order[half:]]
    return held, _all_by(held, lambda r: find(r, model))


def _all_by(records: Sequence[Record], find: Callable[[Record], dict[str, FloatArray]]) -> Found:
    found: Found = {}
    _merge(found, {r.name: find(r) for r in records})
    return found


def _merge(found: Found, by_record: dict[str, dict[str, FloatArray]]) -> None:
    for name, kinds in by_record.items():
        for kind, spans_s in kinds.items():
            found.setdefault(kind, {})[name] = spans_s


def _count(record: Record, kind: str, found: Found) -> Counts:
    if kind == "contraction":
        return count(record.contractions, found[kind][record.name], np.ones(record.fhr.size, dtype=bool))
    return count(record.marked(kind), found[kind][record.name], record.is_scored)


def _pool(records: Sequence[Record], kind: str, found: Found) -> Counts:
    return sum((_count(r, kind, found) for r in records), Counts())


def _say_row(name: str, records: Sequence[Record], kind: str, runs: Sequence[Found]) -> None:
    pooled = [_pool(records, kind, found) for found in runs]
    low, high = interval_of_f([_count(r, kind, runs[0]) for r in records])
    clear = np.mean([_rate_clear(records, kind, found) for found in runs], axis=0)
    spread = f", SD {np.std([c.f for c in pooled]):.3f}" if len(pooled) > 1 else ""
    _say(
        f"| {name} | {_mean_of(pooled)}{spread} | {low:.3f} to {high:.3f} "
        f"| {clear[0]:.3f} ({clear[1]:.2f} / {clear[2]:.2f}) |"
    )


def _mean_of(pooled: Sequence[Counts]) -> str:
    f, sensitivity, precision = np.mean([(c.f, c.sensitivity, c.precision) for c in pooled], axis=0)
    return f"{f:.3f} ({sensitivity:.2f} / {precision:.2f})"


def _rate_clear(records: Sequence[Record], kind: str, found: Found) -> tuple[float, float, float]:
    """Judge clear events alone: clear marks that were found, and clear findings that were marked."""
    hits = sum(
        (
            count_clear(r.marked(kind), found[kind][r.name], r.is_scored, r.measure_away(kind))
            for r in records
        ),
        np.zeros(4),
    )
    sensitivity, precision = hits[0] / hits[1], hits[2] / hits[3]
    return 2 * sensitivity * precision / (sensitivity + precision), sensitivity, precision


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
