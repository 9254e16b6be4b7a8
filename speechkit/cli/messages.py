"""Messages of the library, with flags in place of the settings that they name.

The library knows no command line: it writes ``Lower `learning_rate`.`` Here this becomes ``Lower
--learning-rate.``, as the parameters of the running command are called (``set_name`` is ``--set``).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import typer

_FIELD = re.compile(r"`([a-z][a-z0-9_]*)`")


class FlagNames:
    """Puts flags into messages.

    Args:
        arguments: of the command line, which say what command runs.
    """

    def __init__(self, app: typer.Typer, arguments: Sequence[str]) -> None:
        self.app = app
        self.arguments = arguments

    def __call__(self, text: str) -> str:
        if "`" not in text:
            return text
        return _FIELD.sub(lambda match: self.flag(match[1]) or match[0], text)

    def flag(self, field: str) -> str:
        """The flag of a setting: of the running command, else of any; empty if none has it.

        On/off pairs have two: ``rescore`` is ``--rescore``, ``no_rescore`` is ``--no-rescore``.
        """
        running, everywhere = self._parameters
        spelt = f"--{field.replace('_', '-')}"
        if field in running:
            return running[field][0]
        if any(spelt in flags for flags in everywhere.values()):
            return spelt
        return everywhere.get(field, [""])[0]

    @cached_property
    def _parameters(self) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
        """Name -> flags, of the parameters of the command that runs, and of all commands."""
        from typer.main import get_command

        running: Any = get_command(self.app)
        every = [running]
        for command in every:
            every += getattr(command, "commands", {}).values()
        for word in self.arguments:
            running = getattr(running, "commands", {}).get(word, running)
        found: list[dict[str, list[str]]] = [{}, {}]
        for names, commands in zip(found, ([running], every), strict=True):
            for parameter in (p for command in commands for p in command.params):
                if parameter.opts[0].startswith("--"):  # no argument
                    name = parameter.name.rstrip("_")  # continue_ and input_
                    names.setdefault(name, []).extend(parameter.opts + parameter.secondary_opts)
        return found[0], found[1]
