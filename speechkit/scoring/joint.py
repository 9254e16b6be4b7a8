"""Acoustic network and scorer trained together, from audio: an ``unfrozen`` stage.

Lin and Wang, "Deep Feature Transfer Learning for Automatic Pronunciation Assessment" (Interspeech
2021), section 2.3 and
the rows "unfrozen" of Tables 4 and 5. The alignment stays that of the acoustic model as it was;
of the network all layers up to the one whose features are read learn from the loss of the scores
(Eq. 3), at a rate of their own. Batch normalisation keeps its statistics: the network computes
as in inference, and begins with exactly the features that ``extract-deep`` gives.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from speechkit.acoustic.tdnn import folder as tdnn_folder
from speechkit.acoustic.tdnn.network import Tdnn, resolve_acoustic_precision
from speechkit.scoring.batches import Batches, ScoringBatch
from speechkit.scoring.config import ScoringConfig
from speechkit.scoring.joint_data import JointData, Stream
from speechkit.scoring.joint_network import phone_means, stream_means
from speechkit.scoring.models import Scorer
from speechkit.stats.score_metrics import mse, pcc
from speechkit.training.batches import LengthBatches
from speechkit.training.config import FitConfig
from speechkit.training.devices import keep_memory
from speechkit.training.loop import Fitted, fit
from speechkit.training.state import Trainable

CHECKPOINT_MINUTES = 5.0  # how often the state is saved inside an epoch
Weights = dict[str, Tensor]
SELECT = "select"


@dataclass(frozen=True)
class Examples:
    """Utterances of a set, with their frames and scores.

    Args:
        data: their frames.
        batches: phones, words and labels of the same utterances, on the device of the training.
    """

    data: JointData
    batches: Batches

    @property
    def labels(self) -> np.ndarray:
        """From 0 to 1, float32 ``[U]``; NaN: not scored (only where they are measured)."""
        return self.batches.data.labels

    def batch(self, chosen: Sequence[int], features: Tensor) -> ScoringBatch:
        """Some utterances with these features ``[P, D]`` of their phones, for one seed."""
        index = torch.tensor([chosen], device=self.batches.device)
        return self.batches.batch(index, features=False).with_features(features)


@dataclass(frozen=True)
class Joined:
    """What came out.

    Args:
        scorer: weights of the scorer, of one seed.
        network: all tensors of the acoustic network, in float16 as they are to be stored.
        rows: measures of each epoch.
        epoch: the one that was taken, from 1.
    """

    scorer: Weights
    network: Weights
    rows: list[dict[str, float]]
    epoch: int


class JointNet(Trainable):
    """Both networks with their loss.

    Args:
        network: acoustic, from :func:`speechkit.scoring.joint_network.trainable`.
        scorer: of one seed.
        layer: whose hidden features are read, from 1.
        config: how; epochs and learning rate are those of the stage.
        examples: to train on.
        measured: further ones, measured after every epoch, by name; those named ``select``
            choose the epoch (highest PCC), otherwise it is the last.
    """

    def __init__(
        self,
        network: Tdnn,
        scorer: Scorer,
        layer: int,
        config: ScoringConfig,
        examples: Examples,
        measured: Mapping[str, Examples],
    ) -> None:
        super().__init__()
        self.network, self.scorer = network, scorer
        self.layer, self.config = layer, config
        self.examples, self.measured = examples, dict(measured)

    def train(self, mode: bool = True) -> JointNet:
        """Only the scorer changes its mode (dropout)."""
        super().train(mode)
        self.network.eval()
        return self

    def loss(self, batch: tuple[list[int], Stream, Tensor]) -> Tensor:
        chosen, stream, labels = batch
        features = stream_means(self.network, stream, self.layer)
        with torch.autocast(features.device.type, enabled=False):
            self.scorer.dropout.generators = (_generator(features.device),)
            scores = self.scorer(self.examples.batch(chosen, features))[0]
            return (scores - labels).square().mean()

    def predict(self, examples: Examples) -> np.ndarray:
        """Scores ``[U]`` of other utterances, in 32 bits."""
        data = examples.data
        means = torch.from_numpy(phone_means(self.network, data, self.layer))
        first, found = data.first.tolist(), []
        self.scorer.dropout.generators = ()
        size = 4 * self.config.batch_size
        with torch.no_grad():
            for start in range(0, len(data.clips), size):
                chosen = list(range(start, min(start + size, len(data.clips))))
                features = means[first[chosen[0]] : first[chosen[-1] + 1]].to(self.device)
                found.append(self.scorer(examples.batch(chosen, features))[0].cpu())
        return torch.cat(found).numpy()

    def measure(self) -> dict[str, float]:
        found = {}
        for name, examples in self.measured.items():
            predicted = self.predict(examples)[None]
            found[f"{name}_pcc"] = float(pcc(predicted, examples.labels)[0])
            found[f"{name}_mse"] = float(mse(predicted, examples.labels)[0])
        return found

    def new_optimizer(self) -> torch.optim.Optimizer:
        config = self.config
        acoustic = [p for p in self.network.parameters() if p.requires_grad]
        scale = config.joint_learning_rate / config.learning_rate
        return torch.optim.AdamW(
            [
                {"params": list(self.scorer.parameters()), "weight_decay": config.weight_decay},
                {"params": acoustic, "weight_decay": 0.0, "rate_scale": scale},
            ],
            lr=config.learning_rate,
        )


def train_joint(
    net: JointNet,
    *,
    seed: int,
    device: torch.device,
    checkpoint: Path,
    tensorboard: Path,
    label: str,
) -> Joined:
    """Train a scorer and the network under it; both are changed.

    Args:
        net: both; all its examples have a score.
        seed: of the order of utterances and of dropout.
        device, checkpoint, tensorboard, label: as for :func:`speechkit.training.loop.fit`.

    Raises: as :func:`speechkit.training.loop.fit`.
    """
    config, examples = net.config, net.examples
    assert np.isfinite(examples.labels).all()
    keep_memory(device)
    lengths = examples.data.lengths.tolist()
    size, selecting = min(config.batch_size, len(lengths)), SELECT in net.measured
    order = partial(LengthBatches, lengths, size, config.epochs, seed, buckets=False)
    monitor = f"-{SELECT}_pcc" if selecting else "train_loss"
    precision = resolve_acoustic_precision(config.precision, device)
    fitted = fit(
        net,
        lambda step: _batches(examples, order(start=step)),
        FitConfig.of(
            config,
            patience=0,
            monitor=monitor,
            precision=precision,
            checkpoint_minutes=CHECKPOINT_MINUTES,
            seed=seed,
            batch_size=size,
        ),
        per_epoch=order().per_epoch,
        device=device,
        checkpoint=checkpoint,
        tensorboard=tensorboard,
        label=label,
    )
    return _joined(net, fitted, selecting)


def _joined(net: JointNet, fitted: Fitted, selecting: bool) -> Joined:
    """Both networks of the epoch that is taken."""
    if selecting:
        net.load_state_dict(fitted.weights)
    net.cpu()
    net.scorer.dropout.generators = ()
    # The weights that a folder will have: rounded to float16.
    rounded = tdnn_folder.half(net.network.state_dict())
    net.network.load_state_dict(
        {k: v.float() if v.is_floating_point() else v for k, v in rounded.items()}
    )
    rows = [{"train_mse": row.pop("train_loss"), **row} for row in map(dict, fitted.rows)]
    weights = {key: value.detach().clone() for key, value in net.scorer.state_dict().items()}
    epoch = fitted.best_epoch if selecting else len(rows)
    return Joined(weights, rounded, rows, epoch)


def _generator(device: torch.device) -> torch.Generator:
    """The one that ``fit`` seeds before every step."""
    if device.type == "cuda":
        return torch.cuda.default_generators[device.index or 0]
    return torch.default_generator


def _batches(
    examples: Examples, order: LengthBatches
) -> Iterator[tuple[list[int], Stream, Tensor]]:
    labels = torch.from_numpy(np.asarray(examples.labels, np.float32))
    for members in order:
        chosen = [index for _, _, index in members]
        yield chosen, examples.data.stream(chosen), labels[chosen]
