"""A small convolutional network on log mel features, with attention pooling."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from speechkit.acoustic.features import FeatureConfig, log_mel
from speechkit.emotion import features, model_folder
from speechkit.emotion.heads import Pooling
from speechkit.emotion.predictor import FeaturePredictor, by_length
from speechkit.labels.emotions import EmotionSet
from speechkit.training.weights import build, read_weights
from speechkit.workdir import WorkDir

BATCH_FRAMES = {"cpu": 8_000, "cuda": 200_000}


class MaskedBatchNorm(nn.Module):
    """Batch normalisation whose statistics leave the padding out; what is there becomes zero
    before, and ``bias - mean * gain`` is not added to it, so it stays zero.

    Shape:
        ``[B, C, T, F]`` and a mask ``[B, 1, T, 1]`` (1 where a clip is) -> ``[B, C, T, F]``.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int, momentum: float = 0.1, eps: float = 1e-5) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))
        self.momentum, self.eps = momentum, eps

    def forward(self, values: Tensor, mask: Tensor) -> Tensor:
        values = values * mask
        if self.training:
            count = mask.sum() * values.shape[3]
            mean = values.sum((0, 2, 3)) / count
            # Fewest passes over memory, which is what a step on a CPU waits for. The difference of
            # squares is exact enough: convolutions of normalised features have small means.
            squares = torch.linalg.vector_norm(values, dim=(0, 2, 3)).square()
            variance = (squares / count - mean.square()).clamp(min=0.0)
            with torch.no_grad():
                self.running_mean.lerp_(mean, self.momentum)
                self.running_var.lerp_(variance, self.momentum)
        else:
            mean, variance = self.running_mean, self.running_var
        gain = self.weight * torch.rsqrt(variance + self.eps)
        shift = (self.bias - mean * gain)[:, None, None] * mask
        return torch.addcmul(shift, values, gain[:, None, None])


class Block(nn.Module):
    """Convolution 3 x 3, normalisation, ReLU, and the mean of 2 x 2 (or 1 x 2) neighbours.

    What lies beyond a clip is zero before the convolution and before the mean, and so is what
    is added to make the number of frames even: padding changes nothing.

    Args:
        inputs: channels in.
        outputs: channels out.
        halve_time: halve the number of frames too, rounding up.
    """

    def __init__(self, inputs: int, outputs: int, halve_time: bool) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.norm = MaskedBatchNorm(outputs)
        self.factor = 2 if halve_time else 1

    def forward(self, values: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
        """``[B, C, T, F]``, zero beyond each clip, and counts ``[B]`` of frames -> the outputs'."""
        mask = inside(counts, values.shape[2])
        values = torch.relu_(self.norm(self.convolution(values), mask))
        if values.shape[2] % self.factor:
            values = nn.functional.pad(values, (0, 0, 0, 1))
        counts = (counts + self.factor - 1) // self.factor
        return nn.functional.avg_pool2d(values, (self.factor, 2)), counts


def inside(counts: Tensor, frames: int) -> Tensor:
    """Mask ``[B, 1, T, 1]``: 1 for the frames of each clip, else 0."""
    places = torch.arange(frames, device=counts.device)
    return (places < counts[:, None]).float()[:, None, :, None]


class FbankCnn(nn.Module):
    """Four blocks of convolutions, a weighted mean over time, and a projection.

    Args:
        n_mels: filters of the features, a multiple of 16.
        classes: C.
        channels: of the blocks.
        dropout: before the projection.

    Shape:
        features ``[B, T, n_mels]`` (anything beyond a clip) and B frame counts -> ``[B, C]``.
    """

    mean: Tensor
    scale: Tensor

    def __init__(
        self,
        n_mels: int,
        classes: int,
        channels: Sequence[int] = (16, 32, 64, 64),
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(n_mels))
        self.register_buffer("scale", torch.ones(n_mels))
        widths = (1, *channels)
        self.blocks = nn.ModuleList(
            Block(a, b, number < 3)
            for number, (a, b) in enumerate(zip(widths, channels, strict=False))
        )
        size = channels[-1] * (n_mels // 2 ** len(channels))
        self.pool = Pooling("attentive", size)
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(size, classes))

    def forward(self, features: Tensor, counts: Sequence[int]) -> Tensor:
        left = torch.tensor(counts, device=features.device)
        normalised = (features - self.mean) / self.scale
        # Two frames become one at once: 20 ms are fine enough, and half the work.
        values = normalised[:, None] * inside(left, features.shape[1])
        if values.shape[2] % 2:
            values = nn.functional.pad(values, (0, 0, 0, 1))
        values = nn.functional.avg_pool2d(values, (2, 1))
        left = (left + 1) // 2
        for block in self.blocks:
            values, left = block(values, left)
        frames = values.transpose(1, 2).flatten(2)
        return self.head(self.pool(frames, left.tolist()))


class CnnPredictor(FeaturePredictor):
    """See :class:`Predictor`; a clip gets the same result in any batch.

    Args:
        folder: of the trained model.
        card: its ``config.yaml``.
        device: cpu or cuda.
    """

    def __init__(self, folder: Path, card: dict[str, Any], device: str = "cpu") -> None:
        super().__init__(folder, card)
        self.device = torch.device(device)
        network = card["network"]
        self.features = FeatureConfig(**network["features"])
        shape = (self.features.n_mels, len(self.classes), network["channels"], network["dropout"])
        path = folder / model_folder.WEIGHTS
        self.net = build(lambda: FbankCnn(*shape), read_weights(path), path).eval().to(self.device)

    def probabilities(
        self, waves: Sequence[np.ndarray], speakers: Sequence[str] | None = None
    ) -> np.ndarray:
        return self._classify([log_mel(wave, self.features) for wave in waves])

    def from_kept(
        self, workdir: WorkDir, dataset: EmotionSet, ids: Sequence[str], **how: Any
    ) -> np.ndarray | None:
        """From the features that are kept, where they are the model's own."""
        if self.features != features.FBANK:
            return None
        kept = self.kept(workdir, dataset, **how)
        return self._classify([torch.from_numpy(kept.table[name].copy()) for name in ids])

    def _classify(self, matrices: Sequence[torch.Tensor]) -> np.ndarray:
        """Probabilities ``[N, C]`` of features ``[T, n_mels]``, in batches of like length."""
        found = np.zeros((len(matrices), len(self.classes)), np.float32)
        lengths = [len(matrix) for matrix in matrices]
        for part in by_length(lengths, BATCH_FRAMES[self.device.type]):
            padded = torch.nn.utils.rnn.pad_sequence([matrices[i] for i in part], batch_first=True)
            with torch.inference_mode():
                logits = self.net(padded.to(self.device), [lengths[i] for i in part])
            found[part] = logits.float().softmax(-1).cpu().numpy()
        return found
