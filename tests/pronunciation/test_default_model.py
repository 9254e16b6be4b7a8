"""The models that come with the package: small, whole, and they hear what is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from speechkit.base.errors import UserError
from speechkit.corpora import espeak
from speechkit.phone_features.bundle import find_model
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


def score(run, path: Path, text: str, *more: str) -> dict:
    words = ("--text", text, "--json", "--device", "cpu", *more)
    done = run("predict", "pronunciation", path, *words)
    assert done.code == 0, done.err
    (found,) = json.loads(done.out)
    return found


def test_they_are_small_and_have_their_card() -> None:
    files = [path for path in predict.PRETRAINED.rglob("*") if path.is_file()]
    sizes = {path: path.stat().st_size for path in files}
    shared = sum(size for path, size in sizes.items() if "scorer" not in path.parts)
    for folder in predict.SHIPPED.values():
        own = sum(size for path, size in sizes.items() if folder in path.parents)
        assert own and shared + own < 4e6
    assert {path.suffix for path in files} == {".md", ".yaml", ".safetensors"}
    card = (predict.PRETRAINED / "README.md").read_text()
    assert "CC BY 4.0" in card and "Limits" in card
    assert all(f"`{name}`" in card for name in predict.SHIPPED)


@pytest.mark.parametrize("model", predict.SHIPPED)
def test_they_predict_every_aspect(run, spoken: Path, model: str) -> None:
    found = score(run, spoken, SENTENCE, "--model", model)
    assert found["model"] == model and found["matches"]
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


@pytest.mark.parametrize("model", ["", *predict.SHIPPED])
def test_the_pipeline_is_the_one_it_was_trained_with(tmp_path: Path, model: str) -> None:
    ready = predict.load_model(model, WorkDir(tmp_path))
    assert ready.name == (model or "default")
    made = [pipeline.fingerprint for pipeline in (ready.pipeline, *ready.beside)]
    assert made == [features["fingerprint"] for features in ready.assessor.features_of]
    assert len(made) == (2 if model == "accurate" else 1)
    assert ready.pipeline.aligner.members == ["full"]
    assert len(ready.assessor.seeds) == 5


def test_an_experiment_may_have_the_name_of_one_but_of_the_default(tmp_path: Path) -> None:
    work, shipped = WorkDir(tmp_path), predict.SHIPPED
    for name in shipped:
        (tmp_path / "exp/pronunciation" / name / "scorer").mkdir(parents=True)
    own = {name: find_model(name, work, "pronunciation", shipped) for name in shipped}
    assert own.pop("default") == shipped["default"]
    assert all(folder == tmp_path / "exp/pronunciation" / name for name, folder in own.items())
    with pytest.raises(UserError, match="Known here: default, accurate, no-gpl") as caught:
        find_model("acurate", WorkDir(tmp_path / "other"), "pronunciation", shipped)
    assert "Did you mean 'accurate'" in str(caught.value)
    lacking = {"accurate": tmp_path / "nothing"}
    with pytest.raises(UserError, match="lacks the model nothing"):
        find_model("accurate", WorkDir(tmp_path / "other"), "pronunciation", lacking)
