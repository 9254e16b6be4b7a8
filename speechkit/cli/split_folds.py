"""``speechkit split-folds``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from speechkit.cli import options

FoldSize = Annotated[
    int, typer.Option("--fold-size", help="speaker-folds: speakers tested in a fold.")
]
FoldCount = Annotated[
    int, typer.Option("--folds", help="80-20 splits: how many different fifths are tested.")
]
ValidSpeakers = Annotated[
    int,
    typer.Option("--valid-speakers", help="Speakers of each training part that only validate."),
]
ValidShare = Annotated[
    float, typer.Option("--valid-share", help="random-80-20: share of the training clips.")
]
SplitSeed = Annotated[int, typer.Option("--split-seed", min=0, help="Fixes the draw.")]


def split_folds(
    set_name: Annotated[
        str, typer.Option("--set", help="The labelled set: a folder of data/.")
    ] = "ravdess",
    split: Annotated[
        str,
        typer.Option("--split", help="speaker-folds, speaker-80-20, random-80-20 or statement."),
    ] = "speaker-folds",
    fold_size: FoldSize = 4,
    folds: FoldCount = 1,
    valid_speakers: ValidSpeakers = 2,
    valid_share: ValidShare = 0.1,
    split_seed: SplitSeed = 0,
    name: Annotated[
        str, typer.Option("--split-name", help="Of the file.", show_default="the kind of split")
    ] = "",
    directory: options.Dir = Path(),
    jobs: options.Jobs = 0,
    force: options.Force = False,
    as_json: options.Json = False,
    config: options.Config = None,
) -> None:
    """Divide a labelled set into folds to train, validate and test; check what they share.

    Writes data/SET/splits/NAME.json, once: later commands read it. Speakers are parted unless
    the kind of split says otherwise, which is warned of.
    """
    from speechkit.cli.output import print_table
    from speechkit.labels import emotions as data
    from speechkit.labels import splits
    from speechkit.labels.folds import SplitSettings
    from speechkit.workdir import WorkDir

    dataset = data.load(WorkDir(directory), set_name)
    settings = SplitSettings(split, fold_size, folds, valid_speakers, valid_share, split_seed)
    number = options.resolve_jobs(jobs)
    made = splits.ensure_split(dataset, settings, name, jobs=number, force=force)
    found = splits.leak_check(made, dataset)
    splits.warn_of_leaks(made, found)
    path = splits.path_of(dataset.data.path, made.name)
    print_table(str(path), splits.LEAK_COLUMNS, [leak.row() for leak in found], as_json)
