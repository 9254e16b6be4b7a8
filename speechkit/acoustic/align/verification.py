"""Word verification: was each word of a text said, replaced or left out, and what was inserted?

:func:`verify` compares, for every word of an aligned recording, the best path through the graph
of :mod:`~.miscue_graph` on which the word is said with the best one on which speech of any other
phones stands in its place, and with the best one on which nothing does. All else is free in each
of them, so that one wrong word does not spoil what is said of its neighbours. The differences
are log-likelihood ratios in nats; 0 means that both fit alike, costs included.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Annotated

import numpy as np
from msgspec import Meta

from speechkit.acoustic.align import miscue_graph, viterbi
from speechkit.acoustic.align.alignment import Alignment
from speechkit.acoustic.align.max_marginals import Marginals, Trellis, max_marginals
from speechkit.acoustic.align.phone_loop import FreePath, free_path
from speechkit.acoustic.interface import AcousticModel, Evidence
from speechkit.base.config import NotNegative, Whole, check_fields
from speechkit.base.errors import ConfigError
from speechkit.labels.miscues import OMISSION, SAID, SUBSTITUTION


@dataclass(frozen=True)
class VerificationConfig:
    """Costs of what readers do to a text, in nats.

    Args:
        phone: Cost of each phone of free speech.
        frame: Cost of each frame of free speech.
        substitution: Cost of free speech in the place of a word.
        omission: Cost of a word that is left out.
        insertion: Cost of free speech between words.
        least_frames: Frames of speech that free speech has at least (models with a blank: one).
        least_gain: Nats by which an insertion must fit better than silence.
        window: Words that are verified together; of longer texts one part after the other.
        margin: Words on either side of a part that are verified with it.
        blank_scale: What the costs but `frame` are multiplied by for models with a blank, which
            say in one frame what others say in many; their blanks cost nothing.
    """

    phone: NotNegative = 2.5
    frame: NotNegative = 2.0
    substitution: NotNegative = 5.0
    omission: NotNegative = 5.0
    insertion: NotNegative = 30.0
    least_frames: Annotated[int, Meta(ge=1, le=100)] = 4
    least_gain: NotNegative = 30.0
    window: Annotated[int, Meta(ge=1)] = 48
    margin: Whole = 8
    blank_scale: Annotated[float, Meta(gt=0, le=1)] = 0.15

    def __post_init__(self) -> None:
        check_fields(self)
        if self.substitution > self.insertion + self.omission:
            raise ConfigError(
                "substitution",
                f"{self.substitution:g} is more than an insertion and an omission together.",
                f"Give at most {self.insertion + self.omission:g}.",
            )

    def of(self, model: AcousticModel) -> VerificationConfig:
        """The costs for a model."""
        if model.topology != "ctc":
            return self
        names = ("phone", "substitution", "omission", "insertion", "least_gain")
        scaled = {name: self.blank_scale * getattr(self, name) for name in names}
        return replace(self, **scaled, least_frames=1, blank_scale=1.0)

    @property
    def costs(self) -> tuple[float, float, float]:
        """Of a substitution, an omission and an insertion."""
        return self.substitution, self.omission, self.insertion


@dataclass(frozen=True)
class Heard:
    """Free speech on the best path.

    Args:
        word: number of the word that it replaces; of an insertion, of the word that follows it
            (the number of words at the end).
        start_frame, end_frame: the first, and the one after the last.
        phones: pure phones that begin there on the best free path, else the one that lasts.
        gain: by how many nats it fits better than silence.
    """

    word: int
    start_frame: int
    end_frame: int
    phones: tuple[str, ...]
    gain: float


@dataclass(frozen=True)
class Verification:
    """Evidence on each of the W words that an alignment has.

    Args:
        substitution: log-likelihood ratio of said against replaced, in nats ``[W]``; inf where
            the recording has no room for other speech.
        omission: of said against left out ``[W]``.
        free: per frame of the word's segments, of its phones against the best free path ``[W]``;
            both without contexts, so it can exceed 0 by the free path's costs only.
        frames: of the word's segments ``[W]``.
        best: what each word is on the best path of all: ``said``, ``substitution`` or
            ``omission``.
        replacements: what was said in place of words, on the best path.
        insertions: what was said between words, on the best path.
        heard: number of phones on the best free path of the recording.
    """

    substitution: np.ndarray
    omission: np.ndarray
    free: np.ndarray
    frames: np.ndarray
    best: tuple[str, ...]
    replacements: list[Heard]
    insertions: list[Heard]
    heard: int = 0

    @property
    def said(self) -> np.ndarray:
        """Log-likelihood ratio of said against the better of the other two ``[W]``."""
        return np.minimum(self.substitution, self.omission)


def verify(
    model: AcousticModel,
    evidence: Evidence,
    alignment: Alignment,
    config: VerificationConfig | None = None,
) -> Verification:
    """Whether each word was said.

    Args:
        model: that gave the evidence.
        alignment: of the text with this evidence: its words are verified in the pronunciations
            that it has chosen.
    """
    config = (config or VerificationConfig()).of(model)
    scores = evidence.state_scores.detach().float().cpu().numpy()
    path = free_path(model, scores, config.phone)
    words = _words(alignment)
    job = _Job(model, config, path, scores, words)
    parts = [job.part(window) for window in _windows(words, len(scores), config)]
    heard = [one for part in parts for one in part.heard]
    aligned = scores[np.arange(len(scores)), _columns(model, alignment)]
    gains = np.maximum(aligned.astype(np.float64), viterbi.FLOOR) - path.scores
    sums = np.concatenate([[0.0], np.cumsum(gains)])
    bounds = np.array([(word.start, word.end) for word in words])
    frames = bounds[:, 1] - bounds[:, 0]
    return Verification(
        substitution=np.concatenate([part.substitution for part in parts]),
        omission=np.concatenate([part.omission for part in parts]),
        free=(sums[bounds[:, 1]] - sums[bounds[:, 0]]) / frames,
        frames=frames,
        best=tuple(name for part in parts for name in part.best),
        replacements=[one for kind, one in heard if kind == SUBSTITUTION],
        insertions=[one for kind, one in heard if kind != SUBSTITUTION],
        heard=len(path.heard(0, len(scores))),
    )


@dataclass(frozen=True)
class _Word:
    phones: tuple[str, ...]
    start: int
    end: int


def _words(alignment: Alignment) -> list[_Word]:
    segments = alignment.segments
    edges = np.flatnonzero(np.diff([s.word for s in segments], prepend=-1, append=-1)).tolist()
    return [
        _Word(
            tuple(s.phone for s in segments[a:b]),
            segments[a].start_frame,
            segments[b - 1].end_frame,
        )
        for a, b in pairwise(edges)
    ]


def _columns(model: AcousticModel, alignment: Alignment) -> np.ndarray:
    """Columns of the aligned states without their contexts ``[T]``."""
    if model.topology == "ctc":
        return alignment.states
    distinct, inverse = np.unique(alignment.states, return_inverse=True)
    columns = [
        model.phone_without_context(model.labels[state // 3])[0][state % 3]
        for state in distinct.tolist()
    ]
    return np.array(columns)[inverse]


@dataclass(frozen=True)
class _Window:
    """Words ``inner`` of a text, verified as part of the words ``outer`` in some frames."""

    inner: range
    outer: range
    begin: int
    end: int


def _windows(words: Sequence[_Word], frames: int, config: VerificationConfig) -> Iterator[_Window]:
    count = len(words)
    for first in range(0, count, config.window):
        inner = range(first, min(count, first + config.window))
        outer = range(max(0, first - config.margin), min(count, inner.stop + config.margin))
        begin = words[outer.start].start if outer.start else 0
        end = words[outer.stop].start if outer.stop < count else frames
        yield _Window(inner, outer, begin, end)


@dataclass(frozen=True)
class _Part:
    """Evidence on the inner words of a window, and the free speech found beside them."""

    substitution: np.ndarray
    omission: np.ndarray
    best: list[str]
    heard: list[tuple[str, Heard]]


@dataclass(frozen=True)
class _Job:
    """A recording in progress."""

    model: AcousticModel
    config: VerificationConfig
    path: FreePath
    scores: np.ndarray
    words: Sequence[_Word]

    def part(self, window: _Window) -> _Part:
        """What is found in a window."""
        phones = [self.words[word].phones for word in window.outer]
        least, costs = self.config.least_frames, self.config.costs
        graph = miscue_graph.build(self.model, phones, least, costs)
        found = self._marginals(graph.trellis, slice(window.begin, window.end))
        said = np.full(len(phones), -np.inf)
        for state, word in graph.last:
            said[word] = max(said[word], found.states[state])
        first = window.inner.start - window.outer.start
        inner = slice(first, first + len(window.inner))
        best = np.full(len(phones), OMISSION, dtype=object)
        best[np.setdiff1d(graph.word[found.path], [-1])] = SAID
        best[np.setdiff1d(graph.replaced[found.path], [-1])] = SUBSTITUTION
        heard = [
            *self._heard(SUBSTITUTION, graph.replaced[found.path], window),
            *self._heard("insertion", graph.insertion[found.path], window),
        ]
        return _Part(
            (said - found.states[graph.substitution])[inner],
            (said - found.jumps)[inner],
            list(best[inner]),
            heard,
        )

    def _marginals(self, trellis: Trellis, frames: slice) -> Marginals:
        """Marginals of a graph in some frames, of scores with the columns that it needs."""
        speech, cost = self.path.speech[frames], self.config.frame
        free = self.path.scores[frames] - (cost if self.model.blank is None else cost * speech)
        used, columns = np.unique(trellis.columns, return_inverse=True)
        known = np.maximum(self.scores[frames][:, used], viterbi.FLOOR, dtype=np.float64)
        known[:, used == miscue_graph.ANY] = free[:, None]
        spoken = np.where(speech, free, viterbi.FLOOR)
        known[:, used == miscue_graph.SPEECH] = spoken[:, None]
        return max_marginals(replace(trellis, columns=columns), known)

    def _heard(self, kind: str, places: np.ndarray, window: _Window) -> Iterator[tuple[str, Heard]]:
        """Runs of equal places (not -1) that belong to the window's inner words."""
        path, offset = self.path, window.outer.start
        edges = np.flatnonzero(np.diff(places, prepend=-1, append=-1)).tolist()
        for a, b in pairwise(edges):
            word = int(places[a]) + offset
            last = kind != SUBSTITUTION and word == len(self.words) == window.inner.stop
            if places[a] < 0 or not (word in window.inner or last):
                continue
            speech = np.flatnonzero(path.speech[window.begin + a : window.begin + b])
            if not len(speech):
                continue
            begin = window.begin + a + int(speech[0])
            end = window.begin + a + int(speech[-1]) + 1
            gain = float((path.scores[begin:end] - path.quiet[begin:end]).sum())
            if kind == SUBSTITUTION or gain >= self.config.least_gain:
                yield kind, Heard(word, begin, end, path.heard(begin, end), gain)
