"""Functionals: normalisation, logistic regression against scikit-learn, MLP, the kept features."""

import numpy as np
import pytest
import torch
from acted_speech import RATE, acted
from sklearn.linear_model import LogisticRegression

from speechkit.base.errors import UserError
from speechkit.emotion import train_functionals as training
from speechkit.emotion.calibration import softmax
from speechkit.emotion.config import STRENGTHS, FunctionalsConfig
from speechkit.emotion.functionals import Normaliser, logits, speaker_statistics
from speechkit.emotion.loss import WeightedCrossEntropy
from speechkit.emotion.train_functionals import Part, rotation


def parts(size=20, train=90, classes=3, seed=0):
    """Two parts of vectors whose first values tell the class."""
    rng = np.random.default_rng(seed)
    made = []
    for count in (train, 30):
        targets = np.arange(count) % classes
        inputs = rng.standard_normal((count, size))
        inputs[:, :classes] += 3.0 * np.eye(classes)[targets]
        made.append(Part(torch.from_numpy(inputs.astype(np.float32)), torch.from_numpy(targets)))
    return made


def arrays(layers):
    return {name: value.numpy() for name, value in layers.items()}


def test_normalising():
    rng = np.random.default_rng(0)
    vectors = (rng.standard_normal((50, 3)) * (1, 0.1, 100) + (5, 0, -7)).astype(np.float32)
    vectors = np.column_stack([vectors, np.full(50, 3.3, np.float32)])
    normalise = Normaliser.fit(vectors)
    found = normalise(vectors)
    assert np.allclose(found[:, :3].mean(0), 0, atol=1e-5)
    assert np.allclose(found[:, :3].std(0), 1, atol=1e-4)
    assert (found[:, 3] == 0).all()  # a constant tells nothing, also of other clips
    assert (normalise(np.full((1, 4), 1e9, np.float32)) == (5, 5, 5, 0)).all()


def test_normalising_by_speaker():
    rng = np.random.default_rng(1)
    speakers = ["a"] * 10 + ["b"] * 10 + ["c"]
    shift = np.repeat([[0.0], [30.0], [9.0]], (10, 10, 1), axis=0)
    vectors = (rng.standard_normal((21, 4)) * (1 + shift / 10) + shift).astype(np.float32)
    vectors[:10, 2] = 4.0  # one speaker's value never changes
    normalise = Normaliser.fit(vectors)
    found = normalise(vectors, speakers, speaker_statistics(vectors, speakers))
    assert np.isfinite(found).all()
    for first in (0, 10):
        own = found[first : first + 10]
        assert np.allclose(own.mean(0), 0, atol=1e-4)
    assert (found[:10, 2] == 0).all() and (found[20] == 0).all()
    without = normalise(vectors)  # an unknown speaker: the training clips' mean
    assert np.allclose(without.mean(0), 0, atol=1e-4) and not np.allclose(without, found)


@pytest.mark.parametrize("size", [20, 300])
def test_logistic_regression_is_scikit_learns(size):
    train, valid = parts(size)
    criterion = WeightedCrossEntropy(torch.ones(3))
    for number, strength in enumerate((STRENGTHS[1], STRENGTHS[3])):
        axes = rotation(train.inputs)
        inputs = train.inputs if axes is None else train.inputs @ axes
        weight = torch.zeros(3, inputs.shape[1], requires_grad=True)
        bias = torch.zeros(3, requires_grad=True)
        training._minimise(weight, bias, inputs, train.targets, criterion, strength)
        reference = LogisticRegression(C=strength, tol=1e-8, max_iter=5000)
        reference.fit(train.inputs.numpy(), train.targets.numpy())
        full = weight.detach() if axes is None else weight.detach() @ axes.T
        ours = softmax(valid.inputs.numpy() @ full.numpy().T + bias.detach().numpy())
        assert np.allclose(ours, reference.predict_proba(valid.inputs.numpy()), atol=2e-3), number


def test_validation_chooses_the_strength():
    train, valid = parts()
    config = FunctionalsConfig(head="logreg")
    criterion = WeightedCrossEntropy(torch.ones(3))
    log = training.Log("loss", lambda step, row: None)
    layers, chosen = training._fit_logreg(train, valid, criterion, config, log)
    losses = [row["valid_loss"] for row in log.rows]
    assert log.best == int(np.argmin(losses)) and chosen["c"] == STRENGTHS[log.best]
    ours = logits(arrays(layers), valid.inputs.numpy())
    loss = torch.nn.functional.cross_entropy(torch.from_numpy(ours), valid.targets)
    assert float(loss) == pytest.approx(losses[log.best], abs=1e-5)


