"""Sections on transfer scoring: results beside the paper's, curves, the worst utterances."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from speechkit.base import figures
from speechkit.base.figures import colours, dress, escape, panels
from speechkit.base.log import counted
from speechkit.report import findings, scoring_paper
from speechkit.report import scoring_tables as tables
from speechkit.report.elements import Picture, Section, number
from speechkit.report.experiments import Evaluation
from speechkit.report.reader import corpus, undamaged
from speechkit.report.scoring_runs import (
    FROM_OTHER,
    Experiment,
    Found,
    acoustic,
    alike,
    collect,
    main_experiment,
)
from speechkit.scoring.metrics import class_width
from speechkit.scoring.paper import CORPUS, OURS, SOURCE
from speechkit.scoring.results import CALIBRATION_FIGURE, SCATTER_FIGURE
from speechkit.stats.score_metrics import class_places
from speechkit.workdir import WorkDir

TITLE = "Transfer scoring"
Point = tuple[float, float, "float | None"]  # x, mean PCC, standard deviation over seeds
_MOST = 6  # runs in a table of errors by score


def sections(workdir: WorkDir, papers: bool = False) -> Iterator[Section]:
    """All sections on transfer scoring that the working directory has something for.

    Args:
        papers: show the paper's tables also where a set is not of its corpus.
    """
    found = collect(workdir)
    if not found:
        return
    yield _models(workdir, found)
    trained_on = {str(one.setting(key)) for one in found for key in ("set_name", "pretrain_set")}
    names = sorted({e.set for one in found for e in one.evaluations} - trained_on)
    for name in names:
        beside = papers or corpus(workdir, name) == CORPUS
        yield from _of_set(workdir, name, found, beside)


def _models(workdir: WorkDir, found: Sequence[Experiment]) -> Section:
    """Table 1, and what the acoustic models are."""
    section = Section(TITLE)
    section.tables += undamaged(
        "a table of the models",
        lambda: scoring_paper.parameters(workdir, found),
        lambda: tables.acoustic_models(workdir, found),
    )
    section.text.append(
        f"{counted(len(found), 'scorer reads', 'scorers read')} "
        f"{', '.join(dict.fromkeys(one.recipe.input for one in found))} features of phones. "
        f"Paper: {SOURCE}."
    )
    return section


def _of_set(
    workdir: WorkDir, name: str, found: Sequence[Experiment], beside: bool
) -> Iterator[Section]:
    """Results on one set, ``beside`` the paper's or not, and its worst utterances."""
    pairs = [(one, e) for one in found if (e := one.on(name)) is not None]
    main = main_experiment(one for one, _ in pairs)
    chosen = alike(pairs, main)
    best = next((pair for pair in chosen if pair[0].recipe == OURS), chosen[0])
    shown = [pair for pair in chosen if pair[0].acoustic == main.acoustic][:_MOST]
    section = Section(f"{TITLE}: {name}", text=[_about(best, chosen, beside)])
    section.findings = findings.scoring(name, *best)
    section.tables += undamaged(
        f"a table of '{name}'",
        lambda: scoring_paper.beside_paper(workdir, pairs, main) if beside else None,
        lambda: tables.differences(workdir, name, [one.name for one, _ in pairs]),
        lambda: tables.adaptation(workdir, pairs),
        lambda: tables.raters(workdir, name),
        lambda: tables.classes(shown, main.scale),
        lambda: tables.every_run(workdir, pairs),
    )
    section.pictures += _pictures(workdir, pairs, best)
    yield section
    for table in undamaged(f"a table of '{name}'", lambda: tables.worst(workdir, best[1])):
        text = (
            f"Utterances of '{name}' whose {best[0].target} score '{best[0].name}' (mean of its "
            "seeds) missed by most. Those of other runs are in their worst.tsv."
        )
        yield Section(f"{TITLE}, worst scored: {name}", text=[text], tables=[table])


