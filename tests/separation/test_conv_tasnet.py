"""Conv-TasNet: published sizes, layers against PyTorch's own, padding, causality."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from speechkit.base.errors import UserError
from speechkit.separation.config import SIZES, ConvTasNetConfig
from speechkit.separation.conv_tasnet import ConvTasNet
from speechkit.separation.layers import CumulativeNorm, Depthwise, GlobalNorm, Pointwise, PReLU

SMALL = ConvTasNetConfig(filters=12, bottleneck=6, skip=5, hidden=8, blocks=3, repeats=2)


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def small(seed=0, **changes):
    torch.manual_seed(seed)
    net = ConvTasNet(replace(SMALL, **changes))
    for parameter in net.parameters():  # norms and biases away from their neutral values
        parameter.data += 0.1 * torch.randn_like(parameter)
    return net.eval()


@pytest.mark.parametrize(("size", "count"), [("full", 5_050_545), ("light", 2_632_857)])
def test_published_parameter_counts(size, count):
    assert sum(p.numel() for p in ConvTasNet(SIZES[size]).parameters()) == count


def gradients(module, x, seed=7):
    x = x.clone().requires_grad_()
    y = module(x)
    y.backward(noise(*y.shape, seed=seed))
    return y.detach(), x.grad, [p.grad.clone() for p in module.parameters()]


def agree(ours, theirs, tolerance=1e-4):
    for a, b in zip((ours[0], ours[1], *ours[2]), (theirs[0], theirs[1], *theirs[2]), strict=True):
        assert torch.allclose(a.flatten(), b.flatten(), atol=tolerance, rtol=1e-4)


def test_prelu_is_pytorchs():
    ours, theirs = PReLU(init=0.3), torch.nn.PReLU(init=0.3)
    agree(gradients(ours, noise(3, 4, 50)), gradients(theirs, noise(3, 4, 50)), 1e-3)


@pytest.mark.parametrize("dilation", [1, 4, 32])
def test_depthwise_is_pytorchs_convolution(dilation):
    ours = Depthwise(4, 3, dilation)
    theirs = torch.nn.Conv1d(4, 4, 3, padding=dilation, dilation=dilation, groups=4)
    theirs.load_state_dict(ours.state_dict())
    x = noise(2, 4, 70)
    agree(gradients(ours, x), gradients(theirs, x))


def test_half_precision_takes_the_same_values_within_its_rounding():
    x = noise(2, 6, 90)
    for layer in (Depthwise(6, 3, 2), Pointwise(6, 5), PReLU()):
        with torch.autocast("cpu", torch.bfloat16):
            half = layer(x.bfloat16())
        assert torch.allclose(half.float(), layer(x), atol=0.05, rtol=0.05)


def test_global_norm_by_its_definition():
    norm, x = GlobalNorm(5), noise(2, 5, 40)
    norm.gamma.data, norm.beta.data = noise(5, seed=1), noise(5, seed=2)
    for i in range(2):
        scaled = (x[i] - x[i].mean()) / (x[i].var(unbiased=False) + 1e-8).sqrt()
        expected = scaled * norm.gamma[:, None] + norm.beta[:, None]
        assert torch.allclose(norm(x)[i], expected, atol=1e-5)


def test_global_norm_of_a_gpu_is_that_of_the_cpu():
    """Padding is masked there, and cut off here: the formula does not need a GPU to be tested."""
    norm, x, frames = GlobalNorm(5), noise(3, 5, 40), torch.tensor([40, 17, 31])
    norm.gamma.data, norm.beta.data = noise(5, seed=1), noise(5, seed=2)
    expected = norm(x, frames)
    assert torch.allclose(norm._masked(x, frames), expected, atol=1e-5)
    assert (expected[1, :, 17:] == 0).all()


def test_cumulative_norm_by_its_definition():
    norm, x = CumulativeNorm(5), noise(1, 5, 30)
    y = norm(x)[0]
    for k in (0, 3, 29):
        seen = x[0, :, : k + 1]
        expected = (x[0, :, k] - seen.mean()) / (seen.var(unbiased=False) + 1e-8).sqrt()
        assert torch.allclose(y[:, k], expected, atol=1e-4)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"norm": "cLN"},
        {"norm": "chLN", "causal": True},
        {"padding": "reflect"},
        {"skip": 0, "mask": "softmax"},
        {"kernel": 10, "stride": 3, "mask": "sigmoid", "encoder_relu": True},
    ],
)
def test_padding_never_changes_a_result(changes):
    net = small(**changes)
    lengths = torch.tensor([700, 333, 512])
    mixtures = noise(3, 700)
    with torch.no_grad():
        together = net(mixtures, lengths)
        for i, length in enumerate(lengths.tolist()):
            alone = net(mixtures[i : i + 1, :length])
            assert together.shape == (3, 2, 700)
            assert torch.allclose(together[i, :, :length], alone[0], atol=1e-5)
            assert (together[i, :, length:] == 0).all()


def test_a_causal_net_does_not_see_the_future():
    net = small(norm="cLN", causal=True)
    mixture = noise(1, 640)
    changed = mixture.clone()
    changed[0, 400:] += 1
    with torch.no_grad():
        difference = (net(mixture) - net(changed)).abs().amax((0, 1))
    last = 400 - SMALL.kernel  # a frame that reaches sample 400 begins at most here
    assert float(difference[:last].max()) < 1e-6 < float(difference[400:].max())


def test_output_is_the_transposed_convolution_of_the_masked_basis():
    """With masks of one, the output is what encoder and decoder alone give."""
    net = small(mask="linear")
    net.masks.weight.data.zero_()
    net.masks.bias.data.fill_(1.0)
    mixture = noise(2, 330)
    basis = functional.conv1d(mixture[:, None], net.encoder, stride=8)
    expected = functional.conv_transpose1d(basis, net.decoder, stride=8)[:, 0]
    with torch.no_grad():
        out = net(mixture)
    covered = expected.shape[-1]
    for speaker in range(2):
        assert torch.allclose(out[:, speaker, :covered], expected, atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"norm": "bLN"}, "bLN"),
        ({"mask": "tanhh"}, "tanhh"),
        ({"blocks": 0}, "`blocks` 0 is out of range"),
        ({"kernel": 8, "stride": 9}, "longer than `kernel`"),
        ({"conv_kernel": 4}, "must be odd"),
        ({"causal": True, "padding": "reflect"}, "reflect"),
    ],
)
def test_impossible_hyperparameters(changes, message):
    with pytest.raises(UserError, match=message):
        ConvTasNet(replace(SMALL, **changes))


def test_a_mixture_shorter_than_the_window_is_refused():
    with pytest.raises(UserError, match="shorter than the encoder's window"):
        small()(noise(1, 15))
    assert small()(noise(1, 16)).shape == (1, 2, 16)
