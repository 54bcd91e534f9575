"""Train the learned detector of false signals: cross-validation by record, or the weights that ship."""

import argparse
import json
import logging
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from hub.dsp.false_signal_features import N_FEATURES, FeatureStream
from hub.dsp.running import STEP_SAMPLES
from training.false_signal_augment import Augmenter, Example
from training.false_signal_model import (
    Arrays,
    FalseSignalModel,
    HindsightModel,
    Remembered,
    export_arrays,
    export_hindsight,
)
from training.false_signal_records import (
    FALSE,
    PASTED,
    UNDECIDED,
    Record,
    count_crops,
    load_records,
    split_folds,
)
from training.false_signal_report import HINDSIGHT_SHIFT, SHIFTS

_Model = TypeVar("_Model", FalseSignalModel, HindsightModel)

log = logging.getLogger("train_false_signal")

CROP_STEPS = 900
CROP_MINUTES = 25.0
BATCH = 16
LEARNING_RATE = 4e-3
WEIGHT_DECAY = 1e-2
PASTED_WEIGHT = 0.5
"""Pasted stretches are far too frequent; at half weight the answers lie nearer to true probabilities."""
HIDE_MOTHER = 0.4
EMPTY_SAMPLES = 2000
"""Added to the count of labelled samples, so that a batch with few of them does not shout."""


def describe(examples: Sequence[Example | Record]) -> tuple[Tensor, Tensor]:
    """Stack examples, the short ones padded by loss: features and labels with time first."""
    n = max(e.fhr.size for e in examples)
    shape = (len(examples), n)
    fhr, mhr, toco = (np.full(shape, np.nan, np.float32) for _ in range(3))
    label = np.full(shape, UNDECIDED, np.uint8)
    for row, e in enumerate(examples):
        own = slice(e.fhr.size)
        fhr[row, own], mhr[row, own], toco[row, own], label[row, own] = e.fhr, e.mhr, e.toco, e.label
    label[~np.isfinite(fhr)] = UNDECIDED
    features = FeatureStream(len(examples)).push(fhr, mhr, toco)
    steps = label.reshape(len(examples), -1, STEP_SAMPLES)
    return (
        torch.from_numpy(np.ascontiguousarray(features.transpose(1, 0, 2))),
        torch.from_numpy(np.ascontiguousarray(steps.transpose(1, 0, 2))),
    )


def compute_loss(logits: Sequence[Tensor], label: Tensor) -> Tensor:
    """Cross-entropy over the labelled samples, summed over the heads."""
    target = (label >= FALSE).float()
    weight = (label > UNDECIDED).float() * torch.where(label == PASTED, PASTED_WEIGHT, 1.0)
    losses = [functional.binary_cross_entropy_with_logits(x, target, weight, reduction="sum") for x in logits]
    return torch.stack(losses).sum() / (weight.sum() + EMPTY_SAMPLES)


def build_hindsight(first: Path, seed: int) -> HindsightModel:
    """Give hindsight, untrained, that follows the trained first network of a weights file."""
    with np.load(first, allow_pickle=False) as file, torch.random.fork_rng():
        remembered = Remembered({key: file[key] for key in file.files})
        torch.manual_seed(seed + 100)
        return HindsightModel(remembered)


