"""A labelled set and a model of emotions without training, for tests of what uses a model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from tiny_encoders import make_encoder

from speechkit.emotion import encoder_files, encoder_network, model_folder
from speechkit.emotion.config import EncoderConfig
from speechkit.emotion.encoder_network import EncoderNet
from speechkit.emotion.encoders import load_encoder
from speechkit.emotion.fold_training import Run

CLASSES = ("neutral", "happy", "angry")


def write_encoder_model(
    root: Path,
    name: str = "base",
    frozen: bool = False,
    fold: int = 0,
    seed: int = 0,
    family: str = "wav2vec2-layer",
    layers: str = "last",
    **head: Any,
) -> Path:
    """``exp/emotion/<name>/fold<N>/seed<M>`` with a random head on a tiny encoder."""
    source = root / "tiny"
    if not source.is_dir():
        make_encoder(source, family)
    encoder = load_encoder(str(source))
    encoder.take_layer(layers)
    torch.manual_seed(100 * fold + seed)
    freeze = "encoder" if frozen else "features"
    config = EncoderConfig(freeze=freeze, dropout=0.0, layers=layers, **head)
    classifier = encoder_network.make_classifier(encoder, config, len(CLASSES))
    with torch.no_grad():
        for value in classifier.parameters():
            value.normal_(std=0.2 if head else 1.0)
        if head:  # as of a frozen encoder, whose vectors are normalised
            classifier.mean.normal_()
            classifier.std.uniform_(0.5, 2.0)
    net = EncoderNet(encoder, classifier)
    folder = root / "exp" / "emotion" / name / f"fold{fold}" / f"seed{seed}"
    folder.mkdir(parents=True)
    encoder_network.save_description(source, folder)
    model_folder.write(
        folder,
        model="encoder",
        upstream=str(source),
        classes=CLASSES,
        sample_rate=16000,
        network={
            "frozen": frozen,
            "layers": layers,
            "classifier": classifier.arguments,
            "encoder_digest": encoder_files.digest(source),
            **({"encoder_folder": str(source.resolve())} if frozen else {}),
        },
        training={**Run(str(source), "set", "speaker-folds", fold, seed).as_dict()},
        weights=(classifier if frozen else net).state_dict(),
        rows=[{"step": 1, "train_loss": 1.0, "valid_loss": 1.0, "valid_accuracy": 0.5}],
        summary={"best_step": 1, "train_seconds": 0.5},
    )
    return folder


def sound(seconds: float, rate: int = 16000, seed: int = 0) -> np.ndarray:
    """Noise whose loudness and colour change, float32 ``[T]``."""
    generator = np.random.default_rng(seed)
    noise = generator.standard_normal(round(seconds * rate))
    time = np.arange(len(noise)) / rate
    tone = np.sin(2 * np.pi * (200 + 150 * np.sin(0.5 * time)) * time)
    return (0.05 * noise + 0.1 * tone * (1 + np.sin(0.7 * time))).astype(np.float32)
