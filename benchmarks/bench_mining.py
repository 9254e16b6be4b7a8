"""Hard-pair mining and sampling: time, memory, and agreement with plain NumPy sorting.

Prints a Markdown table of one run. Every measurement runs in a process of its own, whose
peak resident memory is what the operating system reports. Vectors are generated: a mean
per speaker plus noise.

    python benchmarks/bench_mining.py                       # the sizes of the documentation
    python benchmarks/bench_mining.py --vectors 3000 --large 0 --pitch 50000
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

DEVICE = "SPEECHKIT_BENCH_DEVICE"  # cuda, where gpu.sh runs this
NAIVE_PIVOTS = 400  # plain sorting is timed on so many pivots and scaled


def make(root: Path, count: int, speakers: int, dim: int, seed: int = 0) -> None:
    """A working directory with a set ``train``; dim 0 makes pitch instead of x-vectors."""
    from speechkit.kaldi import data

    rng = np.random.default_rng(seed)
    speaker = np.sort(rng.integers(0, speakers, count))
    utts = [f"s{s:06d}-u{k:07d}" for k, s in enumerate(speaker)]
    folder = root / "data" / "train"
    folder.mkdir(parents=True)
    names = {f"s{s:06d}": "fm"[s % 2] for s in set(speaker.tolist())}
    data.write(
        folder,
        {u: f"{u}.wav" for u in utts},
        {u: u[:7] for u in utts},
        spk2gender=names,
    )
    if dim:
        _make_vectors(root / "exp" / "xvector" / "train", utts, speaker, speakers, dim, rng)
        return
    pitch = 120 + 80 * (np.arange(speakers) % 2) + 20 * rng.standard_normal(speakers)
    f0 = np.maximum(60, pitch[speaker] + 8 * rng.standard_normal(count)).tolist()
    out = root / "exp" / "prosody" / "train"
    out.mkdir(parents=True)
    rows = [f"{u}\t{f!r}\t0.5\t0.01" for u, f in zip(utts, f0, strict=True)]
    header = "utt\tf0_median_hz\tvoiced_fraction\tenergy"
    (out / "prosody.tsv").write_text("\n".join([header, *rows]) + "\n")


def _make_vectors(
    folder: Path,
    utts: list[str],
    speaker: np.ndarray,
    speakers: int,
    dim: int,
    rng: np.random.Generator,
) -> None:
    from speechkit.kaldi.ark import ArkWriter

    folder.mkdir(parents=True)
    mean = rng.standard_normal((speakers, dim), dtype=np.float32)
    with ArkWriter(folder / "xvector.ark", folder / "xvector.scp") as out:
        for utt, s in zip(utts, speaker, strict=True):
            out.write(utt, mean[s] + rng.standard_normal(dim, dtype=np.float32))


def mine(root: Path, param: str, pm: float, store: str, candidates: int) -> dict[str, Any]:
    """The whole stage, as the command runs it."""
    from speechkit.mining.config import MiningConfig
    from speechkit.mining.mine import mine as run
    from speechkit.task.evaluation import read_summary
    from speechkit.workdir import WorkDir

    settings = MiningConfig(param, pm, store=store, candidates=candidates)
    started = time.perf_counter()
    name = store + str(candidates or "")
    folder = run(WorkDir(root), settings, name, device=os.environ.get(DEVICE, "cpu"), force=True)
    seconds = time.perf_counter() - started
    return {
        "seconds": seconds,
        "folder": str(folder),
        "error": read_summary(folder).get("candidates_error"),
    }


def core(root: Path, pm: float) -> dict[str, Any]:
    """Mining alone, vectors in memory to pairs in memory: the part that naive() does."""
    from speechkit.mining.block_search import BlockMiner
    from speechkit.mining.distance import Cosine
    from speechkit.mining.inputs import MiningProblem, read_population, read_vectors

    population = read_population(root / "data" / "train")
    scp = root / "exp" / "xvector" / "train" / "xvector.scp"
    vectors = read_vectors(scp, root, population.utterances)
    started = time.perf_counter()
    distance = Cosine(vectors)
    groups = np.zeros(len(vectors), np.int32)
    valid = distance.norms > 0
    problem = MiningProblem(distance, population, groups, valid, pm)
    miner = BlockMiner(problem, problem.hard_set_sizes())
    pairs = [miner.run(task, keep=True).partners for task in miner.tasks()]
    seconds = time.perf_counter() - started
    return {"seconds": seconds, "pairs": sum(len(p) for p in pairs if p is not None)}


def naive(root: Path, folder: str, pm: float, pivots: int) -> dict[str, Any]:
    """Per pivot: float64 distances to all, mask, sort, take the first m; compare the sets.

    The sort is stable because ties are defined by utterance order.
    """
    from speechkit.mining import HardPairSampler
    from speechkit.mining.inputs import read_population, read_vectors

    population = read_population(root / "data" / "train")
    scp = root / "exp" / "xvector" / "train" / "xvector.scp"
    vectors = read_vectors(scp, root, population.utterances).astype(np.float64)
    speakers, count = population.speakers, len(vectors)
    rows = np.arange(count)
    if pivots < count:
        rows = np.sort(np.random.default_rng(1).choice(count, pivots, replace=False))
    started = time.perf_counter()
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    found = []
    for i in rows:
        distance = 1 - unit @ unit[i]
        distance[speakers == speakers[i]] = np.inf
        m = max(1, round(pm * int((speakers != speakers[i]).sum())))
        found.append(np.argsort(distance, kind="stable")[:m])
    seconds = (time.perf_counter() - started) * count / len(rows)
    sampler = HardPairSampler(folder)
    equal = [
        np.array_equal(sampler.hard_set(int(i)), np.sort(hard))
        for i, hard in zip(rows, found, strict=True)
    ]
    return {"seconds": seconds, "pivots": len(rows), "same": int(sum(equal))}


def sample(folder: str, batch: int, seconds: float) -> dict[str, Any]:
    """Partners per second from a folder, random pivots in batches."""
    from speechkit.mining import HardPairSampler

    sampler = HardPairSampler(folder)
    rng = np.random.default_rng(0)
    sampler.sample(rng.integers(0, len(sampler), batch), rng)
    drawn, started = 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        sampler.sample(rng.integers(0, len(sampler), batch), rng)
        drawn += batch
    return {"rate": drawn / (time.perf_counter() - started), "mode": sampler.mode}


TASKS = {"make": make, "mine": mine, "core": core, "naive": naive, "sample": sample}


def apart(task: str, *arguments: Any) -> dict[str, Any]:
    """Run a task in a process of its own; adds its peak memory in MiB."""
    command = [sys.executable, __file__, "--task", json.dumps([task, *map(_plain, arguments)])]
    ran = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(ran.stdout.splitlines()[-1])


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value


def run_task(text: str) -> None:
    name, *arguments = json.loads(text)
    if name in ("make", "mine", "core", "naive"):
        arguments[0] = Path(arguments[0])
    result = TASKS[name](*arguments) or {}
    result["mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(result))


def row(*cells: Any) -> None:
    print("| " + " | ".join(str(c) for c in cells) + " |", flush=True)


def vectors_part(root: Path, options: argparse.Namespace) -> None:
    """Mining against sorting, and the samplers."""
    n, pm = options.vectors, options.pm
    what = f"{n:,} x {options.dim}, {options.speakers} speakers, pm {pm:g}"
    apart("make", root, n, options.speakers, options.dim)
    stage = apart("mine", root, "xvector", pm, "pairs", 0)
    alone = apart("core", root, pm)
    pivots = n if options.naive_all else min(n, NAIVE_PIVOTS)
    plain = apart("naive", root, stage["folder"], pm, pivots)
    scaled = "" if pivots == n else f", scaled from {pivots:,} pivots"
    row(f"sorting per pivot, {what}", f"{plain['seconds']:.1f} s{scaled}", _mib(plain), "1")
    for name, result in (("mining alone", alone), ("the whole command", stage)):
        ratio = f"{plain['seconds'] / result['seconds']:.1f} x faster"
        row(f"{name}, {what}", f"{result['seconds']:.1f} s", _mib(result), ratio)
    row("hard sets equal to sorting", f"{plain['same']:,} of {plain['pivots']:,}", "", "")
    slim = apart("mine", root, "xvector", pm, "thresholds", 0)
    row(f"the whole command, thresholds only, {what}", f"{slim['seconds']:.1f} s", _mib(slim), "")
    for folder in (stage["folder"], slim["folder"]):
        for batch in (32, 4096):
            drawn = apart("sample", folder, batch, 3.0)
            rate = f"{drawn['rate']:,.0f} partners/s"
            row(f"sampling, {drawn['mode']}, batches of {batch}", rate, _mib(drawn), "")
    for k in options.candidates:
        guess = apart("mine", root, "xvector", pm, "thresholds", k)
        error = guess["error"]
        text = f"{guess['seconds']:.1f} s; error of pm: stated {error['standard_error']:.5f}, "
        row(
            f"--candidates {k}",
            text + f"measured {error['measured_rms_error']:.5f}",
            _mib(guess),
            "",
        )


def large_part(root: Path, options: argparse.Namespace) -> None:
    """A set whose pairs are too many to store."""
    apart("make", root, options.large, options.large_speakers, options.dim)
    result = apart("mine", root, "xvector", options.pm, "thresholds", 0)
    what = f"{options.large:,} x {options.dim}, {options.large_speakers} speakers, thresholds"
    row(f"the whole command, {what}", f"{result['seconds']:.1f} s", _mib(result), "")


def pitch_part(root: Path, options: argparse.Namespace) -> None:
    """Pitch of a million utterances, few and many speakers."""
    for speakers in options.pitch_speakers:
        folder = root / str(speakers)
        folder.mkdir()
        apart("make", folder, options.pitch, speakers, 0)
        result = apart("mine", folder, "pitch", 0.02, "auto", 0)
        what = f"{options.pitch:,} utterances, {speakers:,} speakers, pm 0.02"
        row(f"the whole command, pitch, {what}", f"{result['seconds']:.1f} s", _mib(result), "")
        drawn = apart("sample", result["folder"], 4096, 3.0)
        row(f"sampling, {drawn['mode']}", f"{drawn['rate']:,.0f} partners/s", _mib(drawn), "")


def _mib(result: dict[str, Any]) -> str:
    return f"{result['mib']:,.0f} MiB"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vectors", type=int, default=12_776, help="x-vectors; 0 leaves out")
    parser.add_argument("--speakers", type=int, default=100)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--pm", type=float, default=0.04)
    parser.add_argument("--naive-all", action="store_true", help="sort for every pivot")
    parser.add_argument("--large", type=int, default=100_000, help="x-vectors; 0 leaves out")
    parser.add_argument("--large-speakers", type=int, default=1_000)
    parser.add_argument("--pitch", type=int, default=1_000_000, help="utterances; 0 leaves out")
    parser.add_argument("--pitch-speakers", type=int, nargs="*", default=[1_000, 100_000])
    parser.add_argument("--candidates", type=int, nargs="*", default=[500, 2_000])
    parser.add_argument("--task", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.task:
        run_task(options.task)
        return
    row("hard-pair mining", "time or rate", "peak memory", "against sorting")
    row("---", "---", "---", "---")
    parts = ((options.vectors, vectors_part), (options.large, large_part))
    for wanted, part in (*parts, (options.pitch, pitch_part)):
        if wanted:
            with tempfile.TemporaryDirectory() as folder:
                part(Path(folder), options)


if __name__ == "__main__":
    main()
