"""Which utterances are mixed, where they begin and how loud they are: the draws of ``mix``.

Every draw comes from (seed, what it is for), so that the first hundred of five hundred
mixtures are the hundred that ``--count 100`` makes.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from speechkit.base.errors import UserError
from speechkit.base.random_draws import rng
from speechkit.kaldi.data import Utterance

_PASS, _SNR, _OFFSET, _AGAIN = 0x51, 0x52, 0x53, 0x54  # streams of draws
ATTEMPTS = 100  # of one mixture, until its sources are sound


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
class Plan:
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
class Draws:
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

    def plans(self, count: int) -> list[Plan]:
        """The first ``count`` mixtures."""
        chosen = self._chosen(count)
        return [self._place(index, sources) for index, sources in enumerate(chosen)]

    def again(self, plan: Plan, bad: Collection[int], tried: Collection[str]) -> Plan:
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
                    f"{plan.id}: {len(tried)} utterances were silent or broken where it would "
                    "use them, and no other is left to try.",
                    "Check the audio with `speechkit validate --decode`; if much of it is "
                    "silence, cut it or raise --min-seconds.",
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

    def _place(self, index: int, sources: tuple[Candidate, ...], attempt: int = 0) -> Plan:
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
        snr = rng(self.seed, _SNR, index).uniform(*self.snr_db, self.speakers - 1)
        return Plan(index, sources, (0.0, *map(float, snr)), offsets, samples, attempt)
