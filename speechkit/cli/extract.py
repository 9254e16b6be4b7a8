"""``speechkit align`` and ``speechkit extract-...``: what is measured of a set's recordings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from speechkit.acoustic.lexicon.config import TextConfig
from speechkit.base.config import Flag
from speechkit.cli import output
from speechkit.cli.flags import command
from speechkit.cli.options import (
    DATA,
    MISSING,
    MODEL,
    OUTPUT,
    Device,
    DeviceStage,
    Dir,
    Executor,
    Force,
    Group,
    Jobs,
    OnError,
    Option,
    Set,
    SetStage,
)
from speechkit.cli.output import Answer
from speechkit.speaker.config import VectorConfig

_MODELS = "a name in exp/acoustic, a folder, hf:OWNER/NAME, torchaudio:BUNDLE"
_POSTERIORS = f"sphinx, {_MODELS} or posteriors:SCP[,labels=FILE]"
AcousticModel = Annotated[
    str, Option("sphinx", "--am", panel=MODEL, help=f"Acoustic model: {_POSTERIORS}.")
]
AcousticModels = Annotated[
    list[str],
    Option(
        ["sphinx"],
        "--am",
        panel=MODEL,
        help=f"Acoustic model: {_POSTERIORS}; of several the columns stand side by side.",
    ),
]
DeepModel = Annotated[
    str,
    Option(MISSING, "--am", panel=MODEL, help=f"Acoustic model with hidden features: {_MODELS}."),
]


def add_commands(app: typer.Typer) -> None:
    """Add the commands to the program."""
    for name, function in (
        ("align", align),
        ("extract-prosody", extract_prosody),
        ("extract-xvector", extract_xvector),
        ("extract-gop", extract_gop),
        ("extract-deep", extract_deep),
        ("extract-hidden", extract_hidden),
    ):
        command(app, name)(function)


def align(
    set_name: Set,
    am: AcousticModel,
    texts: TextConfig,
    textgrids: Annotated[
        bool,
        Option(False, "--textgrids", panel=OUTPUT, help="Write a TextGrid a recording too."),
    ],
    stage: DeviceStage,
    directory: Dir,
) -> Answer:
    """Where every phone and word of a set lies in its audio.

    Writes exp/align/SET/phones.ctm, words.ctm, ali.{ark,scp} and utterances.tsv. Canonical
    phones are those of the set's phone_scores.tsv, or looked up for its text.
    """
    from speechkit.acoustic.align.stage import align_set

    how = {"am": am, "texts": texts, "textgrids": textgrids, **vars(stage)}
    return output.summary(align_set(directory, set_name, **how))


def extract_prosody(
    set_name: Set,
    f0_min: Annotated[float, Option(75.0, "--f0-min", panel=DATA, help="Lowest pitch in Hz.")],
    f0_max: Annotated[float, Option(600.0, "--f0-max", panel=DATA, help="Highest pitch in Hz.")],
    stage: SetStage,
    directory: Dir,
) -> Answer:
    """Median pitch, voiced fraction and energy of every utterance of a set.

    Writes exp/prosody/SET/prosody.tsv. Pitch is Praat's autocorrelation method.
    """
    from speechkit.speaker import prosody

    folder = prosody.extract(directory, set_name, f0_min=f0_min, f0_max=f0_max, **vars(stage))
    summary = prosody.summarise(folder / "prosody.tsv")
    return output.rows(str(folder / "prosody.tsv"), ("measure", "value"), summary)


class XVectorStage(DeviceStage):
    """As :class:`DeviceStage`: a process reads audio, the device computes."""

    jobs: Jobs = 1


def extract_xvector(
    set_name: Set,
    vectors: VectorConfig,
    stage: XVectorStage,
    directory: Dir,
) -> Answer:
    """Speaker vectors of every utterance of a set, and the mean of each speaker.

    Writes exp/xvector/SET/xvector.{ark,scp}, spk_xvector.{ark,scp} and summary.json, which
    has the equal error rate over all pairs of utterances of the set.
    """
    from speechkit.speaker import extraction

    folder = extraction.extract(directory, set_name, vectors, **vars(stage))
    return output.summary(folder)


@dataclass(frozen=True)
class GopFlags:
    """Which features of phones.

    Data:
        import_from: Import features computed elsewhere: feat.scp of Kaldi's
            gop_speechocean762, or GOPT's features as .csv or .npy.
        keys: With `import_from` of .csv or .npy: the file of keys (UTTERANCE.PHONE).
    Model:
        method: segment: Kaldi's 84 columns of aligned phones. ctc: scores of every substitution
            and deletion without an alignment (42 columns). both: 126 columns.
        align_with: Acoustic model that aligns for all of them; default: each aligns for itself.
        prosody: Add durations, pauses, energy and pitch (13 columns).
        stp: Add GOP with the transition probabilities of the HMM (1 column).
        verification: Add evidence that each word was said (24 columns).
    """

    method: str = "segment"
    align_with: str = ""
    prosody: bool = False
    stp: Annotated[bool, Flag("stp")] = False
    verification: Annotated[bool, Flag("verification")] = False
    import_from: Annotated[Path | None, Flag("import")] = None
    keys: Path | None = None


def extract_gop(
    set_name: Set,
    am: AcousticModels,
    flags: GopFlags,
    texts: TextConfig,
    stage: DeviceStage,
    directory: Dir,
) -> Answer:
    """Goodness of pronunciation: a row of features for every canonical phone of a set.

    Writes exp/gop/SET/gop.{ark,scp}, rows.tsv, phones.txt, features.json and summary.json.
    """
    if flags.import_from is not None:
        from speechkit.phone_features.import_gop import import_features

        how: dict[str, Any] = {"name": stage.name, "on_error": stage.on_error, "force": stage.force}
        folder = import_features(directory, set_name, flags.import_from, keys=flags.keys, **how)
    else:
        from speechkit.base.errors import ConfigError, require_choice
        from speechkit.phone_features.extract import extract
        from speechkit.phone_features.settings import METHODS, FeatureSettings

        if flags.keys is not None:
            raise ConfigError("keys", "is for imported features.", "Add `import`, or leave it out.")
        require_choice("method", flags.method, METHODS)  # of the others, extract-deep has flags
        models, aligner = tuple(am), flags.align_with
        added: dict[str, Any] = {"stp": flags.stp, "verification": flags.verification}
        wanted = FeatureSettings(models, flags.method, aligner, flags.prosody, **added)
        folder = extract(directory, set_name, wanted, texts=texts, **vars(stage))
    return output.summary(folder)


@dataclass(frozen=True)
class DeepFlags:
    """Which hidden features.

    Model:
        layer: Hidden layer, counted from 1 at the input; 0: the last.
        level: phone: means over the frames of each phone. frame: all frames.
        align_with: Acoustic model that finds the phones; default: `am` itself.
    """

    layer: Annotated[int, Flag(least=0)] = 0
    level: str = "phone"
    align_with: str = ""


def extract_deep(
    am: DeepModel,
    set_name: Set,
    flags: DeepFlags,
    texts: TextConfig,
    stage: DeviceStage,
    directory: Dir,
) -> Answer:
    """Hidden features of an acoustic model for every canonical phone of a set.

    Writes exp/deep/SET/deep.{ark,scp}, rows.tsv, phones.ctm, phones.txt, features.json and
    summary.json.
    """
    from speechkit.phone_features.extract import extract
    from speechkit.phone_features.settings import DEEP, FeatureSettings

    wanted = FeatureSettings((am,), DEEP, **vars(flags))
    return output.summary(extract(directory, set_name, wanted, texts=texts, **vars(stage)))


@dataclass(frozen=True)
class HiddenFlags:
    """Which hidden states.

    Data:
        set_name: Labelled set.
        max_seconds: Longest clip in seconds; of a longer one only the middle is taken.
    Model:
        upstream: Encoder of Hugging Face, by hub name or folder.
        layers: last, weighted (all of them), or the number of a layer.
        pooling: Pooling of the heads to come: mean and sum need less than max, attentive.
    """

    upstream: str
    set_name: Annotated[str, Flag("set")] = "ravdess"
    layers: str = "last"
    pooling: str = "mean"
    max_seconds: float = 30.0


class HiddenRun(Group):
    """How hidden states are kept."""

    on_error: OnError
    device: Device
    jobs: Jobs = 1
    executor: Executor
    force: Force


def extract_hidden(flags: HiddenFlags, directory: Dir, run: HiddenRun) -> Answer:
    """Keep the hidden states of a frozen encoder, so that heads train in seconds.

    Writes exp/hidden/SET-ENCODER.../. `train emotion --freeze encoder` does it by itself.
    """
    from speechkit.base.errors import require_choice
    from speechkit.emotion import hidden
    from speechkit.emotion.config import encoder_config
    from speechkit.emotion.data import form_of
    from speechkit.labels.emotions import load
    from speechkit.training.devices import resolve_device

    require_choice("on_error", run.on_error, ("stop", "skip"))
    # refuses what no head can use
    encoder_config("frozen", {"layers": flags.layers, "pooling": flags.pooling})
    form = form_of(flags.pooling)
    kind = hidden.HiddenConfig(flags.upstream, flags.layers, form, flags.max_seconds)
    how = {**vars(run), "device": resolve_device(run.device).type}
    found = hidden.extract(directory, load(directory, flags.set_name), kind, **how)
    told = {
        "folder": str(found.folder),
        "clips": len(found.first),
        "skipped": len(found.skipped),
        "shape": list(found.values.shape),
        "megabytes": round(found.values.nbytes / 1e6, 1),
    }
    return output.pairs("Hidden states", told)
