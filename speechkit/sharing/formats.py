"""``export --format``: one trained model as a folder that another library loads."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path

from speechkit.base import answers
from speechkit.base.answers import Answer
from speechkit.base.errors import ConfigError, UserError
from speechkit.base.files import make_dirs, remove_tree
from speechkit.sharing import archive
from speechkit.sharing.config import ExportConfig
from speechkit.sharing.exchange import staging_beside
from speechkit.sharing.models import find
from speechkit.sharing.publish import write_card
from speechkit.workdir import WorkDir


@dataclass(frozen=True)
class Format:
    """A library that loads what is written.

    Args:
        task: whose models it has.
        classes: that loads them, for messages.
        files: names of what is written.
        use: how it is loaded, for the card.
        writer: module of speechkit whose ``write`` makes the folder.
    """

    task: str
    library: str
    classes: str
    files: tuple[str, ...]
    use: str
    writer: str


FORMATS = {
    "hf": Format(
        "emotion",
        "transformers",
        "AutoModelForAudioClassification",
        ("config.json", "preprocessor_config.json", "model.safetensors"),
        'from transformers import pipeline\n\npipeline("audio-classification", "{name}")("a.wav")',
        "emotion.published",
    ),
    "asteroid": Format(
        "separation",
        "asteroid",
        "ConvTasNet",
        ("pytorch_model.bin",),
        "from asteroid.models import ConvTasNet\n\n"
        'ConvTasNet.from_pretrained("{name}/pytorch_model.bin").separate("mixture.wav")',
        "separation.to_asteroid",
    ),
}


@dataclass(frozen=True)
class ExportedFolder:
    """What an export made.

    Args:
        folder: for the library.
        model: ``TASK/NAME``.
        library: that loads it.
    """

    folder: Path
    model: str
    library: str

    def answer(self) -> Answer:
        """What is shown of it."""
        shown = {"folder": str(self.folder), "model": self.model, "for": self.library}
        return answers.pairs("Exported", shown)


def export_folder(
    workdir: WorkDir,
    name: str,
    config: ExportConfig,
    folder: Path | None = None,
) -> ExportedFolder:
    """Write one trained model as a folder of another library, with its card.

    Args:
        name: ``TASK/NAME``, ``NAME`` or a folder.
        config: its format, a key of ``FORMATS``, and which model.
        folder: to write; default ``NAME`` in the present folder.

    Raises:
        UserError: no such model or several, the library has none of its kind, or the folder
            exists.
    """
    form, kind = config.format, FORMATS[config.format]
    found = find(workdir, name).only(config.fold, config.seed)
    if found.task != kind.task:
        raise ConfigError(
            "format",
            f"{form} is for models of {kind.task}: {kind.classes} of {kind.library} is none of "
            f"{found.task}.",
            "Leave it out: the file that is written then holds any model.",
        )
    if len(found.models) > 1:
        raise UserError(
            f"'{found.task}/{found.name}' has {len(found.models)} models (folds and seeds), a "
            f"folder of {kind.library} has one.",
            "Choose it with `fold` and `seed`." if found.task == "emotion" else "Choose a `seed`.",
        )
    target = folder or Path(found.name)
    make_dirs(target.parent)
    with staging_beside(target) as staging:
        _check_target(target, kind, config.force)
        made = staging / "model"
        writer = importlib.import_module(f"speechkit.{kind.writer}")
        writer.write(found.base / found.models[0], made)
        use = f"```python\n{kind.use.format(name=target.name)}\n```\n"
        card = write_card(found, config.licence, kind.library, use)
        (made / archive.README).write_text(card, encoding="utf-8")
        remove_tree(target)
        made.rename(target)
    return ExportedFolder(target, f"{found.task}/{found.name}", kind.library)


def _check_target(target: Path, kind: Format, force: bool) -> None:
    """Refuse what must not be replaced: anything without `force`, else what is not ours."""
    if not target.exists():
        return
    if not force:
        raise UserError(f"{target} exists.", "Replace it with `force`, or name another folder.")
    known = {*kind.files, archive.README}
    strange = {path.name for path in target.iterdir()} - known if target.is_dir() else {target.name}
    if strange or target.is_symlink():
        raise UserError(
            f"{target} holds '{min(strange or {target.name})}', which no export wrote.",
            "Name another folder.",
        )
