"""Five seeds of GOPT: `train pronunciation` against the authors' public script.

    python benchmarks/bench_pronunciation.py --peer PATH [--dir WORKDIR --train train --test test]
        [--gop NAME] [--epochs 100] [--seeds 5] [--peer-epochs 3] [--peer-seeds 1]

PATH is a checkout of https://github.com/YuanGongND/gopt (not part of this project). Both get the
same utterances and features, normalised by column; both measure the test set after every epoch
(the script the training set too). The script runs seed after seed; what it was not run for
(--peer-epochs, --peer-seeds) is extrapolated from its median epoch, and said so. Seconds of all
cores together are given too: they can be compared on a machine that others use. Without --dir
sets of 2500 made-up utterances are used; their times mean something, their scores do not.
Correlations are compared after as many epochs as the script ran.
"""

from __future__ import annotations

import argparse
import csv
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

SCALE = (3.203, 4.045)  # mean and deviation that the script assumes of the features
COLUMNS = {  # of the script's result.csv
    "phone_accuracy_pcc": 4,
    **{
        f"utterance_{name}_pcc": 21 + k
        for k, name in enumerate(("accuracy", "completeness", "fluency", "prosodic", "total"))
    },
    **{f"word_{name}_pcc": 29 + k for k, name in enumerate(("accuracy", "stress", "total"))},
}


def export(folder: Path, work: Path, sets: dict[str, str], gop: str) -> None:
    """Write the sets as the arrays that the script reads; no utterance may have over 49 phones."""
    from speechkit.phone_features import dataset
    from speechkit.training import normaliser as normalise
    from speechkit.workdir import WorkDir

    norm = None
    for short, name in sets.items():
        found = dataset.load(WorkDir(work), name, (gop,))
        norm = norm or normalise.fit(found.features, found.phone_ids, "column", 40)
        values = norm(found.features, found.phone_ids) * SCALE[1] + SCALE[0]
        count = len(found.utterances)
        features, phones = np.zeros((count, 50, values.shape[1])), -np.ones((count, 50, 2))
        words = -np.ones((count, 50, 4))
        names = [f"word_{name}" for name in ("accuracy", "stress", "total")]
        given = np.stack([found.of_phones(name) for name in names], 1) * 5
        for u in range(count):
            rows = slice(found.first[u], found.first[u + 1])
            n = rows.stop - rows.start
            features[u, :n] = values[rows]
            phones[u, :n, 0] = found.phone_ids[rows] - 1
            phones[u, :n, 1] = found.labels["phone_accuracy"][rows]
            words[u, :n, :3] = given[rows]
            words[u, :n, 3] = found.words[rows] - found.first_word[u]
        names = ("accuracy", "completeness", "fluency", "prosodic", "total")
        whole = np.stack([found.labels[f"utterance_{name}"] for name in names], 1) * 5
        for kind, array in (
            ("feat", features),
            ("label_phn", phones),
            ("label_word", words),
            ("label_utt", whole),
        ):
            np.save(folder / f"{short}_{kind}.npy", array)


