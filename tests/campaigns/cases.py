"""Stages on copies of the base working directory, and what is compared afterwards."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from base import made
from campaign import in_process, remove

TINY_NETWORK = "--model tiny --kernel 32 --filters 8 --bottleneck 8 --skip 8 --hidden 8"


@dataclass(frozen=True)
class Case:
    """A stage.

    Args:
        line: the command; ROOT is the working directory.
        outputs: what is compared with an unbroken run.
        gone: what is removed from the copy of the base first.
        whole: at any moment the outputs are as before, or whole; not so where seeds are outputs
            of their own, or files are written one by one.
    """

    line: str
    outputs: tuple[str, ...]
    gone: str = ""
    whole: bool = True


CASES = {
    "prosody": Case(
        "extract-prosody --set train -j 1", ("exp/prosody/train",), "exp/prosody/train"
    ),
    "prosody --force": Case(
        "extract-prosody --set train --f0-min 60 --force -j 1", ("exp/prosody/train",)
    ),
    "mine": Case(
        "mine-hard --param xvector --pm 0.1", ("exp/hard/xvector_pm0.1",), "exp/hard/xvector_pm0.1"
    ),
    "mine --force": Case(
        "mine-hard --param xvector --pm 0.1 --same-gender --force", ("exp/hard/xvector_pm0.1",)
    ),
    "mix": Case(
        "mix --set test --count 8 --write-audio -j 1", ("data/test_2mix",), "data/test_2mix"
    ),
    "split": Case("split --set train --share 0.5 --into aa,bb", ("data/aa", "data/bb")),
    "split-folds": Case(
        "split-folds --set ravdess", ("data/ravdess/splits",), "data/ravdess/splits", whole=False
    ),
    "fix": Case("validate --set train --fix -j 1", ("data/train",), whole=False),
    "export": Case("export separation/sep ROOT/sep.zip --force", ("sep.zip",), "sep.zip"),
    "import": Case("import ROOT/sep.zip --name imp", ("exp/separation/imp",)),
    "import --force": Case("import ROOT/sep.zip --name imp --force", ("exp/separation/imp",)),
    "prepare folder": Case("prepare folder ROOT/list.tsv --set p -j 1", ("data/p",)),
    "prepare folder --split": Case(
        "prepare folder ROOT/list.tsv --split pa=0.5,pb=0.5 -j 1", ("data/pa", "data/pb")
    ),
    "evaluate pronunciation": Case(
        "evaluate pronunciation --name pron --set so_test",
        ("exp/pronunciation/pron/eval",),
        "exp/pronunciation/pron/eval",
        whole=False,
    ),
    "evaluate separation": Case(
        "evaluate separation --name sep -j 1",
        ("exp/separation/sep/eval",),
        "exp/separation/sep/eval",
        whole=False,
    ),
    "synthesize": Case(
        "synthesize-scores --set so_test --train so_train --folds 2", ("exp/synthetic/so_test",)
    ),
    "xvector": Case(
        "extract-xvector --set train --model small -j 1",
        ("exp/xvector/train",),
        "exp/xvector/train",
    ),
    "train pronunciation": Case(
        "train pronunciation --set so_train --name pron --epochs 6 --seeds 2 --batch-size 8 -j 1",
        ("exp/pronunciation/pron",),
        "exp/pronunciation/pron",
        whole=False,
    ),
    "train scoring": Case(
        "train scoring --set so_train --name sc --epochs 4 --seeds 2 -j 1",
        ("exp/scoring/sc",),
        "exp/scoring/sc",
        whole=False,
    ),
    "train separation": Case(
        f"train separation --name sep --epochs 2 --segment 0.5 --batch-size 4 --epoch-size 8 "
        f"{TINY_NETWORK} -j 0",
        ("exp/separation/sep/seed0",),
        "exp/separation/sep",
    ),
    "train xvector": Case(
        "train xvector --name small --epochs 2 --held-out 0.3 --channels 8,8,8,8,16 --embedding 8 "
        "--chunk-min 0.5 --chunk-max 1 --speeds 1.0 --batch-size 32 -j 0",
        ("exp/xvector_nnet/small",),
        "exp/xvector_nnet/small",
    ),
    "align": Case(
        "align --set so_test --am sphinx -j 1", ("exp/align/so_test",), "exp/align/so_test"
    ),
    "gop": Case(
        "extract-gop --set so_test --am sphinx --prosody -j 1",
        ("exp/gop/so_test",),
        "exp/gop/so_test",
    ),
    "deep": Case(
        "extract-deep --set so_test --am tiny --align-with sphinx -j 1",
        ("exp/deep/so_test",),
        "exp/deep/so_test",
    ),
    "report": Case("report --title base", ("report",), "report", whole=False),
    "predict": Case(
        "predict separation ROOT/mix.wav --model sep --out ROOT/o --force", ("o",), whole=False
    ),
    "timeline": Case(
        "predict emotion ROOT/long.wav --model cnn --timeline --out ROOT/o --force",
        ("o",),
        whole=False,
    ),
}


def prepare(name: str, root: Path, source: Path | None = None) -> str:
    """A fresh working directory for a case; its command line.

    Args:
        name: of ``CASES``.
        root: the working directory to be made.
        source: what it is a copy of; None for the base.
    """
    remove(root)
    shutil.copytree(source or made(), root, symlinks=True)
    case = CASES[name]
    if name == "fix":
        _break_tables(root / "data/train")
    if name == "import --force":
        in_process(f"import {root}/sep.zip --name imp -C {root}")
    if case.gone:
        remove(root / case.gone)
    wavs = sorted((root / "data/test/wav").glob("*.wav"))
    rows = [f"data/test/wav/{wav.name}\tsp{k % 4}\tHELLO WORLD\n" for k, wav in enumerate(wavs)]
    (root / "list.tsv").write_text("".join(rows))
    shutil.copy(wavs[0], root / "mix.wav")
    if name == "timeline":
        noise = 0.1 * np.random.default_rng(0).standard_normal(16000 * 14)
        soundfile.write(root / "long.wav", noise, 16000)
    return f"{case.line.replace('ROOT', str(root))} -C {root}"


def _break_tables(folder: Path) -> None:
    """Faults that --fix mends: line ends, order, a missing row, a row too much."""
    lines = (folder / "text").read_text().splitlines()
    (folder / "text").write_text("\n".join(reversed(lines)) + "\r\n\n")
    lines = (folder / "utt2spk").read_text().splitlines()
    (folder / "utt2spk").write_text("\n".join(reversed(lines[1:])) + "\n")
    rows = "".join(f"{line.split()[0]}\t1\n" for line in lines)
    (folder / "labels.tsv").write_text(f"utt\tx\n{rows}")
