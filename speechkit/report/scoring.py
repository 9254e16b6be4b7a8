"""Sections on transfer scoring: results beside the paper's, curves, the worst utterances."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from speechkit.report import scoring_figures as figures
from speechkit.report import scoring_paper
from speechkit.report import scoring_tables as tables
from speechkit.report.elements import Picture, Section
from speechkit.report.experiments import Evaluation
from speechkit.report.reader import made
from speechkit.report.scoring_runs import Experiment, Found, alike, collect, main_of
from speechkit.scoring.paper import OURS, SOURCE
from speechkit.scoring.results import CALIBRATION_FIGURE, SCATTER_FIGURE
from speechkit.workdir import WorkDir

TITLE = "Transfer scoring"
_MOST = 6  # runs in a table of errors by score


def sections(workdir: WorkDir) -> Iterator[Section]:
    """All sections on transfer scoring that the working directory has something for."""
    found = collect(workdir)
    if not found:
        return
    yield _models(workdir, found)
    trained_on = {str(one.setting(key)) for one in found for key in ("set_name", "pretrain_set")}
    names = sorted({e.set for one in found for e in one.evaluations} - trained_on)
    for name in names:
        yield from _of_set(workdir, name, found)


def _models(workdir: WorkDir, found: Sequence[Experiment]) -> Section:
    """Table 1, and what the acoustic models are."""
    section = Section(TITLE)
    section.tables += made(
        "a table of the models",
        lambda: scoring_paper.parameters(workdir, found),
        lambda: tables.acoustic_models(workdir, found),
    )
    section.text.append(
        f"{len(found)} scorers, which read "
        f"{', '.join(dict.fromkeys(one.recipe.input for one in found))} features of phones. "
        f"Paper: {SOURCE}."
    )
    return section


def _of_set(workdir: WorkDir, name: str, found: Sequence[Experiment]) -> Iterator[Section]:
    """Results on one set, and its worst utterances."""
    pairs = [(one, e) for one in found if (e := one.on(name)) is not None]
    main = main_of(one for one, _ in pairs)
    chosen = alike(pairs, main)
    best = next((pair for pair in chosen if pair[0].recipe == OURS), chosen[0])
    shown = [pair for pair in chosen if pair[0].acoustic == main.acoustic][:_MOST]
    section = Section(f"{TITLE}: {name}", text=[_about(best, chosen)])
    section.tables += made(
        f"a table of '{name}'",
        lambda: scoring_paper.beside_paper(workdir, pairs, main),
        lambda: tables.differences(workdir, name, [one.name for one, _ in pairs]),
        lambda: tables.adaptation(workdir, pairs),
        lambda: tables.raters(workdir, name),
        lambda: tables.classes(shown, main.scale),
        lambda: tables.every_run(workdir, pairs),
    )
    section.pictures += _pictures(workdir, pairs, best)
    yield section
    for table in made(f"a table of '{name}'", lambda: tables.worst(workdir, best[1])):
        text = (
            f"Utterances of '{name}' whose {best[0].target} score '{best[0].name}' (mean of its "
            "seeds) missed by most. Those of other runs are in their worst.tsv."
        )
        yield Section(f"{TITLE}, worst scored: {name}", text=[text], tables=[table])


def _about(best: tuple[Experiment, Evaluation], chosen: Found) -> str:
    one, evaluation = best
    counts = {what: evaluation.count(what) for what in ("utterances", "speakers")}
    said = [f"{found:,} {what}" for what, found in counts.items() if found is not None]
    low, high = one.scale
    return (
        f"{' of '.join(said)}. The score is '{one.target}', from {low:g} to {high:g}. In a row of "
        "the paper's tables stands the run that learned from all labels on the features that most "
        f"runs have ({one.acoustic or 'not known'}), as its card says; names are below."
    )


def _pictures(
    workdir: WorkDir, pairs: Found, best: tuple[Experiment, Evaluation]
) -> Iterator[Picture]:
    one, evaluation = best
    yield from made(f"the scores of {evaluation.folder}", lambda: _distribution(one, evaluation))
    yield from _curves(workdir, pairs, one)
    for file, caption in (
        (SCATTER_FIGURE, "Score given and predicted (mean of the seeds), a dot an utterance"),
        (
            CALIBRATION_FIGURE,
            "Mean score given by mean score predicted, in bins of about as many utterances",
        ),
    ):
        if (evaluation.folder / file).is_file():
            png = (evaluation.folder / file).read_bytes()
            yield Picture(png, f"{caption}: '{one.name}'.", f"{Path(file).stem} of {one.name}.")


def _distribution(one: Experiment, evaluation: Evaluation) -> Picture:
    labels, _ = evaluation.scores(one.aspect)
    low, high = one.scale
    return Picture(
        figures.distribution(low + (high - low) * labels, one.scale, one.target),
        f"Scores given to '{evaluation.set}' (Fig. 4 of the paper, there of the authors' own set).",
        f"Bars: how many utterances of {evaluation.set} have each score.",
    )


def _curves(workdir: WorkDir, pairs: Found, main: Experiment) -> Iterator[Picture]:
    lines = figures.lines_by_labels(workdir, pairs, main)
    if lines:
        yield Picture(
            figures.by_labels(lines),
            "PCC by the number of utterances with a human score that the scorer learned from, "
            "with the standard deviation over seeds.",
            f"Test PCC by number of labels, one line each: {', '.join(lines)}.",
        )
    lines = figures.lines_by_hours(workdir, pairs, main)
    if lines:
        yield Picture(
            figures.by_hours(lines),
            "PCC by hours of speech that the acoustic model learned from, with the standard "
            "deviation over seeds; otherwise the runs are alike.",
            f"Test PCC by hours of acoustic training, one line each: {', '.join(lines)}.",
        )
