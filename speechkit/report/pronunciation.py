"""Sections on pronunciation: labels, training, results of each set, the worst utterances."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from speechkit.base.log import counted
from speechkit.labels.score_files import read_scores, table_name
from speechkit.labels.scores import ASPECTS, LEVELS, split_aspect
from speechkit.report import findings, pronunciation_miscues
from speechkit.report import pronunciation_figures as figures
from speechkit.report import pronunciation_tables as tables
from speechkit.report import pronunciation_tail as tail
from speechkit.report.elements import Cell, Picture, Section, Table, epochs, figure, number
from speechkit.report.experiments import Evaluation
from speechkit.report.pronunciation_runs import Experiment, Found, alike, collect
from speechkit.report.pronunciation_runs import arms as arms_of
from speechkit.report.reader import DAMAGED, set_order, undamaged
from speechkit.report.tables import worst_scored
from speechkit.workdir import WorkDir

SHOWN = ("word_stress", "utterance_completeness")
"""The aspects with the rarest low scores, which the paper's Figures 3 and 5 are about."""


def sections(workdir: WorkDir, papers: bool = False) -> Iterator[Section]:
    """All sections on pronunciation that the working directory has something for.

    Args:
        papers: show the paper's rows also where a set is not of its corpus.
    """
    found = collect(workdir)
    yield from _labels(workdir, found)
    trained = [one for one in found if one.seeds]
    if trained:
        yield _training(trained)
    for name in sorted({e.set for one in found for e in one.evaluations}):
        yield from _of_set(workdir, name, found, papers)
    for name in sorted({e.set for one in found for e in one.miscues}):
        pairs = [(one, e) for one in found for e in one.miscues if e.set == name]
        yield from pronunciation_miscues.sections(name, pairs)


def _labels(workdir: WorkDir, found: Sequence[Experiment]) -> Iterator[Section]:
    """Label histograms (Fig. 1) of what was trained on, else of one scored set."""
    scored = [
        name
        for name in sorted(workdir.sets(), key=set_order)
        if any((workdir.root / "data" / name / table_name(level)).is_file() for level in LEVELS)
    ]
    trained = {str(one.setting("set_name")) for one in found if one.seeds}
    section = Section("Scores of pronunciation")
    for name in [name for name in scored if name in trained] or scored[:1]:
        what = f"the scores of '{name}'"
        section.pictures += undamaged(what, partial(_label_histograms, workdir, name))
    if section.pictures:
        yield section


def _label_histograms(workdir: WorkDir, name: str) -> Picture | None:
    values = scaled_labels(workdir, name)
    if not values:
        return None
    return Picture(
        figures.label_histograms(values),
        f"Labels of '{name}' by score, from 0 to 2 as the models learn them, with the number of "
        "each (Fig. 1 of the paper).",
        f"Histograms of the labels of {name}, one panel an aspect.",
    )


def scaled_labels(workdir: WorkDir, name: str) -> dict[str, np.ndarray]:
    """Labels of a set by aspect, from 0 to 2; only aspects that are scored."""
    scores = read_scores(workdir.data(name))
    found = {}
    for aspect in scores.aspects():
        level, what = split_aspect(aspect)
        low, high = scores.scales[level][what]
        found[aspect] = figures.TOP * (scores.values(aspect) - low) / (high - low)
    return found


def _training(trained: Sequence[Experiment]) -> Section:
    section = Section("Training of pronunciation")
    section.tables.append(Table.of([_trained(one) for one in trained]))
    arms = {
        one.name: {
            aspect: values
            for aspect in ASPECTS
            if (values := one.tracked(aspect)) is not None and not np.isnan(values).all()
        }
        for one in arms_of(trained)
    }
    arms = {name: found for name, found in arms.items() if found}
    if arms:
        there = [a for a in ASPECTS if any(a in arm for arm in arms.values())]
        tracked = str(trained[0].setting("track"))
        for part, say in ((SHOWN, " (Fig. 3 of the paper)"), (there, ": all aspects")):
            aspects = [aspect for aspect in part if aspect in there]
            if not aspects:
                continue
            section.pictures.append(
                Picture(
                    figures.epochs(arms, aspects),
                    f"PCC on '{tracked}' by epoch{say}: mean over seeds, and their range. It was "
                    "measured for the record; no epoch was chosen by it.",
                    f"PCC by epoch of {', '.join(arms)}.",
                )
            )
    return section


def _trained(one: Experiment) -> dict[str, Any]:
    select = str(one.setting("select", "last"))
    return {
        "experiment": one.name,
        "model": one.setting("model"),
        "loss": one.loss,
        "features": one.features,
        "columns": one.network.get("inputs"),
        "set": one.setting("set_name"),
        "epochs": epochs(one.lengths),
        "selected": "last epoch" if select == "last" else f"best on {select}",
        "seeds": len(one.seeds),
        "minutes": round(max(one.seconds) / 60, 1) if one.seconds else None,
    }


def _of_set(
    workdir: WorkDir, name: str, found: Sequence[Experiment], papers: bool
) -> Iterator[Section]:
    """Results on one set, and its worst utterances."""
    pairs = [(one, e) for one in found if (e := one.on(name)) is not None]
    names = {one.name for one in arms_of([one for one, _ in pairs])}
    arms = [(one, e) for one, e in pairs if one.name in names]
    section = Section(f"Pronunciation: {name}", text=_about(pairs))
    section.findings = findings.pronunciation(name, pairs)
    shown_there = tuple(dict.fromkeys(("phone_accuracy", *shown(arms))))
    section.tables += tables.results(pairs)
    section.tables += undamaged(
        f"a table of '{name}'",
        lambda: tables.paired_differences(workdir, name, [one.name for one, _ in pairs]),
        lambda: tables.beside_paper(workdir, pairs, papers),
        lambda: tables.ablation(pairs),
        lambda: tables.weights_by_beta(workdir, pairs),
        lambda: tail.extremes(workdir, arms),
        lambda: tail.macro_errors(arms),
        lambda: tail.classes(arms, shown_there),
        lambda: tail.detection(arms),
    )
    section.pictures += _figures(pairs, arms)
    yield section
    if arms:
        yield from _worst(workdir, name, arms)


