"""The pipeline from samples to rows of features, and the folder that stores them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tone_models import RATE, ToneModel, say

from speechkit.acoustic.align.alignment import align
from speechkit.base.errors import DataError, UserError
from speechkit.kaldi.ark import ArkWriter
from speechkit.phone_features import gop
from speechkit.phone_features.feature_folder import read_features, write_config, write_rows
from speechkit.phone_features.pipeline import FeaturePipeline, Request
from speechkit.phone_features.settings import FeatureSettings

SAID = ["K", "AA", "T", "B", "IY"]
WORDS = [[("K", "AA1", "T")], [("B", "IY1"), ("B", "AA1")]]


def pipeline(models=None, **settings) -> FeaturePipeline:
    models = models or [ToneModel()]
    settings.setdefault("am", tuple(m.name for m in models))
    return FeaturePipeline(FeatureSettings(**settings), models)


def test_rows_and_the_84_columns():
    model = ToneModel()
    found = pipeline([model]).extract(say(SAID), WORDS, texts=["cat", "bee"])
    assert [row.phone for row in found.rows] == ["K", "AA1", "T", "B", "IY1"]
    assert [row.word for row in found.rows] == ["cat"] * 3 + ["bee"] * 2
    assert [row.index for row in found.rows] == [0, 1, 2, 3, 4]
    starts = [row.start for row in found.rows]
    np.testing.assert_allclose(starts, [0.1, 0.2, 0.3, 0.4, 0.5], atol=0.021)
    assert found.features.dtype == np.float32
    evidence = model.evidence(say(SAID))
    alignment = align(model, evidence, WORDS)
    phones = [segment.phone for segment in alignment.segments]
    block, _ = gop.segment_block(model, evidence, phones, *gop.frames_of(alignment))
    np.testing.assert_allclose(found.features, block, rtol=1e-5, atol=1e-5)
    assert found.rows[0].gop == 0 and found.rows[0].log_posterior > -0.3
    assert found.alignment.variants == [0, 0]


def test_a_badly_said_phone_has_a_low_gop():
    said = ["K", "AA", "S", "B", "IY"]  # S for T
    for method in ("segment", "ctc"):
        rows = pipeline(method=method).extract(say(said), WORDS).rows
        assert min(rows, key=lambda row: row.gop).phone == "T"
        assert min(rows, key=lambda row: row.log_posterior).phone == "T"


def test_both_methods_side_by_side():
    both, segment, ctc = (pipeline(method=m) for m in ("both", "segment", "ctc"))
    assert both.columns == segment.columns + ctc.columns
    parts = [maker.extract(say(SAID), WORDS) for maker in (segment, ctc)]
    found = both.extract(say(SAID), WORDS)
    np.testing.assert_array_equal(
        found.features, np.concatenate([p.features for p in parts], axis=1)
    )
    assert found.rows == parts[0].rows


def test_blocks_of_several_models_stand_side_by_side():
    models = [ToneModel("one"), ToneModel("two", shift=0.02), ToneModel("three", rate=8000)]
    both = pipeline(models, prosody=True)
    assert len(both.columns) == 3 * 84 + 13 == len(set(both.columns))
    assert both.columns[3] == "one:lpp_AA" and both.columns[84 + 3] == "two:lpp_AA"
    assert [(b["first"], b["last"]) for b in both.blocks][:2] == [(0, 83), (84, 167)]
    found = both.extract(say(SAID), WORDS)
    alone = pipeline(models[1:2]).extract(say(SAID), WORDS)
    np.testing.assert_array_equal(found.features[:, 84:168], alone.features)
    assert np.isfinite(found.features).all()


def test_one_alignment_for_all_is_converted_to_the_other_frames():
    fine, coarse = ToneModel("fine"), ToneModel("coarse", shift=0.04)
    shared = pipeline([coarse, fine], align_with="fine").extract(say(SAID), WORDS)
    assert shared.rows[0].duration == pytest.approx(0.1, abs=0.03)
    own = pipeline([coarse]).extract(say(SAID), WORDS)
    assert not np.array_equal(shared.features[:, :84], own.features)
    other = FeaturePipeline(FeatureSettings(am=("coarse",), align_with="fine"), [coarse, fine])
    np.testing.assert_array_equal(other.extract(say(SAID), WORDS).features, shared.features[:, :84])


def test_a_cross_fitted_model_is_asked_for_the_speaker():
    model = pipeline([ToneModel(biased={"s1": 3.0})])
    without = model.extract(say(SAID), WORDS, speaker="s2").features
    np.testing.assert_array_equal(without, pipeline().extract(say(SAID), WORDS).features)
    assert not np.array_equal(without, model.extract(say(SAID), WORDS, speaker="s1").features)


def test_many_are_as_one_by_one_and_a_broken_one_stands_alone():
    requests = [
        Request(say(SAID), WORDS),
        Request(say([])[:200], WORDS),
        Request(say(["K", "AA", "T"]), WORDS[:1]),
        Request(say(["K"]), [[("K", "ZH")]]),
    ]
    maker = pipeline(prosody=True)
    first, short, third, unknown = maker.extract_many(requests)
    assert isinstance(short, UserError) and "too short" in short.problem
    assert isinstance(unknown, UserError) and "no phone 'ZH'" in unknown.problem
    for found, request in ((first, requests[0]), (third, requests[2])):
        alone = maker.extract(request.samples, request.words)
        np.testing.assert_array_equal(found.features, alone.features)
    with pytest.raises(UserError, match="too short"):
        maker.extract(requests[1].samples, WORDS)


@pytest.fixture
def tone_models(monkeypatch):
    """``load_model`` gives tone models."""
    shifts = {"tones": 0.01, "exp/acoustic/slow": 0.02}

    def load(spec, workdir=None, device="cpu", precision="32"):
        return ToneModel(spec, shifts[spec])

    monkeypatch.setattr("speechkit.acoustic.models.load_model", load)
    return shifts


def test_configuration_makes_the_same_pipeline(tone_models):
    settings = FeatureSettings(am=("tones", "exp/acoustic/slow"), align_with="tones", prosody=True)
    made = FeaturePipeline.create(settings, None)
    config = json.loads(json.dumps(made.config()))
    again = FeaturePipeline.from_config(config, None)
    assert again.fingerprint == made.fingerprint and again.columns == made.columns
    np.testing.assert_array_equal(
        again.extract(say(SAID), WORDS).features, made.extract(say(SAID), WORDS).features
    )
    tone_models["exp/acoustic/slow"] = 0.04
    with pytest.raises(UserError, match="other acoustic models: 'slow' is"):
        FeaturePipeline.from_config(config, None)
    for change in ({"method": "imported"}, {"am": None}):
        with pytest.raises(UserError, match=r"imported|damaged"):
            FeaturePipeline.from_config({**config, **change}, None)


def test_without_pitch_is_remembered(tone_models):
    made = pipeline(prosody=True, pitch=False)
    assert len(made.columns) == 84 + 9 and "prosody:f0" not in made.columns
    config = made.config()
    assert config["pitch"] is False and "pitch" not in pipeline(prosody=True).config()
    again = FeaturePipeline.from_config({**config, "am": ["tones"]}, None)
    assert not again.settings.pitch and again.columns == made.columns
    with pytest.raises(UserError, match="part of prosody"):
        FeatureSettings(pitch=False)


def test_fingerprint_follows_whatever_changes_the_features():
    prints = {
        pipeline().fingerprint,
        pipeline(method="ctc").fingerprint,
        pipeline(prosody=True).fingerprint,
        pipeline(prosody=True, pitch=False).fingerprint,
        pipeline([ToneModel(shift=0.02)]).fingerprint,
        pipeline([ToneModel(), ToneModel("b")]).fingerprint,
        pipeline([ToneModel(), ToneModel("b")], align_with="b").fingerprint,
    }
    assert len(prints) == 7


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"method": "segments"}, "Did you mean 'segment'"),
        ({"am": ()}, "No acoustic model"),
        ({"am": ("a", "a")}, "twice"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(UserError, match=message):
        FeatureSettings(**settings)


def test_names_of_blocks_are_short_and_distinct():
    settings = FeatureSettings(am=("exp/acoustic/a", "b/a", "hf:x/y", "posteriors:p.scp"))
    models = [ToneModel(spec) for spec in settings.am]
    names = [block["name"] for block in FeaturePipeline(settings, models).blocks]
    assert names == ["a", "a#2", "y", "posteriors"]


def test_folder(tmp_path):
    maker = pipeline()
    found = maker.extract(say(SAID), WORDS, texts=["cat", 'b"ee'])
    with ArkWriter(tmp_path / "gop.ark", tmp_path / "gop.scp") as ark:
        ark.write("u1", found.features)
    write_rows(tmp_path / "rows.tsv", [("u1", found.rows)])
    write_config(tmp_path, maker.config())
    folder = read_features(tmp_path)
    np.testing.assert_array_equal(folder.table["u1"], found.features)
    assert folder.columns == maker.columns
    assert [(r.word, r.phone, r.index) for r in folder.rows["u1"]] == [
        (r.word, r.phone, r.index) for r in found.rows
    ]
    assert folder.rows["u1"][1].start == pytest.approx(found.rows[1].start)
    rows = (tmp_path / "rows.tsv").read_text()
    (tmp_path / "rows.tsv").write_text(rows.replace("\tAA1\t", "\t"))
    with pytest.raises(DataError, match=r"rows.tsv:3"):
        read_features(tmp_path)
    (tmp_path / "rows.tsv").write_text(rows.replace("u1\t", "u2\t"))
    with pytest.raises(DataError, match="same utterances"):
        read_features(tmp_path)
    (tmp_path / "features.json").write_text("{}")
    with pytest.raises(UserError, match="missing required field 'blocks'"):
        read_features(tmp_path)


def test_rate_of_the_fastest_model():
    assert pipeline([ToneModel(rate=8000), ToneModel("b")]).sample_rate == RATE
