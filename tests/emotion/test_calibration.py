"""Calibration: measures against loops by hand, temperatures against a grid, models without one."""

import json

import numpy as np
import pytest
import yaml
from acted_speech import make_ravdess

from speechkit.emotion import calibration, model_folder, results
from speechkit.emotion.predict import load_predictor
from speechkit.labels import emotions as data
from speechkit.workdir import WorkDir

ONE = ("-j", 1)


def drawn(count=400, classes=5, sharpness=3.0, seed=0):
    """Probabilities ``[N, C]`` that are too sure, and classes ``[N]`` drawn with the true ones."""
    rng = np.random.default_rng(seed)
    logits = rng.standard_normal((count, classes))
    true = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    targets = np.array([rng.choice(classes, p=row) for row in true])
    sure = np.exp(sharpness * logits)
    return sure / sure.sum(1, keepdims=True), targets


def ece_by_hand(probabilities, targets, bins):
    total = 0.0
    for m in range(bins):
        inside = [i for i, row in enumerate(probabilities) if m / bins < max(row) <= (m + 1) / bins]
        if inside:
            right = sum(probabilities[i].argmax() == targets[i] for i in inside) / len(inside)
            sure = sum(max(probabilities[i]) for i in inside) / len(inside)
            total += len(inside) / len(targets) * abs(right - sure)
    return total


@pytest.mark.parametrize("bins", [1, 10, 15])
def test_the_error_is_that_of_a_loop_by_hand(bins):
    probabilities, targets = drawn()
    found = calibration.calibration_error(probabilities, targets, bins)
    assert found == pytest.approx(ece_by_hand(probabilities, targets, bins), abs=1e-12)


def test_ten_clips_that_are_too_sure():
    probabilities = np.tile([0.9, 0.1], (10, 1))
    targets = np.array([0] * 7 + [1] * 3)
    assert calibration.calibration_error(probabilities, targets) == pytest.approx(0.2)
    assert calibration.calibration_error(np.eye(2)[targets], targets) == 0


def test_no_order_changes_it():
    probabilities, targets = drawn()
    order = np.random.default_rng(1).permutation(len(targets))
    one = calibration.calibration_error(probabilities, targets)
    assert calibration.calibration_error(probabilities[order], targets[order]) == pytest.approx(one)


def test_draws_of_speakers_are_those_of_repeated_clips():
    probabilities, targets = drawn(60)
    members = np.arange(60) % 3
    counts = np.array([[1, 1, 1], [2, 0, 1], [0, 3, 0]])
    found = calibration.calibration_errors(probabilities, targets, members, counts)
    for row, value in zip(counts, found, strict=True):
        ids = np.concatenate(
            [np.flatnonzero(members == s) for s in range(3) for _ in range(row[s])]
        )
        assert value == pytest.approx(
            calibration.calibration_error(probabilities[ids], targets[ids])
        )


def test_a_temperature_divides_logits():
    logits = np.random.default_rng(0).standard_normal((9, 4)) * 3

    def softmax(z):
        return np.exp(z) / np.exp(z).sum(1, keepdims=True)

    found = calibration.temper(softmax(logits), 2.5)
    assert np.allclose(found, softmax(logits / 2.5), atol=1e-12)
    assert (found.argmax(1) == logits.argmax(1)).all()
    assert np.allclose(calibration.temper(found, 1.0), found)
    assert np.isfinite(calibration.temper(np.array([[1.0, 0.0]]), 3.0)).all()


def test_the_chosen_temperature_is_the_best_of_a_grid():
    probabilities, targets = drawn(3000)
    found = calibration.choose_temperature(probabilities, targets)
    grid = np.exp(np.linspace(np.log(0.1), np.log(10), 400))
    costs = [
        -np.log(calibration.temper(probabilities, t)[np.arange(3000), targets]).mean() for t in grid
    ]
    assert found == pytest.approx(grid[int(np.argmin(costs))], rel=0.02)
    assert found == pytest.approx(3.0, rel=0.1)  # they were made three times too sure
    tempered = calibration.temper(probabilities, found)
    before = calibration.calibration_error(probabilities, targets)
    assert calibration.calibration_error(tempered, targets) < 0.2 * before


