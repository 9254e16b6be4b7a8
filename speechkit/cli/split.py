"""``speechkit split``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from speechkit.cli import options


def split(
    set_name: options.Set = "train",
    into: Annotated[
        str, typer.Option("--into", help="Names of the two sets: the rest, the held-out speakers.")
    ] = "fit,dev",
    speakers: Annotated[
        int, typer.Option("--speakers", min=0, help="Speakers to hold out (or give --share).")
    ] = 0,
    share: Annotated[
        float, typer.Option("--share", help="Share of the speakers to hold out, as 0.15.")
    ] = 0.0,
    seed: options.Seed = 0,
    directory: options.Dir = Path(),
    force: options.Force = False,
    as_json: options.Json = False,
    config: options.Config = None,
) -> None:
    """Divide a set into two sets with different speakers.

    The held-out speakers are drawn at random with the gender proportions of the whole.
    All tables and label files are divided; the audio stays where it is.
    """
    from speechkit.cli.output import print_table
    from speechkit.kaldi import split as stage
    from speechkit.workdir import WorkDir

    names = tuple(name.strip() for name in into.split(","))
    settings = stage.Settings(set_name, names, speakers, share, seed)  # type: ignore[arg-type]
    folders = stage.split(WorkDir(directory), settings, force)
    rows = [stage.summary(folder) for folder in folders]
    print_table(f"Sets in {directory / 'data'}", stage.COLUMNS, rows, as_json)
