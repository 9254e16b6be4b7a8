"""Files of a Sphinx acoustic model: where they are, and what their bytes mean.

All numbers are little-endian. Nothing of pocketsphinx is imported or run.
"""

from __future__ import annotations

import hashlib
import importlib.util
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from speechkit.base.errors import UserError

FILES = ("feat.params", "mdef", "means", "variances", "sendump", "transition_matrices")
VARIANCE_FLOOR = 1e-4
TRANSITION_FLOOR = 1e-4
_BYTE_ORDER = 0x11223344
# A mixture weight is stored as -log of it to the base 1.0001, shifted right by 10 bits.
_WEIGHT_STEP = 1024 * math.log(1.0001)
_REINSTALL = "Install it again: pip install --force-reinstall pocketsphinx"


def package_folder() -> Path:
    """Folder ``model/en-us`` of the installed pocketsphinx package, which is not imported.

    Raises:
        UserError: the package is not installed, or without its models.
    """
    found = importlib.util.find_spec("pocketsphinx")
    if found is None or not found.submodule_search_locations:
        raise UserError(
            "The acoustic model 'sphinx' is part of the package 'pocketsphinx', "
            "which is not installed.",
            "Install it with: pip install pocketsphinx",
        )
    folder = Path(found.submodule_search_locations[0]) / "model" / "en-us"
    if not folder.is_dir():
        raise UserError(f"The package 'pocketsphinx' has no folder {folder}.", _REINSTALL)
    return folder


def read(path: Path) -> bytes:
    """The bytes of a model file.

    Raises:
        UserError: it is missing or cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.", _REINSTALL) from error


def broken(path: Path, reason: str) -> UserError:
    """The error for a file that breaks its format."""
    return UserError(f"{path} is not a model file as pocketsphinx has them: {reason}.", _REINSTALL)


def fingerprint(folder: Path) -> str:
    """SHA-256 over the names and bytes of the model's files."""
    digest = hashlib.sha256()
    for name in FILES:
        content = read(folder / name)
        digest.update(f"{name} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()


@dataclass(frozen=True)
class Gaussians:
    """Diagonal Gaussians of ``[codebook, stream, density, dimension]``, float32."""

    means: np.ndarray
    variances: np.ndarray


def read_gaussians(folder: Path) -> Gaussians:
    """``means`` and ``variances``; variances are floored at 1e-4.

    Raises:
        UserError: a file is missing, cut, or of another shape than the other.
    """
    means = _gaussian_parameters(folder / "means")
    variances = _gaussian_parameters(folder / "variances")
    if means.shape != variances.shape:
        raise broken(folder / "variances", "its shape differs from that of 'means'")
    return Gaussians(means, np.maximum(variances, np.float32(VARIANCE_FLOOR)))


def _numbers(path: Path) -> np.ndarray:
    """What follows the text header and the mark of byte order, as int32."""
    content = read(path)
    start = content.find(b"endhdr\n") + len(b"endhdr\n")
    if not content.startswith(b"s3\n") or start < len(b"endhdr\n"):
        raise broken(path, "it has no header that ends with 'endhdr'")
    body = np.frombuffer(content[start : start + (len(content) - start) // 4 * 4], "<i4")
    if len(body) < 2 or body[0] != _BYTE_ORDER:
        raise broken(path, "its byte order is not little-endian")
    return body[1:]


def _gaussian_parameters(path: Path) -> np.ndarray:
    body = _numbers(path)
    codebooks, streams, densities = (int(n) for n in body[:3])
    lengths = body[3 : 3 + streams]
    count = int(body[3 + streams])
    values = body[4 + streams : 4 + streams + count].view("<f4")
    if len(set(lengths.tolist())) != 1:
        raise broken(path, f"its streams have {lengths.tolist()} dimensions, not all the same")
    shape = (codebooks, streams, densities, int(lengths[0]))
    if len(values) != math.prod(shape):
        raise broken(path, f"{len(values)} numbers instead of {math.prod(shape)}")
    return values.reshape(shape)


def read_transitions(path: Path) -> np.ndarray:
    """Log probabilities ``[matrix, state, next state]``, the last next state being the exit.

    The file has counts; rows are normalised, what is not zero is floored at 1e-4, and they
    are normalised again, as Sphinx does. Impossible transitions are -inf.

    Raises:
        UserError: the file is missing or cut.
    """
    body = _numbers(path)
    shape = tuple(int(n) for n in body[:3])
    count = int(body[3])
    values = body[4 : 4 + count].view("<f4").astype(np.float64)
    if len(values) != math.prod(shape):
        raise broken(path, f"{len(values)} numbers instead of {math.prod(shape)}")
    counts = values.reshape(shape)
    rates = counts / np.maximum(counts.sum(-1, keepdims=True), 1e-300)
    rates = np.where(rates > 0, np.maximum(rates, TRANSITION_FLOOR), 0)
    rates /= np.maximum(rates.sum(-1, keepdims=True), 1e-300)
    with np.errstate(divide="ignore"):
        return np.log(rates)


def read_weights(path: Path, streams: int) -> np.ndarray:
    """Log mixture weights ``[stream, density, senone]`` of ``sendump``, float32.

    Raises:
        UserError: the file is missing, cut, or clusters its weights.
    """
    content = read(path)
    at = 0
    while True:
        size = _int(content, at, path)
        at += 4 + size
        if size == 0:
            break
        if size < 0 or at > len(content):
            raise broken(path, "its header does not end")
    densities, senones = _int(content, at, path), _int(content, at + 4, path)
    wanted = streams * densities * senones
    codes = np.frombuffer(content, np.uint8, offset=at + 8)
    if len(codes) < wanted:
        raise broken(path, f"{len(codes)} weights instead of {wanted}")
    weights = codes[:wanted].astype(np.float32) * np.float32(-_WEIGHT_STEP)
    return weights.reshape(streams, densities, senones)


def _int(content: bytes, at: int, path: Path) -> int:
    if at + 4 > len(content):
        raise broken(path, "it ends within its header")
    return int.from_bytes(content[at : at + 4], "little", signed=True)


def read_feature_parameters(path: Path) -> dict[str, str]:
    """``feat.params``: options of pocketsphinx's front end, name without dash -> value.

    Raises:
        UserError: a line is not an option with a value.
    """
    options = {}
    for line in read(path).decode("utf-8", errors="replace").splitlines():
        words = line.split()
        if not words:
            continue
        if len(words) != 2 or not words[0].startswith("-"):
            raise broken(path, f"line '{line.strip()}' is not '-option value'")
        options[words[0][1:]] = words[1]
    return options
