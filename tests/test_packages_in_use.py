"""Which stage lets which package work: each test fails when the package is no longer called."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import kaldi_io
import numpy as np
import pandas
import parselmouth
import pytest
import scored_runs
import soundfile
import torchaudio
from speaker_models import write_model
from speechbrain.lobes.features import Fbank

from speechkit.kaldi import data


@contextmanager
def counted(owner: Any, name: str, patch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Calls of a function while a stage runs."""
    function: Callable = getattr(owner, name)
    calls: list[str] = []

    def call(*args: Any, **more: Any) -> Any:
        calls.append(name)
        return function(*args, **more)

    patch.setattr(owner, name, call)
    yield calls
    patch.undo()


def test_extract_prosody_asks_praat_for_the_pitch(run, workdir, monkeypatch):
    with counted(parselmouth.Sound, "to_pitch_ac", monkeypatch) as calls:
        assert run("extract-prosody", "-C", workdir, "-j", 1).code == 0
    assert len(calls) == 12


def test_extract_xvector_takes_the_features_of_speechbrain(run, workdir, monkeypatch):
    write_model(workdir)
    with counted(Fbank, "forward", monkeypatch) as calls:
        assert run("extract-xvector", "-C", workdir, "-j", 1).code == 0
    assert calls


def test_mine_hard_reads_x_vectors_with_kaldi_io(run, workdir, monkeypatch):
    write_model(workdir)
    with counted(kaldi_io, "write_vec_flt", monkeypatch) as calls:
        assert run("extract-xvector", "-C", workdir, "-j", 1).code == 0
    assert len(calls) == 12 + 4  # utterances, and means of speakers
    with counted(kaldi_io, "read_vec_flt", monkeypatch) as calls:
        assert run("mine-hard", "-C", workdir, "--param", "xvector", "--pm", 0.2).code == 0
    assert len(calls) == 12


def test_mix_resamples_with_torchaudio(run, tmp_path: Path, monkeypatch):
    folder = tmp_path / "data" / "train"
    rng, wavs, speakers = np.random.default_rng(0), {}, {}
    folder.mkdir(parents=True)
    for k in range(4):
        soundfile.write(folder / f"u{k}.wav", rng.uniform(-0.3, 0.3, 32000), 16000)
        wavs[f"u{k}"], speakers[f"u{k}"] = f"data/train/u{k}.wav", f"s{k}"
    data.write(folder, wavs, speakers)
    with counted(torchaudio.transforms.Resample, "forward", monkeypatch) as calls:
        assert (
            run(
                "mix", "-C", tmp_path, "--set", "train", "--count", 2, "-j", 1, "--write-audio"
            ).code
            == 0
        )
    assert calls


def test_compare_scoring_reads_tables_with_pandas(run, tmp_path: Path, monkeypatch):
    found = scored_runs.make_set(tmp_path, "test")
    for name, noise in (("ours", 0.05), ("base", 0.1)):
        scored_runs.make_run(tmp_path, name, noise, seeds=2, sets=(found,))
    with counted(pandas, "read_csv", monkeypatch) as calls:
        words = ("--baseline", "base", "--name", "ours", "--set", "test", "--samples", 100)
        assert run("compare", "scoring", "-C", tmp_path, *words).code == 0
    assert calls
