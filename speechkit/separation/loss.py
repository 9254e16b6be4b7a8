"""SI-SNR, permutation invariant training, and the rank-weighted loss of the paper.

"Mining Hard Samples Locally and Globally for Improved Speech Separation" (Wang et al.),
Eqs. 3 and 4. All values are in dB; the losses are negative, to be minimised. Everything
comes from dot products: with ``<e, t>``, ``<e, e>`` and ``<t, t>`` of zero-mean signals,

    SI-SNR = 10 log10( a / (<e, e> - a) ),  a = <e, t>^2 / <t, t>

An example of three samples: t = (1, 0, -1) and e = (3, -1, -2) have <e, t> = 5, <t, t> = 2 and
<e, e> = 14, so a = 12.5 is the target's part of the energy and 1.5 the rest: 9.2 dB. The same from
the signals: e - 2.5 t = (0.5, -1, 0.5), whose energy is 1.5. Dot products of all estimates and
targets are one matrix product; the residuals would be a signal for each pair.

The difference in the denominator cancels in float32 when the estimate is very good; there
it is computed from the residual ``e - (<e, t> / <t, t>) t`` instead.
"""

from __future__ import annotations

from itertools import permutations
from typing import Any

import torch
from torch import Tensor, nn

EPSILON = 1e-16
_CANCELS = 3e-4  # share of the residual below which float32 dot products lose digits (35 dB)
_OFFSET = 0.01  # share of the energy that an offset may have before it is taken off
_EXACT = 3  # sources up to which all permutations are tried


def si_snr(estimate: Tensor, target: Tensor, lengths: Tensor | None = None) -> Tensor:
    """Scale-invariant signal-to-noise ratio.

    Args:
        estimate: ``[..., T]``.
        target: ``[..., T]``.
        lengths: samples that count, ``[...]``; None if all do.

    Returns:
        ``[...]`` in dB. A silent target gives a very low value, without meaning.
    """
    estimate, target = _center(estimate, lengths), _center(target, lengths)
    cross = (estimate * target).sum(-1)
    energy = target.square().sum(-1)
    scale = cross / (energy + EPSILON)
    residual = estimate - scale[..., None] * target
    return _ratio(scale * cross, residual.square().sum(-1))


def pairwise_si_snr(estimates: Tensor, targets: Tensor, lengths: Tensor | None = None) -> Tensor:
    """SI-SNR of every estimate to every target.

    Args:
        estimates: ``[B, S, T]``.
        targets: ``[B, S', T]``.
        lengths: ``[B]`` samples that count; None if all do.

    Returns:
        ``[B, S, S']`` in dB.
    """
    with torch.autocast(estimates.device.type, enabled=False):  # half precision costs whole dB
        return _pairwise(_single(estimates), _single(targets), lengths)


def _pairwise(estimates: Tensor, targets: Tensor, lengths: Tensor | None) -> Tensor:
    count: Any = estimates.shape[-1]
    if lengths is not None:
        count = lengths.to(estimates.device)[:, None]
        sounding = torch.arange(estimates.shape[-1], device=estimates.device) < count
        estimates, targets = estimates * sounding[:, None], targets * sounding[:, None]
    cross, power, energy, sum_e, sum_t = _Products.apply(estimates, targets)
    large = (sum_e.square() > _OFFSET * count * power).any()
    if bool(large | (sum_t.square() > _OFFSET * count * energy).any()):
        each = None if lengths is None else lengths[:, None]
        estimates, targets = _center(estimates, each), _center(targets, each)
        cross, power, energy, sum_e, sum_t = _Products.apply(estimates, targets)
    # Zero-mean products: <e - m_e, t - m_t> = <e, t> - sum(e) sum(t) / T.
    by_pair = count[..., None] if lengths is not None else count
    cross = cross - sum_e[:, :, None] * sum_t[:, None] / by_pair
    power = (power - sum_e.square() / count)[:, :, None]
    energy = (energy - sum_t.square() / count)[:, None]
    projected = cross.square() / (energy + EPSILON)
    noise = power - projected
    good = (noise < _CANCELS * power).nonzero()
    if len(good):
        scale = cross / (energy + EPSILON)
        exact = _residual(estimates, targets, scale, count, good)
        noise = noise.index_put(tuple(good.T), exact)
    return _ratio(projected, noise.clamp(min=0))


class _Products(torch.autograd.Function):
    """Dot products and sums of ``e [B, S, T]`` and ``t [B, S', T]``, in few passes both ways."""

    @staticmethod
    def forward(ctx: Any, e: Tensor, t: Tensor) -> tuple[Tensor, ...]:
        ctx.save_for_backward(e, t)
        norm = torch.linalg.vector_norm  # needs no tensor of squares
        energies = norm(e, dim=-1).square(), norm(t, dim=-1).square()
        return torch.bmm(e, t.transpose(1, 2)), *energies, e.sum(-1), t.sum(-1)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None]:
        e, t = ctx.saved_tensors
        cross, power, energy, sum_e, sum_t = grads
        to_e = to_t = None
        if ctx.needs_input_grad[0]:
            to_e = _combined(e, t, 2 * power, cross, sum_e)
        if ctx.needs_input_grad[1]:
            to_t = _combined(t, e, 2 * energy, cross.transpose(1, 2), sum_t)
        return to_e, to_t


