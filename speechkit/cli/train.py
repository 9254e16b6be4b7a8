"""``speechkit train TASK``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from speechkit.acoustic.tdnn.config import AcousticConfig, preset
from speechkit.base import answers
from speechkit.base.answers import NOTHING, Answer
from speechkit.cli import options
from speechkit.cli.flags import GivenFields, command
from speechkit.cli.options import SAVED_TRAINING, Dir, FieldOf
from speechkit.cli.output import print_answer, print_table
from speechkit.emotion.config import CnnConfig, EmotionTraining, EncoderConfig, FunctionalsConfig
from speechkit.pronunciation.config import PronunciationConfig
from speechkit.scoring.config import ScoringConfig
from speechkit.separation.config import ConvTasNetConfig, SeparationConfig
from speechkit.speaker.config import XVectorConfig
from speechkit.training.config import CurvesConfig

app = typer.Typer()
TRAINING = "device jobs force other_batch_size"


@dataclass(frozen=True)
class LayerFlags:
    """Size of the acoustic network, by name or layer by layer.

    Model:
        model: Size: tdnn-small (6 layers, 0.95 M parameters) or tdnn (11 layers, 8.2 M).
        widths: Outputs of each layer, one number for all; default of the model: 240 (tdnn: ten of
            540, one of 256).
        kernels: Taps of each layer; default of the model: 5,3,3,3,3,3 (tdnn:
            5,3,3,3,3,3,3,3,3,3,1).
        dilations: Frames between the taps of each layer; default of the model: 1,1,2,3,3,6 (tdnn:
            1,1,2,3,3,3,3,3,3,3,1).
    """

    model: str = "tdnn-small"
    widths: str = ""
    kernels: str = ""
    dilations: str = ""

    def apply(self, config: AcousticConfig) -> AcousticConfig:
        """The configuration with these layers."""
        size = preset(self.model)
        kernels = options.numbers("kernels", self.kernels or size.kernels, int)
        widths = options.numbers("widths", self.widths or size.widths, int)
        network = replace(
            config.network,
            n_mels=config.features.n_mels,
            widths=widths * len(kernels) if len(widths) == 1 else widths,
            kernels=kernels,
            dilations=options.numbers("dilations", self.dilations or size.dilations, int),
        )
        return replace(config, network=network)


@command(app, "acoustic", f"{SAVED_TRAINING} jobs checkpoint_minutes=5 name")
def train_acoustic(
    acoustic: AcousticConfig,
    layers: LayerFlags,
    directory: Dir,
    curves: CurvesConfig,
    name: str = "tdnn",
    **how: Any,
) -> Answer:
    """Train a TDNN to classify the states of an alignment, cross-fitted over speakers.

    Network k is not trained on the speakers of fold k, and later scores only them. Writes
    exp/acoustic/NAME/. A killed run is taken up by the same command. Several processes train
    one model under torchrun.
    """
    from speechkit.acoustic.tdnn.train import train
    from speechkit.training.devices import ranks

    config = layers.apply(acoustic)
    with _shown(curves, directory, config=config):
        folder = train(directory, name, config, **how)
    return NOTHING if ranks().rank else answers.summary(folder)


@command(app, "xvector", f"{SAVED_TRAINING} checkpoint_minutes=5")
def train_xvector(
    xvector: XVectorConfig, name: str, directory: Dir, curves: CurvesConfig, **how: Any
) -> Answer:
    """Train an x-vector TDNN to classify the speakers of a set.

    Random chunks, features on the fly, validation on held-out utterances (accuracy, equal
    error rate). Writes exp/xvector_nnet/NAME/. A killed run is taken up by the same command.
    """
    from speechkit.speaker.train import train

    with _shown(curves, directory, config=xvector):
        folder = train(directory, name, xvector, **how)
    return answers.summary(folder)


@command(app, "emotion", f"{SAVED_TRAINING} jobs executor as_json")
def train_emotion(
    training: EmotionTraining,
    given: Annotated[
        dict, GivenFields(FunctionalsConfig, CnnConfig, EncoderConfig, shown="of the upstream")
    ],
    on_error: str,
    directory: Dir,
    curves: CurvesConfig,
    as_json: bool,
    **how: Any,
) -> None:
    """Train a classifier of emotions, for every fold of a split and every seed.

    Writes exp/emotion/NAME/foldN/seedM/. The step is chosen on validation clips, never on the
    test clips. A killed run is taken up by the same command.
    """
    from speechkit.base.errors import require_choice, require_range
    from speechkit.emotion.data import Resources
    from speechkit.emotion.train import SUMMARY_COLUMNS, jobs_of, summary_rows, title, train
    from speechkit.training.devices import ranks, resolve_device

    require_choice("on_error", on_error, ("stop", "skip"))
    minutes = how.pop("checkpoint_minutes")
    require_range("checkpoint_minutes", minutes, 0 <= minutes < float("inf"), "0 or more")
    planned = jobs_of(training, given)
    resources = Resources(
        resolve_device(how.pop("device")).type,
        how.pop("jobs"),
        minutes,
        on_error,
        how.pop("executor"),
    )
    table: list[list[Any]] = []
    with _shown(curves, directory, training=training, given=given):
        for job in planned:
            done = train(directory, job, training, resources, **how)
            if ranks().rank:
                continue
            rows = summary_rows(done)
            table += [[job.name, *row] for row in rows]
            if not as_json:  # one document is printed in the end
                print_table(title(job.name, done), SUMMARY_COLUMNS, rows)
    if as_json and not ranks().rank:
        print_answer(answers.rows("", ("model", *SUMMARY_COLUMNS), table), as_json)


@contextmanager
def _shown(curves: CurvesConfig, directory: Any, **parameters: Any) -> Iterator[None]:
    """Inside, trainings show their curves where ``curves`` says."""
    from speechkit.training.curves import shown

    plain = {name: getattr(value, "__dict__", value) for name, value in parameters.items()}
    with shown(curves, directory.root, plain):
        yield


@command(app, "separation", SAVED_TRAINING)
def train_separation(
    separation: SeparationConfig,
    network: Annotated[dict, GivenFields(ConvTasNetConfig, shown="of --model")],
    name: str,
    size: str | None,
    directory: Dir,
    curves: CurvesConfig,
    **how: Any,
) -> Answer:
    """Train Conv-TasNet on mixtures of a set, hard pairs among them.

    Writes exp/separation/NAME/seedN/ with the plain-best and the weighted-best checkpoint. A
    killed run is taken up by the same command; torchrun trains on several devices.
    """
    from speechkit.separation.model_folder import complete
    from speechkit.separation.train import train
    from speechkit.training.devices import ranks

    config = complete(directory, separation, size, network)
    with _shown(curves, directory, config=config):
        folder = train(directory, name, config, **how)
    return NOTHING if ranks().rank else answers.summary(folder)


@command(app, "pronunciation", TRAINING)
def train_pronunciation(
    config: PronunciationConfig,
    seeds: int,
    seed: Annotated[int, FieldOf("first_seed")],
    name: str,
    directory: Dir,
    curves: CurvesConfig,
    **how: Any,
) -> Answer:
    """Train GOPT or the LSTM baseline to score pronunciation.

    The defaults are the settings of Gong et al. and Do et al. All seeds are trained in one run.
    Writes exp/pronunciation/NAME/seedN/. A killed run is taken up by the same command.
    """
    from speechkit.pronunciation.train import train

    with _shown(curves, directory, config=config):
        folders = train(directory, name, config, range(seed, seed + seeds), **how)
    return _models(name, folders, ("epoch", "learning_rate", "train_loss"), ("mean_pcc",))


@command(app, "scoring", TRAINING)
def train_scoring(
    config: ScoringConfig,
    seeds: int,
    seed: Annotated[int, FieldOf("first_seed")],
    name: str,
    directory: Dir,
    curves: CurvesConfig,
    **how: Any,
) -> Answer:
    """Train a scorer of utterances on synthetic scores, on human scores, or on both.

    The five rows of Tables 4 and 5 of the paper are --pretrain and --finetune: frozen frozen,
    unfrozen unfrozen, unfrozen frozen, unfrozen none, none frozen. Writes
    exp/scoring/NAME/seedN/. A killed run is taken up by the same command.
    """
    from speechkit.scoring.train import train

    with _shown(curves, directory, config=config):
        folders = train(directory, name, config, range(seed, seed + seeds), **how)
    return _models(name, folders, ("epoch", "utterances"), ("_pcc", "_mse"))


def _models(
    name: str, folders: Sequence[Path], few: Sequence[str], endings: tuple[str, ...]
) -> Answer:
    """The trained seeds of an experiment: ``few`` measures and those with some endings."""
    from speechkit.base.schema import Object, read_json

    found = {str(folder): read_json(folder / "summary.json", Object) for folder in folders}
    keys = [key for key in next(iter(found.values())) if key in few or key.endswith(endings)]
    rows = [[folder, *(one.get(key) for key in keys)] for folder, one in found.items()]
    return Answer(found, [(f"Trained: {name}", ("model", *keys), rows)])
