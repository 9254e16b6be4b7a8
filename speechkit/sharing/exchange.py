"""``export`` and ``import``: a trained model to one file and back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from speechkit.base import hub
from speechkit.base.errors import UserError
from speechkit.base.files import Lock, make_dirs, remove_tree
from speechkit.base.log import logger
from speechkit.sharing import archive, publish
from speechkit.sharing.card import write_card
from speechkit.sharing.contents import collect
from speechkit.sharing.model_search import TASKS, find
from speechkit.sharing.soundness import WEIGHTS, require_model, require_weights
from speechkit.workdir import Output, WorkDir, check_name


@dataclass(frozen=True)
class Exported:
    """What an export made.

    Args:
        file: the model's file.
        contents: what it holds.
        url: of the commit on the hub, where it was pushed.
    """

    file: Path
    contents: archive.Contents
    url: str = ""


def export(
    workdir: WorkDir,
    name: str,
    file: Path | None = None,
    *,
    fold: int | None = None,
    seed: int | None = None,
    licence: str = "",
    repository: str = "",
    private: bool = False,
    force: bool = False,
) -> Exported:
    """Write a trained model into one file, and push it to the hub if asked.

    Args:
        workdir: that holds it.
        name: ``TASK/NAME``, ``NAME`` or a folder.
        file: to write; default ``NAME.zip`` in the present folder.
        fold: only this fold.
        seed: only this seed.
        licence: for the model card.
        repository: OWNER/NAME on the hub, or empty.
        private: make the repository private.
        force: replace the file.

    Raises:
        UserError: no such model, the file exists, or the hub refused.
    """
    found = find(workdir, name)
    if fold is not None or seed is not None:
        found = found.only(fold, seed)
    target = file or Path(f"{found.name}.zip")
    if target.is_dir():
        target = target / f"{found.name}.zip"
    make_dirs(target.parent)
    with _staging(target) as staging:  # first, so that a killed export leaves nothing for ever
        if target.exists() and not force:
            raise UserError(f"{target} exists.", "Replace it with `force`, or name another file.")
        if repository:
            publish.check_target(repository)
        for model in found.models:
            require_model(found.base / model)
        card = write_card(found, licence)
        sources, models = collect(workdir, found, staging)
        for source in sources.values():
            if source.suffix == WEIGHTS:
                require_weights(source)
        contents = archive.write(target, found.task, found.name, models, sources, card)
    url = publish.push(target, card, repository, private) if repository else ""
    return Exported(target, contents, url)


@contextmanager
def _staging(target: Path) -> Iterator[Path]:
    """A folder beside ``target`` while it is written; what a killed export left goes first."""
    lock = Lock(target.with_name(f".{target.name}.lock"))
    lock.acquire(str(target))
    folder = target.with_name(f".{target.name}.export")
    try:
        remove_tree(folder)
        yield make_dirs(folder)
    finally:
        remove_tree(folder)
        lock.release()


def import_model(
    workdir: WorkDir, source: str, *, name: str = "", force: bool = False
) -> tuple[Path, archive.Contents]:
    """Put the model of a file into ``exp/``; returns its folder and what it is.

    Args:
        workdir: to put it into.
        source: a file that :func:`export` wrote, or ``hf:OWNER/NAME``.
        name: to give it; default the one it has.
        force: replace a model that has the name.

    Raises:
        UserError: the file is damaged or not a model's, or the name is taken.
    """
    path = Path(source)
    if source.startswith(hub.PREFIX):
        path = publish.fetch(source)
    contents = archive.read_list(path)
    chosen = check_name("model", name or contents.name)
    final = workdir.exp(TASKS[contents.task], chosen)
    if final.exists() and not force and not (final / "manifest.json").is_file():
        raise UserError(
            f"{final} exists: there is a model of this name.",
            "Give the new one another name with `name`, or replace the old one with `force`.",
        )
    with Output(
        final,
        "import",
        {"task": contents.task, "name": contents.name},
        [path],
        force=force,
        beside="give it another name with `name`",
    ) as out:
        if not out.up_to_date:
            card = archive.unpack(path, contents, out.path)
            (out.path / archive.README).write_text(card, encoding="utf-8")
            out.counts.update(models=len(contents.models), files=len(contents.files))
            logger.info(f"{final}: a model of speechkit {contents.version}.")
    return final, contents
