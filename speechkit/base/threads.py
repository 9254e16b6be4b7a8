"""How the threads of PyTorch's OpenMP library wait for each other.

After each operation threads wait for the last of them. By default they spin: in GCC's libgomp,
which comes with PyTorch, for 300,000 rounds of a loop, in Intel's and LLVM's library for 200 ms. On
a core that another program uses too, a thread then spins through its share of the core while the
one it waits for is pushed aside, and a training becomes many times slower. 1,000 rounds bridge the
pauses between operations on free cores; then the thread sleeps. docs/benchmarks.md has what was
measured, benchmarks/bench_shared_machine.py measures it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, MutableMapping

WAITING: Mapping[str, str] = {"GOMP_SPINCOUNT": "1000", "KMP_BLOCKTIME": "0"}
"""Of libgomp (rounds of its loop) and of libomp and libiomp5 (milliseconds)."""
_POLICY = "OMP_WAIT_POLICY"


def wait_briefly(environment: MutableMapping[str, str] | None = None) -> None:
    """Let threads sleep after a moment of waiting, unless the user has said how they wait.

    To be called before PyTorch is imported: its library reads the environment when it is loaded.

    Args:
        environment: default: that of this process, which its children take over.
    """
    values = os.environ if environment is None else environment
    if _POLICY not in values and not any(name in values for name in WAITING):
        values.update(WAITING)
