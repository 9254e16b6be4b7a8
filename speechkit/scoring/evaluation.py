"""The stage ``evaluate scoring``: trained seeds and a scored set in, measures and figures out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from speechkit.base.log import logger
from speechkit.base.tables import write_json, write_skipped
from speechkit.kaldi import data
from speechkit.scoring import figures, joint_folder, model_folder, results
from speechkit.scoring.bundle import inputs_of
from speechkit.scoring.data import ScoringSet, input_files, load
from speechkit.scoring.model_folder import ScoringModel
from speechkit.scoring.results import Scored
from speechkit.task.evaluation import SUMMARY, require_samples, warn_few_speakers
from speechkit.training.devices import resolve_device
from speechkit.workdir import Output, WorkDir

COMMAND = "evaluate scoring"
COLUMNS = ("model", "score", "PCC", "95 %", "PCC, mean of seeds", "MSE", "MAE by score", "seeds")
SCATTER, CALIBRATION = "scatter.png", "calibration.png"


@dataclass(frozen=True)
class Settings:
    """What determines an evaluation.

    Args:
        name: of the experiment.
        set: the set.
        features: suffix of its folder of features; None: that of the training.
        samples: bootstrap samples of the intervals.

    Raises:
        UserError: a value that is not accepted.
    """

    name: str
    set: str
    features: str | None = None
    samples: int = 2000

    def __post_init__(self) -> None:
        require_samples(self.samples)


def evaluate(
    work: WorkDir,
    settings: Settings,
    *,
    out_name: str = "",
    device: str = "auto",
    jobs: int = 1,
    force: bool = False,
) -> Path:
    """Score a set with all seeds of an experiment; returns the output folder.

    Args:
        work: the working directory.
        settings: all that decides the result.
        out_name: suffix of the output folder.
        device: auto, cpu or cuda.
        jobs: processes that read audio, for models whose acoustic part was updated.
        force: replace an evaluation with other settings.

    Raises:
        UserError: no such experiment or set, other features than the models learned from, or
            nothing that is scored.
    """
    where = str(resolve_device(device))
    folders = model_folder.find_models(work, settings.name)
    card = model_folder.read_card(folders[0][1])
    inputs = inputs_of(card, settings.features)
    with Output(
        work.exp("scoring", settings.name, "eval", settings.set, name=out_name),
        COMMAND,
        {
            "set": settings.set,
            "features": inputs.name,
            "samples": settings.samples,
            "seeds": [seed for seed, _ in folders],
        },
        [
            *input_files(work, settings.set, inputs),
            *(file for _, folder in folders for file in model_folder.files(folder)),
        ],
        force=force,
        beside="write beside it with --out-name",
    ) as out:
        if not out.up_to_date:
            models = [model_folder.read_model(folder, where) for _, folder in folders]
            found = load(work, settings.set, inputs, card["target"])
            own = [folder for _, folder in folders]
            scored = score(work, models, own, found, device=where, jobs=jobs)
            _write(out, scored, settings, _texts(work, settings.set))
    return out.final


def _texts(work: WorkDir, set_name: str) -> dict[str, str]:
    path = work.data(set_name) / "text"
    return data.read_table(path) if path.is_file() else {}


def score(
    work: WorkDir,
    models: Sequence[ScoringModel],
    folders: Sequence[Path],
    found: ScoringSet,
    *,
    device: str = "cpu",
    jobs: int = 1,
) -> Scored:
    """Score a set with S models.

    Args:
        work: the working directory.
        models: of one experiment.
        folders: of them; one with an acoustic network of its own reads the audio again.
        found: the set, with the features that training began with.
        device: cpu or cuda.
        jobs: processes that read audio.

    Raises:
        UserError: the features are not those of the training.
    """
    models[0].check_features(found.features_of, f"The set '{found.name}'")
    own = [folder for folder in folders if joint_folder.is_joint(folder)]
    made = (
        joint_folder.features_of_models(work, found, own, device=device, jobs=jobs) if own else []
    )
    heard = dict(zip(own, made, strict=True))
    predicted = [
        model.predict(found.with_features(heard[folder]) if folder in heard else found)
        for model, folder in zip(models, folders, strict=True)
    ]
    seeds = [int(model.card["seed"]) for model in models]
    return Scored(found, seeds, np.stack(predicted).astype(np.float64))


def _write(out: Output, scored: Scored, settings: Settings, texts: dict[str, str]) -> None:
    warn_few_speakers(settings.set, len(set(scored.found.speakers)))
    results.write_tables(out.path, scored, texts)
    summary = results.summarize(scored, settings.samples)
    if summary[f"{scored.aspect}_pcc"]["n"] < len(scored.seeds):
        logger.warning(
            f"Labels or predictions of {scored.found.target} do not vary: there is no "
            "correlation (of some seeds)."
        )
    write_json(out.path / SUMMARY, summary)
    write_skipped(out.path, scored.found.skipped)
    labels, mean = scored.points(scored.labels), scored.points(scored.ensemble)
    scale, title = scored.found.scale, f"{settings.name}: {scored.found.target}"
    (out.path / SCATTER).write_bytes(figures.scatter(labels, mean, scale, title))
    bins = results.calibration(mean, labels)
    (out.path / CALIBRATION).write_bytes(figures.calibration(bins, scale, title))
    out.counts.update(
        seeds=len(scored.seeds),
        utterances=len(scored.found.utterances),
        skipped=len(scored.found.skipped),
    )


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
                _cell(pcc),
                f"{pcc['low']:.3f} to {pcc['high']:.3f}" if known else "-",
                _cell(summary[f"{aspect}_pcc_ensemble"]),
                _cell(summary[f"{aspect}_mse"], 4),
                _cell(summary[f"{aspect}_macro_mae_points"], 2),
                str(pcc["n"]),
            ]
        )
    return rows


def _cell(value: dict[str, Any], digits: int = 3) -> str:
    if value["mean"] is None:
        return "-"
    spread = f" ±{value['std']:.{digits}f}" if value["std"] is not None else ""
    return f"{value['mean']:.{digits}f}{spread}"
