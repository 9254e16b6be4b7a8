"""Transfer scoring on generated speech, from recordings to predictions and the report."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from scored_speech import make_corpus

from speechkit.cli.main import main

TINY = (
    "--widths", "24,16", "--kernels", "5,3", "--dilations", "1,3", "--folds", 0, "--full",
    "--unseen", "full", "--chunk", 100, "--batch-size", 4, "--epochs", 2,
)  # fmt: skip
SHORT = ("--seeds", 2, "--epochs", 3, "--pretrain-epochs", 2, "--joint-epochs", 2)
ROWS = (  # of Table 5: what is done with the acoustic model in pre-training and fine-tuning
    ("frozen", "frozen"),
    ("unfrozen", "unfrozen"),
    ("unfrozen", "frozen"),
    ("unfrozen", "none"),
    ("none", "frozen"),
)


def write_tables(root: Path) -> Path:
    """The corpus as a user would have it: a list of recordings, and what three raters gave."""
    corpus = make_corpus(root, train=9, test=3, utterances=2)
    lines, scores = (
        ["path\tspeaker\ttext\tutt"],
        json.loads((corpus / "resource/scores.json").read_text()),
    )
    for part in ("train", "test"):
        text = dict(row.split("\t") for row in (corpus / part / "text").read_text().splitlines())
        speakers = (corpus / part / "utt2spk").read_text().splitlines()
        for name, speaker in (row.split("\t") for row in speakers):
            path = f"speechocean762/WAVE/SPEAKER{speaker}/{name}.WAV"
            lines.append(f"{path}\t{speaker}\t{text[name]}\t{name}")
    (root / "list.tsv").write_text("\n".join(lines) + "\n")
    rows = [
        f"{name}\t{rater}\t{min(5, max(1, scores[name]['total'] / 2 + off))}"
        for name in scores
        for rater, off in (("ann", 0), ("ben", -0.5), ("cy", (-1) ** len(scores[name]["text"])))
    ]
    (root / "raters.tsv").write_text("\n".join(["utt\trater\ttotal", *rows]) + "\n")
    return root


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tables(tmp_path_factory.mktemp("scored"))


def speechkit(place: Path, *words: object) -> None:
    """Run a command in ``place/work``."""
    assert main([str(word) for word in (*words, "-C", place / "work")]) == 0, words


def test_from_speech_to_the_report(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    work = place / "work"
    split = "am=0.34,scored=0.33,test=0.33"
    speechkit(place, "prepare", "folder", place / "list.tsv", "--split", split, "--raters",
              place / "raters.tsv", "--score-scales", "utterance=1:5", "-j", 1)  # fmt: skip
    speechkit(place, "split", "--set", "scored", "--share", 0.5, "--into", "labelled,unlabelled")
    speechkit(place, "align", "--set", "am", "--am", "sphinx", "-j", 1)
    speechkit(place, "train", "acoustic", "--set", "am", "--name", "tiny", *TINY, "-j", 1)
    for name in ("labelled", "unlabelled", "test"):
        speechkit(place, "extract-gop", "--set", name, "--am", "sphinx", "-j", 1)
        speechkit(place, "extract-deep", "--set", name, "--am", "tiny", "--align-with", "sphinx",
                  "-j", 1)  # fmt: skip
    speechkit(place, "synthesize-scores", "--set", "unlabelled", "--train", "labelled",
              "--folds", 2)  # fmt: skip
    train = ("train", "scoring", "--set", "labelled", *SHORT, "-j", 1)
    synthetic = ("--pretrain-set", "unlabelled")
    for pretrain, finetune in ROWS:
        more = synthetic if pretrain != "none" else ()
        speechkit(place, *train, "--name", f"{pretrain}-{finetune}", "--pretrain", pretrain,
                  "--finetune", finetune, *more)  # fmt: skip
    names = ",".join("-".join(row) for row in ROWS)
    speechkit(place, "evaluate", "scoring", "--name", names, "--set", "test", "-j", 1)
    for row in ROWS:
        folder = work / "exp/scoring" / "-".join(row)
        updated = "unfrozen" in row
        assert all((folder / f"seed{n}/acoustic/config.yaml").is_file() == updated for n in (0, 1))
        summary = json.loads((folder / "eval/test/summary.json").read_text())
        assert summary["utterances"]["mean"] == 8 and summary["utterance_total_mse"]["n"] == 2
    _predict_as_evaluated(place, capsys)
    speechkit(place, "report", "--papers", "--title", "Transfer scoring")
    page = (work / "report/index.html").read_text()
    for said in ("Table 1 of the paper", "5 of the paper: stages", "Agreement of raters"):
        assert said in page


def _predict_as_evaluated(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A recording gets the score that it has in the evaluation of its set."""
    folder = place / "work/data/test"
    tables = {n: dict(_cells(folder / n, " ")) for n in ("wav.scp", "text")}
    some = list(tables["wav.scp"])[:3]
    lines = [f"{place / 'work' / tables['wav.scp'][u]}\t{tables['text'][u]}\n" for u in some]
    (place / "some.tsv").write_text("".join(lines))
    for name in ("frozen-frozen", "unfrozen-unfrozen", "unfrozen-frozen"):
        capsys.readouterr()
        speechkit(place, "predict", "scoring", "--trans", place / "some.tsv", "--model", name,
                  "--json")  # fmt: skip
        found = json.loads(capsys.readouterr().out)
        path = place / "work/exp/scoring" / name / "eval/test/utterances.tsv"
        header, *rows = (line.split("\t") for line in path.read_text().splitlines())
        evaluated = {row[0]: dict(zip(header, row, strict=True)) for row in rows}
        for utterance, each in zip(some, found, strict=True):
            assert each["matches"] and each["scale"] == [1, 5]
            for seed in (0, 1):
                share = float(evaluated[utterance][f"utterance_total_seed{seed}"])
                assert each["seeds"][str(seed)] == pytest.approx(1 + 4 * share, abs=2e-3)


def _cells(path: Path, separator: str) -> list[list[str]]:
    return [line.split(separator, 1) for line in path.read_text().splitlines()]
