"""Posteriors from Kaldi archives as an acoustic model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from speechkit.acoustic.align.alignment import align
from speechkit.acoustic.interface import PhoneInContext
from speechkit.acoustic.models import load_model
from speechkit.base.errors import DataError, UserError
from speechkit.kaldi.ark import ArkWriter
from speechkit.phone_features.pipeline import FeaturePipeline
from speechkit.phone_features.settings import FeatureSettings

LABELS = ["SIL", "AA0_B", "AA1_E", "K_B", "T_E", "NSN"]


def write(folder: Path, entries: dict[str, np.ndarray], labels: list[str] = LABELS) -> str:
    with ArkWriter(folder / "post.ark", folder / "post.scp") as ark:
        for key, value in entries.items():
            ark.write(key, value.astype(np.float32))
    (folder / "labels.txt").write_text("\n".join(labels) + "\n")
    return f"posteriors:{folder / 'post.scp'}"


def posteriors(order: str, frames: int = 8, labels: list[str] = LABELS) -> np.ndarray:
    """Each of the labels (by number) for some frames, at 0.9."""
    rows = np.full((len(order) * frames, len(labels)), 0.1 / (len(labels) - 1))
    for place, number in enumerate(order):
        rows[place * frames : (place + 1) * frames, int(number)] = 0.9
    return rows


def audio_of(rows: np.ndarray, shift: float = 0.01) -> np.ndarray:
    return np.zeros(round(len(rows) * shift * 16000), dtype=np.float32)


def test_columns_of_one_phone_are_summed(tmp_path):
    rows = posteriors("03140")
    model = load_model(write(tmp_path, {"u1": rows})).for_utterance("u1")
    evidence = model.evidence(audio_of(rows))
    assert model.labels == ("SIL", "SPN", "AA", "K", "T")
    expected = np.stack([rows[:, 0], rows[:, 5], rows[:, 1] + rows[:, 2], rows[:, 3], rows[:, 4]])
    np.testing.assert_allclose(evidence.log_posteriors.exp().numpy(), expected.T, atol=1e-6)
    assert model.label_map["AA1_E"] == "AA" and model.label_map["NSN"] == "SPN"
    found = align(model, evidence, [[("K", "AA1", "T")]])
    spans = [(s.start_frame, s.end_frame) for s in found.segments]
    assert spans == [(8, 16), (16, 24), (24, 32)]


@pytest.mark.parametrize("kind", ["logs", "scores"])
def test_logs_and_scores_are_normalised(tmp_path, kind):
    rows = posteriors("0340")
    given = np.log(rows) if kind == "logs" else np.log(rows) + 7 * np.arange(len(rows))[:, None]
    (tmp_path / "given").mkdir()
    plain = load_model(write(tmp_path, {"u": rows})).for_utterance("u")
    other = load_model(write(tmp_path / "given", {"u": given})).for_utterance("u")
    torch.testing.assert_close(
        plain.evidence(audio_of(rows)).log_posteriors,
        other.evidence(audio_of(rows)).log_posteriors,
        atol=1e-4,
        rtol=1e-4,
    )
    assert plain.fingerprint == other.fingerprint


def test_a_blank_makes_it_ctc(tmp_path):
    labels = ["<blk>", "K", "AA", "T"]
    rows = posteriors("0102030", 3, labels)
    spec = write(tmp_path, {"u": rows}, labels) + ",shift=0.03"
    model = load_model(spec).for_utterance("u")
    assert model.topology == "ctc" and model.frame_shift == 0.03
    assert model.labels[model.blank] == "<blk>"
    found = align(model, model.evidence(audio_of(rows, 0.03)), [[("K", "AA", "T")]])
    middles = [4, 10, 16]
    assert all(
        s.start_frame <= at < s.end_frame for s, at in zip(found.segments, middles, strict=True)
    )
    assert [found.states[at] for at in middles] == [model.labels.index(p) for p in ("K", "AA", "T")]
    assert model.state_ids(PhoneInContext("SIL")) == (model.blank,)


def test_long_frames_make_one_state_a_phone(tmp_path):
    rows = posteriors("0310", 2)
    model = load_model(write(tmp_path, {"u": rows}) + ",shift=0.03").for_utterance("u")
    assert [model.plain_state(s) // 3 for s in model.state_ids(PhoneInContext("K"))] == [3]
    found = align(model, model.evidence(audio_of(rows, 0.03)), [[("K", "AA")]])
    assert [(s.start_frame, s.end_frame) for s in found.segments] == [(2, 4), (4, 6)]
    with pytest.raises(UserError, match="no phone 'ZH'"):
        model.state_ids(PhoneInContext("ZH"))


def test_through_the_pipeline(tmp_path):
    tables = {"u1": posteriors("03140"), "u2": posteriors("0310")}
    spec = write(tmp_path, tables)
    maker = FeaturePipeline.create(FeatureSettings(am=(spec,)), None)
    words = [[("K", "AA1")]]
    found = maker.extract(audio_of(tables["u2"]), words, utterance="u2")
    assert [row.start for row in found.rows] == pytest.approx([0.08, 0.16])
    with pytest.raises(UserError, match="no posteriors of 'u3'"):
        maker.extract(audio_of(tables["u2"]), words, utterance="u3")


def test_kaldis_phone_table_and_what_breaks_it(tmp_path):
    rows = posteriors("03140")
    spec = write(tmp_path, {"u1": rows})
    lines = ["<eps> 0", *(f"{label} {n}" for n, label in enumerate(LABELS, 1)), "#0 7"]
    (tmp_path / "labels.txt").rename(tmp_path / "phones.txt")
    (tmp_path / "phones.txt").write_text("\n".join(reversed(lines)))
    assert (
        load_model(spec).fingerprint
        == load_model(spec + f",labels={tmp_path}/phones.txt").fingerprint
    )
    for text in ("SIL 0\nAA 2", "SIL 0\nAA", "SIL x\nAA 1", "A B C\n"):
        (tmp_path / "phones.txt").write_text(text)
        with pytest.raises(DataError, match="one label a line"):
            load_model(spec)
    (tmp_path / "phones.txt").unlink()
    with pytest.raises(UserError, match="no file of labels"):
        load_model(spec)


def test_matrices_that_do_not_fit(tmp_path):
    rows = posteriors("03140")
    broken = {"wide": np.ones((40, 7)), "flat": np.ones(6), "nan": np.full((40, 6), np.nan)}
    model = load_model(write(tmp_path, {"u": rows, **broken}))
    with pytest.raises(UserError, match="exist for the utterances of their scp"):
        model.evidence(audio_of(rows))
    with pytest.raises(DataError, match=r"frame shift of 0\.01"):
        model.for_utterance("u").evidence(np.zeros(30 * 480, dtype=np.float32))
    for name, message in (("wide", "6 labels"), ("flat", "6 labels"), ("nan", "not numbers")):
        with pytest.raises(DataError, match=message):
            model.for_utterance(name).evidence(audio_of(rows))


@pytest.mark.parametrize("option", ["shift=x", "shift=2", "rate=3"])
def test_bad_options(tmp_path, option):
    with pytest.raises(UserError, match=r"frame shift|does not name posteriors"):
        load_model(f"{write(tmp_path, {'u': posteriors('0')})},{option}")
