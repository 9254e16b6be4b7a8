"""How well words that nobody said are found: measures of ``evaluate pronunciation --miscues``.

Words are told apart by *evidence*: ``said``, the probability P(said) of models that predict it,
and ``accuracy``, the word's accuracy. Right words are those of the set's own texts that people
gave 7 of 10 or more; those they gave 1 to 5 were said badly, but said.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from speechkit.base import figures
from speechkit.base.figures import colours, dress, escape, panels
from speechkit.labels.miscues import INSERTION, OMISSION, STATUSES, SUBSTITUTION
from speechkit.stats import bootstrap, roc
from speechkit.stats.roc import Detection
from speechkit.task.scores import count_rows

TRUE = "true"
"""Kind of the texts as they were said."""
KINDS = {
    "near": ("near",),
    "far": ("far",),
    "replaced": ("near", "far"),
    "omission": ("omission",),
    "appended": ("appended",),
}
"""Name of a measure -> kinds of text whose words that nobody said it is of."""
RIGHT, BAD = 7.0, (1.0, 5.0)
FLAGGED_WORDS, FLAGGED_TEXTS = 0.02, 0.01  # of the right ones, at the working points
_EDGE = 1e-3  # what rounding may take from a score
TITLES = {
    "near": "replaced, near",
    "far": "replaced, far",
    "replaced": "replaced",
    "omission": "left out",
    "appended": "appended",
}
_LEFT = 1e-3  # of the axis of right words: one in a thousand


@dataclass(frozen=True)
class Findings:
    """T texts of W words, and what a model says of them.

    Args:
        speakers: of the texts, as numbers from 0 ``[T]``.
        tests: kind of each text ``[T]``.
        of: text of each word ``[W]``.
        statuses: what each word is, a number in ``STATUSES`` ``[W]``.
        human: accuracy of the words as people gave it, 0 to 10; NaN: they did not ``[W]``.
        accuracy: the same as the model gives it ``[W]``.
        probabilities: of the statuses ``[W, 3]``; None of models that do not predict them.
        called: what the model calls each word, a number in ``STATUSES`` ``[W]``; None as above.
        completeness: of the texts as the model gives it, 0 to 10 ``[T]``; None where it does not.
        confidence: of the alignment that text and audio belong together ``[T]``; None where it
            is not known.
        called_wrong: which texts the model calls those of another recording ``[T]``; None of
            models that do not.
        inserted: which texts an insertion is found in ``[T]``; of texts that lack a word, in its
            place. None of features without word verification.
    """

    speakers: np.ndarray
    tests: np.ndarray
    of: np.ndarray
    statuses: np.ndarray
    human: np.ndarray
    accuracy: np.ndarray
    probabilities: np.ndarray | None = None
    called: np.ndarray | None = None
    completeness: np.ndarray | None = None
    confidence: np.ndarray | None = None
    called_wrong: np.ndarray | None = None
    inserted: np.ndarray | None = None

    @property
    def right(self) -> np.ndarray:
        """Which words were said well ``[W]``."""
        return (self.tests[self.of] == TRUE) & (self.human >= RIGHT - _EDGE)

    @property
    def badly_said(self) -> np.ndarray:
        """Which words were said badly ``[W]``."""
        inside = (self.human >= BAD[0] - _EDGE) & (self.human <= BAD[1] + _EDGE)
        return (self.tests[self.of] == TRUE) & inside

    def unsaid(self, kind: str) -> np.ndarray:
        """Which words nobody said in the texts of a kind of :data:`KINDS` ``[W]``."""
        return np.isin(self.tests[self.of], KINDS[kind]) & (self.statuses > 0)

    def evidence(self) -> dict[str, np.ndarray]:
        """Kind of evidence -> values of the words ``[W]``, low where it speaks against them."""
        said = {} if self.probabilities is None else {"said": self.probabilities[:, 0]}
        return {**said, "accuracy": self.accuracy}

    def detection(self, values: np.ndarray, false: np.ndarray) -> Detection | None:
        """Right words, and false ones ``[W]``, by a value of each; None where there are none."""
        who, right = self.speakers[self.of], self.right
        pair = Detection(values[right], who[right], values[false], who[false])
        return pair if right.any() and false.any() else None

    def text_evidence(self) -> dict[str, np.ndarray]:
        """The same of the texts ``[T]``: means over their words, and the alignment's."""
        counts = np.bincount(self.of, minlength=len(self.tests))
        found = {
            name: np.bincount(self.of, values, len(counts)) / counts
            for name, values in self.evidence().items()
        }
        return found if self.confidence is None else {**found, "confidence": self.confidence}


def summarize(tested: Findings, samples: int, seeds: int) -> dict[str, dict[str, Any]]:
    """Measure -> ``mean``, ``low`` and ``high`` (95 % over speakers), and counts.

    Args:
        samples: of the bootstrap over speakers.
        seeds: whose mean was tested.
    """
    count = int(tested.speakers.max()) + 1
    drawn = bootstrap.draw_speakers(count, samples, 0).astype(np.float64)
    found = {name: roc.measured(one, drawn) for name, one in _statistics(tested)}
    of_words = {
        **{name: tested.unsaid(name) for name in KINDS},
        "right": tested.right,
        "badly_said": tested.badly_said,
    }
    texts = {"wrong_texts": "text", "right_texts": TRUE}
    texts |= {"texts_a_third_unsaid": "third", "texts_without_a_word": INSERTION}
    return found | count_rows(
        seeds,
        **{f"{name}_words": int(which.sum()) for name, which in of_words.items()},
        **{name: int((tested.tests == test).sum()) for name, test in texts.items()},
        speakers=count,
    )


