"""Splits: who is in which part, genders, class shares, leaks, and what cannot be split."""

import json
import re
from collections import Counter
from dataclasses import replace

import pytest
from acted_speech import labelled, make_ravdess

from speechkit.base.errors import UserError
from speechkit.labels import emotions as data
from speechkit.labels import splits
from speechkit.labels.folds import Fold, FoldsConfig
from speechkit.labels.splits import Split, check_fits, ensure_split, make_split, path_of, read_split
from speechkit.workdir import WorkDir


def speakers(dataset, ids):
    return {dataset.speaker(name) for name in ids}


def without(dataset, *names):
    kept = [u for u in dataset.data.utterances if u.id not in names]
    labels = {u.id: dataset.labels[u.id] for u in kept}
    return replace(
        dataset,
        data=replace(dataset.data, utterances=kept),
        labels=labels,
        classes=data.class_order(labels.values()),
    )


@pytest.mark.parametrize(("actors", "folds"), [(24, 6), (16, 4), (26, 6), (8, 2)])
def test_speaker_folds(actors, folds):
    dataset = labelled(actors)
    split = make_split(dataset, FoldsConfig("speaker-folds"))
    assert len(split.folds) == folds and not split.leaks_speakers
    tested = [name for fold in split.folds for name in fold.test]
    assert sorted(tested) == sorted(dataset.labels)  # every clip is tested once
    for fold in split.folds:
        parts = [speakers(dataset, ids) for ids in (fold.train, fold.valid, fold.test)]
        assert sum(map(len, parts)) == len(set.union(*parts)) == actors
        assert parts[1] == set(fold.valid_speakers) and parts[2] == set(fold.test_speakers)
        assert Counter(dataset.data.gender[s] for s in parts[1]) == {"m": 1, "f": 1}
        genders = Counter(dataset.data.gender[s] for s in parts[2])
        assert abs(genders["m"] - genders["f"]) <= (0 if actors % 8 == 0 else 1)
        assert set(map(dataset.labels.get, fold.train)) == set(dataset.classes)
    valid = [set(fold.valid_speakers) for fold in split.folds]
    assert all(a.isdisjoint(b) for a in valid for b in valid if a is not b)


def test_the_seed_decides_and_nothing_else():
    dataset = labelled(16)
    one, again, other = (
        make_split(dataset, FoldsConfig("speaker-folds", seed=seed)) for seed in (0, 0, 1)
    )
    assert one == again and one.folds != other.folds


@pytest.mark.parametrize(("size", "count"), [(1, 8), (2, 4), (3, 3)])
def test_fold_size(size, count):
    split = make_split(labelled(8), FoldsConfig("speaker-folds", fold_size=size))
    assert len(split.folds) == count


def test_random_80_20_has_the_papers_supports():
    dataset = labelled(24)
    split = make_split(dataset, FoldsConfig("random-80-20", folds=5))
    assert split.leaks_speakers
    assert sorted(n for fold in split.folds for n in fold.test) == sorted(dataset.labels)
    for fold in split.folds:
        assert len(fold.test) == 288 and len(fold.train) + len(fold.valid) == 1152
        support = Counter(map(dataset.labels.get, fold.test))
        assert support.pop("neutral") in (19, 20) and set(support.values()) <= {38, 39}
        assert set(fold.train).isdisjoint(fold.valid) and 115 <= len(fold.valid) <= 116
        assert speakers(dataset, fold.test) == speakers(dataset, fold.train)
    assert len(make_split(dataset, FoldsConfig("random-80-20")).folds) == 1


def test_the_papers_division():
    """1,152 and 288 clips, class by class as in the figures; another seed takes other clips."""
    from speechkit.emotion import paper

    dataset = labelled(24)
    split = make_split(dataset, FoldsConfig("paper"))
    (fold,) = split.folds
    assert (len(fold.train), len(fold.test)) == (1152, 288) and fold.valid == fold.test
    assert sorted((*fold.train, *fold.test)) == sorted(dataset.labels)
    support = Counter(map(dataset.labels.get, fold.test))
    assert tuple(support[name] for name in paper.CLASSES) == paper.SUPPORT
    assert split.leaks_speakers and split.chosen_on_test
    other = make_split(dataset, FoldsConfig("paper", seed=1)).folds[0]
    assert other.test != fold.test and Counter(map(dataset.labels.get, other.test)) == support
    leak = splits.leak_check(split, dataset)[0]
    assert leak.sizes == (1152, 288, 288) and len(leak.speakers) == 24


def test_a_small_set_divided_as_in_the_paper():
    dataset = labelled(3, ("happy", "sad"))
    fold = make_split(dataset, FoldsConfig("paper")).folds[0]
    assert Counter(map(dataset.labels.get, fold.test)) == {"happy": 5, "sad": 4}
    changed = replace(make_split(dataset, FoldsConfig("paper")), folds=(replace(fold, valid=()),))
    with pytest.raises(UserError, match="not those that validate"):
        check_fits(changed, dataset)


