"""Training a classifier: the loss, with weights for unbalanced classes, and what is measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from speechkit.base.errors import require_choice
from speechkit.base.random_draws import rng
from speechkit.emotion.config import CLASS_WEIGHTS, CnnConfig, EncoderConfig
from speechkit.stats.class_weights import effective_weights
from speechkit.training.state import Trainable


def class_weights(counts: Sequence[int], kind: str, beta: float = 0.99) -> Tensor:
    """Weights of the classes, float32 ``[C]``; their mean over the training clips is one.

    Args:
        counts: training clips of each class.
        kind: ``none``; ``balanced``: in inverse proportion to the count; ``effective`` and
            ``score-balanced``: to the effective number (1 - beta^n) / (1 - beta) (Cui et al.,
            "Class-balanced loss", CVPR 2019; Eq. 1 of Do et al., Interspeech 2023).
        beta: of the effective number.

    A class without clips gets the weight 0.
    """
    require_choice("class_weights", kind, CLASS_WEIGHTS)
    n = torch.as_tensor(counts).double()
    if kind == "none":
        weights = torch.ones_like(n)
    elif kind == "balanced":
        weights = 1 / n.clamp(min=1)
    else:
        weights = effective_weights(n, beta)
    weights = torch.where(n > 0, weights, 0.0)
    return (weights * n.sum() / (weights * n).sum()).float()


class WeightedCrossEntropy(nn.Module):
    """Cross entropy of a clip times the weight of a class, averaged over the batch.

    The class is the clip's, or with ``score-balanced`` the one that the model gives it: so a
    clip that is taken for a rare class weighs more (the idea of Do et al., for classes). No
    gradient goes through the weight.

    Args:
        weights: ``[C]``.
        by_prediction: the model's class decides.
        smoothing: share of the target that all classes get alike (label smoothing; C. Szegedy
            et al., "Rethinking the Inception architecture", CVPR 2016).

    Shape:
        logits ``[B, C]``, targets ``[B]`` -> a scalar.
    """

    weights: Tensor

    def __init__(
        self, weights: Tensor, by_prediction: bool = False, smoothing: float = 0.0
    ) -> None:
        super().__init__()
        self.register_buffer("weights", weights, persistent=False)
        self.by_prediction, self.smoothing = by_prediction, smoothing

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        losses = nn.functional.cross_entropy(
            logits.float(), targets, reduction="none", label_smoothing=self.smoothing
        )
        decides = logits.detach().argmax(-1) if self.by_prediction else targets
        return (losses * self.weights[decides]).mean()


_START = 0x51  # stream of draws of the first weights


def seed_start(seed: int) -> None:
    """Seed torch's generator for the first weights of a run."""
    torch.manual_seed(int(rng(seed, _START).integers(2**31)))


def measures(logits: Tensor, targets: np.ndarray) -> dict[str, float]:
    """Loss, accuracy and UAR (mean recall of the classes that occur) of logits ``[N, C]``."""
    wanted = torch.from_numpy(targets)
    right = (logits.argmax(1) == wanted).numpy()
    recalls = [right[targets == label].mean() for label in np.unique(targets)]
    return {
        "valid_loss": float(torch.nn.functional.cross_entropy(logits, wanted)),
        "valid_accuracy": float(right.mean()),
        "valid_uar": float(np.mean(recalls)),
    }


class ClassifierTraining(Trainable):
    """A network with the loss and the measures of this task.

    Args:
        net: what is trained; its parameters alone are in the checkpoints.
        config: of the training.
        counts: training clips of each class.
        valid: the validation clips: ``batch``, ``lengths`` and ``targets``.
    """

    valid_batch = 0  # validation clips that are heard together; 0: as many as in training

    def __init__(
        self,
        net: nn.Module,
        config: CnnConfig | EncoderConfig,
        counts: Sequence[int],
        valid: Any,
    ) -> None:
        super().__init__()
        self.net, self.config, self.valid = net, config, valid
        weights = class_weights(counts, config.class_weights, config.beta)
        by_prediction = config.class_weights == "score-balanced"
        smoothing = getattr(config, "label_smoothing", 0.0)
        self.criterion = WeightedCrossEntropy(weights, by_prediction, smoothing)

    @property
    def fused(self) -> bool | None:
        """Whether the optimizer is; None: as PyTorch chooses."""
        return None

    def loss(self, batch: tuple[Tensor, Sequence[int] | None, Tensor]) -> Tensor:
        inputs, lengths, targets = batch
        return self.criterion(self.net(inputs, lengths), targets)

    def new_optimizer(self) -> torch.optim.Optimizer:
        rate, decay = self.config.learning_rate, self.config.weight_decay
        return torch.optim.AdamW(
            self.trained_parameters(), lr=rate, weight_decay=decay, fused=self.fused
        )

    def logits(self) -> Tensor:
        """``[N, C]`` of the validation clips, in order; clips of like length are heard together."""
        order = sorted(range(len(self.valid)), key=self.valid.lengths.__getitem__)
        found = torch.zeros(len(order), len(self.criterion.weights))
        size = self.valid_batch or self.config.batch_size
        for first in range(0, len(order), size):
            part = order[first : first + size]
            inputs, counts, *_ = self.valid.batch(part)
            found[part] = self.net(inputs.to(self.device), counts).float().cpu()
        return found

    def measure(self) -> dict[str, float]:
        """Plain cross entropy, accuracy and unweighted average recall of the validation clips."""
        return measures(self.logits().float().cpu(), self.valid.targets)
