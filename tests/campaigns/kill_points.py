"""Campaign: a process dies at the Nth change of the file system, for N = 1, 2, 3 ... of a stage.

A child is forked from a process that has everything imported; an audit hook in it counts files
opened for writing, renames, new folders and removals below the working directory, and kills the
child (SIGKILL), or makes the call fail (--fail ENOSPC), before the Nth. After a kill the same
command must end as an unbroken one does; a failure must end with 2 and leave nothing half-written.

    python tests/campaigns/kill_points.py [--fail ENOSPC] [--only NAME,...] [--most 12]
"""

from __future__ import annotations

import argparse
import errno
import os
import shutil
import signal
import sys
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from base import made
from campaign import (
    Tally,
    bad_ending,
    differences,
    fresh,
    in_process,
    leftovers,
    remove,
    snapshot,
    top,
)
from cases import CASES, prepare


@dataclass
class Blow:
    """What the audit hook of this process does, and what it has counted."""

    on: bool = False
    at: int = 0
    error: int = 0
    root: str = ""
    count: int = field(default=0, init=False)

    def hook(self, event: str, args: Any) -> None:
        """Count a change of the file system, and strike at the one that was asked for."""
        if not self.on or not _changes(event, args) or not str(args[0]).startswith(self.root):
            return
        harmless = event in ("os.remove", "os.rmdir") or str(args[0]).endswith(".lock")
        if self.error and harmless:
            return  # a full disk lets one remove, and a lock needs no space
        self.count += 1
        if self.count == self.at:
            if self.error:
                raise OSError(self.error, os.strerror(self.error), str(args[0]))
            os.kill(os.getpid(), signal.SIGKILL)


def _changes(event: str, args: Any) -> bool:
    if event == "open":
        mode, flags = args[1], args[2] or 0
        writes = isinstance(mode, str) and set(mode) & set("wax+")
        creates = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        return isinstance(args[0], str) and bool(writes or creates)
    return event in (
        "os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.truncate", "os.link", "os.symlink",
    )  # fmt: skip


BLOW = Blow()


def struck(line: str, at: int, error: int, root: Path, seconds: int = 120) -> tuple[int, str, int]:
    """Run a command in a forked process: its code (-9 if killed), what it said, its changes."""
    log = root.with_suffix(".log")
    log.unlink(missing_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # a fork with threads
        child = os.fork()
    if not child:
        try:
            os.setsid()
            os.chdir(root)
            BLOW.on, BLOW.count, BLOW.at, BLOW.error, BLOW.root = True, 0, at, error, str(root)
            code, said = in_process(line, seconds)
            BLOW.on = False
            log.write_text(f"{BLOW.count}\n{said}", encoding="utf-8", errors="backslashreplace")
            os._exit(code if isinstance(code, int) else 98)
        finally:
            os._exit(97)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    count, _, said = (log.read_text(errors="replace") if log.exists() else "0\n").partition("\n")
    return code, said, int(count)


def points(events: int, most: int) -> list[int]:
    """The first, the last, and some between: where a stage is struck."""
    between = range(1, events + 1, max(1, events // most))
    first, last = range(1, min(5, events) + 1), range(max(1, events - 7), events + 1)
    return sorted({*first, *between, *last})


def run_case(name: str, error: int, most: int, tally: Tally, top: Path, source: Path) -> None:
    """Strike a stage at some of its changes, and run it again each time.

    Args:
        name: of ``CASES``.
        error: errno that the call fails with; 0 kills the process.
        most: about how many points, besides the first and last ones.
        tally: where endings are counted.
        top: a folder to work in.
        source: the working directory to start from.
    """
    case, root, reference = CASES[name], top / "w", top / "reference"
    code, said, events = struck(prepare(name, root, source), 0, 0, root)
    if code:
        tally.add(f"an unbroken run ends with {code}", code, name, said)
        return
    remove(reference)
    shutil.copytree(root, reference, symlinks=True)
    for at in points(events, most):
        line = prepare(name, root, source)
        before = {o: snapshot(root / o) for o in case.outputs if (root / o).is_dir()}
        code, said, _ = struck(line, at, error, root)
        problem = bad_ending(code, said, (0, 2)) if error else "" if code == -9 else "not killed"
        for out, old in before.items() if case.whole else ():
            if (root / out).is_dir() and snapshot(root / out) != old:
                problem = problem or "".join(differences(root / out, reference / out)[:1])
        if error and case.whole and (left := leftovers(root, partial=False)):
            problem = problem or f"leaves {left[:3]} after the failure"
        again, said_again, _ = struck(line, 0, 0, root)
        if again:
            problem = problem or f"run again, it ends with {again}: {said_again[-300:]}"
        other = [d for out in case.outputs for d in differences(root / out, reference / out)]
        if other or (other := leftovers(root)):
            problem = problem or f"run again, it differs: {other[:4]}"
        tally.add(problem, code, f"{name} at {at} of {events}", said)
        tally.cases += 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fail", default="", help="name of an errno, as ENOSPC")
    parser.add_argument("--only", default="", help="some of the cases")
    parser.add_argument("--most", type=int, default=12, help="points of a case, about")
    asked = parser.parse_args()
    error = getattr(errno, asked.fail) if asked.fail else 0
    source, place = made(), fresh(top() / f"points{asked.fail}")
    import_everything(place / "w", source)
    sys.addaudithook(BLOW.hook)
    tally = Tally("_".join(filter(None, ("kill_points", asked.fail))), 300)
    for name in asked.only.split(",") if asked.only else CASES:
        run_case(name, error, asked.most, tally, place, source)
        tally.save()
    return tally.finish()


def import_everything(root: Path, source: Path) -> None:
    """What every forked child would import by itself otherwise."""
    import pandas  # noqa: F401 - its parts may lie where another user cannot read
    import torch

    torch.set_num_threads(1)
    prepare("report", root, source)
    for line in (
        "extract-prosody --set dev -j 1",
        "mine-hard --param xvector --name warm --pm 0.1",
    ):
        in_process(f"{line} -C {root}")


if __name__ == "__main__":
    sys.exit(main())