def test_speaker_80_20():
    dataset = labelled(20)
    (fold,) = make_split(dataset, FoldsConfig("speaker-80-20")).folds
    assert Counter(dataset.data.gender[s] for s in fold.test_speakers) == {"m": 2, "f": 2}
    assert speakers(dataset, fold.test).isdisjoint(speakers(dataset, (*fold.train, *fold.valid)))


def test_statement():
    dataset = labelled(6)
    split = make_split(dataset, FoldsConfig("statement"))
    assert split.leaks_speakers and len(split.folds) == 2
    for fold, sentence in zip(split.folds, ("dogs", "kids"), strict=True):
        assert {dataset.statements[n] for n in fold.test} == {sentence}
        assert sentence not in {dataset.statements[n] for n in (*fold.train, *fold.valid)}
        assert speakers(dataset, fold.train).isdisjoint(fold.valid_speakers)
    assert all(not leak.sentences for leak in splits.leak_check(split, dataset))


def test_unknown_genders_are_a_group_of_their_own():
    dataset = labelled(8)
    plain = replace(dataset, data=replace(dataset.data, gender={}))
    assert len(make_split(plain, FoldsConfig("speaker-folds")).folds) == 2


def test_leaks(caplog):
    dataset = labelled(8)
    ids = list(dataset.labels)
    fold = Fold(tuple(ids[:100]), tuple(ids[100:120]), tuple(ids[120:]))
    split = Split("by-hand", "random-80-20", 0, True, (fold,), {}, ((ids[0], ids[1], ids[200]),))
    (leak,) = splits.leak_check(split, dataset)
    assert leak.speakers == () and leak.sentences == ("dogs", "kids")
    assert leak.identical == ((ids[0], ids[200]), (ids[1], ids[200]))
    random = make_split(dataset, FoldsConfig("random-80-20"))
    (leak,) = splits.leak_check(random, dataset)
    assert len(leak.speakers) == 8 and leak.row()[6:] == [8, 2, 0]


@pytest.mark.parametrize("kind", ["speaker-folds", "random-80-20", "statement"])
def test_a_class_with_a_single_clip(kind):
    dataset = labelled(8)
    one = next(n for n, label in dataset.labels.items() if label == "calm")
    rest = [n for n, label in dataset.labels.items() if label == "calm" and n != one]
    with pytest.raises(UserError, match=f"'calm' .* has a single clip \\({one}\\)"):
        make_split(without(dataset, *rest), FoldsConfig(kind))


def test_a_fold_without_a_class_to_train_on():
    dataset = labelled(8)
    keep = {"actor01", "actor03"}
    split = make_split(dataset, FoldsConfig("speaker-folds"))
    number = next(i for i, fold in enumerate(split.folds) if "actor01" in fold.test_speakers)
    if "actor03" not in split.folds[number].test_speakers:
        keep = set(split.folds[number].test_speakers)
    gone = [
        n for n, label in dataset.labels.items()
        if label == "sad" and dataset.speaker(n) not in keep
    ]  # fmt: skip
    with pytest.raises(UserError, match="no clip of the class 'sad' is left to train on"):
        make_split(without(dataset, *gone), FoldsConfig("speaker-folds"))


def test_a_test_part_without_a_class_is_said(run, tmp_path, capsys):
    dataset = labelled(8)
    split = make_split(dataset, FoldsConfig("speaker-folds"))
    tested = set(split.folds[0].test)
    gone = [n for n, label in dataset.labels.items() if label == "sad" and n in tested]
    smaller = without(dataset, *gone)
    folds = tuple(
        replace(f, **{p: tuple(n for n in getattr(f, p) if n not in gone)
                      for p in ("train", "valid", "test")})
        for f in split.folds
    )  # fmt: skip
    from speechkit.base import log

    log.setup()
    check_fits(replace(split, folds=folds[:1]), smaller)
    assert "test has no clip of sad" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("actors", "settings", "said"),
    [
        (4, {"kind": "speaker-folds"}, "4 speakers, too few for two folds of 4"),
        (2, {"kind": "speaker-folds", "fold_size": 1}, "too few to train, validate and test"),
        (4, {"kind": "speaker-80-20"}, "too few to train, validate and test 5 parts"),
        (4, {"kind": "speaker-folds", "fold_size": 2}, "would lose all of them"),
    ],
)
def test_too_few_speakers(actors, settings, said):
    with pytest.raises(UserError, match=said):
        make_split(labelled(actors), FoldsConfig(**settings))


@pytest.mark.parametrize(
    "settings",
    [{"kind": "by-moon"}, {"fold_size": 0}, {"folds": 6}, {"valid_share": 0.9}, {"seed": -1}],
)
def test_settings_out_of_range(settings):
    with pytest.raises(UserError):
        FoldsConfig(**settings)


