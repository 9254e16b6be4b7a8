"""All ways to explain a recording by a text with miscues, enumerated one by one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations, pairwise, product

import numpy as np

from speechkit.acoustic.interface import AcousticModel, PhoneInContext

SAID, REPLACED, LEFT_OUT = "said", "replaced", "left out"
SPEECH, ANY = "speech", "any"  # what the frames of a filler take
Piece = tuple[object, tuple[float, float], bool]  # column, (stay, move), may stay


def ways(count: int, most: int) -> Iterator[tuple[tuple[str, ...], list[str]]]:
    """What becomes of each word, and the pieces in order: ``~``, ``*``, words by number.

    ``most`` insertions lie between two words at most. Beside a word that is left out there is
    none, and the silence between its neighbours comes first.
    """
    gaps = [""]
    for number in range(1, most + 1):
        inner = ["~".join("*" * number)]
        gaps += [a + gap + b for gap in inner for a in ("", "~") for b in ("", "~")]
    gaps.append("~")
    for fates in product((SAID, REPLACED, LEFT_OUT), repeat=count):
        for chosen in product(gaps, repeat=count + 1):
            before = [False, *(fate == LEFT_OUT for fate in fates)]
            after = [*(fate == LEFT_OUT for fate in fates), False]
            if any("*" in g and (a or b) for g, a, b in zip(chosen, before, after, strict=True)):
                continue
            if any(g and b for g, b in zip(chosen, before, strict=True)):
                continue
            pieces = list(chosen[0])
            for word, gap in enumerate(chosen[1:]):
                pieces += [f"{word}:{fates[word]}", *gap]
            yield fates, pieces


def chain(
    model: AcousticModel, words: Sequence[Sequence[str]], pieces: Sequence[str], least: int
) -> list[Piece] | None:
    """The states that a way passes, one after another."""
    filler: list[Piece] = [(SPEECH, (0.0, 0.0), False)] * least + [(ANY, (0.0, 0.0), True)]
    found: list[Piece] = []
    for place, piece in enumerate(pieces):
        if piece == "*" or piece.endswith(REPLACED):
            found += filler
        elif piece == "~":
            found += _states(model, PhoneInContext("SIL"))
        elif piece.endswith(SAID):
            phones = words[int(piece[0])]
            left = _edge(words, pieces[place - 1], -1) if place else "SIL"
            right = _edge(words, pieces[place + 1], 0) if place + 1 < len(pieces) else "SIL"
            padded = [left, *phones, right]
            for at, phone in enumerate(phones):
                if at and model.topology == "ctc":
                    found.append((model.blank, (0.0, 0.0), True))  # may be passed over
                last = at == len(phones) - 1
                where = "S" if len(phones) == 1 else "B" if not at else "E" if last else "I"
                found += _states(model, PhoneInContext(phone, padded[at], padded[at + 2], where))
    return found


def _edge(words: Sequence[Sequence[str]], piece: str, which: int) -> str:
    return words[int(piece[0])][which] if piece.endswith(SAID) else "SIL"


def _states(model: AcousticModel, phone: PhoneInContext) -> list[Piece]:
    if phone.phone == "SIL" and model.blank is not None:
        return [(model.blank, (0.0, 0.0), True)]
    costs = model.transition_costs(phone)
    return [(c, cost, True) for c, cost in zip(model.state_ids(phone), costs, strict=True)]


def best_of_chain(states: Sequence[Piece], table: dict[object, np.ndarray], moved: bool) -> float:
    """Best score over all segmentations; ``moved``: the last state is left for something."""
    frames = len(table[ANY])
    if not states:
        return 0.0 if not frames else -np.inf
    best = -np.inf
    for cuts in combinations(range(1, frames), len(states) - 1):
        total = 0.0
        for number, ((a, b), state) in enumerate(
            zip(pairwise((0, *cuts, frames)), states, strict=True)
        ):
            column, (stay, move), may = state
            if not may and b - a > 1:
                total = -np.inf
                break
            total += table[column][a:b].sum() + (b - a - 1) * stay
            total += move if moved or number + 1 < len(states) else 0.0
        best = max(best, total)
    return best


def scores_of_fates(
    model: AcousticModel,
    words: Sequence[Sequence[str]],
    table: dict[object, np.ndarray],
    least: int,
    costs: tuple[float, float, float],
) -> dict[tuple[int, str], float]:
    """Best score for each word and what becomes of it.

    Args:
        model: without a blank.
        words: their phones.
        table: scores of each column in every frame, and of the filler.
        least: frames of speech that a filler begins with.
        costs: of a substitution, an omission and an insertion.
    """
    found: dict[tuple[int, str], float] = {}
    substitution, omission, insertion = costs
    for fates, pieces in ways(len(words), 2 if len(words) < 3 else 1):
        states = chain(model, words, pieces, least)
        if len(states) > len(table[ANY]):
            continue
        left_last = bool(pieces) and pieces[-1].endswith(LEFT_OUT)
        score = best_of_chain(states, table, left_last)
        score -= substitution * fates.count(REPLACED) + omission * fates.count(LEFT_OUT)
        score -= insertion * pieces.count("*")
        for word, fate in enumerate(fates):
            found[word, fate] = max(found.get((word, fate), -np.inf), score)
    return found
