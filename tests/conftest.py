"""Shared fixtures: a tiny generated set, the command line in this process, real speech."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # pytest has one process per CPU

import numpy as np
import pytest
import soundfile
import typer

from speechkit.cli.main import main
from speechkit.kaldi import data

REPOSITORY = Path(__file__).resolve().parents[1]
REAL_DATA = Path(os.environ.get("SPEECHKIT_TEST_DATA", REPOSITORY.parent / "shared" / "data"))


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder with real speech (``speechocean762/``, ``ravdess/``)."""
    if not (REAL_DATA / "speechocean762" / "train" / "wav.scp").is_file():
        pytest.skip(f"no real speech at {REAL_DATA} (set SPEECHKIT_TEST_DATA)")
    return REAL_DATA


@pytest.fixture
def caplog(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> pytest.LogCaptureFixture:
    """pytest's, which hears speechkit also where a command line of this process set its log up."""
    monkeypatch.setattr("speechkit.base.log.logger.propagate", True)
    return caplog


@pytest.fixture(scope="session", autouse=True)
def parser_built_once():
    """Typer's parser of all commands, which takes longer to build than most tests take."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(typer.main, "get_command", cache(typer.main.get_command))
        yield


@dataclass
class Ran:
    """What a command did: its exit code and what it printed."""

    code: int
    out: str
    err: str


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]):
    """Run ``speechkit ARGS...`` in this process."""

    def call(*arguments: object) -> Ran:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    return call


@pytest.fixture
def numpy_solve(monkeypatch: pytest.MonkeyPatch) -> None:
    """NumPy's solver in place of PyTorch's, for torchmetrics' SDR.

    In a process in which other libraries have brought a LAPACK of their own, PyTorch's refuses
    the pivots of its own factorisation ("Pivots given to lu_solve ...").
    """
    import torch

    def solve(matrix: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        found = np.linalg.solve(matrix.numpy(), right.numpy()[..., None])
        return torch.from_numpy(found[..., 0])

    monkeypatch.setattr(torch.linalg, "solve", solve)


def voice(f0: float, seconds: float, rate: int = 16000, seed: int = 0) -> np.ndarray:
    """A vowel-like sound ``[T]``: harmonics of ``f0`` (Hz) with slight noise."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    harmonics = np.arange(1, int(4000 / f0) + 1)
    waves = np.sin(
        2 * np.pi * f0 * harmonics[:, None] * time + rng.uniform(0, 6, (len(harmonics), 1))
    )
    sound = (waves / harmonics[:, None]).sum(0) + 0.01 * rng.standard_normal(len(time))
    return (0.3 * sound / np.abs(sound).max()).astype(np.float32)


def make_set(
    root: Path,
    name: str = "train",
    speakers: int = 4,
    utterances: int = 3,
    rate: int = 16000,
    seconds: float = 1.0,
) -> Path:
    """Write ``data/<name>`` under ``root``: speaker k speaks at 100 + 20 k Hz.

    Odd speakers are male, even ones female; utterance ids are ``s<k>-u<j>``.
    """
    folder = root / "data" / name
    (folder / "wav").mkdir(parents=True)
    wavs, speaker_of, text, gender = {}, {}, {}, {}
    for k in range(speakers):
        gender[f"s{k}"] = "fm"[k % 2]
        for j in range(utterances):
            utterance = f"s{k}-u{j}"
            sound = voice(100 + 20 * k + j, seconds + 0.1 * j, rate, seed=100 * k + j)
            soundfile.write(folder / "wav" / f"{utterance}.wav", sound, rate)
            wavs[utterance] = f"data/{name}/wav/{utterance}.wav"
            speaker_of[utterance] = f"s{k}"
            text[utterance] = "AH"
    data.write(folder, wavs, speaker_of, text=text, spk2gender=gender)
    return folder


@pytest.fixture
def workdir(tmp_path: Path) -> Path:
    """A working directory with a set ``train`` of 4 speakers x 3 utterances of a second."""
    make_set(tmp_path)
    return tmp_path
