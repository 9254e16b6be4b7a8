"""Train a classifier of openSMILE's functionals: an MLP, or logistic regression."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from speechkit.base.random_draws import rng
from speechkit.emotion import features
from speechkit.emotion.config import STRENGTHS, FunctionalsConfig
from speechkit.emotion.fold_training import FoldTraining
from speechkit.emotion.functionals import Normaliser, own_statistics, weights_of
from speechkit.emotion.loss import WeightedCrossEntropy, class_weights, measures, seed_start
from speechkit.labels.emotions import EmotionSet
from speechkit.training.curves import Tell, listener
from speechkit.training.loop import minimise, steps

_ORDER = 0xE0  # stream of draws of the order of an epoch
ITERATIONS = 300  # most, of L-BFGS for each strength

Row = dict[str, float]
Layers = dict[str, Tensor]
"""``output.*`` and, with a hidden layer, ``hidden.*``."""


@dataclass(frozen=True)
class Part:
    """Normalised vectors ``[N, D]`` and class indices ``[N]``."""

    inputs: Tensor
    targets: Tensor


class Log:
    """Rows of a training, and the best of them.

    Args:
        select: what chooses it: loss, accuracy or uar of the validation clips.
        tell: called with each row.
    """

    def __init__(self, select: str, tell: Tell) -> None:
        self.rows: list[Row] = []
        self.best = 0  # index of the best row
        self._name, self._sign, self._tell = f"valid_{select}", -1 if select == "loss" else 1, tell

    def add(self, row: Row) -> bool:
        """Add a row; whether it is better than all before."""
        name, sign = self._name, self._sign
        better = not self.rows or sign * row[name] > sign * self.rows[self.best][name]
        if better:
            self.best = len(self.rows)
        self.rows.append(row)
        self._tell(int(row["step"]), row)
        return better


def train_functionals(job: FoldTraining) -> None:
    """Train one fold and seed.

    Raises:
        UserError: opensmile is not installed, a clip cannot be read, or a class has no clips
            left.
    """
    config = job.config
    started = time.monotonic()
    kept, parts = job.kept_features()
    extracted = time.monotonic()
    normaliser, train, valid = _inputs(kept, job.dataset, parts.train, parts.valid, config)
    criterion = WeightedCrossEntropy(
        class_weights(job.counts(train.targets.numpy()), config.class_weights, config.beta),
        config.class_weights == "score-balanced",
    )
    fit = partial(_fit_mlp, job.run.seed) if config.head == "mlp" else _fit_logreg
    log = Log(config.select, listener(job.out.path))
    layers, chosen = fit(train, valid, criterion, config, log)
    network = {
        "head": config.head,
        "speaker_norm": config.speaker_norm,
        "inputs": len(kept.names),
        **chosen,
    }
    best = log.rows[log.best]
    job.write(
        "functionals",
        network,
        weights=weights_of(normaliser, layers),
        rows=log.rows,
        summary={
            "best_step": int(best["step"]),
            "steps": int(log.rows[-1]["step"]),
            "train_seconds": time.monotonic() - extracted,
            "feature_seconds": extracted - started,
            "valid_uar": best["valid_uar"],
        },
    )
    job.out.counts.update(training=len(parts.train), validation=len(parts.valid))


def _inputs(
    kept: features.Features,
    dataset: EmotionSet,
    train: Sequence[str],
    valid: Sequence[str],
    config: FunctionalsConfig,
) -> tuple[Normaliser, Part, Part]:
    vectors = {name: kept.table.stack(ids) for name, ids in (("train", train), ("valid", valid))}
    normaliser = Normaliser.fit(vectors["train"])
    own = own_statistics(kept, dataset, (*train, *valid)) if config.speaker_norm else None
    found = []
    for name, ids in (("train", train), ("valid", valid)):
        inputs = normaliser(vectors[name], [dataset.speaker(n) for n in ids], own)
        found.append(Part(torch.from_numpy(inputs), torch.from_numpy(dataset.targets(ids))))
    return normaliser, found[0], found[1]


def rotation(inputs: Tensor) -> Tensor | None:
    """Axes ``[D, R]`` that hold all of some inputs ``[N, D]``; None where D <= N.

    A linear layer only sees what lies in the space that the N inputs span. There are far fewer
    axes than ComParE has values, so that training on them is several times as fast.
    """
    if inputs.shape[1] <= inputs.shape[0]:
        return None
    wide = inputs.double()
    squares, turn = torch.linalg.eigh(wide @ wide.T)  # far smaller than the inputs' own SVD
    kept = squares > 1e-10 * squares[-1]
    return (wide.T @ (turn[:, kept] / squares[kept].sqrt())).float()


def _fit_logreg(
    train: Part, valid: Part, criterion: WeightedCrossEntropy, config: FunctionalsConfig, log: Log
) -> tuple[Layers, dict[str, Any]]:
    """One fit for each strength, each from the last one's solution; validation chooses.

    The objective is scikit-learn's: C times the sum of the losses + |W|^2 / 2.
    """
    axes = rotation(train.inputs)
    turn = (lambda x: x) if axes is None else (lambda x: x @ axes)
    inputs, held_out = turn(train.inputs), turn(valid.inputs)
    weight = torch.zeros(len(criterion.weights), inputs.shape[1], requires_grad=True)
    bias = torch.zeros(len(criterion.weights), requires_grad=True)
    chosen: Layers = {}
    count = 0
    for strength in STRENGTHS:
        count += _minimise(weight, bias, inputs, train.targets, criterion, strength)
        with torch.no_grad():
            row = {"step": float(count), "c": strength}
            row["train_loss"] = float(criterion(inputs @ weight.T + bias, train.targets))
            row |= measures(held_out @ weight.T + bias, valid.targets.numpy())
        if log.add(row):
            full = weight.detach() if axes is None else weight.detach() @ axes.T
            chosen = {"output.weight": full.clone(), "output.bias": bias.detach().clone()}
    return chosen, {"c": log.rows[log.best]["c"]}


def _minimise(
    weight: Tensor,
    bias: Tensor,
    inputs: Tensor,
    targets: Tensor,
    criterion: WeightedCrossEntropy,
    c: float,
) -> int:
    """Change weight and bias to the minimum; returns the number of iterations."""

    def objective() -> Tensor:
        loss = criterion(inputs @ weight.T + bias, targets)
        return loss + weight.square().sum() / (2 * c * len(inputs))

    return minimise(objective, [weight, bias], ITERATIONS)


def _fit_mlp(
    seed: int,
    train: Part,
    valid: Part,
    criterion: WeightedCrossEntropy,
    config: FunctionalsConfig,
    log: Log,
) -> tuple[Layers, dict[str, Any]]:
    """Minibatches until the validation clips get no better."""
    axes = rotation(train.inputs)
    inputs, held_out, stretch = train.inputs, valid.inputs, 1.0
    if axes is not None:  # as large on average as values that were normalised one by one
        stretch = (axes.shape[1] / axes.shape[0]) ** 0.5
        inputs, held_out = inputs @ axes * stretch, held_out @ axes * stretch
    seed_start(seed)
    hidden = nn.Linear(inputs.shape[1], config.hidden)
    output = nn.Linear(config.hidden, len(criterion.weights))
    net = nn.Sequential(
        nn.Dropout(config.dropout / 2), hidden, nn.ReLU(), nn.Dropout(config.dropout), output
    )
    optimizer = torch.optim.AdamW(
        net.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
    )

    def loss_of(part: Tensor) -> Tensor:
        return criterion(net(inputs[part]), train.targets[part])

    chosen: Layers = {}
    count = 0
    for epoch in range(config.epochs):
        order = torch.from_numpy(rng(seed, _ORDER, epoch).permutation(len(inputs)))
        torch.manual_seed(int(rng(seed, _ORDER, epoch, 1).integers(2**31)))
        parts = order.split(config.batch_size)
        net.train()
        losses = [
            float(loss) * len(part)
            for part, loss in zip(parts, steps(parts, loss_of, optimizer), strict=True)
        ]
        count += len(parts)
        net.eval()
        with torch.no_grad():
            row = {
                "step": float(count),
                "epoch": epoch + 1.0,
                "train_loss": sum(losses) / len(inputs),
            }
            row |= measures(net(held_out), valid.targets.numpy())
        if log.add(row):
            chosen = _layers(hidden, output, axes, stretch)
        if 0 < config.patience <= len(log.rows) - 1 - log.best:
            break
    return chosen, {"hidden": config.hidden}


def _layers(hidden: nn.Linear, output: nn.Linear, axes: Tensor | None, stretch: float) -> Layers:
    """Copies of the weights, for inputs that are not rotated."""
    weight = hidden.weight.detach()
    return {
        "hidden.weight": weight.clone() if axes is None else stretch * weight @ axes.T,
        "hidden.bias": hidden.bias.detach().clone(),
        "output.weight": output.weight.detach().clone(),
        "output.bias": output.bias.detach().clone(),
    }
