"""Stages that check and make sets, extract features of them, and mine features."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

import typer

from speechkit.acoustic.config import TextConfig
from speechkit.base import answers
from speechkit.base.answers import Answer
from speechkit.base.errors import require_choice
from speechkit.cli.flags import command, stage
from speechkit.cli.options import DEVICE_STAGE, SET_STAGE, Dir, FieldOf
from speechkit.corpora.config import ValidationConfig
from speechkit.emotion.config import EmotionTraining, EncoderConfig, encoder_config
from speechkit.kaldi.config import SplitConfig
from speechkit.labels.config import CHOSEN_ON_TEST, FoldsConfig
from speechkit.mining.config import MiningConfig
from speechkit.phone_features.config import DEEP, METHODS, FeatureSettings, ImportConfig
from speechkit.pronunciation.config import MiscueConfig
from speechkit.scoring.inference_config import SynthesisConfig
from speechkit.separation.config import MixConfig
from speechkit.separation.inference_config import CorrelationConfig
from speechkit.speaker.config import ProsodyConfig, VectorConfig

app = typer.Typer()
_stage = partial(stage, app)


_stage("validate", "corpora.check:check_sets", ValidationConfig, "directory jobs allow_pipes")
_stage("split", "kaldi.split:split", SplitConfig, "directory force")


@command(app, "split-folds", "name=split_name directory jobs force")
def split_folds(
    set_name: Annotated[str, FieldOf("set_name", EmotionTraining)],
    folds: FoldsConfig,
    directory: Dir,
    **how: Any,
) -> Answer:
    """Divide a labelled set into folds to train, validate and test; check what they share.

    Writes data/SET/splits/NAME.json, once: later commands read it. The parts have
    different speakers; kinds of split that share speakers give a warning.
    """
    from speechkit.labels import emotions, splits

    dataset = emotions.load(directory, set_name)
    made = splits.ensure_split(dataset, folds, **how)
    found = splits.leak_check(made, dataset)
    splits.warn_of_leaks(made, found)
    title = str(splits.path_of(dataset.data.path, made.name))
    title += f" ({CHOSEN_ON_TEST})" if made.chosen_on_test else ""
    return answers.rows(title, splits.LEAK_COLUMNS, [leak.row() for leak in found])


_stage(
    "mix", "separation.mixture_set:mix", MixConfig, "name=out_name directory jobs executor force"
)
_stage("make-miscues", "pronunciation.miscues:make", MiscueConfig, "name=out_name directory force")


@command(app, "align", f"textgrids {DEVICE_STAGE}")
def align(set_name: str, am: str, texts: TextConfig, directory: Dir, **how: Any) -> Answer:
    """Where every phone and word of a set lies in its audio.

    Writes exp/align/SET/phones.ctm, words.ctm, ali.{ark,scp} and utterances.tsv. Canonical
    phones are those of the set's phone_scores.tsv, or looked up for its text.
    """
    from speechkit.acoustic.align.stage import align_set

    return answers.summary(align_set(directory, set_name, am=am, texts=texts, **how))


_stage("extract-prosody", "speaker.prosody:extract", ProsodyConfig, f"set_name {SET_STAGE}")
_stage(
    "extract-xvector",
    "speaker.extraction:extract",
    VectorConfig,
    f"set_name {DEVICE_STAGE} jobs=1",
    shown="",
)


@command(app, "extract-gop", DEVICE_STAGE)
def extract_gop(
    set_name: str,
    config: FeatureSettings,
    imported: ImportConfig,
    texts: TextConfig,
    directory: Dir,
    **how: Any,
) -> Answer:
    from speechkit.phone_features.extract import extract
    from speechkit.phone_features.import_gop import import_features

    if imported.import_from is not None:
        how = {name: how[name] for name in ("name", "on_error", "force")}
        return answers.summary(import_features(directory, set_name, imported, **how))
    imported.refuse()
    require_choice("method", config.method, METHODS)  # of the others, extract-deep has flags
    return answers.summary(extract(directory, set_name, config, texts=texts, **how))


@command(app, "extract-deep", DEVICE_STAGE)
def extract_deep(
    am: Annotated[str, FieldOf("deep_am")],
    set_name: str,
    layer: Annotated[int, FieldOf("layer", FeatureSettings)],
    level: Annotated[str, FieldOf("level", FeatureSettings)],
    align_with: Annotated[str, FieldOf("align_with", FeatureSettings)],
    texts: TextConfig,
    directory: Dir,
    **how: Any,
) -> Answer:
    """Hidden features of an acoustic model for every canonical phone of a set.

    Writes exp/deep/SET/deep.{ark,scp}, rows.tsv, phones.ctm, phones.txt, features.json and
    summary.json.
    """
    from speechkit.phone_features.extract import extract

    wanted = FeatureSettings((am,), DEEP, align_with, layer=layer, level=level)
    return answers.summary(extract(directory, set_name, wanted, texts=texts, **how))


@command(app, "extract-hidden", "on_error device jobs=1 executor force")
def extract_hidden(
    set_name: Annotated[str, FieldOf("set_name", EmotionTraining)],
    upstream: str,
    layers: Annotated[str, FieldOf("layers", EncoderConfig)],
    pooling: Annotated[str, FieldOf("pooling", EncoderConfig)],
    max_seconds: Annotated[float, FieldOf("max_seconds", EmotionTraining)],
    directory: Dir,
    **how: Any,
) -> Answer:
    """Keep the hidden states of a frozen encoder, so that heads train in seconds.

    Writes exp/hidden/SET-ENCODER.../. `train emotion --freeze encoder` does it by itself.
    """
    from speechkit.emotion import hidden
    from speechkit.emotion.data import form_of
    from speechkit.labels.emotions import load
    from speechkit.training.devices import resolve_device

    require_choice("on_error", how["on_error"], ("stop", "skip"))
    # refuses what no head can use
    encoder_config("frozen", {"layers": layers, "pooling": pooling})
    kind = hidden.HiddenConfig(upstream, layers, form_of(pooling), max_seconds)
    how["device"] = resolve_device(how["device"]).type
    found = hidden.extract(directory, load(directory, set_name), kind, **how)
    told = {
        "folder": str(found.folder),
        "clips": len(found.first),
        "skipped": len(found.skipped),
        "shape": list(found.values.shape),
        "megabytes": float(f"{found.values.nbytes / 1e6:.3g}"),
    }
    return answers.pairs("Hidden states", told)


_stage(
    "mine-hard", "mining.mine:mine", MiningConfig, "name=out_name device executor directory force"
)
_stage(
    "analyze-correlation",
    "separation.correlation:analyze",
    CorrelationConfig,
    "out_name=variant_name directory force jobs=1",
)
_stage(
    "synthesize-scores",
    "scoring.synthesis:synthesize",
    SynthesisConfig,
    "name=out_name directory force",
)
