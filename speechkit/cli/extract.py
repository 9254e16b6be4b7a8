"""``speechkit align`` and ``speechkit extract-...``: what is measured of a set's recordings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from speechkit.base.config import Flag
from speechkit.cli.extract_hidden import extract_hidden
from speechkit.cli.flags import command
from speechkit.cli.options import (
    DATA,
    MISSING,
    MODEL,
    Device,
    Dir,
    Jobs,
    Json,
    Option,
    Readings,
    Set,
    SetStage,
)

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


@dataclass(frozen=True)
class Words(Readings):
    """How the texts of a set are said.

    Data:
        lexicon: Pronunciations that go before the built-in ones, as Kaldi's lexicon.
        g2p: Let espeak-ng pronounce words that are in no lexicon.
    """

    lexicon: Path | None = None
    g2p: bool = True

    def options(self) -> dict[str, Any]:
        """As the stages take them."""
        from speechkit.acoustic.lexicon.readings import TextConfig

        return {"texts": TextConfig(self.lexicon, self.g2p, self.policy)}


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
    words: Words,
    stage: SetStage,
    directory: Dir,
    device: Device,
    as_json: Json,
) -> None:
    """Where every phone and word of a set lies in its audio.

    Writes exp/align/SET/phones.ctm, words.ctm, ali.{ark,scp} and utterances.tsv. Canonical
    phones are those of the set's phone_scores.tsv, or looked up for its text.
    """
    from speechkit.acoustic.align.stage import align_set
    from speechkit.cli.output import print_summary

    folder = align_set(
        directory,
        set_name,
        am=am,
        **words.options(),
        device=device,
        **vars(stage),
    )
    print_summary(folder, as_json)


def extract_prosody(
    set_name: Set,
    f0_min: Annotated[float, Option(75.0, "--f0-min", panel=DATA, help="Lowest pitch in Hz.")],
    f0_max: Annotated[float, Option(600.0, "--f0-max", panel=DATA, help="Highest pitch in Hz.")],
    stage: SetStage,
    directory: Dir,
    as_json: Json,
) -> None:
    """Median pitch, voiced fraction and energy of every utterance of a set.

    Writes exp/prosody/SET/prosody.tsv. Pitch is Praat's autocorrelation method.
    """
    from speechkit.cli.output import print_table
    from speechkit.speaker import prosody

    folder = prosody.extract(
        directory,
        set_name,
        f0_min=f0_min,
        f0_max=f0_max,
        **vars(stage),
    )
    summary = prosody.summarise(folder / "prosody.tsv")
    print_table(str(folder / "prosody.tsv"), ("measure", "value"), summary, as_json)


class XVectorStage(SetStage):
    """As :class:`SetStage`: a process reads audio, the device computes."""

    jobs: Jobs = 1


@dataclass(frozen=True)
class XVectorFlags:
    """Which vectors, and how they are computed.

    Model:
        model: A name in exp/xvector_nnet (default: the newest), a folder of `train xvector` or of
            a SpeechBrain x-vector or ECAPA model, or hf:OWNER/NAME.
    Machine:
        batch_seconds: Seconds of audio per batch; 0: 60 on CPU, 600 on CUDA.
        precision: 32, or bf16: faster, vectors differ by about one in a thousand.
    """

    model: str = ""
    batch_seconds: Annotated[float, Flag(least=0)] = 0.0
    precision: str = "32"


def extract_xvector(
    set_name: Set,
    flags: XVectorFlags,
    stage: XVectorStage,
    directory: Dir,
    device: Device,
    as_json: Json,
) -> None:
    """Speaker vectors of every utterance of a set, and the mean of each speaker.

    Writes exp/xvector/SET/xvector.{ark,scp}, spk_xvector.{ark,scp} and summary.json, which
    has the equal error rate over all pairs of utterances of the set.
    """
    from speechkit.cli.output import print_summary
    from speechkit.speaker import extraction

    folder = extraction.extract(
        directory,
        set_name,
        model=flags.model,
        batch_seconds=flags.batch_seconds,
        precision=flags.precision,
        device=device,
        **vars(stage),
    )
    print_summary(folder, as_json)


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
    """

    method: str = "segment"
    align_with: str = ""
    prosody: bool = False
    stp: Annotated[bool, Flag("stp")] = False
    import_from: Annotated[Path | None, Flag("import")] = None
    keys: Path | None = None


def extract_gop(
    set_name: Set,
    am: AcousticModels,
    flags: GopFlags,
    words: Words,
    stage: SetStage,
    directory: Dir,
    device: Device,
    as_json: Json,
) -> None:
    """Goodness of pronunciation: a row of features for every canonical phone of a set.

    Writes exp/gop/SET/gop.{ark,scp}, rows.tsv, phones.txt, features.json and summary.json.
    """
    from speechkit.cli.output import print_summary

    if flags.import_from is not None:
        from speechkit.phone_features.import_gop import import_features

        folder = import_features(
            directory,
            set_name,
            flags.import_from,
            keys=flags.keys,
            name=stage.name,
            on_error=stage.on_error,
            force=stage.force,
        )
    else:
        from speechkit.base.errors import ConfigError, require_choice
        from speechkit.phone_features.extract import extract
        from speechkit.phone_features.settings import METHODS, FeatureSettings

        if flags.keys is not None:
            raise ConfigError("keys", "is for imported features.", "Add `import`, or leave it out.")
        require_choice("method", flags.method, METHODS)  # of the others, extract-deep has flags
        wanted = FeatureSettings(
            tuple(am), flags.method, flags.align_with, flags.prosody, stp=flags.stp
        )
        folder = extract(
            directory, set_name, wanted, **words.options(), device=device, **vars(stage)
        )
    print_summary(folder, as_json)


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
    words: Words,
    stage: SetStage,
    directory: Dir,
    device: Device,
    as_json: Json,
) -> None:
    """Hidden features of an acoustic model for every canonical phone of a set.

    Writes exp/deep/SET/deep.{ark,scp}, rows.tsv, phones.ctm, phones.txt, features.json and
    summary.json.
    """
    from speechkit.cli.output import print_summary
    from speechkit.phone_features.extract import extract
    from speechkit.phone_features.settings import DEEP, FeatureSettings

    folder = extract(
        directory,
        set_name,
        FeatureSettings((am,), DEEP, flags.align_with, layer=flags.layer, level=flags.level),
        **words.options(),
        device=device,
        **vars(stage),
    )
    print_summary(folder, as_json)
