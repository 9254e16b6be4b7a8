"""Resampling: small kernels as torchaudio has them, all other rates exact and without memory."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
import torchaudio

from speechkit.base import audio, resampler
from speechkit.base.errors import AudioError
from speechkit.base.resampler import resample_blocks

USUAL = (8000, 11025, 16000, 22050, 24000, 32000, 44100, 48000, 96000)
ODD = [(7999, 16000), (16000, 7999), (44101, 16000), (96001, 16000), (192001, 8000),
       (655351, 16000), (44100, 48001), (1009, 16000)]  # fmt: skip


def tones(rate: int, count: int, highest: float) -> np.ndarray:
    """Eight tones under a bell: no energy above ``highest`` Hz, none at the ends."""
    time = np.arange(count) / rate
    bell = np.exp(-0.5 * ((time - 0.25) / 0.03) ** 2)
    draw = np.random.default_rng(4)
    waves = zip(draw.uniform(0.01, 1, 8), draw.uniform(0, 6, 8), strict=True)
    return bell * sum(np.sin(2 * np.pi * share * highest * time + at) for share, at in waves) / 8


@pytest.mark.parametrize(("rate", "new_rate"), ODD)
def test_odd_rates_agree_with_the_signal_itself(rate: int, new_rate: int) -> None:
    """Against the formula of the signal at the new rate, 80 dB and more below it."""
    assert not resampler.has_small_kernel(rate, new_rate)
    highest = 0.7 * min(rate, new_rate) / 2
    given = tones(rate, rate // 2, highest).astype(np.float32)
    found = audio.resample(given, rate, new_rate)
    assert found.dtype == np.float32 and len(found) == math.ceil(len(given) * new_rate / rate)
    wanted = tones(new_rate, len(found), highest)
    error = np.mean((found - wanted) ** 2) / np.mean(wanted**2)
    assert 10 * np.log10(error) < -80


@pytest.mark.parametrize("length", [0, 1, 5, 8013, 50021])
@pytest.mark.parametrize(("rate", "new_rate"), [(7999, 16000), (96001, 16000)])
def test_odd_rates_by_blocks_are_the_whole(rate: int, new_rate: int, length: int) -> None:
    noise = np.random.default_rng(1).standard_normal((2, length)).astype(np.float32)
    whole = audio.resample(noise, rate, new_rate)
    assert whole.shape == (2, math.ceil(length * new_rate / rate))
    cuts = np.sort(np.random.default_rng(2).integers(0, length + 1, 40))
    joined = list(resample_blocks(np.split(noise, cuts, axis=1), rate, new_rate))
    np.testing.assert_array_equal(np.concatenate(joined, axis=1), whole)
    np.testing.assert_array_equal(audio.resample(noise[1], rate, new_rate), whole[1])


def test_usual_rates_are_torchaudios_to_the_byte() -> None:
    noise = torch.from_numpy(np.random.default_rng(3).standard_normal(700).astype(np.float32))
    for rate, new_rate in itertools.permutations(USUAL, 2):
        wanted = torchaudio.transforms.Resample(rate, new_rate)(noise).numpy()
        assert audio.resample(noise.numpy(), rate, new_rate).tobytes() == wanted.tobytes()
    for factor, ratio in ((0.9, (9, 10)), (1.1, (11, 10)), (1.05, (21, 20))):
        wanted = torchaudio.transforms.Resample(*ratio)(noise).numpy()
        assert audio.change_speed(noise.numpy(), factor).tobytes() == wanted.tobytes()


def test_kernels_are_bounded_by_bytes() -> None:
    """What is said of a kernel's size holds, and no kernel is made above the bound."""
    draw = np.random.default_rng(5)
    pairs = {
        *itertools.permutations(USUAL, 2),
        *map(tuple, draw.integers(1, 700, (40, 2)).tolist()),
    }
    for rate, new_rate in pairs:
        made = getattr(torchaudio.transforms.Resample(rate, new_rate), "kernel", torch.zeros(0))
        size = made.numel() * made.element_size()
        assert resampler.has_small_kernel(rate, new_rate) == (size <= resampler.KERNEL_BYTES)
    before = resampler.kernel.cache_info()
    audio.resample(np.zeros(100, np.float32), 16000, 7999)
    assert resampler.kernel.cache_info() == before
    assert before.maxsize is not None and before.maxsize * resampler.KERNEL_BYTES <= 2**27


@pytest.mark.parametrize("rate", [-5, 0, 1, 999, 10_000_001])
def test_absurd_rates_are_refused(rate: int) -> None:
    samples = np.zeros(10, np.float32)
    for pair in ((rate, 16000), (16000, rate)):
        with pytest.raises(AudioError, match="cannot be resampled") as error:
            audio.resample(samples, *pair)
        assert "1,000 to 10,000,000 Hz" in error.value.remedy
        with pytest.raises(AudioError, match="cannot be resampled"):
            list(resample_blocks([samples], *pair))
    assert audio.resample(samples, rate, rate) is samples


@pytest.mark.parametrize("factor", [0.0, -1.0, 0.001, 1e9, math.nan])
def test_absurd_speeds_are_refused(factor: float) -> None:
    with pytest.raises(AudioError, match="times as fast"):
        audio.change_speed(np.zeros(10, np.float32), factor)
