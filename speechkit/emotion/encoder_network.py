"""An encoder and its classifier as one network: writing, reading, and its predictions."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from speechkit.base.errors import UserError, needed_by_all
from speechkit.emotion import encoder_files, heads, hidden
from speechkit.emotion.config import FROM_ENCODER, EncoderConfig
from speechkit.emotion.data import Vectors, broken_clips, form_of
from speechkit.emotion.encoders import Encoder, build_encoder, load_encoder
from speechkit.emotion.hidden import Hidden, HiddenConfig
from speechkit.emotion.layers import SpecAugment
from speechkit.emotion.predictor import Predictor, by_length
from speechkit.labels.emotions import EmotionSet
from speechkit.training.weights import build, read_weights
from speechkit.workdir import WorkDir

FILES = (encoder_files.CONFIG, encoder_files.PREPROCESSOR)  # of the encoder, beside a trained model
FOLDER = "encoder"
BATCH_SECONDS = {"cpu": 20.0, "cuda": 240.0}


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
    masked = bool(getattr(published, "apply_spec_augment", True))

    def chosen(ours: float, name: str, applied: bool = True) -> float:
        if ours != FROM_ENCODER:
            return ours
        return float(getattr(published, name, 0.0)) if applied else 0.0

    time = chosen(config.mask_time, "mask_time_prob", masked)
    feature = chosen(config.mask_feature, "mask_feature_prob", masked)
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
    if config.gradient_checkpointing:
        encoder.checkpoint_gradients()


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
        encoder.take_layer(str(network["layers"]))
        return EncoderNet(encoder, read_classifier(folder, card)).eval().to(device)

    def make() -> EncoderNet:
        encoder = build_encoder(folder / FOLDER)
        encoder.take_layer(network["layers"])
        return EncoderNet(encoder, heads.Classifier(**network["classifier"]))

    encoder_files.import_network(folder / FOLDER)
    path = folder / "model.safetensors"
    return build(make, read_weights(path), path).eval().to(device)


def read_classifier(folder: Path, card: Mapping[str, Any]) -> heads.Classifier:
    """The head of a model with a frozen encoder, in eval mode."""
    path = folder / "model.safetensors"
    described = card["network"]["classifier"]
    return build(lambda: heads.Classifier(**described), read_weights(path), path).eval()


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


class EncoderPredictor(Predictor):
    """See :class:`Predictor`; a clip gets the same result in any batch.

    Args:
        folder: of the trained model.
        card: its ``config.yaml``.
        device: cpu or cuda.
    """

    def __init__(self, folder: Path, card: dict[str, Any], device: str = "cpu") -> None:
        super().__init__(folder, card)
        self.device = torch.device(device)
        self.network: dict[str, Any] = card["network"]
        self.pooling = str(self.network["classifier"]["pooling"])
        if not self.network["frozen"]:
            self.open()  # what is missing is said at once

    def open(self) -> None:
        _ = self.net

    @cached_property
    def net(self) -> EncoderNet:
        """Encoder and head; an encoder that was frozen is loaded when a wave comes."""
        return read_net(self.folder, self.card, self.device)

    def probabilities(
        self, waves: Sequence[np.ndarray], speakers: Sequence[str] | None = None
    ) -> np.ndarray:
        found = np.zeros((len(waves), len(self.classes)), np.float32)
        with needed_by_all():
            encoder = self.net.encoder
        most = BATCH_SECONDS[self.device.type] * self.sample_rate
        for part in by_length([len(wave) for wave in waves], most):
            padded, lengths = encoder.prepare([waves[i] for i in part])
            with torch.inference_mode():
                logits = self.net(padded.to(self.device), lengths)
            found[part] = logits.softmax(-1).cpu().numpy()
        return found

    def from_kept(
        self, workdir: WorkDir, dataset: EmotionSet, ids: Sequence[str], **how: Any
    ) -> np.ndarray | None:
        """With a frozen encoder from the hidden states that are kept, made where they are not."""
        if not self.network["frozen"]:
            return None
        cache = self._hidden(workdir, dataset, **how)
        for name in ids:
            if name in cache.skipped:
                raise UserError(f"{name}: {cache.skipped[name]}", "Leave it out.")
        classifier = read_classifier(self.folder, self.card).to(self.device)
        found = []
        for first in range(0, len(ids), 32):
            clips = cache.clips(ids[first : first + 32], self.pooling)
            values = Vectors(clips, np.empty(0), self.device, cache.form == "mean")
            with torch.inference_mode():
                logits = classifier(*values.batch(range(len(values))))
            found.append(logits.softmax(-1).cpu().numpy())
        return np.concatenate(found)

    def broken(
        self, workdir: WorkDir, dataset: EmotionSet, ids: Sequence[str], **how: Any
    ) -> dict[str, str]:
        if self.network["frozen"]:
            skipped = self._hidden(workdir, dataset, **how).skipped
            return {name: skipped[name] for name in ids if name in skipped}
        return broken_clips(dataset, ids, self.net.encoder, self.max_seconds, **how)

    def _hidden(self, workdir: WorkDir, dataset: EmotionSet, **how: Any) -> Hidden:
        kind = HiddenConfig(
            str(self.card["upstream"]),
            str(self.network["layers"]),
            form_of(self.pooling),
            self.max_seconds,
        )
        return hidden.extract(
            workdir,
            dataset,
            kind,
            source=find_frozen(self.folder, self.card),
            device=self.device.type,
            on_error="skip",
            **how,
        )
