"""Train all folds and seeds of an emotion model (``train emotion``).

The upstream decides how: acoustic functionals (``train_functionals``), a network on filterbanks
(``train_cnn``), or a self-supervised encoder (``train_encoder``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from speechkit.base.answers import Answer
from speechkit.base.errors import ConfigError, UserError
from speechkit.emotion import model_folder
from speechkit.emotion.config import (
    PAPER_UPSTREAMS,
    CnnConfig,
    EmotionTraining,
    EncoderConfig,
    FunctionalsConfig,
    encoder_config,
)
from speechkit.emotion.fold_training import FoldTraining, Resources, Run
from speechkit.emotion.model_folder import CNN, kind_of
from speechkit.labels import splits
from speechkit.labels.config import CHOSEN_ON_TEST, KINDS, FoldsConfig
from speechkit.labels.emotions import EmotionSet, load
from speechkit.labels.splits import Split, leak_check, warn_of_leaks
from speechkit.workdir import Output, WorkDir, check_name
from speechkit.workdir.manifest import changed

COMMAND = "train emotion"
PAPER = "paper"

Config = FunctionalsConfig | CnnConfig | EncoderConfig


@dataclass(frozen=True)
class Job:
    """One experiment: an upstream and how it is trained.

    Args:
        name: folder of ``exp/emotion``.
        upstream: its spec.
        config: how.
    """

    name: str
    upstream: str
    config: Config


def jobs_of(training: EmotionTraining, given: Mapping[str, Any]) -> list[Job]:
    """The experiments of a command: one, or the paper's four for ``--upstream paper``.

    Args:
        training: of an empty name: one that says what the upstream is. With the protocol of the
            paper the preset of encoders is the paper's where none is named.
        given: flags that were given (None: not given), by field name.

    Raises:
        UserError: a flag that the kind of upstream does not have, or an impossible value.
    """
    name, upstream, preset = training.name, training.upstream, training.preset
    if training.protocol == PAPER and kind_of(upstream) == "encoder":
        preset = preset or PAPER
    if upstream == PAPER:
        config = configure(next(iter(PAPER_UPSTREAMS.values())), preset, given)
        prefix = f"{name}-" if name else ""
        return [Job(prefix + short, spec, config) for short, spec in PAPER_UPSTREAMS.items()]
    short = {spec: key for key, spec in PAPER_UPSTREAMS.items()}.get(upstream)
    name = name or short or upstream.rstrip("/").rpartition("/")[2]
    return [Job(check_name("model", name), upstream, configure(upstream, preset, given))]


def configure(upstream: str, preset: str, given: Mapping[str, Any]) -> Config:
    """The configuration of an upstream, with the flags that were given."""
    kind = kind_of(upstream)
    chosen = {name: value for name, value in given.items() if value is not None}
    classes: dict[str, type[Config]] = {
        "functionals": FunctionalsConfig, CNN: CnnConfig, "encoder": EncoderConfig,
    }  # fmt: skip
    known = {field.name for field in fields(classes[kind])}
    if unknown := [name for name in chosen if name not in known]:
        raise ConfigError(
            unknown[0],
            f"is not a setting of `upstream` {upstream} ({kind}).",
            f"Accepted: {', '.join(f'`{name}`' for name in sorted(known))}.",
        )
    if kind == "encoder":
        return encoder_config(preset or "default", chosen)
    if preset:
        raise UserError(
            f"`preset` {preset} is for encoders, not for `upstream` {upstream}.", "Leave it out."
        )
    return classes[kind](**chosen)


def train_each(
    workdir: WorkDir,
    jobs: Sequence[Job],
    training: EmotionTraining,
    resources: Resources,
    **again: bool,
) -> Iterator[Answer]:
    """:func:`train` one experiment after another; what was trained, as it comes.

    Under torchrun the first process alone has answers.
    """
    from speechkit.training.devices import ranks

    for job in jobs:
        done = train(workdir, job, training, resources, **again)
        if not ranks().rank:
            rows = summary_rows(done)
            data = [{"model": job.name, **dict(zip(SUMMARY_COLUMNS, r, strict=True))} for r in rows]
            yield Answer(data, [(title(job.name, done), SUMMARY_COLUMNS, rows)])


def train(
    workdir: WorkDir,
    job: Job,
    training: EmotionTraining,
    resources: Resources,
    *,
    force: bool = False,
    other_batch_size: bool = False,
) -> list[tuple[Run, Path]]:
    """Train every fold and seed; returns what was trained and where it is.

    Each is an output of its own, ``exp/emotion/<name>/fold<N>/seed<M>/``: finished ones are
    kept, and a killed run goes on where it was.

    Args:
        workdir: the working directory.
        job: what to train.
        training: on what, and with which seeds.
        resources: what it may use.
        force: replace models that were trained otherwise.
        other_batch_size: go on from unfinished runs of another batch size.

    Raises:
        UserError: no such set, a split that does not fit, or a training that failed.
    """
    dataset = load(workdir, training.set_name)
    split = get_split(dataset, training.division, resources.jobs)
    warn_of_leaks(split, leak_check(split, dataset))
    folds = training.folds or tuple(range(len(split.folds)))
    for number in folds:
        split.fold(number)
    inputs = [*dataset.files(), splits.path_of(dataset.data.path, split.name)]
    if kind_of(job.upstream) == "encoder":
        from speechkit.emotion import encoder_files

        inputs.append(encoder_files.find(job.upstream))
    _same_experiment(workdir, job, training, split, force)
    done = []
    for number in folds:
        for seed in range(training.seed, training.seed + training.seeds):
            run = Run(
                job.upstream, training.set_name, split.name, number, seed, training.max_seconds
            )
            output = Output(
                model_folder.folder_of(workdir, job.name, number, seed),
                COMMAND,
                {**run.as_dict(), **job.config.as_dict()},
                inputs,
                force=force,
                audio=dataset.data.audio_files(),
                resume=True,
                training=True,
                other_batch_size=other_batch_size,
            )
            fold = split.fold(number)
            one = FoldTraining(output, workdir, dataset, fold, run, job.config, resources)
            _train_one(one, split.chosen_on_test)
            done.append((run, output.final))
    return done


def _train_one(one: FoldTraining, chosen_on_test: bool) -> None:
    from speechkit.training.devices import ranks, shared_output

    with shared_output(one.out, one.device):
        if one.out.up_to_date:
            return
        train_kind: Callable[[FoldTraining], None]
        if isinstance(one.config, FunctionalsConfig):
            from speechkit.emotion.train_functionals import train_functionals as train_kind
        elif isinstance(one.config, CnnConfig):
            from speechkit.emotion.train_cnn import train_cnn as train_kind
        else:
            from speechkit.emotion.train_encoder import train_encoder as train_kind
        train_kind(one)
        if not ranks().rank:
            _complete_card(one, chosen_on_test)


def _complete_card(one: FoldTraining, chosen_on_test: bool) -> None:
    """The temperature that the validation clips choose, or that they were the test clips."""
    from speechkit.emotion import calibration
    from speechkit.emotion.predict import load_predictor

    folder, workdir, dataset, resources = one.out.path, one.workdir, one.dataset, one.resources
    if chosen_on_test:  # a temperature would be chosen on them too
        model_folder.add_to_card(folder, chosen_on_test=True)
        return
    predictor = load_predictor(folder, resources.device)
    ids = list(one.fold.valid)
    if resources.on_error == "skip":
        broken = predictor.broken(workdir, dataset, ids, **resources.how)
        ids = [name for name in ids if name not in broken]
    found = predictor.of_utterances(workdir, dataset, ids, **resources.how)
    chosen = calibration.of_validation(found, dataset.targets(ids))
    model_folder.add_to_card(folder, calibration=chosen)


def get_split(dataset: EmotionSet, name: str, jobs: int = 1) -> Split:
    """A split by name; one that is named as a kind of split is made if it is not there."""
    path = splits.path_of(dataset.data.path, check_name("split", name))
    if not path.is_file() and name in KINDS:
        return splits.ensure_split(dataset, FoldsConfig(name), jobs=jobs)
    found = splits.read_split(dataset.data.path, name)
    splits.check_fits(found, dataset)
    return found


def _same_experiment(
    workdir: WorkDir, job: Job, training: EmotionTraining, split: Split, force: bool
) -> None:
    """All folds and seeds of an experiment are of one upstream, set and split."""
    base = workdir.exp("emotion", job.name)
    if force or not base.is_dir():
        return
    for path in sorted(base.glob(f"fold*/seed*/{model_folder.CONFIG}")):
        card = model_folder.read_card(path.parent)
        asked = {"upstream": job.upstream, "set": training.set_name, "split": split.name}
        there = {name: card["training"].get(name) for name in asked}
        if differing := changed(there, asked):
            raise UserError(
                f"The model '{job.name}' was trained with other parameters "
                f"({'; '.join(differing)}).",
                "Give it another `name`, or replace it with `force`.",
            )
        return


def title(name: str, done: Sequence[tuple[Run, Path]]) -> str:
    """Of the table of what was trained; a step that was chosen on test clips is always named."""
    chosen = any(model_folder.read_card(folder).get("chosen_on_test") for _, folder in done)
    return f"Trained: {name}" + (f" ({CHOSEN_ON_TEST})" if chosen else "")


SUMMARY_COLUMNS = (
    "fold", "seed", "best step", "valid accuracy", "valid UAR", "training (s)", "folder",
)  # fmt: skip


def summary_rows(done: Sequence[tuple[Run, Path]]) -> list[list[Any]]:
    """What was trained, as ``SUMMARY_COLUMNS``."""
    import pandas

    rows = []
    for run, folder in done:
        told = model_folder.read_summary(folder)
        log = pandas.read_csv(folder / model_folder.LOG, sep="\t")
        best = log[log["step"] == told["best_step"]].iloc[-1]
        measured = [float(best.get(name, math.nan)) for name in ("valid_accuracy", "valid_uar")]
        seconds = round(float(told["train_seconds"]), 1)
        rows.append([run.fold, run.seed, int(told["best_step"]), *measured, seconds, str(folder)])
    return rows
