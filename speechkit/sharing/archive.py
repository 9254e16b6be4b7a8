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
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Annotated

import msgspec
from msgspec import Meta

import speechkit
from speechkit.base.arrays import BROKEN_ZIP
from speechkit.base.errors import UserError, one_line
from speechkit.base.files import atomic_write
from speechkit.base.log import progress
from speechkit.base.schema import Object, check, parse_json, regular_file
from speechkit.sharing.models import (
    CARD,
    TASKS,
    WEIGHTS,
    models_in,
    require_model,
    require_weights,
)
from speechkit.workdir import check_name

FORMAT = 1
SUFFIX = ".zip"
LIST, README, PREFIX = "speechkit.json", "README.md", "model/"
SUFFIXES = (".yaml", ".json", ".safetensors", ".tsv", ".md")
_BLOCK = 1 << 22
_LONGEST_LIST = 8 << 20
_MOST_FILES = 10_000
_ENCRYPTED = 1 | 1 << 6 | 1 << 13  # flags of a zip's member
_SINCE = (1980, 1, 1, 0, 0, 0)  # of every member, so that the same model is the same file


class File(msgspec.Struct):
    """A file of a model: its bytes and their checksum."""

    size: Annotated[int, Meta(ge=0)]
    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


class Version(msgspec.Struct):
    """What ``speechkit.json`` says in every format: its format, and the speechkit that wrote it."""

    format: Annotated[int, Meta(ge=1)]
    speechkit: Annotated[str, Meta(max_length=100)]


