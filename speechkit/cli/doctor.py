"""``speechkit doctor``."""

from __future__ import annotations

from pathlib import Path

import typer

from speechkit.cli import options


def doctor(
    directory: options.Dir = Path(),
    as_json: options.Json = False,
    config: options.Config = None,
) -> None:
    """Check this machine: versions, devices, audio, the working directory, optional extras.

    Says what is missing and the command that mends it. Exit code 2 if something required
    is missing or broken.
    """
    from speechkit.cli import installation as examination
    from speechkit.cli.output import print_table

    checks = examination.examine(directory)
    print_table("Doctor", examination.COLUMNS, [check.row for check in checks], as_json)
    if not examination.healthy(checks):
        raise typer.Exit(2)
