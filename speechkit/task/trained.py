"""Folders of trained models: found by name, their cards, their outputs.

``exp/<task>/<name>/seed<N>/`` (of emotion ``fold<N>/seed<M>/``) holds ``config.yaml`` (the card:
all that is needed to use the model), the weights, and ``log.tsv`` of the training.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from speechkit.base import schema
from speechkit.base.answers import Answer
from speechkit.base.errors import UserError
from speechkit.base.schema import Object
from speechkit.base.yaml_files import read_yaml
from speechkit.workdir import Output, WorkDir

CARD, WEIGHTS, LOG = "config.yaml", "model.safetensors", "log.tsv"
TRAIN_AGAIN = "Copy the folder again, or train the model again."
_FOLD = re.compile(r"fold(\d+)/seed(\d+)")
Found = TypeVar("Found", bound=tuple[Any, ...])


def seeds_in(folder: Path) -> list[tuple[int, Path]]:
    """(seed, folder) of the finished seeds of an experiment, sorted."""
    return sorted(
        (int(path.name[4:]), path)
        for path in folder.glob("seed*")
        if path.name[4:].isdecimal() and (path / CARD).is_file()
    )


def folds_in(folder: Path) -> list[tuple[int, int, Path]]:
    """(fold, seed, folder) of the finished seeds of all folds of an experiment, sorted."""
    found = []
    for card in folder.glob(f"fold*/seed*/{CARD}"):
        if numbers := _FOLD.fullmatch(card.parent.relative_to(folder).as_posix()):
            found.append((int(numbers[1]), int(numbers[2]), card.parent))
    return sorted(found)


def find(work: WorkDir, task: str, name: str, what: str = "model") -> list[tuple[int, Path]]:
    """(seed, folder) of the finished seeds of ``exp/<task>/<name>``, sorted.

    Args:
        work: the working directory.
        task: as in ``speechkit train TASK``.
        name: of the experiment.
        what: messages call it.

    Raises:
        UserError: there is none.
    """
    return _find(work, task, name, what, seeds_in)


def find_folds(work: WorkDir, task: str, name: str) -> list[tuple[int, int, Path]]:
    """The same of a task with folds: (fold, seed, folder)."""
    return _find(work, task, name, "model", folds_in)


def _find(
    work: WorkDir, task: str, name: str, what: str, models_in: Callable[[Path], list[Found]]
) -> list[Found]:
    base = work.exp(task, name)
    found = models_in(base)
    if not found:
        others = sorted(p.name for p in base.parent.glob("[!.]*") if models_in(p))
        listed = f"Models there: {', '.join(others)}." if others else "There are none yet."
        raise UserError(
            f"There is no trained {what} '{name}' in {base.parent}. {listed}",
            f"Train one with `speechkit train {task} --name NAME`.",
        )
    return found


def refuse_path(
    given: str, remedy: str = "Give the folder of a model, or a name under exp/."
) -> None:
    """Raise UserError for a path, of which no model could be read, before it is taken for a name.

    Args:
        given: by the user: a name or a path.
        remedy: what is accepted.
    """
    if "/" in given or given in (".", ".."):
        here = Path(given).expanduser().exists()
        found = f"{given} is no model of this kind." if here else f"{given} does not exist."
        raise UserError(found, remedy)


def read_card(folder: Path, kind: str, what: str, card: type) -> dict[str, Any]:
    """Content of ``config.yaml``.

    Args:
        folder: of a seed.
        kind: that it must say.
        what: messages call such a model, with its article.
        card: its schema (see :func:`speechkit.base.schema.check`).

    Raises:
        UserError: it is not there, or not of such a model.
    """
    path = folder / CARD
    if not path.exists():
        raise UserError(f"{folder} is not {what}: it has no {CARD}.")
    content = read_yaml(path, schema.Object, TRAIN_AGAIN)
    if content.get("kind") != kind:
        raise UserError(f"{path} is not of {what} (kind: {kind}).")
    schema.check(content, card, str(path), TRAIN_AGAIN)
    return content


def read_cards(
    folders: Sequence[Path], read: Callable[[Path], dict[str, Any]], same: Sequence[str]
) -> list[dict[str, Any]]:
    """The cards of the seeds of one experiment.

    Args:
        folders: of the seeds.
        read: reads the card of a folder.
        same: keys whose values all cards must share.

    Raises:
        UserError: they differ in one of those.
    """
    cards = [read(folder) for folder in folders]
    for folder, card in zip(folders[1:], cards[1:], strict=True):
        for key in same:
            if card.get(key) != cards[0].get(key):
                raise UserError(
                    f"{folder} and {folders[0]} differ in '{key}'.",
                    "Seeds of one experiment must have the same settings: train them again.",
                )
    return cards


def answer(folders: Sequence[Path], few: Sequence[str], endings: tuple[str, ...]) -> Answer:
    """The trained seeds of an experiment, a row each.

    Args:
        folders: of the seeds.
        few: measures of their ``summary.json`` that are shown.
        endings: of further ones.
    """
    found = {str(folder): schema.read_json(folder / "summary.json", Object) for folder in folders}
    keys = [key for key in next(iter(found.values())) if key in few or key.endswith(endings)]
    rows = [[folder, *(one.get(key) for key in keys)] for folder, one in found.items()]
    return Answer(found, [(f"Trained: {folders[0].parent.name}", ("model", *keys), rows)])


@contextmanager
def outputs(
    work: WorkDir,
    task: str,
    name: str,
    params: Mapping[str, Any],
    inputs: Mapping[int, Sequence[Path]],
    force: bool,
    other_batch_size: bool = False,
) -> Iterator[tuple[list[Path], dict[int, Output]]]:
    """Open the outputs of several seeds that are trained in one run.

    Args:
        work: the working directory.
        task: as in ``speechkit train TASK``.
        name: of the experiment.
        params: all that decides the result, beside the seed.
        inputs: seed -> files that it depends on.
        force: replace models that were trained with other parameters.
        other_batch_size: go on from unfinished runs of another batch size.

    Yields:
        The folders of all seeds, and the outputs of those that are not up to date.
    """
    found = {
        seed: Output(
            work.exp(task, name, f"seed{seed}"),
            f"train {task}",
            {**params, "seed": seed},
            list(files),
            force=force,
            resume=True,
            training=True,
            other_batch_size=other_batch_size,
        )
        for seed, files in inputs.items()
    }
    with ExitStack() as stack:
        for output in found.values():
            stack.enter_context(output)
        pending = {seed: out for seed, out in found.items() if not out.up_to_date}
        yield [output.final for output in found.values()], pending
