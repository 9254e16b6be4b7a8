"""Sections on separation: training, results of each set, the worst mixtures, correlations."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from speechkit.base.log import counted
from speechkit.base.tables import show
from speechkit.report import findings, separation_figures, separation_tables
from speechkit.report.elements import (
    Cell,
    Picture,
    Section,
    Table,
    count,
    epochs,
    figure,
    with_interval,
)
from speechkit.report.experiments import comparisons
from speechkit.report.reader import corpus, params_of, undamaged
from speechkit.report.separation_figures import Line
from speechkit.report.separation_runs import (
    Evaluation,
    Experiment,
    Found,
    collect,
    key,
    parameters,
    quantiles,
)
from speechkit.separation import paper
from speechkit.separation.correlation import read_correlations
from speechkit.task.evaluation import SUMMARY
from speechkit.workdir import WorkDir
from speechkit.workdir.manifest import read_json, read_manifest

MakeTable = Callable[[], Table]
PANELS = {
    "valid_loss": "validation loss (−SI-SNR, dB)",
    "valid_hsr5_percent": "validation HSR5 (%)",
}


def sections(workdir: WorkDir, papers: bool = False) -> Iterator[Section]:
    """All sections on separation that the working directory has something for.

    Args:
        papers: show the paper's rows also where a set is not of its corpus.
    """
    found = collect(workdir) if workdir.exp("separation").is_dir() else []
    if trained := [one for one in found if one.seeds]:
        yield _training(trained)
    compared = _comparisons(workdir, found)
    sets = {e.set for one in found for e in one.evaluations} | set(compared)
    for name in sorted(sets):
        beside = papers or corpus(workdir, name) in paper.CORPORA
        yield from _of_set(workdir, name, found, compared.get(name, []), beside)
    for path in sorted(workdir.exp("correlation").glob("[!.]*/correlation.tsv")):
        yield from undamaged(
            str(path.parent), partial(_correlation, workdir, path.parent.name, papers)
        )


def _training(trained: Sequence[Experiment]) -> Section:
    """What was trained, and curves of each network."""
    section = Section("Training of separation")
    section.tables.append(
        Table.of(
            [_trained(one) for one in trained],
            "SI-SNRi and HSR5 are of the validation set at the selected epoch, mean over seeds. A "
            "run that differs from a finished one in its selection alone takes that one's weights.",
        )
    )
    groups: dict[tuple[str, str, str], list[Experiment]] = {}
    for one in trained:
        training = one.seeds[0].training
        if all(seed.log.get(column) for seed in one.seeds for column in PANELS):
            start = str(training.get("init") or "")
            shape = (key(one.network), start, str(training.get("valid_set")))
            groups.setdefault(shape, []).append(one)
    for (_, start, valid), members in groups.items():
        section.pictures += _curves(members, start, valid)
    return section


def _trained(one: Experiment) -> dict[str, Any]:
    """A row of the table of trainings."""
    first = one.seeds[0]
    selected = [
        seed.summary.get(f"best_epoch_{seed.card.get('selection', 'plain')}") for seed in one.seeds
    ]
    twins = [seed.manifest["trained_as"] for seed in one.seeds if "trained_as" in seed.manifest]
    minutes = round(float(np.mean(one.seconds)) / 60, 1) if one.seconds else None
    return {
        "experiment": one.name,
        "training set": first.training.get("set_name"),
        "begins with": first.training.get("init") or "scratch",
        "parameters": count(parameters(one.network)),
        "seeds": len(one.seeds),
        "epochs": epochs(one.lengths),
        "selected epoch": Cell(", ".join("-" if e is None else str(e) for e in selected), True),
        "SI-SNRi there (dB)": _there(one, selected, "valid_si_snri_db"),
        "HSR5 there (%)": _there(one, selected, "valid_hsr5_percent"),
        "minutes a seed": Cell(f"as {twins[0]}", True) if len(twins) == len(one.seeds) else minutes,
    }


def _there(one: Experiment, selected: Sequence[int | None], column: str) -> Cell:
    """Mean over the seeds of a column of the log at the selected epochs."""
    values = [
        seed.log[column][epoch - 1]
        for seed, epoch in zip(one.seeds, selected, strict=True)
        if epoch is not None and 0 < epoch <= len(seed.log.get(column, ()))
    ]
    return figure(float(np.mean(values)) if values else None, 2)


def _curves(members: Sequence[Experiment], start: str, valid: str) -> list[Picture]:
    """Curves of experiments with one network; the same curve is drawn once."""
    drawn: dict[str, tuple[list[str], Line]] = {}
    for one in members:
        shortest = min(len(seed.log["valid_loss"]) for seed in one.seeds)
        values = {
            column: np.mean([seed.log[column][:shortest] for seed in one.seeds], axis=0)
            for column in PANELS
        }
        same = key({column: v.tolist() for column, v in values.items()})
        if same in drawn:
            drawn[same][0].append(one.name)
        else:
            drawn[same] = ([one.name], Line(one.name, one.recipe, values))
    lines = [Line(", ".join(names), line.recipe, line.values) for names, line in drawn.values()]
    count = f"{parameters(members[0].network):,} parameters"
    one_curve = " Experiments with one curve differ in the selected epoch only."
    begun = f"begun with '{start}'" if start else "from scratch"
    return [
        Picture(
            separation_figures.curves(part, PANELS),
            f"Networks of {count}, {begun}, validated on {valid}: mean over seeds, up to the epoch "
            "that all of them reached." + one_curve * any("," in line.label for line in part),
            f"Validation loss and HSR5 by epoch of {', '.join(line.label for line in part)}.",
        )
        for part in separation_figures.split(lines)
    ]


def _comparisons(workdir: WorkDir, found: Sequence[Experiment]) -> dict[str, list[MakeTable]]:
    """A function for the table of each ``compare separation``, by set of mixtures."""
    of_folder = {e.folder.name: e.set for one in found for e in one.evaluations}
    names = [one.name for one in found]
    compared: dict[str, list[MakeTable]] = {}
    for path, summary in comparisons(workdir, "separation"):
        sets = bool(params_of(path).get("baseline_set"))
        make = separation_tables.counterparts if sets else separation_tables.differences
        name = str(summary.get("set"))
        compared.setdefault(of_folder.get(name, name), []).append(partial(make, summary, names))
    return compared


def _of_set(
    workdir: WorkDir,
    name: str,
    found: Sequence[Experiment],
    compared: Sequence[MakeTable],
    beside: bool,
) -> Iterator[Section]:
    """Results on one set of mixtures, ``beside`` the paper's or not, and its worst mixtures."""
    every = [(one, e) for one in found for e in one.all_on(name)]
    main = [(one, e) for one in found if (e := one.on(name)) is not None]
    said = findings.separation(name, main) if main else []
    section = Section(f"Separation: {name}", text=_about(workdir, name, main), findings=said)
    if every:
        section.tables.append(separation_tables.results(every))
    if every and beside:
        section.tables += undamaged(
            f"a table of '{name}'", lambda: separation_tables.beside_paper(workdir, every)
        )
    for make in compared:
        section.tables += undamaged(f"a comparison on '{name}'", make)
    if main:
        section.tables += undamaged(f"a table of '{name}'", lambda: separation_tables.genders(main))
        section.pictures += _tails(main)
    yield section
    if main:
        yield from _worst(workdir, name, main)


