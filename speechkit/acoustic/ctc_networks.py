"""Networks of Hugging Face and torchaudio: samples to logits."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from speechkit.errors import MissingDependency, UserError

if TYPE_CHECKING:
    from torch import Tensor

Network = Callable[[np.ndarray], "tuple[Tensor, Tensor | None]"]
"""Samples ``[N]`` to logits ``[T, V]`` and hidden features ``[T, D]``."""

_MAY_LACK = ("masked_spec_embed",)  # only used in training


class HuggingFaceNetwork:
    """A ``...ForCTC`` model with its feature extractor, one recording at a time.

    Models with group normalisation give other results with padding, so there is none.
    Normalisation and mask are those of the extractor.

    Args:
        folder: with config.json, preprocessor_config.json and weights.
        device: cpu or cuda.
        front: content of preprocessor_config.json; empty: 16 kHz, normalised.
        hidden: return the last layer's features as well.

    Attributes:
        ratio: samples per frame.
    """

    def __init__(self, folder: Path, device: str, front: dict[str, Any], hidden: bool) -> None:
        import torch

        library = transformers()
        try:
            loaded, told = library.AutoModelForCTC.from_pretrained(
                folder, local_files_only=True, dtype=torch.float32, output_loading_info=True
            )
            extractor = library.AutoFeatureExtractor if front else library.Wav2Vec2FeatureExtractor
            self._front = extractor.from_pretrained(folder) if front else extractor()
        except Exception as error:  # formats have errors of their own; the reason is shown
            reason = " ".join(str(error).split())[:300]
            raise UserError(
                f"The CTC model in {folder} cannot be loaded: {reason}",
                "It must be saved by Hugging Face transformers, with a CTC head.",
            ) from error
        if missing := sorted(k for k in told["missing_keys"] if not k.endswith(_MAY_LACK)):
            raise UserError(
                f"{folder} lacks {len(missing)} weights of a CTC model ({missing[0]} ...).",
                "Take one that was fine-tuned to write phones, not the bare encoder.",
            )
        self._model, self._device, self._hidden = loaded.eval().to(device), device, hidden
        self.ratio = self._samples_per_frame()

    def __call__(self, samples: np.ndarray) -> tuple[Tensor, Tensor | None]:
        import torch

        rate = self._front.sampling_rate
        with torch.inference_mode():
            inputs = self._front(samples, sampling_rate=rate, return_tensors="pt")
            on_device = {key: value.to(self._device) for key, value in inputs.items()}
            try:
                found = self._model(**on_device, output_hidden_states=self._hidden)
                logits = found.logits[0]
            except RuntimeError as error:
                if "size" not in str(error):
                    raise
                logits = torch.empty(0, 1)
        if not len(logits):
            raise UserError(
                f"The audio has {len(samples)} samples, too few for the model's first layers."
            )
        return logits, found.hidden_states[-1][0].float().cpu() if self._hidden else None

    def _samples_per_frame(self) -> float:
        config = self._model.config
        if strides := getattr(config, "conv_stride", None):
            adapted = getattr(config, "add_adapter", False)
            layers = getattr(config, "num_adapter_layers", 0) if adapted else 0
            return math.prod(strides) * getattr(config, "adapter_stride", 1) ** layers
        count = 10 * self._front.sampling_rate
        return count / len(self(np.zeros(count, dtype=np.float32))[0])


def transformers() -> Any:
    """The package, without its progress and advice.

    Raises:
        MissingDependency: it is not installed.
    """
    try:
        import transformers as library
    except ImportError as error:
        raise MissingDependency("transformers", "transformers") from error
    library.utils.logging.set_verbosity_error()
    library.utils.logging.disable_progress_bar()
    return library


def bundle_network(model: Any, device: str) -> Network:
    """A torchaudio model; each recording alone, as they are trained without a mask."""
    import torch

    def run(samples: np.ndarray) -> tuple[Tensor, Tensor | None]:
        with torch.inference_mode():
            try:
                logits = model(torch.from_numpy(samples)[None].to(device))[0][0]
            except RuntimeError as error:
                if "size" not in str(error):
                    raise
                logits = torch.empty(0, 1)
        if not len(logits):
            raise UserError(f"The audio has {len(samples)} samples, too few for the model.")
        return logits, None

    return run
