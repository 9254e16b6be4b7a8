"""Sections on emotion: labels and splits, training, results, classes, the worst clips."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import count
from statistics import mean

from speechkit.emotion import paper
from speechkit.emotion.tables import duration_text, protocol, upstream_name
from speechkit.labels import emotions as data
from speechkit.labels import splits
from speechkit.labels.config import CHOSEN_ON_TEST
from speechkit.report import emotion_tables as tables
from speechkit.report import figures, findings
from speechkit.report.elements import Picture, Section, Table
from speechkit.report.emotion_tables import Evaluation, Experiment, Found, collect
from speechkit.report.reader import set_order, undamaged
from speechkit.workdir import WorkDir

MOST_BARS = 5  # models in the figure of recalls
MOST_WORST = 3  # models whose worst clips can be heard


def sections(workdir: WorkDir) -> Iterator[Section]:
    """All sections on emotion that the working directory has something for."""
    for name in sorted(workdir.sets(), key=set_order):
        if (workdir.root / "data" / name / data.LABELS).is_file():
            yield from undamaged(f"the labels of '{name}'", partial(_labels, workdir, name))
    found = collect(workdir)
    trained = [one for one in found if one.seeds]
    if trained:
        yield _training(trained)
    tested = [(one, evaluation) for one in found for evaluation in one.evaluations]
    for name in sorted({str(e.about["set"]) for _, e in tested}):
        own = [(one, e) for one, e in tested if e.about["set"] == name]
        yield from _results(workdir, name, sorted(own, key=_place))


def _place(pair: tuple[Experiment, Evaluation]) -> tuple[bool, bool, float]:
    """Parted speakers first, then by falling UAR."""
    evaluation = pair[1]
    leaking = bool(evaluation.about.get("leaks_speakers"))
    return (not evaluation.own_folds, leaking, -evaluation.summary["uar"]["mean"])


def _labels(workdir: WorkDir, name: str) -> Section:
    """Clips of each class, and the splits of a set."""
    dataset = data.load(workdir, name)
    counts: Counter[tuple[str, str]] = Counter()
    for utterance, label in dataset.labels.items():
        counts[label, dataset.data.gender.get(dataset.speaker(utterance), "?")] += 1
    rows = []
    for label in dataset.classes:
        female, male = counts[label, "f"], counts[label, "m"]
        rows.append([label, female + male + counts[label, "?"], female, male])
    section = Section(f"Emotions of {name}")
    heads: tuple[str, ...] = ("class", "clips", "of women", "of men")
    if not any(female or male for *_, female, male in rows):  # nobody's gender is known
        heads, rows = heads[:2], [row[:2] for row in rows]
    section.tables.append(Table(heads, rows, dense=False))
    lines = []
    for path in sorted((dataset.data.path / "splits").glob("*.json")):
        split = splits.read_split(dataset.data.path, path.stem)
        found = splits.leak_check(split, dataset)
        shared: list[int | None]
        shared = [max(len(getattr(leak, what) or ()) for leak in found)
                  for what in ("speakers", "sentences", "identical")]  # fmt: skip
        if found[0].sentences is None:  # nobody knows what is said
            shared[1] = None
        sizes = [round(mean(leak.sizes[part] for leak in found)) for part in range(3)]
        kind = f"{split.kind} ({CHOSEN_ON_TEST})" if split.chosen_on_test else split.kind
        lines.append([path.stem, kind, len(found), *sizes, *shared])
    if lines:
        columns = ("split", "kind", "folds", "train", "valid", "test", "speakers", "sentences")
        section.tables.append(
            Table(
                (*columns, "identical audio"),
                lines,
                "Sizes are means over folds; on the right, what training and test share (the most "
                "of any fold). Shared speakers make results too good.",
                groups=(("", 3), ("clips", 3), ("in train and test", 3)),
                title="Splits",
                dense=False,
            )
        )
    return section


def _training(trained: Sequence[Experiment]) -> Section:
    """What was trained, and curves of loss and accuracy (as Figs. 2, 4, 7 and 10)."""
    section = Section("Training of emotion")
    rows = []
    for one in trained:
        card = one.seeds[0].card
        told = [each.summary for each in one.seeds]
        runs = f"{len({t.fold for t in one.seeds})} x {len({t.number for t in one.seeds})}"
        rows.append(
            {
                "experiment": one.name,
                "upstream": upstream_name(card["upstream"]),
                "head": str(card["network"].get("head", card["training"].get("head", ""))),
                "set and split": f"{card['training'].get('set')}, {card['training'].get('split')}"
                + (f" ({CHOSEN_ON_TEST})" if card.get("chosen_on_test") else ""),
                "folds x seeds": runs,
                "best step": round(mean(s["best_step"] for s in told)),
                "time to it": duration_text(mean(s["train_seconds"] for s in told)),
            }
        )
        logs = [each.log for each in one.seeds if "step" in each.log]
        best = [each.summary["best_step"] for each in one.seeds if "step" in each.log]
        if any(len(log["step"]) > 1 for log in logs):
            section.pictures.append(
                Picture(
                    figures.emotion_curves(logs, best),
                    f"Training of '{one.name}': a line for each fold and seed, a dot at the "
                    "selected step.",
                    f"Curves of loss, accuracy and UAR of {one.name} by step.",
                )
            )
    section.tables.append(Table.of(rows))
    return section


def _results(workdir: WorkDir, name: str, found: Found) -> Iterator[Section]:
    section = Section(f"Emotion: results on {name}", findings=findings.emotion(name, found))
    if any(e.about["transductive"] for _, e in found):
        section.text.append(
            "Rows with per-speaker normalisation are transductive: mean and deviation of a test "
            "speaker's own clips (without their labels) were used."
        )
    if any(e.about.get("chosen_on_test") for _, e in found):
        section.text.append(
            "In the rows with 'step chosen on the test clips' the clips that are measured also "
            "chose the step, as in the paper: these results are too good, and are there to set "
            "beside the paper alone."
        )
    section.tables.append(tables.every_run(found))
    gap = tables.leaks(found)
    section.tables += [*([gap] if gap is not None else []), *tables.classes(found)]
    if any(e.about["set"] == name and e.own_folds for _, e in found) and set(paper.CLASSES) == set(
        found[0][1].about["classes"]
    ):
        section.tables.append(tables.beside_paper(workdir, found))
    honest = _varied([(one, e) for one, e in found if not e.about.get("leaks_speakers")] or found)
    bars = {
        _label(one, e): [e.summary[f"recall_{c}"]["mean"] for c in honest[0][1].about["classes"]]
        for one, e in honest[:MOST_BARS]
        if e.about["classes"] == honest[0][1].about["classes"]
    }
    section.pictures.append(
        Picture(
            figures.recalls(bars, honest[0][1].about["classes"]),
            "Recall of each class; the shortest bars are the tail.",
            f"Bars of recall by class of {', '.join(bars)}.",
        )
    )
    for one, evaluation in found:
        caption = f"Confusion of {_label(one, evaluation)}."
        section.pictures += Picture.of_file(evaluation.figure, caption)
    yield section
    clips = Section(f"Emotion: worst clips of {name}")
    for _, e in honest[:MOST_WORST]:
        clips.tables += undamaged(
            f"the worst clips of {e.folder}", partial(tables.worst, workdir, e)
        )
    if clips.tables:
        yield clips


def _varied(found: Found) -> list[tuple[Experiment, Evaluation]]:
    """The best of each upstream first, then the second of each ...: what is cut off is alike."""
    places: dict[str, Iterator[int]] = defaultdict(count)
    return sorted(found, key=lambda pair: next(places[pair[1].about["upstream"]]))


def _label(one: Experiment, evaluation: Evaluation) -> str:
    return f"{evaluation.title} ({protocol(evaluation.about)})"