def _about(workdir: WorkDir, name: str, main: Found) -> list[str]:
    """What the set is, and what was left out of the means."""
    if not main:
        return []
    tables = [e.table for _, e in main]
    mixtures = max(table["mixture"].nunique() for table in tables)
    named = [column for column in tables[0] if str(column).startswith("speaker")]
    people = len(set(tables[0][named].to_numpy().ravel().tolist()))
    prepared = corpus(workdir, name)
    text = [
        f"{counted(mixtures, 'mixture')} of {counted(people, 'speaker')}"
        f"{f' ({prepared})' if prepared else ''}. "
        "SI-SNRi is the improvement over the mixture, in dB; a mean hides the tail, so hard sample "
        "rates and low percentiles stand beside it."
    ]
    made = read_manifest(workdir.root / "data" / name) or {}
    notice = made.get("notice")
    if random := made.get("random_set"):
        hard = made.get("counts", {}).get("hard_mixtures")
        text.append(
            f"Hard counterparts of '{random}': {hard} mixtures have another second speaker, from "
            f"the hard pairs of {made.get('params', {}).get('hard')}."
        )
    for _, e in main[:1]:
        silent, skipped = (e.value(f"mixtures_{what}") for what in ("silent", "skipped"))
        if silent and silent[0]:
            text.append(f"In no mean: {counted(int(silent[0]), 'mixture')} with a silent source.")
        if skipped and skipped[0]:
            text.append(f"Left out: {counted(int(skipped[0]), 'mixture')} that could not be used.")
    return text + ([str(notice)] if notice else [])


