"""``speechkit train pronunciation``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from speechkit.base.schema import Object, read_json
from speechkit.cli import options


def train_pronunciation(
    name: Annotated[
        str, typer.Option(help="Of the experiment: exp/pronunciation/NAME.")
    ] = "default",
    set_name: options.Set = "train",
    gop: Annotated[
        str,
        typer.Option(
            help="Features: exp/gop/SET-GOP, by default exp/gop/SET. Several, separated by "
            "commas, stand side by side."
        ),
    ] = "",
    normalise: Annotated[
        str, typer.Option(help="Of the features: by column, scalar (as GOPT), or phone.")
    ] = "column",
    model: Annotated[str, typer.Option(help="gopt or lstm.")] = "gopt",
    aspects: Annotated[
        str, typer.Option(help="Scores to learn, separated by commas.", show_default="all nine")
    ] = "",
    width: Annotated[int, typer.Option(help="Of the hidden layers.")] = 24,
    depth: Annotated[int, typer.Option(help="Blocks, or LSTM layers.")] = 3,
    heads: Annotated[int, typer.Option(help="Of attention.")] = 1,
    dropout: Annotated[float, typer.Option(help="Share of values left out.")] = 0.0,
    loss: Annotated[
        str,
        typer.Option(
            help="mse; sb-num or sb-rank: rare predicted scores weigh more; sb-label: rare labels."
        ),
    ] = "mse",
    beta: Annotated[float, typer.Option(help="Of sb-num and sb-label.")] = 0.9,
    class_rule: Annotated[
        str, typer.Option(help="A score belongs to the class below it (floor) or to the nearest.")
    ] = "floor",
    variant: Annotated[
        str, typer.Option(help="Of the loss: paper, or code (as published, with its defects).")
    ] = "paper",
    class_width: Annotated[
        float, typer.Option(help="Of the classes; scores go from 0 to 2.")
    ] = 0.2,
    reduction: Annotated[
        str, typer.Option(help="gopt: phone + mean word + mean utterance loss; sum: of all nine.")
    ] = "gopt",
    epochs: Annotated[int, typer.Option(help="Passes over the set.")] = 100,
    batch_size: Annotated[int, typer.Option(help="Utterances of a step.")] = 25,
    learning_rate: Annotated[float, typer.Option(help="Of Adam, after the warm-up.")] = 1e-3,
    beta1: Annotated[float, typer.Option(help="Of Adam.")] = 0.95,
    beta2: Annotated[float, typer.Option(help="Of Adam.")] = 0.999,
    weight_decay: Annotated[float, typer.Option(help="Of Adam (L2).")] = 5e-7,
    warm_up: Annotated[int, typer.Option(help="Steps in which the rate rises.")] = 100,
    halve_from: Annotated[
        int, typer.Option(help="Epochs before the rate is first halved; 0: never.")
    ] = 20,
    halve_every: Annotated[int, typer.Option(help="Epochs between halvings.")] = 5,
    select: Annotated[
        str, typer.Option(help="last, or a set whose mean PCC chooses the epoch (as dev).")
    ] = "last",
    track: Annotated[
        str, typer.Option(help="A set to measure after every epoch, for the log alone.")
    ] = "",
    seeds: Annotated[int, typer.Option(min=1, help="How many, all trained in one run.")] = 5,
    seed: Annotated[int, typer.Option(min=0, max=2**31, help="The first of them.")] = 0,
    directory: options.Dir = Path("."),
    device: options.Device = "auto",
    jobs: options.Jobs = 0,
    force: options.Force = False,
    continue_: options.Continue = False,
    as_json: options.Json = False,
    config: options.Config = None,
) -> None:
    """Train GOPT or the LSTM baseline to score pronunciation.

    The defaults are the settings of Gong et al. and Do et al. All seeds are trained in one run.
    Writes exp/pronunciation/NAME/seedN/. A killed run is taken up by the same command.
    """

    from speechkit.cli.output import print_json, print_table
    from speechkit.labels.scores import ASPECTS
    from speechkit.pronunciation import training
    from speechkit.pronunciation.settings import TrainConfig
    from speechkit.workdir import WorkDir

    wanted = TrainConfig(
        set_name=set_name,
        gop=tuple(part.strip() for part in gop.split(",")),
        normalise=normalise,
        model=model,
        aspects=options.words(aspects) or ASPECTS,
        width=width,
        depth=depth,
        heads=heads,
        dropout=dropout,
        loss=loss,
        beta=beta,
        class_rule=class_rule,
        variant=variant,
        class_width=class_width,
        reduction=reduction,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        beta1=beta1,
        beta2=beta2,
        weight_decay=weight_decay,
        warm_up=warm_up,
        halve_from=halve_from,
        halve_every=halve_every,
        select=select,
        track=track,
    )
    folders = training.train(
        WorkDir(directory),
        name,
        wanted,
        range(seed, seed + seeds),
        device=device,
        jobs=options.resolve_jobs(jobs),
        force=force,
        other_batch_size=continue_,
    )
    found = {str(folder): read_json(folder / "summary.json", Object) for folder in folders}
    if as_json:
        print_json(found)
        return
    few = ("epoch", "learning_rate", "train_loss")
    shown = [k for k in next(iter(found.values())) if k in few or k.endswith("mean_pcc")]
    rows = [[folder, *(one.get(key) for key in shown)] for folder, one in found.items()]
    print_table(f"Trained: {name}", ("model", *shown), rows)
