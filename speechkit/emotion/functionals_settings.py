"""How a classifier of openSMILE's functionals is trained."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from speechkit.base.errors import ConfigError, require_choice, require_range

HEADS = ("mlp", "logreg")
SELECT = ("loss", "accuracy", "uar")
STRENGTHS = (1e-4, 1e-3, 1e-2, 0.1, 1.0)  # C of the logistic regression, weakest first


@dataclass(frozen=True)
class FunctionalsConfig:
    """All that decides the model, beside set, split, fold and seed.

    Args:
        head: ``mlp`` (one hidden layer) or ``logreg`` (multinomial logistic regression whose
            strength of regularisation the validation clips choose; it has no random draws).
        speaker_norm: mean and deviation of each speaker's own clips, test speakers included:
            results are then transductive.
        hidden: units of the hidden layer.
        dropout: of the hidden layer, and half as much of the inputs.
        epochs: most passes over the training clips.
        batch_size: clips of a step.
        learning_rate: of AdamW.
        weight_decay: of AdamW.
        patience: epochs without a better one before training stops; 0 for never.
        select: what chooses the epoch or the strength: loss, accuracy or uar of the
            validation clips.
        class_weights: see :func:`speechkit.emotion.loss.class_weights`.
        beta: of the effective number of clips.
    """

    head: str = "mlp"
    speaker_norm: bool = False
    hidden: int = 128
    dropout: float = 0.5
    epochs: int = 60
    batch_size: int = 32
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    patience: int = 15
    select: str = "loss"
    class_weights: str = "none"
    beta: float = 0.99

    def check(self) -> None:
        """Raises UserError for impossible values."""
        from speechkit.emotion.encoder_settings import CLASS_WEIGHTS

        require_choice("head", self.head, HEADS)
        require_choice("select", self.select, SELECT)
        require_choice("class_weights", self.class_weights, CLASS_WEIGHTS)
        check_common(self)
        if self.hidden < 1:
            raise ConfigError("hidden", f"{self.hidden} is below 1.")

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def check_common(config: Any) -> None:
    """Raise UserError for impossible numbers of a training."""
    for name, good, accepted in (
        ("epochs", config.epochs >= 1, "from 1"),
        ("batch_size", config.batch_size >= 1, "from 1"),
        ("patience", config.patience >= 0, "from 0 (never stop)"),
        ("learning_rate", 0 < config.learning_rate < math.inf, "above 0"),
        ("weight_decay", 0 <= config.weight_decay < math.inf, "from 0"),
        ("dropout", 0 <= config.dropout < 1, "from 0 to below 1"),
        ("beta", 0 <= config.beta < 1, "from 0 to below 1"),
    ):
        require_range(name, getattr(config, name), good, accepted)