def _about(best: tuple[Experiment, Evaluation], chosen: Found, beside: bool) -> str:
    one, evaluation = best
    counts = {what: evaluation.count(what) for what in ("utterances", "speakers")}
    said = [f"{found:,} {what}" for what, found in counts.items() if found is not None]
    low, high = one.scale
    about = f"{' of '.join(said)}. The score is '{one.target}', from {low:g} to {high:g}."
    if not beside:
        return about
    return (
        f"{about} In a row of "
        "the paper's tables stands the run that learned from all labels on the features that most "
        f"runs have ({one.acoustic or 'not known'}), as its card says; names are below."
    )


def _pictures(
    workdir: WorkDir, pairs: Found, best: tuple[Experiment, Evaluation]
) -> Iterator[Picture]:
    one, evaluation = best
    yield from undamaged(
        f"the scores of {evaluation.folder}", lambda: _distribution(one, evaluation)
    )
    yield from _curves(workdir, pairs, one)
    for file, caption in (
        (SCATTER_FIGURE, "Score given and predicted (mean of the seeds), a dot an utterance"),
        (
            CALIBRATION_FIGURE,
            "Mean score given by mean score predicted, in bins of about as many utterances",
        ),
    ):
        alt = f"{Path(file).stem} of {one.name}."
        yield from Picture.of_file(evaluation.folder / file, f"{caption}: '{one.name}'.", alt)


def _distribution(one: Experiment, evaluation: Evaluation) -> Picture:
    labels, _ = evaluation.scores(one.aspect)
    low, high = one.scale
    return Picture(
        draw_distribution(low + (high - low) * labels, one.scale, one.target),
        f"Scores given to '{evaluation.set}' (Fig. 4 of the paper, there of the authors' own set).",
        f"Bars: how many utterances of {evaluation.set} have each score.",
    )


def _curves(workdir: WorkDir, pairs: Found, main: Experiment) -> Iterator[Picture]:
    lines = lines_by_labels(workdir, pairs, main)
    if lines:
        yield Picture(
            draw_by_labels(lines),
            "PCC by the number of utterances with a human score that the scorer learned from, "
            "with the standard deviation over seeds.",
            f"Test PCC by number of labels, one line each: {', '.join(lines)}.",
        )
    lines = lines_by_hours(workdir, pairs, main)
    if lines:
        yield Picture(
            _draw_curves(lines, "hours of speech that the acoustic model learned from"),
            "PCC by hours of speech that the acoustic model learned from, with the standard "
            "deviation over seeds; otherwise the runs are alike.",
            f"Test PCC by hours of acoustic training, one line each: {', '.join(lines)}.",
        )


def draw_distribution(labels: np.ndarray, scale: tuple[float, float], target: str) -> bytes:
    """Fig. 4: how many utterances have each score.

    Args:
        labels: ``[n]`` on their own scale.
        scale: lowest and highest score.
    """
    width = class_width(scale[1] - scale[0])
    classes = class_places(labels, width, scale[0]).astype(int)
    counts = np.bincount(classes, minlength=round((scale[1] - scale[0]) / width) + 1)
    place = scale[0] + width * np.arange(len(counts))
    figure, (axis,) = panels(5.2, 3.1)
    axis.bar(place, counts, 0.8 * width, color=figures.MALE)
    for x, count in zip(place, counts.tolist(), strict=True):
        if count:
            axis.text(x, count, f"{count:,}", fontsize=8, ha="center", va="bottom")
    axis.set_ylim(0, 1.12 * counts.max())
    axis.locator_params(axis="x", integer=True)
    dress(axis, x=f"score ({target})", y="utterances")
    return figures.png(figure)


def draw_by_labels(lines: Mapping[str, Sequence[Point]]) -> bytes:
    """PCC by the number of labelled utterances, on a logarithmic axis that begins with none.

    Args:
        lines: name -> points.
    """
    counts = sorted({int(x) for points in lines.values() for x, _, _ in points})
    above = [count for count in counts if count]
    nowhere = np.log2(above[0]) - 1.5 if above else 0.0
    place = {count: float(np.log2(count)) if count else nowhere for count in counts}
    moved = {name: [(place[int(x)], y, s) for x, y, s in pts] for name, pts in lines.items()}
    return _draw_curves(moved, "utterances with a human score", {place[n]: n for n in counts})


