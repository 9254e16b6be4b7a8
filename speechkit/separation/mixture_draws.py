"""Fixed sets of mixtures as they are drawn, the gains of their sources, and their stored audio.

Training mixes dynamically: ``data.py``.

Every draw comes from (seed, what it is for), so that the first hundred of five hundred
mixtures are the hundred that ``--count 100`` makes.
"""

from __future__ import annotations

import io
import math
from collections import Counter, deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from speechkit.base import audio
from speechkit.base.audio import level_db
from speechkit.base.errors import AudioError, UserError
from speechkit.base.log import counted
from speechkit.base.random_draws import rng
from speechkit.kaldi.data import Utterance
from speechkit.labels.mixtures import place, read_source

_PASS, _SNR, _OFFSET, _AGAIN = 0x51, 0x52, 0x53, 0x54  # streams of draws
ATTEMPTS = 100  # of one mixture, until its sources are sound
LEVEL_DB = -25.0  # mean RMS level of the sources of a mixture
SILENT_DB = -90.3  # RMS below one step of 16-bit audio
PEAK = 0.99  # of the mixture and its sources


@dataclass(frozen=True)
class Candidate:
    """An utterance that may be mixed.

    Args:
        utterance: what it is, and where.
        samples: its length at the rate of the mixtures.
    """

    utterance: Utterance
    samples: int

    @property
    def speaker(self) -> str:
        return self.utterance.speaker


@dataclass(frozen=True)
class DrawnMixture:
    """One mixture as it was drawn.

    Args:
        index: its number, from 0.
        sources: the utterances, of different speakers.
        snr_db: level of the first source above that of each source, ``[speakers]`` (the first
            is 0).
        offsets: sample of the mixture at which each utterance begins.
        samples: length of the mixture.
        attempt: how often a source was chosen again.
    """

    index: int
    sources: tuple[Candidate, ...]
    snr_db: tuple[float, ...]
    offsets: tuple[int, ...]
    samples: int
    attempt: int = 0

    @property
    def id(self) -> str:
        return f"mix{self.index + 1:06d}"


@dataclass(frozen=True)
class MixtureDraws:
    """How mixtures are drawn.

    Args:
        pool: all utterances that may be mixed.
        speakers: sources of a mixture.
        mode: ``min`` or ``max``.
        snr_db: lowest and highest level of the first source above another.
        seed: of all draws.
    """

    pool: Sequence[Candidate]
    speakers: int
    mode: str
    snr_db: tuple[float, float]
    seed: int

    def plans(self, count: int) -> list[DrawnMixture]:
        """The first ``count`` mixtures."""
        chosen = self._chosen(count)
        return [self._place(index, sources) for index, sources in enumerate(chosen)]

    def again(
        self, plan: DrawnMixture, bad: Collection[int], tried: Collection[str]
    ) -> DrawnMixture:
        """The mixture with other utterances in place of bad ones.

        Args:
            plan: the mixture so far.
            bad: positions of the sources to be replaced.
            tried: ids of utterances that were bad in this mixture before.

        Raises:
            UserError: there is no other utterance, or it was tried too often.
        """
        draw = rng(self.seed, _AGAIN, plan.index, plan.attempt)
        sources = list(plan.sources)
        for k in sorted(bad):
            others = {s.speaker for j, s in enumerate(sources) if j != k}
            choice = [
                c for c in self.pool if c.speaker not in others and c.utterance.id not in tried
            ]
            if not choice or plan.attempt >= ATTEMPTS:
                raise UserError(
                    f"{plan.id}: {counted(len(tried), 'utterance was', 'utterances were')} silent "
                    "or broken where it would use them, and no other is left to try.",
                    "Check the audio with `speechkit validate --decode`; if much of it is "
                    "silence, cut it or raise `min_seconds`.",
                )
            sources[k] = choice[int(draw.integers(len(choice)))]
        return self._place(plan.index, tuple(sources), plan.attempt + 1)

    def _chosen(self, count: int) -> Iterator[tuple[Candidate, ...]]:
        """Sources of each mixture: the next of shuffled passes whose speakers differ.

        An utterance that is passed over for its speaker stays first in the queue, so all are
        used about equally often.
        """
        waiting: deque[Candidate] = deque()
        passes = 0
        for _ in range(count):
            sources: list[Candidate] = []
            while len(sources) < self.speakers:
                heard = {source.speaker for source in sources}
                at = next((k for k, c in enumerate(waiting) if c.speaker not in heard), None)
                if at is None:
                    # Twice at most: where one speaker has most utterances, they pile up.
                    often = Counter(candidate.utterance.id for candidate in waiting)
                    order = rng(self.seed, _PASS, passes).permutation(len(self.pool))
                    shuffled = (self.pool[k] for k in order)
                    waiting.extend([c for c in shuffled if often[c.utterance.id] < 2])
                    passes += 1
                    continue
                sources.append(waiting[at])
                del waiting[at]
            yield tuple(sources)

    def _place(self, index: int, sources: tuple[Candidate, ...], attempt: int = 0) -> DrawnMixture:
        lengths = [source.samples for source in sources]
        samples = min(lengths) if self.mode == "min" else max(lengths)
        draw = rng(self.seed, _OFFSET, index, attempt)
        # Longer than the mixture: it begins within the utterance; shorter: somewhere in it.
        offsets = tuple(
            -int(draw.integers(length - samples + 1))
            if length > samples
            else int(draw.integers(samples - length + 1))
            for length in lengths
        )
        return DrawnMixture(index, sources, self.snr(index), offsets, samples, attempt)

    def snr(self, index: int) -> tuple[float, ...]:
        """Level of the first source of a mixture above each source, in dB."""
        snr = rng(self.seed, _SNR, index).uniform(*self.snr_db, self.speakers - 1)
        return (0.0, *map(float, snr))


