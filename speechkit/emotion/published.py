"""Emotion models of Hugging Face, as our encoder and classifier, and back.

``...ForSequenceClassification`` of transformers projects each frame, takes the mean over time and
classifies it: ``A mean(P x + p) + a``. Both maps are linear, so this is ``(A P) mean(x) + (A p +
a)``: our mean pooling with a linear head. The other way round the vectors' normalisation
``(x - m) / s`` is a projection with ``P = diag(1 / s)`` and ``p = -m / s``.

Many emotion models of the hub have the other head, of ``Wav2Vec2ForSpeechClassification``: pooling
(``pooling_mode``), ``dense``, tanh, ``out_proj``. It is our ``paper`` head, and transformers has no
class for it. Nothing of a folder is executed.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from speechkit.base.errors import UserError
from speechkit.base.files import make_dirs
from speechkit.base.tables import write_json
from speechkit.emotion import encoder_files, model_folder
from speechkit.emotion.config import POOLINGS
from speechkit.emotion.encoder_network import EncoderNet, EncoderPredictor, read_net
from speechkit.emotion.encoders import Encoder, load_encoder
from speechkit.emotion.heads import Classifier
from speechkit.training.weights import build, read_state, read_weights, write_weights

_HEADS = ("projector.", "classifier.", "layer_weights")
_LINEAR = ("projector.weight", "projector.bias", "classifier.weight", "classifier.bias")
_DENSE = tuple(f"classifier.{part}.{kind}" for part in ("dense", "out_proj")
               for kind in ("weight", "bias"))  # fmt: skip
_CLASSES = {
    "wav2vec2": "Wav2Vec2", "hubert": "Hubert", "wavlm": "WavLM", "data2vec-audio": "Data2VecAudio",
}  # fmt: skip
_ACCEPTED = (
    f"Accepted: audio-classification models of {', '.join(_CLASSES)} "
    "(...ForSequenceClassification), or with the head `dense`, `out_proj` and a `pooling_mode`."
)


class PublishedPredictor(EncoderPredictor):
    """An audio-classification model of Hugging Face; its labels are those of ``id2label``.

    Args:
        folder: ``config.json``, weights and ``preprocessor_config.json``, which states the sample
            rate (without it: 16 kHz).
        device: cpu or cuda.

    Raises:
        UserError: it is damaged, or no classifier, or of another family or head.
    """

    def __init__(self, folder: Path, device: str = "cpu") -> None:
        net, classes = _read(folder)
        self.net = net.eval().to(device)
        card = {
            "model": "encoder",
            "upstream": str(folder),
            "classes": classes,
            "sample_rate": net.encoder.sample_rate,
            "network": {"frozen": False, "classifier": net.classifier.arguments},
            "training": {},
        }
        super().__init__(folder, card, device)


def _read(folder: Path) -> tuple[EncoderNet, list[str]]:
    """Network and labels of a folder."""
    config = encoder_files.read_config(folder)
    classes = _labels(folder, config)
    head = _head(folder)
    if getattr(config, "add_adapter", False):
        raise UserError(f"{folder} has an adapter behind its encoder.", _ACCEPTED)
    encoder = load_encoder(str(folder))
    encoder.normed_last = _normed_last(config)
    summed = bool(getattr(config, "use_weighted_layer_sum", False))
    layers = encoder.layers + 1 if summed else 0
    dropout = float(getattr(config, "final_dropout", 0.0))
    state = {"mean": torch.zeros(encoder.size), "std": torch.ones(encoder.size)}
    if layers:
        state["sum.logits"] = _part(folder, head, "layer_weights")
    pooling: Any = "mean"
    kind = "linear"
    if "classifier.dense.weight" in head:
        pooling, kind = getattr(config, "pooling_mode", None), "paper"
        if pooling not in POOLINGS:
            raise UserError(f"{folder}: its `pooling_mode` is {pooling}.", "Accepted: mean, max.")
        for place, name in zip((1, 4), ("dense", "out_proj"), strict=True):
            for part in ("weight", "bias"):
                state[f"head.{place}.{part}"] = _part(folder, head, f"classifier.{name}.{part}")
    else:
        projector, shift, last, bias = (_part(folder, head, name).double() for name in _LINEAR)
        if last.ndim != 2 or projector.ndim != 2 or last.shape[1] != projector.shape[0]:
            raise UserError(f"{folder}: its head has weights of other shapes.", _ACCEPTED)
        state["head.1.weight"] = (last @ projector).float()
        state["head.1.bias"] = (last @ shift + bias).float()
    classifier = build(
        lambda: Classifier(encoder.size, layers, len(classes), str(pooling), kind, dropout),
        state,
        folder,
    )
    return EncoderNet(encoder, classifier), classes


def _normed_last(config: Any) -> bool:
    """Whether the last of the layers that a head sums is the one after the final norm.

    So it is in transformers up to 4; from 5 on it is taken before the norm unless the
    configuration says otherwise. A model is read as by the version that it was trained with.
    """
    told = getattr(config, "tie_last_hidden_states", None)
    if told is not None:
        return bool(told)
    return str(getattr(config, "transformers_version", None) or "4")[0] in "34"


def _labels(folder: Path, config: Any) -> list[str]:
    """The classes in order."""
    if getattr(config, "problem_type", None) not in (None, "single_label_classification"):
        raise UserError(
            f"{folder} is a model of {config.problem_type}: its outputs are no classes of which "
            "one holds.",
            _ACCEPTED,
        )
    labels = config.id2label
    if sorted(labels) != list(range(len(labels))):
        raise UserError(f"{folder}: its `id2label` does not number labels from 0.", _ACCEPTED)
    classes = [str(labels[number]) for number in range(len(labels))]
    if len(set(classes)) != len(classes) or len(classes) < 2:
        raise UserError(f"{folder}: `id2label` has {', '.join(classes)}.", "Expected: two or more.")
    return classes


def _head(folder: Path) -> dict[str, Tensor]:
    """What lies behind the encoder, in float32."""
    found: dict[str, Tensor] = {}
    for path in encoder_files.weight_files(folder):
        of_zip = path.suffix == ".bin"
        weights = read_state(path, "Download it again.") if of_zip else read_weights(path)
        found.update({k: v.float() for k, v in weights.items() if k.startswith(_HEADS)})
    if not found:
        raise UserError(
            f"{folder} is an encoder without a classifier.",
            "Train one on it: `speechkit train emotion --upstream DIR`. " + _ACCEPTED,
        )
    return found


def _part(folder: Path, head: Mapping[str, Tensor], name: str) -> Tensor:
    if name not in head:
        raise UserError(f"{folder} has no '{name}' (it has {', '.join(sorted(head))}).", _ACCEPTED)
    return head[name]


def write(folder: Path, target: Path) -> None:
    """Write a trained model as one that ``AutoModelForAudioClassification`` loads.

    Args:
        folder: of the model.
        target: a folder; it is made.

    Raises:
        UserError: transformers has no such model; the reason is named.
    """
    card = model_folder.read_card(folder)
    _refuse(card)
    net = read_net(folder, card, "cpu")
    encoder, classifier = net.encoder, net.classifier
    stable = getattr(encoder.config, "do_stable_layer_norm", False)
    if card["network"]["layers"].isdecimal() and (stable or not encoder.layers):
        _cannot("an encoder that is cut off before its last normalisation", "layers", "last")
    last = classifier.head[-1]
    state = {
        f"{encoder.model.base_model_prefix}.{name}": value
        for name, value in encoder.model.state_dict().items()
    }
    state["projector.weight"] = torch.diag(1 / classifier.std)
    state["projector.bias"] = -classifier.mean / classifier.std
    state["classifier.weight"], state["classifier.bias"] = last.weight, last.bias
    if classifier.sum is not None:
        state["layer_weights"] = classifier.sum.logits
    config = _config(net, list(card["classes"]))
    make_dirs(target)
    write_json(target / encoder_files.CONFIG, config)
    write_json(target / encoder_files.PREPROCESSOR, _front(encoder, stable))
    if not (config["mask_time_prob"] or config["mask_feature_prob"]):  # it has no such vector then
        del state[f"{encoder.model.base_model_prefix}.masked_spec_embed"]
    kept = {name: value.clone() for name, value in state.items()}
    write_weights(target / encoder_files.WEIGHTS, kept, {"format": "pt"})


def _config(net: EncoderNet, classes: list[str]) -> dict[str, Any]:
    """``config.json`` of a model."""
    encoder, summed = net.encoder, net.classifier.sum is not None
    return {
        **encoder.published.to_dict(),
        "architectures": [f"{_CLASSES[encoder.config.model_type]}ForSequenceClassification"],
        "num_hidden_layers": encoder.layers,
        "classifier_proj_size": encoder.size,
        "use_weighted_layer_sum": summed,
        "id2label": {str(number): name for number, name in enumerate(classes)},
        "label2id": {name: number for number, name in enumerate(classes)},
        "problem_type": "single_label_classification",
        "dtype": "float32",
        "add_adapter": False,
        "tie_last_hidden_states": encoder.normed_last,
    }


def _front(encoder: Encoder, mask: bool) -> dict[str, Any]:
    """``preprocessor_config.json`` of an encoder."""
    return {
        "feature_extractor_type": "Wav2Vec2FeatureExtractor",
        "feature_size": 1,
        "sampling_rate": encoder.sample_rate,
        "do_normalize": encoder.preprocessing.normalise,
        "padding_side": "right",
        "padding_value": 0.0,
        "return_attention_mask": mask,
    }


def _refuse(card: Mapping[str, Any]) -> None:
    """Raise UserError for a model whose head is not in transformers."""
    if card["model"] != "encoder":
        _cannot(f"the kind '{card['model']}'", "upstream", "ENCODER")
    head = card["network"]["classifier"]
    if head["head"] != "linear":
        _cannot("a head with a tanh behind the pooling", "head", "linear")
    if head["pooling"] != "mean":
        _cannot(f"the pooling '{head['pooling']}'", "pooling", "mean")


def _cannot(what: str, field: str, wanted: str) -> None:
    raise UserError(
        f"AutoModelForAudioClassification of transformers has not {what}.",
        f"Train the model with `{field}` {wanted}, or leave out `format`: the file that is written "
        "then holds any model.",
    )
