"""Sections on separation: training, results of each set, the worst mixtures, correlations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from speechkit.base.log import logger
from speechkit.base.tables import show
from speechkit.report import experiments, separation_pictures, separation_tables, worst
from speechkit.report.cells import number
from speechkit.report.experiments import Evaluation, Experiment
from speechkit.report.model import Cell, Picture, Section, Table
from speechkit.report.reader import DAMAGED, corpus
from speechkit.report.separation_pictures import Line
from speechkit.separation import paper
from speechkit.separation.correlation import read_correlations
from speechkit.workdir import WorkDir
from speechkit.workdir.manifest import read_json, read_manifest

PANELS = {
    "valid_loss": "validation loss (−SI-SNR, dB)",
    "valid_hsr5_percent": "validation HSR5 (%)",
}


def sections(workdir: WorkDir) -> Iterator[Section]:
    """All sections on separation that the working directory has something for."""
    found = experiments.collect(workdir) if workdir.exp("separation").is_dir() else []
    trained = [one for one in found if one.seeds]
    if trained:
        yield _training(trained)
    compared = _comparisons(workdir, found)
    sets = {e.set for one in found for e in one.evaluations} | set(compared)
    for name in sorted(sets):
        yield from _of_set(workdir, name, found, compared.get(name, []))
    for path in sorted(workdir.exp("correlation").glob("[!.]*/correlation.tsv")):
        try:
            yield _correlation(workdir, path.parent.name)
        except DAMAGED as error:
            logger.warning(f"report: {path.parent} is left out: {error}")


def _training(trained: Sequence[Experiment]) -> Section:
    """What was trained, and curves of each network."""
    section = Section("Training of separation")
    columns = ["experiment", "training set", "begins with", "parameters", "seeds", "epochs"]
    columns += ["selected epoch", "SI-SNRi there (dB)", "HSR5 there (%)", "minutes a seed"]
    rows = [_trained(one) for one in trained]
    section.tables.append(
        Table(
            columns,
            rows,
            "SI-SNRi and HSR5 are of the validation set at the selected epoch, mean over seeds. A "
            "run that differs from a finished one in its selection alone takes that one's weights.",
            dense=True,
        )
    )
    groups: dict[tuple[str, str, str], list[Experiment]] = {}
    for one in trained:
        training = one.seeds[0].training
        if all(_complete(seed) for seed in one.seeds):
            start = str(training.get("init") or "")
            shape = (experiments.key(one.network), start, str(training.get("valid_set")))
            groups.setdefault(shape, []).append(one)
    for (_, start, valid), members in groups.items():
        section.pictures += _curves(members, start, valid)
    return section


def _complete(seed: experiments.Seed) -> bool:
    return all(seed.log.get(column) for column in PANELS)


def _trained(one: Experiment) -> list[Any]:
    """A row of the table of trainings."""
    first = one.seeds[0]
    epochs = [_selected(seed) for seed in one.seeds]
    lengths = sorted({len(seed.log.get("epoch", ())) for seed in one.seeds})
    twins = [seed.manifest["trained_as"] for seed in one.seeds if "trained_as" in seed.manifest]
    seconds = [seed.manifest["seconds"] for seed in one.seeds if "seconds" in seed.manifest]
    minutes = None if not seconds else round(float(np.mean(seconds)) / 60, 1)
    return [
        one.name,
        first.training.get("set_name"),
        first.training.get("init") or "scratch",
        Cell(f"{experiments.parameters(one.network):,}", number=True),
        len(one.seeds),
        Cell(" to ".join(str(n) for n in dict.fromkeys((lengths[0], lengths[-1]))), number=True),
        Cell(", ".join("-" if e is None else str(e) for e in epochs), number=True),
        _there(one, epochs, "valid_si_snri_db"),
        _there(one, epochs, "valid_hsr5_percent"),
        Cell(f"as {twins[0]}", number=True) if len(twins) == len(one.seeds) else minutes,
    ]


def _selected(seed: experiments.Seed) -> int | None:
    return seed.summary.get(f"best_epoch_{seed.card.get('selection', 'plain')}")


def _there(one: Experiment, epochs: Sequence[int | None], column: str) -> Cell:
    """Mean over the seeds of a column of the log at the selected epochs."""
    pairs = zip(one.seeds, epochs, strict=True)
    values = [
        seed.log[column][epoch - 1]
        for seed, epoch in pairs
        if epoch is not None and 0 < epoch <= len(seed.log.get(column, ()))
    ]
    shown = number(float(np.mean(values))) if values else "-"
    return Cell(shown, number=True)


def _curves(members: Sequence[Experiment], start: str, valid: str) -> list[Picture]:
    """Curves of experiments with one network; the same curve is drawn once."""
    drawn: dict[str, tuple[list[str], Line]] = {}
    for one in members:
        shortest = min(len(seed.log["valid_loss"]) for seed in one.seeds)
        values = {
            column: np.mean([seed.log[column][:shortest] for seed in one.seeds], axis=0)
            for column in PANELS
        }
        same = experiments.key({column: v.tolist() for column, v in values.items()})
        if same in drawn:
            drawn[same][0].append(one.name)
        else:
            drawn[same] = ([one.name], Line(one.name, one.settings, values))
    lines = [Line(", ".join(names), line.training, line.values) for names, line in drawn.values()]
    count = f"{experiments.parameters(members[0].network):,} parameters"
    one_curve = " Experiments with one curve differ in the selected epoch only."
    begun = f"begun with '{start}'" if start else "from scratch"
    return [
        Picture(
            separation_pictures.curves(part, PANELS),
            f"Networks of {count}, {begun}, validated on {valid}: mean over seeds, up to the epoch "
            "that all of them reached." + one_curve * any("," in line.label for line in part),
            f"Validation loss and HSR5 by epoch of {', '.join(line.label for line in part)}.",
        )
        for part in separation_pictures.split(lines)
    ]


def _comparisons(workdir: WorkDir, found: Sequence[Experiment]) -> dict[str, list[dict[str, Any]]]:
    """Summaries of ``compare separation`` by set of mixtures."""
    of_folder = {e.folder.name: e.set for one in found for e in one.evaluations}
    compared: dict[str, list[dict[str, Any]]] = {}
    for path in sorted(workdir.exp("compare", "separation").glob("[!.]*/summary.json")):
        summary = read_json(path)
        if not isinstance(summary, dict) or not {"set", "experiments", "baseline"} <= set(summary):
            logger.warning(f"report: {path} is left out: it is no comparison.")
            continue
        name = str(summary["set"])
        compared.setdefault(of_folder.get(name, name), []).append({**summary, "path": path.parent})
    return compared


def _of_set(
    workdir: WorkDir, name: str, found: Sequence[Experiment], compared: Sequence[dict[str, Any]]
) -> Iterator[Section]:
    """Results on one set of mixtures, and its worst mixtures."""
    every = [(one, e) for one in found for e in one.on(name)]
    main = [(one, one.on(name)[0]) for one in found if one.on(name)]
    names = [one.name for one in found]
    section = Section(f"Separation: {name}", text=_about(workdir, name, main))
    if every:
        section.tables.append(separation_tables.results(every))
        section.tables += _present(separation_tables.beside_paper(workdir, every))
    for summary in compared:
        try:
            section.tables.append(separation_tables.differences(summary, names))
        except DAMAGED as error:
            logger.warning(f"report: {summary['path']} is left out: {error}")
    if main:
        section.tables += _present(separation_tables.genders(main))
        section.pictures += _tails(main)
    yield section
    if main:
        yield from _worst(workdir, name, main)


def _present(table: Table | None) -> list[Table]:
    return [] if table is None else [table]


def _about(workdir: WorkDir, name: str, main: Sequence[tuple[Experiment, Evaluation]]) -> list[str]:
    """What the set is, and what was left out of the means."""
    if not main:
        return []
    tables = [e.table for _, e in main]
    mixtures = max(table["mixture"].nunique() for table in tables)
    named = [column for column in tables[0] if str(column).startswith("speaker")]
    people = len(set(tables[0][named].to_numpy().ravel().tolist()))
    prepared = corpus(workdir, name)
    text = [
        f"{mixtures} mixtures of {people} speakers" + (f" ({prepared})" if prepared else "") + ". "
        "SI-SNRi is the improvement over the mixture, in dB; a mean hides the tail, so hard sample "
        "rates and low percentiles stand beside it."
    ]
    notice = (read_manifest(workdir.root / "data" / name) or {}).get("notice")
    for _, e in main[:1]:
        silent, skipped = (e.value(f"mixtures_{what}") for what in ("silent", "skipped"))
        if silent and silent[0]:
            text.append(f"{silent[0]:g} mixtures with a silent source are in no mean.")
        if skipped and skipped[0]:
            text.append(f"{skipped[0]:g} mixtures could not be used and are left out.")
    return text + ([str(notice)] if notice else [])


def _tails(main: Sequence[tuple[Experiment, Evaluation]]) -> list[Picture]:
    percent = separation_pictures.PERCENT
    lines = [
        Line(
            separation_tables.label(one, e),
            one.settings_of(e),
            {"si_snri_db": experiments.quantiles(e, percent)},
        )
        for one, e in main
    ]
    return [
        Picture(
            separation_pictures.tails(part),
            "SI-SNRi of the mixtures from the hardest to the easiest, mean over seeds of each "
            "percentile; dotted lines are the thresholds of HSR5 and HSR10.",
            f"Sorted SI-SNRi, the hardest quarter and all mixtures, of "
            f"{', '.join(line.label for line in part)}.",
        )
        for part in separation_pictures.split(lines)
    ]


def _worst(
    workdir: WorkDir, name: str, main: Sequence[tuple[Experiment, Evaluation]]
) -> Iterator[Section]:
    """Players of one experiment: all of them would make the page too large."""
    reference = experiments.baseline(workdir, name, [one for one, _ in main])
    folder = reference.on(name)[0].folder
    try:
        tables = worst.tables(folder)
    except DAMAGED as error:
        logger.warning(f"report: the clips of {folder} are left out: {error}")
        return
    if tables:
        others = [one.name for one, _ in main if one is not reference]
        text = f"Mixtures of '{name}' separated by '{reference.name}' (first seed): the first "
        text += f"{worst.SECONDS:g} s, estimates at the level of their sources."
        if others:
            text += f" Those of other experiments are in exp/separation/NAME/eval/{name}/worst/."
        yield Section(f"Worst mixtures: {name}", text=[text], tables=tables)


def _correlation(workdir: WorkDir, name: str) -> Section:
    """Parameters of the speakers against SI-SNRi."""
    folder = workdir.exp("correlation", name)
    params = (read_manifest(folder) or {}).get("params", {})
    section = Section(f"Correlation: {name}")
    if "model" in params:
        section.text.append(
            f"Which parameters of two speakers go with the SI-SNRi of '{params['model']}' on "
            f"'{params.get('set', name)}'."
        )
    rows = []
    for row in read_correlations(folder):
        theirs = paper.CORRELATION.get(row["parameter"]) if row["genders"] == "all" else None
        counts = [int(row[column]) for column in ("mixtures", "left_out", "seeds")]
        coefficients = [_coefficient(row, kind) for kind in ("pearson", "spearman")]
        rows.append(
            [row["parameter"], row["genders"], *counts, *coefficients, Cell(show(theirs), True)]
        )
    columns = ["parameter", "genders", "mixtures", "left out", "seeds", "Pearson", "Spearman"]
    section.tables.append(
        Table(
            [*columns, "Pearson in the paper"],
            rows,
            "In brackets the 95 % interval of a bootstrap over speakers. Female and male voices "
            "differ in pitch and are easier to separate, which alone makes a correlation over all.",
            dense=True,
        )
    )
    picture = folder / "fig2.png"
    if picture.is_file():
        alt = "SI-SNRi of the sorted mixtures, and the density of each parameter along them."
        caption = "Mixtures from the hardest to the easiest (Fig. 2 of the paper)."
        section.pictures.append(Picture(picture.read_bytes(), caption, alt))
    return section


def _coefficient(row: dict[str, Any], kind: str) -> Cell:
    value, low, high = (row[name] for name in (kind, f"{kind}_low", f"{kind}_high"))
    if value is None:
        return Cell("-", number=True)
    sure = low is not None and (low > 0 or high < 0)
    under = [] if low is None else [f"[{number(low)}, {number(high)}]"]
    return Cell(number(value, 3), True, sure, under)
