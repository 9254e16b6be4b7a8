"""Log-likelihoods of all senones of a phonetically tied mixture model."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from speechkit.acoustic.sphinx.files import Gaussians

_BLOCK = 256  # frames at a time, so that intermediate values stay in the cache


class TiedMixtures:
    """Every codebook has G Gaussians a stream; every senone weights those of one codebook.

    Args:
        gaussians: of all codebooks.
        weights: log weights ``[stream, density, senone]``.
        codebooks: codebook of each senone, ``[senones]``.
        device: where it computes.
    """

    def __init__(
        self, gaussians: Gaussians, weights: np.ndarray, codebooks: np.ndarray, device: str
    ) -> None:
        means = gaussians.means.astype(np.float64)
        precisions = 1 / gaussians.variances.astype(np.float64)
        books, streams, densities, width = means.shape
        # log N(x) = constant + (mean/variance) x - 1/(2 variance) x^2: linear in [x, x^2, 1].
        constant = -0.5 * (
            (means**2 * precisions).sum(-1)
            - np.log(precisions).sum(-1)
            + width * math.log(2 * math.pi)
        )
        linear = np.concatenate([means * precisions, -0.5 * precisions, constant[..., None]], -1)
        linear = linear.transpose(1, 3, 0, 2).reshape(streams, 2 * width + 1, books * densities)
        self.shape = (books, streams, densities)
        self.senones = len(codebooks)
        self._linear = torch.from_numpy(linear.astype(np.float32)).to(device)
        order = np.argsort(codebooks, kind="stable")
        # senones [n] and weights [stream, density, n] of each codebook
        self._place = torch.from_numpy(np.argsort(order)).to(device)
        shares = torch.from_numpy(np.exp(weights[:, :, order])).to(device)
        sizes = np.bincount(codebooks, minlength=books).tolist()
        self._shares = [part.contiguous() for part in shares.split(sizes, dim=2)]
        self._ends = np.cumsum([0, *sizes]).tolist()

    def scores(self, streams: np.ndarray) -> Tensor:
        """Log-likelihood ``[T, senones]`` (float32) of features ``[stream, T, dimension]``.

        The sum over streams of log sum_k w_k N_k(x).
        """
        x = torch.from_numpy(streams.astype(np.float32)).to(self._linear.device)
        ones = x.new_ones((*x.shape[:2], 1))
        x = torch.cat([x, x * x, ones], dim=2)
        scores = x.new_empty((x.shape[1], self.senones))
        for start in range(0, len(scores), _BLOCK):
            scores[start : start + _BLOCK] = self._block(x[:, start : start + _BLOCK])
        return scores

    def _block(self, x: Tensor) -> Tensor:
        books, streams, densities = self.shape
        logs = torch.bmm(x, self._linear).view(streams, x.shape[1], books, densities)
        top = logs.amax(-1, keepdim=True)
        parts = logs.sub_(top).exp_().unbind(2)
        sums = x.new_empty((x.shape[1], self.senones))
        for book, (part, shares) in enumerate(zip(parts, self._shares, strict=True)):
            mixed = torch.bmm(part, shares)
            # A weight is at least exp(-26.2): the product of three sums cannot underflow.
            product = mixed[0]
            for stream in range(1, streams):
                product = product * mixed[stream]
            low, high = self._ends[book], self._ends[book + 1]
            torch.add(product.log_(), top[:, :, book].sum(0), out=sums[:, low:high])
        return sums[:, self._place]
