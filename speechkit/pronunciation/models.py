"""GOPT and the LSTM baseline, several seeds of a model in one.

Every parameter has a leading dimension of S: S models of the same shape (seeds) are computed,
and trained, in one pass of batched products; S = 1 is the ordinary case.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from speechkit.labels.miscues import STATUSES
from speechkit.pronunciation.config import ModelConfig
from speechkit.pronunciation.data import Windows
from speechkit.training.layers import Block, Dropout, Heads, Linear, look_up
from speechkit.training.packing import Layout

CHUNK = 64  # windows scored at once: what stays in the cache


@dataclass
class Predictions:
    """Predicted scores of S models.

    Args:
        tokens: of each packed phone, ``[S, N, len(token_aspects)]``.
        utterances: of each sequence, ``[S, B, len(utterance_aspects)]``.
        statuses: logits of :data:`speechkit.labels.miscues.STATUSES` of each packed phone's word,
            ``[S, N, 3]``, of models that predict them.
        aside: the scores of the network that gave the statuses, which learns them too.
    """

    tokens: Tensor
    utterances: Tensor
    statuses: Tensor | None = None
    aside: Predictions | None = None


class Scorer(nn.Module):
    """What both models share: the input layer, the heads, dropout that each seed draws alone.

    Shape (of ``forward``):
        features ``[S, N, inputs]``, phones int64 ``[S, N]`` (ids from 1; 0 is unknown), both
        packed as the layout says -> :class:`Predictions`
    """

    def __init__(self, config: ModelConfig, models: int, dropout: Dropout | None = None) -> None:
        super().__init__()
        self.config, self.models = config, models
        self.project = Linear(models, config.inputs, config.width)
        self.phone = Linear(models, config.symbols, config.width)
        self.token_heads = Heads(models, config.width, len(config.token_aspects))
        self.utterance_heads = Heads(models, config.width, len(config.utterance_aspects))
        self.status_heads = Heads(models, config.width, len(STATUSES)) if config.statuses else None
        self.dropout = dropout or Dropout(config.dropout)

    def _read(self, phones: Tensor, utterances: Tensor) -> Predictions:
        """Scores of what the layers give: phones ``[S, N, 1, width]``, utterances ``[S, B, A,
        width]``."""
        statuses = None if self.status_heads is None else self.status_heads(phones)
        return Predictions(self.token_heads(phones), self.utterance_heads(utterances), statuses)

    def embed(self, features: Tensor, phones: Tensor) -> Tensor:
        """Projected features plus projected one-hot phones ``[S, N, width]``."""
        return self.project(features) + look_up(self.phone.of_each(), phones)


class Gopt(Scorer):
    """GOPT: Y. Gong et al., "Transformer-Based Multi-Aspect Multi-Granularity Non-Native
    English Speaker Pronunciation Assessment", ICASSP 2022; here with a mask, so that padding
    never changes a score.

    A token for each utterance score stands before the phones; positions are learned.

    Args:
        config: shape.
        models: S.
    """

    def __init__(
        self, config: ModelConfig, models: int = 1, dropout: Dropout | None = None
    ) -> None:
        super().__init__(config, models, dropout)
        width, extra = config.width, config.extra
        self.tokens = nn.Parameter(torch.empty(models, extra, width))
        self.positions = nn.Parameter(torch.empty(models, config.max_phones + extra, width))
        self.blocks = nn.ModuleList(
            Block(models, width, config.heads, self.dropout) for _ in range(config.depth)
        )

    def forward(self, features: Tensor, phones: Tensor, layout: Layout) -> Predictions:
        """Scores of packed sequences; see :class:`Scorer`."""
        batch, extra = layout.batch, self.config.extra
        x = self.embed(features, phones) + look_up(self.positions[:, extra:], layout.columns)
        tokens = self.tokens + self.positions[:, :extra]
        x = self.dropout(torch.cat([tokens.repeat(1, batch, 1), x], dim=1), layout)
        for block in self.blocks:
            x = block(x, layout)
        first = batch * extra
        of_utterances = x[:, :first].view(self.models, batch, extra, self.config.width)
        return self._read(x[:, first:, None], of_utterances)


class LstmBaseline(Scorer):
    """The LSTM baseline of the GOPT paper: unidirectional; utterance scores come from the
    output at the last phone.

    Args:
        config: shape.
        models: S.
    """

    def __init__(
        self, config: ModelConfig, models: int = 1, dropout: Dropout | None = None
    ) -> None:
        super().__init__(config, models, dropout)
        shape = (models, config.depth, 4 * config.width)
        self.input = nn.Parameter(torch.empty(*shape, config.width))
        self.hidden = nn.Parameter(torch.empty(*shape, config.width))
        self.input_bias = nn.Parameter(torch.empty(shape))
        self.hidden_bias = nn.Parameter(torch.empty(shape))

    def forward(self, features: Tensor, phones: Tensor, layout: Layout) -> Predictions:
        """Scores of packed sequences; see :class:`Scorer`."""
        x = self.dropout(self.embed(features, phones), layout)
        grid = layout.to_grid(x).view(self.models, layout.batch, layout.length, -1)
        states = self.run(grid.movedim(2, 0)).movedim(0, 2).flatten(0, 1)
        x = self.dropout(layout.to_packed(states), layout)
        last = layout.last()[..., None].expand(-1, -1, x.shape[-1])
        count = len(self.config.utterance_aspects)
        ends = x.gather(1, last)[:, :, None].expand(-1, -1, count, -1)
        return self._read(x[:, :, None], ends)

    def run(self, x: Tensor) -> Tensor:
        """Outputs of the last layer, ``[L, S, B, width]`` -> the same shape.

        Layer l is at time t - l in step t, so that all layers (and seeds) take one product. Three
        phones and two layers take four steps::

            step      0   1   2   3
            layer 0   0   1   2   -     the phone that it reads
            layer 1   -   0   1   2
        """
        length, models, batch, width = x.shape
        depth = self.config.depth
        weight = torch.cat([self.input, self.hidden], -1).transpose(0, 1).flatten(0, 1)
        weight = weight.transpose(1, 2)  # [depth * S, 2 * width, 4 * width]
        bias = (self.input_bias + self.hidden_bias).transpose(0, 1).flatten(0, 1)[:, None]
        h = c = x.new_zeros(depth, models, batch, width)
        ended = x.new_zeros(1, models, batch, width)
        begun = x.new_ones(depth, depth).tril()[..., None, None, None]
        states = []
        for step in range(length + depth - 1):
            here = x[step][None] if step < length else ended
            both = torch.cat([torch.cat([here, h[:-1]]), h], -1).view(depth * models, batch, -1)
            gates = torch.baddbmm(bias, both, weight).view(depth, models, batch, -1)
            i, f, g, o = gates.chunk(4, -1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
            if step < depth - 1:  # the higher layers have not begun
                h, c = h * begun[step], c * begun[step]
            else:
                states.append(h[-1])
        return torch.stack(states)


class Verified(nn.Module):
    """Two networks of one shape: one scores, the other says whether words were said.

    Texts that were not said as they stand teach the second what a word that nobody said looks like;
    they would blur what the first knows of badly said words. The second learns the scores too.

    Args:
        config: shape of both.
        models: S.
    """

    def __init__(self, config: ModelConfig, models: int = 1) -> None:
        super().__init__()
        self.config, self.models, kind = config, models, CLASSES[config.kind]
        self.dropout = Dropout(config.dropout)
        self.scorer = kind(replace(config, statuses=False), models, self.dropout)
        self.verifier = kind(config, models, self.dropout)

    def forward(self, features: Tensor, phones: Tensor, layout: Layout) -> Predictions:
        """As of :class:`Scorer`."""
        scores = self.scorer(features, phones, layout)
        aside = self.verifier(features, phones, layout)
        return replace(scores, statuses=aside.statuses, aside=aside)


CLASSES: dict[str, type[Scorer]] = {"gopt": Gopt, "lstm": LstmBaseline}
Network = Scorer | Verified


def make(config: ModelConfig, models: int) -> Network:
    """S models of a shape, not initialised."""
    return (Verified if config.statuses else CLASSES[config.kind])(config, models)


def build(config: ModelConfig, seeds: Sequence[int]) -> Network:
    """A model for each seed, initialised as the published ones from a generator of its own."""
    model = make(config, len(seeds))
    for place, seed in enumerate(seeds):
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                _initialise(name, parameter[place], config, generator)
    return model


def _initialise(name: str, value: Tensor, config: ModelConfig, generator: torch.Generator) -> None:
    """Linear layers and LSTMs as PyTorch's, norms 1 and 0, tokens and positions normal."""
    kind = name.rpartition(".")[2]
    inputs = {"project": config.inputs, "phone": config.symbols, "down": 4 * config.width}
    layer = name.split(".")[-2] if "." in name else ""
    if kind in ("tokens", "positions"):
        if value.numel():
            nn.init.trunc_normal_(value, std=0.02, a=-2.0, b=2.0, generator=generator)
    elif kind in ("scale", "shift") or layer.startswith("norm"):
        value.fill_(float(kind in ("scale", "weight")))
    else:
        bound = 1 / math.sqrt(inputs.get(layer, config.width))
        value.uniform_(-bound, bound, generator=generator)


