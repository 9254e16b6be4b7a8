"""Tiny random acoustic models with hidden features, for the phones of tone speech."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from tone_models import LABELS

from speechkit.acoustic.features import FeatureConfig
from speechkit.acoustic.tdnn import folder as tdnn_folder
from speechkit.acoustic.tdnn.folder import Card, half
from speechkit.acoustic.tdnn.network import Tdnn, TdnnConfig
from speechkit.labels.phones import ARPABET

CONFIG = TdnnConfig(
    n_mels=40, widths=(12, 12, 8), kernels=(3, 3, 5), dilations=(1, 2, 3), outputs=3 * len(LABELS)
)


def make_tdnn(
    root: Path, name: str = "tiny", folds: int = 0, full: bool = True, seed: int = 0, unseen=""
) -> Path:
    """``exp/acoustic/<name>``: random networks; speakers s0, s1 ... are of fold 0, 1 ..."""
    folder = root / "exp" / "acoustic" / name
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"fold{k}" for k in range(folds)] + ["full"] * full
    states = {}
    for number, key in enumerate(names):
        torch.manual_seed(seed + number)
        states[key] = half(Tdnn(CONFIG).state_dict())
    stay = {key: [0.5 + 0.02 * k for k in range(CONFIG.outputs)] for key in names}
    card = Card(LABELS, FeatureConfig(), CONFIG, unseen=unseen or "full", stay=stay)
    tdnn_folder.write(folder, card, states, {f"s{k}": k for k in range(folds)})
    return folder


def make_ctc(folder: Path) -> Path:
    """A tiny random wav2vec2 with a CTC head: two layers of 16, a frame every 80 samples."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    vocabulary = ["<pad>", *ARPABET]
    config = transformers.Wav2Vec2Config(
        vocab_size=len(vocabulary),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        conv_dim=(8, 8),
        conv_kernel=(20, 8),
        conv_stride=(10, 8),
        num_feat_extract_layers=2,
        num_conv_pos_embeddings=8,
        num_conv_pos_embedding_groups=2,
        feat_extract_norm="layer",
        do_stable_layer_norm=True,
        pad_token_id=0,
    )
    transformers.Wav2Vec2ForCTC(config).save_pretrained(folder)
    table = {label: number for number, label in enumerate(vocabulary)}
    (folder / "vocab.json").write_text(json.dumps(table))
    front = {
        "feature_extractor_type": "Wav2Vec2FeatureExtractor",
        "do_normalize": True,
        "return_attention_mask": True,
        "sampling_rate": 16000,
        "feature_size": 1,
        "padding_value": 0.0,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(front))
    return folder
