"""Class probabilities from the convolutional network on log mel features."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from speechkit.acoustic.features import FeatureConfig, log_mel
from speechkit.emotion import features, model_folder
from speechkit.emotion.cnn import FbankCnn
from speechkit.emotion.predictor import Predictor
from speechkit.emotion.upstream import CNN
from speechkit.labels.emotions import EmotionSet
from speechkit.training.weights import build, read_weights

if TYPE_CHECKING:
    from speechkit.workdir import WorkDir

BATCH_FRAMES = {"cpu": 8_000, "cuda": 200_000}


class CnnPredictor(Predictor):
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

    def of_utterances(
        self,
        workdir: WorkDir,
        dataset: EmotionSet,
        ids: Sequence[str],
        *,
        jobs: int = 1,
        advance: Callable[[int], None] = lambda count: None,
    ) -> np.ndarray:
        """From the features that are kept, where they are the model's own."""
        if self.features != features.FBANK:
            return super().of_utterances(workdir, dataset, ids, jobs=jobs, advance=advance)
        kept = features.extract(
            workdir, dataset, CNN, max_seconds=self.max_seconds, jobs=jobs, on_error="skip"
        )
        found = self._classify([torch.from_numpy(kept.table[name].copy()) for name in ids])
        advance(len(ids))
        return found

    def broken(
        self, workdir: WorkDir, dataset: EmotionSet, ids: Sequence[str], jobs: int = 1
    ) -> dict[str, str]:
        """Those that have no features."""
        kept = features.extract(
            workdir, dataset, CNN, max_seconds=self.max_seconds, jobs=jobs, on_error="skip"
        )
        return {name: kept.skipped[name] for name in ids if name in kept.skipped}

    def _classify(self, matrices: Sequence[torch.Tensor]) -> np.ndarray:
        """Probabilities ``[N, C]`` of features ``[T, n_mels]``, in batches of like length."""
        found = np.zeros((len(matrices), len(self.classes)), np.float32)
        order = sorted(range(len(matrices)), key=lambda i: -len(matrices[i]))
        first = 0
        while first < len(order):
            longest = len(matrices[order[first]])
            size = max(1, BATCH_FRAMES[self.device.type] // longest)
            part = order[first : first + size]
            padded = torch.nn.utils.rnn.pad_sequence([matrices[i] for i in part], batch_first=True)
            with torch.inference_mode():
                logits = self.net(padded.to(self.device), [len(matrices[i]) for i in part])
            found[part] = logits.float().softmax(-1).cpu().numpy()
            first += size
        return found
