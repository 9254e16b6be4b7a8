"""GOPT and the LSTM baseline against PyTorch's own layers, sequence by sequence."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from speechkit.base.errors import UserError
from speechkit.pronunciation.models import ModelConfig, build
from speechkit.training.packing import make_layout

LENGTHS = torch.tensor([[3, 7, 1, 5], [2, 2, 6, 4], [8, 1, 1, 1]])


def inputs(config, lengths, seed=0):
    """Features and phones of every sequence, and packed ``[S, N, ...]``."""
    torch.manual_seed(seed)
    each = [
        [(torch.randn(n, config.inputs), torch.randint(0, config.symbols, (n,))) for n in row]
        for row in lengths.tolist()
    ]
    total = int(lengths.sum(1).max()) + 1
    features = torch.randn(len(lengths), total, config.inputs) * 100  # filling must not matter
    phones = torch.randint(0, config.symbols, (len(lengths), total))
    for s, row in enumerate(each):
        n = sum(len(p) for _, p in row)
        features[s, :n] = torch.cat([f for f, _ in row])
        phones[s, :n] = torch.cat([p for _, p in row])
    return each, features, phones


def part(model, s):
    """Parameters of model s."""
    return {name: value[s] for name, value in model.named_parameters()}


def linear(p, name, x):
    return nn.functional.linear(x, p[f"{name}.weight"], p.get(f"{name}.bias"))


def heads(p, name, x):
    """``[A or 1, width]`` -> ``[A]``"""
    normed = nn.functional.layer_norm(x, (x.shape[-1],)) * p[f"{name}.scale"] + p[f"{name}.shift"]
    return (normed * p[f"{name}.weight"]).sum(-1) + p[f"{name}.bias"]


def embed(p, features, phones, symbols):
    hot = nn.functional.one_hot(phones, symbols).float()
    return linear(p, "project", features) + linear(p, "phone", hot)


def reference_gopt(p, config, features, phones):
    """One utterance through torch.nn.TransformerEncoderLayer."""
    x = torch.cat([p["tokens"], embed(p, features, phones, config.symbols)])
    x = (x + p["positions"][: len(x)])[None]
    for k in range(config.depth):
        layer = nn.TransformerEncoderLayer(
            config.width, config.heads, 4 * config.width, 0.0, "gelu", 1e-5, True, True
        )
        mine = {n.removeprefix(f"blocks.{k}."): v for n, v in p.items() if f"blocks.{k}." in n}
        theirs = {
            "self_attn.in_proj_weight": mine["qkv.weight"],
            "self_attn.in_proj_bias": torch.zeros(3 * config.width),
            "self_attn.out_proj.weight": mine["out.weight"],
            "self_attn.out_proj.bias": mine["out.bias"],
            **{f"linear1.{e}": mine[f"up.{e}"] for e in ("weight", "bias")},
            **{f"linear2.{e}": mine[f"down.{e}"] for e in ("weight", "bias")},
            **{f"norm{i}.{e}": mine[f"norm{i}.{e}"] for i in (1, 2) for e in ("weight", "bias")},
        }
        layer.load_state_dict(theirs)
        x = layer(x)
    extra = config.extra
    tokens = torch.stack([heads(p, "token_heads", one[None]) for one in x[0, extra:]])
    return tokens, heads(p, "utterance_heads", x[0, :extra])


def reference_lstm(p, config, features, phones):
    lstm = nn.LSTM(config.width, config.width, config.depth)
    for k in range(config.depth):
        for mine, theirs in (("input", "weight_ih"), ("hidden", "weight_hh")):
            getattr(lstm, f"{theirs}_l{k}").data.copy_(p[mine][k])
            getattr(lstm, f"{theirs}_l{k}".replace("weight", "bias")).data.copy_(
                p[f"{mine}_bias"][k]
            )
    x, _ = lstm(embed(p, features, phones, config.symbols))
    tokens = torch.stack([heads(p, "token_heads", one[None]) for one in x])
    return tokens, heads(p, "utterance_heads", x[-1:])


REFERENCES = {"gopt": reference_gopt, "lstm": reference_lstm}


def perturbed(config, seeds):
    """A model none of whose parameters has its initial 0 or 1."""
    model = build(config, seeds)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for value in model.parameters():
            value += 0.3 * torch.randn(value.shape, generator=generator)
    return model


@pytest.mark.parametrize(
    ("kind", "heads"), [("gopt", 1), ("gopt", 4), ("lstm", 1)], ids=["gopt", "gopt4", "lstm"]
)
def test_against_torch_sequence_by_sequence(kind, heads):
    config = ModelConfig(11, kind, width=12, depth=3, heads=heads)
    model = perturbed(config, [0, 1, 2])
    each, features, phones = inputs(config, LENGTHS)
    layout = config.layout(LENGTHS)
    found = model(features, phones, layout)
    assert found.tokens.shape == (3, 17, 4) and found.utterances.shape == (3, 4, 5)
    for s, row in enumerate(each):
        first = 0
        for b, (f, p) in enumerate(row):
            tokens, utterance = REFERENCES[kind](part(model, s), config, f, p)
            own = found.tokens[s, first : first + len(p)]
            assert torch.allclose(own, tokens, atol=2e-5)
            assert torch.allclose(found.utterances[s, b], utterance, atol=2e-5)
            first += len(p)


@pytest.mark.parametrize(("kind", "heads"), [("gopt", 1), ("gopt", 2), ("lstm", 1)])
def test_gradients_by_finite_differences(kind, heads):
    aspects = ("word_total", "utterance_total")
    config = ModelConfig(3, kind, aspects, width=4, depth=2, heads=heads, symbols=5)
    model = perturbed(config, [0, 1]).double()
    lengths = torch.tensor([[2, 1], [1, 4]])
    _, features, phones = inputs(config, lengths)
    features, layout = features.double() / 50, config.layout(lengths)
    weights = torch.randn(2, 6, 1, dtype=torch.float64) * layout.filled[..., None]

    def loss(*values):
        named = dict(zip((n for n, _ in model.named_parameters()), values, strict=True))
        found = torch.func.functional_call(model, named, (features, phones, layout))
        return (found.tokens * weights).sum() + (found.utterances * 0.7).sum()

    values = tuple(v.detach().clone().requires_grad_() for v in model.parameters())
    assert torch.autograd.gradcheck(loss, values, atol=1e-6, fast_mode=True)


def test_published_size_and_subsets_of_aspects():
    assert sum(p.numel() for p in build(ModelConfig(84), [0]).parameters()) == 26_577
    config = ModelConfig(84, aspects=("utterance_fluency",))
    model = build(config, [0])
    assert model.tokens.shape == (1, 1, 24)
    found = model(torch.randn(1, 4, 84), torch.ones(1, 4).long(), config.layout(LENGTHS[:1, :1]))
    assert found.tokens.shape == (1, 4, 0) and found.utterances.shape == (1, 1, 1)
    config = ModelConfig(84, aspects=("phone_accuracy",))
    found = build(config, [0])(
        torch.randn(1, 4, 84), torch.ones(1, 4).long(), config.layout(LENGTHS[:1, :1])
    )
    assert found.tokens.shape == (1, 4, 1) and found.utterances.shape == (1, 1, 0)


def test_a_seed_is_initialised_the_same_in_any_company():
    alone, together = build(ModelConfig(84), [3]), build(ModelConfig(84), [1, 3])
    for (name, one), other in zip(alone.named_parameters(), together.parameters(), strict=True):
        assert torch.equal(one[0], other[1]), name
    spread = {n: v.std().item() for n, v in alone.named_parameters()}
    assert spread["tokens"] == pytest.approx(0.02, rel=0.2)
    assert spread["project.weight"] == pytest.approx(84**-0.5 / 3**0.5, rel=0.1)


def test_each_seed_drops_its_own():
    config = ModelConfig(5, dropout=0.4)
    model = build(config, [0, 0])
    lengths = torch.tensor([[4, 3], [4, 3]])
    features = torch.randn(1, 8, 5).expand(2, -1, -1).contiguous()
    phones, layout = torch.ones(2, 8).long(), config.layout(lengths)

    def run(first, second):
        model.dropout.generators = [torch.Generator().manual_seed(k) for k in (first, second)]
        return model(features, phones, layout).tokens[:, :7]

    same, other = run(1, 1), run(1, 2)
    assert torch.allclose(same[0], same[1]) and torch.equal(same[0], other[0])
    assert not torch.allclose(other[0], other[1])


@pytest.mark.parametrize("lengths", [LENGTHS, torch.full((2, 3), 4), LENGTHS[:1]])
def test_layout_round_trip(lengths):
    models, batch = lengths.shape
    for extra in (0, 2):
        layout = make_layout(lengths, extra)
        total = batch * extra + int(lengths.sum(1).max()) + 1
        packed = torch.arange(float(models * total)).view(models, total, 1)
        grid = layout.to_grid(packed)
        back = layout.to_packed(grid)
        for s, row in enumerate(lengths.tolist()):
            n = batch * extra + sum(row)
            assert torch.equal(back[s, :n], packed[s, :n])
            assert not layout.filled[s, sum(row) :].any() and layout.filled[s, : sum(row)].all()
        empty = layout.mask.isinf().sum(-1)[:, 0]
        assert (empty + lengths.flatten() + extra == layout.length).all() and empty.any()
        assert torch.isinf(layout.mask.flatten()[layout.cells.view(models, -1)[:, -1]]).all()


@pytest.mark.parametrize(
    "wrong", [{"kind": "cnn"}, {"aspects": ()}, {"aspects": ("x",)}, {"heads": 5}, {"dropout": 1.0}]
)
def test_impossible_shapes(wrong):
    with pytest.raises(UserError):
        ModelConfig(84, **wrong).check()
