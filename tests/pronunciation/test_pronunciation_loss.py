"""Score-balanced losses against the paper's numbers, plain loops, and awkward scores."""

from __future__ import annotations

import json
import math
import subprocess
import sys

import numpy as np
import pytest
import torch

from speechkit.pronunciation.loss import MultiAspectMSE, ScoreBalancedLoss, class_counts
from speechkit.stats.class_weights import (
    class_number,
    effective_weights,
    rank_weights,
    score_classes,
)

TABLE_3 = {0.5: (0.542, 0.5), 0.8: (0.267, 0.2), 0.9: (0.175, 0.1)}
TABLE_3 |= {0.99: (0.095, 0.0126), 0.999: (0.088, 0.0051)}


def test_every_label_of_a_tenth_scale_is_in_its_own_class():
    for kind in (torch.float32, torch.float64):
        for scores in (
            torch.tensor([k * 0.2 for k in range(11)], dtype=kind),
            torch.tensor([k / 5 for k in range(11)], dtype=kind),
            torch.arange(11, dtype=kind) / 10 * 2,
            torch.nextafter(torch.arange(11, dtype=kind) / 5, torch.tensor(-1.0, dtype=kind)),
        ):
            assert score_classes(scores).tolist() == list(range(11))


def test_floor_and_nearest_and_what_lies_outside():
    scores = torch.tensor([-0.3, 0.0, 0.19, 0.3, 1.85, 1.95, 2.0, 2.4])
    assert score_classes(scores).tolist() == [0, 0, 0, 1, 9, 9, 10, 10]
    assert score_classes(scores, class_rule="nearest").tolist() == [0, 0, 1, 2, 9, 10, 10, 10]


def test_other_scales():
    assert class_number(0.5, (1.0, 5.0)) == 9
    found = score_classes(torch.tensor([0.0, 1.0, 2.2, 5.0, 9.0]), 0.5, (1.0, 5.0))
    assert found.tolist() == [0, 0, 2, 8, 8]
    with pytest.raises(ValueError, match="do not divide"):
        class_number(0.3, (0.0, 2.0))


def test_public_code_misplaces_labels_and_overwrites_counts():
    """0.6 / 0.2 and 1.2 / 0.2 and 1.4 / 0.2 in single precision, found by hand."""
    labels = torch.tensor([0.4] * 3 + [0.6] * 5 + [2.0] * 4)
    places = (torch.tensor([0.4, 0.6, 2.0]) / 0.2).long().tolist()
    expected = np.zeros(11)
    for place, number in zip(places, (3, 5, 4), strict=True):
        expected[place] = number
    assert class_counts(labels, variant="code").tolist() == expected.tolist()
    assert class_counts(labels).tolist() == [0, 0, 3, 5, 0, 0, 0, 0, 0, 0, 4]
    outside = torch.tensor([-1.0, 0.0, 2.1, 1.99])
    assert score_classes(outside, variant="code").tolist() == [0, 0, 0, 9]


@pytest.mark.parametrize("beta", TABLE_3)
def test_weights_by_hand(beta):
    counts = torch.tensor([0, 1, 2, 30])
    found = effective_weights(counts, beta)
    by_hand = [1.0, *((1 - beta) / (1 - beta**n) for n in (1, 2, 30))]
    assert found.tolist() == pytest.approx(by_hand)
    with pytest.raises(ValueError, match="beta"):
        effective_weights(counts, 1.0)


@pytest.mark.parametrize("beta", TABLE_3)
def test_table_3_of_the_paper(beta, real_data):
    """The paper's averages are those over the 11 classes and an empty twelfth."""
    path = real_data / "speechocean762" / "resource" / "scores.json"
    words = [w for u in json.loads(path.read_text()).values() for w in u["words"]]
    labels = torch.tensor([float(a) for w in words for a in w["phones-accuracy"]])
    weights = effective_weights(class_counts(labels), beta)
    published, average = TABLE_3[beta]
    assert (weights.sum() + 1).item() / 12 == pytest.approx(published, abs=6e-4)
    assert weights.mean().item() == pytest.approx(average, abs=6e-5 if average < 0.02 else 6e-4)


def test_ranks_average_ties_and_favour_the_rare():
    scipy = pytest.importorskip("scipy.stats")
    counts = np.array([0, 0, 5, 3, 3, 3, 7, 100, 1, 20, 9])
    expected = 1 / (scipy.rankdata(counts, method="average") / len(counts))
    found = rank_weights(torch.tensor(counts))
    assert np.allclose(found.numpy(), expected)
    assert found.argmin() == counts.argmax()


