"""Log-likelihoods of all senones, and of all phones, of a phonetically tied mixture model."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from speechkit.acoustic.sphinx.files import Gaussians

_BLOCK = 256  # frames at a time, so that intermediate values stay in the cache


@dataclass(frozen=True)
class Likelihoods:
    """Natural log-likelihoods of T frames, float32.

    Args:
        senones: ``[T, senones]``.
        phones: ``[T, codebooks]``, the senones of each codebook weighted by their priors.
    """

    senones: Tensor
    phones: Tensor


class TiedMixtures:
    """Every codebook (one a phone) has G Gaussians a stream; its senones weight them.

    Args:
        gaussians: of all codebooks.
        weights: log weights ``[stream, density, senone]``.
        codebooks: codebook of each senone, ``[senones]``.
        priors: of each senone within its codebook, ``[senones]``; they sum to one.
        device: where it computes.
    """

    def __init__(
        self,
        gaussians: Gaussians,
        weights: np.ndarray,
        codebooks: np.ndarray,
        priors: np.ndarray,
        device: str,
    ) -> None:
        books, streams, densities, _ = gaussians.means.shape
        self._shape = (books, streams, densities)
        self._linear = torch.from_numpy(_linear(gaussians)).to(device)
        order = np.argsort(codebooks, kind="stable")
        sizes = np.bincount(codebooks, minlength=books).tolist()
        shares = torch.from_numpy(np.exp(weights[:, :, order])).to(device)
        self._shares = [part.contiguous() for part in shares.split(sizes, dim=2)]
        self._priors = torch.from_numpy(priors[order].astype(np.float32)).to(device).split(sizes)
        self._ends = np.cumsum([0, *sizes]).tolist()
        self._place = torch.from_numpy(np.argsort(order)).to(device)

    def likelihoods(self, features: np.ndarray) -> Likelihoods:
        """Of features ``[stream, T, dimension]``: sum over streams of log sum_k w_k N_k(x)."""
        x = torch.from_numpy(features.astype(np.float32)).to(self._linear.device)
        x = torch.cat([x, x * x, x.new_ones((*x.shape[:2], 1))], dim=2)
        senones = x.new_empty((x.shape[1], len(self._place)))
        phones = x.new_empty((x.shape[1], self._shape[0]))
        for start in range(0, len(senones), _BLOCK):
            block = slice(start, start + _BLOCK)
            self._block(x[:, block], senones[block], phones[block])
        return Likelihoods(senones, phones)

    def _block(self, x: Tensor, senones: Tensor, phones: Tensor) -> None:
        """Fill in the likelihoods of some frames ``x [stream, T, 2 dimension + 1]``."""
        books, streams, densities = self._shape
        logs = torch.bmm(x, self._linear).view(streams, x.shape[1], books, densities)
        tops = logs.amax(-1, keepdim=True)
        parts = logs.sub_(tops).exp_().unbind(2)
        top = tops.sum(0)[:, :, 0]
        ordered = torch.empty_like(senones)
        for book, (part, shares) in enumerate(zip(parts, self._shares, strict=True)):
            mixed = torch.bmm(part, shares)
            # A weight is at least exp(-26.2), so that a product of three sums cannot underflow.
            product = mixed[0]
            for stream in range(1, streams):
                product = product * mixed[stream]
            phones[:, book] = product @ self._priors[book]
            low, high = self._ends[book], self._ends[book + 1]
            torch.add(product.log_(), top[:, book, None], out=ordered[:, low:high])
        phones.log_().add_(top)
        torch.index_select(ordered, 1, self._place, out=senones)


def _linear(gaussians: Gaussians) -> np.ndarray:
    """Log densities as linear maps of [x, x^2, 1], ``[stream, 2 dim + 1, codebook x density]``.

    log N(x) = (mean / variance) x - x^2 / (2 variance) + constant.
    """
    means = gaussians.means.astype(np.float64)
    precisions = 1 / gaussians.variances.astype(np.float64)
    books, streams, densities, width = means.shape
    constant = -0.5 * (
        (means**2 * precisions).sum(-1) - np.log(precisions).sum(-1) + width * math.log(2 * math.pi)
    )
    terms = np.concatenate([means * precisions, -0.5 * precisions, constant[..., None]], -1)
    by_stream = terms.transpose(1, 3, 0, 2).reshape(streams, 2 * width + 1, books * densities)
    return by_stream.astype(np.float32)
