"""`predict pronunciation` with a CTC model alone: posteriors of phones."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from conftest import voice
from deep_models import make_ctc
from hub_cache import cached_folder

import speechkit
from speechkit.acoustic.ctc.model import load_ctc
from speechkit.labels.phones import ARPABET

PHONES = ["K", "AA", "T", "B", "IY"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, a lexicon and a recording."""
    folder = tmp_path_factory.mktemp("ctc_alone")
    make_ctc(folder / "model")
    (folder / "lexicon.txt").write_text("CAT K AA T\nBEE B IY\n")
    soundfile.write(folder / "a.wav", voice(150, 0.5), 16000, subtype="FLOAT")
    return folder


def words_for(made: Path, model: str) -> list[object]:
    words = ["predict", "pronunciation", made / "a.wav", "--text", "cat bee", "--model", model]
    return [*words, "--lexicon", made / "lexicon.txt", "--device", "cpu"]


def by_hand(made: Path) -> np.ndarray:
    """The softmax over torch's CTC likelihoods of the text with each other phone, or none, in the
    place of each phone: that of the phone itself ``[5]``."""
    model = load_ctc(str(made / "model"))
    logs = model.evidence(soundfile.read(made / "a.wav", dtype="float32")[0]).log_posteriors
    column = {label: number for number, label in enumerate(model.labels)}

    def likelihood(phones: list[str]) -> float:
        given = torch.tensor([[column[phone] for phone in phones]])
        loss = torch.nn.functional.ctc_loss(
            torch.as_tensor(logs).double()[:, None], given, [len(logs)], [len(phones)],
            reduction="none",
        )  # fmt: skip
        return -float(loss)

    found = []
    for place, own in enumerate(PHONES):
        before, after = PHONES[:place], PHONES[place + 1 :]
        others = [likelihood([*before, other, *after]) for other in ARPABET if other != own]
        every = np.array([likelihood(PHONES), likelihood([*before, *after]), *others])
        found.append(np.exp(every[0] - np.logaddexp.reduce(every)))
    return np.array(found)


def test_scores_are_the_posteriors_by_hand(made: Path, run) -> None:
    done = run(*words_for(made, made / "model"), "--json")
    assert done.code == 0, done.err
    (found,) = json.loads(done.out)
    wanted = by_hand(made)
    phones = [phone for word in found["words"] for phone in word["phones"]]
    assert [phone["phone"] for phone in phones] == PHONES
    rounded = [phone["posterior"] for phone in phones]
    assert rounded == pytest.approx(wanted, abs=0.00501)  # in JSON two decimals
    samples, rate = soundfile.read(made / "a.wav", dtype="float32")
    model = speechkit.load("pronunciation", made / "model", lexicon=made / "lexicon.txt")
    exact = model.score(samples, rate, "cat bee")
    given = [phone.scores["posterior"] for word in exact.words for phone in word.phones]
    assert given == pytest.approx(wanted, rel=1e-3)
    of_words = [word.scores["posterior"] for word in exact.words]
    assert of_words == pytest.approx([wanted[:3].mean(), wanted[3:].mean()], rel=1e-3)
    assert exact.utterance == {"posterior": pytest.approx(wanted.mean(), rel=1e-3)}
    assert found["scales"] == {k: {"posterior": [0, 1]} for k in ("utterance", "word", "phone")}
    assert all(phone["suspect"] == ("heard" in phone) for phone in phones)
    assert any(phone["suspect"] for phone in phones)  # of a random model


def test_it_is_shown_and_saved(made: Path, run, tmp_path: Path) -> None:
    shown = run(*words_for(made, made / "model"), "--save", tmp_path / "s.csv")
    assert shown.code == 0 and "posterior 0." in shown.out and "phones 0 to 1" in shown.out
    with (tmp_path / "s.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["level"] for row in rows].count("phone") == 5 and rows[-1]["posterior"]
    assert run(*words_for(made, made / "model"), "--save", tmp_path / "s.TextGrid").code == 0
    assert 'name = "phone scores"' in (tmp_path / "s.TextGrid").read_text()


def test_from_the_hub(made: Path, run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_ctc(cached_folder(tmp_path, "somebody/phones", monkeypatch))
    done = run(*words_for(made, "hf:somebody/phones"), "--json")
    assert done.code == 0, done.err
    (found,) = json.loads(done.out)
    assert found["utterance"] == {"posterior": pytest.approx(by_hand(made).mean(), abs=0.00501)}


def test_a_model_that_writes_letters_is_refused(made: Path, run, tmp_path: Path) -> None:
    make_ctc(tmp_path / "letters")
    table = {"<pad>": 0} | {f"{chr(97 + n // 26)}{chr(97 + n % 26)}": n + 1 for n in range(39)}
    (tmp_path / "letters" / "vocab.json").write_text(json.dumps(table))
    done = run(*words_for(made, tmp_path / "letters"))
    assert done.code == 2 and "map" in done.err and "Traceback" not in done.err


def test_scoring_takes_no_such_model(made: Path, run) -> None:
    done = run("predict", "scoring", made / "a.wav", "--text", "cat", "--model", made / "model")
    assert done.code == 2 and "gives no scores" in done.err and "extract-gop" in done.err