def test_statements_are_needed_and_few():
    dataset = labelled(6)
    with pytest.raises(UserError, match="has no statement of"):
        make_split(replace(dataset, statements={}), FoldsConfig("statement"))
    many = {name: name for name in dataset.labels}
    with pytest.raises(UserError, match="different sentences"):
        make_split(replace(dataset, statements=many), FoldsConfig("statement"))


@pytest.fixture
def work(run, tmp_path):
    make_ravdess(tmp_path, actors=4)
    assert run("prepare", "ravdess", tmp_path / "ravdess", "-C", tmp_path).code == 0
    return tmp_path


SMALL = ("--fold-size", 1, "--valid-speakers", 1)


def test_made_once_and_recorded(run, work):
    done = run("split-folds", "-C", work, *SMALL, "--json")
    assert done.code == 0, done.err
    rows = json.loads(done.out)
    assert len(rows) == 4 and rows[0]["speakers in both"] == 0 and rows[0]["test"] == 6
    path = work / "data/ravdess/splits/speaker-folds.json"
    assert done.err.count(": 4 folds.") == 1 and ": 2 sentences are both" in done.err
    before = path.read_bytes()
    assert run("split-folds", "-C", work, *SMALL).code == 0 and path.read_bytes() == before
    done = run("split-folds", "-C", work, *SMALL, "--split-seed", 1)
    assert done.code == 2 and "seed: 0 there, 1 now" in " ".join(done.err.split())
    assert run("split-folds", "-C", work, *SMALL, "--split-seed", 1, "--split-name", "b").code == 0
    assert run("split-folds", "-C", work, *SMALL, "--split-seed", 1, "--force").code == 0
    assert path.read_bytes() != before


def test_leaking_speakers_are_warned_of(run, work):
    done = run("split-folds", "-C", work, "--split", "random-80-20", "--valid-share", 0.2)
    assert done.code == 0 and "LEAKS SPEAKERS: 2" in done.err and ": 1 fold." in done.err
    assert "LEAKS" not in run("split-folds", "-C", work, *SMALL).err


def test_identical_audio_across_parts(run, work):
    corpus = work / "ravdess"
    names = [f"Actor_01/03-01-0{e}-01-0{s}-01-01.wav" for e in (1, 2, 3) for s in (1, 2)]
    for name in names[1:]:
        (corpus / name).write_bytes((corpus / names[0]).read_bytes())
    flags = ("-C", work, "--split", "random-80-20", "--valid-share", 0.2, "--folds", 5)
    done = run("split-folds", *flags)
    assert done.code == 0 and "whose very audio it trains on" in done.err


def test_reading_what_is_no_split(work):
    dataset = data.load(WorkDir(work), "ravdess")
    folder = dataset.data.path
    with pytest.raises(UserError, match=r"has no split 'other'. It has none yet"):
        read_split(folder, "other")
    settings = FoldsConfig("speaker-folds", fold_size=1, valid_speakers=1)
    made = ensure_split(dataset, settings)
    assert read_split(folder, "speaker-folds") == made
    with pytest.raises(UserError, match="has no fold 4"):
        made.fold(4)
    path = path_of(folder, "broken")
    for text in ("{", "[]", '{"folds": []}', json.dumps({"name": "x", "folds": [{"train": 1}]})):
        path.write_text(text)
        with pytest.raises(UserError, match=re.escape(str(path))) as error:
            read_split(folder, "broken")
        assert "speechkit split-folds" in error.value.remedy


def test_a_split_of_another_set():
    dataset = labelled(8)
    split = make_split(dataset, FoldsConfig("speaker-folds"))
    with pytest.raises(UserError, match="is not in the set"):
        check_fits(split, without(dataset, split.folds[0].test[0]))
    fold = split.folds[0]
    twice = replace(split, folds=(replace(fold, valid=(*fold.valid, fold.test[0])),))
    with pytest.raises(UserError, match="in two parts"):
        check_fits(twice, dataset)
    empty = replace(split, folds=(replace(fold, valid=()),))
    with pytest.raises(UserError, match="'valid' is empty"):
        check_fits(empty, dataset)


def test_labels_that_are_missing(run, workdir):
    done = run("split-folds", "-C", workdir, "--set", "train")
    assert done.code == 2 and "has no labels" in done.err and "prepare ravdess" in done.err
    table = workdir / "data/train/utt2emotion"
    table.write_text("s0-u0 happy\n")
    done = run("split-folds", "-C", workdir, "--set", "train")
    assert done.code == 2 and "lacks 11 of 12 utterances" in done.err
    table.write_text("".join(f"s{k}-u{j} happy\n" for k in range(4) for j in range(3)))
    done = run("split-folds", "-C", workdir, "--set", "train")
    assert done.code == 2 and "one class only" in done.err


def test_class_order():
    assert data.class_order(["sad", "neutral"]) == ("neutral", "sad")
    assert data.class_order(["sad", "bored"]) == ("bored", "sad")
