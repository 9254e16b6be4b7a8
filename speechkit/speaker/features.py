"""Log mel features of x-vector networks: SpeechBrain's Fbank, mean-normalised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import torch
from msgspec import Meta
from torch import Tensor, nn


@dataclass(frozen=True)
class FbankSettings:
    """Settings of ``speechbrain.lobes.features.Fbank`` that a model may have; None: its default.

    Args:
        n_mels: filters.
        n_fft: points of the spectrum.
        f_min: lower edge of the first filter in Hz.
        f_max: upper edge of the last filter in Hz.
        win_length: of a frame in ms.
        hop_length: from frame to frame in ms.
        deltas: differences beside the features.
    """

    n_mels: Annotated[int, Meta(ge=1, le=1 << 10)] = 40
    n_fft: Annotated[int, Meta(ge=16, le=1 << 16)] | None = None
    f_min: Annotated[float, Meta(ge=0, le=1e7)] | None = None
    f_max: Annotated[float, Meta(gt=0, le=1e7)] | None = None
    win_length: Annotated[float, Meta(ge=1, le=1000)] | None = None
    hop_length: Annotated[float, Meta(ge=1, le=1000)] | None = None
    deltas: bool | None = None

    def given(self) -> dict[str, Any]:
        """Those that are not left to the default."""
        return {name: value for name, value in asdict(self).items() if value is not None}


class LogMel(nn.Module):
    """Log mel filterbank in dB, the mean of each utterance taken away.

    Frames are centred every ``hop_ms``; an utterance of n samples has 1 + n // hop of them,
    and the padding behind it changes none.

    Args:
        sample_rate: in Hz.
        n_mels: filters.
        options: further arguments of ``speechbrain.lobes.features.Fbank``.

    Shape:
        - Input: samples ``[B, N]``, optional B lengths in samples.
        - Output: features ``[B, T, n_mels]`` and B lengths in frames.
    """

    def __init__(self, sample_rate: int, n_mels: int, **options: Any) -> None:
        from speechbrain.lobes.features import Fbank

        super().__init__()
        window = round(sample_rate * options.get("win_length", 25) / 1000)
        options.setdefault("n_fft", max(400, window))  # SpeechBrain's 400 fits up to 16 kHz
        self.fbank = Fbank(sample_rate=sample_rate, n_mels=n_mels, **options)
        self.hop = round(sample_rate * options.get("hop_length", 10) / 1000)

    def forward(
        self, samples: Tensor, lengths: Sequence[int] | None = None
    ) -> tuple[Tensor, list[int]]:
        with torch.autocast(samples.device.type, enabled=False):
            features = self.fbank(samples.float())
        frames = [1 + n // self.hop for n in lengths or [samples.shape[1]] * len(samples)]
        for row, count in enumerate(frames):
            features[row] -= features[row, :count].mean(0)
            features[row, count:] = 0
        return features, frames
