"""The acoustic model of pocketsphinx, as an :class:`AcousticModel`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from speechkit.acoustic.interface import AcousticModel, Costs, Evidence, PhoneInContext, States
from speechkit.acoustic.sphinx import files
from speechkit.acoustic.sphinx.mfcc import SAMPLE_RATE, SHIFT, WINDOW, Mfcc, streams
from speechkit.base.errors import UserError, require_choice

STREAMS = 3
_BLOCK = 256  # frames at a time, so that intermediate values stay in the cache
POSTERIORS = ("ci", "cd")
_EXPECTED = {
    "transform": "dct",
    "feat": "1s_c_d_dd",
    "svspec": "0-12/13-25/26-38",
    "agc": "none",
    "cmn": "batch",
    "varnorm": "no",
    "model": "ptm",
}


class SphinxModel(AcousticModel):
    """English GMM-HMM of pocketsphinx, with full mixtures.

    pocketsphinx itself keeps the best four Gaussians of a codebook; here all 128 count.

    Args:
        folder: with ``mdef``, ``means`` and the rest; by default pocketsphinx's ``en-us``.
        device: where the likelihoods are computed; evidence is on the CPU.
        posteriors: the senones that a phone's posterior is made of: all of the phone, those of
            a state being equally likely (``cd``), or the three without context (``ci``).
            All phones are equally likely. On speechocean762 (training speakers) the GOP of
            ``cd`` correlates with the phone scores slightly better.

    Raises:
        UserError: a file is missing, broken, or of a model of another kind.
    """

    name = "sphinx"
    frame_shift = SHIFT / SAMPLE_RATE
    sample_rate = SAMPLE_RATE

    def __init__(
        self, folder: Path | None = None, device: str = "cpu", posteriors: str = "cd"
    ) -> None:
        require_choice("posteriors", posteriors, POSTERIORS)
        self.folder = files.FOLDER if folder is None else folder
        self.posteriors = posteriors
        self._inventory = files.read_inventory(self.folder / "mdef")
        self.labels = self._inventory.labels
        self._mfcc = _front_end(self.folder / "feat.params")
        self._transitions = files.read_transitions(self.folder / "transition_matrices")
        self._plain = self._inventory.plain
        weights = files.read_weights(self.folder / "sendump", STREAMS)
        gaussians = files.read_gaussians(self.folder)
        _require_fit(self.folder, self._inventory, gaussians, weights)
        priors = _senone_priors(self._plain, 3 * len(self.labels), posteriors)
        self._mixtures = TiedMixtures(gaussians, weights, self._plain // 3, priors, device)
        self._plain_index = torch.from_numpy(self._plain).long()
        with np.errstate(divide="ignore"):
            self._log_priors = torch.from_numpy(np.log(priors).astype(np.float32))

    @cached_property
    def fingerprint(self) -> str:  # type: ignore[override]
        """Of the model's files and of how posteriors are made."""
        return f"sphinx-{self.posteriors}-{files.fingerprint(self.folder)[:32]}"

    def evidence_many(self, waves: Sequence[np.ndarray]) -> list[Evidence]:
        """Evidence of mono samples ``[N]`` in -1..1 at 16 kHz, a frame each 10 ms.

        Raises:
            UserError: one of them is shorter than one window of 410 samples.
        """
        return [self._evidence(cepstra) for cepstra in self.cepstra(waves)]

    def cepstra(self, waves: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Mel cepstra ``[T, 13]`` (float64) of each recording, before mean normalisation.

        Raises:
            UserError: one of them is shorter than one window of 410 samples.
        """
        for wave in waves:
            if len(wave) < WINDOW:
                raise UserError(
                    f"The audio has {len(wave)} samples, too few for the model 'sphinx'.",
                    f"It needs at least {WINDOW} ({1000 * WINDOW / SAMPLE_RATE:.1f} ms).",
                )
        return self._mfcc.cepstra(waves) if waves else []

    @torch.inference_mode()
    def _evidence(self, cepstra: np.ndarray) -> Evidence:
        senones, phones = self._mixtures.likelihoods(streams(cepstra))
        return Evidence(phones.log_softmax(1).cpu(), senones.cpu())

    def _row(self, phone: PhoneInContext) -> int:
        row = self._inventory.find(phone)
        if row is None:
            raise self.phone_error(phone.phone)
        return row

    def state_ids(self, phone: PhoneInContext) -> States:
        """The three senones of a phone in its context.

        A triphone that the model lacks is replaced as in pocketsphinx: by that of another
        position in the word, then with silence for the neighbouring word, then by the phone
        without context.

        Raises:
            UserError: the model has no such phone.
        """
        return self._inventory.states(self._row(phone))

    def transition_costs(self, phone: PhoneInContext) -> Costs:
        """Log probabilities (stay, move on) of its three states."""
        return self._costs(self._row(phone))

    def _costs(self, row: int) -> Costs:
        matrix = self._transitions[int(self._inventory.table["matrix"][row])]
        return tuple((float(rates[i]), float(rates[i + 1])) for i, rates in enumerate(matrix))

    def phone_without_context(self, label: str) -> tuple[States, Costs]:
        """Its own senones, which come before those of all triphones."""
        row = self.labels.index(label)
        return self._inventory.states(row), self._costs(row)

    def transition_probabilities(self) -> np.ndarray:
        """P(stay) and P(leave) of the states of its phones without context ``[3 C, 2]``.

        All triphones of a phone have the same matrix.
        """
        matrices = self._inventory.table["matrix"][: len(self.labels)]
        rates = np.exp(self._transitions[matrices])
        states = np.arange(rates.shape[1])
        return np.stack([rates[:, states, states], rates[:, states, states + 1]], -1).reshape(-1, 2)

    def state_log_posteriors(self, evidence: Evidence) -> Tensor:
        """Senones of a state put together as they are for the posteriors of phones."""
        scores = evidence.state_scores + self._log_priors
        top = scores.amax(1, keepdim=True)
        sums = scores.new_zeros((len(scores), 3 * len(self.labels)))
        sums.index_add_(1, self._plain_index, (scores - top).exp())
        logs = sums.clamp(min=torch.finfo(sums.dtype).tiny).log()
        return logs.log_softmax(-1)

    def plain_state(self, state: int) -> int:
        """``3 * phone + state`` of a senone; that is also its context-independent senone."""
        return int(self._plain[state])


def _front_end(path: Path) -> Mfcc:
    options = files.read_feature_parameters(path)
    for name, value in _EXPECTED.items():
        if options.get(name) != value:
            raise files.broken(path, f"'{name}' is '{options.get(name)}', not '{value}'")
    try:
        return Mfcc(
            low=float(options["lowerf"]),
            high=float(options["upperf"]),
            filters=int(options["nfilt"]),
            lifter=int(options.get("lifter", "0")),
            denoise=options.get("remove_noise", "no") == "yes",
        )
    except (KeyError, ValueError) as error:
        raise files.broken(path, f"the filters are not given as numbers ({error})") from error


def _senone_priors(plain: np.ndarray, states: int, posteriors: str) -> np.ndarray:
    """Prior of each senone within its phone; ``plain`` is its state without context."""
    if posteriors == "ci":
        return np.where(np.arange(len(plain)) < states, 1 / 3, 0.0)
    return 1 / (3 * np.bincount(plain, minlength=states)[plain])


def _require_fit(
    folder: Path, inventory: files.Inventory, gaussians: files.Gaussians, weights: np.ndarray
) -> None:
    """Raise unless the files belong to one model."""
    if gaussians.means.shape[:2] != (len(inventory.labels), STREAMS):
        raise files.broken(folder / "means", f"not {len(inventory.labels)} codebooks of 3 streams")
    if weights.shape[1:] != (gaussians.means.shape[2], inventory.senones):
        raise files.broken(folder / "sendump", "its weights do not fit 'means' and 'mdef'")
    if inventory.sequences.shape[1] != 3 or inventory.plain.min() < 0:
        raise files.broken(folder / "mdef", "its phones do not all have three states")


class TiedMixtures:
    """Every codebook (one a phone) has G Gaussians a stream; its senones weight them.

    Args:
        weights: log weights ``[stream, density, senone]``.
        codebooks: codebook of each senone, ``[senones]``.
        priors: of each senone within its codebook, ``[senones]``; they sum to one.
    """

    def __init__(
        self,
        gaussians: files.Gaussians,
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

    def likelihoods(self, features: np.ndarray) -> tuple[Tensor, Tensor]:
        """Natural log-likelihoods of features ``[stream, T, dimension]``, float32.

        Of senones ``[T, senones]``: the sum over streams of log sum_k w_k N_k(x). Of phones
        ``[T, codebooks]``: the senones of each codebook weighted by their priors.
        """
        x = torch.from_numpy(features.astype(np.float32)).to(self._linear.device)
        x = torch.cat([x, x * x, x.new_ones((*x.shape[:2], 1))], dim=2)
        senones = x.new_empty((x.shape[1], len(self._place)))
        phones = x.new_empty((x.shape[1], self._shape[0]))
        for start in range(0, len(senones), _BLOCK):
            block = slice(start, start + _BLOCK)
            self._block(x[:, block], senones[block], phones[block])
        return senones, phones

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


def _linear(gaussians: files.Gaussians) -> np.ndarray:
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
