"""YAML files, read as JSON files are (see :mod:`speechkit.base.schema`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from speechkit.base.schema import (
    Damaged,
    Kind,
    check,
    one_line,
    read_text,
    require_depth,
    require_plain,
)

MOST_YAML = 1 << 22  # bytes of a file


def read_yaml(path: Path, kind: type[Kind], remedy: str = "", aliases: bool = False) -> Kind:
    """The content of a YAML file of plain values.

    Args:
        path: the file.
        kind: that the content must be of.
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
