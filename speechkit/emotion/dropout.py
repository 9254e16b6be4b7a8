"""Dropout whose draws cost less on a CPU: there they are a tenth of a step of fine-tuning."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_LEVELS = 1 << 16  # 16 random bits decide about each element


class Dropout(nn.Dropout):
    """As :class:`torch.nn.Dropout`; on a CPU one draw of 64 bits serves four elements.

    The probability is then rounded to a multiple of 1/65536, and what is kept is scaled to it, so
    that the mean stays. Draws are from torch's generator. Elsewhere it is PyTorch's own.
    """

    def forward(self, values: Tensor) -> Tensor:
        level = round(self.p * _LEVELS)
        if not self.training or values.device.type != "cpu" or not 0 < level < _LEVELS:
            return super().forward(values)
        bits = torch.empty(-(-values.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
        drawn = bits.view(torch.int16)[: values.numel()].view(values.shape)
        kept = drawn >= level - _LEVELS // 2
        return values * (kept * (_LEVELS / (_LEVELS - level))).to(values.dtype)


def use(module: nn.Module) -> None:
    """Let every dropout of a module draw so (attention's own, a function, stays PyTorch's)."""
    for part in module.modules():
        if type(part) is nn.Dropout:
            part.__class__ = Dropout  # in place: its hooks stay
