"""``speechkit run`` stopped in the middle: the same command ends with the same files."""

from __future__ import annotations

import json
import os
import signal
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import soundfile
from acted_speech import make_class_folders
from conftest import voice
from scored_speech import make_corpus

from speechkit.base import config, signals
from speechkit.cli.main import main

_OF_A_RUN = (
    "versions",
    "wall_s",
    "real_time_factor",
    "seconds",
    "started",
    "finished",
    "resumed",
    "continued",
    "inputs",
    "outputs",
)


def _stop_at(end: str, number: int) -> None:
    """From now on this process gets a signal when it is about to make a file or folder.

    Args:
        end: of the path.
        number: of the signal.
    """

    def look(event: str, arguments: tuple[Any, ...]) -> None:
        if event in ("open", "os.rename") and str(arguments[event == "os.rename"]).endswith(end):
            writes = event == "os.rename" or set(str(arguments[1])) & set("wxa")
            if writes and not told:
                told.append(end)
                os.kill(os.getpid(), number)

    told: list[str] = []
    sys.addaudithook(look)


def _stopped(words: list[str], end: str, number: int, log: Path) -> int:
    """Run a command in a forked process that gets a signal: its exit status."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # a fork with threads
        child = os.fork()
    if not child:
        code = 98
        try:
            os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
            sys.stdout = sys.stderr = os.fdopen(2, "w", closefd=False)
            signals.listen()
            _stop_at(end, number)
            code = main(words)
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _files(root: Path) -> dict[str, Any]:
    """All files by name, hidden ones too, without times; curves are of each run."""
    return {
        path.relative_to(root).as_posix(): _content(path)
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.name != ".digests" and "tensorboard" not in path.parts
    }


def _content(path: Path) -> Any:
    if path.suffix == ".json":
        return _timeless(json.loads(path.read_text()))
    if path.name == "log.tsv":
        return [line.rpartition("\t")[0] for line in path.read_text().splitlines()]
    return b"" if path.suffix == ".html" else path.read_bytes()


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _timeless(v) for k, v in value.items() if not k.endswith(_OF_A_RUN)}
    return [_timeless(one) for one in value] if isinstance(value, list) else value


@pytest.fixture
def goes_on(tmp_path: Path, run, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Checks a command whose processes get signals, one after the other."""
    monkeypatch.setattr(config, "processes", lambda jobs: 1)  # no processes

    def check(words: list[str], *stops: tuple[str, int]) -> None:
        whole, broken = tmp_path / "whole", tmp_path / "broken"
        log = tmp_path / "log"
        whole.mkdir(), broken.mkdir()
        for end, number in stops:
            code = _stopped([*words, "-C", str(broken)], end, number, log)
            assert code == (-9 if number == signal.SIGKILL else 143), log.read_text()
        for root in (whole, broken):
            ran = run(*words, "-C", root)
            assert ran.code == 0, ran.err
        found, expected = _files(broken), _files(whole)
        assert sorted(found) == sorted(expected)
        assert not [name for name in found if found[name] != expected[name]]

    return check


def test_a_stopped_run_of_emotion_goes_on(tmp_path: Path, goes_on: Callable[..., None]) -> None:
    folder = make_class_folders(tmp_path / "acted")
    words = ["run", "emotion", str(folder), "--speaker-pattern", "s([0-9])"]
    goes_on(
        [*words, "--epochs", "2"],
        ("features.scp", signal.SIGKILL),
        ("log.tsv", signal.SIGTERM),
        ("eval/folds", signal.SIGKILL),
    )


def test_an_interrupted_run_says_so_once(tmp_path: Path) -> None:
    words = ["run", "emotion", str(make_class_folders(tmp_path / "acted")), "--speakers-unknown"]
    words += ["-C", str(tmp_path / "work")]
    assert _stopped(words, "data/clips", signal.SIGINT, tmp_path / "log") == 130
    assert (tmp_path / "log").read_text().count("Interrupted") == 1


@pytest.mark.slow
def test_a_stopped_run_of_separation_goes_on(tmp_path: Path, goes_on: Callable[..., None]) -> None:
    for speaker in range(10):
        (tmp_path / "voices" / f"s{speaker}").mkdir(parents=True)
        for take in range(6):
            sound = voice(100 + 15 * speaker + take, 1.5, 8000, seed=10 * speaker + take)
            soundfile.write(tmp_path / "voices" / f"s{speaker}" / f"{take}.wav", sound, 8000)
    goes_on(
        ["run", "separation", str(tmp_path / "voices"), "--epochs", "1"],
        ("data/dev_2mix", signal.SIGTERM),
        ("prosody.tsv", signal.SIGKILL),
        ("hard/pitch_pm0.2", signal.SIGKILL),
        ("log.tsv", signal.SIGTERM),
        ("log.tsv", signal.SIGKILL),
        ("eval/test_2mix", signal.SIGKILL),
    )


@pytest.mark.slow
@pytest.mark.parametrize("scored", [True, False])
def test_a_stopped_run_of_pronunciation_goes_on(
    tmp_path: Path, goes_on: Callable[..., None], scored: bool
) -> None:
    corpus = make_corpus(tmp_path / "corpus")
    if not scored:
        texts = (corpus / "train" / "text").read_text().splitlines()
        wavs = (corpus / "train" / "wav.scp").read_text().splitlines()
        rows = [
            f"{wav.split()[1]}\t{text.split()[0][:5]}\t{text.split(maxsplit=1)[1]}"
            for wav, text in zip(wavs, texts, strict=True)
        ]
        corpus = corpus / "plain.tsv"
        corpus.write_text("\n".join(["path\tspeaker\ttext", *rows, ""]))
    stops = [("gop/train", signal.SIGTERM), ("gop.scp", signal.SIGKILL)]
    stops += [("log.tsv", signal.SIGTERM), ("eval/test", signal.SIGKILL)]
    plain = [("scores.jsonl", signal.SIGTERM), ("scores.jsonl", signal.SIGKILL)]
    plain += [("index.html", signal.SIGTERM)]
    epochs = ["--epochs", "2"] if scored else []
    goes_on(["run", "pronunciation", str(corpus), *epochs], *(stops if scored else plain))
