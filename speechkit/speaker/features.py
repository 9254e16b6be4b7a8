"""Log mel features of x-vector networks: SpeechBrain's Fbank, mean-normalised."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn


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
