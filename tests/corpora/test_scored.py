"""speechocean762's scores: both published forms, the division of train, every problem listed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import soundfile
from conftest import voice

from speechkit.kaldi import data
from speechkit.labels.score_files import canonical_phones, read_scores

TEXT = "WE CALL"
PHONES = [["W", "IY0"], ["K", "AO1", "L"]]


def entry(**changes: Any) -> dict[str, Any]:
    """An utterance of ``scores.json`` in the newer form."""
    words = [
        {"text": word, "accuracy": 10, "stress": 5, "total": 9, "phones": phones,
         "phones-accuracy": [1.8] * len(phones)}
        for word, phones in zip(TEXT.split(), PHONES, strict=True)
    ]  # fmt: skip
    scores = {"accuracy": 8, "completeness": 10.0, "fluency": 9, "prosodic": 7, "total": 8}
    return {"text": TEXT, **scores, "words": words, **changes}


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Ten training speakers (half children), two test speakers, an utterance each."""
    root = tmp_path / "speechocean762"
    scores: dict[str, Any] = {}
    phones: list[str] = []
    for part, speakers in (("train", range(1, 11)), ("test", (11, 12))):
        (root / part).mkdir(parents=True)
        tables: dict[str, list[str]] = {}
        for k in speakers:
            name, speaker = f"0{k:04d}0001", f"{k:04d}"
            file = root / "WAVE" / f"SPEAKER{speaker}" / f"{name}.flac"
            file.parent.mkdir(parents=True)
            soundfile.write(file, voice(100, 0.1), 16000)
            for table, value in (
                ("wav.scp", f"{name}\tWAVE/SPEAKER{speaker}/{name}.WAV"),
                ("text", f"{name}\t{TEXT}"),
                ("utt2spk", f"{name}\t{speaker}"),
                ("spk2gender", f"{speaker}\t{'mf'[k % 2]}"),
                ("spk2age", f"{speaker}\t{7 + 20 * (k % 4 > 1)}"),
            ):
                tables.setdefault(table, []).append(value)
            scores[name] = entry()
            phones += [f"{name}.0\tW_B IY0_E", f"{name}.1\tK_B AO1_I L_E"]
        for table, lines in tables.items():
            (root / part / table).write_text("\n".join(lines) + "\n")
    (root / "resource").mkdir()
    (root / "resource" / "scores.json").write_text(json.dumps(scores))
    (root / "resource" / "text-phone").write_text("\n".join(phones) + "\n")
    return root


def change(corpus: Path, utterance: str, value: dict[str, Any] | None) -> None:
    """Replace an utterance's scores, or take them out."""
    file = corpus / "resource" / "scores.json"
    scores = json.loads(file.read_text())
    scores[utterance] = value
    file.write_text(json.dumps({k: v for k, v in scores.items() if v is not None}))


def test_scores_of_every_set(corpus: Path, tmp_path: Path, run) -> None:
    ran = run("prepare", "speechocean762", corpus, "-C", tmp_path, "--json")
    assert ran.code == 0, ran.err
    assert [(row["set"], row["speakers"]) for row in json.loads(ran.out)] == [
        ("train", 10), ("test", 2), ("train_nodev", 8), ("dev", 2),
    ]  # fmt: skip
    for name in ("train", "test", "train_nodev", "dev"):
        folder = tmp_path / "data" / name
        scores = read_scores(folder)
        assert scores.names() == set(data.read_table(folder / "utt2spk"))
        one = next(iter(scores.names()))
        assert scores.utterances[one]["prosodic"] == 7
        assert [w.scores["stress"] for w in scores.words[one]] == [5, 5]
        assert (canonical_phones(folder) or {})[one] == PHONES
    ran = run("validate", "-C", tmp_path)
    assert ran.code == 0, ran.out


def test_phones_as_one_string_and_scores_that_are_null(corpus: Path, tmp_path: Path, run) -> None:
    words = [{**word, "phones": " ".join(word["phones"])} for word in entry()["words"]]
    words[0].update({"stress": None, "phones-accuracy": [None, 2]})
    change(corpus, "000010001", entry(words=words, fluency=None))
    ran = run("prepare", "speechocean762", corpus, "-C", tmp_path)
    assert ran.code == 0, ran.err
    scores = read_scores(tmp_path / "data" / "train")
    assert "stress" not in scores.words["000010001"][0].scores
    assert "fluency" not in scores.utterances["000010001"]
    assert len(scores.values("phone_accuracy")) == 49
    assert (canonical_phones(tmp_path / "data" / "train") or {})["000010001"] == PHONES


