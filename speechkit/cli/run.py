"""``speechkit run TASK FOLDER``: from recordings to the report, by the commands of a recipe."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import typer

from speechkit.cli.flags import command
from speechkit.cli.options import Dir
from speechkit.task.recipe import RecipeConfig, plan


def add_commands(app: typer.Typer, call: Callable[[list[str]], int]) -> None:
    """Add the command to the program, whose commands ``call`` runs."""

    @command(app, "run")
    def run(
        task: str, folder: Path, config: RecipeConfig, title: str, dry_run: bool, directory: Dir
    ) -> None:
        root = directory.root
        for words in plan(task, folder, config, root, title):
            line = [*words] if str(root) == "." else [*words, "-C", str(root)]
            shown = shlex.join(["speechkit", *line])
            if dry_run:
                print(shown)
                continue
            print(shown, file=sys.stderr, flush=True)
            if code := call(line):
                raise SystemExit(code)  # not typer.Exit, after which main would say it again
