"""The console script, and ``python -m speechkit``."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from speechkit.base import signals, threads


def entry() -> None:
    """Run the command line; exits with its code."""
    try:
        signals.listen_always()
        _mend_streams()
        threads.wait_briefly()
        from speechkit.cli.main import main

        code = main()
        signals.let_go()
        _drop_output()
    except KeyboardInterrupt:  # before the command line could say so itself
        code = signals.exit_code()
    sys.exit(code)


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
