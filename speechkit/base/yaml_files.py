"""YAML files: cards and settings, read as JSON files are (:mod:`speechkit.base.schema`)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from speechkit.base.errors import UserError, one_line
from speechkit.base.schema import (
    DEPTH,
    Damaged,
    Kind,
    check,
    read_text,
    require_depth,
    require_plain,
)

MOST_YAML = 1 << 22  # bytes of a file
HYPERPARAMS = "hyperparams.yaml"


def write_yaml(path: Path, content: Mapping[str, Any]) -> None:
    """Write plain values in their order, letters of all languages as they are."""
    text = yaml.safe_dump(dict(content), sort_keys=False, allow_unicode=True)
    path.write_text(text, encoding="utf-8")


def read_yaml(path: Path, kind: type[Kind], remedy: str = "", aliases: bool = False) -> Kind:
    """The content of a YAML file of plain values.

    Args:
        remedy: what to do about a damaged one, for the message.
        aliases: accept them, as people write them; cards have none.

    Raises:
        Damaged: it cannot be read, is nested too deeply, holds aliases, or is of another kind.
    """
    return check(load_yaml(path, PlainLoader, remedy, aliases), kind, str(path), remedy)


def load_yaml(path: Path, loader: Any, remedy: str = "", aliases: bool = False) -> Any:
    """As :func:`read_yaml`, of any kind and with a loader of one's own (see PlainLoader)."""
    text = read_text(path, MOST_YAML)
    try:
        depth = 0
        for event in yaml.parse(text, Loader=loader):
            if isinstance(event, yaml.AliasEvent) and not aliases:
                raise Damaged(f"{path} holds the YAML alias '*{event.anchor}'.", remedy)
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            require_depth(depth, str(path), remedy)
        data = yaml.load(text, Loader=loader)
    # LookupError and others: PyYAML's own, for values that are not what their tag says.
    except (yaml.YAMLError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise Damaged(f"{path} is not YAML of plain values: {one_line(error)}.", remedy) from error
    require_plain(data, len(text), str(path), remedy)
    return data


_CORE = {f"tag:yaml.org,2002:{n}" for n in ("null", "bool", "int", "float", "str", "seq", "map")}


class PlainLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML of what JSON has, too: no dates, sets or binary data, which no card holds."""

    yaml_constructors = {  # noqa: RUF012 - as PyYAML has it
        tag: made
        for tag, made in yaml.SafeLoader.yaml_constructors.items()
        if tag is None or tag in _CORE
    }
    yaml_implicit_resolvers = {  # noqa: RUF012
        first: [(tag, pattern) for tag, pattern in known if tag in _CORE]
        for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


_MOST_VALUES = 1 << 17  # with all references followed


def read_hyperpyyaml(path: Path) -> dict[str, Any]:
    """The settings of SpeechBrain's ``hyperparams.yaml`` as plain data, references followed.

    Its tags may call any function when they are executed: here ``!new:a.b`` becomes a dict
    with ``!class``, ``!ref <name>`` the value of that name, and nothing is ever called.

    Raises:
        UserError: the file is not YAML, holds no settings, or refers to itself.
    """
    tree = load_yaml(path, _TagLoader, aliases=True)
    if not isinstance(tree, dict):
        raise UserError(f"{path} holds no settings.")
    return _Resolver(tree).resolve(tree)


def plain_settings(node: Any, allowed: set[str]) -> dict[str, Any]:
    """The allowed settings of a node, which must be numbers, booleans, words or lists of them.

    Raises:
        UserError: a setting is something else, such as an object to be built.
    """
    if not isinstance(node, dict):
        return {}
    found = {key: value for key, value in node.items() if key in allowed}
    for key, value in found.items():
        values = value if isinstance(value, list) else [value]
        if not all(isinstance(v, int | float | bool | str | None) for v in values):
            raise UserError(f"{HYPERPARAMS}: '{key}: {value}' is not a plain setting.")
    return found


def class_name(node: Any) -> str:
    """Name of the class that a node would build, without its module; '' if it is no object."""
    return str(node.get("!class", "")).rpartition(".")[2] if isinstance(node, dict) else ""


class _TagLoader(PlainLoader):
    """YAML whose tags become data: ``!new:a.b`` a dict with ``!class``, ``!ref`` a marker."""


class _Reference(str):
    """``<name>`` of a ``!ref``."""


def _construct(loader: Any, suffix: str, node: yaml.Node) -> Any:
    if node.tag in ("!ref", "!copy") and isinstance(node, yaml.ScalarNode):
        return _Reference(node.value)
    if isinstance(node, yaml.MappingNode):
        value = loader.construct_mapping(node, deep=True)
        return {**value, "!class": node.tag.partition(":")[2]}
    if isinstance(node, yaml.SequenceNode):
        return {"!class": node.tag.partition(":")[2]}
    return {"!class": node.tag.partition(":")[2], "!value": node.value}


_TagLoader.add_multi_constructor("!", _construct)


class _Resolver:
    """Follows ``!ref <name>``; anything cleverer stays a string and is refused where it is used."""

    def __init__(self, tree: dict[str, Any]) -> None:
        self.tree, self.left = tree, _MOST_VALUES

    def resolve(self, node: Any, depth: int = 0) -> Any:
        self.left -= 1
        if depth > DEPTH or self.left < 0:
            raise UserError(f"{HYPERPARAMS} refers to itself, or its references multiply.")
        if isinstance(node, _Reference):
            name = node.strip("<> ")
            return self.resolve(self.tree[name], depth + 1) if name in self.tree else str(node)
        if isinstance(node, dict):
            return {key: self.resolve(value, depth + 1) for key, value in node.items()}
        if isinstance(node, list):
            return [self.resolve(value, depth + 1) for value in node]
        return node