def train(records: Sequence[Record], build: Callable[[], _Model], *, epochs: int, seed: int) -> _Model:
    """Train what `build` makes on all records given; returns the running mean of the weights."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    augmenter = Augmenter(records, rng, hide_mother=HIDE_MOTHER)
    crops = count_crops(records, CROP_MINUTES)
    model = build()
    sample = torch.cat(
        [describe([augmenter.draw(r, CROP_STEPS)])[0].reshape(-1, N_FEATURES) for r in records[::3]]
    )
    model.mean.data = sample.mean(0)
    model.scale.data = sample.std(0).clamp(min=0.1)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    total = math.ceil(len(crops) / BATCH) * epochs
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=total, pct_start=0.1)
    averaged = {key: value.clone() for key, value in model.state_dict().items()}
    started, step = time.monotonic(), 0
    for epoch in range(epochs):
        model.train()
        losses = []
        for batch in _batches(crops, rng):
            features, label = describe([augmenter.draw(r, CROP_STEPS) for r in batch])
            loss = compute_loss(model(features), label)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
            step += 1
            kept = min(0.99, step / (step + 20))
            with torch.no_grad():
                for key, value in model.state_dict().items():
                    averaged[key].mul_(kept).add_(value, alpha=1 - kept)
        log.info(
            "epoch %d of %d: loss %.4f, %.0f s",
            epoch + 1,
            epochs,
            np.mean(losses),
            time.monotonic() - started,
        )
    model.load_state_dict(averaged)
    return model.eval()


def _batches(crops: Sequence[Record], rng: np.random.Generator) -> list[list[Record]]:
    """Random batches of records of similar length."""
    order = rng.permutation(len(crops))
    length = np.array([min(crops[k].fhr.size // STEP_SAMPLES, CROP_STEPS) // 100 for k in order])
    order = order[np.argsort(length, kind="stable")]
    batches = [[crops[k] for k in order[i : i + BATCH]] for i in range(0, order.size, BATCH)]
    rng.shuffle(batches)
    return batches


def predict(
    model: FalseSignalModel | HindsightModel, record: Record, *, is_mother_hidden: bool
) -> npt.NDArray[np.float32]:
    """Give the logits of the heads, shape (n_heads, n_samples)."""
    mhr = np.full_like(record.mhr, np.nan) if is_mother_hidden else record.mhr
    features, _ = describe([Record(record.name, record.fhr, mhr, record.toco, record.label)])
    with torch.no_grad():
        logits = model(features)
    return np.stack([x[:, 0].reshape(-1).numpy() for x in logits])


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one fold of the cross-validation, or train on all records."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of labelled records (*.npz)")
    parser.add_argument("--out", type=Path, required=True, help="folder for logits, or weights file (*.npz)")
    parser.add_argument("--fold", type=int, help="hold out this fold and write its logits; else train on all")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=36)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--first", type=Path, help="weights of the first network: train the hindsight that follows it"
    )
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(1)
    records = load_records(given.data)
    fold = split_folds(len(records), given.folds)
    seen = [r for r, k in zip(records, fold, strict=True) if k != given.fold]
    model: FalseSignalModel | HindsightModel
    if given.first is None:
        model = train(seen, lambda: FalseSignalModel(N_FEATURES), epochs=given.epochs, seed=given.seed)
    else:
        model = train(
            seen, lambda: build_hindsight(given.first, given.seed), epochs=given.epochs, seed=given.seed
        )
    if given.fold is None:
        np.savez_compressed(given.out, **export(model, is_shifted=True))
        log.info("wrote %s", given.out)
        return
    given.out.mkdir(parents=True, exist_ok=True)
    held_out = [r for r, k in zip(records, fold, strict=True) if k == given.fold]
    logits = {
        f"{record.name}.{'hidden' if is_hidden else 'given'}": predict(
            model, record, is_mother_hidden=is_hidden
        ).astype(np.float16)
        for record in held_out
        for is_hidden in (False, True)
    }
    name = f"fold{given.fold}_seed{given.seed}"
    np.savez_compressed(given.out / f"{name}.npz", **logits)
    np.savez_compressed(given.out / f"{name}_weights.npz", **export(model, is_shifted=False))
    log.info(json.dumps({"fold": given.fold, "records": len(held_out)}))


def export(model: FalseSignalModel | HindsightModel, *, is_shifted: bool) -> Arrays:
    """Give the arrays of a weights file, the shifts of the logits in them if they are to ship."""
    if isinstance(model, HindsightModel):
        return export_hindsight(model, HINDSIGHT_SHIFT if is_shifted else 0.0)
    return export_arrays(model, SHIFTS if is_shifted else (0.0, 0.0, 0.0))


if __name__ == "__main__":
    main()
