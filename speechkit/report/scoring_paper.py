"""Tables of transfer scoring that stand beside the paper's: its Tables 1 to 6."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from speechkit.report.elements import (
    NOTHING,
    Cell,
    Table,
    count,
    figure,
    number,
    spread,
    with_interval,
)
from speechkit.report.experiments import Evaluation
from speechkit.report.scoring_runs import (
    Experiment,
    Found,
    acoustic,
    alike,
    differences_to_paper,
    main_experiment,
)
from speechkit.report.tables import comparable
from speechkit.scoring import paper
from speechkit.scoring.paper import OURS, recipe_of
from speechkit.task.paper import PublishedRow
from speechkit.workdir import WorkDir

_OURS = ("training", "test", "n", "seeds")
UPDATED = "unfrozen"
_PROPOSED = (OURS.model, OURS.input)
_COMPARED = (("frozen", "frozen"), ("none", "frozen"))  # in tables of models and inputs
_TESTED = ("l2", "speechocean")
_STAGES = {"none": "–", "": "?"}


def _percent(share: float) -> str:
    """``0.52 %``, ``1.9 %``, ``150 %``: two digits that count, and none in place of zeros."""
    percent = 100 * share
    return f"{number(percent, 2 if percent < 1 else 1 if percent < 10 else 0)} %"


def parameters(workdir: WorkDir, found: Sequence[Experiment]) -> Table | None:
    """Table 1: parameters of the acoustic model and of the scorer; None without a network."""
    same = [one for one in found if (one.recipe.model, one.recipe.input) == _PROPOSED]
    main = next(iter(same), None)
    scorer = main.parameters("scorer") if main else None
    if main is None or scorer is None:
        return None
    known = acoustic(workdir, main.acoustic)
    listener = main.parameters("acoustic") or (known.summary.get("parameters") if known else None)
    share = _percent(scorer / listener) if listener else "-"
    theirs = _percent(paper.SCORER_PARAMETERS / paper.ACOUSTIC_PARAMETERS)
    rows = [
        [Cell("acoustic model", under=(main.acoustic,)), listener, paper.ACOUSTIC_PARAMETERS],
        [Cell("scoring module", under=(main.name,)), scorer, paper.SCORER_PARAMETERS],
        ["share of the scoring module", Cell(share, True), Cell(theirs, True)],
    ]
    shown = [[a, *(v if isinstance(v, Cell) else count(v) for v in rest)] for a, *rest in rows]
    return Table(
        ["model", "ours", "paper"],
        shown,
        "As Table 1 of the paper.",
        title="Parameters",
        dense=False,
    )


def beside_paper(workdir: WorkDir, pairs: Found, main: Experiment) -> list[Table]:
    """Tables 2, 3, 6 and 5, each with our runs in its rows; those without any are left out.

    Args:
        pairs: all runs on a set.
        main: of the runs that stand in Tables 2, 3 and 6. In Table 5 it is one of those that
            updated the acoustic model, where there are any: its rows are of one acoustic model.
    """
    chosen = alike(pairs, main)
    updated = [one for one, _ in pairs if UPDATED in (one.recipe.pretrain, one.recipe.finetune)]
    staged = alike(pairs, main_experiment(updated)) if updated else chosen
    parts = (
        ("Deep features and GOP baselines", paper.TABLE_2),
        ("Inputs of the scoring module", paper.TABLE_3),
        ("With and without self-attention", paper.TABLE_6),
    )
    made = [_by_model(workdir, chosen, title, rows) for title, rows in parts]
    made.append(_by_stage(workdir, staged))
    return [table for table in made if table is not None]


def _by_model(
    workdir: WorkDir, chosen: Found, title: str, rows: Sequence[PublishedRow]
) -> Table | None:
    """A table whose rows differ in model and input; runs differ in their pre-training too."""
    lines: list[tuple[PublishedRow, int, tuple[Experiment, Evaluation] | None]] = []
    for row in rows:
        same = (row.config.model, row.config.input)
        runs = [
            (one, e)
            for one, e in chosen
            if (one.recipe.model, one.recipe.input) == same
            and (one.recipe.pretrain, one.recipe.finetune) in _COMPARED
        ]
        runs.sort(key=lambda pair: pair[0].recipe.pretrain != OURS.pretrain)
        lines += [(row, place, pair) for place, pair in enumerate(runs)] or [(row, 0, None)]
    if not any(recipe_of(row) != OURS for row, _, pair in lines if pair):
        return None
    said, texts = comparable(
        [pair and differences_to_paper(workdir, *pair, row) for row, _, pair in lines]
    )
    table: list[list[Any]] = []
    for (row, place, pair), text in zip(lines, texts, strict=True):
        theirs = [figure(row.values[key][0], 2) for key in _TESTED]
        if pair is None:
            table.append([row.name, "", *[NOTHING] * 4, *theirs, text])
            continue
        one = pair[0]
        table.append(
            [
                Cell("" if place else row.name, under=(one.name,)),
                _STAGES.get(one.recipe.pretrain, one.recipe.pretrain),
                *_ours(*pair),
                *(["", ""] if place else theirs),
                text,
            ]
        )
    return Table(
        ["model", "pre-training", *_OURS, "L2", "speechocean762", "comparable?"],
        table,
        f"As Table {rows[0].table} of the paper. {said}{_EXPLAINED}",
        groups=[("", 2), ("ours (PCC)", 4), ("paper (test PCC)", 2), ("", 1)],
        title=title,
    )


_EXPLAINED = (
    "In brackets the 95 % interval of a bootstrap over speakers; ±: standard deviation over seeds."
)


def _ours(one: Experiment, evaluation: Evaluation) -> list[Any]:
    """Cells of the columns ``_OURS``."""
    measured = [spread(one.training_pcc(), 3), pcc_cell(one, evaluation)]
    return [*measured, evaluation.count("utterances"), len(one.seeds)]


def _by_stage(workdir: WorkDir, chosen: Found) -> Table | None:
    """Table 5 (and 4): pre-training and fine-tuning with the acoustic model frozen or not."""
    by_recipe = {one.recipe: (one, e) for one, e in chosen}
    lines = [(row, by_recipe.get(recipe_of(row))) for row in paper.TABLES_4_5]
    if sum(pair is not None for _, pair in lines) < 2:
        return None
    said, texts = comparable(
        [pair and differences_to_paper(workdir, *pair, row) for row, pair in lines]
    )
    table: list[list[Any]] = []
    for (row, pair), text in zip(lines, texts, strict=True):
        ours = _ours(*pair) if pair else [NOTHING] * 4
        theirs = [
            figure(row.values[key][0], 2) if key in row.values else Cell("–", True)
            for key in ("l2_training", "l2", "speechocean_training", "speechocean")
        ]
        stages = [_STAGES.get(s, s) for s in (row.config.pretrain, row.config.finetune)]
        named = Cell(stages[0], under=(pair[0].name,) if pair else ())
        table.append([named, stages[1], *ours, *theirs, text])
    return Table(
        ["pre-training", "fine-tuning", *_OURS, *("training", "test") * 2, "comparable?"],
        table,
        "As Tables 4 (the authors' own L2 set: their numbers only) and 5 of the paper: stages in "
        "which the acoustic model was frozen, or updated too; – : without that stage. "
        f"{said}{_EXPLAINED}",
        groups=[
            ("", 2), ("ours (PCC)", 4), ("paper, L2", 2), ("paper, speechocean762", 2), ("", 1),
        ],
        title="Pre-training and fine-tuning",
    )  # fmt: skip


def pcc_cell(one: Experiment, evaluation: Evaluation) -> Cell:
    """Test PCC with its interval and spread."""
    return with_interval(evaluation.summary.get(f"{one.aspect}_pcc"))