def run_peer(script: Path, place: Path, epochs: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(Seconds, CPU seconds) before the first epoch, of each epoch, and the last results."""
    place.mkdir(parents=True)
    command = [sys.executable, "-u", str(script), "--exp-dir", str(place), "--lr", "1e-3"]
    command += ["--goptdepth", "3", "--goptheads", "1", "--batch_size", "25", "--embed_dim", "24"]
    command += ["--n-epochs", str(epochs)]
    marks = [(time.perf_counter(), 0.0)]
    cwd = place.parent / "src"
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=cwd) as process:
        for line in process.stdout or ():
            if line.startswith(("start training", "Epoch-")):
                marks.append((time.perf_counter(), cpu_seconds(process.pid)))
    if process.returncode:
        raise SystemExit(f"the script failed: {' '.join(command)}")
    results = np.loadtxt(place / "result.csv", delimiter=",", ndmin=2)
    steps = np.diff(np.array(marks), axis=0)
    return steps[0], steps[1:], results[-1]


def cpu_seconds(process: int) -> float:
    """Of a living process so far, on all cores together (Linux)."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def run_ours(work: Path, args: argparse.Namespace) -> np.ndarray:
    """(Seconds, CPU seconds) of the command."""
    command = [sys.executable, "-m", "speechkit", "train", "pronunciation", "-C", str(work)]
    command += ["--name", "bench", "--set", args.train, "--track", args.test, "--force"]
    command += ["--epochs", str(args.epochs), "--seeds", str(args.seeds), "--device", "cpu"]
    command += ["--gop", args.gop] if args.gop else []

    def now() -> np.ndarray:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return np.array([time.perf_counter(), used.ru_utime + used.ru_stime])

    started = now()
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    return now() - started


def our_scores(work: Path, seeds: int, epoch: int) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {name: [] for name in COLUMNS}
    for seed in range(seeds):
        log = work / f"exp/pronunciation/bench/seed{seed}/log.tsv"
        with log.open(encoding="utf-8") as file:
            row = list(csv.DictReader(file, delimiter="\t"))[epoch - 1]
        for name, values in found.items():
            values.append(float(row[f"track_{name}"]))
    return found


def make_sets(root: Path) -> None:
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from pronunciation_sets import make_scored

    for seed, name in enumerate(("train", "test")):
        make_scored(root, name, 2500, 84, 125, seed, 19, 46)


def show_scores(peers: list[np.ndarray], ours: dict[str, list[float]], epochs: int) -> None:
    print(f"\n| test PCC after {epochs} epochs | script | speechkit |\n|---|---|---|")
    for name, column in COLUMNS.items():
        cells = []
        for values in ([float(row[column]) for row in peers], ours[name]):
            spread = f" ± {np.std(values, ddof=1):.3f}" if len(values) > 1 else ""
            cells.append(f"{np.mean(values):.3f}{spread}")
        print(f"| {name.removesuffix('_pcc')} | {cells[0]} | {cells[1]} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer", type=Path, required=True)
    parser.add_argument("--dir", type=Path)
    for name, default in (("train", "train"), ("test", "test"), ("gop", "")):
        parser.add_argument(f"--{name}", default=default)
    for name, number in (("epochs", 100), ("seeds", 5), ("peer-epochs", 3), ("peer-seeds", 1)):
        parser.add_argument(f"--{name}", type=int, default=number)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        work = args.dir or Path(scratch) / "work"
        if not args.dir:
            make_sets(work)
        arrays = Path(scratch) / "peer/data/seq_data_librispeech"
        arrays.mkdir(parents=True)
        (arrays.parents[1] / "src").mkdir()
        export(arrays, work, {"tr": args.train, "te": args.test}, args.gop)
        script = args.peer.resolve() / "src" / "traintest.py"
        runs = [
            run_peer(script, arrays.parents[1] / f"exp{k}", args.peer_epochs)
            for k in range(args.peer_seeds)
        ]
        ours = run_ours(work, args)
        start = np.median([run[0] for run in runs], axis=0)
        epoch = np.median(np.concatenate([run[1] for run in runs]), axis=0)
        peer = args.seeds * (start + args.epochs * epoch)
        measured = args.peer_epochs >= args.epochs and args.peer_seeds >= args.seeds
        said = "" if measured else f", extrapolated from {args.peer_seeds} x {args.peer_epochs}"
        times, cores = peer / ours
        print(f"## {args.seeds} seeds x {args.epochs} epochs, test set measured every epoch\n")
        print("| | s | CPU s | times as fast | CPU |\n|---|---|---|---|---|")
        script_name = f"GOPT's public script, seed after seed{said}"
        print(f"| {script_name} | {peer[0]:.4g} | {peer[1]:.4g} | 1 | 1 |")
        name = "train pronunciation, all seeds in one run"
        print(f"| {name} | {ours[0]:.4g} | {ours[1]:.4g} | {times:.1f} | {cores:.1f} |")
        reached = min(args.peer_epochs, args.epochs)
        show_scores([run[2] for run in runs], our_scores(work, args.seeds, reached), reached)


if __name__ == "__main__":
    main()
