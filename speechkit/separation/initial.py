"""Where a training starts: random weights, or a pretrained model (``--init``)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch

from speechkit.base.errors import UserError
from speechkit.separation import model_folder
from speechkit.separation.conv_tasnet import ConvTasNet, ConvTasNetConfig
from speechkit.task.trained import refuse_path
from speechkit.training import weights
from speechkit.workdir import WorkDir


@dataclass
class Start:
    """A pretrained network.

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


def find(workdir: WorkDir, given: str, seed: int = 0) -> Start:
    """The checkpoint of ``--init``.

    Args:
        workdir: the working directory.
        given: folder or file of a model of ours, of Asteroid or of SpeechBrain; or the name
            of an experiment, of which the same seed is taken (the only one, if it has one).
        seed: the seed of this run.

    Raises:
        UserError: there is none, or it cannot be read.
    """
    path = Path(given)
    if not path.exists():
        path = workdir.root / given
    if not path.exists():
        refuse_path(given)
        models = dict(model_folder.find_models(workdir, given))
        path = models.get(seed) or next(iter(models.values()))
        if seed not in models and len(models) > 1:
            raise UserError(
                f"The model '{given}' has the seeds {', '.join(map(str, models))}, not {seed}.",
                "Give the folder of one of them to --init.",
            )
    if (path / "config.yaml").is_file():
        loaded = model_folder.load(path)
        file = path / model_folder.FILES[loaded.selection]
        return Start(loaded.net.config, loaded.net.state_dict(), loaded.sample_rate, [file])
    from speechkit.separation.foreign import load_foreign

    found = load_foreign(path)
    files = [path] if path.is_file() else sorted(p for p in path.iterdir() if p.is_file())
    return Start(found[0], found[1], found[2], files)


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
    start = find(workdir, given, seed)
    if start.sample_rate not in (None, rate):
        raise UserError(
            f"The model of --init {given} has {start.sample_rate} Hz, the validation set {rate} "
            "Hz.",
            "Mix the validation set at the model's rate: speechkit mix --rate "
            f"{start.sample_rate}.",
        )
    if wanted is not None and replace(wanted, speakers=start.config.speakers) != start.config:
        raise UserError(
            f"The model of --init {given} has other hyperparameters than the flags ask for.",
            "Leave out --model and the flags of the network: they come from the checkpoint.",
        )
    return start.config


def build(config: ConvTasNetConfig, start: Start | None, seed: int) -> ConvTasNet:
    """The network with its first weights."""
    torch.manual_seed(seed)
    if start is None:
        return ConvTasNet(config)
    return weights.build(lambda: ConvTasNet(config), start.weights, start.files[0])
