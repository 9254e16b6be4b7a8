"""The scorer against a loop over words with PyTorch's own layers; several models in one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scoring_sets import make_sets
from torch import nn
from torch.func import functional_call

from speechkit.base.errors import UserError
from speechkit.scoring.batches import Batches
from speechkit.scoring.data import Inputs, load
from speechkit.scoring.groups import Groups
from speechkit.scoring.models import ScorerConfig, build, score
from speechkit.workdir import WorkDir

KINDS = ("attention", "mean", "blstm")


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Ten utterances, the first of one phone."""
    work = WorkDir(make_sets(tmp_path_factory.mktemp("models"), train=10))
    made = load(work, "train", Inputs())
    features = np.concatenate([made.features[:1], made.features[made.first[1] :]])
    made.phones = made.phones[:1] + made.phones[made.first[1] :]
    made.words = np.append(0, made.words[made.first[1] :])
    made.words -= np.append(0, np.full(len(made.words) - 1, made.words[1] - 1))
    moved = made.first[1] - 1
    made.first = np.append(0, made.first[1:] - moved)
    made.first_word = np.append(0, made.first_word[1:] - made.first_word[1] + 1)
    made.gop = made.gop[moved:]
    made.starts, made.durations = made.starts[moved:], made.durations[moved:]
    return made.with_features(features)


def test_numbers_of_parameters():
    net = build(ScorerConfig(256), [0])
    assert net.parameters_each == 20_289
    counted: dict[str, int] = {}
    for name, parameter in net.named_parameters():
        counted[name.split(".")[0]] = counted.get(name.split(".")[0], 0) + parameter.numel()
    assert counted == {
        "project": 8_224,
        "phone": 1_280,
        "phone_attention": 4_224,
        "word_attention": 4_224,
        "word": 1_056,
        "utterance": 1_056,
        "score": 33,
        "norm_frame": 64,
        "norm_phone": 64,
        "norm_sentence": 64,
    }
    assert build(ScorerConfig(256, "mean"), [0, 1]).parameters_each == 20_289 - 8_448
    assert build(ScorerConfig(1), [0]).parameters_each == 20_289 - 255 * 32


def linear(layer):
    return lambda x: nn.functional.linear(x, layer.weight[0], layer.bias[0])


def norm(layer):
    return lambda x: nn.functional.layer_norm(x, x.shape[-1:], layer.weight[0], layer.bias[0])


def mha(layer):
    made = nn.MultiheadAttention(layer.out.weight.shape[1], layer.heads, batch_first=True)
    weights = {
        "in_proj_weight": layer.qkv.weight[0], "in_proj_bias": layer.qkv.bias[0],
        "out_proj.weight": layer.out.weight[0], "out_proj.bias": layer.out.bias[0],
    }  # fmt: skip
    return lambda x: functional_call(made, weights, (x[None],) * 3)[0][0]


def by_words(net, found, u):
    """The score of an utterance, word by word."""
    gelu, rows = nn.functional.gelu, slice(found.first[u], found.first[u + 1])
    x = (torch.from_numpy(found.features[rows]) - net.mean[0]) / net.std[0]
    x = gelu(norm(net.norm_frame)(linear(net.project)(x)))
    x = x + net.phone[0, torch.from_numpy(found.phone_ids[rows])]
    words = torch.from_numpy(found.words[rows])
    heard = []
    for word in words.unique():
        phones = x[words == word]
        if net.attends:
            phones = phones + mha(net.phone_attention)(phones)
        heard.append(gelu(linear(net.word)(norm(net.norm_phone)(phones).mean(0))))
    w = torch.stack(heard)
    if net.attends:
        w = w + mha(net.word_attention)(w)
    u = gelu(linear(net.utterance)(w.mean(0)))
    return linear(net.score)(norm(net.norm_sentence)(u)).sigmoid()[0]


def by_lstm(net, found, u):
    """The same with nn.LSTM."""
    rows = slice(found.first[u], found.first[u + 1])
    x = (torch.from_numpy(found.features[rows]) - net.mean[0]) / net.std[0]
    x = torch.cat([x, net.phone[0, torch.from_numpy(found.phone_ids[rows])]], 1)
    for layer in net.layers:
        made = nn.LSTM(x.shape[1], net.config.width, bidirectional=True)
        weights = {}
        for d, ending in enumerate(("", "_reverse")):
            weights[f"weight_ih_l0{ending}"] = layer.input[0, d]
            weights[f"weight_hh_l0{ending}"] = layer.recurrent[0, d]
            weights[f"bias_ih_l0{ending}"] = layer.bias[0, d]
            weights[f"bias_hh_l0{ending}"] = torch.zeros_like(layer.bias[0, d])
        x, (ends, _) = functional_call(made, weights, (x,))
    hidden = nn.functional.gelu(linear(net.hidden)(ends.flatten()))
    return linear(net.score)(hidden).sigmoid()[0]


