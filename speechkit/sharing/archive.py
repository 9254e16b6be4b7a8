"""The file of a model: a zip of known files with their sizes and checksums.

    speechkit.json    format, task, name, models, and size and SHA-256 of every file
    README.md         the model card
    model/...         config.yaml, *.safetensors, ...

Files are stored, not compressed. Reading one runs no code and trusts no name: only listed files
of harmless kinds are written, below the folder asked for, and each must be what the list says.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

import yaml

import speechkit
from speechkit.errors import UserError
from speechkit.files import atomic_write
from speechkit.progress import progress
from speechkit.sharing.finding import CARD, TASKS
from speechkit.workdir import check_name

FORMAT = 1
LIST, README, PREFIX = "speechkit.json", "README.md", "model/"
SUFFIXES = (".yaml", ".json", ".safetensors", ".tsv", ".md")
_BLOCK = 1 << 22
_LONGEST_LIST = 8 << 20
_SINCE = (1980, 1, 1, 0, 0, 0)  # of every member, so that the same model is the same file


@dataclass(frozen=True)
class Contents:
    """What a file holds.

    Args:
        task: a key of ``TASKS``.
        name: of the model.
        models: folders of what was trained.
        files: name below ``model/`` -> (bytes, SHA-256).
        version: of speechkit, that wrote it.
    """

    task: str
    name: str
    models: tuple[str, ...]
    files: Mapping[str, tuple[int, str]]
    version: str


def write(
    path: Path,
    task: str,
    name: str,
    models: Sequence[str],
    sources: Mapping[str, Path],
    card: str,
) -> Contents:
    """Write a model's file.

    Args:
        path: the file; replaced when all is written.
        task: a key of ``TASKS``.
        name: of the model.
        models: folders of what was trained, below ``model/``.
        sources: name below ``model/`` -> file.
        card: text of the model card.
    """
    listed: dict[str, tuple[int, str]] = {}
    total = sum(source.stat().st_size for source in sources.values())
    with (
        progress(f"export {name}" if total > 1 << 28 else "", total, "byte") as advance,
        atomic_write(path, "wb") as file,
        zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as packed,
    ):
        for inside, source in sorted(sources.items()):
            digest, size = hashlib.sha256(), 0
            member = zipfile.ZipInfo(PREFIX + inside, _SINCE)
            member.file_size = source.stat().st_size  # zip64 where it must be
            with source.open("rb") as opened, packed.open(member, "w") as target:
                while block := opened.read(_BLOCK):
                    digest.update(block)
                    target.write(block)
                    size += len(block)
                    advance(len(block))
            listed[inside] = (size, digest.hexdigest())
        made = Contents(task, name, tuple(models), listed, speechkit.__version__)
        packed.writestr(zipfile.ZipInfo(README, _SINCE), card)
        packed.writestr(zipfile.ZipInfo(LIST, _SINCE), json.dumps(_as_json(made), indent=1))
    return made


def _as_json(contents: Contents) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "speechkit": contents.version,
        "task": contents.task,
        "name": contents.name,
        "models": list(contents.models),
        "files": {k: {"size": s, "sha256": d} for k, (s, d) in contents.files.items()},
    }


def read_list(path: Path) -> Contents:
    """What a file says it holds, checked for names that lead elsewhere.

    Raises:
        UserError: it is no model's file, of a newer format, or holds what it must not.
    """
    try:
        with zipfile.ZipFile(path) as packed:
            return _read_list(path, packed)
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist.") from error
    except (zipfile.BadZipFile, OSError, EOFError) as error:
        raise UserError(
            f"{path} cannot be read as a model of speechkit ({error}).",
            "It must be a file that `speechkit export` wrote; copy it again if it was cut.",
        ) from error


def _read_list(path: Path, packed: zipfile.ZipFile) -> Contents:
    members = packed.infolist()
    names = [member.filename for member in members]
    if LIST not in names or packed.getinfo(LIST).file_size > _LONGEST_LIST:
        raise UserError(
            f"{path} has no {LIST}: it is not a model of speechkit.",
            "Take a file that `speechkit export` wrote.",
        )
    try:
        content = json.loads(packed.read(LIST))
        if int(content["format"]) > FORMAT:
            raise UserError(
                f"{path} is of format {content['format']}, written by speechkit "
                f"{content['speechkit']}.",
                "Update speechkit.",
            )
        files = {str(k): (int(v["size"]), str(v["sha256"])) for k, v in content["files"].items()}
        found = Contents(
            str(content["task"]),
            check_name("model", str(content["name"])),
            tuple(map(str, content["models"])),
            files,
            str(content["speechkit"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: its {LIST} is damaged ({error!r}).", "Copy it again.") from error
    _check(path, found, members, names)
    return found


def _check(
    path: Path, found: Contents, members: Sequence[zipfile.ZipInfo], names: Sequence[str]
) -> None:
    if found.task not in TASKS:
        raise UserError(
            f"{path} is a model of the unknown task '{found.task}'.", "Update speechkit."
        )
    for name in (*found.files, *found.models):
        _safe_name(path, name)
    for name in found.files:
        if PurePosixPath(name).suffix not in SUFFIXES:
            raise UserError(
                f"{path} holds '{name}', a kind of file that no model needs.",
                "Do not use it, unless you trust where it comes from and unpack it yourself.",
            )
    wanted = sorted([LIST, README, *(PREFIX + name for name in found.files)])
    if sorted(names) != wanted:
        odd = sorted(set(names).symmetric_difference(wanted)) or ["a name that comes twice"]
        raise UserError(f"{path}: its {LIST} and its content differ ({odd[0]}).", "Copy it again.")
    for member in members:
        kind = member.external_attr >> 28
        if kind not in (0, 8) or member.compress_type != zipfile.ZIP_STORED:
            raise UserError(f"{path}: '{member.filename}' is not a plain, stored file.")
        size = found.files.get(member.filename.removeprefix(PREFIX), (member.file_size, ""))[0]
        if member.file_size != size:
            raise UserError(
                f"{path}: '{member.filename}' has not the size listed.", "Copy it again."
            )


def _safe_name(path: Path, name: str) -> None:
    """Refuse names that are not plain paths below the folder."""
    parts = name.split("/")
    bad = name.startswith("/") or "\\" in name or ":" in name or not name.isprintable()
    if bad or any(part in ("", "..") or (part == "." and name != ".") for part in parts):
        raise UserError(f"{path} holds a file with the name '{name}', which leads elsewhere.")


def unpack(path: Path, contents: Contents, target: Path) -> str:
    """Write the files of a model below ``target`` and check each; returns the model card.

    Raises:
        UserError: a file is not what the list says, or is damaged.
    """
    with zipfile.ZipFile(path) as packed:
        for name, (size, digest) in contents.files.items():
            place = target.joinpath(*name.split("/"))
            place.parent.mkdir(parents=True, exist_ok=True)
            with packed.open(PREFIX + name) as opened, place.open("wb") as file:
                if _copy(opened, file, size) != digest:
                    raise UserError(f"{path}: '{name}' is damaged.", "Copy the file again.")
        card = packed.read(README).decode("utf-8", "replace")
    for name in contents.files:
        _check_file(target.joinpath(*name.split("/")))
    return card


def _copy(source: IO[bytes], target: IO[bytes], size: int) -> str:
    digest, left = hashlib.sha256(), size
    try:
        while left and (block := source.read(min(_BLOCK, left))):
            digest.update(block)
            target.write(block)
            left -= len(block)
    except (zipfile.BadZipFile, EOFError):  # a checksum of the zip's own, or a cut file
        return ""
    return digest.hexdigest() if not left else ""


def _check_file(path: Path) -> None:
    """UserError unless the weights and cards of a model can be read."""
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, "pt"):
                return
        except (SafetensorError, OSError) as error:
            raise UserError(f"'{path.name}' holds no weights ({error}).") from error
    if path.name == CARD:
        try:
            content = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise UserError(f"'{path.name}' cannot be read ({error}).") from error
        if not isinstance(content, dict) or "kind" not in content:
            raise UserError(f"'{path.name}' is not that of a model of speechkit.")
