"""The alignment graph: every way to say the words of a text, as states of an acoustic model.

A node is one phone in one context, or one silence. The words' pronunciation variants run side
by side, and so do the readings of what can be said in several ways ("1984"); between two words
lies a silence that may be passed over, and before and after the text as well. The phones at a
word's edges depend on which way is taken (neighbour or silence), so that they come once per
context; contexts that the model does not tell apart are merged. For ``ctc`` models a silence is
the blank, which may also lie between the phones of a word, and must between equal labels.

"GO 24", said with GO TWENTY FOUR or GO TWO FOUR, has the ways (~ is a silence or nothing)::

    ~ G OW ~ T W EH N T IY ~ F AO R ~
           ~ T UW ~ F AO R ~
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from speechkit.acoustic.interface import AcousticModel, Costs, PhoneInContext, States
from speechkit.acoustic.lexicon.readings import Choice, slots_of
from speechkit.base.errors import UserError
from speechkit.base.tables import grouped
from speechkit.labels.phones import SILENCE, pure

Pronunciation = Sequence[str]
Variants = list[tuple[int, tuple[str, ...]]]
Place = tuple[int, int, int]
"""Word, variant and index of a phone, as in :class:`Node`."""


@dataclass
class Node:
    """One phone in context, or a silence.

    Args:
        states: columns of ``state_scores`` that it passes through.
        costs: log probabilities (stay, move on) of each.
        word: index of the word; -1 for a silence.
        variant: which pronunciation of the word.
        index: which phone of the pronunciation.
        before: nodes that it may follow (numbers).
    """

    states: States
    costs: Costs
    word: int = -1
    variant: int = -1
    index: int = -1
    before: list[int] = field(default_factory=list)


@dataclass
class Graph:
    """Nodes in topological order.

    Args:
        nodes: every node comes after those in its ``before``.
        starts, ends: nodes that the text may begin with, and end with.
    """

    nodes: list[Node]
    starts: list[int]
    ends: list[int]

    def shortest(self) -> int:
        """Fewest frames that the text needs."""
        least = np.full(len(self.nodes), np.iinfo(np.int32).max // 2)
        for number, node in enumerate(self.nodes):
            begin = 0 if number in self.starts else min((least[b] for b in node.before), default=0)
            least[number] = begin + len(node.states)
        return int(min(least[end] for end in self.ends))


@dataclass(frozen=True)
class _Open:
    """A node that others may follow: its phone, and what may come to its right.

    After a silence anything may come.
    """

    node: int
    phone: str
    rights: frozenset[str]


def build(
    model: AcousticModel,
    words: Sequence[Sequence[Pronunciation]],
    choices: Sequence[Choice] = (),
) -> Graph:
    """The graph of a text.

    Args:
        model: gives states and costs; only its inventory and topology are used.
        words: for every word its pronunciations, phones with or without stress.
        choices: which of the words are readings of one piece, of which one is said.

    Raises:
        UserError: no words, a word without pronunciation, a phone that the model has not.
    """
    if not words or not all(variants and all(variants) for variants in words):
        raise UserError(
            "There is nothing to align: the text is empty or a word has no phones.",
            "Give the words that are said in the recording.",
        )
    distinct = [_distinct(variants) for variants in words]
    return _Builder(model, distinct).build(slots_of(len(words), choices))


def _distinct(variants: Sequence[Pronunciation]) -> Variants:
    """(number, pure phones) of the variants, without those that differ in stress only."""
    found: dict[tuple[str, ...], int] = {}
    for number, variant in enumerate(variants):
        found.setdefault(tuple(map(pure, variant)), number)
    return [(number, phones) for phones, number in found.items()]


class _Builder:
    """Args: the model, and (number, pure phones) of the variants of each word."""

    def __init__(self, model: AcousticModel, words: Sequence[Variants]) -> None:
        self.model, self.words, self.nodes = model, words, list[Node]()
        self.ctc = model.topology == "ctc"
        self._seen: dict[PhoneInContext, tuple[States, Costs]] = {}

    def build(self, slots: Sequence[Sequence[range]]) -> Graph:
        """Args: pieces of the text in order, for each its readings as numbers of words."""
        firsts = [self._firsts(reading[0] for reading in slot) for slot in slots]
        opening = self._silence([])
        starts = [opening.node]
        ends: list[_Open] = [opening]
        for number, slot in enumerate(slots):
            nexts = firsts[number + 1] if number + 1 < len(slots) else []
            closed = [o for reading in slot for o in self._reading(reading, ends, nexts)]
            if number == 0:  # without the opening silence
                starts += [
                    n
                    for n, node in enumerate(self.nodes)
                    if node.index == 0 and opening.node in node.before
                ]
            ends = [*closed, self._pause(closed)]
        finals = [o.node for o in ends if SILENCE in o.rights or o.phone == SILENCE]
        return Graph(self.nodes, starts, finals)

    def _firsts(self, words: Iterable[int]) -> list[str]:
        """Phones that some words may begin with."""
        return sorted({phones[0] for word in words for _, phones in self.words[word]})

    def _reading(self, words: range, before: Sequence[_Open], nexts: Sequence[str]) -> list[_Open]:
        """Add words after the open ends ``before``; return the open ends of the last."""
        ends, closed = list(before), list[_Open]()
        for word in words:
            if word > words[0]:
                ends = [*closed, self._pause(closed)]
            rights = nexts if word == words[-1] else self._firsts([word + 1])
            closed = []
            for number, phones in self.words[word]:
                closed += self._word(word, number, phones, ends, rights)
        return closed

    def _pause(self, closed: Sequence[_Open]) -> _Open:
        """A silence after the open ends of words."""
        return self._silence([o.node for o in closed if SILENCE in o.rights])

    def _word(
        self,
        word: int,
        variant: int,
        phones: tuple[str, ...],
        before: Sequence[_Open],
        nexts: Sequence[str],
    ) -> list[_Open]:
        """Add a pronunciation after the open ends ``before``; return its own open ends."""
        ends = list(before)
        for index, phone in enumerate(phones):
            last = index == len(phones) - 1
            rights = [SILENCE, *nexts] if last else [phones[index + 1]]
            ends = self._phone((word, variant, index), phone, ends, rights, _place(index, last))
            if self.ctc and not last:
                blank = self._add(*self._blank(), [o.node for o in ends])
                ends.append(_Open(blank, SILENCE, frozenset(rights)))
        return ends

    def _phone(
        self,
        place: Place,
        phone: str,
        before: Sequence[_Open],
        rights: Sequence[str],
        position: str,
    ) -> list[_Open]:
        """Add a phone once for each class of contexts that the model tells apart."""
        before = [o for o in before if phone in o.rights or o.phone == SILENCE]
        lefts = sorted({o.phone for o in before})
        grid = {
            (left, right): self._states(PhoneInContext(phone, left, right, position))
            for left in lefts
            for right in rights
        }
        ends = []
        alike_right = grouped(rights, lambda r: tuple(grid[left, r] for left in lefts)).values()
        alike_left = grouped(lefts, lambda left: tuple(grid[left, r] for r in rights)).values()
        for some_left in alike_left:
            for some_right in alike_right:
                states, costs = grid[some_left[0], some_right[0]]
                follows = [o.node for o in before if o.phone in some_left and self._may(o, states)]
                if follows:
                    node = self._add(states, costs, follows, place)
                    ends.append(_Open(node, phone, frozenset(some_right)))
        return ends

    def _may(self, end: _Open, states: States) -> bool:
        """Equal labels of a CTC model need a blank between them."""
        return not (self.ctc and self.nodes[end.node].states[-1] == states[0])

    def _silence(self, before: list[int]) -> _Open:
        states, costs = self._blank() if self.ctc else self._states(PhoneInContext(SILENCE))
        return _Open(self._add(states, costs, before), SILENCE, frozenset())

    def _blank(self) -> tuple[States, Costs]:
        assert self.model.blank is not None
        return (self.model.blank,), ((0.0, 0.0),)

    def _states(self, phone: PhoneInContext) -> tuple[States, Costs]:
        if phone not in self._seen:
            self._seen[phone] = self.model.state_ids(phone), self.model.transition_costs(phone)
        return self._seen[phone]

    def _add(
        self, states: States, costs: Costs, before: list[int], place: Place = (-1, -1, -1)
    ) -> int:
        self.nodes.append(Node(states, costs, *place, before))
        return len(self.nodes) - 1


def _place(index: int, last: bool) -> str:
    return ("S" if last else "B") if index == 0 else ("E" if last else "I")