def test_every_problem_is_listed(corpus: Path, tmp_path: Path, run) -> None:
    words = entry()["words"]
    change(corpus, "000010001", None)
    change(corpus, "000020001", entry(words=words[:1]))
    change(corpus, "000030001", entry(words=[words[0], {**words[1], "phones-accuracy": [2, 2]}]))
    change(corpus, "000040001", entry(accuracy=11, fluency=float("nan"), total="8"))
    odd = {**words[1], "phones": ["K", "XX", "L"]}
    change(corpus, "000050001", entry(words=[words[0], odd]))
    short = {**words[1], "phones": ["K", "AO1"], "phones-accuracy": [2, 2.5]}
    change(corpus, "000060001", entry(words=[words[0], short]))
    change(corpus, "000070001", entry(words="WE CALL"))
    change(corpus, "000080001", entry(words=[words[0], {**words[1], "phones": []}]))
    ran = run("prepare", "speechocean762", corpus, "-C", tmp_path)
    assert ran.code == 2
    for said in (
        "scores.json cannot be used: 12 problems.",
        "utterances without scores (1):", "    000010001\n",
        "000020001: 'WE' was scored, the text is 'WE CALL'",
        "000030001 word 1 'CALL': phones: 3, scores of them: 2",
        "000040001: the utterance accuracy 11 is outside 0 to 10",
        "000040001: the utterance fluency nan is outside 0 to 10",
        "000040001: the utterance total '8' is not a number",
        "000050001: XX",
        "000060001 word 1 'CALL': the phone accuracy 2.5 is outside 0 to 2",
        "000060001 word 1: K AO1 was scored, text-phone has K AO1 L",
        "000080001 word 1 'CALL': phones: 0, scores of them: 3",
        "000080001 word 1: it has no phones, other words have",
        "000070001: expected an object with a list of words",
        "--scores none",
    ):  # fmt: skip
        assert said in ran.err, (said, ran.err)
    assert not (tmp_path / "data").exists()
    assert run("prepare", "speechocean762", corpus, "-C", tmp_path, "--scores", "none").code == 0
    assert not list(tmp_path.glob("data/*/*_scores.tsv"))


def test_long_lists_end_with_a_count(corpus: Path, tmp_path: Path, run) -> None:
    for k in range(1, 12):
        change(corpus, f"0{k:04d}0001", entry(accuracy=-1, total=99))
    ran = run("prepare", "speechocean762", corpus, "-C", tmp_path)
    assert ran.code == 2 and "scores that are not in their range (22):" in ran.err
    assert ran.err.count("is outside 0 to 10") == 20 and "    and 2 more\n" in ran.err


def test_without_scores_json(corpus: Path, tmp_path: Path, run) -> None:
    file = corpus / "resource" / "scores.json"
    file.rename(tmp_path / "scores.json")
    ran = run("prepare", "speechocean762", corpus, "-C", tmp_path, "--scores", "require")
    assert ran.code == 2 and "scores.json does not exist" in ran.err
    ran = run("prepare", "speechocean762", corpus, "-C", tmp_path)
    assert ran.code == 0 and "the sets have no scores" in ran.err
    folder = tmp_path / "data" / "train"
    assert (canonical_phones(folder) or {})["000010001"] == PHONES
    assert read_scores(folder).aspects() == () and not (folder / "word_scores.tsv").exists()
    (tmp_path / "scores.json").rename(file)  # now it is there: the sets are made again
    ran = run("prepare", "speechocean762", corpus, "-C", tmp_path)
    assert ran.code == 0 and (folder / "word_scores.tsv").exists()
    file.write_text("[1]")
    ran = run("prepare", "speechocean762", corpus, "-C", tmp_path)
    assert ran.code == 2 and "a JSON object" in ran.err


def test_other_phones_in_text_phone_are_said(corpus: Path, tmp_path: Path, run) -> None:
    file = corpus / "resource" / "text-phone"
    file.write_text(file.read_text().replace("AO1_I", "AA1_I"))
    ran = run("prepare", "speechocean762", corpus, "-C", tmp_path)
    assert ran.code == 0 and "other phones than were scored in 12 words" in ran.err


def test_dev_share_and_seed(corpus: Path, tmp_path: Path, run) -> None:
    def dev(*arguments: object) -> set[str]:
        command = ("prepare", "speechocean762", corpus, "-C", tmp_path, *arguments)
        ran = run(*command)
        assert ran.code == 0, ran.err
        return set(data.read_table(tmp_path / "data" / "dev" / "spk2utt"))

    first = dev()
    again = run("prepare", "speechocean762", corpus, "-C", tmp_path, "--seed", 1)
    assert again.code == 2 and "was made with other parameters (seed" in again.err
    drawn = {frozenset(dev("--seed", seed, "--force")) for seed in range(4)}
    assert len(drawn) > 1 and frozenset(first) in drawn
    assert len(dev("--dev-share", 0.5, "--force")) == 5
    for share, said in ((0.02, "are too few"), (1, "is out of range"), (-1, "is out of range")):
        command = ("prepare", "speechocean762", corpus, "-C", tmp_path, "--dev-share", share)
        ran = run(*command)
        assert ran.code == 2 and said in ran.err, ran.err


def test_skipped_audio_takes_its_scores_along(corpus: Path, tmp_path: Path, run) -> None:
    next(corpus.glob("WAVE/SPEAKER0003/*.flac")).write_bytes(b"")
    command = ("prepare", "speechocean762", corpus, "-C", tmp_path, "--on-error", "skip")
    assert run(*command).code == 0
    scores = read_scores(tmp_path / "data" / "train")
    assert len(scores.names()) == 9 and "000030001" not in scores.names()
