"""Structured files, read in one way: limited, plain data, and of a schema (YAML: yaml_files).

A kind is anything that msgspec knows: builtin types, ``dict[str, int]``, dataclasses, and
``msgspec.Struct``. A Struct is open (fields of a newer version are passed over), a dataclass is
closed (the settings of a network: an unknown one would make another network).
"""

from __future__ import annotations

import dataclasses
import gzip
import json
import re
import stat
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, TypeVar, cast

import msgspec
from msgspec import Meta

from speechkit.base.errors import DataError, UserError, one_line

MOST_JSON = 1 << 28  # bytes of a file
MOST_LINE = 1 << 22  # of a line of JSON
DEPTH = 64  # lists and objects within one another
_INTEGERS = range(-(1 << 63), 1 << 64)
_SHARED = 1 << 16  # values that the aliases of a file may add

Kind = TypeVar("Kind")
Object = dict[str, Any]
Width = Annotated[int, Meta(ge=1, le=1 << 20)]  # of a layer; the weights say the rest
Layers = Annotated[int, Meta(ge=1, le=1 << 10)]
LAYERS = Meta(min_length=1, max_length=1 << 10)  # of a list with a number for each
Taps = Annotated[int, Meta(ge=1, le=1 << 16)]  # and frames or samples between them
Rate = Annotated[int, Meta(ge=1, le=10_000_000)]  # Hz
Share = Annotated[float, Meta(ge=0, lt=1)]
Finite = Annotated[float, Meta(ge=-1e300, le=1e300)]


class Damaged(DataError):
    """A file that is missing, cut, too large, or not of the schema that it must have."""


def regular_file(path: Path, most: int | None = None) -> Path:
    """``path`` if it is a file: no folder, pipe, socket or device, which may have no end.

    Args:
        most: bytes that it may have.

    Raises:
        Damaged: it is missing, of another kind, or larger.
    """
    try:
        found = path.stat()
    except (OSError, ValueError) as error:  # a name with NUL
        reason = getattr(error, "strerror", None) or str(error)
        raise Damaged(f"{path} cannot be read: {reason}.") from error
    if not stat.S_ISREG(found.st_mode):
        raise Damaged(f"{path} is not a file.", "Only regular files are read.")
    if most is not None and found.st_size > most:
        raise Damaged(f"{path} has {found.st_size:,} bytes.", f"Accepted: at most {most:,}.")
    return path


