"""The recipe of transfer scoring on a small scored corpus, from speech to the report."""

import json
from pathlib import Path

import pytest
from in_process import run_script
from scored_speech import make_corpus

RECIPE = Path(__file__).parents[1] / "recipes/speechocean762/transfer_scoring/run.sh"
SMALL = [
    "--acoustic-epochs", 4, "--realign", 1, "--joint-epochs", 1, "--seeds", 2,
    "--acoustic", "--widths 16 --realign-epochs 1", "--scorer", "--epochs 2 --pretrain-epochs 2",
    "--labelled", "4", "--few", 4, "--targets", "fluency",
]  # fmt: skip


@pytest.mark.slow
def test_from_speech_to_the_report(tmp_path, monkeypatch):
    corpus, work = make_corpus(tmp_path, train=16), tmp_path / "work"
    code, _, err, called = run_script(
        RECIPE, "--corpus", corpus, "--dir", work, *SMALL, monkeypatch=monkeypatch
    )
    assert code == 0, err[-3000:]
    assert [words[:2] for words in called].count(["train", "scoring"]) == 26
    for name in ("deep", "trees", "stp-gop", "stages_unfrozen_frozen", "adapted_fluency"):
        summary = json.loads((work / f"exp/scoring/{name}/eval/test/summary.json").read_text())
        assert summary["utterances"]["mean"] == 12
    page = (work / "report/index.html").read_text()
    assert "Transfer scoring" in page and "20,289" in page
