"""Train Conv-TasNet to separate (``train separation``).

Mixtures are made anew in every epoch (or are those of a set), the network is Conv-TasNet, the loss
SI-SNR, plain or weighted by its rank in the batch. After every epoch the validation set chooses two
checkpoints, by its mean and by its rank-weighted mean; both are kept in the model's folder.
"""

from __future__ import annotations

import os
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import torch

from speechkit.base.errors import ConfigError, UserError
from speechkit.base.log import counted, logger
from speechkit.base.tables import write_json
from speechkit.base.yaml_files import write_yaml
from speechkit.kaldi import data
from speechkit.labels.mixtures import MixtureSet, load_mixtures
from speechkit.mining.config import hard_files, hard_folder
from speechkit.mining.sampler import HardPairSampler
from speechkit.separation import model_folder
from speechkit.separation.config import SeparationConfig
from speechkit.separation.conv_tasnet import ConvTasNet
from speechkit.separation.data import DynamicMixing, StaticMixtures, collate
from speechkit.separation.loss import SISNRLoss, WeightedSISNRLoss
from speechkit.separation.validation import Validation
from speechkit.task.trained import CARD
from speechkit.training.batches import ResumableBatches, checked_loader, durations
from speechkit.training.config import FitConfig, require_minutes
from speechkit.training.devices import (
    keep_memory,
    ranks,
    resolve_device,
    resolve_precision,
    shared_output,
)
from speechkit.training.loop import Fitted, fit
from speechkit.training.state import Trainable
from speechkit.training.tracking import EventFile
from speechkit.workdir import Output, WorkDir
from speechkit.workdir.manifest import read_manifest

CRITERIA = {"si-snr": SISNRLoss, "wsi-snr": WeightedSISNRLoss}
COMMAND = "train separation"


def train(
    workdir: WorkDir,
    name: str,
    config: SeparationConfig,
    *,
    device: str = "auto",
    jobs: int = 1,
    checkpoint_minutes: float = 10.0,
    force: bool = False,
    other_batch_size: bool = False,
) -> Path:
    """Train and write ``exp/separation/<name>/seed<N>/``; returns that folder.

    A run that differs from a finished one only in ``weighted_validation`` takes that one's
    checkpoints: the weighting selects the epoch and changes nothing else.

    Args:
        workdir: the working directory.
        name: of the experiment.
        config: all that decides the result.
        device: auto, cpu or cuda.
        jobs: processes that read audio; 0 reads in this one.
        checkpoint_minutes: how often the state is saved inside an epoch.
        force: replace a model that was trained with other parameters.
        other_batch_size: go on from an unfinished run of another batch size.
    """
    where, precision = _resources(config, device, checkpoint_minutes)
    valid = load_mixtures(workdir.data(config.valid_set), workdir.root)
    _agree(config, valid)
    source = _source(workdir, config)
    inputs = [*source.files(), *valid.files()]
    hard = hard_folder(workdir.root, config.hard) if config.hard else None
    if hard is not None:
        inputs += hard_files(hard)
    start = model_folder.find_start(workdir, config.init, config.seed) if config.init else None
    if start is not None:
        inputs += start.files
    output = Output(
        workdir.exp("separation", name, f"seed{config.seed}"),
        COMMAND,
        config.params(),
        inputs,
        force=force,
        audio=sorted({*source.audio_files(), *valid.audio_files()}),
        resume=True,
        training=True,
        other_batch_size=other_batch_size,
    )
    with shared_output(output, where) as out:
        if not out.up_to_date and not _reuse_checkpoints(out, config):
            dataset = _dataset(config, source, hard)
            net = model_folder.first_network(config.network, start, config.seed)
            model = SeparationNet(config, net, Validation(valid, config.batch_size))
            fitted = _fit(out, model, dataset, where, precision, jobs, checkpoint_minutes)
            _write(out, config, fitted)
            out.notes.update(device=str(where), precision=precision)
            out.counts.update(training=len(dataset), validation=len(valid))
    return output.final


def _resources(config: SeparationConfig, device: str, minutes: float) -> tuple[torch.device, str]:
    """Device and precision, for a configuration that is possible there."""
    config.check(ranks().world)
    where = resolve_device(device)
    if config.compiled and where.type != "cuda":
        raise ConfigError("compile", "is for CUDA.", "Leave it out on the CPU.")
    require_minutes(minutes)
    return where, resolve_precision(config.precision, where)


def _agree(config: SeparationConfig, valid: MixtureSet) -> None:
    """The validation set has the rate and number of speakers of the training."""
    header, mixing = valid.header, config.mixing
    if header.speakers != config.network.speakers or header.speakers != mixing.speakers:
        raise UserError(
            f"{valid.path} has mixtures of {header.speakers} speakers, the model "
            f"{config.network.speakers}.",
            "Give `speakers`, or another `valid_set`.",
        )
    if header.sample_rate != mixing.sample_rate:
        raise UserError(
            f"{valid.path} has {header.sample_rate} Hz, the model {mixing.sample_rate} Hz.",
            "Mix the validation set at the model's rate: speechkit mix --rate ...",
        )


def _source(workdir: WorkDir, config: SeparationConfig) -> data.DataDir | MixtureSet:
    """Utterances to be mixed, or mixtures as they are."""
    folder = workdir.data(config.set_name)
    if config.dynamic:
        return data.load(folder, workdir.root)
    mixtures = load_mixtures(folder, workdir.root)
    _agree(config, mixtures)
    return mixtures


