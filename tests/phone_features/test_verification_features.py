"""The block of evidence that words were said: its columns by hand, and its place in features."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from deep_models import make_tdnn
from tone_models import ToneModel, say
from tone_sets import make_tone_set

from speechkit.acoustic.align.alignment import align
from speechkit.acoustic.align.verification import SAID, VerificationConfig, verify
from speechkit.acoustic.lexicon.readings import Words
from speechkit.acoustic.models import load_model
from speechkit.base.errors import UserError
from speechkit.phone_features import ctc_gop, verification
from speechkit.phone_features.extract import _features_of
from speechkit.phone_features.feature_folder import (
    read_features,
    read_insertions,
    write_insertions,
)
from speechkit.phone_features.pipeline import FeaturePipeline, Request
from speechkit.phone_features.settings import FeatureSettings, settings_of
from speechkit.phone_features.verification import COLUMNS
from speechkit.workdir import WorkDir

WORDS = [[("K", "AA1", "T")], [("B", "IY1")], [("S",)]]
WAVE = say(["K", "AA", "T", "T", "S", "S"])  # the second word is replaced


def block(**settings) -> dict[str, np.ndarray]:
    """Columns of the block by name, each with a value a phone."""
    settings = FeatureSettings(am=("tones",), verification=True, **settings)
    found = FeaturePipeline(settings, [ToneModel()]).extract(WAVE, WORDS)
    return dict(zip(COLUMNS, found.features[:, -len(COLUMNS) :].T, strict=True))


def test_columns_by_hand() -> None:
    model = ToneModel()
    evidence = model.evidence(WAVE)
    alignment = align(model, evidence, WORDS)
    found, table = verify(model, evidence, alignment), block()
    owner = [segment.word for segment in alignment.segments]
    assert owner == [0, 0, 0, 1, 1, 2]
    for name in ("said", "substitution", "omission"):
        ratio = np.clip(getattr(found, name), -100, 100)
        np.testing.assert_allclose(table[f"llr_{name}"], ratio[owner], rtol=1e-5)
        per_frame = np.clip(ratio / found.frames, -20, 20)[owner]
        np.testing.assert_allclose(table[f"llr_{name}_frame"], per_frame, rtol=1e-5)
        around = [0.0, *ratio, 0.0]
        for side, shift in (("previous", 0), ("next", 2)):
            wanted = [around[word + shift] for word in owner]
            np.testing.assert_allclose(table[f"{side}_llr_{name}"], wanted, rtol=1e-5)
    assert found.best[0] == SAID and table["llr_said"][3] < -5 < 5 < table["llr_said"][0]
    np.testing.assert_allclose(table["llr_free_frame"], found.free[owner], rtol=1e-5)
    frames = np.log([segment.frames for segment in alignment.segments])
    posteriors = evidence.log_posteriors.numpy()
    names, rivals = ctc_gop.rivals(model, evidence, [s.phone for s in alignment.segments])
    assert names[0] == "-"
    for word in range(3):
        own = [n for n, of in enumerate(owner) if of == word]
        segments = [alignment.segments[n] for n in own]
        means = [posteriors[s.start_frame : s.end_frame].mean(0) for s in segments]
        canonical = [
            m[model.labels.index(s.phone.rstrip("01"))]
            for s, m in zip(segments, means, strict=True)
        ]
        gops = [c - m.max() for c, m in zip(canonical, means, strict=True)]
        ranks = [np.log1p((m[1:] > c).sum()) for c, m in zip(canonical, means, strict=True)]
        deleted = np.clip(rivals[own, 0], -100, 100)
        substituted = np.clip(rivals[own, 1:].max(1), -100, 100)
        wanted = {
            "relative_duration": frames[own].mean() - frames.mean(),
            "shortest_share": np.mean([s.frames <= 3 for s in segments]),
            "log_rank": np.mean(ranks),
            "log_posterior_mean": np.mean(canonical),
            "log_posterior_min": np.min(canonical),
            "gop_mean": np.mean(gops),
            "gop_min": np.min(gops),
            "substituted_mean": substituted.mean(),
            "substituted_max": substituted.max(),
            "deleted_mean": deleted.mean(),
            "deleted_max": deleted.max(),
        }
        for name, value in wanted.items():
            np.testing.assert_allclose(table[name][own], value, rtol=1e-4, atol=1e-5, err_msg=name)


def test_durations_of_a_model_with_transitions(tmp_path: Path) -> None:
    """A state that is left with probability p is expected to last 1 / p frames."""
    make_tdnn(tmp_path)
    model = load_model("tiny", WorkDir(tmp_path))
    settings = FeatureSettings(am=("tiny",), verification=True)
    found = FeaturePipeline(settings, [model]).extract(WAVE, WORDS)
    leave = np.array([0.5 - 0.02 * k for k in range(21)]).reshape(7, 3)
    expected = (1 / leave).sum(1)
    logs = [
        np.log(s.frames / expected[model.labels.index(s.phone.rstrip("01"))])
        for s in found.alignment.segments
    ]
    column = found.features[:, -len(COLUMNS) + COLUMNS.index("relative_duration")]
    np.testing.assert_allclose(column[:3], np.mean(logs[:3]), rtol=1e-5)
    np.testing.assert_allclose(column[3:5], np.mean(logs[3:5]), rtol=1e-5)


def test_the_block_stands_last_and_is_the_same_beside_any_others(monkeypatch) -> None:
    calls = []
    known = ctc_gop.sequence_scores
    monkeypatch.setattr(ctc_gop, "sequence_scores", lambda *a: calls.append(1) or known(*a))
    alone = block()
    for settings in ({"method": "both"}, {"method": "ctc"}, {"prosody": True}):
        calls.clear()
        other = block(**settings)
        assert len(calls) == 1
        for name in COLUMNS:
            np.testing.assert_array_equal(alone[name], other[name])


def test_together_or_alone() -> None:
    settings = FeatureSettings(am=("tones",), verification=True)
    pipeline = FeaturePipeline(settings, [ToneModel()])
    requests = [Request(WAVE, WORDS), Request(say(["B", "IY"]), WORDS[1:2])]
    for request, one in zip(requests, pipeline.extract_many(requests), strict=True):
        (alone,) = pipeline.extract_many([request])
        np.testing.assert_array_equal(one.features, alone.features)
        assert one.verification.best == alone.verification.best


def test_of_the_model_that_aligns() -> None:
    models = [ToneModel("a"), ToneModel("b", shift=0.02)]
    settings = FeatureSettings(am=("a",), align_with="b", verification=True)
    found = FeaturePipeline(settings, models).extract(WAVE, WORDS)
    own = FeaturePipeline(FeatureSettings(am=("b",), verification=True), models[1:])
    wanted = own.extract(WAVE, WORDS).features[:, -len(COLUMNS) :]
    np.testing.assert_array_equal(found.features[:, -len(COLUMNS) :], wanted)


def test_values_are_finite_and_within_their_limits() -> None:
    pipeline = FeaturePipeline(FeatureSettings(am=("tones",), verification=True), [ToneModel()])
    for wave in (np.zeros(16000, np.float32), WAVE):
        found = pipeline.extract(wave, WORDS).features[:, -len(COLUMNS) :]
        table = dict(zip(COLUMNS, found.T, strict=True))
        assert np.isfinite(found).all()
        for name, values in table.items():
            if "llr" in name:
                assert np.abs(values).max() <= (20 if name.endswith("_frame") else 100)
    with pytest.raises(UserError, match="longer than the audio"):
        pipeline.extract(say(["K"]), WORDS * 4)


def test_settings() -> None:
    plain = FeaturePipeline(FeatureSettings(am=("tones",)), [ToneModel()]).config()
    pipeline = FeaturePipeline(FeatureSettings(am=("tones",), verification=True), [ToneModel()])
    config = json.loads(json.dumps(pipeline.config()))
    assert settings_of(config).verification and not settings_of(plain).verification
    assert "verification" not in plain and config["fingerprint"] != plain["fingerprint"]
    assert config["blocks"][-1]["name"] == "verification"
    assert config["columns"][-24:] == [f"verification:{name}" for name in COLUMNS]
    with pytest.raises(UserError, match="without other columns"):
        FeatureSettings(method="deep", verification=True)


def test_the_fingerprint_knows_the_costs(monkeypatch) -> None:
    before = verification.fingerprint()
    other = VerificationConfig(omission=7.0)
    monkeypatch.setattr(verification, "VerificationConfig", lambda: other)
    assert verification.fingerprint() != before


def test_command(run, tmp_path: Path) -> None:
    make_tone_set(tmp_path)
    base = ("extract-gop", "-C", tmp_path, "--set", "toned", "-j", 1, "--am", "sphinx")
    ran = run(*base, "--verification", "--json")
    assert ran.code == 0 and json.loads(ran.out)["dimension"] == 108
    found = read_features(tmp_path / "exp/gop/toned")
    assert found.config["verification"] is True
    manifest = json.loads((tmp_path / "exp/gop/toned/manifest.json").read_text())
    assert manifest["params"]["verification"] is True
    assert run(*base, "--name", "plain").code == 0
    other = read_features(tmp_path / "exp/gop/toned-plain")
    np.testing.assert_array_equal(found.table["s0-u0"][:, :84], other.table["s0-u0"])
    manifest = json.loads((tmp_path / "exp/gop/toned-plain/manifest.json").read_text())
    assert "verification" not in manifest["params"]


def test_insertions_stand_in_the_folder_with_their_place(tmp_path) -> None:
    """Of "cat" and "s", "be" was said before the second word, or at the end."""
    words = Words(("cat", "s"), (WORDS[0], WORDS[2]))
    settings = FeatureSettings(am=("tones",), verification=True)
    pipeline = FeaturePipeline(settings, [ToneModel()])
    for place, said in ((1, "K AA T B IY IY B S S"), (2, "K AA T S S B IY IY B")):
        request = Request(say(said.split()), words.variants, "", "utt", words.texts)
        (extracted,) = pipeline.extract_many([request])
        one = _features_of(request, words, extracted, pipeline)
        write_insertions(tmp_path, [[one.utterance, *row] for row in one.insertions])
        assert read_insertions(tmp_path) == {"utt": [place]}
        ((_, _, duration, phones),) = one.insertions
        assert phones.split()[0] == "B" and float(duration) > 0.1
    assert read_insertions(tmp_path / "none") is None
    (tmp_path / "insertions.tsv").write_text("utt\tindex\nu1\tx\n")
    with pytest.raises(UserError, match=r"insertions\.tsv"):
        read_insertions(tmp_path)
