"""All ways to say a text, enumerated one by one: what the graph and Viterbi are checked with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise, product

import numpy as np
import torch

from speechkit.acoustic.interface import AcousticModel, Evidence, PhoneInContext
from speechkit.base.errors import UserError

PHONES = ("AA", "B", "IY", "K")
LABELS = ("SIL", *PHONES)
# Phone in (what matters of) its context, and the index of the state in it.
State = tuple[PhoneInContext, int]


class FakeModel(AcousticModel):
    """Columns are given to (phone, relevant context, state) in the order of their first use.

    Args:
        left: whether states differ by the phone to the left (of the vowels only).
        right: whether they differ by the phone to the right.
        states: per phone.
        costs: random transition log probabilities instead of none.
    """

    def __init__(
        self, left: bool = False, right: bool = False, states: int = 2, costs: bool = False
    ) -> None:
        self.name = self.fingerprint = "fake"
        self.labels, self.frame_shift, self.sample_rate = LABELS, 0.01, 16000
        self.left, self.right, self.count, self.random_costs = left, right, states, costs
        self.columns: dict[State, int] = {}

    def evidence(self, samples: np.ndarray) -> Evidence:
        raise AssertionError("the tests give the evidence")

    def _seen(self, phone: PhoneInContext) -> PhoneInContext:
        """The phone with the part of its context that the model tells apart."""
        if phone.phone not in LABELS:
            raise UserError(f"The model has no phone '{phone.phone}'.")
        if phone.phone == "SIL":
            return PhoneInContext("SIL")
        vowel = phone.phone in ("AA", "IY")
        left = phone.left if self.left and vowel else "SIL"
        return PhoneInContext(phone.phone, left, phone.right if self.right else "SIL")

    def state_ids(self, phone: PhoneInContext) -> tuple[int, ...]:
        seen = self._seen(phone)
        return tuple(
            self.columns.setdefault((seen, state), len(self.columns)) for state in range(self.count)
        )

    def transition_costs(self, phone: PhoneInContext) -> tuple[tuple[float, float], ...]:
        if not self.random_costs:
            return super().transition_costs(phone)
        return tuple((-0.1 - 0.7 * (c % 5), -0.3 * (c % 3)) for c in self.state_ids(phone))

    def plain_state(self, state: int) -> int:
        seen, number = list(self.columns)[state]
        return 3 * LABELS.index(seen.phone) + number


class CtcModel(AcousticModel):
    """Labels with a blank in the middle of them."""

    topology = "ctc"

    def __init__(self) -> None:
        self.name = self.fingerprint = "fake ctc"
        self.labels, self.blank = ("AA", "B", "<pad>", "IY", "K"), 2
        self.frame_shift, self.sample_rate = 0.02, 16000

    def evidence(self, samples: np.ndarray) -> Evidence:
        raise AssertionError("the tests give the evidence")

    def state_ids(self, phone: PhoneInContext) -> tuple[int, ...]:
        if phone.phone not in PHONES:
            raise UserError(f"The model has no phone '{phone.phone}'.")
        return (self.labels.index(phone.phone),)


@dataclass(frozen=True)
class Way:
    """One way to say a text: its phones and silences, with what each belongs to.

    Args:
        phones: in context.
        places: (word, variant, index) of each; (-1, -1, -1) for a silence.
    """

    phones: tuple[PhoneInContext, ...]
    places: tuple[tuple[int, int, int], ...]


def ways(words: Sequence[Sequence[Sequence[str]]]) -> Iterator[Way]:
    """Every choice of variants and silences."""
    for choice in product(*(range(len(variants)) for variants in words)):
        for silences in product((False, True), repeat=len(words) + 1):
            names, places = ([""], [(-1, -1, -1)]) if silences[0] else ([], [])
            for word, variant in enumerate(choice):
                phones = words[word][variant]
                for index, phone in enumerate(phones):
                    names.append(phone)
                    places.append((word, variant, index))
                if silences[word + 1]:
                    names.append("")
                    places.append((-1, -1, -1))
            yield Way(tuple(_in_context(names, places, words)), tuple(places))


def _in_context(names, places, words):
    padded = ["", *names, ""]
    for at, (word, variant, index) in enumerate(places):
        if word < 0:
            yield PhoneInContext("SIL")
            continue
        size = len(words[word][variant])
        position = "S" if size == 1 else "B" if index == 0 else "E" if index == size - 1 else "I"
        left, right = padded[at] or "SIL", padded[at + 2] or "SIL"
        yield PhoneInContext(names[at], left, right, position)


def score_of_all(
    model: AcousticModel, scores: np.ndarray, words: Sequence[Sequence[Sequence[str]]]
) -> tuple[float, list[tuple[Way, tuple[int, ...]]]]:
    """Best score over all ways and all segmentations, and every (way, boundaries) that has it."""
    best, found = -np.inf, []
    frames = len(scores)
    for way in ways(words):
        columns = [c for phone in way.phones for c in model.state_ids(phone)]
        costs = [c for phone in way.phones for c in model.transition_costs(phone)]
        if len(columns) > frames:
            continue
        for cuts in combinations(range(1, frames), len(columns) - 1):
            bounds = (0, *cuts, frames)
            total = 0.0
            for k, (a, b) in enumerate(pairwise(bounds)):
                total += scores[a:b, columns[k]].sum() + (b - a - 1) * costs[k][0]
                total += costs[k][1] if k + 1 < len(columns) else 0.0
            if total > best + 1e-9:
                best, found = total, []
            if total > best - 1e-9:
                found.append((way, bounds))
    return best, found


def evidence_of(scores: np.ndarray, posteriors: np.ndarray | None = None) -> Evidence:
    """Evidence with given state scores (and log posteriors, else the same)."""
    logs = scores if posteriors is None else posteriors
    return Evidence(torch.from_numpy(np.ascontiguousarray(logs)), torch.from_numpy(scores))
