"""The stages ``evaluate pronunciation`` (all seeds of a model, measured on a scored set) and
``compare pronunciation`` (experiments against a baseline on the same items)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from speechkit.base.answers import Answer
from speechkit.base.errors import UserError
from speechkit.phone_features import dataset
from speechkit.phone_features.scored_set import ScoredSet
from speechkit.pronunciation import model_folder, results
from speechkit.pronunciation.config import ComparisonConfig, EvaluationConfig
from speechkit.pronunciation.model_folder import Assessor
from speechkit.pronunciation.results import Scored
from speechkit.task import evaluation, scores, trained
from speechkit.task.evaluation import Each
from speechkit.training.devices import resolve_device
from speechkit.workdir import Output, WorkDir

COMPARISON = scores.comparison_of("pronunciation", "phone", "word", "utterance")


def evaluate(
    work: WorkDir,
    config: EvaluationConfig,
    *,
    out_name: str = "",
    device: str = "auto",
    force: bool = False,
) -> Path:
    """Score a set with all seeds of an experiment; returns the output folder.

    Args:
        work: the working directory.
        config: all that decides the result.
        out_name: suffix of the output folder.
        device: auto, cpu or cuda.
        force: replace an evaluation with other settings.

    Raises:
        UserError: no such experiment or set, other features than the models learned from, or
            nothing that is scored.
    """
    where = str(resolve_device(device))
    models = trained.find(work, "pronunciation", config.name)
    names = features_of(config, model_folder.read_card(models[0][1]))
    files = [folder / f for _, folder in models for f in (model_folder.CARD, model_folder.WEIGHTS)]
    with Output(
        work.exp("pronunciation", config.name, "eval", config.set, name=out_name),
        "evaluate pronunciation",
        {
            "set": config.set,
            "gop": names,
            "samples": config.samples,
            "seeds": [seed for seed, _ in models],
        },
        [*dataset.input_files(work, config.set, names), *files],
        force=force,
        beside="write beside it with `out_name`",
    ) as out:
        if not out.up_to_date:
            assessor = model_folder.load([folder for _, folder in models], where)
            found = dataset.load(work, config.set, names)
            assessor.check_features(found.features_of, f"The set '{config.set}'")
            scored = score(assessor, found)
            results.write_tables(out.path, scored)
            summary = results.summarize(scored, config.samples)
            scores.write_summary(out, found, scored.scored(), summary)
    return out.final


def features_of(config: EvaluationConfig, card: Mapping[str, Any]) -> tuple[str, ...]:
    """Suffixes of the set's folders of features: as given, else as in the training."""
    if config.gop is not None:
        return config.gop
    return tuple((card.get("training") or {}).get("gop") or ("",))


def score(assessor: Assessor, found: ScoredSet) -> Scored:
    """Score a set with S models.

    Raises:
        UserError: the set has no label of anything that the models predict.
    """
    predictions = assessor.predict(found).scores
    made = Scored(found, assessor.seeds, predictions, assessor.thresholds)
    if not made.scored():
        raise UserError(
            f"'{found.name}' has no scores of {', '.join(predictions)}.",
            "Evaluate on a set that was scored in what the model predicts.",
        )
    return made


def table(names: Sequence[str], summaries: Sequence[dict[str, dict[str, Any]]]) -> list[list[str]]:
    """Rows laid out like Table 1 of Do et al.: name, then the ten measures as mean ± std."""
    from speechkit.pronunciation.paper import MEASURES

    rows = []
    for name, summary in zip(names, summaries, strict=True):
        rows.append([name, *(scores.mean_std(summary.get(measure)) for measure in MEASURES)])
        if any(summary.get(f"{m}_ensemble") for m in MEASURES):
            whole = [scores.mean_std(summary.get(f"{m}_ensemble")) for m in MEASURES]
            rows.append([f"{name}, mean of seeds", *whole])
    return rows


def answer(found: Each, number: int = 0) -> Answer:
    """The experiments, a row each; above them those of the paper's Table ``number``."""
    from speechkit.pronunciation.paper import MEASURES

    rows = published_rows(str(number)) + table(found.names, found.summaries)
    return found.answer("mean ± std over seeds", ("model", *map(_short, MEASURES)), rows)


def _short(measure: str) -> str:
    """``word_stress_pcc`` -> ``word stress``; the phone's two measures keep their kind."""
    aspect, _, kind = measure.rpartition("_")
    level, _, what = aspect.partition("_")
    return f"phone {kind.upper()}" if level == "phone" else f"{level} {what}"


def published_rows(number: str) -> list[list[str]]:
    """The rows of the paper's Table 1 or 2, in the layout of :func:`table`."""
    from speechkit.pronunciation.paper import MEASURES, ROWS

    def cell(mean: float | None, std: float | None) -> str:
        return scores.mean_std({"mean": mean, "std": std})

    return [
        [f"paper: {row.name}", *(cell(*row.values.get(m, (None, None))) for m in MEASURES)]
        for row in ROWS
        if number in row.table.split(", ")
    ]


def compare(
    work: WorkDir, config: ComparisonConfig, out_name: str = "", force: bool = False
) -> Path:
    """Write ``exp/compare/pronunciation/<set>/`` and return it.

    Raises:
        UserError: an experiment was not evaluated on the set, or on other items.
    """
    return evaluation.compare(
        work,
        COMPARISON,
        config,
        lambda folders, name: scores.differences(folders, name, config),
        out_name,
        force,
    )
