"""``export`` and ``import``: a trained model to one file and back.

What others need goes into the file: no logs of machines, no speakers, no pickles.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from speechkit.base import answers, hub
from speechkit.base.answers import Answer
from speechkit.base.errors import UserError
from speechkit.base.files import Lock, make_dirs, remove_tree
from speechkit.base.log import logger
from speechkit.base.yaml_files import write_yaml
from speechkit.sharing import archive, publish
from speechkit.sharing.config import ExportConfig
from speechkit.sharing.models import (
    CARD,
    TASKS,
    WEIGHTS,
    TrainedModel,
    find,
    models_in,
    read_card,
    require_model,
    require_weights,
)
from speechkit.sharing.publish import write_card
from speechkit.workdir import Output, WorkDir, check_name

_LEFT_OUT = ("manifest.json", "last.safetensors", "README.md")
_TAKEN = (".yaml", ".json", ".safetensors")
_LOG = "log.tsv"


@dataclass(frozen=True)
class Exported:
    """What an export made.

    Args:
        url: of the commit on the hub, where it was pushed.
    """

    file: Path
    contents: archive.Contents
    url: str = ""

    def answer(self) -> Answer:
        """What is shown of it."""
        size, made = self.file.stat().st_size, self.contents
        shown = {
            "file": self.file,
            "size": f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.1f} kB",
            "model": f"{made.task}/{made.name}",
            "seeds and folds": sum("acoustic" not in name.split("/") for name in made.models),
        }
        answer = answers.pairs("Exported", {**shown, "pushed": self.url} if self.url else shown)
        told = {"task": made.task, "name": made.name, "models": list(made.models)}
        return answer._replace(
            data={"file": str(self.file), "bytes": size, **told, "url": self.url}
        )


def export(
    workdir: WorkDir,
    name: str,
    file: Path | None = None,
    config: ExportConfig | None = None,
) -> Exported:
    """Write a trained model into one file, and push it to the hub if asked.

    Args:
        name: ``TASK/NAME``, ``NAME`` or a folder.
        file: to write; default ``NAME.zip`` in the present folder.
        config: which seeds and folds, and where to.

    Raises:
        UserError: no such model, the file exists, or the hub refused.
    """
    config = config or ExportConfig()
    found = find(workdir, name).only(config.fold, config.seed)
    target = file or Path(f"{found.name}.zip")
    if target.is_dir():
        target = target / f"{found.name}.zip"
    make_dirs(target.parent)
    with staging_beside(
        target
    ) as staging:  # first, so that a killed export leaves nothing for ever
        if target.exists() and not config.force:
            raise UserError(f"{target} exists.", "Replace it with `force`, or name another file.")
        if config.push_to_hub:
            publish.check_target(config.push_to_hub)
        for model in found.models:
            require_model(found.base / model)
        card = write_card(found, config.licence)
        sources, models = collect(workdir, found, staging)
        for source in sources.values():
            if source.suffix == WEIGHTS:
                require_weights(source)
        contents = archive.write(target, found.task, found.name, models, sources, card)
    hub = config.push_to_hub
    url = publish.push(target, card, hub, config.private) if hub else ""
    return Exported(target, contents, url)


@contextmanager
def staging_beside(target: Path) -> Iterator[Path]:
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
            logger.info(f"{final}: a model of speechkit {contents.speechkit}.")
    return final, contents


def collect(
    workdir: WorkDir, found: TrainedModel, staging: Path
) -> tuple[dict[str, Path], tuple[str, ...]]:
    """Name in the file -> file to read, and the models' folders.

    Args:
        staging: an empty folder for files that are made for the purpose.

    Raises:
        UserError: a part of the model that lies elsewhere is not there.
    """
    if found.task in ("pronunciation", "scoring") and (made := _bundle(workdir, found, staging)):
        return made
    sources: dict[str, Path] = {}
    for model in found.models:
        for path in sorted((found.base / model).iterdir()):
            known = path.suffix in _TAKEN or path.name == _LOG
            if path.is_file() and known and path.name not in _LEFT_OUT:
                sources[(model / path.name).as_posix()] = path
    if found.task == "emotion":
        _emotion(found, staging, sources)
    return sources, tuple(model.as_posix() for model in found.models)


def _emotion(found: TrainedModel, staging: Path, sources: dict[str, Path]) -> None:
    """Add the encoder of a model: its configuration, or all of one that was frozen."""
    from speechkit.emotion import encoder_files, encoder_network

    written: dict[str, str] = {}
    for model in found.models:
        folder = found.base / model
        card = read_card(folder)
        if card.get("model") != "encoder":
            continue
        sources[(model / CARD).as_posix()] = _without_paths(card, staging / model / CARD)
        if not card["network"]["frozen"]:
            for path in sorted((folder / encoder_network.FOLDER).glob("*.json")):
                sources[(model / encoder_network.FOLDER / path.name).as_posix()] = path
            continue
        # One encoder for all folds and seeds, beside them; further ones in their models.
        digest = str(card["network"]["encoder_digest"])
        if digest in written:
            continue
        place = Path(encoder_network.FOLDER) if not written else model / encoder_network.FOLDER
        written[digest] = place.as_posix()
        encoder_files.write_copy(encoder_network.find_frozen(folder, card), staging / place)
        for path in sorted((staging / place).iterdir()):
            sources[(place / path.name).as_posix()] = path


def _without_paths(card: Mapping[str, Any], target: Path) -> Path:
    """The card with a name in place of a local folder of the encoder."""
    from speechkit.emotion import encoder_files

    spec = str(card["upstream"])
    plain = encoder_files.short_name(spec) if encoder_files.is_local(spec) else spec
    training = dict(card["training"])
    if "upstream" in training:
        training["upstream"] = plain
    network = {k: v for k, v in card["network"].items() if k != "encoder_folder"}
    stripped = {**card, "upstream": plain, "network": network, "training": training}
    target.parent.mkdir(parents=True, exist_ok=True)
    write_yaml(target, stripped)
    return target


def _bundle(
    workdir: WorkDir, found: TrainedModel, staging: Path
) -> tuple[dict[str, Path], tuple[str, ...]] | None:
    """A scorer with its acoustic models, where they are of this working directory."""
    from speechkit.acoustic import models
    from speechkit.acoustic.tdnn import folder as tdnn_folder
    from speechkit.phone_features.bundle import acoustic_specs, is_bundle, write
    from speechkit.pronunciation import model_folder as pronunciation
    from speechkit.scoring import model_folder as scoring

    copy = scoring.copy if found.task == "scoring" else pronunciation.copy
    if is_bundle(found.base):
        return None
    features = read_card(found.base / found.models[0]).get("features") or [{}]
    specs = [spec for spec in acoustic_specs(features[0]) if spec != models.SPHINX]
    seeds = [int(m.name[4:]) for m in found.models if re.fullmatch(r"seed\d+", m.name)]
    try:
        for spec in specs:
            tdnn_folder.read_card(models.find_folder(spec, workdir))
    except UserError as error:
        logger.warning(
            f"The acoustic models ({', '.join(specs)}) are not put into the file, whoever uses it "
            f"needs them: {error.problem}"
        )
        return None
    target = write(workdir, found.task, found.name, staging / "bundle", copy, seeds)
    sources = {
        path.relative_to(target).as_posix(): path
        for path in sorted(target.rglob("*"))
        if path.is_file() and path.suffix in _TAKEN
    }
    return sources, tuple(model.as_posix() for model in models_in(target))
