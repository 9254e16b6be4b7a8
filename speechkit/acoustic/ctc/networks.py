"""Networks of Hugging Face and torchaudio: samples to logits."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from speechkit.acoustic.base import layer_number
from speechkit.base.errors import MissingDependency, UserError

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
        hidden: return a layer's features as well: True for the last, or its number from 1.
        head: load the CTC head; without it the logits are the last layer's features.

    Attributes:
        ratio: samples per frame.
        hidden: number and width of that layer; (0, 0) without.

    Raises:
        UserError: the model cannot be loaded, or has no such layer.
        MissingDependency: transformers is not installed.
    """

    def __init__(
        self,
        folder: Path,
        device: str,
        front: dict[str, Any],
        hidden: bool | int,
        head: bool = True,
    ) -> None:
        import torch

        library = transformers()
        try:
            kind = library.AutoModelForCTC if head else library.AutoModel
            loaded, told = kind.from_pretrained(
                folder, local_files_only=True, dtype=torch.float32, output_loading_info=True
            )
            extractor = library.AutoFeatureExtractor if front else library.Wav2Vec2FeatureExtractor
            self._front = extractor.from_pretrained(folder) if front else extractor()
        except Exception as error:  # formats have errors of their own; the reason is shown
            reason = " ".join(str(error).split())[:300]
            raise UserError(
                f"The {'CTC model' if head else 'encoder'} in {folder} cannot be loaded: {reason}",
                f"It must be saved by Hugging Face transformers{', with a CTC head' * head}.",
            ) from error
        if missing := sorted(k for k in told["missing_keys"] if not k.endswith(_MAY_LACK)):
            raise UserError(
                f"{folder} lacks {len(missing)} weights of {'a CTC model' if head else 'its'} "
                f"({missing[0]} ...).",
                "Take one that was fine-tuned to write phones, not the bare encoder."
                if head
                else "Save it again with save_pretrained.",
            )
        self._model, self._device, self._head = loaded.eval().to(device), device, head
        self.hidden = _layer_of(loaded.config, hidden, str(folder)) if hidden else (0, 0)
        self.ratio = self._samples_per_frame()

    def __call__(self, samples: np.ndarray) -> tuple[Tensor, Tensor | None]:
        import torch

        rate = self._front.sampling_rate
        with torch.inference_mode():
            inputs = self._front(samples, sampling_rate=rate, return_tensors="pt")
            on_device = {key: value.to(self._device) for key, value in inputs.items()}
            try:
                found = self._model(**on_device, output_hidden_states=bool(self.hidden[0]))
                logits = (found.logits if self._head else found.last_hidden_state)[0]
            except RuntimeError as error:
                if "size" not in str(error):
                    raise
                logits = torch.empty(0, 1)
        if not len(logits):
            raise UserError(
                f"The audio has {len(samples)} samples, too few for the model's first layers."
            )
        layer, _ = self.hidden  # the first of the states is the input of the first layer
        return logits, found.hidden_states[layer][0].float().cpu() if layer else None

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


class BundleNetwork:
    """A torchaudio model; each recording alone, as they are trained without a mask.

    Args:
        model: of a bundle.
        name: of the bundle.
        device: cpu or cuda.
        hidden: return a layer's features as well: True for the last, or its number from 1.
        sample_rate: in Hz.
        head: give logits; without it they are the layer's features, and the head is not run.

    Attributes:
        hidden: number and width of that layer; (0, 0) without.

    Raises:
        UserError: the model has no such layer.
    """

    def __init__(
        self,
        model: Any,
        name: str,
        device: str,
        hidden: bool | int = False,
        sample_rate: int = 16_000,
        head: bool = True,
    ) -> None:
        assert head or hidden
        self._model, self._device, self._head = model, device, head
        self.hidden = (0, 0)
        if hidden:
            layers = self._layers(np.zeros(sample_rate, dtype=np.float32), None)
            number = layer_number(hidden, len(layers), name)
            self.hidden = (number, layers[number - 1].shape[-1])

    def __call__(self, samples: np.ndarray) -> tuple[Tensor, Tensor | None]:
        import torch

        (layer, _), features, logits = self.hidden, None, None
        try:
            with torch.inference_mode():
                if layer:  # torchaudio runs the layers for these and once more for logits
                    features = self._layers(samples, layer)[-1][0].float().cpu()
                if self._head:
                    wave = torch.from_numpy(samples)[None].to(self._device)
                    logits = self._model(wave)[0][0]
        except RuntimeError as error:
            if "size" not in str(error):
                raise
        found = logits if self._head else features
        if found is None or not len(found):
            raise UserError(f"The audio has {len(samples)} samples, too few for the model.")
        return found, features

    def _layers(self, samples: np.ndarray, count: int | None) -> list[Tensor]:
        """Outputs ``[1, T, D]`` of the first layers (None: of all)."""
        import torch

        with torch.inference_mode():
            wave = torch.from_numpy(samples)[None].to(self._device)
            found: list[Tensor] = self._model.extract_features(wave, num_layers=count)[0]
            return found


def _layer_of(config: Any, wanted: bool | int, model: str) -> tuple[int, int]:
    """Number and width of a layer of a Hugging Face model."""
    if getattr(config, "is_encoder_decoder", False):
        raise UserError(
            f"{model} has a decoder too.", "Take an encoder (wav2vec2, HuBERT, WavLM ...)."
        )
    if getattr(config, "add_adapter", False):
        raise UserError(
            f"The acoustic model {model} shortens its frames by an adapter after its layers, "
            "so their features have no frames of its posteriors.",
            "Take a model without an adapter.",
        )
    return layer_number(wanted, int(config.num_hidden_layers), model), int(config.hidden_size)
