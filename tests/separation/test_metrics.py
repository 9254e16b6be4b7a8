"""SI-SNRi and SDR against torchmetrics, sample by sample; hard sample rates by hand."""

import numpy as np
import pytest
import torch
from torchmetrics.functional.audio import (
    permutation_invariant_training,
    scale_invariant_signal_noise_ratio,
    signal_distortion_ratio,
)

from speechkit.separation.metrics import hsr, score, sdr, silent


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def mixed_up(speakers, lengths, seed=0):
    """Sources, mixtures, and estimates of mixed quality in another order."""
    longest = max(lengths)
    place = torch.arange(longest) < torch.tensor(lengths)[:, None]
    sources = noise(len(lengths), speakers, longest, seed=seed) * place[:, None]
    level = torch.linspace(0.1, 2, len(lengths))[:, None, None]
    wrong = noise(len(lengths), speakers, longest, seed=seed + 1)
    estimates = (sources.roll(1, dims=1) + level * wrong) * place[:, None]
    return sources, sources.sum(1), estimates


@pytest.mark.parametrize("speakers", [2, 3])
def test_score_is_that_of_torchmetrics_for_each_mixture_alone(speakers):
    lengths = [600, 431, 512]
    sources, mixtures, estimates = mixed_up(speakers, lengths)
    found = score(estimates, sources, mixtures, torch.tensor(lengths))
    for i, n in enumerate(lengths):
        own, mixture = sources[i : i + 1, :, :n], mixtures[i, :n]
        best, order = permutation_invariant_training(
            estimates[i : i + 1, :, :n],
            own,
            scale_invariant_signal_noise_ratio,
            mode="speaker-wise",
            eval_func="max",
        )
        before = scale_invariant_signal_noise_ratio(mixture.expand_as(own[0]), own[0]).mean()
        assert float(found.si_snr_db[i]) == pytest.approx(float(best), abs=1e-3)
        assert float(found.si_snri_db[i]) == pytest.approx(float(best - before), abs=1e-3)
        assert found.order[i].tolist() == order[0].tolist()


def test_a_silent_source_makes_the_mixture_undefined():
    sources, _, estimates = mixed_up(2, [300, 300, 300])
    sources[0, 1] = 0
    sources[1, 0] = 0.25  # a constant has no SI-SNR either
    found = score(estimates, sources, sources.sum(1))
    assert found.si_snr_db.isnan().tolist() == [True, True, False]
    assert found.si_snri_db.isnan().tolist() == [True, True, False]
    assert silent(sources).tolist() == [[False, True], [True, False], [False, False]]


def test_padding_does_not_make_a_source_sound():
    source = torch.zeros(1, 1, 1000)
    source[..., :100] = 0.1
    assert bool(silent(source, torch.tensor([100])))
    assert not bool(silent(source))


def filtered(signal, taps):
    kernel = torch.tensor(taps)[None, None]
    padded = torch.nn.functional.pad(signal.reshape(-1, 1, signal.shape[-1]), (len(taps) - 1, 0))
    return torch.nn.functional.conv1d(padded, kernel).reshape(signal.shape)


def test_sdr_is_that_of_torchmetrics(numpy_solve):
    target = filtered(noise(3, 4000), [0.3, -0.5, 0.9, 1.0])
    echo = filtered(target, [0.2, 0.0, 0.4, 0.0, -0.6])
    estimates = torch.stack([echo + s * noise(3, 4000, seed=1) for s in (0.01, 0.5, 5.0)], dim=1)
    found = sdr(estimates, target)
    for e in range(3):
        expected = signal_distortion_ratio(estimates[:, e].double(), target.double())
        assert torch.allclose(found[:, e], expected, atol=1e-6)
    assert float(found[:, 0].min()) > 30  # the echo is allowed; SI-SNR punishes it
    assert float(scale_invariant_signal_noise_ratio(estimates[:, 0], target).max()) < 10


def test_zeros_at_the_end_do_not_change_sdr():
    target, estimate = noise(1, 1500), noise(1, 1, 1500, seed=1)
    padded = [torch.nn.functional.pad(x, (0, 700)) for x in (estimate, target)]
    assert torch.allclose(sdr(*padded), sdr(estimate, target), atol=1e-9)


def test_sdr_of_band_limited_and_of_silent_signals():
    time = torch.arange(4000) / 8000
    tones = torch.stack([torch.sin(2 * torch.pi * f * time) for f in (200.0, 330.0)]).sum(0)[None]
    target = torch.cat([tones, torch.zeros(1, 4000)])
    estimates = target[:, None] + 0.01 * noise(2, 1, 4000)
    estimates = torch.cat([estimates, torch.zeros_like(estimates)], dim=1)
    found = sdr(estimates, target)
    assert 35 < float(found[0, 0]) < 60  # two tones of power 0.5, noise of 1e-4: 40 dB and more
    assert found.isnan().tolist() == [[False, True], [True, True]]


def test_hsr_counts_what_is_strictly_below():
    values = np.array([4.999, 5.0, 5.001, -3.0, 12.0])
    assert hsr(values, 5.0) == pytest.approx(40.0)
    assert hsr(values, 12.0) == pytest.approx(80.0)
    assert hsr(values, -10.0) == 0.0
