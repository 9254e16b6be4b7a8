"""Align a text with the evidence of an acoustic model: where each canonical phone lies.

:func:`align` knows no model, no file and no audio: it takes the evidence of a recording and
the pronunciations of its words.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from speechkit.acoustic.align import viterbi
from speechkit.acoustic.align.graph import Graph, Node, Pronunciation, build
from speechkit.acoustic.interface import AcousticModel, Evidence
from speechkit.acoustic.lexicon.readings import Choice, slots_of, words_of_path
from speechkit.base.errors import UserError
from speechkit.labels.phones import KALDI_ID, NOISE, SILENCE, kaldi_name

EXTEND_S = 0.1  # how far a CTC phone reaches into the blanks at the edges of its word
MATCHES = 0.5  # a text of lower confidence is said not to match
# Chosen on training utterances of speechocean762 with their own and with other texts, model
# sphinx; docs/stages/align.md says how well they tell these apart on others.
_GAIN_WEIGHT, _MIDDLE, _SLOPE = 0.4, -1.2, 4.0


@dataclass(frozen=True)
class Segment:
    """Where one canonical phone lies.

    Args:
        phone: as it was given, with its stress.
        word: index of its word among those that are said.
        start_frame, end_frame: the first, and the one after the last.
        score: mean log posterior of its label over its frames (of a CTC model: over the frames
            that have its label, without the blanks around).
    """

    phone: str
    word: int
    start_frame: int
    end_frame: int
    score: float

    @property
    def frames(self) -> int:
        return self.end_frame - self.start_frame


@dataclass(frozen=True)
class Alignment:
    """An aligned recording of T frames.

    Args:
        segments: the canonical phones in order, without silence. The segments of a CTC model
            share the blanks between the phones of a word, and reach 0.1 s into those at its
            edges at most.
        silences: (first frame, frame after the last) of each silence.
        states: ``[T]`` int32, plain state ids ``3 * label + state``; CTC: label ids.
        variants: which pronunciation was chosen of each word that is said.
        words: which of the given words are said: all, but where there are several readings.
        confidence: 0 to 1, that the text is what is said. With r the rank of each canonical
            phone among the phones of the model (0: the likeliest), by the mean log posteriors
            over its segment, and g the gain in log-likelihood per frame over the same phones
            aligned in reverse order, limited to -1..3,
            ``1 / (1 + exp(-4 (1.2 - mean log(1 + r) + 0.4 g)))``.
    """

    segments: list[Segment]
    silences: list[tuple[int, int]]
    states: np.ndarray
    variants: list[int]
    words: list[int]
    confidence: float

    @property
    def matches(self) -> bool:
        """False where the text is probably not what is said."""
        return self.confidence >= MATCHES


@dataclass(frozen=True)
class _BestPath:
    """The best path of a text: its graph's nodes and the columns, frame by frame."""

    graph: Graph
    nodes: np.ndarray
    columns: np.ndarray


def align(
    model: AcousticModel,
    evidence: Evidence,
    words: Sequence[Sequence[Pronunciation]],
    choices: Sequence[Choice] = (),
) -> Alignment:
    """Find the likeliest segmentation of a recording into the phones of its text.

    Where the text has several readings, the likeliest is found in the same search, and the
    result is that of its words alone.

    Args:
        model: the model that gave the evidence.
        words: for every word its pronunciations (phones with or without stress); the likeliest
            is chosen. Silence may lie before, between and after the words.
        choices: which of the words are readings of one piece, of which one is said.

    Raises:
        UserError: no words, phones that the model has not, or fewer frames than the text needs.
    """
    scores = evidence.state_scores.detach().float().cpu().numpy()
    posteriors = evidence.log_posteriors.detach().float().cpu().numpy()
    found = _search(model, scores, words, choices)
    runs = _runs(found)
    variant_of = {node.word: node.variant for node, _, _ in runs}
    said = words_of_path(len(words), choices, set(variant_of))
    place = {word: number for number, word in enumerate(said)}
    variants = [variant_of[word] for word in said]
    chosen = [tuple(words[word][variant_of[word]]) for word in said]
    states = _plain(model, found.columns)
    labels = states if model.topology == "ctc" else states // 3
    if model.topology == "ctc":
        bounds, silences = _share_blanks(runs, len(scores), round(EXTEND_S / model.frame_shift))
    else:
        bounds, silences = [(begin, end) for _, begin, end in runs], _gaps(runs, len(scores))
    segments = [
        Segment(
            phone=chosen[place[node.word]][node.index],
            word=place[node.word],
            start_frame=first,
            end_frame=last,
            score=float(posteriors[begin:end, labels[begin]].mean()),
        )
        for (node, begin, end), (first, last) in zip(runs, bounds, strict=True)
    ]
    ranks = _ranks(model, posteriors, [(labels[begin], begin, end) for _, begin, end in runs])
    backwards = [[phones[::-1]] for phones in reversed(chosen)]
    other = _search(model, scores, backwards)
    gain = (_likelihood(scores, found) - _likelihood(scores, other)) / len(scores)
    return Alignment(segments, silences, states, variants, said, _confidence(ranks, gain))


