"""Campaign: full disks, limits of files, memory and descriptors, no right to write, lost inputs.

    python tests/campaigns/limits.py [--only full,fsize,memory,files,readonly,vanish] [--stages A,B]

Needs root (it mounts small file systems in memory, and becomes another user).
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
from kill_points import import_everything

FEW = (
    "prosody", "mine", "mix", "export", "import", "train separation", "train pronunciation",
    "report", "evaluate separation", "xvector", "gop", "fix", "train scoring",
)  # fmt: skip
UNREPEATABLE = ("predict", "timeline", "export")  # they refuse a file that is there
Setup = Callable[[], object]


def forked(line: str, root: Path, setup: Setup = lambda: None) -> tuple[int, str]:
    """Run a command in a forked process, after ``setup`` there: its code, and what it said."""
    log = top() / "limits.log"
    with log.open("w", errors="backslashreplace") as file:
        child = os.fork()
        if not child:
            try:
                os.setsid()
                os.chdir(root)
                setup()
                code, said = in_process(line, 90)
                if os.getuid() == 0:
                    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
                file.write(said)
                file.flush()
                os._exit(code if isinstance(code, int) else 98)
            finally:
                os._exit(97)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return code, log.read_text(errors="replace")


@contextmanager
def small_disk(place: Path) -> Iterator[Path]:
    """A file system of 200 MB in memory."""
    place.mkdir(exist_ok=True)
    words = ["mount", "-t", "tmpfs", "-o", "size=200m", "tmpfs", str(place)]
    subprocess.run(words, check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def used(root: Path) -> int:
    """Bytes of disk that a folder takes."""
    ran = subprocess.run(["du", "-s", "-B1", str(root)], capture_output=True, text=True, check=True)
    return int(ran.stdout.split()[0])


class Part:
    """One kind of limit, tried on many stages.

    Args:
        name: of the part.
        place: a folder to work in.
    """

    def __init__(self, name: str, place: Path) -> None:
        self.tally, self.place = Tally(f"limits_{name}"), place
        self.root, self.reference = place / "w", place / "reference"

    def unbroken(self, name: str) -> int:
        """Run a stage without limits, keep what it made, and return the bytes that it needed."""
        line = prepare(name, self.root)
        before = used(self.root)
        code, said = forked(line, self.root)
        if code:
            self.tally.add(f"an unbroken run ends with {code}", code, name, said)
        grown = used(self.root) - before
        remove(self.reference)
        shutil.copytree(self.root, self.reference, symlinks=True)
        return max(grown, 8192)

    def other(self, name: str, root: Path) -> str:
        """How the outputs differ from those of an unbroken run; empty if they do not."""
        outs = CASES[name].outputs
        found = [d for out in outs for d in differences(root / out, self.reference / out)]
        return f"differs: {found[:3]}" if found else ""

    def again(self, name: str, line: str, root: Path) -> str:
        """What is wrong when the command is run again without limits."""
        code, said = forked(line, root)
        if code:
            refused = name in UNREPEATABLE and "Traceback" not in said
            return "" if refused else f"run again, it ends with {code}: {said[-200:]}"
        left = leftovers(root)
        return self.other(name, root) or (f"leaves {left[:3]}" if left else "")

    def count(self, problem: str, code: int, what: str, said: str) -> None:
        """Count one try."""
        self.tally.cases += 1
        self.tally.add(problem, code, what, said)


def full(part: Part, stages: list[str]) -> None:
    """Only a share of the bytes that a stage needs is free; later all are."""
    for name in stages:
        grown = part.unbroken(name)
        for share in (0.0, 4096 / grown, 0.15, 0.4, 0.7, 0.95):
            with small_disk(part.place / "disk") as disk:
                _fill(part, name, disk, int(grown * share))


def _fill(part: Part, name: str, disk: Path, free: int) -> None:
    root, filler = disk / "w", disk / "filler"
    line = prepare(name, root)
    case = CASES[name]
    before = {out: snapshot(root / out) for out in case.outputs if (root / out).is_dir()}
    stat = os.statvfs(disk)
    with filler.open("wb") as file:
        size = stat.f_bavail * stat.f_frsize - free // 4096 * 4096
        os.posix_fallocate(file.fileno(), 0, max(1, size))
    code, said = forked(line, root)
    problem = bad_ending(code, said)
    if code == 2 and "full" not in said and "space" not in said:
        problem = problem or "the message does not name the disk"
    if code == 0:
        problem = problem or part.other(name, root)
    for out, old in before.items() if code and case.whole else ():
        if snapshot(root / out) != old:
            problem = problem or f"half-written {out}"
    if code == 2 and (left := leftovers(root, partial=False)):
        problem = problem or f"leaves {left[:3]}"
    filler.unlink()
    problem = problem or part.again(name, line, root)
    part.count(problem, code, f"{name}: {free} bytes free", said)


def limited(part: Part, stages: list[str], setups: dict[str, Setup]) -> None:
    """Stages under a limit of the process, and again without it."""
    for name in stages:
        part.unbroken(name)
        for label, setup in setups.items():
            line = prepare(name, part.root)
            code, said = forked(line, part.root, setup)
            problem = bad_ending(code, said) or part.again(name, line, part.root)
            part.count(problem, code, f"{name}: {label}", said)


def readonly(part: Part, stages: list[str]) -> None:
    """As another user who may write nothing, on a read-only disk, and where results are there."""

    def nobody() -> None:
        os.environ["HOME"] = "/nonexistent"
        os.setgid(65534)
        os.setuid(65534)

    for name in stages:
        part.unbroken(name)
        line = prepare(name, part.root)
        _unwritable(part, f"{name}: another user", line, part.root, nobody)
        remove(part.root)
        shutil.copytree(part.reference, part.root, symlinks=True)
        code, said = forked(line, part.root, nobody)
        part.count(bad_ending(code, said), code, f"{name}: another user, it is there", said)
        with small_disk(part.place / "disk") as disk:
            line = prepare(name, disk / "w")
            subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
            _unwritable(part, f"{name}: read-only disk", line, disk / "w", lambda: None)


def _unwritable(part: Part, what: str, line: str, root: Path, setup: Setup) -> None:
    before = snapshot(root)
    code, said = forked(line, root, setup)
    changed = "changed something" if snapshot(root) != before else ""
    part.count(bad_ending(code, said) or changed, code, what, said)


VANISHING = {
    "prosody": ["data/train/wav", "data/train"],
    "xvector": ["data/train/wav", "exp/xvector_nnet/small"],
    "mine": ["exp/xvector/train", "data/train"],
    "mix": ["data/test/wav", "data/test"],
    "gop": ["data/so_test", "exp"],
    "deep": ["exp/acoustic/tiny", "data/so_test"],
    "evaluate separation": ["data/test_2mix", "exp/separation/sep/seed0"],
    "train separation": ["data/train/wav", "data/dev_2mix"],
    "train pronunciation": ["exp/gop/so_train", "data/so_train"],
    "report": ["exp/hard", "data/train", "exp/separation"],
    "export": ["exp/separation/sep"],
    "import": ["sep.zip"],
    "fix": ["data/train", "data/train/wav"],
    "align": ["data/so_test"],
    "train xvector": ["data/train/wav"],
    "prepare folder": ["data/test/wav", "list.tsv"],
    "synthesize": ["exp/gop/so_train"],
    "split": ["data/train"],
}


def vanish(part: Part, stages: list[str]) -> None:
    """An input is removed when the stage opens its Nth file."""
    at = count = 0
    target: Path | None = None

    def hook(event: str, args: Any) -> None:
        nonlocal count, target
        ours = isinstance(args[0], str) and args[0].startswith(str(part.root)) if args else False
        if target is None or event != "open" or not ours:
            return
        count += 1
        if count == at:
            path, target = target, None
            remove(path)

    sys.addaudithook(hook)

    def arm(path: Path) -> Setup:
        def setup() -> None:
            nonlocal count, target
            count, target = 0, path

        return setup

    for name in (name for name in VANISHING if name in stages):
        for each in VANISHING[name]:
            for at in (1, 3, 6, 10, 16, 25, 40, 60):
                line = prepare(name, part.root)
                code, said = forked(line, part.root, arm(part.root / each))
                problem = bad_ending(code, said)
                if left := leftovers(part.root, partial=False):
                    problem = problem or f"leaves {left[:2]}"
                part.count(problem, code, f"{name}: {each} removed at open {at}", said)
                if (part.root / each).exists():
                    break  # it opens fewer files


def at_most(kind: int, value: int, hard: int | None = None) -> Setup:
    """Set a limit of the process."""
    return lambda: resource.setrlimit(kind, (value, value if hard is None else hard))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="full,fsize,memory,files,readonly,vanish")
    parser.add_argument("--stages", default="")
    asked = parser.parse_args()
    stages = asked.stages.split(",") if asked.stages else list(CASES)
    few, failed = [name for name in stages if name in FEW], 0
    made()
    for name in asked.only.split(","):
        part = Part(name, fresh(top() / f"limits_{name}"))
        import_everything(part.root, made())
        size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        file_size, memory = resource.RLIMIT_FSIZE, resource.RLIMIT_AS
        if name == "full":
            full(part, stages)
        elif name == "fsize":
            sizes = (0, 100, 5000, 60000)
            setups = {f"{v} bytes": at_most(file_size, v, resource.RLIM_INFINITY) for v in sizes}
            limited(part, few, setups)
        elif name == "memory":
            setups = {f"{v} MB more": at_most(memory, size + (v << 20)) for v in (1, 30, 200)}
            limited(part, few, setups)
        elif name == "files":
            setups = {f"{v} files": at_most(resource.RLIMIT_NOFILE, v) for v in (6, 9, 12, 20)}
            limited(part, few, setups)
        elif name == "readonly":
            readonly(part, [stage for stage in stages if not stage.startswith("train")])
        elif name == "vanish":
            vanish(part, stages)
        failed += part.tally.finish()
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main())
