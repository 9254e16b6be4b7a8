"""Conv-TasNet: separation of a mixture by masks on a learned basis.

Y. Luo and N. Mesgarani, "Conv-TasNet: Surpassing Ideal Time-Frequency Magnitude Masking for
Speech Separation", IEEE/ACM TASLP 27 (8), 2019. The hyperparameters have that paper's names
in their help texts: N, L, B, Sc, H, P, X, R.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from speechkit.base.errors import UserError
from speechkit.separation.config import ConvTasNetConfig
from speechkit.separation.layers import (
    NORMS,
    Depthwise,
    Pointwise,
    PReLU,
    hide,
    one_by_one,
    pointwise,
)


class Block(nn.Module):
    """1x1, depthwise dilated, 1x1 convolutions with a residual and a skip path."""

    def __init__(self, config: ConvTasNetConfig, dilation: int) -> None:
        super().__init__()
        norm = NORMS[config.norm]
        self.widen = Pointwise(config.bottleneck, config.hidden)
        self.act1, self.norm1 = PReLU(), norm(config.hidden)
        self.depthwise = Depthwise(
            config.hidden,
            config.conv_kernel,
            dilation,
            causal=config.causal,
            reflect=config.padding == "reflect",
        )
        self.act2, self.norm2 = PReLU(), norm(config.hidden)
        self.residual = Pointwise(config.hidden, config.bottleneck)
        self.skip = Pointwise(config.hidden, config.skip) if config.skip else None

    def forward(self, x: Tensor, frames: Tensor | None) -> tuple[Tensor, Tensor | None]:
        y = self.norm1(self.act1(self.widen(x)), frames)
        y = self.norm2(self.act2(self.depthwise(y)), frames)
        if self.skip is None:
            return x + self.residual(y), None
        # One product for both paths: they read the same, large input.
        paths = (self.residual, self.skip)
        weight = torch.cat([path.weight for path in paths])
        bias = torch.cat([path.bias for path in paths if path.bias is not None])
        both = pointwise(y, weight, bias)
        channels = x.shape[1]
        return x + both[:, :channels], both[:, channels:]


class ConvTasNet(nn.Module):
    """Separates mixtures into ``config.speakers`` signals.

    Args:
        config: hyperparameters.

    Shape:
        mixture ``[B, T]`` and optionally the number of samples of each, ``lengths [B]``;
        output ``[B, speakers, T]``. Padding beyond ``lengths`` changes nothing before it and
        comes out as zero.

    Raises:
        UserError: the configuration is impossible, or a mixture is shorter than the kernel.

    Example::

        net = ConvTasNet(SIZES["light"])
        estimates = net(torch.randn(4, 32000))  # [4, 2, 32000]
    """

    def __init__(self, config: ConvTasNetConfig) -> None:
        super().__init__()
        config.check()
        self.config = config
        n, l_ = config.filters, config.kernel
        self.encoder = nn.Parameter(torch.empty(n, 1, l_))
        self.decoder = nn.Parameter(torch.empty(n, 1, l_))
        nn.init.xavier_normal_(self.encoder)
        nn.init.xavier_normal_(self.decoder)
        self.norm = NORMS[config.input_norm or config.norm](n)
        self.bottleneck = Pointwise(n, config.bottleneck)
        self.blocks = nn.ModuleList(
            Block(config, 2**x) for _ in range(config.repeats) for x in range(config.blocks)
        )
        self.mask_act = PReLU()
        self.masks = Pointwise(config.skip or config.bottleneck, config.speakers * n)

    def forward(self, mixture: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Separate; see the class."""
        batch, samples = mixture.shape
        shortest = samples if lengths is None else int(lengths.min())
        if shortest < self.config.kernel:
            raise UserError(
                f"A mixture of {shortest} samples is shorter than the encoder's window "
                f"({self.config.kernel} samples).",
                "Leave it out, or use a model with a shorter kernel.",
            )
        padded, frames = self._frame(mixture, lengths)
        if frames is not None and self.config.padding == "reflect":
            assert lengths is not None
            return one_by_one(self, mixture, lengths)  # each is reflected at its own end
        basis = functional.conv1d(padded[:, None], self.encoder, stride=self.config.hop)
        if self.config.encoder_relu:
            basis = functional.relu(basis)
        basis = hide(basis, frames)
        y = self.bottleneck(self.norm(basis, frames))
        total = None
        for block in self.blocks:
            y, skip = block(y, frames)
            if skip is not None:
                total = skip if total is None else total + skip
        masks = self._activate(self.masks(self.mask_act(y if total is None else total)))
        sources = masks.view(batch, self.config.speakers, -1, basis.shape[-1]) * basis[:, None]
        out = self._decode(sources.flatten(0, 1)).view(batch, self.config.speakers, -1)
        out = functional.pad(out, (0, max(0, samples - out.shape[-1])))[..., :samples]
        return hide(out, lengths)

    def _frame(self, mixture: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """The mixture without what lies beyond its lengths, and the frames of each."""
        if lengths is None or bool((lengths == mixture.shape[-1]).all()):
            return mixture, None
        lengths = lengths.to(mixture.device)
        place = torch.arange(mixture.shape[-1], device=mixture.device)
        frames = self.config.frames(lengths)
        # A last frame that reaches into padding does not exist for the mixture by itself.
        heard = (frames - 1) * self.config.hop + self.config.kernel
        return mixture * (place < heard[:, None]), frames

    def _activate(self, masks: Tensor) -> Tensor:
        if self.config.mask == "softmax":
            by_source = masks.unflatten(1, (self.config.speakers, -1))
            return by_source.softmax(dim=1).flatten(1, 2)
        if self.config.mask == "relu":
            return functional.relu(masks)
        return masks.sigmoid() if self.config.mask == "sigmoid" else masks

    def _decode(self, sources: Tensor) -> Tensor:
        """Overlap-add of the basis, ``[B, N, K]`` to ``[B, T]``."""
        hop = self.config.hop
        if self.config.kernel != 2 * hop:
            return functional.conv_transpose1d(sources, self.decoder, stride=hop)[:, 0]
        basis = self.decoder[:, 0].t().expand(len(sources), -1, -1)
        parts = torch.bmm(basis, sources).float()  # [B, L, K]
        first = functional.pad(parts[:, :hop], (0, 1))
        second = functional.pad(parts[:, hop:], (1, 0))
        return (first + second).transpose(1, 2).flatten(1)
