"""make-miscues: sets of changed texts, and the kinds of a test."""

from __future__ import annotations

import json

import pytest
from worded_sets import PHONES, SENTENCES, make_worded

from speechkit.base.errors import UserError
from speechkit.kaldi import data
from speechkit.labels.miscues import INSERTION, read_miscues, statuses
from speechkit.labels.phones import pure
from speechkit.labels.score_files import read_scores
from speechkit.labels.scores import default_scales
from speechkit.pronunciation import miscues
from speechkit.pronunciation.config import MiscueConfig
from speechkit.pronunciation.miscues import TESTS
from speechkit.workdir import WorkDir


def by_test(found) -> dict[str, list[str]]:
    """Kind of text -> its utterances."""
    kinds: dict[str, list[str]] = {}
    for utterance, lines in found.items():
        kinds.setdefault(lines[0].test, []).append(utterance)
    return kinds


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    path = tmp_path_factory.mktemp("miscues")
    make_worded(path, "train", copies=3, spk2gender={"s0": "f"}, spk2age={"s0": "7", "s1": "9"})
    return path


@pytest.fixture(scope="module")
def tested(root):
    return miscues.make(WorkDir(root), MiscueConfig("train", test=True), "test")


def test_each_kind_of_test_has_one_kind_of_miscue(tested) -> None:
    found, scores = read_miscues(tested), read_scores(tested)
    kinds = by_test(found)
    assert set(kinds) == set(TESTS)
    wanted = {"near": [1], "far": [1], "omission": [2], "appended": [2, 2, 2], "insertion": []}
    for kind, names in kinds.items():
        assert len(names) <= TESTS[kind] and len({found[n][0].source for n in names}) == len(names)
        for name in names:
            words = len(scores.words[name])
            said = statuses(words, found[name])
            missed = [status for status in said if status]
            if kind in wanted:
                assert missed == wanted[kind]
            if kind == "text":
                assert missed == [1] * words
            if kind == "third":
                assert 0.2 <= len(missed) / words <= 0.4 and set(missed) <= {1, 2}
            if kind == "appended":
                assert said[-3:] == [2, 2, 2]
            if kind == "insertion":
                (line,) = found[name]
                assert line.status == INSERTION and line.said in PHONES
            if kind in ("near", "far"):
                (line,) = found[name]
                assert (line.distance <= 2) == (kind == "near") and line.distance > 0
                sizes = [len(PHONES[word].split()) for word in (line.word, line.said)]
                assert abs(sizes[0] - sizes[1]) <= 1


def test_recordings_speakers_and_scores_stay(root, tested) -> None:
    source = {u.id: u for u in data.load(root / "data/train", root).utterances}
    made, given = data.load(tested, root), read_scores(root / "data/train")
    found, scores = read_miscues(tested), read_scores(tested)
    assert made.gender == {"s0": "f"} and made.age == {"s0": "7", "s1": "9"}
    assert set(made.durations.values()) == {1.5}
    assert not scores.utterances
    for utterance in made.utterances:
        lines = found[utterance.id]
        own = source[lines[0].source]
        assert (utterance.wav, utterance.speaker) == (own.wav, own.speaker)
        words = scores.words[utterance.id]
        assert made.text[utterance.id] == " ".join(word.word for word in words)
        said = statuses(len(words), lines)
        phones: list[list] = [[] for _ in words]
        for phone in scores.phones[utterance.id]:
            phones[phone.word_index].append(phone)
        kept = [w for w, status in zip(words, said, strict=True) if status == 0]
        missing = [line.said for line in lines if line.status != "omission" and line.said]
        if lines[0].test != "text":
            whole = given.words[own.id]
            assert sorted([w.word for w in kept] + missing) == sorted(w.word for w in whole)
            assert all(word in whole for word in kept)
        for word, own_phones, status in zip(words, phones, said, strict=True):
            assert [pure(p.phone) for p in own_phones] == [
                pure(p) for p in PHONES[word.word].split()
            ]
            if status:
                assert word.scores == {"accuracy": 0.0, "total": 0.0}
            if status == 2:
                assert {p.accuracy for p in own_phones} == {0.0}


def test_the_largest_number_of_miscues(root) -> None:
    made = {}
    for most in (1, 4):
        made[most] = miscues.make(WorkDir(root), MiscueConfig("train", most=most), f"most{most}")
        params = json.loads((made[most] / "manifest.json").read_text())["params"]
        assert params.get("most") == (1 if most == 1 else None)  # as sets of before
    found = {most: list(read_miscues(path).values()) for most, path in made.items()}
    for lines in found[1]:
        kinds = [line.status for line in lines]
        at = [line.index for line in lines]
        whole = not any(line.said for line in lines) and set(kinds) == {"substitution"}
        appended = set(kinds) == {"omission"} and at == list(range(at[0], at[0] + len(at)))
        assert len(lines) == 1 or whole or appended
    assert any(len({line.status for line in lines}) > 1 for lines in found[4])
    with pytest.raises(UserError, match="most"):
        MiscueConfig("train", most=5)


