"""Long signals: blocks against the whole signal, and speakers that keep their places."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import voice

from speechkit.base.errors import UserError
from speechkit.separation.conv_tasnet import ConvTasNet, ConvTasNetConfig
from speechkit.separation.inference import separate_long, separate_stream
from speechkit.separation.loss import si_snr
from speechkit.separation.model_folder import Separator

RATE = 8000


def separator(seed: int = 0, **changes) -> Separator:
    torch.manual_seed(seed)
    config = {"filters": 16, "bottleneck": 8, "skip": 8, "hidden": 8, "blocks": 3, "repeats": 2}
    net = ConvTasNet(ConvTasNetConfig(**{**config, **changes}))
    return Separator(net.eval(), RATE, Path(), "plain")


class Oracle(Separator):
    """Knows the sources ``[S, T]`` and gives them in a random order for every call.

    It finds its place in the signal by the values of the mixture, which are all different.
    """

    def __init__(self, sources: np.ndarray, seed: int = 0, shuffle: bool = True) -> None:
        super().__init__(separator(speakers=len(sources)).net, RATE, Path(), "plain")
        self.sources, self.draw, self.shuffle = sources, np.random.default_rng(seed), shuffle
        self.mixture = sources.sum(0)
        self.starts: list[int] = []
        self.lengths: list[int] = []

    def separate(self, mixture, lengths=None):
        first = mixture[0, :50].numpy()
        places = np.flatnonzero(self.mixture == first[0])
        start = next(int(i) for i in places if (self.mixture[i : i + 50] == first).all())
        self.starts.append(start)
        self.lengths.append(mixture.shape[1])
        found = self.sources[:, start : start + mixture.shape[1]]
        np.testing.assert_array_equal(found.sum(0), mixture[0].numpy())
        order = self.draw.permutation(len(found)) if self.shuffle else range(len(found))
        return torch.from_numpy(found[order])[None]


def speakers(count: int, seconds: float, seed: int = 0) -> np.ndarray:
    """Independent noises ``[count, T]`` with slow envelopes, never both silent."""
    draw = np.random.default_rng(seed)
    time = np.arange(round(seconds * RATE)) / RATE
    envelopes = [0.6 + 0.5 * np.sin(2 * np.pi * time / (3 + k)) for k in range(count)]
    noise = draw.standard_normal((count, len(time)))
    return (0.1 * np.stack(envelopes) * noise).astype(np.float32)


def test_what_fits_a_block_is_separated_whole() -> None:
    model = separator()
    mixture = voice(120, 4.0, RATE)
    whole = model.separate(torch.from_numpy(mixture)[None])[0].numpy()
    np.testing.assert_array_equal(
        separate_long(model, mixture, block_seconds=4, overlap_seconds=1), whole
    )


@pytest.mark.parametrize("count", [2, 3, 4])
@pytest.mark.parametrize("seconds", [20.0, 31.7, 60.0])
def test_speakers_keep_their_places(count: int, seconds: float) -> None:
    sources = speakers(count, seconds)
    oracle = Oracle(sources, seed=count)
    found = separate_long(oracle, sources.sum(0), block_seconds=5, overlap_seconds=1)
    assert found.shape == sources.shape
    assert len(oracle.starts) > 4
    order = [int(np.abs(found[:, :8000] - each[:8000]).sum(1).argmin()) for each in sources]
    np.testing.assert_allclose(found[order], sources, atol=1e-6)  # nowhere swapped, no seam
    # The blocks overlap by a second; the last one is a full one, too.
    assert all(b - a <= 4 * RATE for a, b in zip(oracle.starts, oracle.starts[1:], strict=False))
    assert min(oracle.lengths) >= 5 * RATE


def test_without_tracking_the_speakers_would_be_mixed_up() -> None:
    """The check above can fail: the oracle's orders do differ between blocks."""
    sources = speakers(2, 60)
    oracle = Oracle(sources, seed=2)
    firsts = [
        oracle.separate(torch.from_numpy(sources.sum(0)[None, i : i + 800]))[0, 0, 0].item()
        for i in range(0, 40000, 4000)
    ]
    which = [
        int(first == sources[1, i]) for first, i in zip(firsts, range(0, 40000, 4000), strict=True)
    ]
    assert 0 < sum(which) < len(which)


def test_a_pause_is_bridged_by_a_longer_overlap() -> None:
    """Nobody speaks for 2 s where blocks overlap by 1 s; up to half a block is looked back."""
    sources = speakers(2, 30)
    sources[:, round(3.9 * RATE) : 5 * RATE] *= 1e-4
    for seed in range(6):
        oracle = Oracle(sources, seed=seed)
        found = separate_long(oracle, sources.sum(0), block_seconds=5, overlap_seconds=1)
        assert oracle.starts[1] < 4 * RATE
        order = [int(np.abs(found[:, :8000] - each[:8000]).sum(1).argmin()) for each in sources]
        np.testing.assert_allclose(found[order], sources, atol=1e-6)


