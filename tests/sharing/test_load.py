"""`speechkit.load`: what `predict` makes of files, of samples in memory, from several threads."""

from __future__ import annotations

import pydoc
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from conftest import voice
from emotion_models import write_encoder_model
from separation_models import make_model
from speaker_models import write_model

import speechkit
from speechkit.acoustic.lexicon.dictionary import Lexicon
from speechkit.base.errors import UserError
from speechkit.emotion.predict import predict as emotions_of
from speechkit.kaldi import ark
from speechkit.phone_features import recordings
from speechkit.pronunciation import predict
from speechkit.sharing.exchange import export
from speechkit.sharing.load import Scorer
from speechkit.task.prediction.jobs import Job
from speechkit.workdir import WorkDir

TEXT = "we call it bear"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("load")
    make_model(root, "dm")
    write_encoder_model(root, "tuned")
    write_encoder_model(root, "frozen", True)
    write_model(root, "vectors")
    return root


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    return speechkit.load("pronunciation", device="cpu")


def as_int16(samples: np.ndarray) -> np.ndarray:
    return np.round(samples * 32000).astype(np.int16)


def test_the_package_stays_light() -> None:
    code = (
        "import sys, speechkit; before = 'torch' in sys.modules; "
        "print(before, callable(speechkit.load), hasattr(speechkit, 'unknown'), dir(speechkit))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split()[:3] == ["False", "True", "False"]
    assert "'load'" in done.stdout
    assert "load(task" in pydoc.render_doc(speechkit, renderer=pydoc.plaintext)


def test_samples_score_as_their_file(scorer: Scorer, tmp_path: Path) -> None:
    stereo = as_int16(np.stack([voice(130, 2.0, 44100), voice(130, 2.0, 44100, seed=1)]))
    soundfile.write(tmp_path / "a.wav", stereo.T, 44100)
    found = scorer.score(stereo, 44100, TEXT, name=str(tmp_path / "a.wav"))
    recording = recordings.read(Job(tmp_path / "a.wav", TEXT))
    ready = predict.load_model("default", WorkDir(tmp_path))
    assert found == predict.predict_one(ready, recording, Lexicon())
    assert found.file == str(tmp_path / "a.wav") and 0 <= found.utterance["total"] <= 10
    assert scorer.score(stereo / np.float32(32768), 44100, TEXT).words == found.words


def test_several_threads_score_as_one(scorer: Scorer) -> None:
    given = [(voice(100 + 10 * k, 1.0 + 0.2 * k, 16000, seed=k), f"bear {k}") for k in range(6)]

    def score(one: tuple[np.ndarray, str]) -> object:
        return scorer.score(one[0], 16000, f"{TEXT} {one[1]} speechkit's")

    with ThreadPoolExecutor(6) as threads:
        side_by_side = list(threads.map(score, given * 2))
    assert side_by_side == [score(one) for one in given] * 2


@pytest.mark.parametrize(
    ("samples", "text", "message"),
    [
        (np.zeros(16000), TEXT, "recording is silent (-200 dB below full scale at most)"),
        (np.full(800, 0.1), TEXT, "recording is 0.050 s long, which is too short"),
        (np.full((16000, 2), 0.1), TEXT, "transpose"),
        (np.full(16000, np.nan), TEXT, "16000 of 16,000 samples NaN"),
        (voice(120, 1.0), "...", "no words"),
        (voice(120, 1.0), None, "`text` None is no string"),
        (voice(120, 1.0), ["we", "call"], "is no string"),
        (voice(120, 0.3), TEXT * 9, "longer than the audio"),
    ],
)
def test_what_cannot_be_scored(
    scorer: Scorer, samples: np.ndarray, text: Any, message: str
) -> None:
    with pytest.raises(UserError) as error:
        scorer.score(samples, 16000, text)
    assert message in str(error.value)


@pytest.mark.parametrize("rate", [8000, 22050])
def test_sources_are_those_of_the_files(run, place: Path, tmp_path: Path, rate: int) -> None:
    mixture = as_int16(voice(110, 2.5, rate) + voice(190, 2.5, rate, seed=1)[::-1]) // 2
    soundfile.write(tmp_path / "m.wav", mixture, rate)
    lengths = {"block_seconds": 1, "overlap_seconds": 0.25}
    ran = run("predict", "separation", tmp_path / "m.wav", "--model", "dm", "-C", place,
              "--block-seconds", 1, "--overlap-seconds", 0.25, "--device", "cpu")  # fmt: skip
    assert ran.code == 0, ran.err
    model = speechkit.load("separation", "dm", workdir=place, device="cpu", **lengths)
    found = model.separate(mixture, rate)
    assert found.shape == (2, len(mixture)) and found.dtype == np.float32
    for number, source in enumerate(found, 1):
        written, _ = soundfile.read(tmp_path / f"m_s{number}.wav", dtype="int16")
        np.testing.assert_array_equal(np.round(source * 32768).astype(np.int16), written)


@pytest.mark.parametrize("model", ["tuned", "frozen"])
def test_emotions_are_those_of_the_file(place: Path, tmp_path: Path, model: str) -> None:
    samples = as_int16(voice(150, 13.0, 22050))
    soundfile.write(tmp_path / "a.wav", samples, 22050)
    (wanted,) = [one.made for one in emotions_of(WorkDir(place), model, [tmp_path / "a.wav"])]
    loaded = speechkit.load("emotion", model, workdir=place)
    found = loaded.emotions(samples, 22050, name=str(tmp_path / "a.wav"))
    assert found.row() == wanted.row() and len(found.windows) == 6
    for one, other in zip(found.windows, wanted.windows, strict=True):
        np.testing.assert_array_equal(one.probabilities, other.probabilities)


def test_a_vector_is_that_of_the_stage(run, place: Path) -> None:
    folder = place / "data" / "one"
    (folder / "wav").mkdir(parents=True)
    samples = as_int16(voice(140, 1.5, 8000))
    soundfile.write(folder / "wav" / "a.wav", samples, 8000)
    for name, line in (("wav.scp", "s-a data/one/wav/a.wav"), ("utt2spk", "s-a s")):
        (folder / name).write_text(line + "\n")
    assert run("extract-xvector", "--set", "one", "-C", place, "--device", "cpu").code == 0
    ((_, wanted),) = ark.read_ark(place / "exp/xvector/one/xvector.ark")
    model = speechkit.load("xvector", workdir=place, device="cpu")
    np.testing.assert_array_equal(model.embed(samples, 8000), wanted)
    with pytest.raises(UserError, match="clip: 16 samples"):
        model.embed(samples[:8], 8000, name="clip")


def test_a_model_of_one_file(place: Path, tmp_path: Path) -> None:
    export(WorkDir(place), "emotion/frozen", tmp_path / "e.zip")
    samples = voice(150, 2.0)
    wanted = speechkit.load("emotion", "frozen", workdir=place).emotions(samples, 16000)
    loaded = speechkit.load("emotion", tmp_path / "e.zip", device="cpu")
    assert loaded.emotions(samples, 16000).row() == wanted.row()
    with pytest.raises(UserError, match="is a model of emotion, not of separation"):
        speechkit.load("separation", tmp_path / "e.zip")


def test_predict_takes_a_model_of_one_file(run, place: Path, tmp_path: Path) -> None:
    export(WorkDir(place), "separation/dm", tmp_path / "dm.zip")
    soundfile.write(tmp_path / "m.wav", voice(150, 1.0, 8000), 8000)
    for model, out in (("dm", "a"), (tmp_path / "dm.zip", "b")):
        ran = run("predict", "separation", tmp_path / "m.wav", "--model", model, "-C", place,
                  "--out", tmp_path / out, "--save", tmp_path / f"{out}.csv")  # fmt: skip
        assert ran.code == 0, ran.err
    for name in ("m_s1.wav", "m_s2.wav"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    header, *lines = (tmp_path / "b.csv").read_text().splitlines()
    assert header == "input,output,seconds,sample_rate,gain_db,error" and len(lines) == 2
    soundfile.write(tmp_path / "e.wav", voice(150, 13.0), 16000)
    table = tmp_path / "e.csv"
    ran = run("predict", "emotion", tmp_path / "e.wav", "-C", place, "--model", "tuned",
              "--save", table)  # fmt: skip
    assert ran.code == 0, ran.err
    lines = [line.split(",") for line in table.read_text().splitlines()]
    assert lines[0][1:] == ["level", "start", "end", "label", "neutral", "happy", "angry", "error"]
    assert [line[1] for line in lines[1:]] == ["recording", *["window"] * 6]
    refused = run("predict", "emotion", tmp_path / "e.wav", "-C", place, "--model", "none",
                  "--save", tmp_path / "grids")  # fmt: skip
    assert refused.code == 2 and "nothing of parts" in refused.err


def test_a_model_of_the_hub(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def downloaded(name: str, **how: object) -> str:
        asked.append(name)
        return str(tmp_path)

    monkeypatch.setattr("huggingface_hub.snapshot_download", downloaded)
    export(WorkDir(place), "separation/dm", tmp_path / "dm.zip")
    mixture = voice(150, 1.0, 8000)
    ours = speechkit.load("separation", "hf:ours/dm").separate(mixture, 8000)
    own = speechkit.load("separation", "dm", workdir=place).separate(mixture, 8000)
    np.testing.assert_array_equal(ours, own)
    (tmp_path / "dm.zip").rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(UserError, match=r"pytorch_model\.bin"):  # it is no file of Asteroid
        speechkit.load("separation", "hf:theirs/convtasnet")
    assert set(asked) == {"ours/dm", "theirs/convtasnet"}


def test_what_cannot_be_loaded(place: Path) -> None:
    with pytest.raises(UserError, match=r"'pronounciation' is not known. Did you mean"):
        speechkit.load("pronounciation")
    with pytest.raises(UserError, match="`model` is not given"):
        speechkit.load("separation", workdir=place)
    with pytest.raises(UserError, match="no trained model 'none'"):
        speechkit.load("separation", "none", workdir=place)
    with pytest.raises(UserError, match="`block_seconds` 0 is not"):
        speechkit.load("separation", "dm", workdir=place, block_seconds=0)
    with pytest.raises(UserError, match="`window` 0 is out of range"):
        speechkit.load("emotion", "tuned", workdir=place, window=0)
    with pytest.raises(UserError, match=r"'hop_seconds' is not known[^$]*Accepted: ensemble, wind"):
        speechkit.load("emotion", "tuned", workdir=place, hop_seconds=2)
    with pytest.raises(UserError, match="`window` 'a' is no number"):
        speechkit.load("emotion", "tuned", workdir=place, window="a")
    with pytest.raises(UserError, match="'None' is not known"):
        speechkit.load(None)  # type: ignore[arg-type]


def test_a_device_of_torch(place: Path) -> None:
    loaded = speechkit.load("separation", "dm", workdir=place, device=torch.device("cpu"))
    assert next(loaded.separator.net.parameters()).device.type == "cpu"


def test_the_examples_of_the_docs(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (Path(__file__).parents[2] / "docs" / "python.md").read_text("utf-8")
    first, _, server = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    stereo = np.stack([voice(130, 1.0), voice(130, 1.0, seed=1)])
    soundfile.write(tmp_path / "my.wav", stereo.T, 16000)
    monkeypatch.chdir(tmp_path)
    exec(compile(first, "python.md", "exec"), {})
    assert "('BEAR', {'accuracy'" in capsys.readouterr().out

    class Request:
        samples, rate, text = as_int16(voice(130, 1.0)), 16000, TEXT

    class Silent(Request):
        samples = np.zeros(16000, np.int16)

    names = {"requests": [Request, Silent]}
    exec(compile(server, "python.md", "exec"), names)
    (good, found), (bad, told) = names["answers"]
    assert (good, bad) == (200, 400) and found["text"] == TEXT and "is silent" in told["error"]
