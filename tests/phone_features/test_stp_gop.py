"""GOP with transition probabilities: the formula by hand, the models, the column."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from deep_models import make_tdnn
from tone_models import ToneModel, say
from tone_sets import make_tone_set

from speechkit.acoustic.models import load_model
from speechkit.base.errors import UserError
from speechkit.phone_features.feature_folder import read_features
from speechkit.phone_features.gop import stp_gop
from speechkit.phone_features.pipeline import FeaturePipeline
from speechkit.phone_features.settings import FeatureSettings
from speechkit.workdir import WorkDir

WORDS: list[list[tuple[str, ...]]] = [[("K", "AA1", "T")], [("B", "IY1")]]


def test_by_hand() -> None:
    """Two phones of two states each (S = 4): frames 0-2 in states 0 0 1, frames 3-4 in 2 3."""
    posteriors = np.array(
        [
            [0.5, 0.2, 0.2, 0.1],
            [0.4, 0.4, 0.1, 0.1],
            [0.1, 0.7, 0.1, 0.1],
            [0.2, 0.2, 0.3, 0.3],
            [0.1, 0.1, 0.2, 0.6],
        ]
    )
    transitions = np.array([[0.8, 0.2], [0.7, 0.3], [0.6, 0.4], [0.5, 0.5]])
    found = stp_gop(
        np.log(posteriors), transitions, [0, 0, 1, 2, 3], np.array([0, 3]), np.array([3, 5])
    )
    # 0.5 stay 0.8, 0.4 leave 0.2, 0.7 and no more; 0.3 leave 0.4, 0.6
    first = math.log(0.5 * 0.8 * 0.4 * 0.2 * 0.7 * 4 * 4) / 3
    second = math.log(0.3 * 0.4 * 0.6 * 4) / 2
    np.testing.assert_allclose(found, [first, second])


def test_what_is_impossible_is_floored() -> None:
    with np.errstate(divide="ignore"):
        logs = np.log(np.array([[1.0, 0.0], [1.0, 0.0]]))
    bounds = np.array([0]), np.array([2])
    found = stp_gop(logs, np.array([[0.0, 1.0], [1.0, 0.0]]), [0, 0], *bounds)
    np.testing.assert_allclose(found, (math.log(1e-4) + math.log(2)) / 2)
    assert np.isfinite(stp_gop(logs, np.full((2, 2), 0.5), [1, 1], *bounds)).all()


def test_column_of_a_tdnn(tmp_path: Path) -> None:
    """Its own posteriors, with their priors, along the path of the alignment."""
    make_tdnn(tmp_path)
    work = WorkDir(tmp_path)
    settings = FeatureSettings(am=("tiny",), stp=True, prosody=True)
    pipeline = FeaturePipeline.create(settings, work)
    wave = say(["K", "AA", "T", "B", "IY"])
    found = pipeline.extract(wave, WORDS)
    block = next(b for b in pipeline.blocks if b["method"] == "stp")
    assert pipeline.columns[block["first"]] == "tiny:stp_gop" and block["first"] == block["last"]
    model = load_model("tiny", work)
    network = model.networks["full"]  # type: ignore[attr-defined]
    logs = (model.evidence(wave).state_scores + network.log_prior).numpy()
    np.testing.assert_allclose(np.exp(logs).sum(1), 1, atol=1e-5)
    path, stay = found.alignment.states, [0.5 + 0.02 * k for k in range(21)]
    for segment, value in zip(found.alignment.segments, found.features[:, 84], strict=True):
        frames = range(segment.start_frame, segment.end_frame)
        total = sum(logs[t, path[t]] for t in frames)
        for t in frames[:-1]:
            same = path[t + 1] == path[t]
            total += math.log((stay[path[t]] if same else 1 - stay[path[t]]) * 21)
        assert value == pytest.approx(total / len(frames), abs=1e-4)
    again = FeaturePipeline.from_config(json.loads(json.dumps(pipeline.config())), work)
    assert again.config() == pipeline.config() and again.settings == FeatureSettings(
        am=("tiny",), stp=True, prosody=True, names=("tiny",)
    )


def test_a_training_speaker_is_scored_by_the_network_that_heard_them(tmp_path: Path) -> None:
    """Its priors and transitions, not the means of all folds."""
    make_tdnn(tmp_path, folds=2, full=False, unseen="mean")
    model = load_model("tiny", WorkDir(tmp_path))
    for k in range(2):
        prior = torch.randn(21, generator=torch.Generator().manual_seed(k)).log_softmax(0)
        model.networks[f"fold{k}"].log_prior.copy_(prior)  # type: ignore[attr-defined]
    model.card.stay["fold1"] = [0.9 - 0.02 * k for k in range(21)]  # type: ignore[attr-defined]
    pipeline = FeaturePipeline(FeatureSettings(am=("tiny",), stp=True), [model])
    wave = say(["K", "AA", "T", "B", "IY"])
    own = model.for_speaker("s1")
    logs = own.state_log_posteriors(own.evidence(wave))
    np.testing.assert_allclose(logs.exp().sum(1), 1, atol=1e-5)
    found = pipeline.extract(wave, WORDS, speaker="s1")
    ends = [(s.start_frame, s.end_frame) for s in found.alignment.segments]
    starts, stops = np.array(ends).T
    rates = own.transition_probabilities()
    assert rates is not None and rates[0, 0] == pytest.approx(0.9)
    wanted = stp_gop(logs, rates, found.alignment.states, starts, stops)
    np.testing.assert_allclose(found.features[:, 84], wanted, atol=1e-5)
    assert model.for_speaker("s1") is own and model.for_speaker("new") is model


def test_sphinx() -> None:
    """Its states add up to its phones, and staying and leaving to one."""
    model = load_model("sphinx")
    evidence = model.evidence(say(["K", "AA", "T"]))
    states = model.state_log_posteriors(evidence).unflatten(1, (len(model.labels), 3))
    np.testing.assert_allclose(states.logsumexp(-1), evidence.log_posteriors, atol=1e-3)
    rates = model.transition_probabilities()
    assert rates is not None and rates.shape == (3 * len(model.labels), 2)
    np.testing.assert_allclose(rates.sum(1), 1)
    costs = model.transition_costs(_phone("AA"))
    at = 3 * model.labels.index("AA")
    np.testing.assert_allclose(np.log(rates[at : at + 3]), costs)


def _phone(name: str):
    from speechkit.acoustic.interface import PhoneInContext

    return PhoneInContext(name)


def test_models_that_know_no_transitions() -> None:
    with pytest.raises(UserError, match="does not know them") as error:
        FeaturePipeline(FeatureSettings(am=("tones",), stp=True), [ToneModel()])
    assert "sphinx" in error.value.remedy


def test_command(run, tmp_path: Path) -> None:
    make_tone_set(tmp_path)
    base = ("extract-gop", "-C", tmp_path, "--set", "toned", "-j", 1)
    ran = run(*base, "--am", "sphinx", "--stp", "--json")
    assert ran.code == 0 and json.loads(ran.out)["dimension"] == 85
    found = read_features(tmp_path / "exp/gop/toned")
    assert found.columns[-1] == "sphinx:stp_gop" and found.config["stp"] is True
    plain = run(*base, "--am", "sphinx", "--name", "plain")
    assert plain.code == 0
    other = read_features(tmp_path / "exp/gop/toned-plain")
    np.testing.assert_array_equal(found.table["s0-u0"][:, :84], other.table["s0-u0"])
    assert found.config["fingerprint"] != other.config["fingerprint"]
    assert "stp" not in other.config
    ran = run(*base, "--am", "sphinx", "--am", "nothing", "--align-with", "sphinx", "--stp")
    assert ran.code == 2 and "--align-with" in ran.err
