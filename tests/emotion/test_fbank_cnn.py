"""The network on log mel features: padding, statistics of batches, masks, resuming."""

import numpy as np
import pytest
import torch

from speechkit.base.errors import UserError
from speechkit.emotion.config import CnnConfig
from speechkit.emotion.fbank_cnn import Block, FbankCnn, MaskedBatchNorm, inside

LENGTHS = (37, 12, 64, 25, 1)


def padded(lengths=LENGTHS, mels=64, filler=9.0):
    torch.manual_seed(0)
    clips = [torch.randn(n, mels) for n in lengths]
    batch = torch.full((len(clips), max(lengths), mels), filler)
    for row, clip in zip(batch, clips, strict=True):
        row[: len(clip)] = clip
    return clips, batch


def network():
    torch.manual_seed(1)
    net = FbankCnn(64, 5, (4, 6, 8, 8))
    for module in net.modules():
        if isinstance(module, MaskedBatchNorm):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
            torch.nn.init.normal_(module.bias)
    net.mean.normal_()
    return net.eval()


def test_padding_changes_nothing():
    clips, batch = padded()
    net = network()
    with torch.no_grad():
        together = net(batch, LENGTHS)
        alone = torch.cat([net(clip[None], [len(clip)]) for clip in clips])
    assert together.shape == (5, 5) and float(together.std()) > 0.01
    assert torch.allclose(together, alone, atol=1e-4)


def test_padding_changes_no_gradient_and_no_statistic():
    _, batch = padded()
    found = []
    for filler in (torch.cat([batch, torch.full((5, 11, 64), 5.0)], 1), batch):
        net = network().train()
        net.head[0].p = 0.0
        net(filler, LENGTHS).square().sum().backward()
        found.append(
            [p.grad for p in net.parameters()]
            + [m.running_var for m in net.modules() if isinstance(m, MaskedBatchNorm)]
        )
    for one, other in zip(*found, strict=True):
        assert torch.allclose(one, other, atol=1e-3, rtol=1e-3)


def test_masked_normalisation_is_pytorchs_without_padding():
    torch.manual_seed(2)
    values = torch.randn(3, 4, 10, 6) * 3 + 1
    ours, theirs = MaskedBatchNorm(4), torch.nn.BatchNorm2d(4)
    mask = torch.ones(3, 1, 10, 1)
    assert torch.allclose(ours(values, mask), theirs(values), atol=1e-5)
    assert torch.allclose(ours.running_mean, theirs.running_mean, atol=1e-6)
    ours.eval(), theirs.eval()
    ours.running_var.copy_(theirs.running_var)  # PyTorch keeps the unbiased variance
    assert torch.allclose(ours(values, mask), theirs(values), atol=1e-5)


def test_frames_are_rounded_up():
    block = Block(1, 2, True).eval()
    counts = torch.tensor([5, 2])
    values, counts = block(torch.randn(2, 1, 5, 8) * inside(counts, 5), counts)
    assert values.shape == (2, 2, 3, 4) and counts.tolist() == [3, 1]
    assert (values[1, :, 1:] == 0).all()
    assert inside(torch.tensor([2, 0]), 3)[:, 0, :, 0].tolist() == [[1, 1, 0], [0, 0, 0]]


@pytest.mark.parametrize(
    "flags",
    [{"channels": (4, 4)}, {"mask_time": 1.0}, {"mask_feature_length": 0}, {"clip": 0.0},
     {"epochs": 0}, {"select": "test_accuracy"}, {"dropout": -0.1},
     {"label_smoothing": 1.0}],
)  # fmt: skip
def test_settings(flags):
    with pytest.raises(UserError):
        CnnConfig(**flags)


def test_level_is_kept_in_the_features():
    from speechkit.emotion.features import FBANK, of_wave

    sound = np.random.default_rng(0).standard_normal(8000).astype(np.float32)
    loud, soft = (of_wave(np.float32(gain) * sound, "fbank-cnn") for gain in (0.1, 0.01))
    assert FBANK.normalise == "none" and loud.shape == (49, 64)
    assert np.allclose(loud - soft, np.log(100), atol=0.05)
