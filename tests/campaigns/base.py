"""A small working directory in which every stage has run once: the material of the campaigns.

python tests/campaigns/base.py        about two minutes on one core
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from campaign import TESTS, base, command, fresh, top

sys.path.insert(0, str(TESTS))
import acted_speech
import scored_speech

_SMALL = "--model tiny --kernel 32 --filters 32 --bottleneck 16 --skip 16 --hidden 32"


@dataclass(frozen=True)
class Stage:
    """A command, without -C, and what it writes; CORPORA is the folder of generated corpora."""

    line: str
    output: str


STAGES = {  # in order of dependence
    "demo": Stage("prepare demo --utterances 60 --speakers 12 -j 1", "data/train"),
    "prosody": Stage("extract-prosody --set train -j 1", "exp/prosody/train"),
    "train-xvector": Stage(
        "train xvector --name small --epochs 3 --held-out 0.3 --channels 32,32,32,32,64 "
        "--embedding 32 --chunk-min 0.5 --chunk-max 1 --speeds 1.0 --batch-size 8 -j 0",
        "exp/xvector_nnet/small",
    ),
    "xvector": Stage("extract-xvector --set train --model small -j 1", "exp/xvector/train"),
    "mine": Stage("mine-hard --param xvector --pm 0.1", "exp/hard/xvector_pm0.1"),
    "mine-pitch": Stage("mine-hard --param pitch --pm 0.1", "exp/hard/pitch_pm0.1"),
    "mix-dev": Stage("mix --set dev --count 6 -j 1", "data/dev_2mix"),
    "mix": Stage("mix --set test --count 30 --write-audio -j 1", "data/test_2mix"),
    "train-separation": Stage(
        f"train separation --name sep --epochs 3 --segment 1 --batch-size 4 {_SMALL} -j 0",
        "exp/separation/sep/seed0",
    ),
    "evaluate-separation": Stage(
        "evaluate separation --name sep -j 1", "exp/separation/sep/eval/test_2mix"
    ),
    "scored": Stage(
        "prepare speechocean762 CORPORA/speechocean762 --dev-share 0 -j 1", "data/train"
    ),
    "align": Stage("align --set so_train --am sphinx -j 1", "exp/align/so_train"),
    "train-acoustic": Stage(
        "train acoustic --set so_train --name tiny --widths 24,16 --kernels 5,3 --dilations 1,3 "
        "--folds 0 --full --unseen full --chunk 100 --batch-size 4 --epochs 3 -j 0",
        "exp/acoustic/tiny",
    ),
    "gop": Stage("extract-gop --set so_train --am sphinx --prosody -j 1", "exp/gop/so_train"),
    "gop-test": Stage("extract-gop --set so_test --am sphinx --prosody -j 1", "exp/gop/so_test"),
    "train-pronunciation": Stage(
        "train pronunciation --set so_train --name pron --epochs 30 --seeds 2 --batch-size 8 -j 1",
        "exp/pronunciation/pron",
    ),
    "evaluate-pronunciation": Stage(
        "evaluate pronunciation --name pron --set so_test", "exp/pronunciation/pron/eval/so_test"
    ),
    "deep": Stage(
        "extract-deep --set so_train --am tiny --align-with sphinx -j 1", "exp/deep/so_train"
    ),
    "deep-test": Stage(
        "extract-deep --set so_test --am tiny --align-with sphinx -j 1", "exp/deep/so_test"
    ),
    "train-scoring": Stage(
        "train scoring --set so_train --name sc --epochs 30 --seeds 2 -j 1", "exp/scoring/sc"
    ),
    "evaluate-scoring": Stage(
        "evaluate scoring --name sc --set so_test -j 1", "exp/scoring/sc/eval/so_test"
    ),
    "ravdess": Stage("prepare ravdess CORPORA/ravdess -j 1", "data/ravdess"),
    "train-emotion-cnn": Stage(
        "train emotion --upstream fbank-cnn --name cnn --channels 8,8,8,8 --epochs 3 --folds 0 "
        "--split speaker-folds -j 1",
        "exp/emotion/cnn",
    ),
    "train-emotion-egemaps": Stage(
        "train emotion --upstream egemaps --name ege --epochs 20 --folds 0 -j 1",
        "exp/emotion/ege",
    ),
    "evaluate-emotion": Stage("evaluate emotion --name cnn -j 1", "exp/emotion/cnn/eval"),
    "report": Stage("report --title base", "report"),
    "export": Stage("export separation/sep ROOT/sep.zip", "sep.zip"),
}


def make(
    root: Path,
    names: Iterable[str] = STAGES,
    run: Callable[..., tuple[Any, str]] = command,
) -> None:
    """Run stages in a new working directory.

    Args:
        root: the working directory.
        names: of ``STAGES``.
        run: how, as :func:`campaign.command`.

    Raises:
        RuntimeError: a stage failed.
    """
    fresh(root)
    corpora = fresh(top() / "corpora")
    for name in names:
        place = root
        if name == "scored":
            scored_speech.make_corpus(corpora, train=8, test=4, utterances=3)
            place = fresh(top() / "scored")  # its sets have the names of those of the demo
        if name == "ravdess":
            acted_speech.make_ravdess(corpora, actors=8, emotions=3, repetitions=2, seconds=0.5)
        before = time.time()
        line = STAGES[name].line.replace("CORPORA", str(corpora)).replace("ROOT", str(root))
        code, said = run([*line.split(), "-C", place])
        print(f"{name:24} {time.time() - before:.1f} s", flush=True)
        if code != 0:
            raise RuntimeError(f"{line} ends with {code}\n{said[-3000:]}")
        if name == "scored":
            for part in ("train", "test"):
                shutil.copytree(
                    place / "data" / part, root / "data" / f"so_{part}",
                    ignore=shutil.ignore_patterns("manifest.json"),
                )  # fmt: skip


def made() -> Path:
    """The base working directory; it is made if it is not there yet."""
    if not (base() / "sep.zip").exists():
        make(base())
    return base()


if __name__ == "__main__":
    made()
