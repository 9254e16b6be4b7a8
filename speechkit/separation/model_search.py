"""Where a model to separate with lies: by name, by folder, or of another toolkit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from speechkit.base.errors import UserError
from speechkit.base.log import logger
from speechkit.separation import model_folder
from speechkit.separation.conv_tasnet import ConvTasNet
from speechkit.separation.model_folder import Separator
from speechkit.task.trained import refuse_path, seeds_in
from speechkit.training.weights import build
from speechkit.workdir import WorkDir


def find_separator(
    workdir: WorkDir, given: str, checkpoint: str = "", sample_rate: int = 0
) -> Separator:
    """A model of speechkit, Asteroid or SpeechBrain.

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
    path = Path(given)
    if not path.exists() and (workdir.root / given).exists():
        path = workdir.root / given
    if not path.exists():
        refuse_path(given)
        path = _first(model_folder.find_models(workdir, given), given)
    elif seeds := seeds_in(path):
        path = _first(seeds, given)
    if (path / "config.yaml").is_file():
        return model_folder.load(path, checkpoint)
    if checkpoint:
        raise UserError(
            f"{path} is not a model of speechkit, so it has no '{checkpoint}' weights.",
            "Leave out --checkpoint.",
        )
    return _foreign(path, sample_rate)


def _first(models: Sequence[tuple[int, Path]], given: str) -> Path:
    folder = models[0][1]
    if len(models) > 1:
        logger.info(f"'{given}' has {len(models)} seeds: taking {folder} (--model takes a folder).")
    return folder


def _foreign(path: Path, sample_rate: int) -> Separator:
    from speechkit.separation.foreign import load_foreign

    config, weights, rate = load_foreign(path)
    if rate and sample_rate and rate != sample_rate:
        raise UserError(
            f"{path} is a model of {rate} Hz, not of {sample_rate} Hz.",
            "Leave out --sample-rate: recordings are resampled.",
        )
    if not (rate or sample_rate):
        raise UserError(f"{path} does not state its sample rate.", "Give it with --sample-rate HZ.")
    net = build(lambda: ConvTasNet(config), weights, path)
    return Separator(net.eval(), rate or sample_rate, path, "")