def read_text(path: Path, most: int = MOST_JSON, encoding: str = "utf-8") -> str:
    """The text of a file.

    Raises:
        Damaged: it cannot be read, is larger than ``most`` bytes, or not UTF-8.
    """
    try:
        return regular_file(path, most).read_text(encoding=encoding)
    except OSError as error:
        raise Damaged(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise Damaged(f"{path} cannot be read: it is not UTF-8 ({error.reason}).") from error


def read_json(path: Path, kind: type[Kind], remedy: str = "", encoding: str = "utf-8") -> Kind:
    """The content of a JSON file.

    Args:
        remedy: what to do about a damaged one, for the message.

    Raises:
        Damaged: it cannot be read, is nested too deeply, or of another kind.
    """
    return parse_json(read_text(path, encoding=encoding), kind, str(path), remedy)


def parse_json(text: str | bytes, kind: type[Kind], where: str, remedy: str = "") -> Kind:
    """As :func:`read_json`, of a text; ``where`` it is from begins the message."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Damaged(f"{where} cannot be read as JSON: {one_line(error)}.", remedy) from error
    require_plain(data, len(text), where, remedy)
    return check(data, kind, where, remedy)


def json_lines(path: Path, remedy: str = "") -> Iterator[tuple[int, Object]]:
    """Number of the line and object of each line that is not empty; ``.gz`` is unpacked.

    Raises:
        Damaged: it cannot be read, or a line is too long or no JSON object.
    """
    try:
        with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file:
            number = 0
            while line := file.readline(MOST_LINE + 1):
                number += 1
                where = f"{path}:{number}"
                if len(line) > MOST_LINE:
                    raise Damaged(f"{where}: has more than {MOST_LINE:,} bytes.", remedy)
                try:
                    text = line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
                except UnicodeDecodeError as error:
                    raise Damaged(f"{where}: is not UTF-8 ({error.reason}).", remedy) from error
                if text:
                    yield number, parse_json(text, Object, where, remedy)
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or one_line(error)
        raise Damaged(f"{path} cannot be read: {reason}.", remedy) from error


def check(data: Any, kind: type[Kind], where: str, remedy: str = "") -> Kind:
    """``data`` as a kind: types, required fields and ranges.

    Args:
        where: they are from, to begin the message with.

    Raises:
        Damaged: they are not; it names the field, what was found and what is accepted.
    """
    try:
        found = msgspec.convert(data, kind)
    except msgspec.ValidationError as error:
        raise Damaged(f"{where}: {_explain(error, data)}.", remedy) from error
    except UserError as error:  # of a kind that checks itself
        raise Damaged(f"{where}: {error.problem}", error.remedy or remedy) from error
    if unknown := _unknown(found, data):
        raise Damaged(
            f"{where}: the setting '{unknown}' is not known.",
            remedy or "It was made by another version of speechkit, or is damaged.",
        )
    return found


def _unknown(found: Any, data: Any, before: str = "") -> str:
    """The first field of a dataclass that it does not have; '' if there is none."""
    closed = dataclasses.is_dataclass(found)
    if not isinstance(data, dict) or not (closed or isinstance(found, msgspec.Struct)):
        return ""
    for name, value in data.items():
        if hasattr(found, name):
            if inner := _unknown(getattr(found, name), value, f"{before}{name}."):
                return inner
        elif closed:
            return f"{before}{name}"
    return ""


def _explain(error: msgspec.ValidationError, data: Any) -> str:
    """What is wrong, with the field's name and value (msgspec names the types only)."""
    problem, _, place = str(error).partition(" - at `$")
    problem = problem.replace("`", "'")  # no setting: a field of the file
    place = place.rstrip("`")
    if not place:
        return problem
    for name, index in re.findall(r"\.([^.\[\]]+)|\[(\d+)\]", place):
        try:
            data = data[name] if name else data[int(index)]
        except (LookupError, TypeError):
            return f"{place.lstrip('.')}: {problem}"
    shown = repr(data)
    shown = shown if len(shown) <= 60 else shown[:60] + "..."
    return f"{place.lstrip('.')} is {shown}; {problem[:1].lower()}{problem[1:]}"


def require_plain(data: Any, characters: int, where: str, remedy: str) -> None:
    """Refuse deep nesting, huge integers, keys that are not text, and aliases that multiply."""
    level, seen, depth = [data], 0, 0
    while level:
        require_depth(depth, where, remedy)
        inner: list[Any] = []
        for node in level:
            if isinstance(node, dict):
                if odd := [key for key in node if not isinstance(key, str)]:
                    raise Damaged(f"{where}: the name {odd[0]!r:.60} is not text.", remedy)
                inner.extend(node.values())
            elif isinstance(node, list):
                inner.extend(node)
            elif type(node) is int and node not in _INTEGERS:
                raise Damaged(f"{where} holds an integer of more than 64 bits.", remedy)
            if seen + len(inner) > characters + _SHARED:
                raise Damaged(f"{where} holds too many values: its aliases multiply.", remedy)
        seen, depth, level = seen + len(inner), depth + 1, inner


def require_depth(depth: int, where: str, remedy: str) -> None:
    """Refuse deep nesting."""
    if depth > DEPTH:
        raise Damaged(f"{where} is nested more than {DEPTH} levels deep.", remedy)


def as_object(data: Any) -> Object:
    """``data`` if it is an object, else an empty one: for records that are only shown."""
    return cast(Object, data) if isinstance(data, dict) else {}