def _combined(own: Tensor, other: Tensor, scale: Tensor, mix: Tensor, offset: Tensor) -> Tensor:
    """``scale * own + mix @ other + offset`` for signals ``[B, S, T]``."""
    total = torch.addcmul(offset[..., None], own, scale[..., None])
    for j in range(other.shape[1]):
        total.addcmul_(other[:, j : j + 1], mix[:, :, j : j + 1])
    return total


def _residual(e: Tensor, t: Tensor, scale: Tensor, count: Any, where: Tensor) -> Tensor:
    """Energy of the residual of the pairs ``where [N, 3]``, without cancellation."""
    item, row, column = where.T
    residual = e[item, row] - scale[item, row, column][:, None] * t[item, column]
    samples = count[item, 0] if isinstance(count, Tensor) else count
    return residual.square().sum(-1) - residual.sum(-1).square() / samples


def _single(signal: Tensor) -> Tensor:
    return signal if signal.dtype == torch.float64 else signal.float()


def _center(signal: Tensor, lengths: Tensor | None) -> Tensor:
    signal = _single(signal)
    if lengths is None:
        return signal - signal.mean(-1, keepdim=True)
    lengths = lengths.to(signal.device)
    counts = torch.arange(signal.shape[-1], device=signal.device) < lengths[..., None]
    signal = signal * counts
    return (signal - signal.sum(-1, keepdim=True) / lengths[..., None]) * counts


def _ratio(signal: Tensor, noise: Tensor) -> Tensor:
    return 10 * torch.log10((signal + EPSILON) / (noise + EPSILON))


def pit(pairwise: Tensor) -> tuple[Tensor, Tensor]:
    """The assignment of estimates to targets with the highest mean.

    All permutations are compared up to three sources; more are assigned by the Hungarian
    method (SciPy).

    Args:
        pairwise: ``[B, S, S]``, estimates by targets, higher is better.

    Returns:
        Mean over the sources of the best assignment ``[B]``, and ``[B, S]``: the estimate
        that belongs to each target.
    """
    sources = pairwise.shape[-1]
    if sources > _EXACT:
        order = _assign(pairwise)
    else:
        orders = torch.tensor(list(permutations(range(sources))), device=pairwise.device)
        columns = torch.arange(sources, device=pairwise.device)
        means = pairwise.detach()[:, orders, columns].mean(-1)  # [B, permutations]
        order = orders[means.argmax(1)]
    chosen = pairwise.gather(1, order[:, None])[:, 0]
    return chosen.mean(-1), order


def _assign(pairwise: Tensor) -> Tensor:
    from scipy.optimize import linear_sum_assignment

    permutations = []
    for matrix in pairwise.detach().cpu().double().nan_to_num(nan=-1e9).numpy():
        rows, columns = linear_sum_assignment(matrix, maximize=True)
        permutations.append(rows[columns.argsort()])
    return torch.stack([torch.from_numpy(rows) for rows in permutations]).to(pairwise.device)


def reorder(estimates: Tensor, order: Tensor) -> Tensor:
    """Estimates ``[B, S, T]`` in the order of the targets, by ``pit``'s second output."""
    return estimates.gather(1, order[..., None].expand_as(estimates))


class SISNRLoss(nn.Module):
    """Negative SI-SNR of the best permutation, averaged over the batch.

    Shape:
        estimates and targets ``[B, S, T]``, ``lengths [B]`` or None; a scalar in dB.

    Example::

        loss = SISNRLoss()(net(mixtures), sources)
    """

    def forward(self, estimates: Tensor, targets: Tensor, lengths: Tensor | None = None) -> Tensor:
        return -pit(pairwise_si_snr(estimates, targets, lengths))[0].mean()


class WeightedSISNRLoss(nn.Module):
    """Negative rank-weighted SI-SNR (wSI-SNR, Eqs. 3 and 4): the worst weighs most.

    The values ``l_i`` of a batch are sorted in descending order and weigh
    ``w_i = i / (1 + ... + B)``. Does nothing at batch size 1. Under DistributedDataParallel
    the ranks are those within the batch of all processes.

    Shape:
        estimates and targets ``[B, S, T]``, ``lengths [B]`` or None; a scalar in dB.

    Example::

        loss = WeightedSISNRLoss()(net(mixtures), sources)
    """

    def forward(self, estimates: Tensor, targets: Tensor, lengths: Tensor | None = None) -> Tensor:
        return -weighted(pit(pairwise_si_snr(estimates, targets, lengths))[0])


def rank_weights(values: Tensor) -> Tensor:
    """Weights of Eq. 4 for values ``[B]``: they sum to 1, and the lowest value weighs most.

    Of 10, 2 and 5 dB the ranks from the top are 1, 3 and 2: they weigh 1/6, 3/6 and 2/6.
    """
    rank = torch.empty_like(values)
    order = torch.argsort(values.detach(), descending=True, stable=True)
    rank[order] = torch.arange(1, len(values) + 1, dtype=values.dtype, device=values.device)
    return rank / rank.sum()


def weighted(values: Tensor) -> Tensor:
    """wSI-SNR (Eq. 3) of the values ``[B]`` of this process.

    In a process group the weights are those of the batch of all processes, and the result is
    scaled so that averaging gradients over processes gives those of the whole batch.
    """
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return (rank_weights(values) * values).sum()
    world, here = torch.distributed.get_world_size(), torch.distributed.get_rank()
    gathered = [torch.empty_like(values) for _ in range(world)]
    torch.distributed.all_gather(gathered, values.detach().contiguous())
    weights = rank_weights(torch.cat(gathered)).chunk(world)[here]
    return world * (weights * values).sum()
