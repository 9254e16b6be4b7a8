"""The graph of what readers do to a text: words said, replaced, left out, and speech between.

It is the alignment graph of the text with three ways more. A *filler* is a stretch of speech of
any phones; between words it is an insertion, in the place of a word a substitution. A word that
is left out is jumped over: nothing but silence stands between its neighbours. ``GO ON`` (~ is a
silence or nothing, * a filler)::

    ~ [*~] (G OW | * | jump) ~ [*~] (AA N | * | jump) ~ [*~]

A filler beside a word that is left out would be a substitution by another name, so no jump
follows or goes before an insertion.

A filler takes the score of the best free path (:mod:`~.free_phones`) in its frames, so that it
needs no phones of its own: it is a chain of a few states that take speech only, and a last one
that takes anything and may stay.

Words follow one another by the arcs of the alignment graph, which know their contexts; where one
is left out both its neighbours stand beside a silence, though it may have no frames. In ``ctc``
models a blank must stand between equal labels, so that paths jump only from the blank.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from speechkit.acoustic.align import graph as alignment_graph
from speechkit.acoustic.align import viterbi
from speechkit.acoustic.align.max_marginals import EDGE, Arc, Trellis
from speechkit.acoustic.interface import AcousticModel

SPEECH, ANY = -2, -1  # columns of the filler, which no model has: in speech alone, everywhere


@dataclass(frozen=True)
class MiscueGraph:
    """The trellis, and which of its states belong to what.

    Args:
        trellis: of N words, with N + 1 junctions; its columns are those of the model's scores,
            :data:`SPEECH` and :data:`ANY`.
        word: number of the word whose phones hold a state, else -1 ``[S]``.
        last: states that words are left by, as (state, word).
        substitution: last state of the filler in place of each word ``[N]``.
        insertion: number of the junction whose filler holds a state, else -1 ``[S]``.
        replaced: number of the word whose filler holds a state, else -1 ``[S]``.
    """

    trellis: Trellis
    word: np.ndarray
    last: list[tuple[int, int]]
    substitution: np.ndarray
    insertion: np.ndarray
    replaced: np.ndarray


def build(
    model: AcousticModel,
    words: Sequence[Sequence[str]],
    least: int,
    costs: tuple[float, float, float],
) -> MiscueGraph:
    """The graph of a text.

    Args:
        model: gives states and costs of phones.
        words: the phones of the N words.
        least: frames of speech that a filler begins with.
        costs: of a substitution, an omission and an insertion, in nats.
    """
    return _Builder(model, words, least, costs).build()


class _Builder:
    def __init__(
        self,
        model: AcousticModel,
        words: Sequence[Sequence[str]],
        least: int,
        costs: tuple[float, float, float],
    ) -> None:
        self.words, self.least, self.ctc = words, least, model.topology == "ctc"
        self.substitution, self.omission, self.insertion = costs
        self.graph = alignment_graph.build(model, [[phones] for phones in words])
        self.table = viterbi.flatten(self.graph)
        sizes = [len(node.states) for node in self.graph.nodes]
        self.first = np.cumsum([0, *sizes])
        self.columns: list[int] = self.table.columns.tolist()
        self.arcs: list[Arc] = []
        self.leave: list[Arc] = []
        self.hop: list[Arc] = []
        self.join: list[Arc] = []
        self.begin: list[Arc] = []
        self.insert: list[Arc] = []
        self.pauses = self._pauses()
        self.open = self._open()

    def _pauses(self) -> list[int]:
        """The silence of each junction (number of its node)."""
        found = {}
        for number, node in enumerate(self.graph.nodes):
            if node.word < 0:
                left = self.graph.nodes[node.before[0]] if node.before else None
                if left is None:
                    found[0] = number
                elif left.word >= 0 and left.index == len(self.words[left.word]) - 1:
                    found[left.word + 1] = number
        return [found[junction] for junction in range(len(self.words) + 1)]

    def _open(self) -> set[int]:
        """Junctions by which a word may be left for the next, whatever their contexts.

        There the way through the junction is the way of the alignment graph. At the others it
        would be another one, beside silences that are not there.
        """
        if self.ctc:  # from a label no path may jump
            return {len(self.words)}
        found = set(range(len(self.words) + 1))
        for node in self.graph.nodes:
            if node.index == 0 and self.pauses[node.word] in node.before:
                ends = self.graph.nodes[self.pauses[node.word]].before
                if not set(ends) <= set(node.before):
                    found.discard(node.word)
        return found

    def build(self) -> MiscueGraph:
        self._said()
        count = len(self.words)
        inserted = [self._insertion(junction) for junction in range(count + 1)]
        replaced = [self._substitution(word) for word in range(count)]
        self.begin.append((count, EDGE, 0.0))
        self.leave.append((EDGE, 0, 0.0))
        size = len(self.columns)
        word = np.full(size, -1)
        owners = np.array([node.word for node in self.graph.nodes])
        word[: len(self.table.node)] = owners[self.table.node]
        places = []
        for chains in (inserted, replaced):
            of = np.full(size, -1)
            for number, chain in enumerate(chains):
                of[chain.start : chain.stop] = number
            places.append(of)
        last = [
            (self._end(number), node.word)
            for number, node in enumerate(self.graph.nodes)
            if node.word >= 0 and node.index == len(self.words[node.word]) - 1
        ]
        ways = (self.arcs, self.leave, self.hop, self.join, self.begin, self.insert)
        trellis = Trellis(np.array(self.columns), *ways, count + 1, self.omission)
        ends = np.array([chain.stop - 1 for chain in replaced])
        return MiscueGraph(trellis, word, last, ends, *places)

    def _end(self, node: int) -> int:
        return int(self.first[node + 1]) - 1

    def _move(self, node: int) -> float:
        return self.graph.nodes[node].costs[-1][1]

    def _said(self) -> None:
        """The alignment graph; ways through a junction go by the junction."""
        junction_of = {node: junction for junction, node in enumerate(self.pauses)}
        starts = set(self.graph.starts)
        for number, node in enumerate(self.graph.nodes):
            state = int(self.first[number])
            self._pass(state, node)
            before = list(node.before)
            if number in junction_of:
                junction = junction_of[number]
                if junction in self.open:
                    self.leave += self._word_ends(junction)
                elif not self.ctc:
                    self.hop += self._word_ends(junction)
                self.leave.append((self._end(number), junction, self._move(number)))
                if number in starts:
                    self.arcs.append((EDGE, state, 0.0))
            elif node.index == 0 and self.pauses[node.word] in before:
                pause = self.pauses[node.word]
                self.begin.append((node.word, state, 0.0))
                known = self.graph.nodes[pause].before if node.word in self.open else []
                before = [b for b in before if b != pause and b not in known]
            self.arcs += [(self._end(b), state, self._move(b)) for b in before]
        for number in self.graph.ends:
            if self._move(number):  # the end is reached without moving on
                self.arcs.append((self._end(number), EDGE, 0.0))

    def _word_ends(self, junction: int) -> list[Arc]:
        """Ways from the word before a junction into it."""
        ends = self.graph.nodes[self.pauses[junction]].before
        return [(self._end(node), junction, self._move(node)) for node in ends]

    def _after_word(self, junction: int, filler: int, cost: float) -> None:
        """A filler without a silence before it."""
        if junction not in self.open:
            ends = self._word_ends(junction)
            self.arcs += [(end, filler, move - cost) for end, _, move in ends]

    def _pass(self, first: int, node: alignment_graph.Node) -> range:
        """The states of a node from ``first`` on, each of which may stay or move on to the next."""
        states = range(first, first + len(node.states))
        self.arcs += [(s, s, stay) for s, (stay, _) in zip(states, node.costs, strict=True)]
        moves = [move for _, move in node.costs[:-1]]
        self.arcs += [(a, b, move) for (a, b), move in zip(pairwise(states), moves, strict=True)]
        return states

    def _chain(self, columns: Sequence[int]) -> range:
        """New states in a row, of which the last may stay."""
        states = range(len(self.columns), len(self.columns) + len(columns))
        self.columns += columns
        self.arcs += [(a, b, 0.0) for a, b in pairwise(states)]
        self.arcs.append((states[-1], states[-1], 0.0))
        return states

    def _filler(self) -> range:
        return self._chain([*[SPEECH] * self.least, ANY])

    def _insertion(self, junction: int) -> range:
        """Speech that no word covers, and the silence after it."""
        filler = self._filler()
        self._after_word(junction, filler[0], self.insertion)
        self.insert.append((junction, filler[0], -self.insertion))
        self.join.append((filler[-1], junction, 0.0))
        pause = self.graph.nodes[self.pauses[junction]]
        silence = self._pass(len(self.columns), pause)
        self.columns += pause.states
        leaving = pause.costs[-1][1]
        self.arcs.append((filler[-1], silence[0], 0.0))
        self.arcs.append((silence[-1], filler[0], leaving - self.insertion))
        self.join.append((silence[-1], junction, leaving))
        if junction == len(self.words) and leaving:
            self.arcs.append((silence[-1], EDGE, 0.0))
        return filler

    def _substitution(self, word: int) -> range:
        filler = self._filler()
        self._after_word(word, filler[0], self.substitution)
        self.begin.append((word, filler[0], -self.substitution))
        self.leave.append((filler[-1], word + 1, 0.0))
        self.arcs.append((filler[-1], int(self.first[self.pauses[word + 1]]), 0.0))
        return filler
