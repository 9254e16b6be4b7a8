"""Substitutions and deletions against torch's CTC loss of each changed sequence."""

from __future__ import annotations

from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from speechkit.acoustic.interface import Evidence
from speechkit.base.errors import UserError
from speechkit.labels.phones import ARPABET
from speechkit.phone_features.ctc_gop import COLUMNS, ctc_features, phone_emissions
from speechkit.phone_features.sequence_scores import sequence_scores


def ctc_log_likelihood(emissions: np.ndarray, sequence: list[int]) -> float:
    frames = len(emissions)
    if not sequence:
        return float(emissions[:, 0].sum())
    loss = torch.nn.functional.ctc_loss(
        torch.from_numpy(emissions)[:, None],
        torch.tensor([sequence]),
        torch.tensor([frames]),
        torch.tensor([len(sequence)]),
        reduction="none",
    )
    return -float(loss)


def heard(logs: np.ndarray, labels: list[str], blank: int | None = None):
    """A model of these labels, and what it hears."""
    model = SimpleNamespace(labels=labels, blank=blank, name="fake")
    return model, Evidence(torch.from_numpy(logs), torch.from_numpy(logs))


def random_emissions(frames: int, labels: int, sharpness: float, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (
        torch.from_numpy(sharpness * rng.standard_normal((frames, labels + 1)))
        .log_softmax(-1)
        .numpy()
    )


@pytest.mark.parametrize(
    ("sequence", "frames", "sharpness"),
    [
        ([1, 2, 3, 2, 4], 23, 1.0),
        ([2, 2, 1, 1, 1, 3], 30, 4.0),  # equal neighbours: a blank must stand between them
        ([5, 1, 5], 6, 20.0),  # peaky, and hardly any room
        ([3], 4, 1.0),
        ([1, 2], 2, 1.0),  # not one frame to spare: no blank fits
    ],
)
def test_equal_to_ctc_loss_of_every_changed_sequence(sequence, frames, sharpness):
    emissions = random_emissions(frames, 5, sharpness, seed=len(sequence))
    scores = sequence_scores(emissions, np.array(sequence), "ctc")
    assert scores.total == pytest.approx(ctc_log_likelihood(emissions, sequence), rel=1e-9)
    for i in range(len(sequence)):
        shorter = [*sequence[:i], *sequence[i + 1 :]]
        assert scores.deletions[i] == pytest.approx(
            ctc_log_likelihood(emissions, shorter), rel=1e-9
        )
        for label in range(1, 6):
            changed = [*sequence[:i], label, *sequence[i + 1 :]]
            expected = ctc_log_likelihood(emissions, changed)
            assert scores.substitutions[i, label - 1] == pytest.approx(expected, rel=1e-9)


def test_of_a_long_peaky_recording():
    rng = np.random.default_rng(5)
    sequence = rng.integers(1, 40, 40)
    emissions = random_emissions(400, 39, 8.0, seed=5)
    scores = sequence_scores(emissions, sequence, "ctc")
    assert scores.substitutions[np.arange(40), sequence - 1] == pytest.approx(scores.total)
    for i, label in ((0, 7), (17, int(sequence[16])), (39, 1)):
        changed = sequence.copy()
        changed[i] = label
        expected = ctc_log_likelihood(emissions, changed.tolist())
        assert scores.substitutions[i, label - 1] == pytest.approx(expected, rel=1e-9)


def test_occupancy_is_the_derivative_of_the_likelihood():
    emissions = random_emissions(15, 4, 2.0, seed=1)
    sequence = [1, 3, 4]  # every label once, so that its posterior is that of its position
    logs = torch.from_numpy(emissions).requires_grad_()
    states = torch.tensor([0, 1, 0, 3, 0, 4, 0])
    alpha = torch.full((7,), -torch.inf, dtype=torch.double)
    alpha[0] = 0.0
    for frame in logs:
        stay = [alpha, torch.cat([alpha.new_tensor([-torch.inf]), alpha[:-1]])]
        skip = torch.cat([alpha.new_full((2,), -torch.inf), alpha[:-2]])
        skip = torch.where((torch.arange(7) % 2 == 1) & (torch.arange(7) > 1), skip, -torch.inf)
        finite = torch.stack([*stay, skip]).clamp(min=-1e30)
        alpha = torch.logsumexp(finite, 0) + frame[states]
    torch.logsumexp(alpha[-2:], 0).backward()
    expected = logs.grad[:, [1, 3, 4]].sum(0).numpy()
    occupancy = sequence_scores(emissions, np.array(sequence), "ctc").occupancy
    assert occupancy == pytest.approx(expected, rel=1e-9)


def enumerate_hmm(emissions: np.ndarray, sequence: list[int]) -> float:
    """Sum over all monotone paths: phones in order, silence allowed between any two."""
    states = [0]
    for label in sequence:
        states += [label, 0]
    total = -np.inf
    for path in product(range(len(states)), repeat=len(emissions)):
        steps = [b - a for a, b in zip((0, *path), path, strict=False)]
        good = path[0] <= 1 and path[-1] >= len(states) - 2 and min(steps) >= 0
        good = good and all(
            step < 2 or (step == 2 and state % 2 == 1)
            for step, state in zip(steps, path, strict=True)
        )
        if good:
            log = sum(emissions[t, states[s]] for t, s in enumerate(path))
            total = np.logaddexp(total, log)
    return total


def test_hmm_is_the_sum_over_all_paths():
    emissions = random_emissions(6, 3, 2.0, seed=3)
    sequence = [2, 2, 1]
    scores = sequence_scores(emissions, np.array(sequence), "hmm")
    assert scores.total == pytest.approx(enumerate_hmm(emissions, sequence))
    for i in range(3):
        shorter = [*sequence[:i], *sequence[i + 1 :]]
        assert scores.deletions[i] == pytest.approx(enumerate_hmm(emissions, shorter))
        for label in (1, 2, 3):
            changed = [*sequence[:i], label, *sequence[i + 1 :]]
            expected = enumerate_hmm(emissions, changed)
            assert scores.substitutions[i, label - 1] == pytest.approx(expected)


def test_features_favour_what_was_said():
    labels = ["<blank>", *ARPABET]
    logs = np.full((9, 40), -8.0)
    said = ["K", "AE", "T"]
    for t, label in enumerate(["", "K", "", "", "EH", "EH", "", "T", ""]):
        logs[t, labels.index(label) if label else 0] = 0.0
    logs = torch.from_numpy(logs).log_softmax(-1).numpy()
    features, posterior, gop = ctc_features(*heard(logs, labels, blank=0), said)
    assert features.shape == (3, len(COLUMNS))
    assert ARPABET[features[1, 2:41].argmin()] == "EH"
    assert gop[0] == gop[2] == 0 and gop[1] < -4
    assert posterior[1] < -4 < posterior[0] <= 0
    assert features[:, 2 + ARPABET.index("K")][0] == pytest.approx(0)
    assert features[[0, 2], -1] == pytest.approx(np.log(1.1), abs=0.1)


def test_a_phone_that_the_model_lacks_has_a_column_of_zeros():
    labels = ["SIL", *(p for p in ARPABET if p != "ZH")]
    logs = random_emissions(20, 38, 2.0, seed=0)
    features, _, _ = ctc_features(*heard(logs, labels), ["K", "AE"])
    assert not features[:, COLUMNS.index("sub_ZH")].any()
    assert np.isfinite(features).all()


def test_labels_are_summed_and_noise_is_no_phone():
    logs = np.log([[0.1, 0.2, 0.3, 0.4], [0.4, 0.3, 0.2, 0.1]])
    emissions = phone_emissions(logs, ["<pad>", "AA0", "AA1", "+NSN+"], blank=0)
    assert np.exp(emissions[:, :2]) == pytest.approx(np.array([[0.5, 0.5], [0.5, 0.5]]))


@pytest.mark.parametrize("topology", ["ctc", "hmm"])
def test_too_few_frames(topology):
    with pytest.raises(UserError, match="3 frames are too few for 4 phones"):
        sequence_scores(random_emissions(3, 4, 1.0, 0), np.array([1, 2, 3, 4]), topology)
