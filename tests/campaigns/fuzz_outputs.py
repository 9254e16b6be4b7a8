"""Campaign: damaged outputs of stages, read by the next stage.

python tests/campaigns/fuzz_outputs.py [--cases 300] [--seed 0] [--one SEED]
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import os
import random
import resource
import shutil
import sys
from pathlib import Path

from base import made
from campaign import Tally, bad_ending, fresh, in_process, top
from output_faults import mutate

TRAIN1 = "--epochs 1 -j 0 --force --name z"
TINY = (
    "--epoch-size 4 --batch-size 2 --segment 0.5 --model tiny --filters 8 --bottleneck 8 "
    f"--skip 8 --hidden 8 --kernel 32 {TRAIN1}"
)
WAV = "data/test/wav/WAV"
TRAIN_PRONUNCIATION = (
    "train pronunciation --set so_train --seeds 1 --batch-size 8 --epochs 1 -j 1 --force --name z"
)
TRAIN_SCORING = "train scoring --set so_train --seeds 1 --epochs 1 -j 1 --force --name z"
# Files, and commands that read them.
READERS = [
    (
        "exp/prosody/train/prosody.tsv",
        [
            "mine-hard --param pitch --pm 0.2 --name z --force",
            "mine-hard --param energy --pm 0.2 --name z --force --same-gender",
            "mine-hard --param pitch --pitch-unit semitones --pm 0.2 --name z --force",
        ],
    ),
    (
        "exp/prosody/train/manifest.json",
        ["extract-prosody --set train -j 1", "extract-prosody --set train --f0-min 70 -j 1"],
    ),
    (
        "exp/xvector/train/*",
        [
            "mine-hard --param xvector --pm 0.2 --name z --force",
            "extract-xvector --set train --model small -j 1",
        ],
    ),
    (
        "exp/xvector_nnet/small/*",
        [
            "extract-xvector --set dev --model small --force -j 1",
            "export exp/xvector_nnet/small z.zip --force",
        ],
    ),
    (
        "exp/hard/xvector_pm0.1/*",
        [f"train separation --hard xvector_pm0.1 {TINY}", "mine-hard --param xvector --pm 0.1"],
    ),
    (
        "data/test_2mix/mixtures.*",
        [
            "evaluate separation --name sep --force -j 1",
            "validate --set test_2mix -j 1",
            "validate --set test_2mix --fix -j 1",
            "mix --set test --count 30 --write-audio -j 1",
        ],
    ),
    ("data/dev_2mix/mixtures.*", [f"train separation {TINY}"]),
    (
        "data/train/manifest.json",
        [
            "prepare demo --utterances 60 --speakers 12 -j 1",
            "validate --set train --fix",
            "split --set train --share 0.5 --into z1,z2",
        ],
    ),
    (
        "exp/separation/sep/seed0/*",
        [
            f"predict separation {WAV} --model sep --out o --force",
            "evaluate separation --name sep --force -j 1",
            "export separation/sep z.zip --force",
        ],
    ),
    (
        "exp/separation/sep/eval/test_2mix/*",
        [
            "compare separation --baseline sep --set test_2mix --force --samples 20",
            "evaluate separation --name sep -j 1",
            "report",
        ],
    ),
    (
        "exp/align/so_train/*",
        [
            "train acoustic --set so_train --widths 8,8 --kernels 3,3 --dilations 1,1 --folds 0 "
            f"--full --unseen full --chunk 60 --batch-size 4 {TRAIN1}",
            "align --set so_train --am sphinx -j 1",
        ],
    ),
    (
        "exp/acoustic/tiny/*",
        [
            "extract-gop --set so_test --am tiny --name z --force -j 1",
            "extract-deep --set so_test --am tiny --align-with sphinx --name z --force -j 1",
        ],
    ),
    (
        "exp/gop/so_train/*",
        [
            TRAIN_PRONUNCIATION,
            "synthesize-scores --set so_test --train so_train --folds 2 --name z --force",
        ],
    ),
    ("exp/gop/so_test/*", ["evaluate pronunciation --name pron --set so_test --force"]),
    (
        "exp/deep/so_train/*",
        [TRAIN_SCORING],
    ),
    ("exp/deep/so_test/*", ["evaluate scoring --name sc --set so_test --force -j 1"]),
    (
        "exp/pronunciation/pron/seed*/*",
        [
            f"predict pronunciation {WAV} --text 'WE CALL' --model pron",
            "evaluate pronunciation --name pron --set so_test --force",
            "export pronunciation/pron z.zip --force",
        ],
    ),
    (
        "exp/pronunciation/pron/eval/so_test/*",
        ["evaluate pronunciation --name pron --set so_test", "report"],
    ),
    (
        "exp/scoring/sc/seed*/*",
        [
            f"predict scoring {WAV} --text 'WE CALL' --model sc",
            "evaluate scoring --name sc --set so_test --force -j 1",
            "export scoring/sc z.zip --force",
        ],
    ),
    (
        "exp/emotion/cnn/fold0/seed0/*",
        [
            f"predict emotion {WAV} --model cnn",
            "evaluate emotion --name cnn --force -j 1",
            "export emotion/cnn z.zip --force",
        ],
    ),
    ("exp/emotion/ege/fold0/seed0/*", [f"predict emotion {WAV} --model ege"]),
    (
        "exp/emotion_features/*/*",
        ["train emotion --upstream egemaps --folds 0 --epochs 1 --name z --force -j 1"],
    ),
    (
        "data/ravdess/splits/*",
        [
            "train emotion --upstream egemaps --folds 0 --epochs 1 --name z --force -j 1",
            "split-folds --set ravdess",
            "evaluate emotion --name cnn --force -j 1",
        ],
    ),
    (
        "data/so_train/*scores*",
        [
            TRAIN_PRONUNCIATION,
            TRAIN_SCORING,
            "extract-gop --set so_train --am sphinx --name z --force -j 1",
        ],
    ),
    ("exp/**/*", ["report"]),
]


def run_case(seed: int, tally: Tally, root: Path) -> None:
    """Damage one file of a copy of the base, and run one command that reads it."""
    rng = random.Random(seed)
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(made(), root, symlinks=True)
    os.chdir(root)
    wav = min((root / "data/test/wav").glob("*.wav")).name
    pattern, lines = rng.choice(READERS[:-1]) if rng.random() < 0.95 else READERS[-1]
    pattern = pattern.replace("**/", "")
    files = sorted(
        path for path in root.rglob("*")
        if path.is_file() and fnmatch.fnmatch(str(path.relative_to(root)), pattern)
        and path.suffix not in (".png", ".wav") and "tensorboard" not in str(path)
    )  # fmt: skip
    path = rng.choice(files)
    how, line = mutate(path, rng), rng.choice(lines).replace("WAV", wav)
    code, said = in_process(f"{line} -C {root}", 40)
    what = f"seed {seed}: {path.relative_to(root)} ({how}): {line}"
    tally.add(bad_ending(code, said), code, what, said)
    tally.cases += 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--one", type=int)
    asked = parser.parse_args()
    made()
    resource.setrlimit(resource.RLIMIT_AS, (9 << 30, 9 << 30))
    root = fresh(top() / f"outputs{asked.seed}") / "w"
    if asked.one is not None:
        tally = Tally("one")
        run_case(asked.one, tally, root)
        print(json.dumps(tally.bad, indent=1))
        return 1 if tally.bad else 0
    tally = Tally(f"fuzz_outputs{f'_{asked.seed}' if asked.seed else ''}", asked.cases)
    for seed in range(asked.seed, asked.seed + asked.cases):
        run_case(seed, tally, root)
        if tally.cases % 50 == 0:
            tally.save()
    return tally.finish()


if __name__ == "__main__":
    sys.exit(main())
