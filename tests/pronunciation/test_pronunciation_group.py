"""Statuses of training words by models that have not met their speakers."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
from pronunciation_sets import make_changed, make_scored

from speechkit.base.errors import UserError
from speechkit.phone_features import dataset
from speechkit.phone_features.scored_set import joined
from speechkit.pronunciation import model_folder
from speechkit.pronunciation import train as training
from speechkit.pronunciation.config import PronunciationConfig
from speechkit.pronunciation.data import Windows
from speechkit.pronunciation.group import FOLDS, Group, HeldOut
from speechkit.pronunciation.loss import MultiAspectMSE
from speechkit.pronunciation.models import SetScorer
from speechkit.training import normaliser as normalise
from speechkit.workdir import WorkDir

SMALL = {"epochs": 6, "batch_size": 5, "width": 8, "depth": 1, "warm_up": 4, "halve_from": 0}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    path = tmp_path_factory.mktemp("held")
    make_scored(path, "train", utterances=40, speakers=8)
    make_changed(path, "train", texts=3)
    return path


@pytest.fixture(scope="module")
def held(root):
    work, config = WorkDir(root), PronunciationConfig(**SMALL, negatives=0.4)
    found, changed = (dataset.load(work, name, ("",)) for name in ("train", "train_miscues"))
    norm = normalise.fit(found.features, found.phone_ids, "column", 40)
    shape = config.network(6)
    return HeldOut(
        found,
        joined(found, changed),
        lambda part: Windows(part, norm, shape),
        lambda part, said, seed: Group(
            config, part, MultiAspectMSE(), {}, [seed], torch.device("cpu"), said
        ),
    )


def test_nobody_is_scored_by_a_model_that_met_them(held) -> None:
    assert len(held.groups) == FOLDS
    met = [set(group.windows.data.speakers) for group in held.groups]
    for name in set(held.found.speakers):
        assert sum(name not in speakers for speakers in met) == 1
    # Changed texts of a speaker stay with the speaker.
    assert all(len(group.windows.data.speakers) > group.said for group in held.groups)


def test_words_in_the_order_of_the_set(held) -> None:
    """As if each utterance were scored alone by its model."""
    for group in held.groups:
        group.advance(1, threading.Event())
    statuses = held.statuses()
    assert statuses.shape == (len(held.found.texts), 3)
    assert statuses.sum(1) == pytest.approx(np.ones(len(statuses)))
    utterance = 17
    first, last = held.found.first_word[utterance : utterance + 2]
    speaker = held.found.speakers[utterance]
    (group,) = [g for g in held.groups if speaker not in g.windows.data.speakers]
    alone = held.windows(held.found.part([utterance]))
    scored = SetScorer(alone, 1).score(group.net.eval())[1]
    assert statuses[first:last] == pytest.approx(scored[0], abs=1e-6)


def test_training_from_miscues_stores_thresholds_and_goes_on_after_a_stop(
    root, monkeypatch
) -> None:
    work, config = WorkDir(root), PronunciationConfig(**SMALL, negatives=0.4)
    folders = training.train(work, "whole", config, [0, 1], device="cpu")
    cards = [model_folder.read_card(folder) for folder in folders]
    assert cards[0]["calibration"] == cards[1]["calibration"]
    assert 0 <= cards[0]["calibration"]["zero"] <= 1

    whole, count = Group.advance, []

    def stopped(self, epochs, stop):
        count.append(1)
        if len(count) == 5:
            raise KeyboardInterrupt
        return whole(self, epochs, stop)

    monkeypatch.setattr(Group, "advance", stopped)
    with pytest.raises(KeyboardInterrupt):
        training.train(work, "stopped", config, [0, 1], device="cpu")
    monkeypatch.setattr(Group, "advance", whole)
    again = training.train(work, "stopped", config, [0, 1], device="cpu")
    for one, other in zip(folders, again, strict=True):
        for name in ("model.safetensors", "config.yaml"):
            assert (one / name).read_bytes() == (other / name).read_bytes()


def test_words_that_were_not_said_are_told(root) -> None:
    """Features of the made set show the quality of each phone: 0 where it was not said."""
    work, config = WorkDir(root), PronunciationConfig(**{**SMALL, "epochs": 60}, negatives=0.4)
    folder = training.train(work, "told", config, [0], device="cpu")[0]
    assessor = model_folder.load([folder])
    changed = dataset.load(work, "train_miscues", ("",))
    found = assessor.predict(changed)
    said, unsaid = (found.statuses[0, changed.statuses == k, 0] for k in (0, 2))
    assert said.mean() > 0.7 > 0.5 > unsaid.mean()
    accuracy = found.scores["word_accuracy"][0]
    assert np.all(accuracy <= np.maximum(found.raw["word_accuracy"][0], 0) + 1e-9)


def test_without_changed_texts_there_is_nothing_to_learn_from(tmp_path) -> None:
    make_scored(tmp_path, "train", utterances=8)
    config = PronunciationConfig(**SMALL, negatives=0.4)
    with pytest.raises(UserError, match="train_miscues"):
        training.train(WorkDir(tmp_path), "none", config, [0], device="cpu")
