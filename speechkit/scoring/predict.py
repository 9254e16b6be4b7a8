"""Score anyone's own recordings by their text: one score of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from speechkit.acoustic.config import Policy
from speechkit.acoustic.lexicon.dictionary import Lexicon
from speechkit.acoustic.lexicon.readings import Reading, as_field, readings_of, words_of_text
from speechkit.base.errors import UserError
from speechkit.base.textgrid import Interval, Tier
from speechkit.phone_features.bundle import acoustic_places, find_model, seed_folders
from speechkit.phone_features.pipeline import FeaturePipeline
from speechkit.phone_features.recordings import Recording, Setup, score_all
from speechkit.phone_features.request import Extracted, Request, as_read
from speechkit.scoring import joint_network, model_folder
from speechkit.scoring.data import Inputs, single
from speechkit.scoring.model_folder import ScoringModel
from speechkit.task.config import StreamConfig
from speechkit.task.prediction.jobs import Job, RecordingResult, about_of
from speechkit.task.prediction.saved import Row, model_digest
from speechkit.task.prediction.stream import Head, Predicted
from speechkit.task.prediction.written import Forms
from speechkit.workdir import WorkDir


@dataclass(frozen=True)
class SpokenWord:
    """One word and when it is said, in seconds; ``guessed``: its pronunciation was in no
    lexicon."""

    word: str
    start: float
    end: float
    guessed: bool


@dataclass(frozen=True)
class Result(RecordingResult):
    """One recording.

    Args:
        target: which score.
        scale: lowest and highest score.
        score: mean of the seeds, on that scale.
        spread: standard deviation over the seeds.
        seeds: seed -> its score.
        words: in order, as they are said.
        readings: how what can be said in several ways (``1984``) was read.
    """

    target: str
    scale: tuple[float, float]
    score: float
    spread: float
    seeds: dict[int, float]
    words: list[SpokenWord] = field(default_factory=list)
    readings: list[Reading] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            **self.about(),
            "target": self.target,
            "scale": list(self.scale),
            "score": round(self.score, 3),
            "spread_over_seeds": round(self.spread, 3),
            "seeds": {str(seed): round(value, 3) for seed, value in self.seeds.items()},
            "words": [
                {
                    "word": word.word,
                    "start": round(word.start, 3),
                    "end": round(word.end, 3),
                    "pronunciation": "guessed" if word.guessed else "lexicon",
                }
                for word in self.words
            ],
            **as_field(self.readings),
        }

    @classmethod
    def from_dict(cls, row: Mapping[str, Any]) -> Result:
        """The reverse of :meth:`as_dict`, of numbers as they are rounded there."""
        low, high = row["scale"]
        return cls(
            *about_of(row),
            row["target"],
            (low, high),
            row["score"],
            row["spread_over_seeds"],
            {int(seed): value for seed, value in row["seeds"].items()},
            [
                SpokenWord(w["word"], w["start"], w["end"], w["pronunciation"] == "guessed")
                for w in row["words"]
            ],
            readings_of(row),
        )

    def head(self) -> Head:
        """Of the table that :meth:`rows` are of."""
        low, high = self.scale
        title = f"{self.target}, from {low:g} to {high:g} (± over seeds: {len(self.seeds)})"
        columns = ("file", "seconds", "score", "text matches", "words")
        return Head(title, columns, ("", "000.00", "00.0 ±0.0", "probably not (0.00)", ""))

    def rows(self) -> list[tuple[Any, ...]]:
        """For a terminal."""
        several = f" ±{self.spread:.1f}" if len(self.seeds) > 1 else ""
        matches = "yes" if self.matches else f"probably not ({self.confidence:.2f})"
        words = " ".join(word.word + "*" * word.guessed for word in self.words)
        score = f"{self.score:.1f}{several}"
        return [(self.file, round(self.seconds, 2), score, matches, words)]

    def notes(self) -> list[str]:
        """What stands below the table."""
        return [f"{self.file}: {r.written} read as {r.said}" for r in self.readings]

    def legend(self) -> str:
        """What the signs in the table mean."""
        return "*: pronunciation guessed" if any(word.guessed for word in self.words) else ""


def _lines(row: Row) -> list[Mapping[str, Any]]:
    return [{name: value for name, value in row.items() if name in _COLUMNS}]


def _tiers(row: Row) -> list[Tier]:
    """The words, and the score over all of the recording."""
    words = [Interval(word["start"], word["end"], word["word"]) for word in row["words"]]
    whole = Interval(0.0, row["seconds"], f"{row['score']:g}")
    return [Tier("words", words), Tier("scores", [whole])]


_COLUMNS = (
    *("file", "text", "target", "score", "spread_over_seeds"),
    *("seconds", "matches", "confidence"),
)
FORMS = Forms(_COLUMNS, _lines, _tiers, ctm=("words",))


@dataclass
class LoadedModel:
    """Everything that scores a recording.

    Args:
        name: of the model, for people.
        models: its S seeds.
        pipelines: what makes the features of each; mostly one and the same.
        inputs: what the models read of the features.
        features: ``features.json`` of them.
        seeds: folders that the models were loaded from.
    """

    name: str
    models: list[ScoringModel]
    pipelines: list[FeaturePipeline]
    inputs: Inputs
    features: dict[str, Any]
    seeds: Sequence[Path] = ()

    @property
    def card(self) -> dict[str, Any]:
        """``config.yaml`` of the first: what the models have in common."""
        return dict(self.models[0].card)


def load_model(spec: str, workdir: WorkDir, device: str = "cpu") -> LoadedModel:
    """Find and load a model.

    Args:
        spec: a name under ``exp/scoring``, or a folder of an experiment, or of one with its
            acoustic models.
        workdir: where names, and the acoustic models of an experiment, are looked up.
        device: cpu or cuda.

    Raises:
        UserError: there is no such model, or its features cannot be made of a recording.
    """
    folder = find_model(spec, workdir, "scoring")
    seeds = seed_folders(folder)
    models = [model_folder.read_model(seed, device) for seed in seeds]
    config = {**models[0].card["features"][0]}
    if config.get("level") == "frame":  # of frames come the same means of phones
        config["level"] = "phone"
    places = acoustic_places(folder, config)
    shared: FeaturePipeline | None = None
    pipelines = []
    for seed in seeds:
        if joint_network.is_joint(seed):
            pipelines.append(joint_network.pipeline(config, seed, workdir, device, places))
            continue
        shared = shared or FeaturePipeline.from_config(config, workdir, device, places)
        pipelines.append(shared)
    return LoadedModel(spec, models, pipelines, Inputs.of(models[0].card), config, seeds)


def predict(
    setup: Setup, jobs: Sequence[Job], stream_config: StreamConfig | None = None
) -> Iterator[Predicted[Result]]:
    """Score recordings, one after the other.

    Args:
        setup: the model.
        jobs: recordings with their texts.
        stream_config: see there.

    Raises:
        UserError: a recording is missing or cannot be scored (``stop``), or none can.
    """
    return score_all(
        "scoring",
        setup,
        jobs,
        stream_config or StreamConfig(),
        find=load_model,
        score=predict_one,
        restore=Result.from_dict,
        forms=FORMS,
        model=lambda ready: model_digest(
            ready.seeds, *(each.fingerprint for each in ready.pipelines)
        ),
    )


def predict_one(
    ready: LoadedModel, recording: Recording, lexicon: Lexicon, policy: Policy | None = None
) -> Result:
    """Score one recording; several threads may score with one model.

    Raises:
        UserError: the audio is silent, or too short for the text; the text is empty or has words
            that cannot be pronounced.
    """
    made: dict[int, Extracted] = {}
    samples = recording.at(ready.pipelines[0].sample_rate)
    words = words_of_text(recording.text, lexicon, policy)
    request = Request(samples, words.variants, texts=words.texts, choices=words.choices)
    scores = []
    for model, pipeline in zip(ready.models, ready.pipelines, strict=True):
        if id(pipeline) not in made:
            (found,) = pipeline.extract_many([request])
            if isinstance(found, UserError):
                raise found
            made[id(pipeline)] = found
            request = as_read(request, next(iter(made.values())))  # all read it as the first
        extracted = made[id(pipeline)]
        one = single(extracted.features, extracted.rows, ready.inputs, ready.features)
        scores.append(float(model.predict(one)[0]))
    first = next(iter(made.values()))
    alignment = first.alignment
    if not alignment.matches:
        recording.say_mismatch(alignment.confidence)
    low, high = (float(end) for end in ready.card["scale"])
    points = low + (high - low) * np.clip(scores, 0.0, 1.0)
    numbers = [int(model.card["seed"]) for model in ready.models]
    return Result(
        recording.name,
        recording.text,
        recording.seconds,
        alignment.matches,
        alignment.confidence,
        str(ready.card["target"]),
        (low, high),
        float(points.mean()),
        float(points.std(ddof=1)) if len(points) > 1 else 0.0,
        dict(zip(numbers, points.tolist(), strict=True)),
        _words(first, lexicon),
        first.readings,
    )


def _words(extracted: Extracted, lexicon: Lexicon) -> list[SpokenWord]:
    """Words in order, from the first start to the last end of their phones."""
    found: dict[int, SpokenWord] = {}
    for row in extracted.rows:
        end = row.start + row.duration
        before = found.get(row.word_index)
        start = row.start if before is None else before.start
        guessed = row.word.upper() in lexicon.guessed
        found[row.word_index] = SpokenWord(row.word, start, end, guessed)
    return list(found.values())
