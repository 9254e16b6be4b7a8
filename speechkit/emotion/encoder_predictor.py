"""Class probabilities from a classifier on an encoder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from speechkit.base.errors import UserError, needed_by_all
from speechkit.emotion import encoder_network, hidden
from speechkit.emotion.encoder_clips import broken_clips
from speechkit.emotion.encoder_network import EncoderNet
from speechkit.emotion.hidden_states import Hidden, Kind, Vectors, form_of
from speechkit.emotion.predictor import Predictor
from speechkit.labels.emotions import EmotionSet

if TYPE_CHECKING:
    from speechkit.workdir import WorkDir

BATCH_SECONDS = {"cpu": 20.0, "cuda": 240.0}


class EncoderPredictor(Predictor):
    """See :class:`Predictor`; a clip gets the same result in any batch.

    Args:
        folder: of the trained model.
        card: its ``config.yaml``.
        device: cpu or cuda.
    """

    def __init__(self, folder: Path, card: dict[str, Any], device: str = "cpu") -> None:
        super().__init__(folder, card)
        self.device = torch.device(device)
        self.network: dict[str, Any] = card["network"]
        self.pooling = str(self.network["classifier"]["pooling"])
        if not self.network["frozen"]:
            _ = self.net  # what is missing is said at once

    @cached_property
    def net(self) -> EncoderNet:
        """Encoder and head; an encoder that was frozen is loaded when a wave comes."""
        return encoder_network.read_net(self.folder, self.card, self.device)

    def probabilities(
        self, waves: Sequence[np.ndarray], speakers: Sequence[str] | None = None
    ) -> np.ndarray:
        found = np.zeros((len(waves), len(self.classes)), np.float32)
        with needed_by_all():
            encoder = self.net.encoder
        short = [len(wave) for wave in waves if len(wave) < encoder.shortest]
        if short:
            raise UserError(
                f"A clip of {min(short) / self.sample_rate:.3f} s is shorter than one frame of "
                f"the encoder ({encoder.shortest / self.sample_rate:.3f} s)."
            )
        most = BATCH_SECONDS[self.device.type] * self.sample_rate
        order = sorted(range(len(waves)), key=lambda i: -len(waves[i]))
        first = 0
        while first < len(order):
            size = max(1, int(most // len(waves[order[first]])))
            part = order[first : first + size]
            padded, lengths = encoder.prepare([waves[i] for i in part])
            with torch.inference_mode():
                logits = self.net(padded.to(self.device), lengths)
            found[part] = logits.softmax(-1).cpu().numpy()
            first += size
        return found

    def of_utterances(
        self,
        workdir: WorkDir,
        dataset: EmotionSet,
        ids: Sequence[str],
        *,
        jobs: int = 1,
        advance: Callable[[int], None] = lambda count: None,
    ) -> np.ndarray:
        """With a frozen encoder from the hidden states that are kept, made where they are not."""
        if not self.network["frozen"]:
            return super().of_utterances(workdir, dataset, ids, jobs=jobs, advance=advance)
        cache = self._hidden(workdir, dataset, jobs)
        for name in ids:
            if name in cache.skipped:
                raise UserError(f"{name}: {cache.skipped[name]}", "Leave it out.")
        classifier = encoder_network.read_classifier(self.folder, self.card).to(self.device)
        found = []
        for first in range(0, len(ids), 32):
            values = Vectors(cache, ids[first : first + 32], self.pooling, self.device)
            with torch.inference_mode():
                logits = classifier(*values.batch(range(len(values))))
            found.append(logits.softmax(-1).cpu().numpy())
            advance(len(values))
        return np.concatenate(found)

    def broken(
        self, workdir: WorkDir, dataset: EmotionSet, ids: Sequence[str], jobs: int = 1
    ) -> dict[str, str]:
        if self.network["frozen"]:
            skipped = self._hidden(workdir, dataset, jobs).skipped
            return {name: skipped[name] for name in ids if name in skipped}
        return broken_clips(dataset, ids, self.net.encoder, self.max_seconds, jobs)

    def _hidden(self, workdir: WorkDir, dataset: EmotionSet, jobs: int) -> Hidden:
        kind = Kind(
            str(self.card["upstream"]),
            str(self.network["layers"]),
            form_of(self.pooling),
            self.max_seconds,
        )
        return hidden.extract(
            workdir,
            dataset,
            kind,
            source=encoder_network.find_frozen(self.folder, self.card),
            device=self.device.type,
            jobs=jobs,
            on_error="skip",
        )
