"""From recordings to the report: the commands of ``speechkit run TASK FOLDER``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from speechkit.base.config import Flag
from speechkit.base.errors import ConfigError, UserError, require_choice
from speechkit.corpora.config import CLASS

TASKS = ("emotion", "pronunciation", "separation")
Words = list[str]


@dataclass(frozen=True)
class RecipeConfig:
    """From a folder of recordings to the report: prepares, trains a small model, measures.

    Small networks and few epochs, minutes on a laptop without a GPU: a beginning, not a
    result. Prints every command that it runs, to be copied and changed. After a stop the
    same command goes on: what is finished is up to date. A command that fails ends it.

    Data:
        scores: pronunciation: scores of people, as `prepare folder` takes them; without them the
            model that comes with speechkit scores the recordings.
        score_scales: pronunciation: lowest and highest scores, as utterance=0:10.
        aspects: pronunciation: scores to learn, separated by commas.
        labels: emotion: table 'path<TAB>emotion', where folders are not classes.
        speaker_pattern: emotion: regular expression with a group: the speaker in a path.
        speakers_unknown: emotion: divide clips at random, where nobody knows who speaks; the
            results then say nothing about new speakers.
    Training:
        epochs: Number of epochs.
        seeds: Number of seeds.
    """

    scores: Annotated[Path | None, Flag(shown="none", metavar="PATH")] = None
    score_scales: Annotated[str, Flag(shown="those of speechocean762", metavar="SCALES")] = ""
    aspects: Annotated[str, Flag(shown="all nine")] = ""
    labels: Annotated[Path | None, Flag(shown="none", metavar="TSV")] = None
    speaker_pattern: Annotated[str, Flag(shown="none", metavar="REGEX")] = ""
    speakers_unknown: Annotated[bool, Flag("speakers-unknown")] = False
    epochs: Annotated[int, Flag(least=0, shown="emotion 20, pronunciation 20, separation 10")] = 0
    seeds: Annotated[int, Flag(least=0, shown="pronunciation 2, the others 1")] = 0


def plan(
    task: str, folder: Path, config: RecipeConfig, root: Path = Path(), title: str = ""
) -> list[Words]:
    """The commands, without the working directory.

    Raises:
        ConfigError: there is no such task, a choice is of another, or nothing says who speaks.
        UserError: there is no such folder.
    """
    require_choice("task", task, TASKS)
    of_task = {
        "emotion": ("labels", "speaker_pattern", "speakers_unknown", "seeds"),
        "pronunciation": ("scores", "score_scales", "aspects", "seeds"),
        "separation": (),
    }
    for name in dict.fromkeys(name for names in of_task.values() for name in names):
        if getattr(config, name) and name not in of_task[task]:
            raise ConfigError(name, f"is not for {task}.", "Leave it out.")
    if not folder.exists():
        raise UserError(f"{folder} does not exist.", "Name the folder of recordings, or a table.")
    make = {"emotion": _emotion, "pronunciation": _pronunciation, "separation": _separation}
    return [*make[task](folder, config, root), _words("report", title=title)]


def _words(*command: object, **options: object) -> Words:
    """A command and its options: empty ones are left out, those of a tuple are given each."""
    words = [str(word) for word in command]
    for name, value in options.items():
        for one in value if isinstance(value, tuple) else (value,):
            if one:
                words += [f"--{name.replace('_', '-')}", *([] if one is True else [str(one)])]
    return words


def _emotion(folder: Path, config: RecipeConfig, root: Path) -> list[Words]:
    from speechkit.corpora.folder.lhotse import manifests
    from speechkit.corpora.folder.listed import metadata_of
    from speechkit.corpora.folder.saved import saved_parts

    layout, corpus = "", "folder"
    told = config.labels or not folder.is_dir()
    if not (told or metadata_of(folder) or manifests(folder) or saved_parts(folder)):
        known = config.speaker_pattern or config.speakers_unknown
        corpus = "folder" if known else _acted(folder)
        layout = CLASS if corpus == "folder" else ""
        if layout and not known:
            raise ConfigError(
                "speaker_pattern",
                "is missing: folders are classes, so nothing says who speaks.",
                "It finds the speaker in each path, as 'Actor_([0-9]+)'. Where nobody knows, give "
                "`speakers_unknown`: the results then say nothing about new speakers.",
            )
    split = "random-80-20" if config.speakers_unknown else "speaker-80-20"
    seeds, epochs = config.seeds or 1, config.epochs or 20
    from_paths = {"labels": config.labels, "layout": layout}
    pattern = config.speaker_pattern
    return [
        _words("prepare", corpus, folder, set="clips", **from_paths, speaker_pattern=pattern),
        _words("validate", set="clips"),
        _words("split-folds", set="clips", split=split),
        _words("train", "emotion", set="clips", split=split, seeds=seeds, epochs=epochs),
        _words("evaluate", "emotion"),
    ]


def _acted(folder: Path) -> str:
    """The corpus of acted emotions whose names all recordings have, or ``folder``."""
    from speechkit.corpora import crema_d, emodb, ravdess
    from speechkit.corpora.common import find_audio

    files = find_audio(folder)
    for corpus in (ravdess.CORPUS, crema_d.CORPUS, emodb.CORPUS):
        if files and all(corpus.pattern.fullmatch(file.stem) for file in files):
            return corpus.command.removeprefix("prepare ")
    return "folder"


def _pronunciation(folder: Path, config: RecipeConfig, root: Path) -> list[Words]:
    published = (folder / "resource" / "scores.json").is_file()
    if not (published or config.scores):
        trans, save = root / "data" / "train", root / "scores.jsonl"
        return [
            _words("prepare", "folder", folder),
            _words("validate", set="train"),
            _words("predict", "pronunciation", trans=trans, save=save),
        ]
    prepare = _words("prepare", "speechocean762", folder, dev_share="0")
    if config.scores:
        scores = {"scores": config.scores, "score_scales": config.score_scales}
        prepare = _words("prepare", "folder", folder, split="train=0.8,test=0.2", **scores)
    how = {"aspects": config.aspects, "seeds": config.seeds or 2, "epochs": config.epochs or 20}
    return [
        prepare,
        _words("validate", set=("train", "test")),
        *(_words("extract-gop", set=name, prosody=True) for name in ("train", "test")),
        _words("train", "pronunciation", **how),
        _words("evaluate", "pronunciation", set="test"),
    ]


def _separation(folder: Path, config: RecipeConfig, root: Path) -> list[Words]:
    small = {"model": "tiny", "epoch_size": 160, "segment": 2, "epochs": config.epochs or 10}
    return [
        _words("prepare", "folder", folder, split="train=0.6,dev=0.2,test=0.2"),
        _words("validate", set=("train", "dev", "test")),
        *(_words("mix", set=name, count=40) for name in ("dev", "test")),
        _words("extract-prosody"),
        _words("mine-hard", param="pitch", pm=0.2),
        _words("train", "separation", hard="pitch_pm0.2", **small),
        _words("evaluate", "separation", set="test_2mix"),
    ]