def _draw_curves(
    lines: Mapping[str, Sequence[Point]], x: str, ticks: Mapping[float, int] | None = None
) -> bytes:
    figure, (axis,) = panels(6.6, 3.7)
    for (label, points), colour in zip(lines.items(), colours(lines), strict=False):
        place, mean, std = zip(*sorted(points, key=lambda p: p[0]), strict=True)
        axis.errorbar(
            *(place, mean), yerr=[one or 0.0 for one in std], fmt="o-", markersize=4.5,
            color=colour, linewidth=1.5, elinewidth=1, label=escape(label),
        )  # fmt: skip
    if ticks:
        axis.set_xticks(list(ticks), [f"{count:,}" for count in ticks.values()])
    else:
        axis.set_xlim(left=0)
    dress(axis, x=x, y="test PCC", grid="both")
    columns = min(2, len(lines))
    axis.legend(frameon=False, fontsize=8.5, ncols=columns, loc="lower left", bbox_to_anchor=(0, 1))
    return figures.png(figure)


def _point(one: Experiment, evaluation: Evaluation, x: float) -> Point | None:
    found = evaluation.value(f"{one.aspect}_pcc")
    return None if found is None else (x, *found)


def _same_labels(one: Experiment, main: Experiment) -> bool:
    """Whether a run was fine-tuned on the set of another, or not at all."""
    return one.recipe.finetune == "none" or one.setting("set_name") == main.setting("set_name")


def lines_by_labels(workdir: WorkDir, pairs: Found, main: Experiment) -> dict[str, list[Point]]:
    """A line for each pre-training, of runs of the scorer of the paper that differ in labels.

    A pre-trained scorer that was not fine-tuned is where its line begins, without labels.
    """
    found: dict[str, dict[int, tuple[int, Point]]] = {}
    for one, e in pairs:
        recipe, labels = one.recipe, one.labelled(workdir)
        alike = (recipe.model, recipe.input, one.target, one.acoustic) == (
            OURS.model, OURS.input, main.target, main.acoustic
        )  # fmt: skip
        known = recipe.finetune in ("frozen", "none") and recipe.pretrain != FROM_OTHER
        known = known and _same_labels(one, main)
        if not alike or not known or labels is None or (point := _point(one, e, labels)) is None:
            continue
        said = {"none": "not pre-trained", "frozen": "pre-trained, acoustic model frozen"}
        name = said.get(recipe.pretrain, "pre-trained, acoustic model updated")
        rank = one.otherwise(main)
        line = found.setdefault(name, {})
        if labels not in line or rank < line[labels][0]:
            line[labels] = rank, point
    lines = {name: [point for _, point in line.values()] for name, line in found.items()}
    return {name: points for name, points in lines.items() if len(points) > 1}


def lines_by_hours(workdir: WorkDir, pairs: Found, main: Experiment) -> dict[str, list[Point]]:
    """A line for each recipe and size of acoustic model that there is with several trainings,
    of runs with all labels of the same set."""
    found: dict[str, dict[float, Point]] = {}
    for one, e in pairs:
        known, recipe = acoustic(workdir, one.acoustic), one.recipe
        if known is None or known.hours is None or one.setting("labelled", 0):
            continue
        if not _same_labels(one, main):  # such as speakers that the acoustic model has heard
            continue
        if recipe.pretrain == FROM_OTHER or (point := _point(one, e, known.hours)) is None:
            continue
        size = int(known.summary.get("parameters") or 0) / 1e6
        parts = [
            recipe.input,
            one.target,
            recipe.model,
            f"{number(size, 0 if size >= 10 else 2)} M parameters",
        ]
        parts[2:2] = [] if recipe.pretrain == "none" else [f"pre-trained {recipe.pretrain}"]
        if recipe.finetune != "frozen":
            parts.append(f"fine-tuning {recipe.finetune}")
        found.setdefault(", ".join(parts), {})[known.hours] = point
    return {name: [*line.values()] for name, line in found.items() if len(line) > 1}
