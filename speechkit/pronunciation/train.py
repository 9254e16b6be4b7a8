"""Train GOPT and the LSTM to score pronunciation (``train pronunciation``).

Reads the scores and features of a set, and writes trained seeds. All seeds of a command are trained
in one network; each has its own order of utterances, its own dropout, and its own best epoch.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np
import torch

from speechkit.base.answers import Answer
from speechkit.base.errors import UserError
from speechkit.base.log import counted, logger, progress
from speechkit.base.tables import write_json, write_skipped
from speechkit.labels.phones import ARPABET
from speechkit.phone_features import dataset
from speechkit.phone_features.scored_set import ScoredSet, joined
from speechkit.pronunciation import model_folder
from speechkit.pronunciation.config import LAST, PronunciationConfig
from speechkit.pronunciation.data import Windows
from speechkit.pronunciation.group import Group, HeldOut
from speechkit.pronunciation.loss import MultiAspectMSE, ScoreBalancedLoss, make_criterion
from speechkit.pronunciation.models import SetScorer
from speechkit.pronunciation.statuses import Calibration, calibrate
from speechkit.stats.score_metrics import LOW, low_threshold
from speechkit.task import trained
from speechkit.training import normaliser as normalise
from speechkit.training import stacked_runs
from speechkit.training.curves import listeners
from speechkit.training.devices import keep_memory, resolve_device
from speechkit.training.normaliser import Normaliser
from speechkit.training.stacked import SeedGroup
from speechkit.workdir import Output, WorkDir

TASK = "pronunciation"


def train(
    work: WorkDir,
    name: str,
    config: PronunciationConfig,
    seeds: Sequence[int],
    *,
    device: str = "auto",
    jobs: int = 1,
    force: bool = False,
    other_batch_size: bool = False,
) -> list[Path]:
    """Train every seed in one run and write ``exp/pronunciation/<name>/seed<N>/``.

    Seeds that are there already, made with the same settings, are left as they are.

    Args:
        work: the working directory.
        name: of the experiment.
        config: all that decides the result.
        seeds: different numbers.
        device: auto, cpu or cuda.
        jobs: threads on the CPU.
        force: replace models that were trained with other settings.
        other_batch_size: go on from unfinished runs of another batch size.

    Returns:
        The folders of the seeds.

    Raises:
        UserError: impossible settings, or inputs that are missing or disagree.
    """
    config.check()
    where = resolve_device(device)
    names = (config.set_name, _changed(config), _selecting(config), config.track)
    sets = dict.fromkeys(name for name in names if name)
    inputs = [file for s in sets for file in dataset.input_files(work, s, config.gop)]
    of_each = dict.fromkeys(seeds, inputs)
    how = (config.params(), of_each, force, other_batch_size)
    with trained.outputs(work, TASK, name, *how) as (folders, pending):
        if pending:
            _train(work, name, config, seeds, pending, where, jobs)
    return folders


def answer(folders: Sequence[Path]) -> Answer:
    """The trained seeds, a row each."""
    return trained.answer(folders, ("epoch", "learning_rate", "train_loss"), ("mean_pcc",))


def _changed(config: PronunciationConfig) -> str:
    """The set of texts that were not said as they stand; empty where none are learned from."""
    return f"{config.set_name}_miscues" if config.negatives else ""


def _selecting(config: PronunciationConfig) -> str:
    """The set that chooses the epoch; empty for the last epoch."""
    return "" if config.select == LAST else config.select


def _train(
    work: WorkDir,
    name: str,
    config: PronunciationConfig,
    seeds: Sequence[int],
    outputs: Mapping[int, Output],
    device: torch.device,
    jobs: int,
) -> None:
    keep_memory(device)
    found = dataset.load(work, config.set_name, config.gop)
    _require_labels(config, found)
    network = config.network(found.features.shape[1])
    ids = found.phone_ids
    normaliser = normalise.fit(found.features, ids, config.normalise, network.symbols)
    windows = Windows(found, normaliser, network, str(device))
    learned, size = windows, len(windows)
    if config.negatives:
        changed = joined(found, _other(work, config, _changed(config), found))
        learned = Windows(changed, normaliser, network, str(device))
    criterion = make_criterion(config, counted_labels(found, config)).to(device)
    _say_classes(criterion)
    measured = {
        key: Windows(_other(work, config, each, found), normaliser, network, str(device))
        for key, each in (("select", _selecting(config)), ("track", config.track))
        if each
    }
    files = {seed: out.part("state.pt") for seed, out in outputs.items()}
    workers = 1 if device.type == "cuda" else jobs
    companies = stacked_runs.arrange(seeds, files, workers, device)
    groups = [
        one.load(Group(config, learned, criterion, measured, one.seeds, device, size))
        for one in companies
    ]
    for group in groups:
        group.tells = listeners(outputs, group.seeds)
    parameters = sum(p.numel() for p in groups[0].net.parameters()) // len(groups[0].seeds)
    logger.info(
        f"{counted(len(outputs), 'seed')} of {config.model} ({parameters:,} parameters, "
        f"{counted(network.inputs, 'feature')}) on {counted(len(found.utterances), 'utterance')} "
        f"with {counted(len(found.phones), 'phone')}; {counted(size, 'window')}, "
        f"{len(learned) - size} of changed texts; {device}"
    )
    pairs: list[tuple[SeedGroup, Path]] = []
    pairs += zip(groups, (one.file for one in companies), strict=True)
    held = None
    if config.negatives:
        held = HeldOut(
            found,
            learned.data,
            lambda part: Windows(part, normaliser, network, str(device)),
            lambda part, said, k: Group(config, part, criterion, {}, [k], device, said),
        )
        pairs += held.resumed(next(iter(outputs.values())).part, device)
    epochs = config.epochs * sum(len(group.seeds) for group, _ in pairs)
    before = sum(group.epoch * len(group.seeds) for group, _ in pairs)
    with progress(f"train {name}", epochs, "epoch", before) as advance:
        stacked_runs.run(pairs, workers, advance)
    calibration = None if held is None else calibrate(found, held.statuses())
    _write(outputs, config, groups, windows, normaliser, criterion, calibration)


def _require_labels(config: PronunciationConfig, found: ScoredSet) -> None:
    """Raise UserError unless the training set has scores of all aspects."""
    missing = [a for a in config.aspects if np.isnan(found.labels[a]).all()]
    if missing:
        there = [a for a in found.labels if not np.isnan(found.labels[a]).all()]
        raise UserError(
            f"'{found.name}' has no scores of {', '.join(missing)}.",
            f"Name those that it has: `aspects` {','.join(there)}",
        )


def _other(work: WorkDir, config: PronunciationConfig, name: str, train: ScoredSet) -> ScoredSet:
    """Another set, with the features of the training set."""
    found = dataset.load(work, name, config.gop)
    found.require_features_of(train)
    return found


def counted_labels(found: ScoredSet, config: PronunciationConfig) -> dict[str, torch.Tensor]:
    """The labels whose classes are counted: each word once, or for each of its phones as in
    the published code."""
    by_phone = config.variant == "code"
    return {
        aspect: torch.from_numpy(
            found.of_phones(aspect)
            if by_phone and aspect.startswith("word_")
            else found.labels[aspect]
        )
        for aspect in config.aspects
    }


def _say_classes(criterion: MultiAspectMSE) -> None:
    if isinstance(criterion, ScoreBalancedLoss):
        for aspect, counts in criterion.counts.items():
            scores = (criterion.score_range[0] + k * criterion.width for k in range(len(counts)))
            pairs = zip(scores, counts.tolist(), strict=True)
            listed = ", ".join(f"{score:.4g}: {int(n)}" for score, n in pairs)
            logger.info(f"labels of each class, {aspect}: {listed}")


def _write(
    outputs: Mapping[int, Output],
    config: PronunciationConfig,
    groups: Sequence[Group],
    windows: Windows,
    normaliser: Normaliser,
    criterion: MultiAspectMSE,
    calibration: Calibration | None,
) -> None:
    found = windows.data
    counts = {}
    if isinstance(criterion, ScoreBalancedLoss):
        counts = {a: [int(n) for n in one.tolist()] for a, one in criterion.counts.items()}
    more = {} if calibration is None else {"calibration": msgspec.to_builtins(calibration)}
    for group in groups:
        chosen = [group.chosen(place) for place in range(len(group.seeds))]
        names = list(chosen[0][1])
        stacked = {n: torch.stack([weights[n] for _, weights in chosen]) for n in names}
        group.net.load_state_dict(stacked)
        predicted = SetScorer(windows, len(group.seeds))(group.net.eval())
        for place, (seed, (epoch, weights)) in enumerate(zip(group.seeds, chosen, strict=True)):
            if seed not in outputs:
                continue
            out, row = outputs[seed], group.rows[place][epoch - 1]
            card = model_folder.make_card(
                windows.config,
                found.features_of,
                found.scales,
                ARPABET,
                seed=seed,
                epoch=epoch,
                low_thresholds={a: _threshold(found, a, v[place]) for a, v in predicted.items()},
                class_counts=counts,
                training=json.loads(json.dumps(config.params())),
                **more,
            )
            model_folder.write(out.path, card, weights, normaliser, group.rows[place])
            write_skipped(out.path, found.skipped)
            summary = {"epoch": epoch, **{k: v for k, v in row.items() if np.isfinite(v)}}
            write_json(out.path / "summary.json", summary)
            out.notes.update(device=str(group.device))
            out.counts.update(
                utterances=len(found.utterances),
                phones=len(found.phones),
                skipped=len(found.skipped),
            )


def _threshold(found: ScoredSet, aspect: str, predicted: np.ndarray) -> float | None:
    """Up to which prediction an item is called low; None where undefined."""
    return low_threshold(predicted, found.labels[aspect], LOW[aspect.partition("_")[0]])
