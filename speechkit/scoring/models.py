"""The scorer, the scorer without attention, and the BLSTM: several seeds of a model in one.

The attention scorer of Lin and Wang, "Deep Feature Transfer Learning for Automatic Pronunciation
Assessment" (Interspeech 2021, sections 2.2 and 3.2). For an utterance of words of phones, with f
the mean of a phone's hidden features::

    x = gelu(LN_frame(W f + b)) + E[phone]           256x32 transformation, phone embedding
    x = LN_phone(x + attention(x))                   over the phones of the same word
    w = gelu(V mean(x) + c)                          a word: mean of its phones, 32x32
    w = w + attention(w)                             over the words of the utterance
    u = gelu(U mean(w) + d)                          the utterance: mean of its words, 32x32
    score = sigmoid(s LN_sentence(u) + e)            32x1

Both attentions have four heads, biases and a residual connection. The paper applies the first
layer to frames and averages them afterwards; here the means of the frames come in, which is
the same up to the norm and the nonlinearity. Without attention (kind ``mean``, its Table 6)
``attention(x)`` is left out and all else stays. At 256 inputs there are 20,289 and 11,841
parameters. Inputs are brought to zero mean and unit variance first, with statistics of the
training set that are stored beside the parameters (and not counted).

The BLSTM (kind ``blstm``, its Table 2): the inputs of each phone beside its embedding, two
bidirectional LSTM layers, a hidden layer over the last outputs of both directions (the forward
one after the last phone, the backward one after the first), a sigmoid score.

Every parameter has a leading dimension of S: S models of the same shape (seeds) are computed,
and trained, in one pass of batched products.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from speechkit.scoring.batches import Batches, ScoringBatch
from speechkit.scoring.config import ScorerConfig
from speechkit.scoring.groups import Groups
from speechkit.training.layers import Dropout, Linear, Norm, look_up
from speechkit.training.packing import Layout

CHUNK = 64  # utterances scored at once: what stays in the cache


class Scorer(nn.Module):
    """What all models share.

    Shape (of ``forward``):
        a :class:`ScoringBatch` -> scores from 0 to 1 ``[S, B]``

    Args:
        config: shape.
        models: S.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, config: ScorerConfig, models: int = 1) -> None:
        super().__init__()
        self.config, self.models = config, models
        self.register_buffer("mean", torch.zeros(models, config.inputs))
        self.register_buffer("std", torch.ones(models, config.inputs))
        self.phone = nn.Parameter(torch.empty(models, config.symbols, config.width))
        self.dropout = Dropout(config.dropout)

    @property
    def parameters_each(self) -> int:
        """Trainable numbers of one model."""
        return sum(p.numel() for p in self.parameters()) // self.models

    @property
    def recurrent(self) -> bool:
        """Whether it reads batches of the kind for a BLSTM."""
        return self.config.kind == "blstm"


