"""Pooling against loops over single clips; padding never counts."""

import pytest
import torch

from speechkit.emotion.heads import Classifier, LayerSum, Pooling

FRAMES = torch.randn(3, 7, 4, generator=torch.Generator().manual_seed(1))
COUNTS = (7, 3, 1)


def reference(kind, clip, score):
    if kind == "mean":
        return clip.mean(0)
    if kind == "sum":
        return clip.sum(0)
    if kind == "max":
        return clip.max(0).values
    weights = torch.exp(score(clip)[:, 0])
    return (weights[:, None] * clip).sum(0) / weights.sum()


@pytest.mark.parametrize("kind", ["mean", "sum", "max", "attentive"])
@pytest.mark.parametrize("beyond", [0.0, 1e4, float("nan")])
def test_pooling_is_that_of_single_clips(kind, beyond):
    torch.manual_seed(0)
    pool = Pooling(kind, 4)
    frames = FRAMES.clone()
    for row, n in zip(frames, COUNTS, strict=True):
        row[n:] = beyond
    pooled = pool(frames, COUNTS)
    wanted = [reference(kind, c[:n], pool.score) for c, n in zip(FRAMES, COUNTS, strict=True)]
    assert torch.allclose(pooled, torch.stack(wanted), atol=1e-6)
    if kind == "attentive":
        pooled.sum().backward()
        assert torch.isfinite(pool.score.weight.grad).all()


def test_layers_start_with_equal_weights_and_commute_with_the_mean():
    layers = torch.randn(2, 5, 6, 4)
    assert torch.allclose(LayerSum(5)(layers), layers.mean(1), atol=1e-6)
    torch.manual_seed(0)
    net = Classifier(4, 5, 3).eval()
    net.sum.logits.data = torch.randn(5)
    assert torch.allclose(net(layers, (6, 6)), net(layers.mean(2), None), atol=1e-5)


def test_the_papers_head_has_its_layers():
    net = Classifier(16, 0, 8, head="paper", dropout=0.3)
    names = [type(layer).__name__ for layer in net.head]
    assert names == ["Dropout", "Linear", "Tanh", "Dropout", "Linear"]
    assert [tuple(layer.weight.shape) for layer in (net.head[1], net.head[4])] == [
        (16, 16),
        (8, 16),
    ]
