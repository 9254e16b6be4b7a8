"""Align a text with what an acoustic model hears: where each canonical phone lies.

:func:`align` knows no model, no file and no audio: it takes the evidence of a recording and
the pronunciations of its words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from speechkit.acoustic import viterbi
from speechkit.acoustic.base import AcousticModel, Evidence
from speechkit.acoustic.graph import Graph, Pronunciation, build
from speechkit.errors import UserError

EXTEND_S = 0.1  # how far a CTC phone reaches into the blanks at the edges of its word
MATCHES = 0.5  # texts of a lower confidence are said not to match


@dataclass(frozen=True)
class Segment:
    """Where one canonical phone lies.

    Args:
        phone: as it was given, with its stress.
        word: index of its word.
        start_frame: first frame.
        end_frame: the frame after the last.
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
        segments: the canonical phones in order, without silence.
        silences: (first frame, frame after the last) of each silence.
        states: ``[T]`` int32, plain state ids ``3 * label + state``; CTC: label ids.
        variants: which pronunciation was chosen of each word.
        confidence: 0 to 1, see :func:`confidence`.
    """

    segments: list[Segment]
    silences: list[tuple[int, int]]
    states: np.ndarray
    variants: list[int]
    confidence: float

    @property
    def matches(self) -> bool:
        """False where the text is probably not what is said."""
        return self.confidence >= MATCHES


def align(
    model: AcousticModel,
    evidence: Evidence,
    words: Sequence[Sequence[Pronunciation]],
    transition_scale: float = 1.0,
) -> Alignment:
    """Find the likeliest segmentation of a recording into the phones of its text.

    Args:
        model: the model that gave the evidence.
        evidence: of T frames.
        words: for every word its pronunciations (phones with or without stress); the likeliest
            is chosen. Silence may lie before, between and after the words.
        transition_scale: factor of the model's transition log probabilities.

    Raises:
        UserError: no words, phones that the model has not, or fewer frames than the text needs.
    """
    graph = build(model, words)
    scores = evidence.state_scores.detach().cpu().float().numpy()
    table = viterbi.flatten(graph, transition_scale)
    found = viterbi.best_path(table, scores)
    if found is None:
        count = sum(min(map(len, variants)) for variants in words)
        raise UserError(
            f"The text is longer than the audio: its {count} phones need {graph.shortest()} "
            f"frames, the audio has {evidence.frames} ({evidence.frames * model.frame_shift:.2f} "
            "s).",
            "Check that text and audio belong together.",
        )
    return _read(model, evidence, graph, table, found, words)


def _read(
    model: AcousticModel,
    evidence: Evidence,
    graph: Graph,
    table: viterbi.Table,
    path: np.ndarray,
    words: Sequence[Sequence[Pronunciation]],
) -> Alignment:
    """What a path through the table says."""
    ctc = model.topology == "ctc"
    columns, inverse = np.unique(table.columns, return_inverse=True)
    plain = columns if ctc else np.array([model.plain_state(int(c)) for c in columns])
    states = plain[inverse][path].astype(np.int32)
    labels = states if ctc else states // 3
    posteriors = evidence.log_posteriors.detach().cpu().float().numpy()
    aligned = posteriors[np.arange(len(labels)), labels]
    nodes = table.node[path]
    edges = np.flatnonzero(np.diff(nodes, prepend=-1, append=-1))
    segments, silences = [], []
    variants = [0] * len(words)
    for begin, end in zip(edges[:-1], edges[1:], strict=True):
        node = graph.nodes[nodes[begin]]
        if node.word < 0:
            silences.append((int(begin), int(end)))
            continue
        variants[node.word] = node.variant
        phone = words[node.word][node.variant][node.index]
        score = float(aligned[begin:end].mean())
        segments.append(Segment(phone, node.word, int(begin), int(end), score))
    return Alignment(segments, silences, states, variants, 1.0)