class SetScorer:
    """Predicts all scores of a set; made once for as many times as it is asked.

    Windows are computed in the order of their lengths, so that little is padding.

    Args:
        windows: of the set.
        models: S.
    """

    def __init__(self, windows: Windows, models: int) -> None:
        self.windows = windows
        order = torch.argsort(windows.length, stable=True)
        self.chunks: list[tuple[Tensor, Tensor, Layout]] = []  # windows, and rows of their phones
        for chosen in order.split(CHUNK):
            wide = chosen.expand(models, -1)
            layout = windows.config.layout(windows.length[wide])
            self.chunks.append((chosen, windows.rows(wide, layout)[0], layout))
        data = windows.data
        places, self._starts = np.unique(data.words, return_index=True)
        self._words, self._counts = places, np.diff(np.append(self._starts, len(data.words)))

    def __call__(self, net: Network) -> dict[str, np.ndarray]:
        """Aspect -> predictions from 0 to 2 in the order of the set's labels, ``[S, n]``.

        Those of a word are the mean of its phones', those of an utterance in several windows
        the mean of the windows' by their numbers of phones.
        """
        return self.score(net)[0]

    def score(self, net: Network) -> tuple[dict[str, np.ndarray], np.ndarray | None]:
        """The same, and the probability of each status of each word ``[S, W, 3]``, of models
        that predict them: those of the mean of its phones' logits."""
        windows, config = self.windows, self.windows.config
        models, device = net.models, windows.features.device
        count = len(windows.phones)  # the last is that of filling
        tokens = torch.empty(models, count, len(config.token_aspects), device=device)
        ends = torch.empty(models, len(windows), len(config.utterance_aspects), device=device)
        logits = torch.empty(models, count, len(STATUSES), device=device)
        with torch.inference_mode():
            for chosen, rows, layout in self.chunks:
                features = windows.features[rows].expand(models, -1, -1)
                phones = windows.phones[rows].expand(models, -1)
                scores = net(features, phones, layout)
                tokens[:, rows] = scores.tokens
                ends[:, chosen] = scores.utterances
                if scores.statuses is not None:
                    logits[:, rows] = scores.statuses
        found = {
            **self._levels(tokens[:, :-1].cpu().numpy()),
            **self._utterances(ends.double().cpu().numpy()),
        }
        if not config.statuses:
            return found, None
        of_words = self._of_words(logits[:, :-1].double().cpu().numpy())
        return found, torch.from_numpy(of_words).softmax(-1).numpy()

    def _levels(self, tokens: np.ndarray) -> dict[str, np.ndarray]:
        named = {}
        for k, aspect in enumerate(self.windows.config.token_aspects):
            values = tokens[..., k].astype(np.float64)
            if aspect.startswith("word_"):
                values = self._of_words(values[..., None])[..., 0]
            named[aspect] = values
        return named

    def _of_words(self, values: np.ndarray) -> np.ndarray:
        """Means over the phones of each word: ``[S, N, K]`` -> ``[S, W, K]``; NaN without any."""
        means = np.full((len(values), len(self.windows.data.texts), values.shape[-1]), np.nan)
        sums = np.add.reduceat(values, self._starts, axis=1)
        means[:, self._words] = sums / self._counts[:, None]
        return means

    def _utterances(self, ends: np.ndarray) -> dict[str, np.ndarray]:
        length = self.windows.length.cpu().numpy().astype(np.float64)
        utterance = self.windows.utterance.cpu().numpy()
        starts = np.flatnonzero(np.diff(utterance, prepend=-1))
        total = np.add.reduceat(length, starts)
        return {
            aspect: np.add.reduceat(ends[..., k] * length, starts, axis=1) / total
            for k, aspect in enumerate(self.windows.config.utterance_aspects)
        }
