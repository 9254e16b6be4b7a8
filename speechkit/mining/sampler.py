"""The folder of hard pairs, and hard partners drawn from it, uniformly over each hard set.

How often a pair is replaced by a hard one (the paper's P_S) is up to ``separation/data.py``.

Rejection draws exactly uniformly: of a pivot whose hard set is {b, c}, partners of other
speakers a, b, c, d are proposed, each as likely as the others, until one lies within the
threshold. d, a, c gives c; c as well as b comes first with probability 1/2, whatever came
before. Many proposals are made at once, and the first accepted one counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from speechkit.base import arrays
from speechkit.base.errors import DataError, UserError, closest
from speechkit.base.log import counted
from speechkit.mining.distance import Cosine, Difference, Distance, HardSets, Rule
from speechkit.mining.sorted_search import sorted_others

THRESHOLDS = "thresholds.tsv"
HEADER = ("utt", "m", "threshold", "nearest")
_AGAIN = "Make it again with: speechkit mine-hard ... --force"
_MODES = {
    "indptr.npy": "pairs",
    "indices.npy": "pairs",
    "windows.npy": "windows",
    "vectors.npy": "rejection",
}
_AT_ONCE = 4096  # proposals compared together: few enough to stay in cache
_PATIENCE = 40  # a hard set of share p is missed by 40 / p proposals once in e^40 times


def write_thresholds(folder: Path, utterances: Sequence[str], sets: HardSets) -> None:
    """``thresholds.tsv``: one row per utterance; thresholds read back as the same float64."""
    nearest = [utterances[k] if k >= 0 else "" for k in sets.nearest.tolist()]
    columns = (utterances, sets.m.tolist(), sets.threshold.tolist(), nearest)
    with (folder / THRESHOLDS).open("w", encoding="utf-8", newline="\n") as file:
        file.write("\t".join(HEADER) + "\n")
        for utterance, m, threshold, near in zip(*columns, strict=True):
            file.write(f"{utterance}\t{m}\t{threshold!r}\t{near}\n")


def read_thresholds(folder: Path) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Utterances, sizes of their hard sets (int64) and thresholds (float64).

    Raises:
        UserError: there is no such folder or file.
        DataError: the file breaks its format.
    """
    path = folder / THRESHOLDS
    if not path.is_file():
        raise UserError(
            f"{folder} is not a folder of hard pairs: it has no {THRESHOLDS}.",
            "Make one with `speechkit mine-hard` and name it: exp/hard/<param>_pm<P_M>.",
        )
    rows: list[tuple[str, int, float]] = []
    with path.open(encoding="utf-8") as file:
        if tuple(file.readline().rstrip("\n").split("\t")) != HEADER:
            raise DataError(f"{path}: the header is not '{' '.join(HEADER)}'.", _AGAIN)
        for number, line in enumerate(file, 2):
            try:
                utterance, m, threshold, _ = line.rstrip("\n").split("\t")
                rows.append((utterance, int(m), float(threshold)))
            except ValueError:
                raise DataError(f"{path}:{number}: expected four columns.", _AGAIN) from None
    utterances, sizes, thresholds = zip(*rows, strict=True) if rows else ((), (), ())
    return list(utterances), np.array(sizes, np.int64), np.array(thresholds, np.float64)


def read_array(folder: Path, name: str, shape: tuple[int | None, ...], kind: str) -> np.ndarray:
    """A memory-mapped array of the folder, checked.

    Args:
        folder: the hard folder.
        name: file name.
        shape: expected shape, None for any length.
        kind: expected type, such as ``int32``.

    Raises:
        DataError: missing, not an array, or of another shape or type.
    """
    if not (folder / name).exists():
        raise DataError(f"{folder} is damaged: {name} is missing.", _AGAIN)
    remedy = f"It does not belong to the {THRESHOLDS} beside it, or is damaged. {_AGAIN}"
    return arrays.read_array(folder / name, shape, (kind,), remedy)


