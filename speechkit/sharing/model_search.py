"""Which trained model a name means, whatever its task."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from speechkit.base.errors import UserError, closest
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
_NOT_MODELS = ("eval", "tensorboard")


@dataclass(frozen=True)
class Found:
    """A trained model.

    Args:
        task: a key of ``TASKS``.
        name: of the experiment.
        base: ``exp/<task>/<name>``.
        models: folders of what was trained (seeds, folds), relative to ``base``, sorted.
    """

    task: str
    name: str
    base: Path
    models: tuple[Path, ...]

    def only(self, fold: int | None, seed: int | None) -> Found:
        """Those of one fold or seed.

        Raises:
            UserError: there is none.
        """
        wanted = [f"{kind}{n}" for kind, n in (("fold", fold), ("seed", seed)) if n is not None]
        kept = tuple(m for m in self.models if all(part in m.parts for part in wanted))
        if not kept:
            there = ", ".join(sorted({str(m) for m in self.models}))
            raise UserError(
                f"'{self.task}/{self.name}' has no {' of '.join(reversed(wanted))}.",
                f"There are: {there}.",
            )
        return Found(self.task, self.name, self.base, kept)


def find(workdir: WorkDir, given: str) -> Found:
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


def every(workdir: WorkDir) -> Iterator[Found]:
    """All trained models of a working directory."""
    for task, folder in TASKS.items():
        top = workdir.root / "exp" / folder
        for base in sorted(top.iterdir()) if top.is_dir() else ():
            if not base.name.startswith(".") and (models := models_in(base)):
                yield Found(task, base.name, base, models)


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
