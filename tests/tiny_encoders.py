"""Tiny random Hugging Face encoders of each family, saved to a folder as the hub has them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch

SIZES = {
    "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32,
    "conv_dim": (8, 8, 8), "conv_kernel": (20, 8, 4), "conv_stride": (10, 8, 4),
    "num_feat_extract_layers": 3, "num_conv_pos_embedding_groups": 4,
    "final_dropout": 0.1, "layerdrop": 0.1,
}  # fmt: skip
FAMILIES = (
    "wav2vec2-group", "wav2vec2-layer", "hubert-group", "hubert-layer", "hubert-batch-norm",
    "wavlm-group", "wavlm-layer", "data2vec-audio",
)  # fmt: skip


def make_encoder(folder: Path, family: str, ctc: bool = True, seed: int = 0) -> Path:
    """Save a random model (with a CTC head, as most published ones have) and its preprocessor."""
    import transformers

    torch.manual_seed(seed)
    sizes = dict(SIZES)
    norm = "group" if family.endswith("group") else "layer"
    if not family.startswith("data2vec"):
        sizes.update(feat_extract_norm=norm, do_stable_layer_norm=norm == "layer")
        sizes.update(conv_bias=norm == "layer", num_conv_pos_embeddings=8)
    if family == "data2vec-audio":
        config = transformers.Data2VecAudioConfig(
            **sizes, vocab_size=8, conv_pos_kernel_size=5, num_conv_pos_embeddings=3
        )
        made = (transformers.Data2VecAudioForCTC if ctc else transformers.Data2VecAudioModel)(
            config
        )
    elif family.startswith("wavlm"):
        config = transformers.WavLMConfig(**sizes, vocab_size=8, num_buckets=16)
        made = (transformers.WavLMForCTC if ctc else transformers.WavLMModel)(config)
    elif family.startswith("hubert"):
        if family == "hubert-batch-norm":
            sizes["conv_pos_batch_norm"] = True
        config = transformers.HubertConfig(**sizes, vocab_size=8)
        made = (transformers.HubertForCTC if ctc else transformers.HubertModel)(config)
    else:
        config = transformers.Wav2Vec2Config(**sizes, vocab_size=8)
        made = (transformers.Wav2Vec2ForCTC if ctc else transformers.Wav2Vec2Model)(config)
    with torch.no_grad():  # so that every bias and norm matters
        for value in [*made.parameters(), *(b for b in made.buffers() if b.is_floating_point())]:
            value.add_(0.2 * torch.rand_like(value))
    made.save_pretrained(folder)
    text = json.dumps({"sampling_rate": 16000, "do_normalize": norm == "layer"})
    (folder / "preprocessor_config.json").write_text(text)
    return folder


def make_classifier(
    folder: Path, family: str, labels: tuple[str, ...], weighted: bool = False, seed: int = 0
) -> Path:
    """The same with a head of ``...ForSequenceClassification``, as emotion models have."""
    import transformers

    make_encoder(folder, family, ctc=False, seed=seed)
    config = transformers.AutoConfig.from_pretrained(
        folder, num_labels=len(labels), classifier_proj_size=12, use_weighted_layer_sum=weighted
    )
    config.id2label = dict(enumerate(labels))
    config.label2id = {label: number for number, label in config.id2label.items()}
    kind = transformers.AutoModelForAudioClassification
    made = kind.from_pretrained(folder, config=config)
    with torch.no_grad():
        for name, value in made.named_parameters():
            if name.startswith(("projector", "classifier", "layer_weights")):
                value.copy_(0.2 * torch.randn_like(value))
    made.save_pretrained(folder)
    return folder


def hugging_face(folder: Path, wave: np.ndarray) -> np.ndarray:
    """Probabilities ``[C]`` by transformers' own classes."""
    import transformers

    model = transformers.AutoModelForAudioClassification.from_pretrained(folder).eval()
    front = transformers.AutoFeatureExtractor.from_pretrained(folder)
    inputs = front(wave, sampling_rate=front.sampling_rate, return_tensors="pt")
    with torch.no_grad():
        return model(**inputs).logits.softmax(-1)[0].numpy()