class Contents(Version):
    """What a file holds, as ``speechkit.json`` says it.

    Args:
        task: a key of ``TASKS``.
        models: folders of what was trained.
        files: by their names below ``model/``.
    """

    task: str
    name: str
    models: Annotated[list[str], Meta(min_length=1)]
    files: Annotated[dict[str, File], Meta(max_length=_MOST_FILES)]


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
        models: folders of what was trained, below ``model/``.
        sources: name below ``model/`` -> file.
        card: text of the model card.
    """
    listed: dict[str, File] = {}
    total = sum(source.stat().st_size for source in sources.values())
    with (
        progress(f"export {name}" if total > 1 << 28 else "", total, "byte") as advance,
        atomic_write(path, "wb") as file,
        zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as packed,
    ):
        for inside, source in sorted(sources.items()):
            member = zipfile.ZipInfo(PREFIX + inside, _SINCE)
            member.file_size = source.stat().st_size  # zip64 where it must be
            with source.open("rb") as opened, packed.open(member, "w") as target:
                listed[inside] = _copy(opened, target, advance)
        made = Contents(FORMAT, speechkit.__version__, task, name, list(models), listed)
        packed.writestr(zipfile.ZipInfo(README, _SINCE), card)
        packed.writestr(
            zipfile.ZipInfo(LIST, _SINCE), json.dumps(msgspec.to_builtins(made), indent=1)
        )
    return made


def read_list(path: Path) -> Contents:
    """What a file says it holds, checked for names that lead elsewhere.

    Raises:
        UserError: it is no model's file, of a newer format, or holds what it must not.
    """
    with _opened(path) as packed:
        return _read_list(path, packed)


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """The zip; UserError where it is none, or what is read of it is damaged."""
    regular_file(path)
    try:
        with zipfile.ZipFile(path) as packed:
            yield packed
    except BROKEN_ZIP as error:
        raise UserError(
            f"{path} cannot be read as a model of speechkit ({one_line(error, 200)}).",
            "It must be a file that `speechkit export` wrote; copy it again if it was cut.",
        ) from error


def _read_list(path: Path, packed: zipfile.ZipFile) -> Contents:
    members = packed.infolist()
    if not any(member.filename == LIST for member in members):
        raise UserError(
            f"{path} has no {LIST}: it is not a model of speechkit.",
            "Take a file that `speechkit export` wrote.",
        )
    _check_members(path, members)
    where = f"{path}: {LIST}"
    content = parse_json(packed.read(LIST), Object, where, "Copy it again.")
    version = check(content, Version, where, "Copy it again.")
    if version.format > FORMAT:
        raise UserError(
            f"{path} is of format {version.format}, written by speechkit {version.speechkit}.",
            "Update speechkit.",
        )
    found = check(content, Contents, where, "Copy it again.")
    found.name = check_name("model", found.name)
    _check(path, found, members)
    return found


def _check_members(path: Path, members: Sequence[zipfile.ZipInfo]) -> None:
    """Refuse all but plain, stored files that fit into the zip, before anything is read."""
    size = path.stat().st_size
    if len(members) > _MOST_FILES + 2:
        raise UserError(f"{path} holds {len(members)} files.", f"Accepted: {_MOST_FILES}.")
    for member in members:
        kind = member.external_attr >> 28
        stored = member.compress_type == zipfile.ZIP_STORED
        if kind not in (0, 8) or not stored or member.compress_size != member.file_size:
            raise UserError(f"{path}: '{member.filename}' is not a plain, stored file.")
        if member.flag_bits & _ENCRYPTED:
            raise UserError(f"{path}: '{member.filename}' is encrypted.")
        if member.filename in (LIST, README) and member.file_size > _LONGEST_LIST:
            raise UserError(f"{path}: '{member.filename}' has {member.file_size:,} bytes.")
        if not 0 <= member.header_offset <= size - member.file_size:
            raise UserError(f"{path}: '{member.filename}' lies outside of it.", "Copy it again.")
    if sum(member.file_size for member in members) > size:
        raise UserError(f"{path}: its files are larger than itself.", "Copy it again.")


def _check(path: Path, found: Contents, members: Sequence[zipfile.ZipInfo]) -> None:
    if found.task not in TASKS:
        raise UserError(
            f"{path} is a model of the unknown task '{found.task}'.", "Update speechkit."
        )
    for name in (*found.files, *found.models):
        _safe_name(path, name)
    for name in found.files:
        if outer := found.files.keys() & {str(p) for p in PurePosixPath(name).parents}:
            raise UserError(f"{path}: '{outer.pop()}' is a file and the folder of another.")
        if PurePosixPath(name).suffix not in SUFFIXES:
            raise UserError(
                f"{path} holds '{name}', a kind of file that no model needs.",
                "Do not use it, unless you trust where it comes from and unpack it yourself.",
            )
    for model in found.models:
        if PurePosixPath(model, CARD).as_posix() not in found.files:
            raise UserError(f"{path}: its model '{model}' has no {CARD}.", "Copy it again.")
    names = [member.filename for member in members]
    wanted = sorted([LIST, README, *(PREFIX + name for name in found.files)])
    if sorted(names) != wanted:
        odd = sorted(set(names).symmetric_difference(wanted)) or ["a name that comes twice"]
        raise UserError(f"{path}: its {LIST} and its content differ ({odd[0]}).", "Copy it again.")
    for member in members:
        listed = found.files.get(member.filename.removeprefix(PREFIX))
        if listed is not None and member.file_size != listed.size:
            raise UserError(
                f"{path}: '{member.filename}' has not the size listed.", "Copy it again."
            )


def _safe_name(path: Path, name: str) -> None:
    """Refuse names that are not plain paths below the folder."""
    parts = name.split("/")
    bad = "\\" in name or ":" in name or not name.isprintable()
    if bad or (name != "." and any(part == "" or part.startswith(".") for part in parts)):
        raise UserError(f"{path} holds a file with the name {name!r:.100}, which leads elsewhere.")
    if max(len(name.encode()) - 768, *(len(part.encode()) for part in parts)) > 255:
        raise UserError(f"{path} holds a file with a name of {len(name.encode()):,} bytes.")


def unpack(path: Path, contents: Contents, target: Path) -> str:
    """Write the files of a model below ``target`` and check each; returns the model card.

    Raises:
        UserError: a file is not what the list says, or is damaged.
    """
    with _opened(path) as packed:
        for name, listed in contents.files.items():
            place = target.joinpath(*name.split("/"))
            place.parent.mkdir(parents=True, exist_ok=True)
            with packed.open(PREFIX + name) as opened, place.open("wb") as file:
                if _copy(opened, file) != listed:
                    raise UserError(f"{path}: '{name}' is damaged.", "Copy the file again.")
        card = packed.read(README).decode("utf-8", "replace")
    try:
        for name in contents.files:
            if name.endswith(WEIGHTS):
                require_weights(target / name)
        for model in models_in(target):
            require_model(target / model)
    except UserError as error:
        problem = error.problem.replace(f"{target}/", "")
        raise UserError(f"{path}: {problem}", error.remedy) from error
    return card


def _copy(
    source: IO[bytes], target: IO[bytes], advance: Callable[[int], None] = lambda count: None
) -> File:
    """Copy all bytes, and say what they are."""
    digest, size = hashlib.sha256(), 0
    while block := source.read(_BLOCK):
        digest.update(block)
        target.write(block)
        size += len(block)
        advance(len(block))
    return File(size, digest.hexdigest())