class Attention(nn.Module):
    """Multi-head self-attention with biases within groups."""

    def __init__(self, models: int, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = Linear(models, width, 3 * width)
        self.out = Linear(models, width, width)

    def forward(self, x: Tensor, groups: Groups) -> Tensor:
        """``[S, T, width]`` -> the same shape."""
        return self.out(groups.attention(self.qkv(x), self.heads))


class Hierarchy(Scorer):
    """Phones, words, utterance: kinds ``attention`` and ``mean``."""

    def __init__(self, config: ScorerConfig, models: int = 1) -> None:
        super().__init__(config, models)
        width, heads = config.width, config.heads
        self.project = Linear(models, config.inputs, width)
        self.norm_frame = Norm(models, width)
        if attends := config.kind == "attention":
            self.phone_attention = Attention(models, width, heads)
            self.word_attention = Attention(models, width, heads)
        self.attends = attends
        self.norm_phone = Norm(models, width)
        self.word = Linear(models, width, width)
        self.utterance = Linear(models, width, width)
        self.norm_sentence = Norm(models, width)
        self.score = Linear(models, width, 1)

    def forward(self, batch: ScoringBatch) -> Tensor:
        """Scores of a batch; see :class:`Scorer`."""
        words, utterances = batch.of_words, batch.of_utterances
        assert words is not None and utterances is not None
        x = functional.gelu(self.norm_frame(self.projected(batch.features)))
        x = x + look_up(self.phone, batch.phones)
        x = self.dropout.of_first(x, words.used)
        if self.attends:
            x = x + self.phone_attention(x, words)
        w = functional.gelu(self.word(words.means(self.norm_phone(x))))
        w = self.dropout.of_first(w, utterances.used)
        if self.attends:
            w = w + self.word_attention(w, utterances)
        u = functional.gelu(self.utterance(utterances.means(w)))
        return self.norm_sentence.then(self.score, u)[..., 0].sigmoid()

    def projected(self, features: Tensor) -> Tensor:
        """The first layer of normalised features ``[S, N, D]``: the statistics are moved into
        the layer, where they cost next to nothing."""
        weight = self.project.weight / self.std[:, None]
        bias = self.project.bias - (weight @ self.mean[..., None])[..., 0]  # type: ignore[operator]
        return torch.baddbmm(bias[:, None], features, weight.transpose(1, 2))


class Blstm(Scorer):
    """Two BLSTM layers and a hidden layer: kind ``blstm``."""

    def __init__(self, config: ScorerConfig, models: int = 1) -> None:
        super().__init__(config, models)
        width = config.width
        self.layers = nn.ModuleList(
            BlstmLayer(models, size, width) for size in (config.inputs + width, 2 * width)
        )
        self.hidden = Linear(models, 2 * width, width)
        self.score = Linear(models, width, 1)

    def forward(self, batch: ScoringBatch) -> Tensor:
        """Scores of a batch; see :class:`Scorer`."""
        layout, parts = batch.layout, look_up(self.phone, batch.phones)
        assert layout is not None
        features = (batch.features - self.mean[:, None]) / self.std[:, None]
        x = torch.cat([features, parts], -1)
        ends = torch.empty(0)
        for layer in self.layers:
            x, ends = layer(self.dropout(x, layout), layout)
        return self.score(functional.gelu(self.hidden(ends)))[..., 0].sigmoid()


class BlstmLayer(nn.Module):
    """A bidirectional LSTM; gates in PyTorch's order. Directions are the second dimension."""

    def __init__(self, models: int, size: int, width: int) -> None:
        super().__init__()
        self.input = nn.Parameter(torch.empty(models, 2, 4 * width, size))
        self.recurrent = nn.Parameter(torch.empty(models, 2, 4 * width, width))
        self.bias = nn.Parameter(torch.empty(models, 2, 4 * width))

    def forward(self, x: Tensor, layout: Layout) -> tuple[Tensor, Tensor]:
        """Packed ``[S, T, size]`` -> outputs ``[S, T, 2 * width]``, and those after the last
        step of each direction ``[S, B, 2 * width]``."""
        models, batch = layout.lengths.shape
        length, width = layout.length, self.recurrent.shape[-1]
        both = x[:, None] @ self.input.transpose(2, 3) + self.bias[:, :, None]
        flat = both.transpose(1, 2).flatten(2)  # [S, T, 2 * 4 * width]
        grid = layout.to_grid(flat).view(models, batch, length, 2, -1).permute(0, 3, 1, 2, 4)
        lengths = layout.lengths.reshape(models, batch, 1)
        step = torch.arange(length, device=x.device)
        # The backward direction reads each sequence from its own end.
        back = torch.where(step < lengths, lengths - 1 - step, step)
        index = torch.stack([step.expand_as(back), back], 1)[..., None]  # [S, 2, B, L, 1]
        states = self.run(grid.gather(3, index.expand(grid.shape)).flatten(0, 1))
        states = states.view(models, 2, batch, length, width)
        last = (lengths - 1)[:, None, ..., None].expand(-1, 2, -1, -1, width)
        ends = states.gather(3, last)[:, :, :, 0].transpose(1, 2).flatten(2)
        states = states.gather(3, index.expand(states.shape))
        packed = layout.to_packed(states.permute(0, 2, 3, 1, 4).flatten(3).flatten(0, 1))
        return packed, ends

    def run(self, gates: Tensor) -> Tensor:
        """Outputs ``[2 S, B, L, width]`` of the inputs of the gates ``[2 S, B, L, 4 * width]``."""
        weight = self.recurrent.flatten(0, 1).transpose(1, 2)
        h = c = gates.new_zeros(len(gates), gates.shape[1], weight.shape[1])
        states = []
        for here in gates.unbind(2):
            i, f, g, o = torch.baddbmm(here, h, weight).chunk(4, -1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
            states.append(h)
        return torch.stack(states, 2)


CLASSES: dict[str, type[Scorer]] = {"attention": Hierarchy, "mean": Hierarchy, "blstm": Blstm}


def build(config: ScorerConfig, seeds: Sequence[int]) -> Scorer:
    """A model for each seed, initialised from a generator of its own."""
    model = CLASSES[config.kind](config, len(seeds))
    for place, seed in enumerate(seeds):
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                _initialise(name, parameter[place], config, generator)
    return model


def _initialise(name: str, value: Tensor, config: ScorerConfig, generator: torch.Generator) -> None:
    """Linear layers and LSTMs as PyTorch's, norms 1 and 0, embeddings small and normal."""
    layer, _, kind = name.rpartition(".")
    if layer.startswith("norm"):
        value.fill_(float(kind == "weight"))
    elif name == "phone":
        value.normal_(std=0.1, generator=generator)
        value[0] = 0
    else:
        wide = {"project": config.inputs, "hidden": 2 * config.width}
        bound = 1 / math.sqrt(wide.get(layer, config.width))
        value.uniform_(-bound, bound, generator=generator)


def score(net: Scorer, batches: Batches) -> np.ndarray:
    """Scores of a set from 0 to 1, float64 ``[S, U]``; the models are in eval mode afterwards."""
    net.eval()
    before, net.dropout.generators = net.dropout.generators, ()
    order = torch.argsort(batches.length, stable=True)
    scores = torch.empty(net.models, len(batches), device=batches.device)
    with torch.inference_mode():
        for chosen in order.split(CHUNK):
            scores[:, chosen] = net(batches.batch(chosen.expand(net.models, -1)))
    net.dropout.generators = before
    return scores.double().cpu().numpy()