def _search(
    model: AcousticModel,
    scores: np.ndarray,
    words: Sequence[Sequence[Pronunciation]],
    choices: Sequence[Choice] = (),
) -> _BestPath:
    graph = build(model, words, choices)
    table = viterbi.flatten(graph)
    path = viterbi.best_path(table, scores)
    if path is None:
        phones = sum(
            min(sum(min(map(len, words[word])) for word in reading) for reading in slot)
            for slot in slots_of(len(words), choices)
        )
        raise UserError(
            f"The text is longer than the audio: its {phones} phones need {graph.shortest()} "
            f"frames, the audio has {len(scores)} ({len(scores) * model.frame_shift:.2f} s).",
            "Check that text and audio belong together.",
        )
    return _BestPath(graph, table.node[path], table.columns[path])


def _runs(found: _BestPath) -> list[tuple[Node, int, int]]:
    """(node, first frame, frame after the last) of each canonical phone."""
    edges = np.flatnonzero(np.diff(found.nodes, prepend=-1, append=-1)).tolist()
    runs = [(found.graph.nodes[found.nodes[a]], a, b) for a, b in pairwise(edges)]
    return [run for run in runs if run[0].word >= 0]


def _plain(model: AcousticModel, columns: np.ndarray) -> np.ndarray:
    """Plain state ids ``[T]`` (CTC: labels)."""
    if model.topology == "ctc":
        return columns.astype(np.int32)
    distinct, inverse = np.unique(columns, return_inverse=True)
    return np.array([model.plain_state(int(c)) for c in distinct], np.int32)[inverse]


def _gaps(runs: Sequence[tuple[Node, int, int]], frames: int) -> list[tuple[int, int]]:
    """What lies between the phones."""
    edges = [0, *(edge for _, begin, end in runs for edge in (begin, end)), frames]
    return [(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if b > a]


def _share_blanks(
    runs: Sequence[tuple[Node, int, int]], frames: int, reach: int
) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Bounds of phones that share the blanks between them, and the silences that are left."""
    begins, ends = [begin for _, begin, _ in runs], [end for _, _, end in runs]
    silences = []
    for right in range(len(runs) + 1):
        left = right - 1
        first = ends[left] if left >= 0 else 0
        last = begins[right] if right < len(runs) else frames
        outer = left < 0 or right == len(runs)
        inside = not outer and runs[left][0].word == runs[right][0].word
        most = last - first if inside else reach
        if left >= 0:
            first += min(most, last - first if outer else (last - first + 1) // 2)
            ends[left] = first
        if right < len(runs):
            last -= min(most, last - first)
            begins[right] = last
        if last > first:
            silences.append((first, last))
    return list(zip(begins, ends, strict=True)), silences


def _ranks(
    model: AcousticModel, posteriors: np.ndarray, runs: Sequence[tuple[int, int, int]]
) -> np.ndarray:
    """How many phones are likelier than the canonical one, for each (label, first, last)."""
    others = (KALDI_ID[SILENCE], KALDI_ID[NOISE])
    phones = [
        i for i, label in enumerate(model.labels) if KALDI_ID[kaldi_name(label)] not in others
    ]
    means = np.stack([posteriors[begin:end].mean(0) for _, begin, end in runs])
    own = means[np.arange(len(runs)), [label for label, _, _ in runs]]
    return (means[:, phones] > own[:, None]).sum(1)


def _likelihood(scores: np.ndarray, found: _BestPath) -> float:
    along = scores[np.arange(len(scores)), found.columns].astype(np.float64)
    return float(np.maximum(along, viterbi.FLOOR).sum())


def _confidence(ranks: np.ndarray, gain: float) -> float:
    value = _GAIN_WEIGHT * min(max(gain, -1.0), 3.0) - float(np.log1p(ranks).mean())
    return 1 / (1 + math.exp(-_SLOPE * (value - _MIDDLE)))
