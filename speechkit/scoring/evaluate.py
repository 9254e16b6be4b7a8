"""The stages ``evaluate scoring`` (all seeds of a scorer, measured on a scored set, with figures)
and ``compare scoring`` (experiments against a baseline on the same utterances)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from speechkit.base.answers import Answer
from speechkit.base.errors import ConfigError, UserError
from speechkit.kaldi import data
from speechkit.labels.scores import LEVELS
from speechkit.scoring import joint_network, metrics, model_folder, results
from speechkit.scoring.data import Inputs, ScoringSet, input_files, load
from speechkit.scoring.inference_config import ComparisonConfig, EvaluationConfig
from speechkit.scoring.metrics import Scored
from speechkit.scoring.model_folder import ScoringModel
from speechkit.task import evaluation, scores, trained
from speechkit.task.evaluation import Each, evaluate_each
from speechkit.training.devices import resolve_device
from speechkit.workdir import Output, WorkDir

COMPARISON = scores.comparison_of("scoring", "utterance")
ASPECTS = tuple(f"utterance_{name}" for name in LEVELS["utterance"])
COLUMNS = ("model", "score", "PCC", "95 %", "PCC, mean of seeds", "MSE", "MAE by score", "seeds")


def evaluate(
    work: WorkDir,
    config: EvaluationConfig,
    *,
    out_name: str = "",
    device: str = "auto",
    jobs: int = 1,
    executor: str = "local",
    force: bool = False,
) -> Path:
    """Score a set with all seeds of an experiment; returns the output folder.

    Args:
        work: the working directory.
        config: all that decides the result.
        out_name: suffix of the output folder.
        device: auto, cpu or cuda.
        jobs: processes that read audio, for models whose acoustic part was updated.
        executor: local, or dask://HOST:PORT for all that such models compute of audio.
        force: replace an evaluation with other config.

    Raises:
        UserError: no such experiment or set, other features than the models learned from, or
            nothing that is scored.
    """
    where = str(resolve_device(device))
    folders = trained.find(work, "scoring", config.name, "scorer")
    card = model_folder.read_card(folders[0][1])
    inputs = Inputs.of(card, config.features)
    with Output(
        work.exp("scoring", config.name, "eval", config.set, name=out_name),
        "evaluate scoring",
        {
            "set": config.set,
            "features": inputs.name,
            "samples": config.samples,
            "seeds": [seed for seed, _ in folders],
        },
        [
            *input_files(work, config.set, inputs),
            *(file for _, folder in folders for file in model_folder.files(folder)),
        ],
        force=force,
        beside="write beside it with `out_name`",
    ) as out:
        if not out.up_to_date:
            own = [folder for _, folder in folders]
            if executor != "local" and not any(map(joint_network.is_joint, own)):
                raise ConfigError(
                    "executor",
                    f"is for acoustic networks that were trained with a scorer; '{config.name}' "
                    "has none, and takes the features that are there.",
                    "Leave it out.",
                )
            models = [model_folder.read_model(folder, where) for _, folder in folders]
            found = load(work, config.set, inputs, card["target"])
            how = {"device": where, "jobs": jobs, "executor": executor}
            scored = score(work, models, own, found, **how)
            _write(out, scored, config, work.data(config.set) / "text")
    return out.final


def _write(out: Output, scored: Scored, config: EvaluationConfig, text: Path) -> None:
    texts = data.read_table(text) if text.is_file() else {}
    results.write_tables(out.path, scored, texts)
    summary = metrics.summarize(scored, config.samples)
    scores.write_summary(out, scored.data, [scored.aspect], summary)
    results.write_figures(out.path, scored, config.name)


def score(
    work: WorkDir,
    models: Sequence[ScoringModel],
    folders: Sequence[Path],
    found: ScoringSet,
    **how: Any,
) -> Scored:
    """Score a set with S models.

    Args:
        work: the working directory.
        models: of one experiment.
        folders: of them; one with an acoustic network of its own reads the audio again.
        found: the set, with the features that training began with.
        how: device, jobs and executor of :func:`joint_network.sets_of_models`.

    Raises:
        UserError: the features are not those of the training.
    """
    models[0].check_features(found.features_of, f"The set '{found.name}'")
    own = [folder if joint_network.is_joint(folder) else None for folder in folders]
    sets = joint_network.sets_of_models(work, found, own, **how)
    predicted = [model.predict(one) for model, one in zip(models, sets, strict=True)]
    seeds = [int(model.card["seed"]) for model in models]
    return Scored(found, seeds, np.stack(predicted).astype(np.float64))


def table(names: Sequence[str], summaries: Sequence[dict[str, dict[str, Any]]]) -> list[list[str]]:
    """Rows of ``COLUMNS``: an experiment each."""
    rows = []
    for name, summary in zip(names, summaries, strict=True):
        aspect = next(key.removesuffix("_pcc") for key in summary if key.endswith("_pcc"))
        pcc = summary[f"{aspect}_pcc"]
        known = pcc["low"] is not None and pcc["high"] is not None
        rows.append(
            [
                name,
                aspect.removeprefix("utterance_"),
                scores.mean_std(pcc),
                f"{pcc['low']:.3f} to {pcc['high']:.3f}" if known else "-",
                scores.mean_std(summary[f"{aspect}_pcc_ensemble"]),
                scores.mean_std(summary[f"{aspect}_mse"], 4),
                scores.mean_std(summary[f"{aspect}_macro_mae_points"], 2),
                str(summary[f"{aspect}_mse"]["n"]),
            ]
        )
    return rows


def evaluate_all(work: WorkDir, config: EvaluationConfig, **how: Any) -> Each:
    """:func:`evaluate` each experiment that ``config.name`` lists, separated by commas."""
    return evaluate_each(evaluate, work, config, **how)


def answer(found: Each) -> Answer:
    """The experiments, a row each."""
    return found.answer("mean ± std over seeds", COLUMNS, table(found.names, found.summaries))


def compare(
    work: WorkDir, config: ComparisonConfig, out_name: str = "", force: bool = False
) -> Path:
    """Write ``exp/compare/scoring/<set>/`` and return it.

    Raises:
        UserError: an experiment was not evaluated on the set, on other utterances, or
            predicts another score than the baseline.
    """
    if not config.names:
        config = replace(config, names=_same_target(work, config))

    def differences(folders: Mapping[str, Path], name: str) -> dict[str, Any]:
        own, base = (_target(folders[one]) for one in (name, config.baseline))
        if own != base:
            raise UserError(
                f"'{name}' predicts {own or 'nothing'}, '{config.baseline}' {base or 'nothing'}.",
                "Compare experiments with the same `target`.",
            )
        return scores.differences(folders, name, config)

    return evaluation.compare(work, COMPARISON, config, differences, out_name, force)


def _same_target(work: WorkDir, config: ComparisonConfig) -> tuple[str, ...]:
    """Experiments that were evaluated on the set and predict the score of the baseline."""
    folders = evaluation.find_evaluations(work, COMPARISON, config)
    wanted = _target(folders.pop(config.baseline))
    found = tuple(name for name, folder in folders.items() if _target(folder) == wanted)
    if not found:
        raise UserError(
            f"No other experiment that predicts {wanted} was evaluated on '{config.set}'.",
            "Train one with the same `target`, and evaluate it.",
        )
    return found


def _target(folder: Path) -> str:
    """Column of the label in ``utterances.tsv``."""
    with (folder / scores.TABLES["utterance"]).open(encoding="utf-8") as file:
        columns = file.readline().rstrip("\n").split("\t")
    return next((name for name in columns if name in ASPECTS), "")