@dataclass(frozen=True)
class MixtureLevels:
    """What came of a plan.

    Args:
        gains_db: gain of each source; empty if a source was bad.
        levels_db: RMS level of each source in the mixture, dB below full scale.
        peak: largest sample of the mixture.
        turned_down_db: by how much everything was turned down to stay below full scale.
        bad: position of a source -> why it cannot be used.
    """

    gains_db: tuple[float, ...] = ()
    levels_db: tuple[float, ...] = ()
    peak: float = 0.0
    turned_down_db: float = 0.0
    bad: Mapping[int, str] = field(default_factory=dict)


def mix_one(
    plan: DrawnMixture, rate: int, on_error: str = "stop", folder: Path | None = None
) -> MixtureLevels:
    """Measure the sources of a mixture as they stand in it, and find their gains.

    Args:
        plan: the mixture.
        rate: in Hz.
        on_error: ``stop`` raises at broken audio, ``skip`` reports it.
        folder: where the mixture and its sources are stored; None stores nothing.
    """
    sources = np.zeros((len(plan.sources), plan.samples), np.float32)
    bad: dict[int, str] = {}
    for k, (row, source, offset) in enumerate(
        zip(sources, plan.sources, plan.offsets, strict=True)
    ):
        try:
            raw, own_rate = read_source(source.utterance)
            samples = audio.resample(raw, own_rate, rate)
            if len(samples) != source.samples:
                raise AudioError(
                    f"{source.utterance.wav}: has {counted(len(samples), 'sample')} at {rate} Hz, "
                    f"its header says {source.samples}.",
                    "Convert it to WAV or FLAC, or leave it out with `on_error` skip.",
                    "cut",
                )
        except AudioError as error:
            if on_error == "stop":
                raise
            bad[k] = error.problem
            continue
        place(row, samples, offset)
        first, last = max(-offset, 0), min(len(samples), plan.samples - offset)
        heard = raw[first * own_rate // rate : -(-last * own_rate // rate)]
        if min(level_db(heard), level_db(row)) < SILENT_DB:
            bad[k] = "silent in the part that is mixed"
    if bad:
        return MixtureLevels(bad=bad)
    levels = np.array([level_db(row) for row in sources])
    gains = LEVEL_DB + np.mean(plan.snr_db) - np.array(plan.snr_db) - levels
    return _scale(plan, sources, levels, gains, rate, folder)


def _scale(
    plan: DrawnMixture,
    sources: np.ndarray,
    levels: np.ndarray,
    gains: np.ndarray,
    rate: int,
    folder: Path | None,
) -> MixtureLevels:
    """Apply the gains, turned down together where a sample would exceed ``PEAK``."""
    scaled = _amplify(sources, gains)
    peak = max(float(np.abs(scaled.sum(axis=0)).max()), float(np.abs(scaled).max()))
    down = max(0.0, 20 * math.log10(peak / PEAK))
    gains = np.round(gains - down, 4)  # as the list holds them
    scaled = _amplify(sources, gains)
    mixture = scaled.sum(axis=0)
    if folder is not None:
        store(folder / "mix" / f"{plan.id}.wav", mixture, rate)
        for k, row in enumerate(scaled, 1):
            store(folder / f"s{k}" / f"{plan.id}.wav", row, rate)
    return MixtureLevels(
        tuple(map(float, gains)),
        tuple(map(float, levels + gains)),
        float(np.abs(mixture).max()),
        down,
    )


def _amplify(sources: np.ndarray, gains_db: np.ndarray) -> np.ndarray:
    """``[S, T]`` with the gains ``[S]``, as :meth:`MixtureSet.read` applies them."""
    return sources * (10 ** (gains_db / 20)).astype(np.float32)[:, None]


def store(path: Path, samples: np.ndarray, rate: int, subtype: str = "FLOAT") -> None:
    """Write float32 samples ``[T]`` as WAV, 32-bit float or ``PCM_16``, the same bytes each time.

    (libsndfile would put the time into a file of floats.)

    Raises:
        OSError: with its number, as of a full disk.
    """
    import soundfile
    from scipy.io import wavfile

    buffer = io.BytesIO()
    if subtype == "FLOAT":
        wavfile.write(buffer, rate, samples.astype(np.float32, copy=False))
    else:
        soundfile.write(buffer, samples, rate, subtype=subtype, format="WAV")
    path.write_bytes(buffer.getvalue())
