"""A mining problem as files, from which the workers of a cluster mine blocks.

Nothing but positions of pivots travels to a worker, and a few numbers of each pivot travel back.
The vectors lie in the output's folder, once as they are and once scaled and in the miner's order;
workers map them into memory, so that all workers of a machine have one copy.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import numpy as np

from speechkit.base.arrays import read_array, read_arrays
from speechkit.base.errors import UserError, needed_by_all
from speechkit.mining.block_search import BlockMiner, BlockResult, Task
from speechkit.mining.distance import Cosine, Difference
from speechkit.mining.inputs import MiningProblem, Population
from speechkit.mining.matrix import resolve_device

_PREFIX = "problem-"
_opening = threading.Lock()


@contextmanager
def written(miner: BlockMiner, beside: Path) -> Iterator[Path]:
    """The folder of a problem, which goes when the mining ends.

    Args:
        miner: of the whole problem.
        beside: folder in which it is made; what a killed run left there is removed.
    """
    for left in beside.glob(_PREFIX + "*"):
        shutil.rmtree(left)
    with tempfile.TemporaryDirectory(prefix=_PREFIX, dir=beside.resolve()) as name:
        folder = Path(name)
        folder.chmod(0o755)  # workers may be another user's
        problem, distance = miner.problem, miner.problem.distance
        if isinstance(distance, Difference):
            np.save(folder / "values.npy", distance.values)
        else:
            np.save(folder / "vectors.npy", distance.vectors)
            np.save(folder / "norms.npy", distance.norms)
            np.save(folder / "unit.npy", miner.arranged.unit)
        np.savez(
            folder / "rows.npz",
            speakers=problem.population.speakers,
            groups=problem.groups,
            valid=problem.valid,
            m=miner.m,
            pm=np.array(problem.pm),
            seed=np.array(problem.seed),
            candidates=np.array(problem.candidates),
        )
        yield folder


@lru_cache(maxsize=1)
def _open(folder: Path, device: str) -> BlockMiner:
    with needed_by_all():
        if not (folder / "rows.npz").is_file():
            raise UserError(
                f"A worker does not see the folder {folder}.",
                "All machines need the working directory under the same path (a shared disk).",
            )
        rows = read_arrays(folder / "rows.npz")
        distance: Difference | Cosine
        unit = None
        if (folder / "values.npy").is_file():
            distance = Difference(np.asarray(read_array(folder / "values.npy")))
        else:
            names = ("vectors", "norms", "unit")
            vectors, norms, unit = (np.asarray(read_array(folder / f"{n}.npy")) for n in names)
            distance = Cosine(vectors, norms)
        population = Population([], rows["speakers"], [])
        how = float(rows["pm"]), int(rows["seed"]), int(rows["candidates"])
        problem = MiningProblem(distance, population, rows["groups"], rows["valid"], *how)
        return BlockMiner(problem, rows["m"], resolve_device(device), unit)


def mine_block(task: Task, folder: Path, device: str, keep: bool) -> BlockResult:
    """In a worker: mine the pivots of a task.

    Args:
        task: of the miner that wrote the folder.
        folder: of the problem.
        device: auto, cpu or cuda, of the worker.
        keep: return the pairs too.
    """
    with _opening:  # threads of a worker share one miner
        miner = _open(folder, device)
    return miner.run(task, keep)
