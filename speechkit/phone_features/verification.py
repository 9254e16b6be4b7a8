"""Evidence that each word was said, as features of its phones.

Three kinds, none of which is estimated on a set of recordings: the log-likelihood ratios of
:mod:`speechkit.acoustic.align.verification`, what the aligned segments of the word look like, and
the scores of substituted and deleted phones, which need no segments
(:mod:`~speechkit.phone_features.ctc_gop`). All phones of a word have the same row.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from itertools import chain

import numpy as np

from speechkit.acoustic.align.alignment import Alignment
from speechkit.acoustic.align.verification import Verification, VerificationConfig
from speechkit.acoustic.interface import AcousticModel, Evidence
from speechkit.labels.phones import ARPABET, KALDI_PHONES, kaldi_name, pure
from speechkit.phone_features.ctc_gop import Alternatives, rivals
from speechkit.phone_features.gop import frames_of, segment_block

RATIOS = ("said", "substitution", "omission")
COLUMNS = (
    *chain.from_iterable((f"llr_{name}", f"llr_{name}_frame") for name in RATIOS),
    *("llr_free_frame", "relative_duration", "shortest_share", "log_rank"),
    *("log_posterior_mean", "log_posterior_min", "gop_mean", "gop_min"),
    *("substituted_mean", "substituted_max", "deleted_mean", "deleted_max"),
    *(f"{side}_llr_{name}" for side in ("previous", "next") for name in RATIOS),
)
"""The 24 columns, see :func:`verification_block`."""

NATS_CAP, FRAME_CAP = 100.0, 20.0
"""Largest evidence of a word and of a frame that a feature holds: surer than sure says no more."""


def fingerprint() -> str:
    """Changes with the mathematics of the block, and with the costs of the verification."""
    text = repr(sorted(asdict(VerificationConfig()).items()))
    return f"1-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def verification_block(
    model: AcousticModel,
    evidence: Evidence,
    alignment: Alignment,
    found: Verification,
    known: Alternatives | None = None,
) -> np.ndarray:
    """Rows ``[P, 24]`` (:data:`COLUMNS`) of aligned phones.

    - ``llr_said``, ``llr_substitution``, ``llr_omission``: log-likelihood ratios of the word
      said against the better of the others, replaced, and left out, in nats, within ±100; each
      also per frame of the word (``_frame``), within ±20
    - ``llr_free_frame``: of its phones against the best free path in its frames, per frame
    - ``relative_duration``: mean over its phones of log frames, less the log of the frames that
      the model expects (of its transition probabilities; where it has none, less the mean over
      the recording)
    - ``shortest_share``: share of its phones that have no more frames than they need
    - ``log_rank``: mean of log(1 + number of phones that are likelier than the canonical one)
    - ``log_posterior``, ``gop``: mean and least of its phones
    - ``substituted``, ``deleted``: by how many nats the best other phone in place of each
      phone, or none, fits better: mean and greatest of its phones, within ±100
    - ``previous``, ``next``: the ratios of the words beside it, 0 at the ends

    Args:
        model: that aligned.
        alignment: of P phones.
        found: of the same model and alignment.
        known: scores of its phones, where they are known already.
    """
    phones = [segment.phone for segment in alignment.segments]
    starts, ends = frames_of(alignment)
    segments, (own, gop) = segment_block(model, evidence, phones, starts, ends)
    advantage = rivals(model, evidence, phones, known=known)[1]
    word = np.array([segment.word for segment in alignment.segments])
    first = np.flatnonzero(np.diff(word, prepend=-1))
    counts = np.diff([*first, len(word)])
    others = segments[:, len(KALDI_PHONES) - len(ARPABET) : len(KALDI_PHONES)]
    frames = (ends - starts).astype(np.float64)
    ratios = [np.clip(getattr(found, name), -NATS_CAP, NATS_CAP) for name in RATIOS]
    columns = [
        part
        for ratio in ratios
        for part in (ratio, np.clip(ratio / found.frames, -FRAME_CAP, FRAME_CAP))
    ]
    columns.append(np.clip(found.free, -FRAME_CAP, FRAME_CAP))
    needed = 1 if model.topology == "ctc" else len(model.phone_without_context(model.labels[0])[0])
    for values in (
        np.log(frames) - _expected(model, phones, frames),
        frames <= needed,
        np.log1p((others > own[:, None]).sum(1)),
    ):
        columns.append(np.add.reduceat(values.astype(np.float64), first) / counts)
    for values in (own, gop):
        columns += [np.add.reduceat(values, first) / counts, np.minimum.reduceat(values, first)]
    for values in (advantage[:, 1:].max(1), advantage[:, 0]):
        capped = np.clip(values, -NATS_CAP, NATS_CAP)
        columns += [np.add.reduceat(capped, first) / counts, np.maximum.reduceat(capped, first)]
    columns += [np.concatenate([[0.0], ratio[:-1]]) for ratio in ratios]
    columns += [np.concatenate([ratio[1:], [0.0]]) for ratio in ratios]
    return np.repeat(np.stack(columns, axis=1), counts, axis=0)


def _expected(model: AcousticModel, phones: list[str], frames: np.ndarray) -> np.ndarray:
    """Log of the frames that each phone is expected to have ``[P]``.

    A state that is left with probability p is expected to last 1 / p frames.
    """
    rates = model.transition_probabilities() if model.topology == "hmm" else None
    if rates is None:
        return np.full(len(phones), np.log(frames).mean())
    leave = np.maximum(np.asarray(rates)[:, 1], 1e-3).reshape(len(model.labels), -1)
    ids = {kind: n for n, kind in enumerate(map(kaldi_name, model.labels))}
    expected = np.log((1 / leave).sum(1))
    return expected[[ids[pure(phone)] for phone in phones]]
