"""Where to compute, and in which precision."""

from __future__ import annotations

import torch

from speechkit.errors import UserError, require_choice

PRECISIONS = ("auto", "32", "bf16", "16")


def resolve_device(device: str) -> torch.device:
    """``auto`` is CUDA where there is one.

    Raises:
        UserError: an unknown name, or cuda without a CUDA device.
    """
    require_choice("--device", device, ("auto", "cpu", "cuda"))
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError(
            "--device cuda was asked for, but PyTorch finds no CUDA device.",
            "Use --device cpu, or see `speechkit doctor`.",
        )
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(device)


def resolve_precision(precision: str, device: torch.device) -> str:
    """Lightning's name for a ``--precision``: auto is bf16 on CUDA and 32 on CPU.

    Raises:
        UserError: an unknown name, or 16 (which needs loss scaling) on the CPU.
    """
    require_choice("--precision", precision, PRECISIONS)
    if precision == "auto":
        return "bf16-mixed" if device.type == "cuda" else "32-true"
    if precision == "16" and device.type == "cpu":
        raise UserError("--precision 16 works on CUDA only.", "Use 32 or bf16 on the CPU.")
    return {"32": "32-true", "bf16": "bf16-mixed", "16": "16-mixed"}[precision]
