"""Train one acoustic network on chunks of its sets, without the speakers held out from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from speechkit.acoustic.tdnn import folder as tdnn_folder
from speechkit.acoustic.tdnn.batches import Data, MixedChunks
from speechkit.acoustic.tdnn.config import FULL, AcousticConfig
from speechkit.acoustic.tdnn.data import build_streams
from speechkit.acoustic.tdnn.evaluate import Tally, tally
from speechkit.acoustic.tdnn.inputs import Inputs
from speechkit.acoustic.tdnn.network import Tdnn
from speechkit.base.errors import UserError
from speechkit.base.random_draws import rng
from speechkit.training.batches import ResumableBatches
from speechkit.training.config import FitConfig
from speechkit.training.devices import ranks
from speechkit.training.layers import synced
from speechkit.training.loop import fit
from speechkit.training.state import Trainable
from speechkit.workdir import Output

MEASURED = 300  # utterances measured after each epoch
_SAMPLE, _WEIGHTS = 0xA1, 0xA2  # streams of random draws

Matrices = Sequence[tuple[Tensor, Tensor]]


class AcousticNet(Trainable):
    """A network with its loss: cross-entropy of the states of the frames that count.

    Args:
        network: to train.
        weight_decay: of AdamW.
        sample: what to measure after each epoch: features ``[T, M]`` and targets ``[T]``.
        speech: for each label, whether it is a phone.
    """

    def __init__(
        self, network: Tdnn, weight_decay: float, sample: Matrices, speech: Sequence[bool]
    ) -> None:
        super().__init__()
        self.network, self.weight_decay = network, weight_decay
        self.sample, self.speech = sample, speech

    def loss(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        """Mean over the frames that count; of several processes, over those of all.

        Averaged over the processes it is the loss, and has the gradient, of the whole batch.
        """
        features, targets = batch
        logits = self.network(features).float().flatten(0, 1)
        total = torch.nn.functional.cross_entropy(
            logits, targets.flatten(), ignore_index=-1, reduction="sum"
        )
        count, world = (targets >= 0).sum(), ranks().world
        if world > 1:
            torch.distributed.all_reduce(count)
        return world * total / count.clamp(min=1)

    def measure(self) -> dict[str, float]:
        """Loss and accuracies on the sample."""
        return tally(self.network, self.sample, Tally(self.speech))

    def new_optimizer(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.trained_parameters(), lr=1e-3, weight_decay=self.weight_decay)


def load_data(inputs: Inputs, config: AcousticConfig, jobs: int) -> Data:
    """Features and targets of the training sets.

    Raises:
        UserError: an alignment that does not fit its set or audio, or too few speakers.
    """
    folds = inputs.folds(config.folds)
    sets = [
        build_streams(
            source.utterances(folds, config.min_score),
            config.features,
            config.speeds,
            config.network.reach,
            jobs,
        )
        for source in inputs.sources
    ]
    weights = [config.weight(number) for number in range(len(sets))]
    return Data(sets, weights, folds, inputs.labels, config.speeds.index(1.0))


def fold_of(name: str) -> int | None:
    """The fold that a network must not see."""
    return None if name == FULL else int(name.removeprefix("fold"))


@dataclass
class NetworkTrainer:
    """How networks are trained: the same for all of a training.

    Args:
        config: the flags.
        out: for checkpoints and event files.
        device: where.
        precision: Lightning's name.
        checkpoint_minutes: how often the state is saved.
    """

    config: AcousticConfig
    out: Output
    device: torch.device
    precision: str
    checkpoint_minutes: float

    def fit(
        self, name: str, data: Data, inputs: Inputs, number: int
    ) -> tuple[Tdnn, list[dict[str, float]]]:
        """Train one network; it comes back with its weights rounded to float16.

        Args:
            name: ``fold0`` ..., ``full``.
            data: what to train on.
            inputs: for the model to start from.
            number: of the round of re-alignment, 0 before the first.
        """
        config, seed = self.config, self._seed(name, number)
        reach, without = config.network.reach, fold_of(name)
        chunks = MixedChunks(data.sets, data.weights, without, config.chunks, reach, seed)
        epochs = config.realign_epochs if number else config.epochs
        here = ranks()
        batches = partial(
            ResumableBatches,
            *(len(chunks), config.chunks.batch_size, epochs, seed),
            rank=here.rank,
            world=here.world,
        )
        if batches().batch_size < here.world:
            raise UserError(f"Too few chunks ({len(chunks)}) for {here.world} processes.")
        network = self._new_network(name, data, inputs, seed)
        net = AcousticNet(network, config.weight_decay, self._sample(name, data), data.speech)
        if here.world > 1:
            synced(network)
        key = f"{name}-round{number}" if number else name
        fitted = fit(
            net,
            lambda step: chunks.batches(batches(start=step)),
            self._fit_config(number, epochs, seed),
            per_epoch=batches().per_epoch,
            device=self.device,
            checkpoint=self.out.part(f"{key}.ckpt"),
            tensorboard=self.out.path / "tensorboard" / key,
            label=f"train acoustic {key}",
        )
        # The last epoch, not the best on held-out speakers: those must not choose anything.
        network = net.network.cpu()
        rounded = tdnn_folder.half(network.state_dict())
        network.load_state_dict({key: value.float() for key, value in rounded.items()})
        return network, fitted.rows

    def _fit_config(self, number: int, epochs: int, seed: int) -> FitConfig:
        config = self.config
        return FitConfig(
            epochs,
            config.realign_learning_rate if number else config.learning_rate,
            config.clip,
            0,
            "loss",
            self.precision,
            self.checkpoint_minutes,
            seed,
            batch_size=config.chunks.batch_size,
        )

    def _new_network(self, name: str, data: Data, inputs: Inputs, seed: int) -> Tdnn:
        torch.manual_seed(int(rng(seed, _WEIGHTS).integers(2**31)))
        network = Tdnn(self.config.network)
        if inputs.init is not None and inputs.init_card is not None:
            tdnn_folder.load_into(network, inputs.init, inputs.init_card, name)
        network.log_prior.copy_(data.prior(fold_of(name), self.config.network.outputs))
        return network

    def _seed(self, name: str, number: int) -> int:
        """A seed of its own for each network and round."""
        keys = (self.config.names.index(name), *([number] if number else []))
        return int(rng(self.config.seed, *keys).integers(2**62))

    def _sample(self, name: str, data: Data) -> list[tuple[Tensor, Tensor]]:
        """Some utterances that the network has not seen (``full``: any)."""
        found = list(data.parts(fold_of(name)))
        order = rng(self.config.seed, _SAMPLE).permutation(len(found))[:MEASURED]
        return [found[number] for number in sorted(order)]
