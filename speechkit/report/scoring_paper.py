"""Tables of transfer scoring that stand beside the paper's: its Tables 1 to 6."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from speechkit.report.cells import number, spread
from speechkit.report.model import Cell, Table
from speechkit.report.reader import corpus
from speechkit.report.scoring_experiments import (
    Evaluation,
    Experiment,
    Found,
    acoustic,
    alike,
    main_of,
    utterances,
)
from speechkit.scoring import published
from speechkit.scoring.published import OURS, Row
from speechkit.workdir import WorkDir
from speechkit.workdir.manifest import read_json, read_manifest

_OURS = ("training", "test", "n", "seeds")
UPDATED = "unfrozen"
_PROPOSED = (OURS.model, OURS.input)
_COMPARED = (("frozen", "frozen"), ("none", "frozen"))  # in tables of models and inputs
_STAGES = {"none": "–", "": "?"}


def parameters(workdir: WorkDir, found: Sequence[Experiment]) -> Table | None:
    """Table 1: parameters of the acoustic model and of the scorer; None without a network."""
    same = [one for one in found if (one.recipe.model, one.recipe.input) == _PROPOSED]
    main = next(iter(same), None)
    scorer = main.parameters("scorer") if main else None
    if main is None or scorer is None:
        return None
    known = acoustic(workdir, main.acoustic)
    listener = main.parameters("acoustic") or (known.summary.get("parameters") if known else None)
    share = f"{100 * scorer / listener:.2g} %" if listener else "-"
    theirs = 100 * published.SCORER_PARAMETERS / published.ACOUSTIC_PARAMETERS
    rows = [
        [Cell("acoustic model", under=(main.acoustic,)), listener, published.ACOUSTIC_PARAMETERS],
        [Cell("scoring module", under=(main.name,)), scorer, published.SCORER_PARAMETERS],
        ["share of the scoring module", Cell(share, True), Cell(f"{theirs:.2g} %", True)],
    ]
    shown = [[a, *(_count(value) for value in rest)] for a, *rest in rows]
    return Table(["model", "ours", "paper"], shown, "As Table 1 of the paper.", title="Parameters")


def _count(value: Any) -> Cell:
    if isinstance(value, Cell):
        return value
    return Cell(f"{value:,}" if value else "-", True)


def beside_paper(workdir: WorkDir, pairs: Found, main: Experiment) -> list[Table]:
    """Tables 2, 3, 6 and 5, each with our runs in its rows; those without any are left out.

    Args:
        workdir: the working directory.
        pairs: all runs on a set.
        main: of the runs that stand in Tables 2, 3 and 6. In Table 5 it is one of those that
            updated the acoustic model, where there are any: its rows are of one acoustic model.
    """
    chosen = alike(pairs, main)
    updated = [one for one, _ in pairs if UPDATED in (one.recipe.pretrain, one.recipe.finetune)]
    staged = alike(pairs, main_of(updated)) if updated else chosen
    parts = (
        ("Deep features and GOP baselines", "2", published.TABLE_2),
        ("Inputs of the scoring module", "3", published.TABLE_3),
        ("With and without self-attention", "6", published.TABLE_6),
    )
    made = [_by_model(workdir, chosen, title, number_, rows) for title, number_, rows in parts]
    made.append(_by_stage(workdir, staged))
    return [table for table in made if table is not None]


def _by_model(
    workdir: WorkDir, chosen: Found, title: str, place: str, rows: Sequence[Row]
) -> Table | None:
    """A table whose rows differ in model and input; runs differ in their pre-training too."""
    lines: list[tuple[Row, list[tuple[Experiment, Evaluation]]]] = []
    for row in rows:
        same = (row.recipe.model, row.recipe.input)
        runs = [
            (one, e)
            for one, e in chosen
            if (one.recipe.model, one.recipe.input) == same
            and (one.recipe.pretrain, one.recipe.finetune) in _COMPARED
        ]
        runs.sort(key=lambda pair: pair[0].recipe.pretrain != OURS.pretrain)
        lines.append((row, runs))
    baselines = [pair for row, runs in lines if row.recipe != OURS for pair in runs]
    if not baselines:
        return None
    reasons = _Reasons(workdir, [pair for _, runs in lines for pair in runs])
    table: list[list[Any]] = []
    for row, runs in lines:
        paper = [Cell(number(value), True) for value in (row.l2, row.speechocean)]
        if not runs:
            table.append([row.name, "", *[Cell("-", True)] * 4, *paper, "not run"])
        for place_, (one, e) in enumerate(runs):
            theirs = ["", ""] if place_ else paper
            table.append(
                [
                    Cell(row.name if not place_ else "", under=(one.name,)),
                    _STAGES.get(one.recipe.pretrain, one.recipe.pretrain),
                    spread(one.training_pcc(), 3),
                    pcc_cell(one, e),
                    _of(e, "utterances"),
                    len(one.seeds),
                    *theirs,
                    reasons.of(one),
                ]
            )
    return Table(
        ["model", "pre-training", *_OURS, "L2", "speechocean762", "comparable?"],
        table,
        f"As Table {place} of the paper. {reasons.common}{_EXPLAINED}",
        groups=[("", 2), ("ours (PCC)", 4), ("paper (test PCC)", 2), ("", 1)],
        dense=True,
        title=title,
    )


_EXPLAINED = (
    "In brackets the 95 % interval of a bootstrap over speakers; ±: standard deviation over seeds."
)


def _by_stage(workdir: WorkDir, chosen: Found) -> Table | None:
    """Table 5 (and 4): pre-training and fine-tuning with the acoustic model frozen or not."""
    by_recipe = {one.recipe: (one, e) for one, e in chosen}
    runs = [by_recipe[row.recipe] for row in published.TABLES_4_5 if row.recipe in by_recipe]
    if len(runs) < 2:
        return None
    reasons = _Reasons(workdir, runs)
    table: list[list[Any]] = []
    for row in published.TABLES_4_5:
        pair = by_recipe.get(row.recipe)
        ours: list[Any] = [Cell("-", True)] * 4
        if pair is not None:
            one, e = pair
            ours = [spread(one.training_pcc(), 3), pcc_cell(one, e), _of(e, "utterances")]
            ours.append(len(one.seeds))
        pairs = ((row.l2_training, row.l2), (row.speechocean_training, row.speechocean))
        paper = [Cell("–" if v is None else number(v), True) for both in pairs for v in both]
        stages = [_STAGES.get(s, s) for s in (row.recipe.pretrain, row.recipe.finetune)]
        named = Cell(stages[0], under=(pair[0].name,) if pair else ())
        table.append([named, stages[1], *ours, *paper, reasons.of(pair[0]) if pair else "not run"])
    return Table(
        ["pre-training", "fine-tuning", *_OURS, *("training", "test") * 2, "comparable?"],
        table,
        "As Tables 4 (the authors' own L2 set: their numbers only) and 5 of the paper: stages in "
        "which the acoustic model was frozen, or updated too; – : without that stage. "
        f"{reasons.common}{_EXPLAINED}",
        groups=[
            ("", 2), ("ours (PCC)", 4), ("paper, L2", 2), ("paper, speechocean762", 2), ("", 1),
        ],
        dense=True,
        title="Pre-training and fine-tuning",
    )  # fmt: skip


def pcc_cell(one: Experiment, evaluation: Evaluation) -> Cell:
    """Test PCC with its interval and spread."""
    measure = f"{one.aspect}_pcc"
    shown = spread(evaluation.value(measure), 3)
    low, high = (evaluation.summary.get(measure, {}).get(end) for end in ("low", "high"))
    if low is None or high is None:
        return shown
    return Cell(shown.text, True, under=(*shown.under, f"[{number(low)}, {number(high)}]"))


def _of(evaluation: Evaluation, count: str) -> int | None:
    found = evaluation.value(count)
    return int(found[0]) if found else None


_OF_SOME = ("trained", "pretrained")  # said in the caption though some rows are without it


class _Reasons:
    """Why our numbers and the paper's cannot be compared: what all have in common, then the rest.

    Args:
        workdir: the working directory.
        runs: of one table.
    """

    def __init__(self, workdir: WorkDir, runs: Found) -> None:
        main = main_of(one for one, _ in runs).acoustic if runs else ""
        self._each = {one.name: dict(differences(workdir, one, e, main)) for one, e in runs}
        every = list(self._each.values())
        kinds = dict.fromkeys(kind for one in every for kind in one)
        texts = {kind: [one[kind] for one in every if kind in one] for kind in kinds}
        self._common = {
            kind: said[0]
            for kind, said in texts.items()
            if len(set(said)) == 1 and (kind in _OF_SOME or len(said) == len(every))
        }

    @property
    def common(self) -> str:
        """For the caption."""
        said = ", ".join(self._common.values())
        return f"Not comparable with the paper: ours are {said}. " if said else ""

    def of(self, one: Experiment) -> str:
        """For a row."""
        own = [why for kind, why in self._each[one.name].items() if kind not in self._common]
        return "; ".join(["no"] * bool(self._common or own) + own) or "yes"


def differences(
    workdir: WorkDir, one: Experiment, evaluation: Evaluation, main: str
) -> Iterator[tuple[str, str]]:
    """Kind and text of what was otherwise than in the paper (speechocean762); nothing if the
    numbers can be compared.

    Args:
        workdir: the working directory.
        one: our experiment.
        evaluation: of it.
        main: acoustic model of the other runs.
    """
    tested = _of(evaluation, "utterances")
    yield from _data(workdir, "tested", evaluation.set, tested, published.TEST_UTTERANCES)
    if one.recipe.finetune != "none":
        learned, name = one.labelled(workdir), str(one.setting("set_name"))
        yield from _data(workdir, "trained", name, learned, published.TRAIN_UTTERANCES)
    if one.acoustic != main:
        yield "other", f"on another acoustic model ({one.acoustic or 'not known'})"
    if why := _acoustic(workdir, one):
        yield "acoustic", why
    if one.recipe.pretrain not in ("none", ""):
        count = synthetic_utterances(workdir, one)
        if count != published.SYNTHETIC_UTTERANCES:
            few = (
                f"{count:,} synthetic scores" if count else "an unknown number of synthetic scores"
            )
            yield "pretrained", f"pre-trained on {few}, not {published.SYNTHETIC_UTTERANCES:,}"


def _data(
    workdir: WorkDir, what: str, name: str, count: int | None, theirs: int
) -> Iterator[tuple[str, str]]:
    prepared = corpus(workdir, name)
    if prepared != published.CORPUS:
        yield what, f"{what} on {prepared or 'unknown data'}"
    elif count != theirs:
        shown = f"{count:,}" if count is not None else "?"
        yield what, f"{what} on {shown} utterances, not {theirs:,}"


def _acoustic(workdir: WorkDir, one: Experiment) -> str:
    """What is otherwise with the acoustic model that the features are of."""
    known = acoustic(workdir, one.acoustic)
    if known is None or known.hours is None:
        return f"on the acoustic model {one.acoustic or '(not known)'}"
    count = int(known.summary.get("parameters") or 0)
    size, theirs = "", ""
    if abs(known.hours - published.ACOUSTIC_HOURS) < 50 and not _differs(count):
        return ""
    if _differs(count):
        size = f" ({count / 1e6:.2f} M parameters)"
        theirs = f" ({published.ACOUSTIC_PARAMETERS / 1e6:.2f} M)"
    hours = f"{published.ACOUSTIC_HOURS:,.0f} h"
    return f"on an acoustic model{size} of {known.hours:.1f} h of speech, not {hours}{theirs}"


def _differs(count: int) -> bool:
    theirs = published.ACOUSTIC_PARAMETERS
    return abs(count - theirs) > 0.01 * theirs


def synthetic_utterances(workdir: WorkDir, one: Experiment) -> int | None:
    """How many utterances with synthetic scores it was pre-trained on."""
    set_name, name = str(one.setting("pretrain_set")), str(one.setting("synthetic") or "")
    folder = workdir.root / "exp" / "synthetic" / (f"{set_name}-{name}" if name else set_name)
    counts = (read_manifest(folder) or {}).get("counts", {})
    summary = read_json(folder / "summary.json")
    found = counts.get("utterances", summary.get("utterances") if isinstance(summary, dict) else 0)
    return int(found) if isinstance(found, int) and found else utterances(workdir, set_name)
