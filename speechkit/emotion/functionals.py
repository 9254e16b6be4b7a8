"""A classifier of vectors: normalisation, then a linear model or one hidden layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from speechkit.base.errors import UserError
from speechkit.base.log import note_once
from speechkit.emotion import features, model_folder
from speechkit.emotion.calibration import softmax
from speechkit.emotion.predictor import FeaturePredictor
from speechkit.labels.emotions import EmotionSet

if TYPE_CHECKING:
    import torch

    from speechkit.workdir import WorkDir

LIMIT = 5.0  # standard deviations; beyond, openSMILE's ratios are outliers
_CONSTANT = 1e-6  # of the mean: a smaller deviation is rounding
Statistics = dict[str, tuple[np.ndarray, np.ndarray]]  # speaker -> mean and deviation, [D] each
_FLOOR = 1e-3  # of the deviation of all: a speaker's own is taken to be no smaller


@dataclass(frozen=True)
class Normaliser:
    """Values in standard deviations from the mean of the training clips, or of the speaker.

    Args:
        mean: of the training clips, ``[D]``.
        scale: their standard deviation; 0 for a value that is constant, which becomes 0.
    """

    mean: np.ndarray
    scale: np.ndarray

    @classmethod
    def fit(cls, vectors: np.ndarray) -> Normaliser:
        """Of training vectors ``[N, D]``."""
        wide = vectors.astype(np.float64)
        mean, scale = wide.mean(0), wide.std(0)
        scale[scale <= _CONSTANT * np.abs(mean)] = 0
        return cls(mean.astype(np.float32), scale.astype(np.float32))

    def __call__(
        self, vectors: np.ndarray, speakers: Sequence[str] = (), own: Statistics | None = None
    ) -> np.ndarray:
        """Normalised float32 ``[N, D]``, within ±5.

        Args:
            vectors: ``[N, D]``.
            speakers: of each.
            own: what takes the place of the training clips' mean and deviation for each speaker,
                from :func:`speaker_statistics`. No label is used for it; as clips of test speakers
                are among them, results are *transductive*.
        """
        found, names = _standard(vectors, self.mean, self.scale), np.array(speakers)
        for name, (mean, deviation) in (own or {}).items():
            scale = np.where(self.scale > 0, np.maximum(deviation, _FLOOR * self.scale), 0)
            found[names == name] = _standard(vectors[names == name], mean, scale)
        return found


def _standard(vectors: np.ndarray, mean: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Deviations from the mean, limited; 0 where the scale is 0."""
    gain = np.divide(1, scale, out=np.zeros_like(scale), where=scale > 0)
    return np.clip((vectors - mean) * gain, -LIMIT, LIMIT).astype(np.float32)


def speaker_statistics(vectors: np.ndarray, speakers: Sequence[str]) -> Statistics:
    """Speaker -> mean and standard deviation ``[D]`` of the speaker's vectors."""
    names = np.array(speakers)
    found = {}
    for name in sorted(set(speakers)):
        own = vectors[names == name].astype(np.float64)
        found[name] = (own.mean(0).astype(np.float32), own.std(0).astype(np.float32))
    return found


def own_statistics(kept: features.Features, dataset: EmotionSet, ids: Sequence[str]) -> Statistics:
    """The same of the speakers of some utterances, over all of their clips that are kept."""
    wanted = {dataset.speaker(name) for name in ids}
    every = [name for name in kept.table if dataset.speaker(name) in wanted]
    return speaker_statistics(kept.table.stack(every), [dataset.speaker(n) for n in every])


def logits(weights: Mapping[str, np.ndarray], inputs: np.ndarray) -> np.ndarray:
    """``[N, C]`` of normalised inputs ``[N, D]``: linear, or with one hidden layer (ReLU)."""
    hidden = inputs
    if "hidden.weight" in weights:
        hidden = np.maximum(inputs @ weights["hidden.weight"].T + weights["hidden.bias"], 0)
    return hidden @ weights["output.weight"].T + weights["output.bias"]


class FunctionalsPredictor(FeaturePredictor):
    """See :class:`Predictor`. It needs no network: the arithmetic is NumPy's.

    Args:
        folder: of the trained model.
        card: its ``config.yaml``.
    """

    def __init__(self, folder: Path, card: dict[str, Any]) -> None:
        super().__init__(folder, card)
        self.spec = str(card["upstream"])
        self.weights = _read_weights(folder / model_folder.WEIGHTS, len(self.classes))
        self.normalise = Normaliser(self.weights["mean"], self.weights["scale"])
        self.by_speaker = bool(card["network"]["speaker_norm"])

    def probabilities(
        self, waves: Sequence[np.ndarray], speakers: Sequence[str] | None = None
    ) -> np.ndarray:
        """With per-speaker normalisation, mean and deviation are those of the given waves.

        Without speakers, those of the training clips take their place, which is said once.
        """
        vectors = np.stack([features.of_wave(wave, self.spec) for wave in waves])
        own = None
        if self.by_speaker and speakers is None:
            experiment = self.folder.parent.parent.name
            note_once(
                f"no-speaker-{experiment}",
                f"'{experiment}' normalises by speaker, but the speaker is not known: the mean of "
                "its training clips is taken, which is less exact.",
            )
        elif self.by_speaker and speakers is not None:
            own = speaker_statistics(vectors, speakers)
        return self._classify(vectors, speakers or (), own)

    def from_kept(
        self, workdir: WorkDir, dataset: EmotionSet, ids: Sequence[str], **how: Any
    ) -> np.ndarray | None:
        """From the features that are kept; a speaker's statistics are over the whole set."""
        kept = self.kept(workdir, dataset, **how)
        own = own_statistics(kept, dataset, ids) if self.by_speaker else None
        speakers = [dataset.speaker(name) for name in ids]
        return self._classify(kept.table.stack(ids), speakers, own)

    def _classify(
        self, vectors: np.ndarray, speakers: Sequence[str], own: Statistics | None
    ) -> np.ndarray:
        inputs = self.normalise(vectors, speakers, own)
        return softmax(logits(self.weights, inputs)).astype(np.float32)


def _read_weights(path: Path, classes: int) -> dict[str, np.ndarray]:
    """The arrays of a model, of shapes that go together."""
    from speechkit.training.weights import read_weights

    weights = {name: value.numpy() for name, value in read_weights(path).items()}
    inputs = weights["mean"].size if "mean" in weights else 0
    hidden = weights["hidden.weight"].shape[:1] if "hidden.weight" in weights else ()
    wanted: dict[str, tuple[int, ...]] = {
        "mean": (inputs,), "scale": (inputs,),
        "output.weight": (classes, *(hidden or (inputs,))), "output.bias": (classes,),
        **({"hidden.weight": (*hidden, inputs), "hidden.bias": hidden} if hidden else {}),
    }  # fmt: skip
    for name, shape in wanted.items():
        have = weights.get(name)
        if have is None or have.shape != shape or have.dtype.kind != "f":
            raise UserError(
                f"{path} does not fit {classes} classes and {inputs} inputs: '{name}' is "
                f"{'missing' if have is None else have.shape}.",
                "Copy it again, or train again.",
            )
    return weights


def weights_of(normaliser: Normaliser, layers: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    """Tensors of ``model.safetensors``."""
    import torch

    return {
        "mean": torch.from_numpy(normaliser.mean),
        "scale": torch.from_numpy(normaliser.scale),
        **layers,
    }
