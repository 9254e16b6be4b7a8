"""The acoustic model that comes with pocketsphinx, as an :class:`AcousticModel`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from speechkit.acoustic.base import AcousticModel, Evidence, PhoneInContext
from speechkit.acoustic.sphinx import files
from speechkit.acoustic.sphinx.inventory import Inventory, read_inventory
from speechkit.acoustic.sphinx.mfcc import SAMPLE_RATE, SHIFT, WINDOW, Mfcc, streams
from speechkit.acoustic.sphinx.mixtures import TiedMixtures
from speechkit.base.errors import UserError, require_choice

STREAMS = 3
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
    """English GMM-HMM of the pocketsphinx package, with full mixtures.

    pocketsphinx itself keeps the best four Gaussians of a codebook; here all 128 count.

    Args:
        folder: with ``mdef``, ``means`` and the rest; by default the package's ``en-us``.
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
        require_choice("Posteriors", posteriors, POSTERIORS)
        self.folder = files.package_folder() / "en-us" if folder is None else folder
        self.posteriors = posteriors
        self._inventory = read_inventory(self.folder / "mdef")
        self.labels = self._inventory.labels
        self._mfcc = _front_end(self.folder / "feat.params")
        self._transitions = files.read_transitions(self.folder / "transition_matrices")
        self._plain = self._inventory.plain
        weights = files.read_weights(self.folder / "sendump", STREAMS)
        gaussians = files.read_gaussians(self.folder)
        _require_fit(self.folder, self._inventory, gaussians, weights)
        self._priors = _senone_priors(self._plain, 3 * len(self.labels), posteriors)
        self._mixtures = TiedMixtures(gaussians, weights, self._plain // 3, self._priors, device)

    @cached_property
    def fingerprint(self) -> str:  # type: ignore[override]
        """Of the model's files and of how posteriors are made."""
        return f"sphinx-{self.posteriors}-{files.fingerprint(self.folder)[:32]}"

    def evidence(self, samples: np.ndarray) -> Evidence:
        """Evidence of mono samples ``[N]`` in -1..1 at 16 kHz, a frame each 10 ms.

        Raises:
            UserError: the audio is shorter than one window of 410 samples.
        """
        return self.evidence_many([samples])[0]

    def evidence_many(self, waves: Sequence[np.ndarray]) -> list[Evidence]:
        """Evidence of several recordings, the same as one by one.

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
        found = self._mixtures.likelihoods(streams(cepstra))
        return Evidence(found.phones.log_softmax(1).cpu(), found.senones.cpu())

    def _row(self, phone: PhoneInContext) -> int:
        row = self._inventory.find(phone)
        if row is None:
            raise UserError(
                f"The acoustic model 'sphinx' has no phone '{phone.phone}'.",
                f"It has: {' '.join(self.labels)}.",
            )
        return row

    def state_ids(self, phone: PhoneInContext) -> tuple[int, ...]:
        """The three senones of a phone in its context.

        A triphone that the model lacks is replaced as in pocketsphinx: by that of another
        position in the word, then with silence for the neighbouring word, then by the phone
        without context.

        Raises:
            UserError: the model has no such phone.
        """
        return self._inventory.states(self._row(phone))

    def transition_costs(self, phone: PhoneInContext) -> tuple[tuple[float, float], ...]:
        """Log probabilities (stay, move on) of its three states."""
        matrix = self._transitions[int(self._inventory.table["matrix"][self._row(phone)])]
        return tuple((float(row[i]), float(row[i + 1])) for i, row in enumerate(matrix))

    def transition_probabilities(self) -> np.ndarray:
        """P(stay) and P(leave) of the states of its phones without context ``[3 C, 2]``.

        All triphones of a phone have the same matrix.
        """
        matrices = self._inventory.table["matrix"][: len(self.labels)]
        rates = np.exp(self._transitions[matrices])
        states = np.arange(rates.shape[1])
        return np.stack([rates[:, states, states], rates[:, states, states + 1]], -1).reshape(-1, 2)

    def state_log_posteriors(self, evidence: Evidence) -> torch.Tensor:
        """Senones of a state put together as they are for the posteriors of phones."""
        scores = evidence.state_scores + self._log_priors
        top = scores.amax(1, keepdim=True)
        sums = scores.new_zeros((len(scores), 3 * len(self.labels)))
        sums.index_add_(1, self._plain_index, (scores - top).exp())
        logs = sums.clamp(min=torch.finfo(sums.dtype).tiny).log()
        return logs.log_softmax(-1)

    @cached_property
    def _log_priors(self) -> torch.Tensor:
        with np.errstate(divide="ignore"):
            return torch.from_numpy(np.log(self._priors).astype(np.float32))

    @cached_property
    def _plain_index(self) -> torch.Tensor:
        return torch.from_numpy(self._plain).long()

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
    folder: Path, inventory: Inventory, gaussians: files.Gaussians, weights: np.ndarray
) -> None:
    """Raise unless the files belong to one model."""
    if gaussians.means.shape[:2] != (len(inventory.labels), STREAMS):
        raise files.broken(folder / "means", f"not {len(inventory.labels)} codebooks of 3 streams")
    if weights.shape[1:] != (gaussians.means.shape[2], inventory.senones):
        raise files.broken(folder / "sendump", "its weights do not fit 'means' and 'mdef'")
    if inventory.sequences.shape[1] != 3 or inventory.plain.min() < 0:
        raise files.broken(folder / "mdef", "its phones do not all have three states")
