"""SI-SNR, PIT and the rank-weighted loss against torchmetrics, brute force and Eqs. 3 and 4."""

import math
from itertools import permutations

import pytest
import torch
from torchmetrics.functional.audio import (
    permutation_invariant_training,
    scale_invariant_signal_noise_ratio,
)

from speechkit.separation.loss import (
    SISNRLoss,
    WeightedSISNRLoss,
    pairwise_si_snr,
    pit,
    rank_weights,
    reorder,
    si_snr,
)


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def by_hand(estimate, target):
    """The definition, in float64."""
    e, t = (x.double() - x.double().mean() for x in (estimate, target))
    projection = (e @ t) / (t @ t) * t
    return 10 * math.log10(float(projection @ projection) / float((e - projection).square().sum()))


def test_si_snr_is_that_of_torchmetrics():
    estimate, target = noise(4, 3, 500), noise(4, 3, 500, seed=1)
    expected = scale_invariant_signal_noise_ratio(estimate, target)
    assert torch.allclose(si_snr(estimate, target), expected, atol=1e-4)
    pairs = pairwise_si_snr(estimate, target)
    for i in range(3):
        for j in range(3):
            one = scale_invariant_signal_noise_ratio(estimate[:, i], target[:, j])
            assert torch.allclose(pairs[:, i, j], one, atol=1e-4)


@pytest.mark.parametrize("level", [1.0, 1e-3])
@pytest.mark.parametrize("db", [-20, 0, 20, 33, 36, 40, 60, 80])
def test_float32_is_exact_enough_up_to_80_db(db, level):
    target = level * noise(8000)
    estimate = 0.7 * (target + 10 ** (-db / 20) * level * noise(8000, seed=1))
    expected = by_hand(estimate, target)
    assert abs(expected - db) < (2 if db < 0 else 0.3)
    assert float(si_snr(estimate, target)) == pytest.approx(expected, abs=0.01)
    pairs = pairwise_si_snr(estimate[None, None], target[None, None])
    assert float(pairs) == pytest.approx(expected, abs=0.01)


def test_gradients_agree_where_the_computation_switches():
    """The residual is used above about 35 dB, dot products below."""
    target = noise(1, 1, 4000)
    for db in (30, 50):
        estimate = (target + 10 ** (-db / 20) * noise(1, 1, 4000, seed=2)).requires_grad_()
        pairwise_si_snr(estimate, target).sum().backward()
        double = estimate.detach().double().requires_grad_()
        si_snr(double, target.double()).sum().backward()
        cosine = torch.nn.functional.cosine_similarity(
            estimate.grad.flatten(), double.grad.flatten().float(), dim=0
        )
        assert float(cosine) > 0.999
        assert float(estimate.grad.norm()) == pytest.approx(float(double.grad.norm()), rel=0.01)


@pytest.mark.parametrize("offset", [0.0, 0.05, 3.0])
@pytest.mark.parametrize("lengths", [None, [300, 220, 400]])
def test_values_and_gradients_are_those_of_the_definition(offset, lengths):
    """Products instead of differences, offsets and padding: against autograd on the formula."""
    lengths = None if lengths is None else torch.tensor(lengths)
    own, other = noise(3, 2, 400) + offset, noise(3, 3, 400, seed=1) - offset
    pairs = [tuple(x.clone().requires_grad_() for x in (own, other)) for _ in range(2)]
    found = pairwise_si_snr(*pairs[0], lengths)
    by_row = None if lengths is None else lengths[:, None].expand(3, 2)
    columns = [
        si_snr(pairs[1][0], pairs[1][1][:, j : j + 1].expand(3, 2, 400), by_row) for j in range(3)
    ]
    expected = torch.stack(columns, dim=2)
    assert torch.allclose(found, expected, atol=2e-3)
    weights = noise(3, 2, 3, seed=5)
    (found * weights).sum().backward()
    (expected * weights).sum().backward()
    for a, b in zip(*pairs, strict=True):
        assert torch.allclose(a.grad, b.grad, atol=1e-4, rtol=1e-3)


def test_autocast_does_not_reach_the_loss():
    target = noise(2, 2, 4000)
    estimate = target + 0.01 * noise(2, 2, 4000, seed=1)
    with torch.autocast("cpu", torch.bfloat16):
        found = pairwise_si_snr(estimate, target)
    assert torch.equal(found, pairwise_si_snr(estimate, target))


