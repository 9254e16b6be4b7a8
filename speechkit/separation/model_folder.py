"""Trained models: their folder, and finding one by name, folder, or of another toolkit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import msgspec
import torch

from speechkit.base.errors import UserError, require_choice
from speechkit.base.log import logger
from speechkit.base.schema import Object, Rate
from speechkit.base.tables import write_log
from speechkit.base.yaml_files import write_yaml
from speechkit.labels.mixtures import load_mixtures
from speechkit.separation import foreign
from speechkit.separation.config import SIZES, ConvTasNetConfig, SeparationConfig
from speechkit.separation.conv_tasnet import ConvTasNet
from speechkit.task import trained
from speechkit.task.trained import CARD, LOG, refuse_path, seeds_in
from speechkit.training.weights import build, read_weights, write_weights
from speechkit.workdir import WorkDir

KIND = "conv-tasnet"
FILES = {"plain": "best.safetensors", "weighted": "best_weighted.safetensors"}


class Card(msgspec.Struct):
    """What config.yaml must say."""

    sample_rate: Rate
    network: ConvTasNetConfig
    selection: Literal["plain", "weighted"] = "plain"
    training: Object = {}


@dataclass
class Separator:
    """A trained model, ready to separate.

    Args:
        net: the network, in eval mode.
        sample_rate: in Hz.
        folder: where it was loaded from.
        selection: ``plain`` or ``weighted``: the validation loss that selected its epoch.
    """

    net: ConvTasNet
    sample_rate: int
    folder: Path
    selection: str

    @property
    def speakers(self) -> int:
        """Sources that it gives."""
        return self.net.config.speakers

    def separate(self, mixture: torch.Tensor, lengths: torch.Tensor | None = None) -> torch.Tensor:
        """Sources ``[B, speakers, T]`` of mixtures ``[B, T]``, without gradients."""
        with torch.inference_mode():
            return self.net(mixture, lengths)


def write(
    folder: Path,
    net: ConvTasNetConfig,
    sample_rate: int,
    selection: str,
    training: Mapping[str, Any],
    weights: Mapping[str, Mapping[str, torch.Tensor]],
    rows: Sequence[Mapping[str, float]],
) -> None:
    """Write everything that separation needs, and the log of the training.

    Args:
        folder: an existing folder.
        net: the network's hyperparameters.
        sample_rate: in Hz.
        selection: which weights are the model's own choice.
        training: configuration of the training, for the record.
        weights: ``plain`` and ``weighted`` weights of the network.
        rows: measures of each epoch.
    """
    for name, tensors in weights.items():
        write_weights(folder / FILES[name], tensors)
    card = {
        "kind": KIND,
        "sample_rate": sample_rate,
        "selection": selection,
        "network": asdict(net),
        "training": {k: list(v) if isinstance(v, tuple) else v for k, v in training.items()},
    }
    write_yaml(folder / CARD, card)
    write_log(folder / LOG, rows, number="epoch")


read_card = partial(trained.read_card, kind=KIND, what="a separation model of speechkit", card=Card)


def load(folder: Path, which: str = "") -> Separator:
    """Load a trained model.

    Args:
        folder: ``exp/separation/<name>/seed<N>``.
        which: ``plain`` or ``weighted`` weights; empty for the model's own choice.

    Raises:
        UserError: something is missing, damaged, or of another kind.
    """
    content = read_card(folder)
    which = which or str(content.get("selection", "plain"))
    require_choice("checkpoint", which, tuple(FILES))
    path, config = folder / FILES[which], ConvTasNetConfig(**content["network"])
    net = build(lambda: ConvTasNet(config), read_weights(path), path)
    return Separator(net.eval(), content["sample_rate"], folder, which)


def _place(workdir: WorkDir, given: str) -> Path | list[tuple[int, Path]]:
    """What a name or path means: a folder or file, or the seeds of an experiment."""
    path = Path(given)
    if not path.exists():
        path = workdir.root / given
    if path.exists():
        return seeds_in(path) or path
    refuse_path(given)
    return trained.find(workdir, "separation", given)


def find_separator(
    workdir: WorkDir, given: str, checkpoint: str = "", sample_rate: int = 0
) -> Separator:
    """A model of speechkit, Asteroid or SpeechBrain, to separate with.

    Args:
        workdir: the working directory.
        given: a folder of a trained seed or of an experiment, a checkpoint of Asteroid or
            SpeechBrain, or the name of an experiment. The first seed of an experiment is
            taken.
        checkpoint: ``plain`` or ``weighted`` weights; empty for the model's own choice.
        sample_rate: in Hz, for a foreign model that does not state it.

    Raises:
        UserError: there is none, or it cannot be read.
    """
    path = _place(workdir, given)
    if isinstance(path, list):
        seeds, path = len(path), path[0][1]
        if seeds > 1:
            logger.info(f"'{given}' has {seeds} seeds: taking {path} (`model` takes a folder).")
    if (path / CARD).is_file():
        return load(path, checkpoint)
    if checkpoint:
        raise UserError(
            f"{path} is not a model of speechkit, so it has no '{checkpoint}' weights.",
            "Leave out `checkpoint`.",
        )
    config, weights, rate = foreign.load_foreign(path)
    if rate and sample_rate and rate != sample_rate:
        raise UserError(
            f"{path} is a model of {rate} Hz, not of {sample_rate} Hz.",
            "Leave out `sample_rate`: recordings are resampled.",
        )
    if not (rate or sample_rate):
        raise UserError(f"{path} does not state its sample rate.", "Give it with `sample_rate` HZ.")
    net = build(lambda: ConvTasNet(config), weights, path)
    return Separator(net.eval(), rate or sample_rate, path, "")


@dataclass
class Start:
    """A pretrained network, where a training starts (``init``).

    Args:
        config: its hyperparameters.
        weights: under the names of :class:`ConvTasNet`.
        sample_rate: in Hz, None where the checkpoint does not say.
        files: what was read.
    """

    config: ConvTasNetConfig
    weights: dict[str, torch.Tensor]
    sample_rate: int | None
    files: list[Path]


def find_start(workdir: WorkDir, given: str, seed: int = 0) -> Start:
    """The checkpoint of ``init``.

    Args:
        workdir: the working directory.
        given: as for :func:`find_separator`; of an experiment the same seed is taken (the only
            one, if it has one).
        seed: the seed of this run.

    Raises:
        UserError: there is none, or it cannot be read.
    """
    path = _place(workdir, given)
    if isinstance(path, list):
        models = dict(path)
        path = models.get(seed) or path[0][1]
        if seed not in models and len(models) > 1:
            raise UserError(
                f"The model '{given}' has the seeds {', '.join(map(str, models))}, not {seed}.",
                "Give the folder of one of them to `init`.",
            )
    if (path / CARD).is_file():
        loaded = load(path)
        file = path / FILES[loaded.selection]
        return Start(loaded.net.config, loaded.net.state_dict(), loaded.sample_rate, [file])
    files = [path] if path.is_file() else sorted(p for p in path.glob("*") if p.is_file())
    return Start(*foreign.load_foreign(path), files)


def choose_network(
    workdir: WorkDir, given: str, seed: int, rate: int, wanted: ConvTasNetConfig | None
) -> ConvTasNetConfig:
    """Hyperparameters of the checkpoint, if they are those that were asked for.

    Args:
        workdir: the working directory.
        given: the checkpoint.
        seed: of this run.
        rate: of the training in Hz.
        wanted: hyperparameters of flags; None if none were given.

    Raises:
        UserError: another network or another sample rate.
    """
    start = find_start(workdir, given, seed)
    if start.sample_rate not in (None, rate):
        raise UserError(
            f"The model of `init` {given} has {start.sample_rate} Hz, the validation set {rate} "
            "Hz.",
            "Mix the validation set at the model's rate: speechkit mix --rate "
            f"{start.sample_rate}.",
        )
    if wanted is not None and replace(wanted, speakers=start.config.speakers) != start.config:
        raise UserError(
            f"The model of `init` {given} has other hyperparameters than the flags ask for.",
            "Leave out `model` and the flags of the network: they come from the checkpoint.",
        )
    return start.config


def complete(
    workdir: WorkDir, config: SeparationConfig, size: str | None, given: Mapping[str, Any]
) -> SeparationConfig:
    """A configuration, completed from its validation set and its checkpoint.

    Args:
        workdir: the working directory.
        config: of flags; its network, and rate and speakers of its mixing, are filled in.
        size: a key of ``SIZES``; None for light, or the checkpoint's.
        given: hyperparameters of the network that were asked for.

    Raises:
        UserError: impossible values, or another model than the checkpoint's.
    """
    header = load_mixtures(workdir.data(config.valid_set), workdir.root).header
    require_choice("model", size or "light", tuple(SIZES))
    network = replace(SIZES[size or "light"], speakers=header.speakers, **given)
    if config.init:
        asked = network if size or given else None
        network = choose_network(workdir, config.init, config.seed, header.sample_rate, asked)
    mixing = replace(
        config.mixing,
        sample_rate=header.sample_rate,
        speakers=header.speakers,
        ps=config.mixing.ps if config.hard else 0.0,
    )
    return replace(config, mixing=mixing, network=network)


def first_network(config: ConvTasNetConfig, start: Start | None, seed: int) -> ConvTasNet:
    """The network with its first weights: random ones, or those of ``init``."""
    torch.manual_seed(seed)
    if start is None:
        return ConvTasNet(config)
    return build(lambda: ConvTasNet(config), start.weights, start.files[0])
