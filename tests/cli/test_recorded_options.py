"""All options of all commands are those that `recorded_options.tsv` lists.

Options, defaults, types and ranges are what scripts and YAML files of users rely on. Where one is
changed on purpose, record the table anew, and look at its difference:

    python tests/cli/test_recorded_options.py > tests/cli/recorded_options.tsv
"""

from __future__ import annotations

import inspect
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Union, get_args, get_origin

import typer

from speechkit.cli.main import app

RECORDED = Path(__file__).parent / "recorded_options.tsv"
COLUMNS = (
    *("command", "options", "type", "default", "shown default", "range"),
    *("kind", "environment", "metavar"),
)


def type_name(annotation: Any) -> str:
    """``Optional[str]`` and ``str`` read the same; whether None is possible is the default's."""
    if get_origin(annotation) in (Union, types.UnionType):
        return "|".join(type_name(a) for a in get_args(annotation) if a is not type(None))
    if get_origin(annotation):
        inside = ", ".join(type_name(a) for a in get_args(annotation))
        return f"{get_origin(annotation).__name__}[{inside}]"
    return getattr(annotation, "__name__", str(annotation))


def row(command: str, parameter: Any) -> tuple[str, ...]:
    """One line of the table: all that decides what a parameter takes and gives."""
    low, high = parameter.min, parameter.max
    is_option = parameter.param_type_name == "option"
    kind = [
        word
        for word, holds in (
            ("argument", not is_option),
            ("flag", getattr(parameter, "is_flag", False)),
            ("multiple", getattr(parameter, "multiple", False) or parameter.nargs == -1),
            ("required", parameter.required),
            ("hidden", parameter.hidden),
        )
        if holds
    ]
    names = list(parameter.opts)
    if parameter.secondary_opts:
        names.append("/ " + " ".join(parameter.secondary_opts))
    return (
        command,
        " ".join(names),
        type_name(parameter.type_descriptor.annotation),
        repr(str(parameter.default) if isinstance(parameter.default, Path) else parameter.default),
        str(parameter.show_default),
        "" if low is high is None else f"{low}..{high}",
        " ".join(kind),
        str(parameter.envvar or ""),
        str(parameter.metavar or ""),
    )


def rows(command: Any, path: str = "speechkit") -> Iterator[tuple[str, ...]]:
    """Of a command or group, and of all commands of it."""
    own = [row(path, p) for p in command.params if "completion" not in (p.name or "")]
    yield from sorted(own)
    for name, inner in sorted(getattr(command, "commands", {}).items()):
        yield from rows(inner, f"{path} {name}")


def table() -> list[str]:
    get_command = inspect.unwrap(typer.main.get_command)
    return ["\t".join(one) for one in (COLUMNS, *rows(get_command(app)))]


def test_options_are_as_recorded() -> None:
    recorded, now = RECORDED.read_text().splitlines(), table()
    changed = [f"- {line}" for line in recorded if line not in set(now)]
    changed += [f"+ {line}" for line in now if line not in set(recorded)]
    assert "\n".join(changed) == ""
    assert len(now) == len(recorded)


if __name__ == "__main__":
    sys.stdout.writelines(f"{line}\n" for line in table())
