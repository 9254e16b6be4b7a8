"""Trained models of all tasks: which one a name means, and whether its folder is whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from speechkit.base.errors import UserError, closest
from speechkit.base.schema import Object, regular_file
from speechkit.base.yaml_files import read_yaml
from speechkit.task.trained import refuse_path
from speechkit.workdir import WorkDir

CARD = "config.yaml"
TASKS = {  # task -> folder of exp/
    "separation": "separation",
    "pronunciation": "pronunciation",
    "scoring": "scoring",
    "emotion": "emotion",
    "acoustic": "acoustic",
    "xvector": "xvector_nnet",
}
WEIGHTS = ".safetensors"
_NOT_MODELS = ("eval", "tensorboard")


@dataclass(frozen=True)
class TrainedModel:
    """A trained model.

    Args:
        task: a key of ``TASKS``.
        base: ``exp/<task>/<name>``.
        models: folders of what was trained (seeds, folds), relative to ``base``, sorted.
    """

    task: str
    name: str
    base: Path
    models: tuple[Path, ...]

    def only(self, fold: int | None, seed: int | None) -> TrainedModel:
        """Those of one fold or seed.

        Raises:
            UserError: there is none.
        """
        if fold is None and seed is None:
            return self
        wanted = [f"{kind}{n}" for kind, n in (("fold", fold), ("seed", seed)) if n is not None]
        kept = tuple(m for m in self.models if all(part in m.parts for part in wanted))
        if not kept:
            there = ", ".join(sorted({str(m) for m in self.models}))
            raise UserError(
                f"'{self.task}/{self.name}' has no {' of '.join(reversed(wanted))}.",
                f"There are: {there}.",
            )
        return TrainedModel(self.task, self.name, self.base, kept)


def find(workdir: WorkDir, given: str) -> TrainedModel:
    """A model by ``TASK/NAME``, by a name that only one task has, or by its folder.

    Raises:
        UserError: there is none, or several tasks have one of this name.
    """
    known = {f"{f.task}/{f.name}": f for f in every(workdir)}
    if given in known:
        return known[given]
    path = Path(given)
    for found in known.values():
        if path.is_dir() and found.base.resolve() == path.resolve():
            return found
    same = [key for key, found in known.items() if found.name == given]
    if len(same) == 1:
        return known[same[0]]
    if same:
        raise UserError(f"Several models are called '{given}'.", f"Say which: {', '.join(same)}.")
    if given.startswith((".", "/", "~")):
        refuse_path(given, "Give TASK/NAME, NAME, or a folder of exp/.")
    there = f"There are: {', '.join(sorted(known))}." if known else "There are none yet."
    raise UserError(
        f"There is no trained model '{given}' in {workdir.root / 'exp'}."
        f"{closest(given, [*known, *(f.name for f in known.values())])}",
        f"{there} Give TASK/NAME, NAME, or a folder of exp/.",
    )


def every(workdir: WorkDir) -> Iterator[TrainedModel]:
    """All trained models of a working directory."""
    for task, folder in TASKS.items():
        top = workdir.root / "exp" / folder
        for base in sorted(top.iterdir()) if top.is_dir() else ():
            if not base.name.startswith(".") and (models := models_in(base)):
                yield TrainedModel(task, base.name, base, models)


def models_in(base: Path) -> tuple[Path, ...]:
    """Folders below ``base`` (or itself) with a card and weights, relative to it."""
    found = []
    for card in sorted(base.glob(f"**/{CARD}")):
        relative = card.parent.relative_to(base)
        hidden = any(part.startswith(".") or part in _NOT_MODELS for part in relative.parts)
        if not hidden and any(card.parent.glob("*.safetensors")):
            found.append(relative)
    # What lies in a model's folder, such as an acoustic model of its own, comes after it.
    return tuple(sorted(found, key=lambda path: (len(path.parts), path)))


def read_card(folder: Path) -> dict[str, Any]:
    """``config.yaml`` of a folder."""
    return read_yaml(folder / CARD, Object)


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
    match read_card(folder).get("kind"):
        case "conv-tasnet":
            from speechkit.separation.model_folder import FILES, load

            for which, name in FILES.items():
                if (folder / name).exists() or which == "plain":
                    load(folder, which)
        case "pronunciation":
            from speechkit.pronunciation import model_folder as pronunciation

            pronunciation.load([folder])
        case "scoring":
            from speechkit.scoring import model_folder as scoring

            scoring.read_model(folder)
        case "emotion":
            _require_emotion(folder)
        case "tdnn":
            import torch

            from speechkit.acoustic.tdnn import folder as tdnn

            tdnn.read_networks(folder, tdnn.read_card(folder), torch.device("cpu"))
        case "xvector-tdnn":
            from speechkit.speaker import embedder

            embedder.read_network(folder)
        case _:
            raise UserError(f"{folder / CARD} is not that of a model of speechkit.")


def _require_emotion(folder: Path) -> None:
    from speechkit.emotion import encoder_network, model_folder, predict

    card = model_folder.read_card(folder)
    if card["model"] != "encoder":
        predict.load_predictor(folder)
    elif card["network"]["frozen"]:
        encoder_network.read_classifier(folder, card)
