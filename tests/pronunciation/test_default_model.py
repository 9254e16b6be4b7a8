"""The model that comes with the package: small, whole, and it hears what is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from speechkit.corpora import espeak
from speechkit.pronunciation import predict
from speechkit.workdir import WorkDir

SENTENCE = "the children are playing in the garden"


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sentence, said by espeak-ng."""
    folder = tmp_path_factory.mktemp("spoken")
    (folder / "espeak").mkdir()
    espeak.make_data_folder(folder / "espeak", {})
    request = espeak.Request(text=SENTENCE, voice="en-us", rate=130, pitch=45, pitch_range=50)
    (said,) = espeak.speak([request], folder / "espeak")
    soundfile.write(folder / "good.wav", np.frombuffer(said, np.int16), espeak.SAMPLE_RATE)
    return folder / "good.wav"


def score(run, path: Path, text: str) -> dict:
    done = run("predict", "pronunciation", path, "--text", text, "--json", "--device", "cpu")
    assert done.code == 0, done.err
    (found,) = json.loads(done.out)
    return found


def test_it_is_small_and_has_its_card() -> None:
    files = [path for path in predict.PRETRAINED.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 4e6
    assert {path.suffix for path in files} == {".md", ".yaml", ".safetensors"}
    card = (predict.PRETRAINED / "README.md").read_text()
    assert "CC BY 4.0" in card and "Limits" in card


def test_it_predicts_every_aspect(run, spoken: Path) -> None:
    found = score(run, spoken, SENTENCE)
    assert found["model"] == "default" and found["matches"]
    assert set(found["utterance"]) == {
        "accuracy", "completeness", "fluency", "prosodic", "total",
    }  # fmt: skip
    assert [word["word"] for word in found["words"]] == SENTENCE.upper().split()
    assert all({"accuracy", "stress", "total"} <= set(word) for word in found["words"])
    assert found["scales"]["phone"]["accuracy"] == [0, 2]


def test_a_wrong_word_is_scored_lower_and_a_wrong_text_is_told(run, spoken: Path) -> None:
    right = score(run, spoken, SENTENCE)
    wrong = score(run, spoken, SENTENCE.replace("garden", "kitchen"))
    assert wrong["words"][-1]["total"] < right["words"][-1]["total"] - 1
    assert wrong["utterance"]["total"] < right["utterance"]["total"]
    lowest = [min(p["accuracy"] for p in found["words"][-1]["phones"]) for found in (wrong, right)]
    assert lowest[0] < lowest[1] - 0.2
    other = score(run, spoken, "my brother bought seven old books yesterday")
    assert not other["matches"]


def test_the_pipeline_is_the_one_it_was_trained_with(tmp_path: Path) -> None:
    ready = predict.load_model("", WorkDir(tmp_path))
    assert ready.pipeline.fingerprint == ready.assessor.features_of[0]["fingerprint"]
    assert ready.pipeline.aligner.members == ["full"]
    assert len(ready.assessor.seeds) == 5
