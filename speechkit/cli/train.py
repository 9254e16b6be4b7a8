"""``speechkit train TASK``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from speechkit.cli.flags import GivenFields, command
from speechkit.cli.options import (
    MODEL,
    OUTPUT,
    CheckpointMinutes,
    Continue,
    Device,
    Dir,
    FirstSeed,
    Force,
    Jobs,
    Json,
    Name,
    OnError,
    Option,
    Seed,
    Seeds,
)
from speechkit.cli.train_acoustic import train_acoustic
from speechkit.emotion.config import CnnConfig, EmotionTraining, EncoderConfig, FunctionalsConfig
from speechkit.pronunciation.config import PronunciationConfig
from speechkit.scoring.config import ScoringConfig
from speechkit.separation.config import ConvTasNetConfig, SeparationConfig
from speechkit.speaker.config import XVectorConfig

app = typer.Typer(no_args_is_help=True, help="Train a model; a task is a subcommand.")
command(app, "acoustic")(train_acoustic)


XVectorName = Annotated[
    str,
    Option("default", "--name", panel=OUTPUT, help="Name of the model: exp/xvector_nnet/NAME."),
]


@command(app, "xvector")
def train_xvector(
    xvector: XVectorConfig,
    name: XVectorName,
    directory: Dir,
    device: Device,
    force: Force,
    continue_: Continue,
    as_json: Json,
    jobs: Jobs = 2,
    checkpoint_minutes: CheckpointMinutes = 5.0,
) -> None:
    """Train an x-vector TDNN to classify the speakers of a set.

    Random chunks, features on the fly, validation on held-out utterances (accuracy, equal
    error rate). Writes exp/xvector_nnet/NAME/. A killed run is taken up by the same command.
    """
    from speechkit.cli.output import print_summary
    from speechkit.speaker.train import train

    folder = train(
        directory,
        name,
        xvector,
        device=device,
        jobs=jobs,
        checkpoint_minutes=checkpoint_minutes,
        force=force,
        other_batch_size=continue_,
    )
    print_summary(folder, as_json)


@command(app, "emotion")
def train_emotion(
    training: EmotionTraining,
    given: Annotated[
        dict, GivenFields(FunctionalsConfig, CnnConfig, EncoderConfig, shown="of the upstream")
    ],
    seed: Seed,
    checkpoint_minutes: CheckpointMinutes,
    on_error: OnError,
    directory: Dir,
    device: Device,
    jobs: Jobs,
    force: Force,
    continue_: Continue,
    as_json: Json,
) -> None:
    """Train a classifier of emotions, for every fold of a split and every seed.

    Writes exp/emotion/NAME/foldN/seedM/. The step is chosen on validation clips, never on the
    test clips. A killed run is taken up by the same command.
    """
    from speechkit.base.errors import require_choice, require_range
    from speechkit.cli.output import print_table
    from speechkit.emotion.data import Resources
    from speechkit.emotion.train import SUMMARY_COLUMNS, DataSelection, jobs_of, summary_rows, train
    from speechkit.training.devices import ranks, resolve_device

    require_choice("on_error", on_error, ("stop", "skip"))
    good = 0 <= checkpoint_minutes < float("inf")
    require_range("checkpoint_minutes", checkpoint_minutes, good, "0 or more")
    planned = jobs_of(training.name, training.upstream, training.preset, given)
    seeds = tuple(range(seed, seed + training.seeds))
    selection = DataSelection(
        training.set_name, training.split, training.folds, seeds, training.max_seconds
    )
    resources = Resources(resolve_device(device).type, jobs, checkpoint_minutes, on_error)
    table: list[list[Any]] = []
    with _curves("" if ranks().rank else training.wandb, directory.root) as listen:
        for job in planned:
            done = train(
                directory,
                job,
                selection,
                resources,
                force=force,
                other_batch_size=continue_,
                listen=listen and partial(listen, job.name),
            )
            if ranks().rank:
                continue
            rows = summary_rows(done)
            table += [[job.name, *row] for row in rows]
            if not as_json:  # one document is printed in the end
                print_table(f"Trained: {job.name}", SUMMARY_COLUMNS, rows)
    if as_json and not ranks().rank:
        print_table("", ("model", *SUMMARY_COLUMNS), table, True)


@contextmanager
def _curves(project: str, folder: Path) -> Iterator[Callable[..., Any] | None]:
    """What begins a curve of Weights & Biases for a run of a model; None without a project."""
    if not project:
        yield None
        return
    from speechkit.training.tracking import Wandb

    with Wandb(project, folder) as tracker:

        def begin(name: str, run: Any, config: Any) -> Any:
            parameters = {**run.as_dict(), **config.as_dict()}
            return tracker.run(name, f"fold{run.fold}/seed{run.seed}", parameters)

        yield begin


@command(app, "separation")
def train_separation(
    separation: SeparationConfig,
    network: Annotated[dict, GivenFields(ConvTasNetConfig, shown="of --model")],
    name: Name,
    size: Annotated[
        Optional[str],  # noqa: UP045 - evaluated at run time
        Option(
            None,
            "--model",
            panel=MODEL,
            help="Size: full, light or tiny.",
            show_default="light, or as --init",
        ),
    ],
    checkpoint_minutes: CheckpointMinutes,
    directory: Dir,
    device: Device,
    force: Force,
    continue_: Continue,
    as_json: Json,
    jobs: Jobs = 2,
) -> None:
    """Train Conv-TasNet on mixtures of a set, hard pairs among them.

    Writes exp/separation/NAME/seedN/ with the plain-best and the weighted-best checkpoint. A
    killed run is taken up by the same command; torchrun trains on several devices.
    """
    from speechkit.cli.output import print_summary
    from speechkit.separation.model_folder import complete
    from speechkit.separation.train import train
    from speechkit.training.devices import ranks

    folder = train(
        directory,
        name,
        complete(directory, separation, size, network),
        device=device,
        jobs=jobs,
        checkpoint_minutes=checkpoint_minutes,
        force=force,
        other_batch_size=continue_,
    )
    if not ranks().rank:
        print_summary(folder, as_json)


@command(app, "pronunciation")
def train_pronunciation(
    pronunciation: PronunciationConfig,
    seeds: Seeds,
    seed: FirstSeed,
    name: Name,
    directory: Dir,
    device: Device,
    jobs: Jobs,
    force: Force,
    continue_: Continue,
    as_json: Json,
) -> None:
    """Train GOPT or the LSTM baseline to score pronunciation.

    The defaults are the settings of Gong et al. and Do et al. All seeds are trained in one run.
    Writes exp/pronunciation/NAME/seedN/. A killed run is taken up by the same command.
    """
    from speechkit.pronunciation.train import train

    folders = train(
        directory,
        name,
        pronunciation,
        range(seed, seed + seeds),
        device=device,
        jobs=jobs,
        force=force,
        other_batch_size=continue_,
    )
    few = ("epoch", "learning_rate", "train_loss")
    _print_models(name, folders, lambda key: key in few or key.endswith("mean_pcc"), as_json)


@command(app, "scoring")
def train_scoring(
    scoring: ScoringConfig,
    seeds: Seeds,
    seed: FirstSeed,
    name: Name,
    directory: Dir,
    device: Device,
    jobs: Jobs,
    force: Force,
    continue_: Continue,
    as_json: Json,
) -> None:
    """Train a scorer of utterances on synthetic scores, on human scores, or on both.

    The five rows of Tables 4 and 5 of the paper are --pretrain and --finetune: frozen frozen,
    unfrozen unfrozen, unfrozen frozen, unfrozen none, none frozen. Writes
    exp/scoring/NAME/seedN/. A killed run is taken up by the same command.
    """
    from speechkit.scoring.train import train

    folders = train(
        directory,
        name,
        scoring,
        range(seed, seed + seeds),
        device=device,
        jobs=jobs,
        force=force,
        other_batch_size=continue_,
    )
    few = ("epoch", "utterances")
    _print_models(name, folders, lambda key: key in few or key.endswith(("_pcc", "_mse")), as_json)


def _print_models(
    name: str, folders: Sequence[Path], shown: Callable[[str], bool], as_json: bool
) -> None:
    """Print the trained seeds of an experiment: a row each, or their summaries."""
    from speechkit.base.schema import Object, read_json
    from speechkit.cli.output import print_json, print_table

    found = {str(folder): read_json(folder / "summary.json", Object) for folder in folders}
    if as_json:
        print_json(found)
        return
    keys = [key for key in next(iter(found.values())) if shown(key)]
    rows = [[folder, *(one.get(key) for key in keys)] for folder, one in found.items()]
    print_table(f"Trained: {name}", ("model", *keys), rows)