def test_mixtures_are_drawn_by_the_seed(root) -> None:
    work = WorkDir(root)
    folders = [
        miscues.make(work, MiscueConfig("train", texts=4, seed=seed), name)
        for seed, name in ((3, "a"), (3, "b"), (4, "c"))
    ]
    names = ("miscues.tsv", "text", "phone_scores.tsv", "word_scores.tsv", "wav.scp")
    a, b, c = ({n: (folder / n).read_bytes() for n in names} for folder in folders)
    assert a == b and a["miscues.tsv"] != c["miscues.tsv"]
    found = read_miscues(folders[0])
    assert 0.8 * 4 * 30 < len(found) <= 4 * 30
    assert {line.status for lines in found.values() for line in lines} == {
        "substitution", "omission", "insertion",
    }  # fmt: skip
    counts = dict(miscues.summary(folders[0]))
    assert counts["omission"] == sum(x.status == "omission" for v in found.values() for x in v)


def test_other_scales_and_segments(tmp_path) -> None:
    scales = {level: dict.fromkeys(of, (-1.0, 12.0)) for level, of in default_scales().items()}
    make_worded(tmp_path, "own", scales=scales, segments=True)
    folder = miscues.make(WorkDir(tmp_path), MiscueConfig("own", test=True))
    made, scores = data.load(folder, tmp_path), read_scores(folder)
    assert {(u.start, u.end) for u in made.utterances} == {(0.5, None)}
    assert scores.scales["word"]["accuracy"] == (-1.0, 12.0)
    assert min(w.scores["accuracy"] for words in scores.words.values() for w in words) == -1
    assert min(p.accuracy for phones in scores.phones.values() for p in phones) == -1


def test_words_of_another_set(root, tmp_path) -> None:
    make_worded(tmp_path, "test", ["WE CALL IT", "BEAR"], copies=4)
    make_worded(tmp_path, "train", ["AT CARE BEER GREEN"])
    folder = miscues.make(WorkDir(tmp_path), MiscueConfig("test", words="train", test=True))
    lines = [line for lines in read_miscues(folder).values() for line in lines]
    put_in = {x.word for x in lines if x.word and x.test != "text"}
    assert put_in and put_in <= {"AT", "CARE", "BEER", "GREEN"}
    kinds = by_test(read_miscues(folder))
    assert {x.said for x in lines if x.test == "near"} >= {"BEAR"}  # a text of one word
    assert "third" in kinds and all(
        line.source != "s1-u001" for line in lines if line.test in ("third", "insertion")
    )


def test_what_it_makes_is_valid_and_broken_tables_are_found(root, tested, run) -> None:
    done = run("validate", "-C", root, "--set", tested.name, "--no-audio", "--json")
    (report,) = json.loads(done.out)
    assert {p["kind"] for p in report["problems"]} <= {"no-gender"}, report["problems"]
    copy = root / "data" / "broken"
    copy.mkdir()
    for path in tested.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    with (copy / "miscues.tsv").open("a") as file:
        file.write("s0-u000-near1\ts0-u000\tnear\t99\tAT\tsubstitution\tIT\t1\n")
    done = run("validate", "-C", root, "--set", "broken", "--no-audio")
    assert done.code == 2 and "a miscue of word 99 of" in done.out


def test_sets_that_cannot_be_changed(root, tested, tmp_path, run) -> None:
    done = run("make-miscues", "-C", root, "--set", tested.name)
    assert done.code == 2 and "changed texts already" in done.err
    for name, texts in (("one", ["CALL CALL", "CALL"]), ("two", ["EYE LONGER"])):
        make_worded(tmp_path, name, texts)
    done = run("make-miscues", "-C", tmp_path, "--set", "one", "--test")
    assert done.code == 2 and "too few different words" in done.err and "--words" in done.err
    assert not (tmp_path / "data/one_miscues").exists()
    kinds = by_test(read_miscues(miscues.make(WorkDir(tmp_path), MiscueConfig("two", test=True))))
    assert set(kinds) == {"omission", "appended", "insertion"}  # no word of like length
    for name in ("word_scores.tsv", "phone_scores.tsv"):
        make_worded(tmp_path, f"no_{name[:4]}")
        (tmp_path / "data" / f"no_{name[:4]}" / name).unlink()
        with pytest.raises(UserError, match="no utterance with scores of words and phones"):
            miscues.make(WorkDir(tmp_path), MiscueConfig(f"no_{name[:4]}"))
    data.write(tmp_path / "data/two", {"u": "u.wav"}, {"u": "s"})
    for path in (tmp_path / "data/two").glob("*score*"):
        path.unlink()
    done = run("make-miscues", "-C", tmp_path, "--set", "two", "--name", "again")
    assert done.code == 2 and "has no scores" in done.err


def test_the_command(root, run, tmp_path) -> None:
    arguments = ("make-miscues", "-C", root, "--texts", 1, "--name", "cli")
    done = run(*arguments, "--json")
    assert done.code == 0, done.err
    rows = json.loads(done.out)
    assert [row["status"] for row in rows] == ["substitution", "omission", "insertion"]
    again = run(*arguments)
    assert again.code == 0 and "up to date" in again.err
    other = run(*arguments, "--seed", 1)
    assert other.code == 2 and "other parameters" in other.err
    assert len(SENTENCES) * 3 >= sum(1 for _ in (root / "data/train_miscues-cli/text").open())
