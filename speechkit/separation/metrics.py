"""How well mixtures were separated: SI-SNR and SDR with their improvements, and the tail."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from speechkit.base.errors import MissingDependency
from speechkit.separation.loss import pairwise_si_snr, pit

SILENT = 1e-10  # variance of the samples of a signal below which SI-SNR means nothing
TAPS = 512  # of the distortion filter of BSS Eval
_LEAST = 1e-12  # share of energy; bounds the SDR at 120 dB
_LOADING = 1e-10  # added to the diagonal of a covariance that is singular (100 dB down)


@dataclass(frozen=True)
class Scores:
    """SI-SNR of separated mixtures.

    Args:
        si_snr_db: mean over the sources of the best permutation, ``[B]``; NaN where a source
            is silent.
        si_snri_db: by how much that is above the SI-SNR of the mixture, ``[B]``.
        order: the estimate that belongs to each source, ``[B, S]``.
    """

    si_snr_db: Tensor
    si_snri_db: Tensor
    order: Tensor


def score(
    estimates: Tensor, sources: Tensor, mixtures: Tensor, lengths: Tensor | None = None
) -> Scores:
    """SI-SNR and SI-SNRi with the best permutation.

    Args:
        estimates: ``[B, S, T]``.
        sources: ``[B, S, T]``, zero beyond ``lengths``.
        mixtures: ``[B, T]``.
        lengths: samples that count, ``[B]``; None if all do.
    """
    values, order = pit(pairwise_si_snr(estimates, sources, lengths))
    before = pairwise_si_snr(mixtures[:, None], sources, lengths)[:, 0].mean(-1)
    undefined = silent(sources, lengths).any(-1)
    values = values.masked_fill(undefined, float("nan"))
    return Scores(values, values - before, order)


def silent(signals: Tensor, lengths: Tensor | None = None) -> Tensor:
    """Which signals ``[B, S, T]`` hold nothing but a constant: bool ``[B, S]``.

    Args:
        signals: zero beyond ``lengths``.
        lengths: samples that count, ``[B]``; None if all do.
    """
    count = signals.shape[-1] if lengths is None else lengths.to(signals.device)[:, None]
    exact = signals.double()
    mean = exact.sum(-1) / count
    return exact.square().sum(-1) / count - mean.square() < SILENT


def sdr(estimates: Tensor, targets: Tensor, taps: int = TAPS) -> Tensor:
    """Signal-to-distortion ratio of BSS Eval: a filtered target is no distortion.

    E. Vincent, R. Gribonval, C. Fevotte, "Performance measurement in blind audio source
    separation", IEEE TASLP 14 (4), 2006. With ``r`` the autocorrelation of the target and
    ``c`` its correlation with the estimate (both of unit energy), the best filter solves
    ``toeplitz(r) h = c``; it explains the share ``<c, h>`` of the estimate's energy. The
    covariance is factorised once for all estimates of a target. Zeros at the end of both
    signals change nothing, so that signals of several lengths may be padded.

    Args:
        estimates: ``[..., E, T]``, several estimates of each target.
        targets: ``[..., T]``.
        taps: length of the filter.

    Returns:
        ``[..., E]`` in dB, within -120 and 120; NaN where target or estimate is zero.
    """
    wanted, estimated = _unit(targets.double()), _unit(estimates.double())
    size = _fast_length(targets.shape[-1] + taps)
    spectrum = torch.fft.rfft(wanted, size)
    auto = torch.fft.irfft(spectrum.abs().square(), size)[..., :taps]
    across = torch.fft.rfft(estimated, size) * spectrum.conj()[..., None, :]
    cross = torch.fft.irfft(across, size)[..., :taps]
    delay = torch.arange(taps, device=auto.device)
    covariance = auto[..., (delay[:, None] - delay).abs()]
    filters = torch.cholesky_solve(cross.mT, _factor(covariance)).mT
    share = (cross * filters).sum(-1)
    return 10 * torch.log10(share.clamp(min=_LEAST) / (1 - share).clamp(min=_LEAST))


def _unit(signal: Tensor) -> Tensor:
    """Of unit energy; NaN where there is none."""
    return signal / torch.linalg.vector_norm(signal, dim=-1, keepdim=True)


def _factor(covariance: Tensor) -> Tensor:
    """Cholesky factors ``[..., K, K]``; NaN in, NaN out."""
    eye = torch.eye(covariance.shape[-1], dtype=covariance.dtype, device=covariance.device)
    undefined = covariance.isnan().any(-1, keepdim=True).any(-2, keepdim=True)
    sound = torch.where(undefined, eye, covariance)
    factor, failed = torch.linalg.cholesky_ex(sound)
    if bool(failed.any()):  # band-limited signals
        loaded, _ = torch.linalg.cholesky_ex(sound + _LOADING * eye)
        factor = torch.where((failed > 0)[..., None, None], loaded, factor)
    return factor.masked_fill(undefined, float("nan"))


def _fast_length(least: int) -> int:
    """The smallest 2^a, 3 * 2^a or 5 * 2^a that is not below ``least``."""
    return min(k << max(0, (-(-least // k) - 1).bit_length()) for k in (1, 3, 5))


def hsr(si_snri_db: np.ndarray, threshold: float) -> float:
    """Hard sample rate: percent of mixtures strictly below ``threshold`` dB of SI-SNRi."""
    return 100.0 * float(np.mean(si_snri_db < threshold))


def stoi(estimates: np.ndarray, sources: np.ndarray, rate: int, extended: bool) -> float:
    """Mean (E)STOI of estimates ``[S, T]`` in the order of the sources; NaN where too short.

    C. H. Taal et al., "An Algorithm for Intelligibility Prediction of Time-Frequency Weighted
    Noisy Speech", IEEE TASLP 19 (7), 2011; extended: J. Jensen and C. H. Taal, IEEE/ACM TASLP
    24 (11), 2016. It needs about 0.4 s of speech.

    Raises:
        MissingDependency: pystoi is not installed.
    """
    measured = require_pystoi()
    pairs = zip(sources, estimates, strict=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        try:
            return float(np.mean([measured(s, e, rate, extended=extended) for s, e in pairs]))
        except RuntimeWarning:  # "Not enough STFT frames"
            return float("nan")


def require_pystoi() -> Callable[..., float]:
    """The function ``pystoi.stoi``."""
    try:
        from pystoi import stoi as measured
    except ImportError as error:
        raise MissingDependency("pystoi", "metrics") from error
    return measured
