"""Train scorers of utterances (``train scoring``).

A scorer is pre-trained on synthetic scores, fine-tuned on human scores, or both, with the acoustic
model frozen or updated too. All seeds of a command go through these stages together.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from speechkit.base.answers import Answer
from speechkit.base.errors import ConfigError, UserError
from speechkit.base.tables import write_json, write_skipped
from speechkit.phone_features.feature_folder import require_features
from speechkit.scoring import joint_network, model_folder, trees
from speechkit.scoring.config import LAST, NONE, TREES, ScoringConfig
from speechkit.scoring.data import ScoringSet, input_files, load
from speechkit.scoring.models import ScorerConfig, score
from speechkit.scoring.seeds import Seed, begin, draw_pool, stacked, statistics
from speechkit.scoring.stages import Stages, copy_acoustic
from speechkit.stats.score_metrics import mse, pcc
from speechkit.task import trained
from speechkit.training.devices import resolve_device
from speechkit.training.weights import read_weights, write_weights
from speechkit.workdir import Output, WorkDir

TASK = "scoring"
Sets = dict[tuple[str, "str | None"], ScoringSet]


def train(
    work: WorkDir,
    name: str,
    config: ScoringConfig,
    seeds: Sequence[int],
    *,
    device: str = "auto",
    jobs: int = 1,
    force: bool = False,
    other_batch_size: bool = False,
) -> list[Path]:
    """Train every seed in one run and write ``exp/scoring/<name>/seed<N>/``.

    Seeds that are there already, made with the same settings, are left as they are.

    Args:
        work: the working directory.
        name: of the experiment.
        config: all that decides the result.
        seeds: different numbers.
        device: auto, cpu or cuda.
        jobs: processes that read audio.
        force: replace models that were trained with other settings.
        other_batch_size: go on from unfinished runs of another batch size.

    Returns:
        The folders of the seeds.

    Raises:
        UserError: impossible settings, or inputs that are missing or disagree.
    """
    config.check()
    where = resolve_device(device)
    wanted = _wanted(config)
    inputs = [f for s, of in wanted for f in input_files(work, s, config.inputs, of)]
    trained.refuse_path(config.init, "Give `init` the name of an experiment in exp/scoring.")
    starts = _starts(work, config.init, seeds) if config.init else {}
    of_each = {
        seed: list(dict.fromkeys([*inputs, *model_folder.files(starts.get(seed))]))
        for seed in seeds
    }
    how = (config.params(), of_each, force, other_batch_size)
    with trained.outputs(work, TASK, name, *how) as (folders, pending):
        if pending:
            sets = _load(work, config, wanted)
            run = Stages(work, name, config, sets, pending, where, jobs)
            if config.model == TREES:
                _train_trees(run)
            else:
                _train(run, seeds, starts)
    return folders


def answer(folders: Sequence[Path]) -> Answer:
    """The trained seeds, a row each."""
    return trained.answer(folders, ("epoch", "utterances"), ("_pcc", "_mse"))


def _wanted(config: ScoringConfig) -> list[tuple[str, str | None]]:
    """Sets that are read, and where their scores come from."""
    learned = [(stage.set_name, stage.synthetic) for stage in config.stages]
    others = [(s, None) for s in (config.select, config.track) if s and s != LAST]
    return list(dict.fromkeys([*learned, *others]))


def _load(work: WorkDir, config: ScoringConfig, wanted: Iterable[tuple[str, str | None]]) -> Sets:
    """All sets, found to have the same features and scale."""
    sets = {key: load(work, key[0], config.inputs, config.target, key[1]) for key in wanted}
    first, *others = sets.values()
    for other in others:
        other.require_features_of(first)
    return sets


def _starts(work: WorkDir, name: str, seeds: Sequence[int]) -> dict[int, Path]:
    """Folders of the seeds of another experiment, to start from."""
    found = dict(trained.find(work, TASK, name, "scorer"))
    if missing := [seed for seed in seeds if seed not in found]:
        raise ConfigError(
            "init",
            f"{name} has no seed {missing[0]}; it has {', '.join(map(str, found))}.",
            "Each seed starts from the same seed: choose them with `seed` and `seeds`.",
        )
    return {seed: found[seed] for seed in seeds}


def _start(folder: Path, number: int, config: ScoringConfig, network: ScorerConfig) -> Seed:
    """A seed as another experiment left it.

    Raises:
        UserError: it is a model of another shape.
    """
    card = model_folder.read_card(folder)
    own = (card.get("training") or {}).get("input")
    there, here = card.get("network") or {}, vars(network)
    differing = [key for key in here if key != "dropout" and there.get(key) != here[key]]
    if own != config.input or differing:
        what = f"{differing[0]} {there.get(differing[0])}" if differing else f"input {own}"
        raise ConfigError(
            "init",
            f"{config.init} is a scorer with {what}, another than the one to train.",
            "Give the same `model`, `input`, `width` and `heads`.",
        )
    return Seed(
        number,
        read_weights(folder / model_folder.WEIGHTS),
        folder if joint_network.is_joint(folder) else None,
    )


def _train(run: Stages, numbers: Sequence[int], starts: Mapping[int, Path]) -> None:
    config, stages = run.config, run.config.stages
    first, last = run.set_of(stages[0]), run.set_of(stages[-1])
    for folder in starts.values():
        card = model_folder.read_card(folder)
        require_features(
            card["features"],
            first.features_of,
            f"'{first.name}'",
            f"Give the `features` that '{config.init}' was trained with.",
        )
    labelled = config.labelled if config.pretrain == NONE else 0
    whole = None if labelled or starts else statistics(first.features)
    seeds = []
    for number in numbers:  # also those that are finished: company of the others
        if number in starts:
            seeds.append(_start(starts[number], number, config, run.network))
            continue
        pool = draw_pool(first, labelled, number)
        seeds.append(begin(run.network, number, whole or statistics(first.part(pool).features)))
    for stage in stages:
        run.run(stage, seeds)
    pending = [seed for seed in seeds if seed.number in run.outputs]
    _write(run, pending, last, _acoustic_parameters(run.work, last))


def _acoustic_parameters(work: WorkDir, found: ScoringSet) -> int | None:
    """Trained numbers of the acoustic model of deep features; None if it is not a TDNN that is
    still there."""
    from speechkit.acoustic.tdnn import folder as tdnn_folder
    from speechkit.acoustic.tdnn.network import Tdnn
    from speechkit.scoring.joint_network import acoustic_folder

    try:
        card = tdnn_folder.read_card(acoustic_folder(found.features_of[0], work, "Counting"))
    except UserError:
        return None
    with torch.device("meta"):
        return sum(p.numel() for p in Tdnn(card.network).parameters())


def _train_trees(run: Stages) -> None:
    """Grow the trees of each seed."""
    config = run.config
    found = run.set_of(config.stages[-1])
    for number, out in run.outputs.items():
        seed = Seed(number, {}, pool=draw_pool(found, config.labelled, number))
        model = trees.fit(found.part(seed.pool), number)
        model.save(out.path)
        if config.track:
            other = run.sets[config.track, None]
            seed.last = {"track_pcc": float(pcc(model.predict(other), other.labels))}
        counts: dict[str, int | None] = {"scorer_parameters": model.parameters}
        _finish(config, None, out, seed, found, model.predict(found), counts)


def _write(run: Stages, seeds: Sequence[Seed], found: ScoringSet, acoustic: int | None) -> None:
    """Fill the folders of the seeds."""
    for seed, own_set in zip(seeds, run.sets_by_seed(found, seeds), strict=True):
        out, net = run.outputs[seed.number], stacked(run.network, [seed]).to(run.device)
        predicted = score(net, run.batches(own_set))[0]
        write_weights(out.path / model_folder.WEIGHTS, seed.weights)
        if seed.acoustic is not None:
            copy_acoustic(seed.acoustic, out.path)
        counts = {"scorer_parameters": net.parameters_each, "acoustic_parameters": acoustic}
        _finish(run.config, run.network, out, seed, found, predicted, counts)
        out.notes.update(device=str(run.device))


def _finish(
    config: ScoringConfig,
    network: ScorerConfig | None,
    out: Output,
    seed: Seed,
    found: ScoringSet,
    predicted: np.ndarray,
    counts: Mapping[str, int | None],
) -> None:
    """Write the card, the log and the summary of a seed."""
    training = json.loads(json.dumps(config.params()))
    card = model_folder.make_card(network, found, seed.number, training)
    model_folder.write(out.path, card, seed.rows)
    write_skipped(out.path, found.skipped)
    labels, own = found.labels[seed.pool], predicted[seed.pool]
    summary: dict[str, Any] = {
        **counts,
        "utterances": len(seed.pool),
        **({"epoch": seed.epoch} if seed.epoch else {}),
        **{k: v for k, v in seed.last.items() if k.startswith(("select_", "track_"))},
        "train_pcc": float(pcc(own, labels)),
        "train_mse": float(mse(own, labels)),
    }
    if config.labelled:
        summary["labelled_utterances"] = [found.utterances[u] for u in seed.pool]
    summary = {k: v for k, v in summary.items() if not (isinstance(v, float) and np.isnan(v))}
    write_json(out.path / "summary.json", summary)
    out.counts.update(utterances=len(seed.pool), skipped=len(found.skipped))