def _statistics(tested: Findings) -> Iterator[tuple[str, roc.Statistic]]:
    who = tested.speakers[tested.of]
    for evidence, values in tested.evidence().items():
        for kind in KINDS:
            if words := tested.detection(values, tested.unsaid(kind)):
                yield f"{kind}_{evidence}_auc", words.area
                yield f"{kind}_{evidence}_recall", partial(words.recall, share=FLAGGED_WORDS)
    for kind in KINDS:
        if (false := tested.unsaid(kind)).any():
            yield f"{kind}_word_accuracy", roc.mean(tested.accuracy[false], who[false])
    right, wrong = tested.tests == TRUE, tested.tests == "text"
    for evidence, values in tested.text_evidence().items():
        if wrong.any():
            sides = [(values[side], tested.speakers[side]) for side in (right, wrong)]
            texts = Detection(*sides[0], *sides[1])
            yield f"text_{evidence}_recall", partial(texts.recall, share=FLAGGED_TEXTS)
    if tested.called_wrong is not None:
        for name, side in (("right", right), ("wrong", wrong)):
            if side.any():
                hits = tested.called_wrong[side]
                yield f"{name}_texts_called_wrong", roc.mean(hits, tested.speakers[side])
    if tested.inserted is not None:
        lacking = tested.tests == INSERTION
        for name, side in (("insertion_recall", lacking), ("right_texts_called_inserted", right)):
            if side.any():
                yield name, roc.mean(tested.inserted[side], tested.speakers[side])
    third = tested.tests == "third"
    if tested.completeness is not None and third.any():
        counts = np.bincount(tested.of, minlength=len(third))
        share = np.bincount(tested.of, tested.statuses == 0, len(third)) / counts
        errors = np.abs(tested.completeness - 10 * share)[third]
        yield "third_completeness_error", roc.mean(errors, tested.speakers[third])
    yield from _of_statuses(tested, who)


def _of_statuses(tested: Findings, who: np.ndarray) -> Iterator[tuple[str, roc.Statistic]]:
    """Of the likeliest status of each word."""
    if tested.called is None:
        return
    called = tested.called
    tests = [test for kind in ("replaced", "omission", "appended") for test in KINDS[kind]]
    inside = np.isin(tested.tests[tested.of], tests)
    for name in (SUBSTITUTION, OMISSION):
        number = STATUSES.index(name)
        hits = (called == number) & (tested.statuses == number)
        for what, side in (("recall", tested.statuses), ("precision", called)):
            if (chosen := inside & (side == number)).any():
                yield f"{name}_{what}", roc.mean(hits[chosen], who[chosen])
    for name, chosen in (("right", tested.right), ("badly_said", tested.badly_said)):
        if chosen.any():
            yield f"{name}_called_unsaid", roc.mean(called[chosen] > 0, who[chosen])


def draw_roc(curves: Mapping[str, Mapping[str, np.ndarray]]) -> bytes:
    """A panel for each kind of false words, a line for each model or evidence.

    The axis of right words is logarithmic: it matters at the small shares. The dashed line is the
    working point, with a dot where a curve meets it.

    Args:
        curves: kind -> label -> shares of right and of false words flagged ``[n, 2]``.
    """
    names = list(dict.fromkeys(name for lines in curves.values() for name in lines))
    shades = dict(zip(names, colours(names), strict=True))
    figure, axes = panels(2.6 * len(curves) + 1.7, 2.7, len(curves), sharey=True)
    handles = {}
    for axis, (kind, lines) in zip(axes, curves.items(), strict=True):
        axis.axvline(FLAGGED_WORDS, color=figures.SPINE, linestyle="--", linewidth=0.9)
        for name, curve in lines.items():
            x, y = np.maximum(curve[:, 0], _LEFT / 2), curve[:, 1]
            (handles[escape(name)],) = axis.step(
                x, y, where="post", color=shades[name], linewidth=1.4
            )
            met = y[curve[:, 0] <= FLAGGED_WORDS + 1e-9].max(initial=0.0)
            axis.plot(FLAGGED_WORDS, met, "o", color=shades[name], markersize=4.5)
        axis.set_xscale("log")
        axis.set_xlim(_LEFT, 1)
        axis.set_ylim(0, 1.02)
        axis.set_xticks([0.001, 0.01, 0.1, 1], ["0.1", "1", "10", "100"])
        axis.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "25", "50", "75", "100"])
        dress(axis, TITLES.get(kind, kind), grid="both")
    axes[0].set_ylabel("false words found (%)", color=figures.TEXT)
    figure.supxlabel("right words flagged (%)", fontsize=10, color=figures.TEXT)
    figures.legend_beside(figure, handles)
    return figures.png(figure)
