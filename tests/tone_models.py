"""Acoustic models that hear tones: phone k of a small inventory is a tone of its own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from speechkit.acoustic.interface import AcousticModel, Evidence, PhoneInContext
from speechkit.base.errors import UserError
from speechkit.labels.phones import pure

RATE = 16000
PHONES = ("AA", "B", "IY", "K", "S", "T")
LABELS = ("SIL", *PHONES)


def frequency(phone: str) -> float:
    """The tone of a phone, in Hz."""
    return 400.0 + 400.0 * PHONES.index(pure(phone))


def say(phones: Sequence[str], seconds: float = 0.1, silence: float = 0.1) -> np.ndarray:
    """Tones of the phones between two silences: float32 samples."""
    time = np.arange(round(seconds * RATE)) / RATE
    quiet = 1e-4 * np.random.default_rng(0).standard_normal(round(silence * RATE))
    tones = [0.1 * np.sin(2 * np.pi * frequency(phone) * time) for phone in phones]
    return np.concatenate([quiet, *tones, quiet]).astype(np.float32)


class ToneModel(AcousticModel):
    """Power near each phone's tone as a posterior; three states a phone, all alike.

    Args:
        shift: frame shift in seconds.
        name: and what the fingerprint is made of.
        rate: of the samples that it takes.
        biased: speaker -> log odds added to the first phone (a cross-fitted model).
    """

    topology = "hmm"

    def __init__(
        self,
        name: str = "tones",
        shift: float = 0.01,
        rate: int = RATE,
        biased: dict[str, float] | None = None,
        bias: float = 0.0,
    ) -> None:
        self.name, self.frame_shift, self.sample_rate = name, shift, rate
        self.labels, self.fingerprint = LABELS, f"{name}-{shift}"
        self.biased, self.bias = biased, bias
        self.batches: list[int] = []
        if biased is not None:
            self.for_speaker = lambda speaker: ToneModel(
                name, shift, rate, None, biased.get(speaker or "", 0.0)
            )

    def evidence(self, samples: np.ndarray) -> Evidence:
        step = round(self.frame_shift * self.sample_rate)
        count = (len(samples) - 2 * step) // step + 1
        if count < 1:
            raise UserError("The audio is too short for the model 'tones'.")
        frames = np.stack([samples[t * step : (t + 2) * step] for t in range(count)])
        power = np.abs(np.fft.rfft(frames * np.hanning(2 * step))) ** 2
        hz = np.fft.rfftfreq(2 * step, 1 / self.sample_rate)
        bands = [power[:, np.abs(hz - frequency(p)) < 150].sum(1) for p in PHONES]
        scores = np.log(np.stack([np.full(count, 1.0), *bands], axis=1) + 1e-2)
        scores[:, 1] += self.bias
        logs = torch.from_numpy(scores).float().log_softmax(-1)
        return Evidence(logs, logs.repeat_interleave(3, dim=1))

    def evidence_many(self, waves: Sequence[np.ndarray]) -> list[Evidence]:
        self.batches.append(len(waves))
        return super().evidence_many(waves)

    def state_ids(self, phone: PhoneInContext) -> tuple[int, ...]:
        name = pure(phone.phone)
        if name not in self.labels:
            raise UserError(f"The acoustic model {self.name} has no phone '{name}'.")
        first = 3 * self.labels.index(name)
        return (first, first + 1, first + 2)
