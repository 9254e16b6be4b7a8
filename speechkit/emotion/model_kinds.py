"""Trained emotion models of all kinds: which class reads which."""

from __future__ import annotations

from pathlib import Path

from speechkit.emotion import model_folder
from speechkit.emotion.predictor import Predictor


def load_predictor(folder: Path, device: str = "cpu") -> Predictor:
    """Load a trained model of any kind.

    Args:
        folder: ``exp/emotion/<name>/fold<N>/seed<M>``.
        device: where a network computes: cpu or cuda.

    Raises:
        UserError: something is missing, damaged, or of another kind.
    """
    card = model_folder.read_card(folder)
    if card["model"] == "functionals":
        from speechkit.emotion.functionals_model import FunctionalsPredictor

        return FunctionalsPredictor(folder, card)
    if card["model"] == "fbank-cnn":
        from speechkit.emotion.cnn_predictor import CnnPredictor

        return CnnPredictor(folder, card, device)
    from speechkit.emotion.encoder_predictor import EncoderPredictor

    return EncoderPredictor(folder, card, device)
