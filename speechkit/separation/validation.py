"""Measures of validation: means, the rank-weighted loss, and the tail."""

from __future__ import annotations

import numpy as np
import torch

from speechkit.base.errors import UserError
from speechkit.base.log import counted, logger
from speechkit.labels.mixtures import MixtureSet
from speechkit.separation.conv_tasnet import ConvTasNet
from speechkit.separation.loss import rank_weights
from speechkit.separation.measurement import stack
from speechkit.separation.metrics import hsr, score
from speechkit.training.devices import ranks

_KEPT_BYTES = 2**30  # decoded audio kept between epochs


class Validation:
    """A mixture set that a model is measured on after every epoch.

    Args:
        mixtures: the set.
        batch_size: mixtures separated together (sorted by length).
    """

    def __init__(self, mixtures: MixtureSet, batch_size: int) -> None:
        self.mixtures, self.batch_size = mixtures, batch_size
        self._kept: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self._bytes = 0
        self.order = sorted(range(len(mixtures)), key=lambda i: -mixtures.mixtures[i].samples)

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Mixture ``[T]`` and sources ``[S, T]``, kept while there is room."""
        if index in self._kept:
            return self._kept[index]
        mixture = self.mixtures.mixtures[index]
        try:
            pair = self.mixtures.read(mixture)
        except UserError as error:
            raise UserError(f"{mixture.id}: {error.problem}", error.remedy) from error
        size = pair[0].nbytes + pair[1].nbytes
        if self._bytes + size < _KEPT_BYTES:
            self._kept[index], self._bytes = pair, self._bytes + size
        return pair

    def __call__(self, net: ConvTasNet, device: torch.device) -> dict[str, float]:
        """Measures of a network, the same in all processes."""
        here = ranks()
        found: dict[int, tuple[float, float]] = {}
        batches = range(0, len(self.order), self.batch_size)
        for number, first in enumerate(batches):
            if number % here.world == here.rank:
                members = self.order[first : first + self.batch_size]
                found.update(self._batch(net, members, device))
        if here.world > 1:
            parts: list[dict] = [{} for _ in range(here.world)]
            torch.distributed.all_gather_object(parts, found)
            found = {index: pair for part in parts for index, pair in part.items()}
        values = np.array([found[i] for i in sorted(found)])
        defined = np.isfinite(values).all(axis=1)
        if not defined.any():
            raise UserError(f"{self.mixtures.path} has no mixture in which all sources sound.")
        if not defined.all():
            silent = counted((~defined).sum(), "mixture")
            logger.warning(f"Left out: {silent} with a silent source.")
        return summarize(values[defined, 0], values[defined, 1])

    def _batch(
        self, net: ConvTasNet, members: list[int], device: torch.device
    ) -> dict[int, tuple[float, float]]:
        """SI-SNR and its improvement of some mixtures, NaN with a silent source."""
        read = [self.read(i) for i in members]
        mixed, counts = stack([mixture for mixture, _ in read], device)
        sources, _ = stack([each for _, each in read], device)
        estimates = net(mixed, counts).float()
        scores = score(estimates, sources, mixed, counts)
        pairs = torch.stack([scores.si_snr_db, scores.si_snri_db], dim=1).double().cpu().tolist()
        return {i: (pair[0], pair[1]) for i, pair in zip(members, pairs, strict=True)}


def summarize(si_snr_db: np.ndarray, si_snri_db: np.ndarray) -> dict[str, float]:
    """Validation measures of all mixtures ``[N]``; the weighted loss ranks them all (Eq. 3)."""
    values = torch.from_numpy(si_snr_db)
    return {
        "valid_loss": -float(si_snr_db.mean()),
        "valid_weighted_loss": -float((rank_weights(values) * values).sum()),
        "valid_si_snri_db": float(si_snri_db.mean()),
        "valid_hsr5_percent": hsr(si_snri_db, 5.0),
        "valid_hsr10_percent": hsr(si_snri_db, 10.0),
    }
