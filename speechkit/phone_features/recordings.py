"""Anyone's own recordings and what is read in them: what every ``predict`` with a text shares."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np

from speechkit.acoustic.config import Policy
from speechkit.acoustic.lexicon.dictionary import Lexicon
from speechkit.base import audio
from speechkit.base.audio import level_db
from speechkit.base.errors import UserError
from speechkit.base.log import logger
from speechkit.base.text import check_path, composed, is_header, on_disk, read_lines
from speechkit.kaldi import data
from speechkit.phone_features.config import Setup
from speechkit.task.config import StreamConfig
from speechkit.task.prediction import written
from speechkit.task.prediction.jobs import Job, called, open_inputs
from speechkit.task.prediction.saved import model_digest
from speechkit.task.prediction.stream import Predicted, Task, predict
from speechkit.task.prediction.written import Forms
from speechkit.workdir import WorkDir

SILENT_DB = -60.0
MIN_SECONDS = 0.1
Made = TypeVar("Made")


def score_all(
    task: str,
    setup: Setup,
    jobs: Sequence[Job],
    stream_config: StreamConfig,
    *,
    find: Callable[[str, WorkDir, str], Any],
    score: Callable[[Any, Recording, Lexicon, Policy], Made],
    restore: Callable[[dict[str, Any]], Made],
    forms: Forms,
    model: Callable[[Any], str],
) -> Iterator[Predicted[Made]]:
    """Score recordings whose text is known, one after the other.

    Args:
        task: pronunciation or scoring.
        jobs: recordings with their texts.
        find: loads the model; importable, as is ``score``.
        restore: a result of its row.
        forms: results as tables and parts of recordings.
        model: a digest of what was loaded.
    """
    setup.policy.warn_dropped([job.text for job in jobs])
    save, force = stream_config.save, stream_config.force
    with open_inputs(jobs, stream_config.on_error) as given:
        inputs = written.plan(given, save, forms, force)
        ready, lexicon = _load_model(find, setup)
        shared = Task(
            name=task,
            verb="scored",
            local=lambda job: score(ready, read(job), lexicon, setup.policy),
            in_worker=partial(_score_in_worker, find, score, setup),
            row=lambda made: {"model": setup.name or ready.name, **cast(Any, made).as_dict()},
            restore=restore,
            forms=forms,
            made_with=lambda: {
                "task": task,
                "model": model(ready),
                "lexicon": model_digest([setup.lexicon]) if setup.lexicon else None,
                "g2p": setup.guess,
                **setup.policy.params(),
                **({"ipa": True} if setup.ipa else {}),
            },
        )
        guessed: set[str] = set()
        for one in predict(shared, inputs, stream_config):
            words = cast(Any, one.made).words
            guessed |= {word.word.upper() for word in words if word.guessed}
            yield one
        lexicon.words(sorted(guessed))  # it may be another process that met them
        lexicon.report()


def _load_model(find: Callable[[str, WorkDir, str], Any], setup: Setup) -> tuple[Any, Lexicon]:
    from speechkit.training.devices import resolve_device

    model = find(setup.model, WorkDir(setup.root), str(resolve_device(setup.device)))
    return model, Lexicon(setup.lexicon, guess=setup.guess)


_model_in_worker = lru_cache(maxsize=1)(_load_model)


def _score_in_worker(
    find: Callable[[str, WorkDir, str], Any],
    score: Callable[[Any, Recording, Lexicon, Policy], Made],
    setup: Setup,
    job: Job,
) -> Made:
    """In a worker process, which loads the model once."""
    ready, lexicon = _model_in_worker(find, setup)
    return score(ready, read(job), lexicon, setup.policy)


def jobs_of(files: Sequence[Path], text: str, trans: Path | None) -> list[Job]:
    """What is to be scored.

    Args:
        text: what is read in each of them; empty with ``trans``.
        trans: a table ``path<TAB>text`` (paths relative to it), or the folder of a set, of all
            recordings or, with ``files``, of those (by path, name or stem).

    Raises:
        UserError: no text for a recording, two sources of text, or a broken table.
    """
    if text and trans:
        raise UserError("`text` and `trans` are both given.", "Give one of them.")
    if not trans:
        if not files:
            raise UserError("No recording is given.", "Name a file, or a table with `trans`.")
        return [Job(file, text) for file in files]
    table = read_trans(trans)
    if not files:
        return [Job(path, words) for path, words in table]
    texts: dict[Path, list[str]] = {}
    keys: dict[str, Path] = {}
    for path, words in table:
        texts.setdefault(path, []).append(words)
        for key in (str(path.resolve()), path.name, path.stem):
            keys.setdefault(composed(key), path)
    found = []
    for file in files:
        names = (composed(name) for name in (str(file.resolve()), file.name, file.stem))
        given = [keys[name] for name in names if name in keys]
        if not given:
            raise UserError(f"{trans} has no text for {file}.", "Add a line 'path<TAB>text'.")
        found += [Job(file, words) for words in texts[given[0]]]
    return found


def read_trans(trans: Path) -> list[tuple[Path, str]]:
    """(path, text) of a table ``path<TAB>text``; a header ``path<TAB>text`` may stand on top.

    A recording may come with several texts. Of a set ``data/SET`` it is what its tables say.
    """
    if trans.is_dir():
        return _of_set(trans)
    table: list[tuple[Path, str]] = []
    for number, line in enumerate(read_lines(trans), 1):
        name, tab, text = line.partition("\t")
        if not line.strip() or (number == 1 and is_header([name.strip()], ["path"])):
            continue
        if not tab or not name.strip() or not text.strip():
            raise UserError(
                f"{trans}:{number}: expected 'path<TAB>text', found '{line[:200]}'.",
                "Separate the path from the text by a tab.",
            )
        if problem := check_path(name):
            raise UserError(f"{trans}:{number}: the path cannot be: {problem}.")
        path = on_disk(trans.parent / Path(name.strip()).expanduser())
        table.append((path, text.strip()))
    if not table:
        raise UserError(f"{trans} lists no recordings.", "Expected lines 'path<TAB>text'.")
    return table


def _of_set(folder: Path) -> list[tuple[Path, str]]:
    """(path, text) of the utterances of a set.

    Raises:
        UserError: it is no set, or has no texts, or cuts its recordings into segments.
    """
    found = data.load(folder, folder.resolve().parent.parent)
    if not found.text:
        raise UserError(
            f"The set {folder} has no texts.",
            "Prepare it from a table with texts, or with one.txt beside one.wav.",
        )
    if (folder / "segments").is_file():
        raise UserError(
            f"The set {folder} has segments; whole recordings are scored.",
            "Give a table 'path<TAB>text' of recordings that are cut.",
        )
    texts = [(Path(str(one.wav)), found.text.get(one.id, "")) for one in found.utterances]
    return [(path, text) for path, text in texts if text]


def require_text(text: str, trans: Path | None) -> None:
    """Raise UserError where neither a text nor a table of texts is given."""
    if not text.strip() and not trans:
        raise UserError(
            "No text is given.", 'Say what is read: `text` "we call it bear", or `trans` FILE.'
        )


@dataclass(frozen=True)
class Recording:
    """A recording and what is read in it, from wherever it comes.

    Args:
        name: of it, for results and messages.
        samples: mono float32 ``[N]``, full scale 1.
        sample_rate: of them in Hz.
    """

    name: str
    text: str
    samples: np.ndarray
    sample_rate: int

    @property
    def seconds(self) -> float:
        """Its length."""
        return len(self.samples) / self.sample_rate

    def at(self, rate: int) -> np.ndarray:
        """The samples at the model's rate.

        Raises:
            UserError: it is shorter than 0.1 s, or is silent.
        """
        require_length(called(self.name), self.seconds)
        if self.sample_rate < rate:
            logger.warning(
                f"{called(self.name)} has {self.sample_rate} Hz, less than the model's {rate} Hz: "
                f"what lies above {self.sample_rate // 2} Hz is missing (S, F, TH ...), so scores "
                "are lower."
            )
        samples = audio.resample(self.samples, self.sample_rate, rate)
        level = min(level_db(self.samples), level_db(samples))
        if level < SILENT_DB:
            raise UserError(
                f"{called(self.name)} is silent ({level:.0f} dB below full scale at most).",
                "Check the microphone, or record it louder.",
            )
        return samples

    def say_mismatch(self, confidence: float, why: str = "") -> None:
        """Warn that the text is probably not what is said, and why where it is known."""
        why = why or f"confidence {confidence:.2f}"
        logger.warning(
            f"{called(self.name)}: the text is probably not what is said ({why}); its scores mean "
            "little."
        )


def read(job: Job) -> Recording:
    """The recording of a file.

    Raises:
        UserError: it cannot be read, or is shorter than 0.1 s.
    """
    require_length(called(job.file), audio.info(job.audio).seconds)
    return Recording(str(job.file), job.text, *audio.read(job.audio))


def require_length(name: str, seconds: float) -> None:
    """Raise UserError for a recording that is shorter than 0.1 s."""
    if seconds < MIN_SECONDS:
        raise UserError(
            f"{name} is {seconds:.3f} s long, which is too short to hold speech.",
            f"Give a recording of at least {MIN_SECONDS} s.",
        )
