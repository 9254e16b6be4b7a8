"""Campaign: kill -9 of whole process groups at random moments; the same command must end alike.

    python tests/campaigns/kill_random.py [--kills 60] [--only STAGE,...] [--seed 0]

Some kills come while Python still imports, most while the stage works; sometimes a second run of
the same command is started meanwhile, which must be refused. At the end the command runs through:
its outputs must be those of the base, a further run must say "up to date", and nothing may be left.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from base import STAGES, made
from campaign import (
    SOURCE,
    SPEECHKIT,
    Tally,
    command,
    differences,
    fresh,
    leftovers,
    remove,
    top,
    words_of,
)

NOT_KILLED = ("scored", "mix-dev", "gop-test", "deep-test", "ravdess", "mine-pitch")


@dataclass
class Runs:
    """Processes of speechkit in one working directory.

    Args:
        root: the working directory.
        seconds: of work of each stage, as far as known.
    """

    root: Path
    seconds: dict[str, float] = field(default_factory=dict)

    def start(self, line: str, log: Path) -> subprocess.Popen[bytes]:
        """A process group that runs a command; what it prints is appended to ``log``."""
        with log.open("ab") as file:
            return subprocess.Popen(
                [*SPEECHKIT, *words_of(line)], stdout=file, stderr=file, stdin=subprocess.DEVNULL,
                start_new_session=True, cwd=self.root,
                env={**os.environ, "PYTHONPATH": str(SOURCE)},
            )  # fmt: skip

    def wait_for_work(self, process: subprocess.Popen[bytes]) -> None:
        """Until the process holds a lock, or writes an archive, or has ended."""
        limit = time.time() + 120
        while process.poll() is None and time.time() < limit and not self._works(process.pid):
            time.sleep(0.01)

    def _works(self, pid: int) -> bool:
        for path in self.root.rglob(".*"):
            try:
                if path.name.startswith(".export-"):
                    return True
                if path.name.endswith(".lock") and f"process {pid} " in path.read_text():
                    return True
            except OSError:
                continue
        return False

    def outputs(self, name: str) -> list[Path]:
        """What a stage writes."""
        if name == "demo":
            return [self.root / "data" / part for part in ("train", "dev", "test")]
        more = (
            [self.root / "exp/emotion_features/ravdess-egemaps"]
            if name == "train-emotion-egemaps"
            else []
        )
        return [self.root / STAGES[name].output, *more]


def members(group: int) -> list[int]:
    """Processes of a group that are alive."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except (OSError, IndexError):
            continue
        if entry.name.isdigit() and int(fields[2]) == group and fields[0] != "Z":
            found.append(int(entry.name))
    return found


def kill_once(runs: Runs, name: str, line: str, tally: Tally, rng: random.Random) -> bool:
    """Start a command and kill it; False if it ended before."""
    log = runs.root.with_suffix(".log")
    log.unlink(missing_ok=True)
    process = runs.start(line, log)
    how = rng.choice(["import", "work", "work", "work", "second"])
    if how == "import":
        began = time.time()
        _sleep(process, rng.uniform(0.05, 4))
    else:
        runs.wait_for_work(process)
        began = time.time()
        if how == "second" and process.poll() is None:
            _second(runs, process, name, line, tally)
        else:
            _sleep(process, rng.uniform(0, runs.seconds.get(name, 4.0)))
    alive = process.poll() is None
    if alive:
        os.killpg(process.pid, signal.SIGKILL)
    elif process.returncode:
        said = log.read_text(errors="replace")
        tally.add(f"fails with {process.returncode}", process.returncode, name, said)
    process.wait()
    if not alive:  # too late: from the start again, sooner
        runs.seconds[name] = max(0.2, 0.7 * (time.time() - began))
        for out in runs.outputs(name):
            remove(out)
    time.sleep(0.05)
    return alive


def _second(runs: Runs, first: subprocess.Popen[bytes], name: str, line: str, tally: Tally) -> None:
    """The same command while the first one holds its lock (it is stopped meanwhile)."""
    os.killpg(first.pid, signal.SIGSTOP)
    code, said = command(line, cwd=runs.root)
    refused = code == 2 and "being written by" in said
    tally.add("" if refused else "not refused", code, f"{name}: a second run at once", said)


def _sleep(process: subprocess.Popen[bytes], seconds: float) -> None:
    limit = time.time() + seconds
    while process.poll() is None and time.time() < limit:
        time.sleep(0.005)


def run_stage(runs: Runs, name: str, kills: int, tally: Tally, rng: random.Random) -> None:
    """Kill a stage some times, let it run through, and compare."""
    remove(runs.root)
    shutil.copytree(made(), runs.root, symlinks=True)
    for out in runs.outputs(name):
        remove(out)
    line = STAGES[name].line.replace("ROOT", str(runs.root)) + f" -C {runs.root}"
    if name == "export":
        line += " --force"  # a kill may come when the file is whole
    if rng.random() < 0.5 and name in ("prosody", "xvector", "gop"):
        line = line.replace("-j 1", "-j 2")  # to see orphans
    for _ in range(kills):
        while not kill_once(runs, name, line, tally, rng):
            pass
        tally.cases += 1
    log = runs.root.with_suffix(".log")
    process = runs.start(line, log)
    runs.wait_for_work(process)
    began = time.time()
    code = process.wait(600)
    runs.seconds.setdefault(name, max(0.5, time.time() - began))
    said = log.read_text(errors="replace")
    problem = f"ends with {code}" if code else ""
    for out in runs.outputs(name):
        other = differences(out, made() / out.relative_to(runs.root))
        if other:
            problem = problem or f"differs: {other[:4]}"
    if left := leftovers(runs.root):
        problem = problem or f"leaves {left[:4]}"
    if orphans := members(process.pid):
        problem = problem or f"leaves processes {orphans}"
    again = command(line, cwd=runs.root)[1]
    if not problem and name not in ("report", "export") and "up to date" not in again:
        problem = "run again, it is not up to date"
    tally.add(problem, code, f"{name} after {kills} kills", said)
    print(f"{name:24} {kills} kills {problem}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--only", default="")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    rng, tally = random.Random(asked.seed), Tally("kill_random", asked.kills)
    chosen = asked.only.split(",") if asked.only else [n for n in STAGES if n not in NOT_KILLED]
    made()
    runs = Runs(fresh(top() / "kill") / "w")
    for number, name in enumerate(chosen):
        share = asked.kills * (number + 1) // len(chosen) - asked.kills * number // len(chosen)
        if share:
            run_stage(runs, name, share, tally, rng)
            tally.save()
    return tally.finish()


if __name__ == "__main__":
    sys.exit(main())