def test_padding_changes_nothing():
    estimates, targets = noise(3, 2, 400), noise(3, 2, 400, seed=1)
    lengths = torch.tensor([400, 250, 300])
    padded = pairwise_si_snr(
        torch.nn.functional.pad(estimates, (0, 50), value=9.0),
        torch.nn.functional.pad(targets, (0, 50), value=-3.0),
        lengths,
    )
    for i, length in enumerate(lengths.tolist()):
        alone = pairwise_si_snr(estimates[i : i + 1, :, :length], targets[i : i + 1, :, :length])
        assert torch.allclose(padded[i], alone[0], atol=1e-4)


@pytest.mark.parametrize("sources", [2, 3, 4, 5])
def test_pit_finds_the_best_permutation(sources):
    pairs = noise(20, sources, sources)
    best, order = pit(pairs)
    for i in range(20):
        means = {
            p: sum(float(pairs[i, e, t]) for t, e in enumerate(p)) / sources
            for p in permutations(range(sources))
        }
        assert float(best[i]) == pytest.approx(max(means.values()), abs=1e-5)
        assert means[tuple(order[i].tolist())] == pytest.approx(max(means.values()), abs=1e-5)


@pytest.mark.parametrize("sources", [2, 3])
def test_the_loss_is_that_of_torchmetrics_and_reorder_sorts(sources):
    estimates, targets = noise(5, sources, 300), noise(5, sources, 300, seed=1)
    expected, _ = permutation_invariant_training(
        estimates, targets, scale_invariant_signal_noise_ratio
    )
    assert float(SISNRLoss()(estimates, targets)) == pytest.approx(
        -float(expected.mean()), abs=1e-4
    )
    mixed_up = targets.flip(1) + 0.01 * estimates
    _, order = pit(pairwise_si_snr(mixed_up, targets))
    assert torch.allclose(reorder(mixed_up, order), targets, atol=0.1)


def test_rank_weights_are_eq_4():
    values = torch.tensor([3.0, 10.0, -2.0, 5.0])
    # sorted descending: 10, 5, 3, -2 with i = 1, 2, 3, 4, divided by 10
    assert torch.allclose(rank_weights(values), torch.tensor([0.3, 0.1, 0.4, 0.2]))


def test_weighted_loss_is_eq_3_and_leans_to_the_worst():
    targets = noise(4, 2, 500)
    levels = torch.tensor([0.1, 0.5, 1.0, 2.0])[:, None, None]
    estimates = (targets + levels * noise(4, 2, 500, seed=1)).requires_grad_()
    each = pit(pairwise_si_snr(estimates, targets))[0].detach()  # falls with the level
    by_rank = sum(w * float(v) for w, v in zip((0.1, 0.2, 0.3, 0.4), each, strict=True))
    loss = WeightedSISNRLoss()(estimates, targets)
    assert loss.item() == pytest.approx(-by_rank, abs=1e-4)
    assert loss.item() > SISNRLoss()(estimates, targets).item()
    loss.backward()
    plain = estimates.detach().clone().requires_grad_()
    SISNRLoss()(plain, targets).backward()
    ratio = estimates.grad.flatten(1).norm(dim=1) / plain.grad.flatten(1).norm(dim=1)
    assert torch.allclose(ratio, 4 * torch.tensor([0.1, 0.2, 0.3, 0.4]), rtol=1e-3)


def test_one_mixture_has_nothing_to_rank():
    estimates, targets = noise(1, 2, 300), noise(1, 2, 300, seed=1)
    assert torch.allclose(
        WeightedSISNRLoss()(estimates, targets), SISNRLoss()(estimates, targets), atol=1e-6
    )


def test_silence_gives_finite_losses_and_gradients():
    targets = noise(2, 2, 300)
    targets[0, 1] = 0
    for start in (noise(2, 2, 300, seed=3), torch.zeros(2, 2, 300)):
        estimates = start.clone().requires_grad_()
        loss = SISNRLoss()(estimates, targets)
        loss.backward()
        assert torch.isfinite(loss) and torch.isfinite(estimates.grad).all()
