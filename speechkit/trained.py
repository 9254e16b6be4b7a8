"""Folders of trained seeds, ``exp/<task>/<name>/seed<N>/``: what all tasks that have them share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import yaml

from speechkit.errors import UserError
from speechkit.workdir import Output, WorkDir

CARD = "config.yaml"


def seeds_in(folder: Path) -> list[tuple[int, Path]]:
    """(seed, folder) of the finished seeds of an experiment, sorted."""
    return sorted(
        (int(path.name[4:]), path)
        for path in folder.glob("seed*")
        if path.name[4:].isdigit() and (path / CARD).is_file()
    )


def find(work: WorkDir, task: str, name: str, what: str = "model") -> list[tuple[int, Path]]:
    """The same of ``exp/<task>/<name>``.

    Args:
        work: the working directory.
        task: as in ``speechkit train TASK``.
        name: of the experiment.
        what: messages call it.

    Raises:
        UserError: there is none.
    """
    base = work.exp(task, name)
    found = seeds_in(base)
    if not found:
        others = sorted({p.parent.parent.name for p in base.parent.glob(f"*/seed*/{CARD}")})
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


def read_card(folder: Path, kind: str, what: str) -> dict[str, Any]:
    """Content of ``config.yaml``.

    Args:
        folder: of a seed.
        kind: that it must say.
        what: messages call such a model, with its article.

    Raises:
        UserError: it is not there, or not of such a model.
    """
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # either builds plain data only
    try:
        content = yaml.load((folder / CARD).read_text(encoding="utf-8"), Loader=loader)
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{folder} has no readable {CARD} ({error}).") from error
    if not isinstance(content, dict) or content.get("kind") != kind:
        raise UserError(f"{folder / CARD} is not of {what}.")
    return content


@contextmanager
def outputs(
    work: WorkDir,
    task: str,
    name: str,
    params: Mapping[str, Any],
    inputs: Mapping[int, Sequence[Path]],
    force: bool,
) -> Iterator[tuple[list[Path], dict[int, Output]]]:
    """Open the outputs of several seeds that are trained in one run.

    Args:
        work: the working directory.
        task: as in ``speechkit train TASK``.
        name: of the experiment.
        params: all that decides the result, beside the seed.
        inputs: seed -> files that it depends on.
        force: replace models that were trained with other parameters.

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
        )
        for seed, files in inputs.items()
    }
    with ExitStack() as stack:
        for output in found.values():
            stack.enter_context(output)
        pending = {seed: out for seed, out in found.items() if not out.up_to_date}
        yield [output.final for output in found.values()], pending
