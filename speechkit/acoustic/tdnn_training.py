"""Train acoustic networks on the states of an alignment, cross-fitted over speakers."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from speechkit.acoustic import tdnn_folder
from speechkit.acoustic.phones import ARPABET, kaldi_name
from speechkit.acoustic.tdnn_batches import Chunks, counts
from speechkit.acoustic.tdnn_data import Stream, build_streams
from speechkit.acoustic.tdnn_folder import Card
from speechkit.acoustic.tdnn_inputs import Inputs, gather
from speechkit.acoustic.tdnn_measures import Tally, tally
from speechkit.acoustic.tdnn_network import STATES, Tdnn
from speechkit.acoustic.tdnn_settings import FULL, AcousticConfig, resolve_acoustic_precision
from speechkit.errors import UserError
from speechkit.log import logger
from speechkit.text import write_tsv
from speechkit.training.batches import ResumableBatches
from speechkit.training.devices import keep_memory, resolve_device
from speechkit.training.fit import fit
from speechkit.training.seeds import rng
from speechkit.training.state import FitConfig, Trainable
from speechkit.workdir import Output, WorkDir

PRIOR_FLOOR = 1e-4  # a state hardly seen must not gain from its small prior
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
        features, targets = batch
        logits = self.network(features).float().flatten(0, 1)
        total = torch.nn.functional.cross_entropy(
            logits, targets.flatten(), ignore_index=-1, reduction="sum"
        )
        return total / (targets >= 0).sum().clamp(min=1)

    def measure(self) -> dict[str, float]:
        """Loss and accuracies on the sample."""
        return tally(self.network, self.sample, Tally(self.speech))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(
            self.parameters_to_train(), lr=1e-3, weight_decay=self.weight_decay
        )


def train(
    workdir: WorkDir,
    name: str,
    config: AcousticConfig,
    *,
    device: str = "auto",
    jobs: int = 1,
    checkpoint_minutes: float = 5.0,
    force: bool = False,
) -> Path:
    """Train all networks and write ``exp/acoustic/<name>/``; returns that folder.

    Args:
        workdir: the working directory.
        name: of the model.
        config: all that decides the result.
        device: auto, cpu or cuda.
        jobs: processes that compute features.
        checkpoint_minutes: how often the state is saved inside an epoch.
        force: replace a model that was trained with other parameters.

    Raises:
        UserError: bad flags, no alignment, or data that does not fit it.
    """
    config.check()
    where = resolve_device(device)
    precision = resolve_acoustic_precision(config.precision, where)
    if not 0 <= checkpoint_minutes < math.inf:
        raise UserError(f"--checkpoint-minutes {checkpoint_minutes} is not a time from 0 up.")
    inputs = gather(workdir, config.set_name, config.align, config.init)
    network = replace(
        config.network, n_mels=config.features.n_mels, outputs=STATES * len(inputs.labels)
    )
    config = replace(config, network=network)
    _check_init(config, inputs)
    final = workdir.exp("acoustic", name)
    with Output(
        final,
        "train acoustic",
        asdict(config),
        inputs.files(),
        force=force,
        audio=inputs.dataset.audio_files(),
        resume=True,
    ) as out:
        if not out.up_to_date:
            _Run(out, config, inputs, where, precision, checkpoint_minutes).train(jobs)
    return final


def _check_init(config: AcousticConfig, inputs: Inputs) -> None:
    """Raise UserError unless the model to start from has the same shape and folds."""
    card = inputs.init_card
    if card is None:
        return
    own = {**config.network.as_dict(), **config.features.as_dict(), "labels": inputs.labels}
    theirs = {**card.network.as_dict(), **card.features.as_dict(), "labels": card.labels}
    for key, value in own.items():
        if value != theirs[key] and key != "dropout":
            raise UserError(
                f"--init {config.init} has {key} {theirs[key]}, this training has {value}.",
                "Give the same flags as there, or start without --init.",
            )
    if missing := [name for name in config.names if name not in card.weights]:
        raise UserError(
            f"--init {config.init} has no network '{missing[0]}', only {', '.join(card.weights)}.",
            "Give the same --folds and --full as there.",
        )


@dataclass
class _Run:
    """One training of all networks."""

    out: Output
    config: AcousticConfig
    inputs: Inputs
    device: torch.device
    precision: str
    checkpoint_minutes: float

    def train(self, jobs: int) -> None:
        config, reach = self.config, self.config.network.reach
        utterances, folds = self.inputs.utterances(config.folds, config.min_score)
        self.streams = build_streams(utterances, config.features, config.speeds, reach, jobs)
        self.plain = self.streams[config.speeds.index(1.0)]
        self.speech = [kaldi_name(label) in ARPABET for label in self.inputs.labels]
        summary = self._describe(len(utterances), len(folds))
        keep_memory(self.device)
        networks, log, together = {}, [], Tally(self.speech)
        held_out: dict[str, float] = {}
        for name in config.names:
            network, rows = self._fit(name)
            networks[name] = network
            log += [(name, number, row) for number, row in enumerate(rows, 1)]
            if name != FULL:
                own = Tally(self.speech)
                found = tally(network, list(self._unseen(name)), own)
                held_out.update({f"{name}_{key}": value for key, value in found.items()})
                together.merge(own)
        if config.folds:
            measured = {f"held_out_{key}": value for key, value in together.measures().items()}
            summary |= {**measured, **held_out}
        self._write(networks, folds, log, summary)

    def _describe(self, utterances: int, speakers: int) -> dict[str, Any]:
        frames = sum(part.stop - part.start for part in self.plain.parts)
        masked = 1 - int((self.plain.targets >= 0).sum()) / frames
        parameters = sum(p.numel() for p in Tdnn(self.config.network).parameters())
        names = self.config.names
        logger.info(
            f"{utterances:,} utterances of {speakers} speakers, {frames:,} frames, {masked:.1%} "
            f"of them masked; {parameters:,} parameters for each of {', '.join(names)} on "
            f"{self.device} ({self.precision})"
        )
        counted = {"utterances": utterances, "speakers": speakers, "frames": frames}
        self.out.counts.update(counted)
        self.out.notes.update(device=str(self.device), precision=self.precision)
        return {**counted, "masked_share": masked, "parameters": parameters}

    def _fit(self, name: str) -> tuple[Tdnn, list[dict[str, float]]]:
        """Train one network; it comes back with its weights rounded to float16."""
        config = self.config
        chunks = Chunks(
            self.streams, _fold(name), config.chunks, config.network.reach, self._seed(name)
        )
        seed, size = self._seed(name), config.chunks.batch_size
        batches = ResumableBatches(len(chunks), size, config.epochs, seed)
        net = AcousticNet(
            self._new_network(name), config.weight_decay, self._sample(name), self.speech
        )
        fitted = fit(
            net,
            lambda step: chunks.batches(
                ResumableBatches(len(chunks), size, config.epochs, seed, step)
            ),
            FitConfig(
                config.epochs,
                config.learning_rate,
                config.clip,
                0,
                "loss",
                self.precision,
                self.checkpoint_minutes,
                seed,
                batch_size=size,
            ),
            per_epoch=batches.per_epoch,
            device=self.device,
            checkpoint=self.out.part(f"{name}.ckpt"),
            tensorboard=self.out.path / "tensorboard" / name,
            label=f"train acoustic {name}",
        )
        # The last epoch, not the best on held-out speakers: those must not choose anything.
        network = net.network.cpu()
        rounded = tdnn_folder.half(network.state_dict())
        network.load_state_dict({key: value.float() for key, value in rounded.items()})
        return network, fitted.rows

    def _new_network(self, name: str) -> Tdnn:
        torch.manual_seed(int(rng(self._seed(name), _WEIGHTS).integers(2**31)))
        network = Tdnn(self.config.network)
        if self.inputs.init is not None and self.inputs.init_card is not None:
            tdnn_folder.load_into(network, self.inputs.init, self.inputs.init_card, name)
        seen = counts(self.plain, _fold(name), self.config.network.outputs)
        prior = (seen / seen.sum().clamp(min=1)).clamp(min=PRIOR_FLOOR)
        network.log_prior.copy_((prior / prior.sum()).log())
        return network

    def _seed(self, name: str) -> int:
        """A seed of its own for each network."""
        number = self.config.names.index(name)
        return int(rng(self.config.seed, number).integers(2**62))

    def _sample(self, name: str) -> list[tuple[Tensor, Tensor]]:
        """Some utterances that the network has not seen (``full``: any)."""
        found = list(self._unseen(name))
        order = rng(self.config.seed, _SAMPLE).permutation(len(found))[:MEASURED]
        return [found[number] for number in sorted(order)]

    def _unseen(self, name: str) -> Iterator[tuple[Tensor, Tensor]]:
        fold = _fold(name)
        stream: Stream = self.plain
        first, last = (0, len(stream.targets)) if fold is None else stream.blocks[fold]
        for part in stream.parts:
            if first <= part.start < last:
                yield stream.features[part], stream.targets[part]

    def _write(
        self,
        networks: Mapping[str, Tdnn],
        folds: Mapping[str, int],
        log: Sequence[tuple[str, int, dict[str, float]]],
        summary: Mapping[str, Any],
    ) -> None:
        config, folder = self.config, self.out.path
        card = Card(
            self.inputs.labels,
            config.features,
            config.network,
            config.unseen if config.folds else FULL,
            config.prior_scale,
            training=json.loads(json.dumps(asdict(config))),
        )
        states = {name: tdnn_folder.half(net.state_dict()) for name, net in networks.items()}
        tdnn_folder.write(folder, card, states, folds if config.folds else {})
        columns = ["network", "epoch", *log[0][2]]
        table = [[name, str(n), *(f"{v:.6g}" for v in row.values())] for name, n, row in log]
        write_tsv(folder / "log.tsv", columns, table)
        plain = {key: None if value != value else value for key, value in summary.items()}
        text = json.dumps(plain, indent=2) + "\n"
        (folder / "summary.json").write_text(text, encoding="utf-8")


def _fold(name: str) -> int | None:
    """The fold that a network must not see."""
    return None if name == FULL else int(name.removeprefix("fold"))
