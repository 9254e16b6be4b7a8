"""Hard counterparts of random mixtures: who is mixed with the first source is one of its hard set.

Mixture 7 of the random set has 3.2 s of an utterance a, from 0.3 s on, and all 3.2 s of b. Its
counterpart has the same piece of a, the same level between the two, and a piece of c, which is
drawn uniformly among those of the hard set of a that are at least 3.2 s long. Mixtures of equal
numbers differ in nothing else, so how much harder they are is a paired difference.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from speechkit.base.errors import UserError
from speechkit.base.log import counted, logger
from speechkit.base.random_draws import rng
from speechkit.kaldi.data import Utterance
from speechkit.labels.mixtures import read_list
from speechkit.mining.sampler import HardPairSampler
from speechkit.separation.mixture_draws import Candidate, DrawnMixture, MixtureDraws
from speechkit.separation.mixture_files import list_of
from speechkit.workdir.manifest import read_manifest

_SHARE, _PARTNER = 0x55, 0x56  # streams of draws


def label(folder: Path, set_name: str) -> str:
    """What names a set by its hard pairs: ``pitch``, or ``xvector-ge2e`` of ``mine-hard --name``.

    Args:
        folder: of hard pairs.
        set_name: whose name, as that of the folder, adds nothing.
    """
    found = (read_manifest(folder) or {}).get("params", {}).get("param")
    suffix = folder.name.partition("-")[2]
    param = str(found or folder.name.partition("_pm")[0])
    return param if suffix in ("", set_name) else f"{param}-{suffix}"


def require_mined_on(sampler: HardPairSampler, utterances: Sequence[Utterance]) -> None:
    """Raise UserError if hard pairs are of utterances that a set does not have."""
    own = {utterance.id for utterance in utterances}
    strangers = [name for name in sampler.utterances if name not in own]
    if strangers:
        raise UserError(
            f"{sampler.folder} was mined on another set: {len(strangers)} of its utterances are "
            f"not in the set that is mixed ('{strangers[0]}').",
            "Mine the set: speechkit mine-hard --set SET ...",
        )


def random_plans(
    folder: Path, root: Path, pool: Sequence[Candidate], draws: MixtureDraws
) -> list[DrawnMixture]:
    """The mixtures of a random set as they were drawn.

    Args:
        folder: of the set.
        root: the working directory.
        pool: the utterances that it was drawn from.
        draws: how.
    """
    by_id = {candidate.utterance.id: candidate for candidate in pool}
    listed = read_list(list_of(folder), {n: c.utterance for n, c in by_id.items()}, root)
    return [
        DrawnMixture(
            index,
            tuple(by_id[source.utterance.id] for source in mixture.sources),
            draws.snr(index),
            tuple(source.offset for source in mixture.sources),
            mixture.samples,
        )
        for index, mixture in enumerate(listed)
    ]


class HardMixtureDraws:
    """How hard counterparts are drawn; used as :class:`MixtureDraws`.

    Args:
        random: the random mixtures, each as long as its shortest source.
        pool: all utterances that may be mixed.
        sampler: hard pairs of the set.
        share: of the mixtures that get a hard partner; the others stay as they are.
        seed: of all draws.

    Raises:
        UserError: the hard pairs are of other utterances.
    """

    def __init__(
        self,
        random: Sequence[DrawnMixture],
        pool: Sequence[Candidate],
        sampler: HardPairSampler,
        share: float,
        seed: int,
    ) -> None:
        self.random, self.sampler, self.share, self.seed = random, sampler, share, seed
        rows = sampler.rows([candidate.utterance.id for candidate in pool]).tolist()
        self._candidates: Mapping[int, Candidate] = dict(zip(rows, pool, strict=True))
        self._row = {c.utterance.id: row for row, c in self._candidates.items()}
        self._samples = np.zeros(len(sampler), np.int64)
        self._samples[rows] = [candidate.samples for candidate in pool]

    def plans(self, count: int) -> list[DrawnMixture]:
        """Counterparts of the first ``count`` mixtures."""
        chosen = self.random[:count]
        kept = [rng(self.seed, _SHARE, one.index).random() >= self.share for one in chosen]
        drawn = [
            one if keep else self._with_partner(one, ())
            for one, keep in zip(chosen, kept, strict=True)
        ]
        alone = sum(
            not keep and one is plan for one, plan, keep in zip(chosen, drawn, kept, strict=True)
        )
        if alone:
            logger.warning(
                f"No change from the random set in {alone} of {counted(count, 'mixture')}: no "
                "hard partner of the first source is as long as it. A larger P_M finds more."
            )
        return drawn

    def again(
        self, plan: DrawnMixture, bad: Collection[int], tried: Collection[str]
    ) -> DrawnMixture:
        """The counterpart with another partner; the random mixture where none is left.

        Raises:
            UserError: a source of the random mixture is bad.
        """
        original = self.random[plan.index]
        if 0 in bad or plan.sources == original.sources:
            raise UserError(
                f"{plan.id}: audio of the random mixture is broken or silent now.",
                "Make the random set again: speechkit mix ... --force",
            )
        return self._with_partner(original, tried, plan.attempt + 1)

    def _with_partner(
        self, plan: DrawnMixture, tried: Collection[str], attempt: int = 0
    ) -> DrawnMixture:
        partners = self.sampler.hard_set(self._row[plan.sources[0].utterance.id])
        partners = partners[self._samples[partners] >= plan.samples]
        others = {source.speaker for source in plan.sources[2:]}
        choice = [
            one
            for one in map(self._candidates.__getitem__, partners.tolist())
            if one.speaker not in others and one.utterance.id not in tried
        ]
        if not choice:
            return replace(plan, attempt=attempt) if attempt else plan
        draw = rng(self.seed, _PARTNER, plan.index, attempt)
        partner = choice[int(draw.integers(len(choice)))]
        start = int(draw.integers(partner.samples - plan.samples + 1))
        return replace(
            plan,
            sources=(plan.sources[0], partner, *plan.sources[2:]),
            offsets=(plan.offsets[0], -start, *plan.offsets[2:]),
            attempt=attempt,
        )