def plain(predictions, labels, counts, beta, target="prediction", reduction="gopt"):
    """A loop over samples, as the paper writes it."""
    by_level: dict[str, list[float]] = {}
    for name, predicted in predictions.items():
        total, n = 0.0, 0
        for p, y in zip(predicted.flatten().tolist(), labels[name].flatten().tolist(), strict=True):
            if math.isnan(y):
                continue
            of = min(max(p if target == "prediction" else y, 0.0), 2.0)
            c = counts[name][int(round(of / 0.2 * 1000) // 1000)].item()
            total += ((1 - beta) / (1 - beta**c) if c else 1.0) * (p - y) ** 2
            n += 1
        by_level.setdefault(name.partition("_")[0], []).append(total / n if n else 0.0)
    if reduction == "sum":
        return sum(map(sum, by_level.values()))
    return sum(sum(terms) / len(terms) for terms in by_level.values())


@pytest.fixture
def scored():
    torch.manual_seed(3)
    names = ("phone_accuracy", "word_accuracy", "word_stress", "utterance_total")
    labels = {name: torch.randint(0, 11, (4, 6)) / 5 for name in names}
    labels["word_stress"][0, :3] = float("nan")
    counts = {name: class_counts(value) for name, value in labels.items()}
    predictions = {name: torch.randn(4, 6) * 0.7 + 1.2 for name in names}
    return predictions, labels, counts


@pytest.mark.parametrize("target", ["prediction", "label"])
@pytest.mark.parametrize("reduction", ["gopt", "sum"])
def test_against_a_loop(scored, target, reduction):
    predictions, labels, counts = scored
    loss = ScoreBalancedLoss(counts, beta=0.8, target=target, reduction=reduction)
    expected = plain(predictions, labels, counts, 0.8, target, reduction)
    assert loss(predictions, labels).item() == pytest.approx(expected, rel=1e-5)


def test_weights_carry_no_gradient(scored):
    predictions, labels, counts = scored
    predicted = predictions["word_accuracy"].clone().requires_grad_()
    loss = ScoreBalancedLoss(counts, weighting="rank")
    loss({"word_accuracy": predicted}, labels).backward()
    weight = loss.weights(("word_accuracy",), predicted[..., None], labels["word_accuracy"])
    by_hand = 2 * weight[..., 0] * (predicted - labels["word_accuracy"]) / predicted.numel()
    assert torch.allclose(predicted.grad, by_hand.detach())


@pytest.mark.parametrize("balanced", [False, True])
def test_leading_dimensions_and_masks(scored, balanced):
    predictions, labels, counts = scored
    loss = ScoreBalancedLoss(counts) if balanced else MultiAspectMSE()
    together = loss(predictions, labels, keep=1)
    for k in range(4):
        alone = loss(
            {name: value[k] for name, value in predictions.items()},
            {name: value[k] for name, value in labels.items()},
        )
        assert together[k].item() == pytest.approx(alone.item(), rel=1e-6)
    mask = {name: torch.arange(6).expand(4, 6) < 4 for name in labels}
    cut = loss(
        {name: value[:, :4] for name, value in predictions.items()},
        {name: value[:, :4] for name, value in labels.items()},
    )
    assert loss(predictions, labels, mask).item() == pytest.approx(cut.item(), rel=1e-6)


def test_mse_equals_torch_and_no_labels_give_zero():
    predicted, wanted = torch.rand(7), torch.rand(7)
    one = MultiAspectMSE()({"phone_accuracy": predicted}, {"phone_accuracy": wanted})
    assert one.item() == pytest.approx(torch.nn.functional.mse_loss(predicted, wanted).item())
    nothing = torch.full((7,), float("nan"))
    leaf = predicted.clone().requires_grad_()
    none = MultiAspectMSE()({"phone_accuracy": leaf}, {"phone_accuracy": nothing})
    none.backward()
    assert none.item() == 0 and leaf.grad.eq(0).all()


def test_wrong_use():
    with pytest.raises(ValueError, match="one of num, rank; given 'both'"):
        ScoreBalancedLoss({}, weighting="both")
    with pytest.raises(ValueError, match="expected 11 counts"):
        ScoreBalancedLoss({"phone_accuracy": torch.zeros(5)})
    loss = ScoreBalancedLoss({"phone_accuracy": torch.zeros(11)})
    with pytest.raises(ValueError, match="no class counts of 'word_total'"):
        loss({"word_total": torch.ones(2)}, {"word_total": torch.ones(2)})
    with pytest.raises(ValueError, match="no labels of"):
        loss({"phone_accuracy": torch.ones(2)}, {})


def test_importing_the_losses_pulls_in_no_training_framework():
    code = (
        "import sys; import speechkit.pronunciation.loss; "
        "print([m for m in ('lightning', 'pandas', 'scipy', 'torchaudio') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_weights_of_mean_one_keep_the_size_of_the_loss():
    """Weights .1 and .154 of 90 and 10 labels have the mean .105."""
    labels = torch.tensor([0.0] * 90 + [1.0] * 10)
    counts = {"word_stress": class_counts(labels, 1.0)}
    options = {"weighting": "num", "beta": 0.9, "width": 1.0, "target": "label"}
    free = ScoreBalancedLoss(counts, **options)
    one = ScoreBalancedLoss(counts, **options, mean_weight="one")
    weights = [(1 - 0.9) / (1 - 0.9**n) for n in (90, 10)]
    mean = (90 * weights[0] + 10 * weights[1]) / 100
    predictions = {"word_stress": torch.linspace(0, 2, 100)}
    wanted = free(predictions, {"word_stress": labels}) / mean
    torch.testing.assert_close(one(predictions, {"word_stress": labels}), wanted)
    errors = {"word_stress": labels + 0.5}  # each by the same amount: as without weights
    plain = MultiAspectMSE()(errors, {"word_stress": labels})
    torch.testing.assert_close(one(errors, {"word_stress": labels}), plain)
    with pytest.raises(ValueError, match="mean_weight"):
        ScoreBalancedLoss(counts, mean_weight="two")
    nobody = {"word_stress": torch.zeros(3)}
    assert torch.isfinite(ScoreBalancedLoss(nobody, **options, mean_weight="one").tables).all()
