"""What knowing audio by content costs: stages with and without digests, in pairs.

    python benchmarks/bench_fingerprint.py [-C WORKDIR --set SET] [--rounds 5]

Each round runs both ways of a stage side by side in this process, in alternating order, and
compares the CPU seconds; the median ratio of the rounds counts. "decoding alone" reads every
recording and computes nothing: the least that a stage can do. Without -C it generates speech.
"""

from __future__ import annotations

import argparse
import logging
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

from speechkit.base import audio, digests
from speechkit.base.digests import Digests
from speechkit.kaldi import data
from speechkit.speaker import prosody
from speechkit.workdir import Output, WorkDir
from speechkit.workdir.manifest import Fingerprint

Stage = Callable[[WorkDir, str], None]


def decode(work: WorkDir, name: str) -> None:
    """A stage that decodes and does nothing else."""
    found = data.load(work.data(name), work.root)
    final = work.exp("bench")
    with Output(final, "bench", {}, found.files(), audio=found.audio_files()) as out:
        assert not out.up_to_date
        for utterance in found.utterances:
            audio.read(utterance.wav)


def measure(work: WorkDir, name: str) -> None:
    prosody.extract(work, name, name="bench")


def cpu_seconds(stage: Stage, work: WorkDir, name: str, hashing: bool) -> float:
    for made in (work.exp("bench"), work.exp("prosody", name, name="bench")):
        shutil.rmtree(made, ignore_errors=True)
    (work.root / digests.NAME).unlink(missing_ok=True)
    none = mock.patch.multiple(Fingerprint, content=lambda self, read: None)
    silent = mock.patch.object(digests, "note", lambda path: None)
    started = time.process_time()
    if hashing:
        stage(work, name)
    else:
        with none, silent:
            stage(work, name)
    return time.process_time() - started


def seconds(stage: Stage, work: WorkDir, name: str) -> float:
    started = time.perf_counter()
    stage(work, name)
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-C", dest="dir", type=Path, help="working directory")
    parser.add_argument("--set", default="train")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    logging.getLogger("speechkit").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as scratch:
        if args.dir is None:
            words = ["prepare", "demo", "-C", scratch, "--utterances", "300"]
            subprocess.run([sys.executable, "-m", "speechkit", *words], check=True)
        work = WorkDir(args.dir or Path(scratch))
        files = data.load(work.data(args.set), work.root).audio_files()
        size = sum(path.stat().st_size for path in files)
        print(f"{len(files)} recordings, {size / 1e6:.1f} MB")
        for label, stage in (("decoding alone", decode), ("extract-prosody", measure)):
            ratios = []
            for number in range(args.rounds + 1):
                order = (True, False) if number % 2 else (False, True)
                spent = {way: cpu_seconds(stage, work, args.set, way) for way in order}
                ratios.append(spent[True] / spent[False])
            told = statistics.median(ratios[1:])  # the first round fills caches
            print(f"{label}: with digests / without = {told:.3f}")
        measure(work, args.set)
        print(f"up to date: {seconds(measure, work, args.set):.2f} s")
        if args.dir is None:  # nobody else's files
            for path in files:
                path.touch()
            told_again = seconds(measure, work, args.set)
            print(f"up to date after every file was touched: {told_again:.2f} s")
        started = time.process_time()
        fresh = Digests(Path(scratch) / "none")
        for path in files:
            fresh.of(path)
        print(f"digests alone: {size / 1e6 / (time.process_time() - started):.0f} MB a CPU second")


if __name__ == "__main__":
    main()
