"""Memory and time of reading a second of audio of any rate at 16 kHz, against torchaudio alone.

    python benchmarks/bench_resampling.py [--rates 7999 44100 ...] [--limit-gib 9]

Every reading is a process of its own whose address space is limited; what it holds before it
reads (torch and torchaudio) is taken off.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile

NEW_RATE = 16000
RATES = (
    1, 999, 1000, 1009, 7999, 8000, 11025, 22050, 22051, 32000, 44100, 44101, 48000, 96000, 96001,
    192000, 192001, 655351, 999983, 9999991, 10_000_000,
)  # fmt: skip
WORKER = """
import json, resource, sys, time
path, side, limit, new_rate = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
import numpy, soundfile, soxr, torch, torchaudio
from speechkit.base import audio
from speechkit.base.errors import AudioError

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

def read():
    if side == "speechkit":
        return audio.read(path, new_rate)[0]
    samples, rate = soundfile.read(path, dtype="float32")
    return torchaudio.transforms.Resample(rate, new_rate)(torch.from_numpy(samples))

before, started = peak(), time.process_time()
try:
    ending = f"{len(read()):,} samples"
except AudioError:
    ending = "refused"
except (MemoryError, RuntimeError) as error:
    ending = "no memory" if "alloc" in str(error) or isinstance(error, MemoryError) else str(error)
print(json.dumps([ending, peak() - before, time.process_time() - started]))
"""


def measured(path: Path, side: str, limit: int) -> tuple[str, float, float]:
    """How reading ended, MiB and CPU seconds that it took."""
    words = [sys.executable, "-c", WORKER, str(path), side, str(limit), str(NEW_RATE)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        return f"died ({done.returncode})", float("nan"), float("nan")
    ending, memory, seconds = json.loads(done.stdout)
    return ending, memory, seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rates", type=int, nargs="+", default=RATES)
    parser.add_argument("--limit-gib", type=float, default=9.0)
    args = parser.parse_args()
    limit = round(args.limit_gib * 2**30)
    print(f"One second at each rate, read at {NEW_RATE} Hz; address space {args.limit_gib:g} GiB\n")
    print("| Hz | ending | MiB | seconds | torchaudio: ending | MiB | seconds | memory | time |")
    print("|---|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as scratch:
        for rate in args.rates:
            path = Path(scratch) / "a.wav"
            noise = 0.1 * np.random.default_rng(0).standard_normal(rate)
            soundfile.write(path, noise, rate)
            own, peer = (measured(path, side, limit) for side in ("speechkit", "torchaudio"))
            ratios = [f"{b / max(a, floor):.1f}" for a, b, floor in zip(
                own[1:], peer[1:], (1.0, 0.001), strict=True)]  # fmt: skip
            cells = [f"{ending} | {memory:.0f} | {seconds:.3f}" for ending, memory, seconds in
                     (own, peer)]  # fmt: skip
            print(f"| {rate:,} | {' | '.join(cells + ratios)} |", flush=True)


if __name__ == "__main__":
    main()
