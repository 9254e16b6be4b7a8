"""An encoder and its classifier as one network, and writing and reading both."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from speechkit.base.errors import UserError
from speechkit.emotion import dropout, encoder_files, heads
from speechkit.emotion.encoder_settings import FROM_ENCODER, EncoderConfig
from speechkit.emotion.encoders import Encoder, build_encoder, load_encoder
from speechkit.emotion.spec_augment import SpecAugment
from speechkit.training.weights import build, read_weights

FILES = ("config.json", "preprocessor_config.json")  # of the encoder, beside a trained model
FOLDER = "encoder"


class EncoderNet(nn.Module):
    """Waves to logits.

    Args:
        encoder: see :class:`Encoder`.
        classifier: behind it.

    Shape:
        what :meth:`Encoder.prepare` gives -> ``[B, C]``.
    """

    def __init__(self, encoder: Encoder, classifier: heads.Classifier) -> None:
        super().__init__()
        self.encoder, self.classifier = encoder, classifier

    def forward(self, waves: Tensor, lengths: Sequence[int]) -> Tensor:
        summed = self.classifier.sum is not None
        frames, counts = self.encoder(waves, lengths, all_layers=summed)
        if frames.shape[-2] > max(counts):
            frames = frames[..., : max(counts), :]
        return self.classifier(frames, counts)


def make_classifier(encoder: Encoder, config: EncoderConfig, classes: int) -> heads.Classifier:
    """A new head for an encoder, drawn from torch's generator."""
    published = float(getattr(encoder.published, "final_dropout", 0.1))
    return heads.Classifier(
        encoder.size,
        encoder.layers + 1 if config.layers == "weighted" else 0,
        classes,
        config.pooling,
        config.head,
        published if config.dropout == FROM_ENCODER else config.dropout,
    )


def set_up(encoder: Encoder, config: EncoderConfig) -> None:
    """Freeze, mask, drop out, drop layers and checkpoint as a configuration says."""
    published = encoder.published

    def chosen(ours: float, name: str) -> float:
        return float(getattr(published, name, 0.0)) if ours == FROM_ENCODER else ours

    on = getattr(published, "apply_spec_augment", True)
    time = chosen(config.mask_time, "mask_time_prob") if on or config.mask_time > 0 else 0.0
    feature = (
        chosen(config.mask_feature, "mask_feature_prob") if on or config.mask_feature > 0 else 0.0
    )
    encoder.augment = SpecAugment(
        time,
        config.mask_time_length,
        feature,
        config.mask_feature_length,
        int(getattr(published, "mask_time_min_masks", 0)) if time else 0,
        int(getattr(published, "mask_feature_min_masks", 0)) if feature else 0,
    )
    encoder.model.masked_spec_embed.requires_grad_(time > 0)
    encoder.config.layerdrop = chosen(config.layer_drop, "layerdrop")
    if config.freeze == "encoder":
        encoder.requires_grad_(False)
    elif config.freeze == "features":
        encoder.freeze_features()
    dropout.use(encoder)
    if config.gradient_checkpointing:
        encoder.checkpoint_gradients()


def take_layer(encoder: Encoder, layers: str) -> None:
    """Cut an encoder off after the layer that is used.

    Raises:
        UserError: it has fewer layers.
    """
    if not layers.isdigit():
        return
    number = int(layers)
    if number > encoder.layers:
        raise UserError(
            f"--layers {number}: {encoder.spec or 'the encoder'} has {encoder.layers}.",
            f"Accepted: 0 to {encoder.layers}, last, weighted.",
        )
    encoder.cut(number)


def save_description(folder: Path, target: Path) -> None:
    """Copy an encoder's configuration (not its weights) to ``<target>/encoder``."""
    (target / FOLDER).mkdir(exist_ok=True)
    for name in FILES:
        if (folder / name).is_file():
            shutil.copyfile(folder / name, target / FOLDER / name)


def read_net(folder: Path, card: Mapping[str, Any], device: torch.device | str) -> EncoderNet:
    """The network of a trained folder, in eval mode.

    A fine-tuned one has all of its weights in ``model.safetensors``. One with a frozen encoder
    has the head's there; the encoder is looked for in ``encoder/`` of the model or of its
    experiment (where `speechkit import` puts it), then by the name that it was trained with.

    Raises:
        UserError: something is missing, damaged, or another encoder than the one trained on.
    """
    network = card["network"]
    if network["frozen"]:
        encoder = load_encoder(str(find_frozen(folder, card)), device)
        take_layer(encoder, str(network["layers"]))
        return EncoderNet(encoder, read_classifier(folder, card)).eval().to(device)

    def make() -> EncoderNet:
        encoder = build_encoder(folder / FOLDER)
        take_layer(encoder, network["layers"])
        return EncoderNet(encoder, heads.from_dict(network["classifier"]))

    path = folder / "model.safetensors"
    return build(make, read_weights(path), path).eval().to(device)


def read_classifier(folder: Path, card: Mapping[str, Any]) -> heads.Classifier:
    """The head of a model with a frozen encoder, in eval mode."""
    path = folder / "model.safetensors"
    described = card["network"]["classifier"]
    return build(lambda: heads.from_dict(described), read_weights(path), path).eval()


def find_frozen(
    folder: Path, card: Mapping[str, Any], find: Callable[[str], Path] = encoder_files.find
) -> Path:
    """Folder of the frozen encoder that a model was trained on.

    Raises:
        UserError: it is not there, or it is another one.
    """
    wanted = card["network"]["encoder_digest"]
    near = [folder / FOLDER, *(parent / FOLDER for parent in list(folder.parents)[:2])]
    if "encoder_folder" in card["network"]:
        near.append(Path(card["network"]["encoder_folder"]))
    for place in near:
        if (place / "config.json").is_file() and encoder_files.origin(place) == wanted:
            return place
    found = find(str(card["upstream"]))
    if encoder_files.origin(found) != wanted:
        raise UserError(
            f"{found} is not the encoder that {folder} was trained on.",
            f"Put the files of '{card['upstream']}' of that time into {folder / FOLDER}.",
        )
    return found
