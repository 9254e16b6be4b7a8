"""Files of a Sphinx acoustic model: where they are, and what their bytes mean.

``FOLDER`` has those of pocketsphinx's model ``en-us`` and its pronunciation dictionary, with
their licence; the package pocketsphinx itself is not needed. All numbers are little-endian.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from speechkit.acoustic.interface import PhoneInContext
from speechkit.base.errors import UserError

FOLDER = Path(__file__).with_name("en-us")
DICTIONARY = FOLDER / "cmudict-en-us.dict"
FILES = ("feat.params", "mdef", "means", "variances", "sendump", "transition_matrices")
VARIANCE_FLOOR = 1e-4
TRANSITION_FLOOR = 1e-4
_BYTE_ORDER = 0x11223344
# A mixture weight is stored as -log of it to the base 1.0001, shifted right by 10 bits.
_WEIGHT_STEP = 1024 * math.log(1.0001)
_REINSTALL = "If it is a file of speechkit, install speechkit again from its clone or wheel."

_POSITION = {"I": 0, "B": 1, "E": 2, "S": 3}  # inside, first and last of a word, the only one
_NODE_BYTES = 8
_PHONE = np.dtype(  # the position of a context-independent phone: whether it is a filler
    [(name, "<i4") for name in ("sequence", "matrix")]
    + [(name, "u1") for name in ("position", "base", "left", "right")]
)


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
    codebooks, streams, densities = body[:3].tolist()
    lengths = body[3 : 3 + streams].tolist()
    if len(set(lengths)) != 1:
        raise broken(path, f"its streams have {lengths} dimensions, not all the same")
    return _counted(path, body[3 + streams :], (codebooks, streams, densities, lengths[0]))


def _counted(path: Path, body: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Float32 numbers of a shape, after their count."""
    values = body[1 : 1 + int(body[0])].view("<f4")
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
    counts = _counted(path, body[3:], tuple(body[:3].tolist())).astype(np.float64)
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


@dataclass(frozen=True)
class Inventory:
    """What ``mdef`` says.

    Args:
        labels: the P context-independent phones.
        fillers: which of them are silence and noises, ``[P]`` bool.
        silence: index of silence.
        table: all phones, first the P context-independent ones (``_PHONE``).
        sequences: senones of each sequence, ``[n, 3]``.
        senones: how many there are; the first 3 P are context independent.
    """

    labels: tuple[str, ...]
    fillers: np.ndarray
    silence: int
    table: np.ndarray
    sequences: np.ndarray
    senones: int

    @cached_property
    def _keys(self) -> tuple[np.ndarray, np.ndarray]:
        """Sorted keys of the triphones, and their places in ``table``."""
        size = len(self.labels)
        rows = self.table[size:]
        keys = rows["position"].astype(np.int64)
        for field in ("base", "left", "right"):
            keys = keys * size + rows[field]
        order = np.argsort(keys, kind="stable")
        return keys[order], order + size

    def find(self, phone: PhoneInContext) -> int | None:
        """Row of ``table`` for a phone in context; None if its base phone does not exist.

        As pocketsphinx backs off: the triphone in this position of the word; in any position;
        with silence in place of the phone in the neighbouring word; the phone without context.
        Unknown neighbours and noises count as silence.
        """
        if phone.phone not in self.labels:
            return None
        base = self.labels.index(phone.phone)
        if self.fillers[base]:
            return base
        left, right = self._context(phone.left), self._context(phone.right)
        outer = (
            self.silence if phone.position in "BS" else left,
            self.silence if phone.position in "ES" else right,
        )
        here = _POSITION[phone.position]
        places = (here, *(place for place in range(len(_POSITION)) if place != here))
        tried = (
            self._triphone(place, base, *neighbours)
            for neighbours in ((left, right), outer)
            for place in places
        )
        return next((row for row in tried if row is not None), base)

    def _context(self, phone: str) -> int:
        number = self.labels.index(phone) if phone in self.labels else self.silence
        return self.silence if self.fillers[number] else number

    def _triphone(self, position: int, base: int, left: int, right: int) -> int | None:
        keys, rows = self._keys
        size = len(self.labels)
        key = ((position * size + base) * size + left) * size + right
        at = int(np.searchsorted(keys, key))
        return int(rows[at]) if at < len(keys) and keys[at] == key else None

    def states(self, row: int) -> tuple[int, ...]:
        """Senones of a row of ``table``, in order."""
        return tuple(int(s) for s in self.sequences[self.table["sequence"][row]])

    @cached_property
    def plain(self) -> np.ndarray:
        """``3 * phone + state`` of every senone, int32 ``[senones]``."""
        size, states = len(self.labels), self.sequences.shape[1]
        base = self.table["base"].astype(np.int32)
        base[:size] = np.arange(size)
        plain = np.full(self.senones, -1, np.int32)
        for state in range(states):
            plain[self.sequences[self.table["sequence"], state]] = states * base + state
        return plain


def read_inventory(path: Path) -> Inventory:
    """Read a binary ``mdef``.

    Raises:
        UserError: the file is missing, cut, or not a binary ``mdef``.
    """
    content = read(path)
    if not content.startswith(b"BMDF"):
        raise broken(path, "it does not start with 'BMDF'")
    header = np.frombuffer(content[4:12], "<i4")
    at = 12 + int(header[1])
    counts = np.frombuffer(content[at : at + 40], "<i4")
    if len(counts) != 10:
        raise broken(path, "it ends within its header")
    phones, total, states, _, senones, _, sequences, _, nodes, silence = counts.tolist()
    at += 40
    names, end = [], at
    for _ in range(phones):
        stop = content.find(b"\0", end)
        names.append(content[end:stop].decode("ascii", errors="replace"))
        end = stop + 1
    at = at + (end - at + 3) // 4 * 4 + nodes * _NODE_BYTES
    need = total * _PHONE.itemsize + 4 + 2 * sequences * states
    if states < 1 or len(content) < at + need:
        raise broken(path, "it is cut, or its phones do not all have as many states")
    table = np.frombuffer(content, _PHONE, total, at)
    at += total * _PHONE.itemsize + 4
    sequence = np.frombuffer(content, "<u2", sequences * states, at).reshape(sequences, states)
    fillers = table["position"][:phones] != 0
    return Inventory(tuple(names), fillers, silence, table, sequence.astype(np.int32), senones)
