"""Log mel features against torchaudio's copy of Kaldi."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torchaudio

from speechkit.acoustic.features import FeatureConfig, count_frames, frame_centres, log_mel
from speechkit.base import audio
from speechkit.base.errors import UserError


def noise(samples: int, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(samples)).astype(np.float32)


@pytest.mark.parametrize("rate", [16_000, 8_000])
def test_same_as_kaldi(rate: int) -> None:
    wave, config = noise(rate), FeatureConfig(rate)
    kaldi = torchaudio.compliance.kaldi.fbank(
        torch.from_numpy(wave)[None] * 32768,
        sample_frequency=rate,
        num_mel_bins=40,
        low_freq=20,
        high_freq=0.475 * rate,
        window_type="hamming",
        dither=0,
    )
    ours = log_mel(wave, config)
    assert len(ours) == len(kaldi) + 1  # Kaldi leaves out the frame that is not full
    kaldi = kaldi - kaldi.mean(0)
    inner = ours[:-1] - ours[:-1].mean(0)
    torch.testing.assert_close(inner, kaldi, rtol=0, atol=2e-3)


def test_frames_at_every_length() -> None:
    config = FeatureConfig()
    for samples in (400, 401, 559, 560, 561, 720, 16_000):
        frames = len(log_mel(noise(samples), config))
        assert frames == count_frames(samples, config) == 1 + -(-(samples - 400) // 160)
    assert frame_centres(3, config) == pytest.approx([0.0125, 0.0225, 0.0325])


def test_too_short_for_a_frame() -> None:
    with pytest.raises(UserError, match="less than one frame"):
        log_mel(noise(399), FeatureConfig())
    assert torch.isfinite(log_mel(noise(400), FeatureConfig(normalise="mean-variance"))).all()


def test_silence_is_finite_and_normalised() -> None:
    features = log_mel(np.zeros(8000, np.float32), FeatureConfig(normalise="mean-variance"))
    assert (features == 0).all()


def test_normalisation() -> None:
    wave = noise(16_000)
    mean = log_mel(wave, FeatureConfig())
    both = log_mel(wave, FeatureConfig(normalise="mean-variance"))
    torch.testing.assert_close(mean.mean(0), torch.zeros(40), atol=1e-4, rtol=0)
    torch.testing.assert_close(both.std(0, correction=0), torch.ones(40), atol=1e-4, rtol=0)
    # the level of the recording does not matter
    torch.testing.assert_close(log_mel(0.1 * wave, FeatureConfig()), mean, atol=5e-3, rtol=0)


@pytest.mark.parametrize("normalise", ["mean", "mean-variance"])
def test_what_nobody_recorded_does_not_count(normalise: str) -> None:
    """Seconds of zeros around speech, as of noise gates, leave the features of the speech."""
    config = FeatureConfig(normalise=normalise)
    wave = noise(16_000) * np.geomspace(0.003, 1, 16_000, dtype=np.float32)
    alone = log_mel(wave, config)
    for offset in (0.0, 0.2):  # the latter a microphone with a constant offset
        zeros = np.zeros(5 * 16_000, np.float32)
        among = log_mel(np.concatenate([zeros, wave, zeros]) + np.float32(offset), config)
        torch.testing.assert_close(among[500:598], alone[:98], atol=0.5, rtol=0)
    short = log_mel(np.concatenate([zeros[:3000], wave]), config)  # a gap as in any recording
    assert (short.mean(0).abs() < 1e-4).all()


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    wave = noise(16_000)
    whole = log_mel(wave, FeatureConfig())
    monkeypatch.setattr("speechkit.acoustic.features._BLOCK", 7)
    torch.testing.assert_close(log_mel(wave, FeatureConfig()), whole)


@pytest.mark.parametrize("speed", [0.9, 1.1])
def test_speed_is_that_of_resampled_audio(speed: float) -> None:
    """Stretched frames and filters give nearly what resampling gives."""
    config = FeatureConfig(high_hz=6500)
    rng = np.random.default_rng(3)
    time = np.arange(32_000) / 16_000
    chirp = np.sin(2 * np.pi * (400 * time + 700 * time**2)) + 0.3 * rng.standard_normal(32_000)
    wave = (0.1 * chirp).astype(np.float32)
    resampled = log_mel(audio.change_speed(wave, speed), config)
    ours = log_mel(wave, config, speed)
    assert abs(len(ours) - len(resampled)) <= 1
    both = min(len(ours), len(resampled)) - 2
    ours, resampled = ours[1:both], resampled[1:both]
    together = torch.corrcoef(torch.stack([ours.flatten(), resampled.flatten()]))[0, 1]
    apart = torch.corrcoef(
        torch.stack([log_mel(wave, config)[1 : both - 150].flatten(), ours[: both - 151].flatten()])
    )[0, 1]
    assert together > 0.97 > apart + 0.1


@pytest.mark.parametrize(
    "settings",
    [
        {"normalise": "median"},
        {"n_mels": 0},
        {"sample_rate": 100},
        {"low_hz": 9000},
        {"high_hz": 9000},
    ],
)
def test_bad_settings(settings: dict) -> None:
    with pytest.raises(UserError):
        FeatureConfig(**settings)