def _dataset(
    config: SeparationConfig, source: data.DataDir | MixtureSet, hard: Path | None
) -> DynamicMixing | StaticMixtures:
    """What batches are drawn from."""
    if isinstance(source, MixtureSet):
        return StaticMixtures(source, config.mixing, config.seed)
    sampler = HardPairSampler(hard) if hard is not None else None
    seconds = durations(source.utterances)
    made = DynamicMixing(source.utterances, seconds, config.mixing, config.seed, sampler)
    if made.rows is not None and not ranks().rank:
        without = int((made.rows[0] < 0).sum())
        logger.info(
            f"hard pairs from {hard} with probability {config.mixing.ps:g}; "
            f"none for {without} of {counted(len(made), 'utterance')}."
        )
    return made


class SeparationNet(Trainable):
    """The network, its loss and its validation.

    Args:
        config: of the training.
        net: the network.
        validation: what it is measured on.
    """

    def __init__(self, config: SeparationConfig, net: ConvTasNet, validation: Validation) -> None:
        super().__init__()
        self.net, self.config = net, config
        self.validation = validation
        self.criterion = CRITERIA[config.loss]()
        self.epoch_number = 0

    def loss(self, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        sources, lengths = batch
        full = bool((lengths == sources.shape[-1]).all())
        counts = None if full else lengths
        return self.criterion(self.net(sources.sum(1), counts), sources, counts)

    def measure(self) -> dict[str, float]:
        """SI-SNR, weighted SI-SNR and hard sample rates of the validation set."""
        found = self.validation(self.net, self.device)
        self.epoch_number += 1
        if self.writer is not None and self.epoch_number & (self.epoch_number - 1) == 0:
            self._write_audio(self.writer)
        return found

    def _write_audio(self, writer: EventFile) -> None:
        """The first validation mixture and its estimates, to listen to (epochs 1, 2, 4, 8 ...)."""
        mixed, _ = self.validation.read(0)
        rate = self.validation.mixtures.header.sample_rate
        mixture = torch.from_numpy(mixed[: 6 * rate]).to(self.device)
        estimates = self.net(mixture[None])[0].float().cpu()
        peak = float(mixture.abs().max()) or 1.0
        named = {"mixture": mixture.cpu()}
        named.update({f"estimate{i}": each for i, each in enumerate(estimates, 1)})
        for name, samples in named.items():
            clip = (samples / peak).clamp(-1, 1)
            writer.add_audio(name, clip, self.epoch_number, rate)


def _fit(
    out: Output,
    model: SeparationNet,
    dataset: Any,
    device: torch.device,
    precision: str,
    jobs: int,
    checkpoint_minutes: float,
) -> Fitted:
    config, here = model.config, ranks()
    size = config.epoch_size or len(dataset)
    batches = partial(
        ResumableBatches,
        *(size, config.batch_size, config.epochs, config.seed),
        rank=here.rank,
        world=here.world,
    )
    if not here.rank:
        logger.info(
            f"{counted(size, 'mixture')} an epoch of "
            f"{counted(len(dataset), 'utterance' if config.dynamic else 'fixed mixture')}, "
            f"{len(model.validation.order)} to validate; "
            f"{sum(p.numel() for p in model.parameters()):,} parameters on {device} "
            f"({precision})"
        )
    if config.compiled:
        model.net.compile()
    keep_memory(device)
    return fit(
        model,
        lambda step: checked_loader(dataset, batches(start=step), collate, jobs, device),
        FitConfig.of(
            config,
            monitor="valid_loss",
            precision=precision,
            checkpoint_minutes=checkpoint_minutes,
            schedule="plateau",
            keep=("valid_weighted_loss",),
        ),
        per_epoch=batches().per_epoch,
        device=device,
        checkpoint=out.part("last.ckpt"),
        tensorboard=out.path / "tensorboard",
        label=f"{COMMAND} {out.final.parent.name}",
    )


def _write(out: Output, config: SeparationConfig, fitted: Fitted) -> None:
    """Fill the model's folder, in the first process."""
    if ranks().rank:
        return
    chosen = {"plain": fitted.best["valid_loss"], "weighted": fitted.best["valid_weighted_loss"]}
    weights = {
        name: {k.removeprefix("net."): v for k, v in tensors.items()}
        for name, (_, tensors) in chosen.items()
    }
    selection = "weighted" if config.weighted_validation else "plain"
    model_folder.write(
        out.path,
        config.network,
        config.mixing.sample_rate,
        selection,
        config.params(),
        weights,
        fitted.rows,
    )
    epochs = {f"best_epoch_{name}": epoch for name, (epoch, _) in chosen.items()}
    write_json(out.path / "summary.json", epochs)


def _reuse_checkpoints(out: Output, config: SeparationConfig) -> bool:
    """Take over a finished run that differs in ``weighted_validation`` alone."""
    if out.resumed or ranks().world > 1:  # several processes would have to agree
        return False
    for other in sorted(out.final.parent.parent.glob(f"*/{out.final.name}")):
        manifest = read_manifest(other)
        if manifest is None:
            continue
        differing = out.key.other_params(manifest)
        only = len(differing) == 1 and differing[0].startswith("weighted_validation")
        if not only or out.key.inputs.changed(manifest.get("inputs", {})):
            continue
        logger.info(f"{other} is the same run but for the selection: taking its checkpoints.")
        for path in other.iterdir():
            if path.suffix == ".safetensors" or path.name == "log.tsv":
                try:
                    os.link(path, out.path / path.name)
                except OSError:
                    shutil.copy2(path, out.path / path.name)
        card = model_folder.read_card(other)
        card["selection"] = "weighted" if config.weighted_validation else "plain"
        card["training"] = config.params()
        write_yaml(out.path / CARD, card)
        shutil.copy2(other / "summary.json", out.path / "summary.json")
        out.notes["trained_as"] = other.parent.name
        return True
    return False
