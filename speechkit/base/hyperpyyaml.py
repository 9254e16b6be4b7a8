"""HyperPyYAML (SpeechBrain's ``hyperparams.yaml``) read as plain data.

Its tags may call any function when they are executed: here ``!new:a.b`` becomes a dict
with ``!class``, ``!ref <name>`` the value of that name, and nothing is ever called.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from speechkit.base.errors import UserError
from speechkit.base.plain_yaml import PlainLoader, load_yaml
from speechkit.base.schema import DEPTH

FILE = "hyperparams.yaml"
_MOST_VALUES = 1 << 17  # with all references followed


def read(path: Path) -> dict[str, Any]:
    """The settings of a file, references followed.

    Raises:
        UserError: the file is not YAML, holds no settings, or refers to itself.
    """
    tree = load_yaml(path, _PlainLoader, aliases=True)
    if not isinstance(tree, dict):
        raise UserError(f"{path} holds no settings.")
    return _Resolver(tree).resolve(tree)


def plain(node: Any, allowed: set[str]) -> dict[str, Any]:
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
            raise UserError(f"{FILE}: '{key}: {value}' is not a plain setting.")
    return found


def class_name(node: Any) -> str:
    """Name of the class that a node would build, without its module; '' if it is no object."""
    return str(node.get("!class", "")).rpartition(".")[2] if isinstance(node, dict) else ""


class _PlainLoader(PlainLoader):
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


_PlainLoader.add_multi_constructor("!", _construct)


class _Resolver:
    """Follows ``!ref <name>``; anything cleverer stays a string and is refused where it is used."""

    def __init__(self, tree: dict[str, Any]) -> None:
        self.tree, self.left = tree, _MOST_VALUES

    def resolve(self, node: Any, depth: int = 0) -> Any:
        self.left -= 1
        if depth > DEPTH or self.left < 0:
            raise UserError(f"{FILE} refers to itself, or its references multiply.")
        if isinstance(node, _Reference):
            name = node.strip("<> ")
            return self.resolve(self.tree[name], depth + 1) if name in self.tree else str(node)
        if isinstance(node, dict):
            return {key: self.resolve(value, depth + 1) for key, value in node.items()}
        if isinstance(node, list):
            return [self.resolve(value, depth + 1) for value in node]
        return node
