"""Campaign: broken Kaldi data directories through validate, --fix and the stages that read sets.

    python tests/campaigns/fuzz_sets.py [--cases 3000] [--seed 0] [--one SEED]

Case SEED is always the same; --one replays a single one.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import sys
from pathlib import Path

import soundfile
from campaign import TESTS, Tally, bad_ending, fresh, in_process, top
from set_faults import TABLES, mutate

sys.path.insert(0, str(TESTS))
from conftest import voice

READERS = [
    "mine-hard --param pitch --pm 0.3",
    "mine-hard --param energy --pm 0.5 --same-gender",
    "split --set train --share 0.5 --into aa,bb",
    "mix --set train --count 3 --min-seconds 0.2 -j 1",
    "split-folds --set train --fold-size 1 --valid-speakers 1",
    "split-folds --set train --split random-80-20",
    "extract-prosody --on-error skip --name skip -j 1",
    "validate --decode -j 1",
    "validate --json -j 1",
    "report",
]
SLOW_READERS = [
    "align --set train --am sphinx -j 1",
    "extract-gop --set train --am sphinx -j 1 --prosody",
    "align --set train --am sphinx --on-error skip -j 1",
]


def make_seed_set(root: Path) -> None:
    """4 speakers x 3 clips of 0.5 to 0.7 s, with every table that a set can have."""
    folder = root / "data/train"
    (folder / "wav").mkdir(parents=True)
    rows: dict[str, list[str]] = {name: [] for name in TABLES}
    rows["utterance_scores.tsv"] = ["utt\taccuracy\tcompleteness\tfluency\tprosodic\ttotal"]
    rows["word_scores.tsv"] = ["utt\tindex\tword\taccuracy\tstress\ttotal"]
    rows["phone_scores.tsv"] = ["utt\tword\tindex\tphone\taccuracy"]
    rows["rater_scores.tsv"] = ["utt\trater\ttotal"]
    rows["score_scales.json"] = ['{"utterance": {"total": [0, 10]}}']
    words = (("WE", "W IY0"), ("CALL", "K AO1 L"))
    for k in range(4):
        speaker = f"Actor_{k + 1:02d}"
        rows["spk2gender"].append(f"{speaker} {'mf'[k % 2]}")
        rows["spk2age"].append(f"{speaker} {20 + k}")
        names = [f"{speaker}-u{j}" for j in range(3)]
        rows["spk2utt"].append(f"{speaker} {' '.join(names)}")
        for j, name in enumerate(names):
            sound = voice(100 + 30 * k + j, 0.5 + 0.1 * j, seed=10 * k + j)
            soundfile.write(folder / "wav" / f"{name}.wav", sound, 16000)
            rows["wav.scp"].append(f"{name} data/train/wav/{name}.wav")
            rows["utt2spk"].append(f"{name} {speaker}")
            rows["text"].append(f"{name} WE CALL")
            rows["utt2dur"].append(f"{name} {len(sound) / 16000:.3f}")
            rows["utt2emotion"].append(f"{name} {('happy', 'sad')[j % 2]}")
            rows["utterance_scores.tsv"].append(f"{name}\t8\t10\t7\t{j}\t8")
            rows["rater_scores.tsv"] += [f"{name}\t{rater}\t{7 + j}" for rater in ("ann", "ben")]
            index = 0
            for i, (word, phones) in enumerate(words):
                rows["word_scores.tsv"].append(f"{name}\t{i}\t{word}\t{9 - j}\t10\t9")
                for phone in phones.split():
                    rows["phone_scores.tsv"].append(f"{name}\t{i}\t{index}\t{phone}\t{2 - j / 2}")
                    index += 1
    del rows["segments"]
    for name, lines in rows.items():
        (folder / name).write_text("\n".join(lines) + "\n")


def content_of(folder: Path) -> dict[str, bytes | str]:
    """Name -> content of everything in a folder."""
    found: dict[str, bytes | str] = {}
    for path in folder.rglob("*"):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = f"-> {path.readlink()}"
        elif path.is_file():
            found[name] = path.read_bytes()
        elif not path.is_dir():
            found[name] = "special"
    return found


class Case:
    """One broken set, and the commands that are run on it.

    Args:
        seed: decides everything.
        tally: where endings are counted.
        place: a folder; the working directory is made in it, and nothing else may appear there.
        original: the set without faults.
    """

    def __init__(self, seed: int, tally: Tally, place: Path, original: Path) -> None:
        self.tally, self.root = tally, place / "fuzz"
        if self.root.exists():
            shutil.rmtree(self.root)
        shutil.copytree(original, self.root, symlinks=True)
        self.folder, self.rng = self.root / "data/train", random.Random(seed)
        self.what = f"seed {seed} ({','.join(mutate(self.root, self.rng))})"
        os.chdir(place)

    def run(self, line: str, seconds: int = 25) -> int:
        """Run a command and count its ending; its code."""
        beside = {path.name for path in self.root.parent.iterdir()}
        code, said = in_process([*line.split(), "-C", self.root], seconds)
        problem = bad_ending(code, said)
        if {path.name for path in self.root.parent.iterdir()} != beside:
            problem = "WROTE OUTSIDE"
        elif any((place / "pwned").exists() for place in (self.root, self.root.parent)):
            problem = "CODE RAN"
        elif not problem and (locks := list(self.root.rglob(".*.lock"))):
            problem = f"leaves {locks[0].name}"
        self.tally.add(problem, code, f"{self.what}: {line}", said)
        return code

    def fault(self, problem: str) -> None:
        """Count a promise that was broken between commands."""
        self.tally.add(problem, "-", self.what)

    def read(self) -> None:
        """Stages read the set: they end with 0 or 2 and leave it as it was."""
        before = content_of(self.folder)
        lines = ["validate -j 1", "extract-prosody -j 1", *self.rng.choices(READERS, k=2)]
        if self.rng.random() < 0.06:
            lines.append(self.rng.choice(SLOW_READERS))
        codes = {line: self.run(line) for line in lines}
        after = content_of(self.folder)
        changed = [n for n in before if before[n] != after.get(n) and not n.startswith("splits")]
        if changed:
            self.fault(f"a stage that reads changed {changed}")
        if codes["extract-prosody -j 1"] != 0 and list(self.root.glob("exp/prosody/train/*.tsv")):
            self.fault("half of an output")
        refused = codes["validate -j 1"] == 0 and codes["extract-prosody -j 1"] == 2
        if refused and self.run("validate --decode -j 1") == 0:
            self.fault("validate --decode finds nothing, extract-prosody refuses")

    def repair(self) -> None:
        """--fix loses nothing, what it mends is valid, and a second time changes nothing."""
        before = content_of(self.folder)
        code = self.run("validate --fix -j 1")
        mended = content_of(self.folder)
        kept = [content for name, content in mended.items() if name.startswith(".backup/")]
        for name, content in before.items():
            ours = name.startswith(("splits", ".backup", "manifest.json"))
            if not ours and mended.get(name) != content and content not in kept:
                self.fault(f"--fix lost the original of {name}")
            if name.startswith("wav/") and mended.get(name) != content:
                self.fault("--fix changed audio")
        again = self.run("validate -j 1")
        if code != 0:
            return
        if again != 0:
            self.fault("--fix says 0, validate does not")
        self.run("validate --fix -j 1")
        if (twice := content_of(self.folder)) != mended:
            names = [n for n in {*twice, *mended} if twice.get(n) != mended.get(n)]
            self.fault(f"a second --fix changes {names}")
        self.run("extract-prosody --name fixed -j 1")


def run_cases(seeds: range, tally: Tally, place: Path) -> None:
    """Run the cases of some seeds in ``place``."""
    original, work = fresh(place / "original"), fresh(place / "cases")
    make_seed_set(original)
    for seed in seeds:
        case = Case(seed, tally, work, original)
        case.read()
        case.repair()
        tally.cases += 1
        if tally.cases % 200 == 0:
            print(f"... {tally.cases} cases, {tally.tries} runs, {len(tally.bad)} bad", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--one", type=int)
    asked = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (9 << 30, 9 << 30))
    if asked.one is not None:
        tally = Tally("one")
        run_cases(range(asked.one, asked.one + 1), tally, top() / "sets_one")
        print(json.dumps(tally.bad, indent=1))
        return 1 if tally.bad else 0
    tally = Tally(f"fuzz_sets{f'_{asked.seed}' if asked.seed else ''}", asked.cases)
    run_cases(range(asked.seed, asked.seed + asked.cases), tally, top() / f"sets{asked.seed}")
    return tally.finish()


if __name__ == "__main__":
    sys.exit(main())