def test_after_a_long_pause_the_networks_own_order_goes_on() -> None:
    sources = speakers(2, 30)
    sources[:, 6 * RATE : 24 * RATE] *= 1e-5
    oracle = Oracle(sources, shuffle=False)
    found = separate_long(oracle, sources.sum(0), block_seconds=5, overlap_seconds=1)
    np.testing.assert_allclose(found, sources, atol=1e-6)


@pytest.mark.parametrize("norm", [{"norm": "chLN"}, {"norm": "chLN", "causal": True}])
def test_blocks_change_nothing_where_the_norm_sees_one_frame(norm: dict) -> None:
    """The outer quarter of an overlap is longer than the network's context."""
    model = separator(**norm)
    mixture = np.concatenate([voice(90 + 7 * k, 1.0, RATE, seed=k) for k in range(30)])
    whole = model.separate(torch.from_numpy(mixture)[None])[0].numpy()
    found = separate_long(model, mixture, block_seconds=6, overlap_seconds=1)
    assert np.abs(found - whole).max() < 1e-5 * np.abs(whole).max()


@pytest.mark.parametrize(("norm", "least"), [("cLN", 30.0), ("gLN", 30.0)])
def test_blocks_are_near_the_whole_where_statistics_agree(norm: str, least: float) -> None:
    """Statistics of a block instead of the whole signal: close, not equal (SI-SNR in dB)."""
    model = separator(norm=norm, causal=norm == "cLN")
    mixture = np.random.default_rng(1).standard_normal(60 * RATE).astype(np.float32)
    whole = model.separate(torch.from_numpy(mixture)[None])[0]
    found = torch.from_numpy(separate_long(model, mixture))
    assert (si_snr(found, whole) > least).all()


def test_stream_gives_what_it_has_and_keeps_little() -> None:
    """Ten minutes pass through, while never more than about two blocks are held."""
    sources = speakers(2, 1.0)
    total, handed = 600, 0

    class Identity(Separator):
        def separate(self, mixture, lengths=None):
            return torch.stack([mixture[0], -0.5 * mixture[0]])[None]

    def blocks():
        nonlocal handed
        for _ in range(total):
            handed += RATE
            yield sources[0]

    model = Identity(separator().net, RATE, Path(), "plain")
    given, longest = 0, 0
    for part in separate_stream(model, blocks(), block_seconds=5, overlap_seconds=1):
        given += part.shape[1]
        longest = max(longest, handed - given)
    assert given == total * RATE
    assert longest < 13 * RATE


def test_one_sample_more_than_a_block() -> None:
    model = separator()
    for extra in (1, 7, 8, 9):
        mixture = np.concatenate([voice(120, 4.0, RATE), np.full(extra, 0.01, np.float32)])
        found = separate_long(model, mixture, block_seconds=4, overlap_seconds=1)
        assert found.shape == (2, len(mixture))
        assert np.isfinite(found).all()


def test_silence_and_bad_lengths() -> None:
    model = separator()
    silent = separate_long(model, np.zeros(100000, np.float32), block_seconds=4, overlap_seconds=1)
    assert silent.shape == (2, 100000)
    with pytest.raises(UserError, match="shorter than the encoder"):
        separate_long(model, np.zeros(3, np.float32))
    with pytest.raises(UserError, match="shorter than the encoder"):
        separate_long(model, np.zeros(0, np.float32))
    with pytest.raises(UserError, match="at most half a block"):
        separate_long(model, np.zeros(9, np.float32), block_seconds=6, overlap_seconds=4)
    with pytest.raises(UserError, match="1 to 3600"):
        separate_long(model, np.zeros(9, np.float32), block_seconds=0.1)


def test_offsets_of_the_estimates_do_not_change_the_order() -> None:
    """A network trained on SI-SNR is free in the mean of what it gives."""

    class WithOffsets(Oracle):
        def separate(self, mixture, lengths=None):
            found = super().separate(mixture, lengths)
            return found + torch.from_numpy(self.draw.uniform(-5, 5, (1, 2, 1))).float()

    sources = speakers(2, 30)
    found = separate_long(WithOffsets(sources), sources.sum(0), block_seconds=4, overlap_seconds=1)
    heard = np.diff(found[0])  # without the offsets, but where one goes over into the next
    places = [slice(k, k + 2000) for k in range(0, len(heard) - 2000, 2000)]
    first = [np.corrcoef(heard[at], np.diff(sources[0])[at])[0, 1] > 0.5 for at in places]
    assert all(first) or not any(first)