def _about(pairs: Found) -> list[str]:
    """What was scored."""
    first = pairs[0][1]
    counts = {
        what: found
        for what in ("utterances", "words", "phones", "speakers", "utterances_skipped")
        if (found := first.count(what)) is not None
    }
    named = [f"{counts[w]:,} {w}" for w in ("utterances", "words", "phones") if w in counts]
    of = counted(counts.get("speakers", 0), "speaker")
    text = f"{', '.join(named)} of {of}. " if named else ""
    text += (
        "Scores go from 0 to 2; a word's prediction is the mean over its phones. In brackets is "
        "the 95 % interval of a bootstrap over speakers: what other speakers would change."
    )
    skipped = counts.get("utterances_skipped", 0)
    left = f"Left out: {counted(skipped, 'utterance')} that could not be used."
    return [text, left][: 1 + (skipped > 0)]


def _worst(workdir: WorkDir, name: str, arms: Found) -> Iterator[Section]:
    """The utterances whose scores are furthest off, with players."""
    one, evaluation = next(((o, e) for o, e in arms if o.setting("loss") == "sb-num"), arms[-1])
    what = f"the worst utterances of {evaluation.folder}"
    for table in undamaged(what, lambda: worst(workdir, evaluation)):
        text = (
            f"Utterances of '{name}' whose scores '{one.name}' (mean of its seeds) missed by most. "
            "Those of other experiments are in their worst.tsv."
        )
        yield Section(f"Worst scored: {name}", text=[text], tables=[table])


def worst(workdir: WorkDir, evaluation: Evaluation) -> Table | None:
    """A table with players of an evaluation's worst utterances; None where it lists none."""

    def pair(row: Mapping[str, str], aspect: str) -> Cell:
        label, prediction = row[aspect], row[f"{aspect}_mean"]
        shown = number(float(label), 1) if label else "-"
        return Cell(shown, True, under=(number(float(prediction)),) if prediction else ())

    def heads(first: Mapping[str, str]) -> dict[str, Any]:
        aspects = [aspect for aspect in ASPECTS if f"{aspect}_mean" in first]
        return {
            "error": lambda row: figure(float(row["error"]), 2),
            **{a.partition("_")[2]: partial(pair, aspect=a) for a in aspects},
        }

    return worst_scored(
        workdir,
        evaluation,
        heads,
        "Error: mean over the scores of the utterance. Of each score the label, and the prediction "
        "below it, from 0 to 2.",
    )


def _figures(pairs: Found, arms: Found) -> Iterator[Picture]:
    """Figures 2, 4 and 5."""
    values = {
        one.name: {
            measure: {
                aspect: value
                for aspect in ASPECTS
                if (value := e.value(f"{aspect}_{measure}")) is not None
            }
            for measure in ("mse", "pcc")
        }
        for one, e in arms
    }
    if values:
        yield Picture(
            figures.errors_and_correlations(values),
            "Error and correlation of every aspect, with the standard deviation over seeds: a low "
            "MSE says little where nearly all labels are the same (Fig. 2 of the paper).",
            f"MSE and PCC by aspect of {', '.join(values)}.",
        )
    by_beta: dict[str, dict[float, tuple[float, float | None]]] = {}
    swept = {one.name for one in alike([one for one, _ in pairs])}
    for one, e in pairs:
        if one.setting("loss") == "sb-num" and one.name in swept:
            for aspect in ASPECTS:
                if (value := e.value(f"{aspect}_pcc")) is not None:
                    by_beta.setdefault(aspect, {})[float(one.setting("beta"))] = value
    if by_beta and max(len(points) for points in by_beta.values()) > 1:
        yield Picture(
            figures.by_beta(by_beta),
            "PCC of GOPT with SB_num by β, with the standard deviation over seeds (Fig. 4 of the "
            "paper).",
            "PCC by beta, one line an aspect.",
        )
    yield from _distributions(arms)


def shown(arms: Found) -> list[str]:
    """The aspects of Fig. 5; of a corpus that has no such scores, the last two it has."""
    there = [a for a in ASPECTS if any(f"{a}_mse" in e.summary for _, e in arms)]
    return [aspect for aspect in SHOWN if aspect in there] or there[-2:]


def _distributions(arms: Found) -> Iterator[Picture]:
    """Fig. 5: labels and predictions of the arms."""
    panels: dict[str, dict[str, np.ndarray]] = {}
    for one, e in arms:
        for aspect in shown(arms):
            try:
                labels, predicted = e.scores(aspect)
            except DAMAGED:
                continue  # a model of other aspects
            if len(labels):
                rows = panels.setdefault(aspect, {"labels": labels})
                rows[one.name] = np.clip(predicted.ravel(), -1.0, 3.0)
    if panels:
        yield Picture(
            figures.distributions(panels),
            "Labels and predictions of all seeds: density, mean (line) and one standard deviation "
            "to either side (darker); strokes are the lowest hundredth (Fig. 5 of the paper).",
            f"Densities of labels and predictions of {', '.join(panels)}.",
        )
