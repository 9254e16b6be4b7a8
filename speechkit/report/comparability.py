"""Why a result of separation stands beside a published one but cannot be compared with it."""

from __future__ import annotations

from speechkit.report.experiments import Evaluation, Experiment
from speechkit.report.reader import corpus
from speechkit.separation.paper import CORPORA
from speechkit.task.paper import PublishedRow
from speechkit.workdir import WorkDir


def differences_to_paper(
    workdir: WorkDir, one: Experiment, evaluation: Evaluation, row: PublishedRow
) -> list[str]:
    """What was otherwise than in the paper; empty if the numbers can be compared.

    Args:
        workdir: the working directory.
        one: our experiment.
        evaluation: of it.
        row: the published one.
    """
    recipe = one.settings_of(evaluation)
    if recipe is None:
        return ["how it was trained is not known"]
    card, training = one.seeds[0].card, one.seeds[0].training
    epochs = sorted({len(seed.log.get("epoch", ())) for seed in one.seeds})
    config = {
        **training,
        "epochs": epochs[0] if len(epochs) == 1 else f"{epochs[0]} to {epochs[-1]}",
        "weighted_validation": evaluation.weighted,
        "network": one.network,
        "mixing": {**training.get("mixing", {}), "sample_rate": card.get("sample_rate")},
    }
    trained = corpus(workdir, str(training.get("set_name")))
    tested = corpus(workdir, evaluation.set)
    theirs = {"wsj0": "mixtures of WSJ0 of our own", "wsj0-2mix": row.facts["tested on"]}
    facts = {
        "trained on": "WSJ0" if trained in CORPORA else trained or "unknown data",
        "tested on": theirs.get(tested, tested or "unknown data"),
        **recipe.facts,
    }
    return row.differences(config, facts)
