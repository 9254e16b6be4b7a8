"""A trained emotion model of any kind, loaded for prediction."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from speechkit.base.cluster import kept_for_map
from speechkit.base.errors import needed_by_all
from speechkit.base.parallel import map_items
from speechkit.emotion import features, model_folder
from speechkit.emotion.calibration import temper
from speechkit.kaldi.data import Utterance
from speechkit.labels.emotions import EmotionSet, read_clip
from speechkit.workdir import WorkDir

BATCH = 8  # clips that a network hears at once


class Predictor(ABC):
    """Class probabilities of clips.

    Args:
        folder: of the trained model.
        card: its ``config.yaml``.

    Attributes:
        classes: in the order of the probabilities.
        sample_rate: in Hz, of the waves that it takes.
        max_seconds: most seconds of a clip that were used in training.
        temperature: that calibrates the probabilities; None where none was chosen.
        device: where a network computes: cpu or cuda.
    """

    device: Any = "cpu"

    def __init__(self, folder: Path, card: dict[str, Any]) -> None:
        self.folder, self.card = folder, card
        self.classes: tuple[str, ...] = tuple(card["classes"])
        self.sample_rate = int(card["sample_rate"])
        self.max_seconds = float(card["training"].get("max_seconds", 30.0))
        self.temperature = model_folder.temperature(card)

    def open(self) -> None:
        """Load now what else is loaded when the first wave comes."""
        return

    def calibrated(self, probabilities: np.ndarray) -> np.ndarray:
        """Probabilities ``[N, C]`` of the model with its temperature, where it has one."""
        if self.temperature is None:
            return probabilities
        return temper(probabilities, self.temperature)

    @abstractmethod
    def probabilities(
        self, waves: Sequence[np.ndarray], speakers: Sequence[str] | None = None
    ) -> np.ndarray:
        """Probabilities float32 ``[N, C]`` of mono waves ``[T]`` at ``sample_rate``.

        They are not calibrated. A wave gets the same result in any batch.

        Args:
            waves: the clips.
            speakers: of each, for a model that normalises by speaker.
        """

    def of_utterances(
        self,
        workdir: WorkDir,
        dataset: EmotionSet,
        ids: Sequence[str],
        *,
        advance: Callable[[int], None] = lambda count: None,
        jobs: int = 1,
        executor: str = "local",
    ) -> np.ndarray:
        """Probabilities ``[N, C]`` of utterances of a set: from what is kept, or from audio.

        They are not calibrated.

        Args:
            advance: told the number of clips that are done.
            jobs: processes that make what is to be kept.
            executor: local, or dask://HOST:PORT also for clips that a network hears.
        """
        how = {"jobs": jobs, "executor": executor}
        if (kept := self.from_kept(workdir, dataset, ids, **how)) is not None:
            advance(len(ids))
            return kept
        utterances = dataset.utterances(ids)
        found = np.zeros((len(ids), len(self.classes)), np.float32)
        durations = dataset.data.durations
        order = sorted(range(len(ids)), key=lambda i: durations.get(ids[i], 0.0))
        places = [order[first : first + BATCH] for first in range(0, len(order), BATCH)]
        batches = [[utterances[i] for i in part] for part in places]
        # In this process the network has all cores.
        hear: Callable[[Sequence[Utterance]], np.ndarray] = self.of_clips
        if executor != "local":
            hear = partial(_in_worker, type(self), self.folder.resolve(), str(self.device))
        made = map_items(hear, batches, executor=executor, name=lambda clips: clips[0].id)
        for part, done in zip(places, made, strict=True):
            found[part] = done.value
            advance(len(part))
        return found

    def of_clips(self, clips: Sequence[Utterance]) -> np.ndarray:
        """Probabilities ``[N, C]`` of clips, which are read and heard at once."""
        waves = [read_clip(one, self.sample_rate, self.max_seconds) for one in clips]
        return self.probabilities(waves, [one.speaker for one in clips])

    def from_kept(
        self, workdir: WorkDir, dataset: EmotionSet, ids: Sequence[str], **how: Any
    ) -> np.ndarray | None:
        """The same from features or hidden states of the set; None where the model reads none."""
        return None

    @abstractmethod
    def broken(
        self, workdir: WorkDir, dataset: EmotionSet, ids: Sequence[str], **how: Any
    ) -> dict[str, str]:
        """Utterance -> why it cannot be used, for those of a set that cannot; ``how`` as above."""


class FeaturePredictor(Predictor):
    """A predictor that reads the features of a set that are kept in ``exp/emotion_features/``."""

    def kept(self, workdir: WorkDir, dataset: EmotionSet, **how: Any) -> features.Features:
        """The features of a set, computed where they are not there."""
        return features.extract(
            workdir,
            dataset,
            str(self.card["upstream"]),
            max_seconds=self.max_seconds,
            on_error="skip",
            **how,
        )

    def broken(
        self, workdir: WorkDir, dataset: EmotionSet, ids: Sequence[str], **how: Any
    ) -> dict[str, str]:
        """Those that have no features."""
        skipped = self.kept(workdir, dataset, **how).skipped
        return {name: skipped[name] for name in ids if name in skipped}


@kept_for_map
@lru_cache(maxsize=1)
@needed_by_all()
def _loaded(kind: Callable[..., Predictor], folder: Path, device: str) -> Predictor:
    return kind(folder, model_folder.read_card(folder), device)


def _in_worker(
    kind: Callable[..., Predictor], folder: Path, device: str, clips: Sequence[Utterance]
) -> np.ndarray:
    return _loaded(kind, folder, device).of_clips(clips)


def by_length(lengths: Sequence[int], most: float) -> Iterator[list[int]]:
    """Places of clips in batches of at most ``most`` samples (or frames) with padding.

    The longest come first: of lengths 5, 9, 4 and ``most`` 10 there are the batches [1], [0, 2].
    """
    order = sorted(range(len(lengths)), key=lambda i: -lengths[i])
    while order:
        size = max(1, int(most // lengths[order[0]]))
        yield order[:size]
        order = order[size:]
