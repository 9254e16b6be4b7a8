"""The console script, and ``python -m speechkit``."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any


def entry() -> None:
    """Run the command line; exits with its code."""
    sys.unraisablehook = _interrupt_again
    try:
        _mend_streams()
        from speechkit.cli.main import main

        code = main()
    except KeyboardInterrupt:  # before the command line could say so itself
        code = 130
    sys.exit(code)


def _interrupt_again(lost: Any) -> None:
    """A Ctrl-C that fell into a destructor or a weak reference's callback is not lost.

    Python drops what is raised there. Raising it here would drop it too, so it comes back from
    a thread a moment later, when the callback is over.
    """
    if not issubclass(lost.exc_type, KeyboardInterrupt):
        sys.__unraisablehook__(lost)
        return
    import threading

    again = threading.Timer(0.05, os.kill, [os.getpid(), signal.SIGINT])
    again.daemon = True
    again.start()


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
