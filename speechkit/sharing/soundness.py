"""Whether a model's folder is whole: a card of its schema, and the weights that it describes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from speechkit.base.errors import UserError
from speechkit.base.schema import Object, regular_file
from speechkit.base.yaml_files import read_yaml
from speechkit.sharing.model_search import CARD

WEIGHTS = ".safetensors"


def require_weights(path: Path) -> None:
    """Raise UserError unless a file is of safetensors (it is opened, its tensors are not read)."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(regular_file(path), "np"):
            pass
    except (SafetensorError, OSError, LookupError, ValueError) as error:
        raise UserError(f"{path} holds no weights ({error}).", "Train the model again.") from error


def require_model(folder: Path) -> None:
    """Raise UserError unless a folder holds a model: it is loaded as its task does.

    An encoder with its head is the exception: its card and files are checked, but it is not
    built, which would need the package that has it.
    """
    kind = read_yaml(folder / CARD, Object).get("kind")
    if not isinstance(kind, str) or kind not in _CHECKS:
        raise UserError(f"{folder / CARD} is not that of a model of speechkit.")
    _CHECKS[kind](folder)


def _separation(folder: Path) -> None:
    from speechkit.separation import model_folder

    for which, name in model_folder.FILES.items():
        if (folder / name).exists() or which == "plain":
            model_folder.load(folder, which)


def _pronunciation(folder: Path) -> None:
    from speechkit.pronunciation import model_folder

    model_folder.load([folder])


def _scoring(folder: Path) -> None:
    from speechkit.scoring import model_folder

    model_folder.read_model(folder)


def _emotion(folder: Path) -> None:
    from speechkit.emotion import encoder_network, model_folder, predict

    card = model_folder.read_card(folder)
    if card["model"] != "encoder":
        predict.load_predictor(folder)
    elif card["network"]["frozen"]:
        encoder_network.read_classifier(folder, card)


def _acoustic(folder: Path) -> None:
    import torch

    from speechkit.acoustic.tdnn import folder as tdnn_folder

    tdnn_folder.read_networks(folder, tdnn_folder.read_card(folder), torch.device("cpu"))


def _xvector(folder: Path) -> None:
    from speechkit.speaker import embedder

    embedder.read_network(folder)


_CHECKS: dict[str, Callable[[Path], Any]] = {
    "conv-tasnet": _separation,
    "pronunciation": _pronunciation,
    "scoring": _scoring,
    "emotion": _emotion,
    "tdnn": _acoustic,
    "xvector-tdnn": _xvector,
}