class HardPairSampler:
    """Hard partners from a folder written by ``speechkit mine-hard``.

    Works from the stored pairs where the folder has them; otherwise pitch and energy are
    drawn from windows in sorted order, and x-vectors by rejection: partners of other
    speakers are proposed uniformly, independently for each pivot, until one lies within the
    pivot's threshold. All three are exactly uniform over the hard set. The sampler keeps no
    state: what it draws depends on ``rng`` alone, and it may be copied into worker
    processes, which map the files again by themselves.

    Args:
        folder: ``exp/hard/<param>_pm<P_M>``.

    Attributes:
        utterances: ids; an utterance's place in this list is its row.
        m: ``[N]`` sizes of the hard sets (nominal if mined with ``candidates``).
        thresholds: ``[N]`` distances up to which a pair is hard; NaN without a hard set.
        has_hard: ``[N]`` whether the utterance has hard partners.
        mode: ``pairs``, ``windows`` or ``rejection``.

    Raises:
        UserError: the folder is missing, damaged, or something else.

    Example::

        sampler = HardPairSampler("exp/hard/xvector_pm0.04")
        rng = np.random.default_rng(0)
        partners = sampler.sample(["utt7", "utt9"], rng)
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder).absolute()
        self.utterances, self.m, self.thresholds = read_thresholds(self.folder)
        self.has_hard = self.m > 0
        self.mode = self._find_mode()
        self._files: dict[str, Any] = {}
        self._row: dict[str, int] | None = None
        self._load()

    def __len__(self) -> int:
        return len(self.utterances)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_files": {}, "_row": None}

    def _find_mode(self) -> str:
        for name, mode in _MODES.items():
            if (self.folder / name).is_file():
                return mode
        raise DataError(
            f"{self.folder} is damaged: it has neither pairs (indptr.npy, indices.npy) "
            "nor what rejection needs (vectors.npy, or values.npy and windows.npy).",
            _AGAIN,
        )

    def _load(self) -> dict[str, Any]:
        """Map the files when they are first used in this process."""
        if not self._files:
            self._files = self._map_pairs() if self.mode == "pairs" else self._map_proposals()
        return self._files

    def _map_pairs(self) -> dict[str, Any]:
        indptr = read_array(self.folder, "indptr.npy", (len(self) + 1,), "int64")
        indices = read_array(self.folder, "indices.npy", (int(indptr[-1]),), "int32")
        if indptr[0] != 0 or (np.diff(indptr) != self.m).any():
            raise DataError(
                f"{self.folder} is damaged: indptr.npy disagrees with thresholds.tsv.",
                _AGAIN,
            )
        return {"indptr": np.asarray(indptr), "indices": np.asarray(indices)}

    def _map_proposals(self) -> dict[str, Any]:
        count = len(self)

        def load(name: str, shape: tuple[int | None, ...], kind: str) -> np.ndarray:
            return np.asarray(read_array(self.folder, name, shape, kind))

        def optional(name: str) -> np.ndarray | None:
            return load(name, (count,), "int32") if (self.folder / name).is_file() else None

        speakers, groups = load("speakers.npy", (count,), "int32"), optional("groups.npy")
        groups = np.zeros(count, np.int32) if groups is None else groups
        distance: Distance
        if self.mode == "windows":
            values = load("values.npy", (count,), "float64")
            distance = Difference(values)
            others = sorted_others(values, speakers, groups, np.isfinite(values))
            spans = load("windows.npy", (count, 2), "int32").astype(np.int64)
        else:
            distance = Cosine(load("vectors.npy", (count, None), "float32"))
            others = sorted_others(np.zeros(count), speakers, groups, distance.norms > 0)
            total = others.total(speakers)
            spans = np.stack([np.zeros_like(total), total], axis=1)
        rule = Rule(distance, self.thresholds, optional("ties.npy"))
        return {"rule": rule, "others": others, "speakers": speakers, "spans": spans}

    def rows(self, pivots: Any) -> np.ndarray:
        """Row numbers of utterance ids (or of row numbers, which are checked).

        Raises:
            UserError: an id or number that the folder does not have.
        """
        given = np.asarray(pivots)
        if given.dtype.kind in "iu":
            if given.size and (given.min() < 0 or given.max() >= len(self)):
                raise UserError(
                    f"Row {given.min() if given.min() < 0 else given.max()} is outside "
                    f"{self.folder}, which has {counted(len(self), 'utterance')}.",
                    "Rows count from 0 in the order of thresholds.tsv.",
                )
            return given.astype(np.int64)
        if given.size == 0:
            return given.astype(np.int64)
        if self._row is None:
            self._row = {name: row for row, name in enumerate(self.utterances)}
        rows = [self._row.get(str(name), -1) for name in given.ravel().tolist()]
        if -1 in rows:
            name = str(given.ravel()[rows.index(-1)])
            raise UserError(
                f"The utterance '{name}' is not in {self.folder}.{closest(name, self.utterances)}",
                "Mine the set that it belongs to, or sample among the ids in thresholds.tsv.",
            )
        return np.array(rows, np.int64).reshape(given.shape)

    def _named(self, rows: np.ndarray, like: Any) -> np.ndarray:
        """Rows as what ``like`` is made of: row numbers, or ids (``""`` for row -1)."""
        if np.asarray(like).dtype.kind in "iu":
            return rows
        names = [self.utterances[row] if row >= 0 else "" for row in rows.ravel().tolist()]
        return np.array(names, dtype=str).reshape(rows.shape)

    def sample(self, pivots: Any, rng: np.random.Generator) -> np.ndarray:
        """One hard partner for each pivot, drawn uniformly from its hard set.

        Args:
            pivots: row numbers or utterance ids, an array or sequence of any shape; a pivot
                may come several times, its draws are independent.
            rng: the only source of randomness.

        Returns:
            Partners of the same kind and shape; -1 (``""`` for ids) for pivots without a
            hard set (see ``has_hard``).

        Raises:
            UserError: an unknown pivot.
        """
        rows = self.rows(pivots)
        flat = rows.ravel()
        partners = np.full(len(flat), -1, np.int64)
        some = np.flatnonzero(self.has_hard[flat])
        draw = self._draw_stored if self.mode == "pairs" else self._draw_proposed
        partners[some] = draw(flat[some], rng)
        return self._named(partners.reshape(rows.shape), pivots)

    def hard_set(self, pivot: int | str) -> np.ndarray:
        """All hard partners of one pivot, in set order, as rows or ids as ``pivot`` is."""
        row = self.rows(pivot).reshape(1)
        files = self._load()
        if self.mode == "pairs":
            indptr = files["indptr"]
            partners = files["indices"][indptr[row[0]] : indptr[row[0] + 1]].astype(np.int64)
        elif not self.has_hard[row[0]]:
            partners = np.zeros(0, np.int64)
        else:
            partners = self._inside(row)
        return self._named(partners, np.asarray(pivot))

    def _inside(self, row: np.ndarray) -> np.ndarray:
        files = self._load()
        start, stop = files["spans"][row[0]]
        speaker = np.full(stop - start, files["speakers"][row[0]], np.int64)
        rows = files["others"].rows(speaker, np.arange(start, stop))
        parts = (rows[k : k + _AT_ONCE] for k in range(0, len(rows), _AT_ONCE))
        inside = [part[files["rule"].proposals(row, part[None])[0]] for part in parts]
        return np.sort(np.concatenate(inside)) if inside else rows

    def _draw_stored(self, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        files = self._load()
        return files["indices"][files["indptr"][rows] + rng.integers(0, self.m[rows])]

    def _draw_proposed(self, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Propose until all are accepted; few proposals a round while many pivots wait."""
        start, stop = self._load()["spans"][rows].T
        share = np.minimum(1.0, self.m[rows] / np.maximum(1, stop - start))
        partners = np.full(len(rows), -1, np.int64)
        waiting, tried = np.arange(len(rows)), np.zeros(len(rows))
        while waiting.size:
            need = 1 / share[waiting].min()
            each = int(np.clip(_AT_ONCE // waiting.size, np.ceil(need / 4), np.ceil(need * 2)))
            step = max(1, _AT_ONCE // each)
            for k in range(0, waiting.size, step):
                part = waiting[k : k + step]
                partners[part] = self._propose(rows[part], start[part], stop[part], each, rng)
            tried[waiting] += each
            waiting = waiting[partners[waiting] < 0]
            late = tried[waiting] * share[waiting] > _PATIENCE
            for k in waiting[late]:
                partners[k] = rng.choice(self._required(rows[k : k + 1]))
            waiting = waiting[~late]
        return partners

    def _propose(
        self,
        rows: np.ndarray,
        start: np.ndarray,
        stop: np.ndarray,
        each: int,
        rng: np.random.Generator,
    ) -> np.ndarray:
        """The first accepted of ``each`` proposals per pivot, -1 if there is none."""
        files = self._load()
        number = rng.integers(start[:, None], stop[:, None], size=(len(rows), each))
        speaker = files["speakers"][rows].astype(np.int64)[:, None]
        proposed = files["others"].rows(np.broadcast_to(speaker, number.shape), number)
        inside = files["rule"].proposals(rows, proposed)
        first = inside.argmax(axis=1)
        return np.where(inside.any(axis=1), proposed[np.arange(len(rows)), first], -1)

    def _required(self, row: np.ndarray) -> np.ndarray:
        """The hard set, which rejection did not hit (it is much smaller than it should be)."""
        partners = self._inside(row)
        if not len(partners):
            raise DataError(
                f"{self.folder} is damaged: nothing lies within the threshold of "
                f"'{self.utterances[row[0]]}'.",
                _AGAIN,
            )
        return partners
