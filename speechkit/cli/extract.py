"""``speechkit align`` and ``speechkit extract-...``: what is measured of a set's recordings."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from speechkit.acoustic.lexicon.config import TextConfig
from speechkit.base.errors import require_choice
from speechkit.cli import output
from speechkit.cli.flags import command
from speechkit.cli.options import DEVICE_STAGE, SET_STAGE, Dir, FieldOf
from speechkit.cli.output import Answer
from speechkit.emotion.config import EmotionTraining, EncoderConfig, encoder_config
from speechkit.phone_features.config import DEEP, METHODS, FeatureSettings, ImportConfig
from speechkit.speaker.config import ProsodyConfig, VectorConfig

app = typer.Typer()


@command(app, "align", f"textgrids {DEVICE_STAGE} directory")
def align(set_name: str, am: str, texts: TextConfig, directory: Dir, **how: Any) -> Answer:
    """Where every phone and word of a set lies in its audio.

    Writes exp/align/SET/phones.ctm, words.ctm, ali.{ark,scp} and utterances.tsv. Canonical
    phones are those of the set's phone_scores.tsv, or looked up for its text.
    """
    from speechkit.acoustic.align.stage import align_set

    return output.summary(align_set(directory, set_name, am=am, texts=texts, **how))


@command(app, "extract-prosody", f"{SET_STAGE} directory")
def extract_prosody(set_name: str, pitch: ProsodyConfig, directory: Dir, **how: Any) -> Answer:
    """Median pitch, voiced fraction and energy of every utterance of a set.

    Writes exp/prosody/SET/prosody.tsv. Pitch is Praat's autocorrelation method.
    """
    from speechkit.speaker import prosody

    folder = prosody.extract(directory, set_name, pitch, **how)
    summary = prosody.summarise(folder / "prosody.tsv")
    return output.rows(str(folder / "prosody.tsv"), ("measure", "value"), summary)


@command(app, "extract-xvector", f"{DEVICE_STAGE} directory jobs=1")
def extract_xvector(set_name: str, vectors: VectorConfig, directory: Dir, **how: Any) -> Answer:
    """Speaker vectors of every utterance of a set, and the mean of each speaker.

    Writes exp/xvector/SET/xvector.{ark,scp}, spk_xvector.{ark,scp} and summary.json, which
    has the equal error rate over all pairs of utterances of the set.
    """
    from speechkit.speaker import extraction

    return output.summary(extraction.extract(directory, set_name, vectors, **how))


@command(app, "extract-gop", f"{DEVICE_STAGE} directory")
def extract_gop(
    set_name: str,
    features: FeatureSettings,
    imported: ImportConfig,
    texts: TextConfig,
    directory: Dir,
    **how: Any,
) -> Answer:
    """Goodness of pronunciation: a row of features for every canonical phone of a set.

    Writes exp/gop/SET/gop.{ark,scp}, rows.tsv, phones.txt, features.json and summary.json.
    """
    from speechkit.phone_features.extract import extract
    from speechkit.phone_features.import_gop import import_features

    if imported.import_from is not None:
        how = {name: how[name] for name in ("name", "on_error", "force")}
        return output.summary(import_features(directory, set_name, imported, **how))
    imported.refuse()
    require_choice("method", features.method, METHODS)  # of the others, extract-deep has flags
    return output.summary(extract(directory, set_name, features, texts=texts, **how))


@command(app, "extract-deep", f"{DEVICE_STAGE} directory")
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
    return output.summary(extract(directory, set_name, wanted, texts=texts, **how))


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
        "megabytes": round(found.values.nbytes / 1e6, 1),
    }
    return output.pairs("Hidden states", told)