@pytest.mark.parametrize("kind", KINDS)
def test_against_a_loop_over_words(found, kind):
    net = randomised(ScorerConfig(6, kind, width=16), [3])
    reference = by_lstm if kind == "blstm" else by_words
    utterances = range(len(found.utterances))
    expected = torch.stack([reference(net, found, u) for u in utterances])
    batches = Batches(found, net.recurrent)
    batch = batches.batch(torch.arange(len(batches))[None])
    scores = net(batch)[0]
    torch.testing.assert_close(scores, expected, atol=1e-6, rtol=0)
    alone = [net(batches.batch(torch.tensor([[u]])))[0, 0] for u in utterances]
    torch.testing.assert_close(torch.stack(alone), expected, atol=1e-6, rtol=0)
    np.testing.assert_allclose(score(net, batches)[0], expected.detach(), atol=1e-6)
    names, parameters = zip(*net.named_parameters(), strict=True)
    weights = torch.linspace(-1, 1, len(batches))
    own = torch.autograd.grad((scores * weights).sum(), parameters)
    theirs = torch.autograd.grad((expected * weights).sum(), parameters)
    for name, a, b in zip(names, own, theirs, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4, msg=name)


def randomised(config, seeds):
    """Models with statistics and norms that are not 0 and 1."""
    net = build(config, seeds)
    for place, seed in enumerate(seeds):
        draw = torch.Generator().manual_seed(100 + seed)
        with torch.no_grad():
            net.mean[place].normal_(generator=draw)
            net.std[place].uniform_(0.5, 2, generator=draw)
            for name, value in net.named_parameters():
                if name.startswith("norm") or name == "phone":
                    value[place].add_(torch.randn(value[place].shape, generator=draw), alpha=0.3)
    return net


@pytest.mark.parametrize("kind", KINDS)
def test_models_in_one_are_those_alone(found, kind):
    config = ScorerConfig(6, kind, width=8)
    net, batches = randomised(config, [5, 1, 2]), Batches(found, kind == "blstm")
    chosen = torch.tensor([[0, 4], [9, 9], [3, 8]])
    scores = net(batches.batch(chosen))
    scores.square().sum().backward()
    for place, seed in enumerate((5, 1, 2)):
        one = randomised(config, [seed])
        alone = one(batches.batch(chosen[place : place + 1]))
        torch.testing.assert_close(scores[place], alone[0], atol=1e-6, rtol=0)
        alone.square().sum().backward()
        for (name, whole), part in zip(net.named_parameters(), one.parameters(), strict=True):
            torch.testing.assert_close(whole.grad[place], part.grad[0], atol=1e-6, rtol=1e-4,
                                       msg=name)  # fmt: skip


def test_features_with_gradient(found):
    net, batches = build(ScorerConfig(6), [0]), Batches(found)
    chosen = torch.tensor([[2, 0, 7]])
    rows = np.concatenate([np.arange(*found.first[u : u + 2]) for u in (2, 0, 7)])
    features = torch.from_numpy(found.features[rows]).requires_grad_()
    scores = net(batches.batch(chosen, features=False).with_features(features))
    torch.testing.assert_close(scores, net(batches.batch(chosen)))
    scores.sum().backward()
    assert features.grad is not None and features.grad.abs().sum(1).min() > 0


def test_attention_and_means_of_groups():
    lengths = torch.tensor([[2, 1, 3, 0], [1, 4, 0, 0]])
    groups = Groups(lengths)
    assert groups.tokens == 6 and groups.used.tolist() == [6, 5]
    draw = torch.Generator().manual_seed(0)
    qkv = torch.randn(2, 6, 24, generator=draw, dtype=torch.float64, requires_grad=True)
    found = groups.attention(qkv, 2)
    for model, of in enumerate(lengths.tolist()):
        for first, length in zip(np.cumsum([0, *of]), of, strict=False):
            if length:
                part = qkv[model, first : first + length].view(length, 3, 2, 4)
                q, k, v = part.permute(1, 2, 0, 3)
                own = nn.functional.scaled_dot_product_attention(q, k, v).transpose(0, 1)
                torch.testing.assert_close(found[model, first : first + length], own.flatten(1))
    used = torch.tensor([[[1.0]] * 6, [[1.0]] * 5 + [[0.0]]], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: groups.attention(x, 2) * used, (qkv,))
    means = groups.means(qkv)
    torch.testing.assert_close(means[1, 1], qkv[1, 1:5].mean(0))
    assert not means[0, 3].any()
    assert torch.autograd.gradcheck(groups.means, (qkv,))


def test_impossible_shapes():
    for config, message in (
        (ScorerConfig(6, heads=5), "5 does not divide"),
        (ScorerConfig(6, width=0), "`width` 0 is out of range"),
        (ScorerConfig(6, dropout=1.0), "1.0 is out of range. Accepted: from 0 to below 1"),
        (ScorerConfig(6, "atention"), "Did you mean 'attention'"),
    ):
        with pytest.raises(UserError, match=message):
            config.check()
