"""Measure the accuracy of the shipped analysis against expert marks: `make accuracy`, table for the README.

Every record of the development sets is judged by weights of a cross-validation that never
saw it (`training/folds`); a record that is in none of its folds is judged by the shipped
weights, which never saw it either.  What ran is what the hub runs: `hub.dsp.analyse` on
whole records, `hub.dsp.live` on the same records played second by second.
"""

import argparse
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hub.dsp.baseline_choice import WEIGHTS as BASELINE_WEIGHTS
from hub.dsp.event_model import WEIGHTS as EVENT_WEIGHTS
from hub.dsp.learned import HINDSIGHT, WEIGHTS
from training.accuracy_events import EventCounts, measure_events
from training.accuracy_signal import SignalCounts, measure_signal
from training.false_signal_report import CAPTURE_S, compute_mcc
from training.folds import FOLDS, Folds
from training.intervals import Figure, f_of_clear_events, f_of_events, measure, ratio

EXPECTED = """{given}: expected a folder with
  fhrma-train/  44 records of the FHRMA training set: fhr, toco (4 Hz, NaN where missing), acc, dec (start
                and end in s), unreliable, proxy_baseline
  ctu/          40 records of CTU-UHB with marks: the same, and con
  fs/           records of the FHRMA false-signal set: sensor, fhr, mhr, toco, fhr_label (0 undecided,
                1 true, 2 false)
each record a NPZ file of its own.  Give it with --data DIR or in the environment variable CTG_DATA.
"""
PARTS = ("fhrma-train", "ctu", "fs")


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table."""

    what: str
    aim: str
    figure: Figure
    is_percent: bool = False

    def __str__(self) -> str:
        f, digits = self.figure, 1 if self.is_percent else 3
        scale, unit = (100.0, " %") if self.is_percent else (1.0, "")
        value, low, high, half_low, half_high = (
            f"{x * scale:.{digits}f}" for x in (f.value, f.low, f.high, f.half_low, f.half_high)
        )
        is_met = self.aim == "" or _is_met(self.aim, f.value * scale)
        aim = self.aim if is_met else f"{self.aim} (missed)"
        if np.isnan(f.low):
            return f"| {self.what} | {aim} | {value}{unit} | | |"
        return f"| {self.what} | {aim} | {value}{unit} | {low} to {high} | {half_low} to {half_high} |"


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=os.environ.get("CTG_DATA"), help="folder of the records")
    parser.add_argument("--folds", type=Path, default=FOLDS, help="weights of the cross-validation")
    parser.add_argument("--beds", action="store_true", help="false signal on live beds too, an hour more")
    given = parser.parse_args(arguments)
    missing = given.data is None or [part for part in PARTS if not any((given.data / part).glob("*.npz"))]
    if missing:
        sys.stderr.write(EXPECTED.format(given=given.data or "no data"))
        raise SystemExit(2)
    began = time.monotonic()
    _say("| What | Aim | Figure | 95 % over records | random halves, 5 to 95 % |")
    _say("|---|---|---|---|---|")
    notes = []
    for part in PARTS:
        if part == "fs":
            folds = Folds.read(given.folds, (WEIGHTS.name, HINDSIGHT.name), part)
            signal = measure_signal(given.data / part, folds, with_beds=given.beds)
            rows, n, n_seen = list(_rows_of_signal(signal)), signal.n_records, signal.n_cross_validated
        else:
            folds = Folds.read(given.folds, (EVENT_WEIGHTS.name, BASELINE_WEIGHTS.name), part)
            kinds = ("contraction",) if part == "ctu" else ("deceleration", "acceleration")
            events = measure_events(given.data / part, folds, kinds=kinds)
            rows, n, n_seen = list(_rows_of_events(events)), events.n_records, events.n_cross_validated
        for row in rows:
            _say(str(row))
        notes.append(
            f"{part}: {n} records, {n_seen} of them judged by weights of a fold that left them out, "
            f"{n - n_seen} by the shipped weights, whose training did not have them."
        )
    _say("")
    for note in notes:
        _say(note)
    _say(
        "Not cross-validated: constants of the rules, features, thresholds and shifts, which were chosen on "
        "these records; and, on fhrma-train and ctu, the detector of false signals, which is the shipped one."
    )
    _say(f"Took {(time.monotonic() - began) / 60:.0f} min.")


def _rows_of_events(counts: EventCounts) -> Iterator[Row]:
    aims = {
        "deceleration": ("≥ .80", "≥ .92"),
        "acceleration": ("≥ .72", "≥ .87"),
        "contraction": ("≥ .87", ""),
    }
    for kind, whole in counts.whole.items():
        figure = measure(whole, f_of_events)
        yield Row(f"{kind}s, F", aims[kind][0], figure)
        if kind in counts.clear:
            yield Row(f"clear {kind}s, F", aims[kind][1], measure(counts.clear[kind], f_of_clear_events))
        live = measure(counts.live[kind], f_of_events)
        yield Row(f"{kind}s, F, told live after 120 s", f"≥ {figure.value - 0.02:.3f}", live)
    level = measure(counts.levels, ratio)
    yield Row("level of a segment live as of the whole record", "≥ 98 %", level, is_percent=True)


def _rows_of_signal(counts: SignalCounts) -> Iterator[Row]:
    aims = {
        "live.given": "≥ .85",
        "live.hidden": "≥ .68",
        "revised.given": "≥ .88",
        "revised.hidden": "≥ .72",
    }
    names = {
        "live": "live, ≤ 30 s ahead",
        "revised": "revised, `analyse`",
        "bed": "marked on live beds after 30 to 40 s",
    }
    with_mother = {"given": "", "hidden": ", maternal rate hidden"}
    for answer in sorted(
        counts.agreement, key=lambda a: (a.split(".")[1], list(names).index(a.split(".")[0]))
    ):
        head, mother = answer.split(".")
        what = f"{names[head]}{with_mother[mother]}"
        yield Row(
            f"false signal, MCC, {what}", aims.get(answer, ""), measure(counts.agreement[answer], compute_mcc)
        )
        yield Row(f"false episodes of 10 s an hour, {what}", "≤ 1.2", measure(counts.episodes[answer], ratio))
    for answer, name in (("now.given", "by the detector"), ("bed.given", "on live beds")):
        if answer in counts.latencies_s:
            yield from _rows_of_latency(counts.latencies_s[answer], name)


def _rows_of_latency(latencies_s: Sequence[Sequence[float]], name: str) -> Iterator[Row]:
    table = np.array([[sum(s <= CAPTURE_S for s in row), len(row)] for row in latencies_s], np.float64)
    row = measure(table, ratio)
    yield Row(f"captures of the maternal rate flagged within 15 s {name}", "≥ 95 %", row, is_percent=True)
    at = np.sort([s for row in latencies_s for s in row])
    for share, what in ((0.5, "median"), (0.9, "90th percentile")):
        value = float(at[int(np.ceil(share * at.size)) - 1])
        none = float("nan")
        yield Row(f"seconds to the flag {name}, {what}", "", Figure(value, none, none, none, none))


def _is_met(aim: str, value: float) -> bool:
    sign, limit = aim.removesuffix(" %").split(" ")
    return value >= float(limit) if sign == "≥" else value <= float(limit)


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
