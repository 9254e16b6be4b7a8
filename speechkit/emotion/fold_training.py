"""One training of a fold and seed: what it is given, its loop, and the folder that it leaves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch

from speechkit.base.errors import UserError, require_choice
from speechkit.base.log import counted, logger
from speechkit.emotion import features, model_folder
from speechkit.emotion.loss import ClassifierTraining
from speechkit.labels.emotions import MAX_SECONDS, EmotionSet
from speechkit.labels.folds import Fold
from speechkit.training.config import FitConfig, require_minutes
from speechkit.training.devices import ranks, resolve_precision
from speechkit.training.loop import Fitted, fit
from speechkit.workdir import Output, WorkDir


@dataclass(frozen=True)
class Run:
    """One training. Everything in it is recorded in the model's ``config.yaml``.

    Args:
        upstream: spec of the upstream model.
        set: name of the set.
        split: name of its split.
        fold: number of the fold.
        seed: fixes every random draw.
        max_seconds: most seconds of a clip; the middle of a longer one is taken.
    """

    upstream: str
    set: str
    split: str
    fold: int
    seed: int
    max_seconds: float = MAX_SECONDS

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Resources:
    """What a training may use; nothing of it changes the result.

    Args:
        device: auto, cpu or cuda, as resolved.
        jobs: processes that read audio.
        checkpoint_minutes: how often the state is saved.
        on_error: ``stop`` at a broken clip, or ``skip`` it.
        executor: local, or dask://HOST:PORT for what is read and computed of clips.
    """

    device: str = "cpu"
    jobs: int = 1
    checkpoint_minutes: float = 10.0
    on_error: str = "stop"
    executor: str = "local"

    def __post_init__(self) -> None:
        require_choice("on_error", self.on_error, ("stop", "skip"))
        require_minutes(self.checkpoint_minutes)

    @property
    def how(self) -> dict[str, Any]:
        """Of a map over clips."""
        return {"jobs": self.jobs, "executor": self.executor}


def usable_parts(fold: Fold, dataset: EmotionSet, skipped: Mapping[str, str]) -> Fold:
    """The fold without the clips that were skipped as broken.

    Raises:
        UserError: nothing is left to validate with, or of a class to train on.
    """
    if not skipped:
        return fold
    parts = {
        part: tuple(name for name in getattr(fold, part) if name not in skipped)
        for part in ("train", "valid", "test")
    }
    left = replace(fold, **parts)
    gone = len(fold.train) + len(fold.valid) - len(left.train) - len(left.valid)
    if gone:
        logger.warning(f"Left out of the training: {counted(gone, 'broken clip')}.")
    heard = {dataset.labels[name] for name in left.train}
    lacking = [name for name in dataset.classes if name not in heard]
    if lacking or not left.valid:
        what = f"to train '{lacking[0]}' on" if lacking else "to validate with"
        raise UserError(
            f"Without the broken clips none is left {what}.", "Mend them, or take another split."
        )
    return left


@dataclass(frozen=True)
class FoldTraining:
    """A training into an open output.

    Args:
        out: ``exp/emotion/<name>/fold<N>/seed<M>``, with ``resume=True``.
        workdir: the working directory (features and hidden states are kept there).
        dataset: the labelled set.
        fold: who is trained on and who validates; test clips are not read.
        run: which training this is.
        config: how: that of the upstream's kind.
        resources: what it may use.
    """

    out: Output
    workdir: WorkDir
    dataset: EmotionSet
    fold: Fold
    run: Run
    config: Any
    resources: Resources

    @property
    def device(self) -> torch.device:
        return torch.device(self.resources.device)

    def kept_features(self) -> tuple[features.Features, Fold]:
        """The features of the set, and the fold without the clips that have none."""
        kept = features.extract(
            self.workdir,
            self.dataset,
            self.run.upstream,
            max_seconds=self.run.max_seconds,
            on_error=self.resources.on_error,
            **self.resources.how,
        )
        return kept, usable_parts(self.fold, self.dataset, kept.skipped)

    def counts(self, targets: np.ndarray) -> list[int]:
        """Clips of each class."""
        return np.bincount(targets, minlength=len(self.dataset.classes)).tolist()

    def fit(
        self,
        model: ClassifierTraining,
        loader: Callable[[int], Iterable[Any]],
        clips: int,
        per_epoch: int,
        **changes: Any,
    ) -> Fitted:
        """Train a network.

        Args:
            model: the network, its loss and its validation.
            loader: step -> batches from that step on.
            clips: that it learns from.
            per_epoch: batches between evaluations.
            changes: of the loop's configuration.
        """
        sizes = [(p.numel(), p.requires_grad) for p in model.net.parameters()]
        total, trained = sum(n for n, _ in sizes), sum(n for n, learns in sizes if learns)
        if not ranks().rank:
            logger.info(
                f"{counted(clips, 'clip')} to train on, {len(model.valid.targets)} to validate; "
                f"{trained:,} of {total:,} parameters trained, on {self.device}"
            )
        how = {
            "precision": resolve_precision(self.config.precision, self.device),
            "checkpoint_minutes": self.resources.checkpoint_minutes,
            "seed": self.run.seed,
        }
        name = self.out.final.parent.parent.name
        fitted = fit(
            model,
            loader,
            FitConfig.of(self.config, **how | changes),
            per_epoch=per_epoch,
            device=self.device,
            checkpoint=self.out.part("last.ckpt"),
            tensorboard=self.out.path / "tensorboard",
            label=f"train emotion {name} fold {self.run.fold} seed {self.run.seed}",
        )
        self.out.counts.update(training=clips, validation=len(model.valid.targets))
        self.out.notes.update(device=str(self.device))
        return fitted

    def write(
        self,
        model: str,
        network: Mapping[str, Any],
        sample_rate: int = features.SAMPLE_RATE,
        **told: Any,
    ) -> None:
        """Write the folder, with ``told`` as of :func:`speechkit.emotion.model_folder.write`."""
        model_folder.write(
            self.out.path,
            model=model,
            upstream=self.run.upstream,
            classes=self.dataset.classes,
            sample_rate=sample_rate,
            network=network,
            training={**self.run.as_dict(), **self.config.as_dict()},
            **told,
        )
