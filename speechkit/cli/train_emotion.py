"""``speechkit train emotion``."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from speechkit.base.errors import UserError
from speechkit.cli import options

if TYPE_CHECKING:
    from speechkit.emotion.runs import Run
    from speechkit.training.tracking import Tell, Wandb

OF_UPSTREAM = "of the upstream"
Int = Optional[int]  # noqa: UP045 - Typer evaluates this at run time
Float = Optional[float]  # noqa: UP045
Str = Optional[str]  # noqa: UP045
Bool = Optional[bool]  # noqa: UP045


def _flag(text: str, *names: str) -> Any:
    return typer.Option(*names, help=text, show_default=OF_UPSTREAM)


def train_emotion(
    upstream: Annotated[
        str,
        typer.Option(
            help="fbank-cnn; egemaps or compare16 (opensmile: for non-commercial use); an encoder "
            "of Hugging Face by hub name or folder; or paper: the paper's four."
        ),
    ] = "fbank-cnn",
    name: Annotated[
        str, typer.Option(help="Of the model: exp/emotion/NAME.", show_default="the upstream's")
    ] = "",
    set_name: Annotated[str, typer.Option("--set", help="The labelled set.")] = "ravdess",
    split: Annotated[
        str, typer.Option(help="Of the set: a kind of split, or a name given to split-folds.")
    ] = "speaker-folds",
    folds: Annotated[
        str, typer.Option(help="Folds to train, as 0,2.", show_default="all of the split")
    ] = "",
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds, from --seed on.")] = 1,
    seed: options.Seed = 0,
    max_seconds: Annotated[
        float, typer.Option(help="Of a longer clip only the middle is taken.")
    ] = 30.0,
    preset: Annotated[
        str, typer.Option(help="Of encoders: default, paper or frozen.", show_default="default")
    ] = "",
    head: Annotated[Str, _flag("Functionals: mlp or logreg. Encoders: paper or linear.")] = None,
    speaker_norm: Annotated[
        Bool,
        _flag(
            "Functionals: normalise by the speaker's own clips (results are transductive).",
            "--speaker-norm/--no-speaker-norm",
        ),
    ] = None,
    hidden: Annotated[Int, _flag("mlp: units of the hidden layer.")] = None,
    channels: Annotated[Str, _flag("fbank-cnn: widths of its four blocks.")] = None,
    dropout: Annotated[Float, _flag("Of the head.")] = None,
    pooling: Annotated[Str, _flag("Encoders: mean, sum, max or attentive.")] = None,
    layers: Annotated[Str, _flag("Encoders: last, weighted, or the number of a layer.")] = None,
    freeze: Annotated[Str, _flag("Encoders: none, features or encoder.")] = None,
    epochs: Annotated[Int, _flag("Most passes over the training clips.")] = None,
    batch_size: Annotated[Int, _flag("Clips of a batch.")] = None,
    accumulate: Annotated[Int, _flag("Encoders: batches of a step.")] = None,
    learning_rate: Annotated[Float, _flag("Of AdamW, at its highest.")] = None,
    weight_decay: Annotated[Float, _flag("Of AdamW.")] = None,
    clip: Annotated[Float, _flag("Networks: largest L2 norm of the gradient.")] = None,
    schedule: Annotated[Str, _flag("Encoders: linear or cosine.")] = None,
    warmup: Annotated[Float, _flag("Encoders: share of the steps in which the rate rises.")] = None,
    evaluate_every: Annotated[Int, _flag("Encoders: steps between evaluations.")] = None,
    patience: Annotated[
        Int, _flag("Evaluations without a better one before training stops; 0: never.")
    ] = None,
    select: Annotated[
        Str, _flag("What chooses the step: loss, accuracy or uar of the validation clips.")
    ] = None,
    keep_checkpoints: Annotated[Int, _flag("Encoders: 2 also keeps the last step's.")] = None,
    label_smoothing: Annotated[
        Float, _flag("fbank-cnn: share of the target that all classes get alike.")
    ] = None,
    class_weights: Annotated[Str, _flag("none, balanced, effective or score-balanced.")] = None,
    beta: Annotated[Float, _flag("Of the effective number of clips.")] = None,
    mask_time: Annotated[Float, _flag("Networks: share of frames masked (SpecAugment).")] = None,
    mask_time_length: Annotated[Int, _flag("Frames of a mask.")] = None,
    mask_feature: Annotated[Float, _flag("Networks: share of features masked.")] = None,
    mask_feature_length: Annotated[Int, _flag("Features of a mask.")] = None,
    layer_drop: Annotated[Float, _flag("Encoders: probability that a layer is skipped.")] = None,
    buckets: Annotated[
        Bool, _flag("Encoders: batches of clips of like length.", "--buckets/--no-buckets")
    ] = None,
    gradient_checkpointing: Annotated[
        Bool,
        _flag("Encoders: trade time for memory.", "--gradient-checkpointing/--no-checkpointing"),
    ] = None,
    precision: Annotated[Str, _flag("Networks: auto, 32, bf16 or 16.")] = None,
    checkpoint_minutes: Annotated[
        float, typer.Option(help="Save the state this often, besides every evaluation.")
    ] = 10.0,
    wandb: Annotated[
        str,
        typer.Option(help="Also send the curves to this W&B project (extra [tracking])."),
    ] = "",
    on_error: options.OnError = "stop",
    directory: options.Dir = Path("."),
    device: options.Device = "auto",
    jobs: options.Jobs = 0,
    force: options.Force = False,
    continue_: options.Continue = False,
    as_json: options.Json = False,
    config: options.Config = None,
) -> None:
    """Train a classifier of emotions, for every fold of a split and every seed.

    Writes exp/emotion/NAME/foldN/seedM/. The step is chosen on validation clips, never on the
    test clips. A killed run is taken up by the same command.
    """
    given = {name: value for name, value in locals().items() if name in _SETTINGS}
    if channels is not None:
        given["channels"] = options.numbers("channels", channels, int)
    _run(
        upstream, name, preset, given, set_name, split, folds, range(seed, seed + seeds),
        max_seconds, checkpoint_minutes, wandb, on_error, directory, device, jobs, force, continue_,
        as_json,
    )  # fmt: skip


# Flags that are settings of a kind of upstream; the rest says on what and where.
_SETTINGS = (
    "head", "speaker_norm", "hidden", "channels", "dropout", "pooling", "layers", "freeze",
    "epochs", "batch_size", "accumulate", "learning_rate", "weight_decay", "clip", "schedule",
    "warmup", "evaluate_every", "patience", "select", "keep_checkpoints", "label_smoothing",
    "class_weights", "beta",
    "mask_time", "mask_time_length", "mask_feature", "mask_feature_length", "layer_drop",
    "buckets", "gradient_checkpointing", "precision",
)  # fmt: skip


def _run(
    upstream: str,
    name: str,
    preset: str,
    given: dict[str, Any],
    set_name: str,
    split: str,
    folds: str,
    seeds: range,
    max_seconds: float,
    checkpoint_minutes: float,
    wandb: str,
    on_error: str,
    directory: Path,
    device: str,
    jobs: int,
    force: bool,
    continue_: bool,
    as_json: bool,
) -> None:
    from speechkit.base.errors import require_choice
    from speechkit.cli.output import print_table
    from speechkit.emotion import training
    from speechkit.emotion.runs import Resources
    from speechkit.training.devices import ranks, resolve_device
    from speechkit.workdir import WorkDir

    require_choice("on_error", on_error, ("stop", "skip"))
    if not 0 <= checkpoint_minutes < float("inf"):
        raise UserError(f"--checkpoint-minutes {checkpoint_minutes} is not a time from 0 up.")
    planned = training.jobs_of(name, upstream, preset, given)
    numbers = options.numbers("folds", folds, int) if folds else ()
    plan = training.Plan(set_name, split, numbers, tuple(seeds), max_seconds)
    where = resolve_device(device).type
    resources = Resources(where, options.resolve_jobs(jobs), checkpoint_minutes, on_error)
    table: list[list[Any]] = []
    with ExitStack() as stack:
        tracker = None
        if wandb and not ranks().rank:
            from speechkit.training.tracking import Wandb

            tracker = stack.enter_context(Wandb(wandb, directory))
        for job in planned:
            listen = partial(_listen, tracker, job.name) if tracker is not None else None
            done = training.train(
                WorkDir(directory),
                job,
                plan,
                resources,
                force=force,
                other_batch_size=continue_,
                listen=listen,
            )
            if ranks().rank:
                continue
            rows = training.summary_rows(done)
            table += [[job.name, *row] for row in rows]
            if not as_json:  # one document is printed in the end
                print_table(f"Trained: {job.name}", training.SUMMARY_COLUMNS, rows)
    if as_json and not ranks().rank:
        print_table("", ("model", *training.SUMMARY_COLUMNS), table, True)


def _listen(tracker: Wandb, name: str, run: Run, config: Any) -> Tell:
    parameters = {**run.as_dict(), **config.as_dict()}
    return tracker.run(name, f"fold{run.fold}/seed{run.seed}", parameters)