def test_rotation_holds_everything():
    train, _ = parts(300)
    axes = rotation(train.inputs)
    assert axes.shape == (300, 90)
    assert torch.allclose(axes.T @ axes, torch.eye(90), atol=1e-4)
    assert torch.allclose(train.inputs @ axes @ axes.T, train.inputs, atol=1e-4)
    assert rotation(parts(20)[0].inputs) is None


@pytest.mark.parametrize("size", [20, 300])
def test_mlp(size):
    train, valid = parts(size)
    config = FunctionalsConfig(hidden=16, epochs=30, patience=5)
    criterion = WeightedCrossEntropy(torch.ones(3))
    steps = []
    logs = [training.Log("loss", lambda step, row: steps.append(step)) for _ in range(3)]
    found, again, other = (
        training._fit_mlp(seed, train, valid, criterion, config, log)[0]
        for seed, log in zip((0, 0, 1), logs, strict=True)
    )
    assert all(torch.equal(found[name], again[name]) for name in found)
    assert not torch.equal(found["output.bias"], other["output.bias"])
    rows, place = logs[0].rows, logs[0].best
    assert steps[: len(rows)] == [3 * (i + 1) for i in range(len(rows))]
    best = rows[place]
    assert best["valid_loss"] == min(row["valid_loss"] for row in rows)
    assert len(rows) <= place + 1 + config.patience
    ours = logits(arrays(found), valid.inputs.numpy())
    assert np.mean(ours.argmax(1) == valid.targets.numpy()) == pytest.approx(best["valid_accuracy"])
    assert best["valid_accuracy"] > 0.5


def test_select():
    rows = [
        {"step": 1.0, "valid_loss": 1.0, "valid_uar": 0.3},
        {"step": 2.0, "valid_loss": 1.1, "valid_uar": 0.4},
    ]
    for select, best in (("loss", 0), ("uar", 1)):
        log = training.Log(select, lambda step, row: None)
        assert [log.add(row) for row in rows] == [True, best == 1] and log.best == best


@pytest.mark.parametrize(
    "flags",
    [{"head": "svm"}, {"hidden": 0}, {"epochs": 0}, {"dropout": 1.0}, {"select": "test"},
     {"learning_rate": 0.0}, {"class_weights": "some"}, {"patience": -1}],
)  # fmt: skip
def test_settings(flags):
    with pytest.raises(UserError):
        FunctionalsConfig(**flags)


@pytest.mark.parametrize(("spec", "size"), [("egemaps", 88), ("compare16", 6373)])
def test_opensmile(spec, size):
    pytest.importorskip("opensmile")
    from speechkit.emotion.features import of_wave, open_smile

    assert len(open_smile(spec).feature_names) == size
    sound = acted(3, 1, 0, 0.6)
    vector = of_wave(sound, spec)
    assert vector.shape == (size,) and vector.dtype == np.float32
    assert (vector == of_wave(sound, spec)).all()
    with pytest.raises(UserError, match=f"no {spec} features"):
        of_wave(sound[:200], spec)


def test_pitch_is_in_egemaps():
    pytest.importorskip("opensmile")
    from speechkit.emotion.features import of_wave, open_smile

    place = open_smile("egemaps").feature_names.index("F0semitoneFrom27.5Hz_sma3nz_amean")
    time = np.arange(RATE) / RATE
    tone = sum(np.sin(2 * np.pi * 220 * k * time) / k for k in range(1, 15))
    value = of_wave((0.2 * tone).astype(np.float32), "egemaps")[place]
    assert value == pytest.approx(36, abs=0.3)  # 220 Hz is three octaves above 27.5 Hz


def test_unknown_and_missing(monkeypatch):
    import sys

    from speechkit.emotion import features

    with pytest.raises(UserError, match="not known"):
        features.open_smile("is09")
    features.open_smile.cache_clear()
    monkeypatch.setitem(sys.modules, "opensmile", None)
    with pytest.raises(UserError, match="pip install 'opensmile"):
        features.open_smile("egemaps")
    features.open_smile.cache_clear()
