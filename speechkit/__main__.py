"""The console script, and ``python -m speechkit``."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def entry() -> None:
    """Run the command line; exits with its code."""
    try:
        _mend_streams()
        from speechkit.cli.main import main

        code = main()
    except KeyboardInterrupt:  # before the command line could say so itself
        code = 130
    sys.exit(code)


def _mend_streams() -> None:
    """Closed streams (``2>&-``) swallow what is written; other encodings show what they can."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


if __name__ == "__main__":
    entry()