def test_extreme_validation_clips_give_a_limit():
    targets = np.array([0, 1])
    right, wrong = np.array([[0.9, 0.1], [0.1, 0.9]]), np.array([[0.1, 0.9], [0.9, 0.1]])
    assert calibration.choose_temperature(right, targets) == pytest.approx(0.1, rel=0.2)
    assert calibration.choose_temperature(wrong, targets) == pytest.approx(10, rel=0.01)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A working directory with 4 actors and a trained network."""
    from speechkit.cli.main import main

    root = tmp_path_factory.mktemp("calibration")
    make_ravdess(root, actors=4)
    train = ["--channels", "4,4,4,4", "--epochs", "3", "--batch-size", "6", "--folds", "0"]
    for command in (
        ["prepare", "ravdess", str(root / "ravdess"), "-j", "1"],
        ["split-folds", "--fold-size", "1", "--valid-speakers", "1", "-j", "1"],
        ["train", "emotion", "--name", "net", *train, "-j", "1"],
    ):
        assert main([*command, "-C", str(root)]) == 0
    return root


def test_training_chooses_on_validation_clips(made):
    folder = made / "exp/emotion/net/fold0/seed0"
    card = model_folder.read_card(folder)
    split = json.loads((made / "data/ravdess/splits/speaker-folds.json").read_text())
    valid = split["folds"][0]["valid"]
    assert card["calibration"]["clips"] == len(valid) == 6
    dataset = data.load(WorkDir(made), "ravdess")
    predictor = load_predictor(folder)
    raw = predictor.of_utterances(WorkDir(made), dataset, valid)
    wanted = calibration.choose_temperature(raw, dataset.targets(valid))
    assert card["calibration"]["temperature"] == wanted == predictor.temperature
    assert np.allclose(predictor.calibrated(raw), calibration.temper(raw, wanted))


def test_evaluation_and_prediction_are_calibrated(run, made):
    folder = made / "exp/emotion/net/fold0/seed0"
    done = run("evaluate", "emotion", "-C", made, "--name", "net", *ONE, "--json")
    assert done.code == 0, done.err
    told = json.loads(done.out)
    predictor, dataset = load_predictor(folder), data.load(WorkDir(made), "ravdess")
    found = results.read_predictions(made / "exp/emotion/net/eval/folds")
    raw = predictor.of_utterances(WorkDir(made), dataset, list(found.utterances))
    assert np.allclose(found.probabilities, predictor.calibrated(raw), atol=2e-6)
    assert told["ece"]["mean"] == pytest.approx(
        calibration.calibration_error(found.probabilities, found.targets), abs=1e-6
    )
    assert told["about"]["ece_uncalibrated"]["mean"] == pytest.approx(
        calibration.calibration_error(raw, found.targets), abs=1e-5
    )
    assert told["about"]["temperatures"] == [predictor.temperature]
    file = next((made / "ravdess").rglob("*.wav"))
    done = run("predict", "emotion", file, "-C", made, "--model", "net", "--json")
    row = json.loads(done.out)[0]
    assert row["calibrated"] is True
    wave = data.read_clip(dataset.by_id[f"actor{file.stem[-2:]}-{file.stem}"], 16000)
    expected = predictor.calibrated(predictor.probabilities([wave]))[0]
    assert np.allclose([*row["probabilities"].values()], expected, atol=1e-5)
    done = run("predict", "emotion", file, "-C", made, "--model", "net")
    assert "(calibrated)" in done.out


def test_a_model_without_temperature_is_as_before(run, made):
    import shutil

    folder = made / "exp/emotion/old/fold0/seed0"
    shutil.copytree(made / "exp/emotion/net/fold0/seed0", folder)
    card = yaml.safe_load((folder / "config.yaml").read_text())
    del card["calibration"]
    (folder / "config.yaml").write_text(yaml.safe_dump(card))
    predictor = load_predictor(folder)
    raw = np.array([[0.5, 0.3, 0.2]])
    assert predictor.temperature is None and predictor.calibrated(raw) is raw
    done = run("evaluate", "emotion", "-C", made, "--name", "old", *ONE, "--json")
    about = json.loads(done.out)["about"]
    assert about["temperatures"] == [None] and "ece_uncalibrated" not in about
    file = next((made / "ravdess").rglob("*.wav"))
    done = run("predict", "emotion", file, "-C", made, "--model", "old", "--json")
    assert json.loads(done.out)[0]["calibrated"] is False
    card["calibration"] = {"temperature": -1}
    (folder / "config.yaml").write_text(yaml.safe_dump(card))
    done = run("predict", "emotion", file, "-C", made, "--model", "old")
    assert done.code == 2 and "temperature" in done.err
