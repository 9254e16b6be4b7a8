"""What was found, in a sentence for each task and set: the headline number with its interval, and
its tail. The sentences open the report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from speechkit.labels.scores import ASPECTS
from speechkit.report.elements import interval, number
from speechkit.report.emotion_tables import Found as EmotionFound
from speechkit.report.experiments import Evaluation
from speechkit.report.pronunciation_runs import Found as PronunciationFound
from speechkit.report.scoring_runs import Experiment as Scorer
from speechkit.report.separation_runs import Found as SeparationFound
from speechkit.stats.bootstrap import LEVELS, draw_speakers, mixture_weights

_HEADLINES = ("utterance_total", "word_accuracy", "phone_accuracy", *ASPECTS)
_DRAWS = 1000


def separation(name: str, found: SeparationFound) -> list[str]:
    """The experiment with the highest SI-SNRi on a set of mixtures."""
    known = [(e.value("si_snri_db"), one.name, e) for one, e in found]
    ranked = sorted((value[0], who, e) for value, who, e in known if value is not None)
    if not ranked:
        return []
    value, who, evaluation = ranked[-1]
    does = "improves" if value > 0 else "changes"
    said = f"'{who}' {does} the mixtures of {name} by {number(value)} dB on average (SI-SNRi"
    low, high = _interval_of_mixtures(evaluation)
    said += f"; 95 % interval {interval(low, high)})" if low is not None else ")"
    if (tail := evaluation.value("si_snri_p05_db")) is not None:
        said += f"; the hardest 5 % of them by at most {number(tail[0])} dB"
    return [f"{said}."]


def _interval_of_mixtures(evaluation: Evaluation) -> tuple[float | None, float | None]:
    """Of the mean SI-SNRi over the speakers; unknown of fewer than four."""
    table = evaluation.table  # type: ignore[attr-defined]
    named = [column for column in table if str(column).startswith("speaker")]
    means = table.groupby(["mixture", *named])["si_snri_db"].mean().dropna().reset_index()
    people, members = np.unique(means[named].to_numpy(str), return_inverse=True)
    if len(people) < 4:
        return None, None
    drawn = draw_speakers(len(people), _DRAWS, 0)
    weights = mixture_weights(drawn, members.reshape(-1, len(named)))
    sampled = weights @ means["si_snri_db"].to_numpy() / weights.sum(axis=1)
    low, high = np.percentile(sampled, LEVELS)
    return float(low), float(high)


def pronunciation(name: str, found: PronunciationFound) -> list[str]:
    """The experiment that agrees best with people on the broadest score that all predict."""
    for aspect in _HEADLINES:
        known = [(e.value(f"{aspect}_pcc"), one.name, e) for one, e in found]
        ranked = sorted((value[0], who, e.summary) for value, who, e in known if value is not None)
        if ranked:
            _, who, summary = ranked[-1]
            level, what = aspect.split("_")
            said = f"On {name}, '{who}' agrees with people on the {what} of {level}s"
            return [f"{said}{_agreement(summary, aspect)}."]
    return []


def scoring(name: str, one: Scorer, evaluation: Evaluation) -> list[str]:
    """The run that stands for the paper's proposal."""
    aspect = f"utterance_{one.target}"
    if evaluation.value(f"{aspect}_pcc") is None:
        return []
    said = f"On {name}, the scorer '{one.name}' agrees with people on the {one.target} score"
    return [f"{said}{_agreement(evaluation.summary, aspect)}."]


def _agreement(summary: Mapping[str, Mapping[str, Any]], aspect: str) -> str:
    """PCC with its interval, and how many of the low scores are found."""
    pcc = summary[f"{aspect}_pcc"]
    said = f" with a correlation of {number(pcc['mean'], 3)}"
    if ends := interval(pcc.get("low"), pcc.get("high")):
        said += f" (95 % interval {ends})"
    low, error = (summary.get(f"{aspect}_{what}") for what in ("low_recall", "macro_mae_points"))
    if low and low.get("mean") is not None:
        said += f"; of the low scores it finds {100 * low['mean']:.0f} %"
    elif error and error.get("mean") is not None:
        said += (
            f"; with all scores counting alike, common or rare, it is {number(error['mean'])} "
            "points off on average"
        )
    return said


def miscues(
    name: str, summary: Mapping[str, Mapping[str, Any]], who: str, evidence: str
) -> list[str]:
    """Words that nobody said."""
    shares = []
    for kind, what in (("far", "far from what was said"), ("near", "one or two phones from it")):
        one = summary.get(f"{kind}_{evidence}_recall")
        if one and one.get("mean") is not None:
            low, high = (100 * one[k] if one.get(k) is not None else None for k in ("low", "high"))
            ends = f" {interval(low, high, 0)}" if low is not None else ""
            shares.append(f"{100 * one['mean']:.0f} %{ends} of the words {what}")
    if not shares:
        return []
    return [
        f"Of words in the texts of {name} that nobody said, '{who}' finds {' and '.join(shares)}, "
        "where 2 % of the right words are flagged too."
    ]


def emotion(name: str, found: EmotionFound) -> list[str]:
    """The first row of the results: speakers kept apart, then the highest UAR."""
    _, evaluation = found[0]
    uar = evaluation.summary["uar"]
    said = f"On {name}, '{evaluation.title}' names {100 * uar['mean']:.1f} % of each emotion"
    said += " on average"
    if (low := uar.get("low")) is not None:
        said += f" (UAR; 95 % interval {interval(100 * low, 100 * uar['high'], 1)})"
    known = {c: evaluation.value(f"recall_{c}") for c in evaluation.about["classes"]}
    recalls = {c: value[0] for c, value in known.items() if value is not None}
    if recalls:
        worst = min(recalls, key=lambda c: recalls[c])
        said += f"; of {worst}, the hardest, {100 * recalls[worst]:.0f} %"
    if evaluation.about.get("leaks_speakers"):
        said += ". Its test speakers were heard in training"
    return [f"{said}."]