def _tails(main: Found) -> list[Picture]:
    percent = separation_figures.PERCENT
    lines = [
        Line(
            separation_tables.label(one, e),
            one.recipe_of(e),
            {"si_snri_db": quantiles(e, percent)},
        )
        for one, e in main
    ]
    return [
        Picture(
            separation_figures.tails(part),
            "SI-SNRi of the mixtures from the hardest to the easiest, mean over seeds of each "
            "percentile; dotted lines are the thresholds of HSR5 and HSR10.",
            f"Sorted SI-SNRi, the hardest quarter and all mixtures, of "
            f"{', '.join(line.label for line in part)}.",
        )
        for part in separation_figures.split(lines)
    ]


def _worst(workdir: WorkDir, name: str, main: Found) -> Iterator[Section]:
    """Players of one experiment: all of them would make the page too large."""
    reference, evaluation = _baseline(workdir, name, main)
    folder = evaluation.folder
    tables = undamaged(f"the clips of {folder}", lambda: separation_tables.worst(folder))
    if tables:
        text = f"Mixtures of '{name}' separated by '{reference.name}' (first seed): the first "
        text += f"{separation_tables.SECONDS:g} s, estimates at the level of their sources."
        if len(main) > 1:
            text += f" Those of other experiments are in exp/separation/NAME/eval/{name}/worst/."
        yield Section(f"Worst mixtures: {name}", text=[text], tables=tables)


def _baseline(workdir: WorkDir, name: str, main: Found) -> tuple[Experiment, Evaluation]:
    """What others are compared to: the baseline of ``compare``, else ``dm``, else the first."""
    asked = read_json(workdir.exp("compare", "separation") / name / SUMMARY)
    wanted = [asked.get("baseline") if isinstance(asked, dict) else None, "dm"]
    known = {one.name: (one, e) for one, e in main}
    return next((known[one] for one in wanted if one in known), main[0])


def _correlation(workdir: WorkDir, name: str, papers: bool) -> Section:
    """Parameters of the speakers against SI-SNRi."""
    folder = workdir.exp("correlation", name)
    params = params_of(folder)
    section = Section(f"Correlation: {name}")
    beside = papers or corpus(workdir, str(params.get("set", ""))) in paper.CORPORA
    if "model" in params:
        section.text.append(
            f"Which parameters of two speakers go with the SI-SNRi of '{params['model']}' on "
            f"'{params.get('set', name)}'."
        )
    rows = []
    for row in read_correlations(folder):
        theirs = paper.CORRELATION.get(row["parameter"]) if row["genders"] == "all" else None
        rows.append(
            {
                "parameter": row["parameter"],
                "genders": row["genders"],
                "mixtures": int(row["mixtures"]),
                "left out": int(row["left_out"]),
                "seeds": int(row["seeds"]),
                "Pearson": _coefficient(row, "pearson"),
                "Spearman": _coefficient(row, "spearman"),
                **({"Pearson in the paper": Cell(show(theirs), True)} if beside else {}),
            }
        )
    section.tables.append(
        Table.of(
            rows,
            "In brackets the 95 % interval of a bootstrap over speakers. Female and male voices "
            "differ in pitch and are easier to separate, which alone makes a correlation over all.",
        )
    )
    alt = "SI-SNRi of the sorted mixtures, and the density of each parameter along them."
    caption = "Mixtures from the hardest to the easiest (Fig. 2 of the paper)."
    section.pictures += Picture.of_file(folder / "fig2.png", caption, alt)
    return section


def _coefficient(row: dict[str, Any], kind: str) -> Cell:
    found = {"mean": row[kind], "low": row[f"{kind}_low"], "high": row[f"{kind}_high"]}
    return with_interval(found, strong=None)
