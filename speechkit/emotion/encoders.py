"""Self-supervised speech encoders of Hugging Face: waves in, frames out, exact with padding."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from speechkit.base.errors import ConfigError, UserError
from speechkit.emotion import encoder_files
from speechkit.emotion.encoder_files import Preprocessing
from speechkit.emotion.layers import SpecAugment, make_exact, use_quick_dropout

_EPSILON = 1e-7  # of the variance, as in Hugging Face's feature extractor


class Encoder(nn.Module):
    """A wav2vec2, HuBERT, WavLM or data2vec-audio model (XLS-R is a wav2vec2).

    A clip gets the same frames in any batch (see :mod:`speechkit.emotion.layers`).

    Args:
        model: the Hugging Face model.
        preprocessing: of waves.
        spec: the name that it was loaded by.
        published: the model's own configuration, before ours changed it.

    Attributes:
        sample_rate: in Hz.
        size: D, features of a frame.
        layers: L, transformer layers.
        augment: SpecAugment in training mode, or None.
        normed_last: whether the last of all layers is taken after the final norm.
    """

    def __init__(
        self, model: Any, preprocessing: Preprocessing, spec: str = "", published: Any = None
    ) -> None:
        super().__init__()
        self.model, self.preprocessing, self.spec = model, preprocessing, spec
        self.config: Any = model.config
        self.published: Any = published or model.config
        self.sample_rate = preprocessing.sample_rate
        self.size = int(self.config.hidden_size)
        self.layers = len(model.encoder.layers)
        self.augment: SpecAugment | None = None
        self.normed_last = True
        use_quick_dropout(model)
        self._lengths = make_exact(model)
        self._frames: Sequence[int] = ()
        self._kept: dict[int, Tensor] | None = None
        self._only: int | None = None
        self.config.apply_spec_augment = False  # ours is put in its place
        model._mask_hidden_states = self._mask
        self._watch()
        convolve = model.feature_extractor.forward
        model.feature_extractor.forward = (  # what was convolved before goes through
            lambda x: x.transpose(1, 2) if x.ndim == 3 else convolve(x)
        )

    @property
    def shortest(self) -> int:
        """Samples of the shortest clip that gives a frame."""
        needed = 1
        for kernel, stride in self._convolutions()[::-1]:
            needed = (needed - 1) * stride + kernel
        return needed

    def frames(self, samples: int, convolutions: int | None = None) -> int:
        """Frames of so many samples (after the first ``convolutions`` layers)."""
        for kernel, stride in self._convolutions()[:convolutions]:
            samples = (samples - kernel) // stride + 1
        return samples

    def _convolutions(self) -> list[tuple[int, int]]:
        return list(zip(self.config.conv_kernel, self.config.conv_stride, strict=True))

    def prepare(self, waves: Sequence[np.ndarray]) -> tuple[Tensor, list[int]]:
        """Normalise and pad waves ``[T]`` -> ``[B, longest]`` and their lengths.

        Raises:
            UserError: a wave is shorter than one frame.
        """
        lengths = [len(wave) for wave in waves]
        if min(lengths) < self.shortest:
            raise UserError(
                f"A clip of {min(lengths) / self.sample_rate:.3f} s is shorter than one frame of "
                f"the encoder ({self.shortest / self.sample_rate:.3f} s).",
                "Leave it out.",
            )
        batch = np.zeros((len(waves), max(lengths)), np.float32)
        for row, wave in zip(batch, waves, strict=True):
            row[: len(wave)] = self.normalise(wave)
        return torch.from_numpy(batch), lengths

    def normalise(self, wave: np.ndarray) -> np.ndarray:
        """Mean 0 and variance 1, where the model was trained so; silence stays zero."""
        if not self.preprocessing.normalise:
            return wave
        centred = wave.astype(np.float64) - wave.mean(dtype=np.float64)
        return (centred / np.sqrt(np.square(centred).mean() + _EPSILON)).astype(np.float32)

    def forward(
        self, waves: Tensor, lengths: Sequence[int], all_layers: bool = False
    ) -> tuple[Tensor, list[int]]:
        """Frames of waves that :meth:`prepare` gave.

        Args:
            waves: ``[B, T]``, or what :meth:`convolve` made of them.
            lengths: samples of each.
            all_layers: give the input of the transformer and the output of every layer.

        Returns:
            ``[B, T', D]``, or ``[B, L + 1, T', D]``, and the frames of each clip; what lies
            beyond them has no meaning.
        """
        frames = [self.frames(n) for n in lengths]
        self._frames = frames
        longest = waves.shape[1] if waves.ndim == 2 else max(lengths)
        padded = min(lengths) < longest
        mask = None
        if padded:
            mask = torch.arange(longest, device=waves.device) < torch.tensor(
                lengths, device=waves.device
            ).unsqueeze(1)
        self._set_lengths(lengths, padded, waves.device)
        self._kept = {} if all_layers or self._only is not None else None
        last = self.model(waves, attention_mask=None if mask is None else mask.long())[0]
        if self._kept is None:
            return last, frames
        kept, self._kept = self._kept, None
        if self._only is not None:  # a dropped layer passes its input on
            return kept[max(place for place in kept if place <= self._only)], frames
        return self._stack(kept, last), frames

    def convolve(self, waves: Tensor, lengths: Sequence[int]) -> Tensor:
        """Output of the convolutions ``[B, T', C]``, which stays the same where they are frozen."""
        self._set_lengths(lengths, min(lengths) < waves.shape[1], waves.device)
        return self.model.feature_extractor(waves).transpose(1, 2)

    def _set_lengths(self, lengths: Sequence[int], padded: bool, device: torch.device) -> None:
        self._lengths.convolved = [self.frames(n, 1) for n in lengths] if padded else None
        self._lengths.mask = None
        if padded and len(set(self._frames)) > 1:
            places = torch.arange(max(self._frames), device=device)
            self._lengths.mask = (
                places < torch.tensor(self._frames, device=device).unsqueeze(1)
            ).unsqueeze(1)

    def _stack(self, kept: dict[int, Tensor], last: Tensor) -> Tensor:
        """All layers in order; a layer that was dropped passes its input on."""
        found = [kept[0]]
        for layer in range(1, self.layers):
            found.append(kept.get(layer, found[-1]))
        if not self.normed_last:
            last = kept.get(self.layers, found[-1])
        return torch.stack([*found, last], dim=1)

    def _watch(self) -> None:
        """Keep what goes into and out of the transformer's layers, where it is asked for."""

        def keep(place: int, value: Any) -> None:
            if self._kept is not None:
                self._kept[place] = value[0] if isinstance(value, tuple) else value

        self.model.encoder.dropout.register_forward_hook(
            lambda module, inputs, output: keep(0, output)
        )
        for place, layer in enumerate(self.model.encoder.layers, 1):
            layer.register_forward_hook(
                lambda module, inputs, output, place=place: keep(place, output)
            )

    def _mask(self, hidden: Tensor, *arguments: Any, **named: Any) -> Tensor:
        """In place of Hugging Face's ``_mask_hidden_states``."""
        if self.augment is None or not self.training:
            return hidden
        return self.augment(hidden, self._frames, getattr(self.model, "masked_spec_embed", None))

    def take_layer(self, layers: str) -> None:
        """Give the output of a layer from now on; later layers are removed.

        Args:
            layers: its number (0: what the first layer gets); ``last`` and ``weighted`` change
                nothing.

        Raises:
            UserError: there are fewer layers.
        """
        if not layers.isdecimal():
            return
        number = int(layers)
        if number > self.layers:
            raise ConfigError(
                "layers",
                f"{number}: {self.spec or 'the encoder'} has {self.layers}.",
                f"Accepted: 0 to {self.layers}, last, weighted.",
            )
        if number < self.layers:
            self.model.encoder.layers = self.model.encoder.layers[:number]
            self.layers = self._only = number

    def freeze_features(self) -> None:
        """Train no convolution."""
        self.model.feature_extractor._freeze_parameters()

    def checkpoint_gradients(self) -> None:
        """Compute activations again in the backward pass instead of keeping them."""
        self.model.gradient_checkpointing_enable(
            gradient_checkpointing_kwargs={"use_reentrant": False}
        )


def load_encoder(spec: str, device: torch.device | str = "cpu") -> Encoder:
    """A pretrained encoder in eval mode.

    Args:
        spec: see :func:`speechkit.emotion.encoder_files.find`.
        device: where it computes.

    Raises:
        UserError: it is not there, not of a known family, or not whole.
    """
    folder = encoder_files.find(spec)
    config = encoder_files.read_config(folder)
    model = encoder_files.load_model(folder, config)
    return Encoder(model, encoder_files.preprocessing(folder), spec, config).eval().to(device)


def build_encoder(folder: Path) -> Encoder:
    """An encoder of a folder's ``config.json``, without weights.

    Raises:
        UserError: the configuration is damaged or of another family.
    """
    config = encoder_files.read_config(folder)
    model = encoder_files.new_model(config)
    return Encoder(model, encoder_files.preprocessing(folder), "", config).eval()
