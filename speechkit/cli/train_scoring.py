"""``speechkit train scoring``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from speechkit.base.schema import Object, read_json
from speechkit.cli import options


def train_scoring(
    name: Annotated[str, typer.Option(help="Of the experiment: exp/scoring/NAME.")] = "default",
    set_name: options.Set = "train",
    target: Annotated[
        str, typer.Option(help="Score of an utterance: total, accuracy, fluency, prosodic, ...")
    ] = "total",
    input_: Annotated[
        str,
        typer.Option(
            "--input",
            help="Of a phone: deep, gop, stp-gop or gop-vector.",
            show_default="deep; gop for blstm and trees",
        ),
    ] = "",
    features: Annotated[
        str, typer.Option(help="Suffix of the folders: exp/deep/SET-NAME or exp/gop/SET-NAME.")
    ] = "",
    model: Annotated[
        str, typer.Option(help="attention, mean (without attention), blstm or trees.")
    ] = "attention",
    pretrain: Annotated[
        str,
        typer.Option(
            help="On synthetic scores: none, or with the acoustic model frozen or unfrozen "
            "(updated too)."
        ),
    ] = "none",
    pretrain_set: Annotated[str, typer.Option(help="The set with synthetic scores.")] = "",
    synthetic: Annotated[str, typer.Option(help="Suffix of exp/synthetic/PRETRAIN_SET-NAME.")] = "",
    finetune: Annotated[
        str, typer.Option(help="On scores of people: frozen, unfrozen or none.")
    ] = "frozen",
    init: Annotated[
        str, typer.Option(help="Start from the seeds of exp/scoring/NAME instead of --pretrain.")
    ] = "",
    labelled: Annotated[
        int, typer.Option(help="Learn from so many utterances of the set, drawn by each seed.")
    ] = 0,
    epochs: Annotated[int, typer.Option(help="Passes over the set.")] = 15,
    pretrain_epochs: Annotated[int, typer.Option(help="Passes over --pretrain-set.")] = 15,
    batch_size: Annotated[int, typer.Option(help="Utterances of a step.")] = 16,
    learning_rate: Annotated[float, typer.Option(help="Peak, of AdamW, in fine-tuning.")] = 2e-3,
    pretrain_learning_rate: Annotated[
        float, typer.Option(help="Peak, of AdamW, in pre-training.")
    ] = 2e-3,
    weight_decay: Annotated[float, typer.Option(help="Of AdamW.")] = 0.01,
    dropout: Annotated[float, typer.Option(help="Of what stands for phones and words.")] = 0.3,
    width: Annotated[int, typer.Option(help="Of the layers.")] = 32,
    heads: Annotated[int, typer.Option(help="Of attention.")] = 4,
    select: Annotated[
        str, typer.Option(help="last, or a set whose PCC chooses the epoch (as dev).")
    ] = "last",
    track: Annotated[
        str, typer.Option(help="A set to measure after every epoch, for the log alone.")
    ] = "",
    joint_epochs: Annotated[int, typer.Option(help="Of a stage that is unfrozen.")] = 10,
    joint_learning_rate: Annotated[
        float, typer.Option(help="Of the acoustic model, where it is updated.")
    ] = 1e-4,
    clip: Annotated[
        float, typer.Option(help="Largest L2 norm of the gradient, in a stage that is unfrozen.")
    ] = 5.0,
    precision: Annotated[
        str, typer.Option(help="Of the acoustic model, where it is updated: auto, 32, bf16 or 16.")
    ] = "auto",
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
    """Train the scorer of an utterance: on synthetic scores, on those of people, or both.

    The five rows of Tables 4 and 5 of the paper are --pretrain and --finetune: frozen frozen,
    unfrozen unfrozen, unfrozen frozen, unfrozen none, none frozen. Writes
    exp/scoring/NAME/seedN/. A killed run is taken up by the same command.
    """

    from speechkit.cli.output import print_json, print_table
    from speechkit.scoring import training
    from speechkit.scoring.settings import ScoringConfig
    from speechkit.workdir import WorkDir

    wanted = ScoringConfig(
        set_name=set_name,
        target=target,
        input=input_,
        features=features,
        model=model,
        pretrain=pretrain,
        pretrain_set=pretrain_set,
        synthetic=synthetic,
        finetune=finetune,
        init=init,
        labelled=labelled,
        epochs=epochs,
        pretrain_epochs=pretrain_epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        pretrain_learning_rate=pretrain_learning_rate,
        weight_decay=weight_decay,
        dropout=dropout,
        width=width,
        heads=heads,
        select=select,
        track=track,
        joint_epochs=joint_epochs,
        joint_learning_rate=joint_learning_rate,
        clip=clip,
        precision=precision,
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
    first = next(iter(found.values()))
    shown = [k for k in first if k in ("epoch", "utterances") or k.endswith(("_pcc", "_mse"))]
    rows = [[folder, *(one.get(key) for key in shown)] for folder, one in found.items()]
    print_table(f"Trained: {name}", ("model", *shown), rows)
