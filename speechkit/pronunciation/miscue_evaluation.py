"""``evaluate pronunciation --miscues``: what a model says of words that nobody said.

1. ``data/<set>_miscues-test/``: the set with changed texts, made where it is not there
   (:mod:`speechkit.pronunciation.miscues`)
2. ``exp/gop/<set>_miscues-test[-<name>]/``: the features that the model takes, of those texts
3. ``exp/pronunciation/<name>/eval/<set>-miscues/``: both sets of texts scored, and the measures of
   :mod:`speechkit.pronunciation.miscue_measures`
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from speechkit.base.answers import Answer
from speechkit.base.errors import UserError
from speechkit.base.tables import write_json, write_tsv
from speechkit.labels.miscues import INSERTION, SAID, STATUSES, TABLE, Miscue, read_miscues
from speechkit.labels.score_files import score_files
from speechkit.phone_features import dataset
from speechkit.phone_features.extract import extract
from speechkit.phone_features.feature_folder import read_confidence, read_insertions
from speechkit.phone_features.scored_set import ScoredSet, joined
from speechkit.phone_features.settings import settings_of
from speechkit.pronunciation import miscues, model_folder
from speechkit.pronunciation.config import MiscueConfig
from speechkit.pronunciation.evaluate import EvaluationConfig, features_of
from speechkit.pronunciation.miscue_measures import KINDS, TRUE, Findings, draw_roc, summarize
from speechkit.pronunciation.model_folder import Assessor
from speechkit.pronunciation.statuses import OTHER_TEXT, called, mean_said, together
from speechkit.task import trained
from speechkit.task.evaluation import SUMMARY, Each, warn_few_speakers
from speechkit.task.scores import cell
from speechkit.training.devices import resolve_device
from speechkit.workdir import Output, WorkDir
from speechkit.workdir.manifest import read_manifest

ROC, FIGURE = "roc.tsv", "roc.png"
SHOWN = ("near", "far", "omission")
"""Kinds of the figure."""
_TEST = "test"
_TEN = 5.0  # scores are from 0 to 2 in models, from 0 to 10 here


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
    """Test a model on texts that were not said as they stand; returns the output folder.

    Args:
        work: the working directory.
        config: all that decides the result.
        out_name: suffix of the output folder.
        device: auto, cpu or cuda.
        jobs: processes that extract features.
        executor: local, or dask://HOST:PORT for the features.
        force: replace an evaluation with other settings.

    Raises:
        UserError: no such experiment or set, a set without scores of words and phones, other
            features than the models learned from, or such as cannot be computed.
    """
    where = str(resolve_device(device))
    models = trained.find(work, "pronunciation", config.name)
    assessor = model_folder.load([folder for _, folder in models], where)
    names = features_of(config, assessor.card)
    if "word_accuracy" not in assessor.config.aspects:
        raise UserError(
            f"'{config.name}' does not predict the accuracy of words.",
            "Train it with the aspect word_accuracy.",
        )
    wanted = [settings_of(features) for features in assessor.features_of]
    true = dataset.load(work, config.set, names)
    assessor.check_features(true.features_of, f"The set '{config.set}'")
    changed = _changed_set(work, config.set, assessor.card.get("training") or {})
    for name, settings in zip(names, wanted, strict=True):
        extract(work, changed, settings, name=name, device=device, jobs=jobs, executor=executor)
    files = [folder / f for _, folder in models for f in (model_folder.CARD, model_folder.WEIGHTS)]
    sets, seeds = (config.set, changed), [seed for seed, _ in models]
    with Output(
        work.exp("pronunciation", config.name, "eval", f"{config.set}-miscues", name=out_name),
        "evaluate pronunciation, miscues",
        {"set": config.set, "gop": names, "samples": config.samples, "seeds": seeds},
        [*(file for one in sets for file in dataset.input_files(work, one, names)), *files],
        force=force,
        beside="write beside it with `out_name`",
    ) as out:
        if not out.up_to_date:
            every = joined(true, dataset.load(work, changed, names))
            tested = ask(work, assessor, every, len(true.utterances), sets, names[0])
            _write(out.path, every, tested, config, len(models))
            out.counts.update(texts=len(every.utterances), seeds=len(models))
    return out.final


def _changed_set(work: WorkDir, set_name: str, training: Mapping[str, Any]) -> str:
    """Name of the set of changed texts; it is made where it is not there, or not of the set as it
    is now. The words that are put in are those of the training set, where that is there."""
    config, trained_on = MiscueConfig(set_name, test=True), str(training.get("set_name", ""))
    made = read_manifest(work.root / "data" / f"{set_name}_miscues-{_TEST}")
    if made is not None:
        known = {one.name for one in fields(MiscueConfig)}
        config = MiscueConfig(**{k: v for k, v in made["params"].items() if k in known})
    elif trained_on != set_name and trained_on in work.sets():
        folder = work.data(trained_on)
        if score_files(folder) and not (folder / TABLE).is_file():
            config = MiscueConfig(set_name, words=trained_on, test=True)
    return miscues.make(work, config, _TEST).name


def ask(
    work: WorkDir,
    assessor: Assessor,
    found: ScoredSet,
    count: int,
    sets: Sequence[str],
    gop: str,
) -> Findings:
    """What the mean of S models says of a set's texts and of changed ones.

    Args:
        work: the working directory.
        assessor: the models.
        found: the texts of both sets.
        count: number of the true ones, which come first.
        sets: names of both.
        gop: suffix of the features whose alignment is asked.
    """
    made = assessor.predict(found)
    aspects = made.scores
    statuses = None if made.statuses is None else together(made.statuses)
    changed = read_miscues(work.data(sets[1]))
    kinds = {utterance: lines[0].test for utterance, lines in changed.items()}
    tests = [TRUE] * count + [kinds.get(name, "") for name in found.utterances[count:]]
    confidence = {
        utterance: value
        for one in sets
        for utterance, value in read_confidence(work.exp("gop", one, name=gop)).items()
    }
    known = [confidence.get(name, np.nan) for name in found.utterances]

    def of_ten(values: np.ndarray) -> np.ndarray:
        return np.clip(_TEN * values.mean(axis=0), 0, 10)

    completeness, wrong = aspects.get("utterance_completeness"), None
    if statuses is not None and assessor.calibration is not None:
        said = mean_said(statuses[:, STATUSES.index(SAID)], found)
        wrong = said < OTHER_TEXT
    return Findings(
        np.unique(found.speakers, return_inverse=True)[1],
        np.array(tests),
        np.repeat(np.arange(len(tests)), np.diff(found.first_word)),
        found.statuses,
        _TEN * found.labels["word_accuracy"].astype(np.float64),
        of_ten(aspects["word_accuracy"]),
        statuses,
        None if statuses is None else called(statuses),
        None if completeness is None else of_ten(completeness),
        None if np.isnan(known).any() else np.array(known),
        wrong,
        _inserted(found.utterances, changed, [work.exp("gop", s, name=gop) for s in sets]),
    )


def _inserted(
    utterances: Sequence[str],
    changed: Mapping[str, Sequence[Miscue]],
    folders: Sequence[Path],
) -> np.ndarray | None:
    """In which texts an insertion is found, and where a word is missing: in its place."""
    tables = [read_insertions(folder) for folder in folders]
    if None in tables:
        return None
    places = {name: found for table in tables for name, found in (table or {}).items()}
    missing = {
        utterance: {line.index for line in lines if line.status == INSERTION}
        for utterance, lines in changed.items()
    }
    return np.array(
        [
            bool(places.get(name)) and bool(missing.get(name, set()) <= set(places[name]))
            for name in utterances
        ]
    )


def _write(
    folder: Path, found: ScoredSet, tested: Findings, config: EvaluationConfig, seeds: int
) -> None:
    warn_few_speakers(config.set, len(set(found.speakers)))
    columns = ("utt", "speaker", "test", "index", "word", "status", *(f"p_{s}" for s in STATUSES))
    write_tsv(folder / TABLE, (*columns, "word_accuracy", "human_accuracy"), _rows(found, tested))
    curves = dict(_curves(tested))
    lines = [
        [kind, evidence, *map(cell, point)]
        for (kind, evidence), curve in curves.items()
        for point in curve.tolist()
    ]
    write_tsv(folder / ROC, ("kind", "evidence", "false_alarm", "recall"), lines)
    names = {"said": "P(said)", "accuracy": "word accuracy"}
    shown: dict[str, dict[str, np.ndarray]] = {}
    for (kind, evidence), curve in curves.items():
        if kind in SHOWN:
            shown.setdefault(kind, {})[names[evidence]] = curve
    if shown:
        (folder / FIGURE).write_bytes(draw_roc(shown))
    write_json(folder / SUMMARY, summarize(tested, config.samples, seeds))


def _rows(found: ScoredSet, tested: Findings) -> Iterator[list[str]]:
    """A line of ``miscues.tsv`` for each word."""
    scores = np.stack([tested.accuracy, tested.human], axis=1)
    given = tested.probabilities
    for word, (text, name) in enumerate(zip(tested.of.tolist(), found.texts, strict=True)):
        yield [
            found.utterances[text],
            found.speakers[text],
            str(tested.tests[text]),
            str(word - int(found.first_word[text])),
            name,
            STATUSES[tested.statuses[word]],
            *([""] * len(STATUSES) if given is None else map(cell, given[word])),
            *map(cell, scores[word]),
        ]


def _curves(tested: Findings) -> Iterator[tuple[tuple[str, str], np.ndarray]]:
    """ROC curves by kind of test and evidence."""
    for evidence, values in tested.evidence().items():
        for kind in KINDS:
            if words := tested.detection(values, tested.unsaid(kind)):
                yield (kind, evidence), words.curve()


def answer(found: Each) -> Answer:
    """A row a measure, a column a model."""
    measures = dict.fromkeys(name for one in found.summaries for name in one)
    rows = [[n, *(one.get(n, {}).get("mean") for one in found.summaries)] for n in measures]
    return found.answer("words that nobody said", ("measure", *found.names), rows)
