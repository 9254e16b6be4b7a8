"""The pretrained speaker encoder whose weights come inside the package ``resemblyzer``.

L. Wan, Q. Wang, A. Papir and I. Lopez Moreno, "Generalized End-to-End Loss for Speaker
Verification", ICASSP 2018: an LSTM over 1.6 s of mel energies; its last state gives a vector. Of
the package only the file of weights is read; its code, which needs a compiler, never runs.

A recording of 3 s has 301 frames. Pieces of 160 frames begin every 77 frames, at 0, 77 and 154; the
last, from 1.54 s on, has audio for 91 % of it, and what is missing is zeros. A last piece with
less than 75 % is left out, unless it is the only one. The vector is the mean of the vectors of the
pieces, each of length 1, made of length 1 again. The package also cuts long silences out before;
here they stay.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from speechkit.base.errors import MissingDependency, UserError
from speechkit.training.weights import build, read_checkpoint

NAME = "ge2e"  # as a model
PACKAGE, EXTRA, WEIGHTS = "resemblyzer", "speakers", "pretrained.pt"
RATE, WINDOW, HOP, MELS, WIDTH, LAYERS = 16_000, 400, 160, 40, 256, 3
PIECE, STEP = 160, 77  # frames: 1.6 s, and 1.3 pieces a second
COVERAGE = 0.75  # of a last piece that counts
LEVEL_DB = -30.0  # RMS below full scale, to which quieter recordings are amplified
_AT_ONCE = 256  # pieces


def find() -> Path:
    """The folder of the weights, inside the installed package (which is not imported).

    Raises:
        MissingDependency: the package is not installed.
        UserError: it has no such file.
    """
    try:
        found = importlib.metadata.distribution(PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        raise MissingDependency(PACKAGE, EXTRA) from None
    path = Path(str(found.locate_file(f"{PACKAGE}/{WEIGHTS}")))
    if not path.is_file():
        raise UserError(
            f"The package '{PACKAGE}' {found.version} has no file {WEIGHTS} with the weights.",
            f"Install it again: python -m pip install --force-reinstall --no-deps {PACKAGE}",
        )
    return path.parent


def load(folder: Path) -> tuple[MelPower, Encoder, int, int]:
    """Features, network, sample rate in Hz and fewest frames.

    Args:
        folder: of the file of weights.

    Raises:
        UserError: it is missing, damaged, or of another network.
    """
    path = folder / WEIGHTS
    remedy = f"Install it again: python -m pip install --force-reinstall --no-deps {PACKAGE}"
    found = read_checkpoint(path, remedy)
    state = found.get("model_state") if isinstance(found, dict) else None
    if not isinstance(state, dict):
        raise UserError(f"{path} does not hold the weights of a speaker encoder.", remedy)
    own = {name: value for name, value in state.items() if name.split(".")[0] in ("lstm", "linear")}
    return MelPower(), build(Encoder, own, path).eval(), RATE, 2


class MelPower(nn.Module):
    """Mel energies of recordings, brought to a level if they are quieter.

    Frames of 25 ms, centred every 10 ms, with zeros before the beginning and behind the end; a Hann
    window, powers, and triangular filters of equal area on Slaney's mel scale. No logarithm.

    Shape:
        - Input: samples ``[B, N]``, B lengths in samples.
        - Output: features ``[B, T, 40]``, as many as the last pieces need; the lengths in samples.
    """

    hop = HOP

    def __init__(self) -> None:
        from torchaudio.transforms import MelSpectrogram

        super().__init__()
        self.mel = MelSpectrogram(
            RATE, n_fft=WINDOW, hop_length=HOP, n_mels=MELS, norm="slaney", mel_scale="slaney",
            pad_mode="constant",
        )  # fmt: skip

    def forward(self, samples: Tensor, lengths: Sequence[int]) -> tuple[Tensor, list[int]]:
        end = max(pieces(n)[-1] + PIECE for n in lengths) * HOP
        padded = nn.functional.pad(samples.float(), (0, max(0, end - samples.shape[1])))
        count = torch.tensor(lengths, device=padded.device)
        rms = (padded.double().square().sum(1) / count).sqrt()  # zeros lie behind each recording
        gain = torch.where(rms > 0, 10 ** (LEVEL_DB / 20) / rms, 1.0).clamp(min=1.0).float()
        return self.mel(padded * gain[:, None]).transpose(1, 2), list(lengths)


def pieces(samples: int) -> list[int]:
    """First frames of the pieces of a recording of so many samples."""
    frames = -(-(samples + 1) // HOP)
    first = list(range(0, max(1, frames - PIECE + STEP + 1), STEP))
    if len(first) > 1 and samples - first[-1] * HOP < COVERAGE * PIECE * HOP:
        first.pop()
    return first


class Encoder(nn.Module):
    """Three layers of LSTM over each piece, a linear layer, ReLU; the mean over the pieces.

    Shape:
        - Input: features ``[B, T, 40]`` and B lengths in samples.
        - Output: vectors ``[B, 256]`` of length 1, none of whose values is negative.
    """

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(MELS, WIDTH, LAYERS, batch_first=True)
        self.linear = nn.Linear(WIDTH, WIDTH)

    def forward(self, features: Tensor, lengths: Sequence[int]) -> Tensor:
        first = [pieces(samples) for samples in lengths]
        cut = [row[at : at + PIECE] for row, own in zip(features, first, strict=True) for at in own]
        vectors = torch.cat(
            [self._last(torch.stack(cut[k : k + _AT_ONCE])) for k in range(0, len(cut), _AT_ONCE)]
        )
        means = [part.mean(0) for part in vectors.split([len(own) for own in first])]
        return nn.functional.normalize(torch.stack(means))

    def _last(self, piece: Tensor) -> Tensor:
        """Vectors ``[P, 256]`` of pieces ``[P, 160, 40]``."""
        _, (state, _) = self.lstm(piece)
        return nn.functional.normalize(self.linear(state[-1]).relu())
