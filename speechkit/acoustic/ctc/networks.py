"""Networks of Hugging Face and torchaudio: samples to logits and hidden features."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from speechkit.acoustic.interface import layer_number
from speechkit.base import hub, schema
from speechkit.base.errors import MissingDependency, UserError, closest, is_out_of_memory, one_line

if TYPE_CHECKING:
    from torch import Tensor

TORCHAUDIO = "torchaudio:"
MAP_FILE = "arpabet.txt"
_FILES = ["*.json", "*.safetensors", "pytorch_model*.bin", MAP_FILE]
_WEIGHTS = ("model*.safetensors", "pytorch_model*.bin")
_PIECES = 64  # of a weights file that its fingerprint reads
_PIECE = 1 << 16  # bytes
_MAY_LACK = ("masked_spec_embed",)  # only used in training
_SHORT = 0.1  # s: shorter recordings may not fill the first layers, which PyTorch then refuses


class Network:
    """Samples ``[N]`` to logits ``[T, V]`` and hidden features ``[T, D]`` of one recording.

    Attributes:
        name: of the model, for messages.
        sample_rate: in Hz.
        frame_shift: in seconds.
        fingerprint: of weights and preprocessing.
        hidden: number and width of the layer whose features it gives; (0, 0): none.
    """

    name: str
    sample_rate: int
    frame_shift: float
    fingerprint: str
    hidden: tuple[int, int] = (0, 0)

    def __call__(self, samples: np.ndarray) -> tuple[Tensor, Tensor | None]:
        """Logits and hidden features.

        Raises:
            UserError: the audio is too short for the network.
        """
        try:
            logits, hidden = self._run(samples)
        except RuntimeError as error:
            if is_out_of_memory(error) or len(samples) >= _SHORT * self.sample_rate:
                raise
            logits = None
        if logits is None or not len(logits):
            raise UserError(
                f"The audio has {len(samples)} samples, too few for the model's first layers."
            )
        return logits, hidden

    def _run(self, samples: np.ndarray) -> tuple[Tensor | None, Tensor | None]:
        raise NotImplementedError


class HuggingFaceNetwork(Network):
    """A ``...ForCTC`` model with its feature extractor, one recording at a time.

    Models with group normalisation give other results with padding, so there is none.
    Normalisation and mask are those of the extractor.

    Args:
        folder: with config.json, weights, and perhaps preprocessor_config.json (without: 16 kHz,
            normalised).
        name: of the model.
        device: cpu or cuda.
        hidden: return a layer's features as well: True for the last, or its number from 1.
        head: load the CTC head; without it the logits are the last layer's features.

    Raises:
        UserError: the model cannot be loaded, or has no such layer.
        MissingDependency: transformers is not installed.
    """

    def __init__(
        self, folder: Path, name: str, device: str, hidden: bool | int, head: bool = True
    ) -> None:
        import torch

        front = read_json(folder / "preprocessor_config.json", optional=True)
        self.name, self.sample_rate = name, int(front.get("sampling_rate", 16_000))
        library = transformers()
        try:
            kind = library.AutoModelForCTC if head else library.AutoModel
            loaded, told = kind.from_pretrained(
                folder, local_files_only=True, dtype=torch.float32, output_loading_info=True
            )
            extractor = library.AutoFeatureExtractor if front else library.Wav2Vec2FeatureExtractor
            self._front = extractor.from_pretrained(folder) if front else extractor()
        except Exception as error:  # formats have errors of their own; the reason is shown
            raise UserError(
                f"The {'CTC model' if head else 'encoder'} in {folder} cannot be loaded: "
                f"{one_line(error)}",
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
        if hidden:
            self.hidden = _layer_of(loaded.config, hidden, str(folder))
        self.frame_shift = self._samples_per_frame() / self.sample_rate
        self.fingerprint = fingerprint(folder)

    def _run(self, samples: np.ndarray) -> tuple[Tensor | None, Tensor | None]:
        import torch

        rate = self._front.sampling_rate
        layer, _ = self.hidden  # the first of the states is the input of the first layer
        with torch.inference_mode():
            inputs = self._front(samples, sampling_rate=rate, return_tensors="pt")
            on_device = {key: value.to(self._device) for key, value in inputs.items()}
            found = self._model(**on_device, output_hidden_states=bool(layer))
            logits = (found.logits if self._head else found.last_hidden_state)[0]
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


class BundleNetwork(Network):
    """A torchaudio model; each recording alone, as they are trained without a mask.

    Args:
        bundle: of :func:`find_bundle`.
        name: ``torchaudio:BUNDLE``.
        device: cpu or cuda.
        hidden: return a layer's features as well: True for the last, or its number from 1.
        head: give logits; without it they are the layer's features, and the head is not run.

    Raises:
        UserError: the model could not be fetched, or has no such layer.
    """

    def __init__(
        self, bundle: Any, name: str, device: str, hidden: bool | int, head: bool = True
    ) -> None:
        assert head or hidden
        short = name.removeprefix(TORCHAUDIO)
        try:
            self._model = bundle.get_model().eval().to(device)
        except OSError as error:
            raise UserError(
                f"The bundle '{short}' could not be fetched: {error}.",
                "Where there is a network, torchaudio keeps it in ~/.cache/torch/hub; copy it "
                "here.",
            ) from error
        self.name, self._device, self._head = name, device, head
        self.sample_rate, self.fingerprint = int(bundle.sample_rate), f"torchaudio-{short}"
        self.frame_shift = 320 / self.sample_rate
        if hidden:
            layers = self._layers(np.zeros(self.sample_rate, dtype=np.float32), None)
            number = layer_number(hidden, len(layers), name)
            self.hidden = (number, layers[number - 1].shape[-1])

    def _run(self, samples: np.ndarray) -> tuple[Tensor | None, Tensor | None]:
        import torch

        layer, _ = self.hidden  # torchaudio runs the layers for these and once more for logits
        features = self._layers(samples, layer)[-1][0].float().cpu() if layer else None
        if not self._head:
            return features, features
        with torch.inference_mode():
            return self._model(torch.from_numpy(samples)[None].to(self._device))[0][0], features

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


def folder_of(name: str) -> Path:
    """The folder of a Hugging Face model: itself, or one fetched from the hub.

    Raises:
        UserError: it is neither there nor on the hub, or cannot be fetched.
    """
    name = name.removeprefix(hub.PREFIX)
    if Path(name).is_dir():
        return Path(name)
    if not hub.is_repository(name):
        raise UserError(
            f"'{name}' is neither a folder nor a model of the Hugging Face hub.",
            "Expected hf:OWNER/NAME.",
        )
    return hub.fetch(name, _FILES, "am", check="config.json")


def read_json(path: Path, optional: bool = False) -> dict[str, Any]:
    """A JSON object of a file; an empty one where an optional file is not there.

    Raises:
        UserError: it is missing or damaged.
    """
    if optional and not path.is_file():
        return {}
    remedy = "A CTC model of Hugging Face has config.json, vocab.json and its weights."
    return schema.read_json(path, schema.Object, remedy)


def fingerprint(folder: Path) -> str:
    """SHA-256 of the configuration and of pieces all over the weights.

    A gigabyte is not read for it: of each file its size and 64 pieces of 64 KiB count.
    """
    digest = hashlib.sha256()
    for name in ("config.json", "vocab.json", "preprocessor_config.json"):
        if (folder / name).is_file():
            digest.update((folder / name).read_bytes())
    for path in sorted(p for pattern in _WEIGHTS for p in folder.glob(pattern)):
        size = path.stat().st_size
        digest.update(f"{path.name} {size}".encode())
        with path.open("rb") as file:
            for start in np.linspace(0, max(0, size - _PIECE), _PIECES).astype(int):
                file.seek(int(start))
                digest.update(file.read(_PIECE))
    return digest.hexdigest()


def find_bundle(name: str, kind: str, what: str = "") -> Any:
    """A bundle of torchaudio by its name.

    Args:
        name: ``torchaudio:BUNDLE``.
        what: messages put before "bundle".

    Raises:
        UserError: there is none.
    """
    from torchaudio import pipelines

    name = name.removeprefix(TORCHAUDIO)
    bundles = {n: getattr(pipelines, n) for n in dir(pipelines)}
    bundles = {n: b for n, b in bundles.items() if isinstance(b, getattr(pipelines, kind))}
    if name not in bundles:
        raise UserError(
            f"torchaudio has no {what}bundle '{name}'.{closest(name, bundles)}",
            f"Bundles: {', '.join(bundles)}.",
        )
    return bundles[name]
