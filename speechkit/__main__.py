"""The console script, and ``python -m speechkit``.

Before PyTorch is imported it says how the threads of its OpenMP library wait for each other. After
each operation they wait for the last of them. By default they spin: in GCC's libgomp, which comes
with PyTorch, for 300,000 rounds of a loop, in Intel's and LLVM's library for 200 ms. On a core that
another program uses too, a thread then spins through its share of the core while the one it waits
for is pushed aside, and a training becomes many times slower. 1,000 rounds bridge the pauses
between operations on free cores; then the thread sleeps. docs/benchmarks.md has what was measured,
benchmarks/bench_shared_machine.py measures it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, MutableMapping
from pathlib import Path

from speechkit.base import signals

WAITING: Mapping[str, str] = {"GOMP_SPINCOUNT": "1000", "KMP_BLOCKTIME": "0"}
"""Of libgomp (rounds of its loop) and of libomp and libiomp5 (milliseconds)."""
_POLICY = "OMP_WAIT_POLICY"


def entry() -> None:
    """Run the command line; exits with its code."""
    try:
        signals.listen_always()
        _mend_streams()
        wait_briefly(os.environ)
        from speechkit.cli.main import main

        code = main()
        signals.let_go()
        _drop_output()
    except KeyboardInterrupt:  # before the command line could say so itself
        code = signals.exit_code()
    sys.exit(code)


def wait_briefly(values: MutableMapping[str, str]) -> None:
    """Let threads sleep after a moment of waiting, unless the user has said how they wait.

    Args:
        values: the environment of this process, which its children take over.
    """
    if _POLICY not in values and not any(name in values for name in WAITING):
        values.update(WAITING)


def _mend_streams() -> None:
    """Closed streams (``2>&-``) swallow what is written; other encodings show what they can."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _drop_output() -> None:
    """What cannot be written was told of; as it ends Python would say so again."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


if __name__ == "__main__":
    entry()
