"""Published results beside our own, and the one rule that says whether the two can be compared.

A run of ours can be compared with a published row if it differs from it in no field that decides
the result. The fields are those of the configuration's dataclass, compared one by one, and facts
about the data that no configuration holds. A field that does not decide the result (a name of a
set, a number of processes) says so where it is defined::

    track: str = field(default="", metadata=NO_EFFECT)

Where a paper is silent, its row has the default of the configuration.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

NO_EFFECT: Mapping[str, Any] = {"decides": False}
"""Metadata of a field that does not decide the result."""

Value = tuple[float, "float | None"]
"""Mean and standard deviation; None where none is given."""


@dataclass(frozen=True)
class PublishedRow:
    """A row of a published table.

    Args:
        table: where it stands.
        name: as in the paper.
        config: configuration that it was trained with; None for other people's systems.
        values: measure -> value.
        facts: what else decides the result, by name: the data, for example.
    """

    table: str
    name: str
    config: Any
    values: Mapping[str, Value]
    facts: Mapping[str, Any] = field(default_factory=dict)

    def differences(self, config: Mapping[str, Any], facts: Mapping[str, Any]) -> list[str]:
        """What a run of ours has otherwise; empty if the two can be compared.

        Args:
            config: as the run's ``config.yaml`` records it.
            facts: the same names as in the row.
        """
        return [*differences(config, self.config), *_other(dict(facts), self.facts)]


def differences(config: Mapping[str, Any], published: Any) -> list[str]:
    """``field: ours, paper's`` for each field that decides the result and is not as published.

    Args:
        config: as ``config.yaml`` records it, groups nested; what is not there has its default.
        published: a configuration (a dataclass that can be made without arguments).
    """
    ours = {**deciding(type(published)()), **dict(flat(config))}
    return list(_other(ours, deciding(published)))


def deciding(config: Any) -> dict[str, Any]:
    """The fields of a configuration that decide the result; ``group.field`` in a nested one."""
    found: dict[str, Any] = {}
    for one in fields(config):
        value = getattr(config, one.name)
        if not one.metadata.get("decides", True):
            continue
        if is_dataclass(value):
            found |= {f"{one.name}.{name}": inner for name, inner in deciding(value).items()}
        else:
            found[one.name] = value
    return found


def flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Names and values; those of a nested group as ``group.name``."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _other(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> Iterator[str]:
    for name, value in theirs.items():
        own = ours.get(name)
        if _plain(own) != _plain(value):
            yield f"{name}: {_said(own)}, paper's {_said(value)}"


def _plain(value: Any) -> Any:
    """The same for what means the same: ``config.yaml`` has lists, and null for nothing."""
    return list(value) if isinstance(value, list | tuple) else "" if value is None else value


def _said(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, list | tuple):
        return "/".join(map(str, value)) or "none"
    if value is None or value == "":
        return "none"
    return f"{value:g}" if isinstance(value, float) else str(value)
