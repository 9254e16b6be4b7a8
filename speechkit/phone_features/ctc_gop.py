"""Scores of substituted and deleted phones without an alignment ("CTC-based GOP").

For the canonical phone at position i the likelihood of the whole sequence is compared with
that of the sequence in which the phone is replaced by each other phone, or left out (Cao et
al., Interspeech 2024); :mod:`speechkit.phone_features.sequence_scores` has the mathematics.

Models with a blank take CTC's likelihood. For the others (own design) a phone is one state,
silence and noise may stand between any two phones, and a frame posterior counts with the
power :data:`HMM_SCALE`, because neighbouring frames say nearly the same: at full weight one
path would outweigh all others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from speechkit.acoustic.interface import AcousticModel, Evidence, summed_columns
from speechkit.labels.phones import ARPABET, KALDI_ID, kaldi_name
from speechkit.phone_features.gop import as_array, canonical_ids, label_ids
from speechkit.phone_features.sequence_scores import SequenceScores, sequence_scores

RATIO_CAP = 100.0
"""Largest difference of log-likelihoods that a feature holds: surer than sure says no more."""

HMM_SCALE = 0.15
"""Power of the frame posteriors of a model without blank (chosen on training speakers)."""

COLUMNS = ("own", "deletion", *(f"sub_{p}" for p in ARPABET), "log_occupancy")
"""The 42 columns."""

_FIRST = KALDI_ID[ARPABET[0]]


def phone_emissions(
    log_posteriors: object, labels: Sequence[str], blank: int | None = None
) -> np.ndarray:
    """Log probabilities ``[T, 40]``: column 0 no phone (blank, silence, noise), then ARPAbet.

    Labels of one phone are summed in probability.
    """
    ids = label_ids(labels, blank)
    columns = np.where(ids < _FIRST, 0, ids - _FIRST + 1)
    sums = summed_columns(np.exp(as_array(log_posteriors)), columns, 1 + len(ARPABET))
    return np.log(np.maximum(sums, np.finfo(float).tiny))


class Alternatives(NamedTuple):
    """What could stand in place of each of P canonical phones.

    Args:
        scores: of the sequences.
        numbers: of the canonical phones in ARPAbet ``[P]``.
        has: which of ARPAbet the model has ``[39]``.
    """

    scores: SequenceScores
    numbers: np.ndarray
    has: np.ndarray

    @property
    def others(self) -> np.ndarray:
        """Log-likelihoods ``[P, 40]`` without each phone, and with each of ARPAbet in its place."""
        substitutions = np.where(self.has, self.scores.substitutions, -np.inf)
        return np.concatenate([self.scores.deletions[:, None], substitutions], axis=1)


def alternatives(model: AcousticModel, evidence: Evidence, phones: Sequence[str]) -> Alternatives:
    """The scores that :func:`ctc_features` and :func:`rivals` are made of.

    Args:
        model: that gave the evidence; without a blank it takes the ``hmm`` topology and its scale.
        phones: the P canonical ones, with or without stress.

    Raises:
        UserError: a phone that the model lacks, or too few frames.
    """
    numbers = canonical_ids(phones, model.labels, model.name) - _FIRST
    emissions = phone_emissions(evidence.log_posteriors, model.labels, model.blank)
    if model.blank is None:
        emissions *= HMM_SCALE
    topology = "hmm" if model.blank is None else "ctc"
    names = {kaldi_name(label) for label in model.labels}
    has = np.array([phone in names for phone in ARPABET])
    return Alternatives(sequence_scores(emissions, numbers + 1, topology), numbers, has)


def ctc_features(
    model: AcousticModel,
    evidence: Evidence,
    phones: Sequence[str],
    known: Alternatives | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features ``[P, 42]``, and for each phone log posterior and GOP ``[P]``.

    The columns (:data:`COLUMNS`): log-likelihood of the canonical sequence per frame; its
    advantage over the sequence without this phone; over the one with this phone replaced by
    each of the 39 (0 for itself and for phones that the model lacks); log(0.1 + expected
    frames in the phone). Without a blank (``hmm``) the advantages are divided by the expected
    frames (at least one).

    The log posterior is that of the canonical phone among all these alternatives, the GOP
    its advantage over the best of them and itself, so at most 0; neither is divided.

    Args:
        model: that gave the evidence.
        phones: the P canonical phones, with or without stress.
        known: their :func:`alternatives`, where they are known already.

    Raises:
        UserError: a phone that the model lacks, or too few frames.
    """
    known = known or alternatives(model, evidence, phones)
    scores, numbers, has = known
    advantage = np.minimum(scores.total - known.others, RATIO_CAP)
    advantage[np.arange(len(phones)), numbers + 1] = 0.0  # itself, without the last digit's error
    own = np.full((len(phones), 1), scores.total / evidence.frames)
    posterior = -np.logaddexp.reduce(-advantage, axis=1)
    frames = scores.occupancy[:, None]
    columns = advantage / np.maximum(frames, 1.0) if model.blank is None else advantage
    lacking = np.concatenate([[False], ~has])
    parts = [own, np.where(lacking, 0.0, columns), np.log(0.1 + frames)]
    features = np.concatenate(parts, axis=1)
    return features, posterior, np.minimum(advantage.min(axis=1), 0.0)


def probabilities(model: AcousticModel, advantage: np.ndarray) -> np.ndarray:
    """Probabilities ``[P, 40]`` of the alternatives of :func:`rivals`, the canonical phone being
    the 41st: those of two that fit alike are equal. Without a blank the advantages count with the
    power :data:`HMM_SCALE`."""
    nats = np.concatenate([advantage, np.zeros((len(advantage), 1))], axis=1)
    scaled = nats * (HMM_SCALE if model.blank is None else 1.0)
    total = np.logaddexp.reduce(scaled, axis=1, keepdims=True)
    return np.exp(scaled - total)[:, :-1]


def rivals(
    model: AcousticModel,
    evidence: Evidence,
    phones: Sequence[str],
    missing: str = "-",
    known: Alternatives | None = None,
) -> tuple[list[str], np.ndarray]:
    """What else could stand in place of each canonical phone, and how much better it would fit.

    Args:
        model: that gave the evidence.
        phones: the P canonical phones, with or without stress.
        missing: name of the deletion.
        known: their :func:`alternatives`, where they are known already.

    Returns:
        Names of the 40 alternatives (the deletion, then ARPAbet), and by how many nats each
        fits better than the canonical phone ``[P, 40]``; -inf for the phone itself, for what
        the model lacks, and (without a blank) for its neighbours: a neighbour in its place
        is that neighbour drawn out, which is the deletion.
    """
    known = known or alternatives(model, evidence, phones)
    advantage = known.others - known.scores.total
    own = known.numbers + 1
    advantage[np.arange(len(phones)), own] = -np.inf
    if model.blank is None:
        advantage /= HMM_SCALE  # each frame counted with that power only
        places = np.arange(len(phones) - 1)
        advantage[places, own[1:]] = advantage[places + 1, own[:-1]] = -np.inf
    return [missing, *ARPABET], advantage
