"""Where to compute, and in which precision."""

from __future__ import annotations

import torch

from speechkit.base.errors import ConfigError, require_choice

PRECISIONS = ("auto", "32", "bf16", "16")


def resolve_device(device: str) -> torch.device:
    """``auto`` is CUDA where there is one.

    Raises:
        UserError: an unknown name, or cuda without a CUDA device.
    """
    require_choice("device", device, ("auto", "cpu", "cuda"))
    if device == "cuda" and not torch.cuda.is_available():
        raise ConfigError(
            "device",
            "cuda was asked for, but PyTorch finds no CUDA device.",
            "Use `device` cpu, or see `speechkit doctor`.",
        )
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(device)


def resolve_precision(precision: str, device: torch.device) -> str:
    """Lightning's name for a ``precision``: auto is bf16 on CUDA and 32 on CPU.

    Raises:
        UserError: an unknown name, or 16 (which needs loss scaling) on the CPU.
    """
    require_choice("precision", precision, PRECISIONS)
    if precision == "auto":
        return "bf16-mixed" if device.type == "cuda" else "32-true"
    if precision == "16" and device.type == "cpu":
        raise ConfigError("precision", "16 works on CUDA only.", "Use 32 or bf16 on the CPU.")
    return {"32": "32-true", "bf16": "bf16-mixed", "16": "16-mixed"}[precision]


def keep_memory(device: torch.device) -> None:
    """Let the C library keep freed memory instead of giving it back after every step.

    On the CPU large tensors would otherwise be mapped, zeroed and unmapped again and again,
    which takes a good part of a step. Works with glibc; elsewhere it does nothing.
    """
    if device.type != "cpu":
        return
    import ctypes

    trim_threshold, mmap_threshold = -1, -3  # names of malloc.h
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return
    mallopt(mmap_threshold, 32 * 2**20)
    mallopt(trim_threshold, 2**31 - 1)
