"""Encoders: the same frames in any batch, Hugging Face's values, and what cannot be loaded."""

import json
import shutil

import numpy as np
import pytest
import torch
from tiny_encoders import FAMILIES, make_encoder

from speechkit.base.errors import UserError
from speechkit.emotion import encoder_files
from speechkit.emotion.encoders import load_encoder
from speechkit.emotion.layers import SpecAugment, spans

LENGTHS = (5000, 8000, 6123, 420, 7999)


def waves(lengths=LENGTHS):
    generator = np.random.default_rng(0)
    return [
        (0.1 * generator.standard_normal(n) + 0.02 * k).astype(np.float32)
        for k, n in enumerate(lengths)
    ]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    base = tmp_path_factory.mktemp("encoders")
    return {family: make_encoder(base / family, family) for family in FAMILIES}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_batch_gives_what_single_clips_give(folders, family):
    encoder = load_encoder(str(folders[family]))
    clips = waves()
    with torch.no_grad():
        batch, frames = encoder(*encoder.prepare(clips), all_layers=True)
        for row, clip, n in zip(batch, clips, frames, strict=True):
            alone, (m,) = encoder(*encoder.prepare([clip]), all_layers=True)
            assert n == m
            assert alone.shape == (1, 3, n, 16)
            assert torch.allclose(row[:, :n], alone[0], atol=1e-4), (
                (row[:, :n] - alone[0]).abs().max()
            )
            assert float(alone.std()) > 0.05


@pytest.mark.parametrize("family", FAMILIES)
def test_a_single_clip_gives_what_hugging_face_gives(folders, family):
    import transformers

    reference = transformers.AutoModel.from_pretrained(folders[family]).eval()
    encoder = load_encoder(str(folders[family]))
    clip = waves()[0]
    extractor = transformers.Wav2Vec2FeatureExtractor.from_pretrained(folders[family])
    values = extractor(clip, sampling_rate=16000, return_tensors="pt").input_values
    with torch.no_grad():
        wanted = reference(values, output_hidden_states=True)
        found, _ = encoder(*encoder.prepare([clip]), all_layers=True)
        last, _ = encoder(*encoder.prepare([clip]))
    assert torch.allclose(found[:, -1], wanted.last_hidden_state, atol=1e-5)
    assert torch.allclose(last, wanted.last_hidden_state, atol=1e-5)
    assert torch.allclose(found[:, 0], wanted.hidden_states[0], atol=1e-5)
    assert torch.allclose(found[:, 1], wanted.hidden_states[1], atol=1e-5)


def test_hugging_face_itself_depends_on_the_padding(folders):
    """What is mended: without our layers the same comparison fails for three families."""
    import transformers

    clips = [wave[:n] for wave, n in zip(waves(), (5000, 3000), strict=False)]
    for family in ("wav2vec2-group", "data2vec-audio", "hubert-batch-norm"):
        model = transformers.AutoModel.from_pretrained(folders[family]).eval()
        batch = torch.zeros(2, 5000)
        mask = torch.zeros(2, 5000, dtype=torch.long)
        for row, on, clip in zip(batch, mask, clips, strict=True):
            row[: len(clip)], on[: len(clip)] = torch.from_numpy(clip), 1
        with torch.no_grad():
            alone = model(torch.from_numpy(clips[1])[None]).last_hidden_state[0]
            padded = model(batch, attention_mask=mask).last_hidden_state[1, : len(alone)]
        assert (alone - padded).abs().max() > 1e-3, family


def test_gradients_do_not_depend_on_the_padding_either(folders):
    for family in ("wav2vec2-group", "data2vec-audio"):
        encoder = load_encoder(str(folders[family]))
        clips = waves()[:2]

        def gradient(batches, encoder=encoder):
            encoder.zero_grad()
            for batch in batches:
                frames, counts = encoder(*encoder.prepare(batch))
                sum(
                    row[:n].square().sum() for row, n in zip(frames, counts, strict=True)
                ).backward()
            return encoder.model.feature_extractor.conv_layers[0].conv.weight.grad.clone()

        together, apart = gradient([clips]), gradient([[clip] for clip in clips])
        assert torch.allclose(together, apart, rtol=1e-3, atol=1e-3 * float(apart.abs().max()))


@pytest.mark.parametrize("family", ["wav2vec2-group", "wavlm-layer", "data2vec-audio"])
def test_checkpointed_gradients_are_the_same(folders, family):
    found = []
    for checkpointed in (False, True):
        encoder = load_encoder(str(folders[family])).train()
        encoder.config.layerdrop = 0.0
        for module in encoder.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        for module in encoder.model.encoder.modules():
            for name in ("dropout", "attention_dropout"):
                if isinstance(getattr(module, name, None), float):
                    setattr(module, name, 0.0)
        if checkpointed:
            encoder.checkpoint_gradients()
        layers, counts = encoder(*encoder.prepare(waves()[:3]), all_layers=True)
        sum(row[:, :n].square().sum() for row, n in zip(layers, counts, strict=True)).backward()
        found.append({k: p.grad for k, p in encoder.named_parameters() if p.grad is not None})
    assert found[0].keys() == found[1].keys()
    for name, value in found[0].items():
        assert torch.allclose(value, found[1][name], rtol=1e-4, atol=1e-5), name


def test_spec_augment_masks_its_share_of_each_clip_and_repeats_itself():
    torch.manual_seed(5)
    share = torch.stack([spans(200, 0.3, 10) for _ in range(400)]).float().mean()
    assert 0.22 < share < 0.3  # spans may overlap
    assert spans(5, 0.9, 10).shape == (5,)
    assert spans(200, 0.0, 10, least=2).sum() >= 10
    hidden, vector = torch.ones(2, 50, 8), torch.full((8,), 7.0)
    draw = SpecAugment(time=0.3, time_length=5, feature=0.3, feature_length=2)
    first, second = [torch.manual_seed(1) and draw(hidden, (50, 20), vector) for _ in range(2)]
    assert torch.equal(first, second)
    assert (first[1, 20:] != 7).all()
    assert ((first == 7).any(-1)).any(1).all()
    assert (first == 0).any()
    assert torch.equal(SpecAugment()(hidden, (50, 20), vector), hidden)


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_dropout_drops_its_share_keeps_the_mean_and_repeats_itself(share):
    from speechkit.emotion.layers import Dropout

    layer, values = Dropout(share), torch.full((3, 333, 101), 2.0, requires_grad=True)
    torch.manual_seed(3)
    found = layer(values)
    torch.manual_seed(3)
    assert torch.equal(layer(values), found)
    kept = found != 0
    error = (share * (1 - share) / values.numel()) ** 0.5
    assert abs(float((~kept).float().mean()) - share) < 4 * error
    assert torch.allclose(found[kept], torch.tensor(2 / (1 - share)), rtol=1e-4)
    for lag in (1, 2, 3, 4):  # elements of one draw do not go together
        flat = kept.flatten().float() - (1 - share)
        together = float((flat[lag:] * flat[:-lag]).mean()) / (share * (1 - share))
        assert abs(together) < 4 / values.numel() ** 0.5
    found.sum().backward()
    assert torch.equal(values.grad, found.detach() / 2)
    assert torch.equal(layer.eval()(values), values)
    for edge in (0.0, 1.0):
        assert torch.equal(Dropout(edge)(values), values * (1 - edge))


def test_an_encoder_in_training_draws_so(folders):
    from speechkit.emotion.layers import Dropout

    encoder = load_encoder(str(folders["wav2vec2-layer"]))
    kinds = {type(m) for m in encoder.modules() if isinstance(m, torch.nn.Dropout)}
    assert kinds == {Dropout}
    padded, lengths = encoder.prepare(waves()[:2])
    frames, _ = encoder.train()(padded, lengths, all_layers=True)  # hooks are still there
    assert frames.shape[1] == encoder.layers + 1 and torch.isfinite(frames).all()


def test_masks_of_an_encoder_only_in_training(folders):
    encoder = load_encoder(str(folders["hubert-layer"]))
    encoder.augment = SpecAugment(time=0.5, time_length=3)
    batch = encoder.prepare(waves()[:2])
    with torch.no_grad():
        quiet = encoder(*batch)[0]
        assert torch.equal(quiet, encoder(*batch)[0])
        encoder.train()
        encoder.config.layerdrop = 0.0
        assert not torch.allclose(quiet, encoder(*batch)[0])


def test_silence_is_finite(folders):
    for family in ("wav2vec2-group", "wav2vec2-layer"):
        encoder = load_encoder(str(folders[family]))
        with torch.no_grad():
            frames, _ = encoder(*encoder.prepare([np.zeros(4000, np.float32), waves()[1]]))
        assert torch.isfinite(frames).all()


def test_what_cannot_be_loaded_is_refused(folders, tmp_path, monkeypatch):
    from safetensors.torch import load_file, save_file

    def broken(name, change):
        folder = tmp_path / name
        shutil.copytree(folders["wav2vec2-layer"], folder)
        change(folder)
        return str(folder)

    def without(part):
        def change(folder):
            weights = load_file(folder / "model.safetensors")
            kept = {k: v for k, v in weights.items() if part not in k}
            assert len(kept) < len(weights)
            save_file(kept, folder / "model.safetensors", {"format": "pt"})

        return change

    def configured(**values):
        def change(folder):
            content = json.loads((folder / "config.json").read_text())
            (folder / "config.json").write_text(json.dumps({**content, **values}))

        return change

    def cut(folder):
        data = (folder / "model.safetensors").read_bytes()
        (folder / "model.safetensors").write_bytes(data[: len(data) // 2])

    cases = {
        "a CTC checkpoint without a layer": (without("layers.1"), "does not hold the whole"),
        "without the convolutions": (without("feature_extractor"), "does not hold the whole"),
        "of another width": (configured(intermediate_size=48), "another shape"),
        "of another family": (configured(model_type="whisper"), "family 'whisper'"),
        "without weights": (lambda f: (f / "model.safetensors").unlink(), "has no weights"),
        "with a cut file": (cut, "cannot be loaded"),
        "without a configuration": (lambda f: (f / "config.json").unlink(), "no config.json"),
        "with a bad preprocessor": (
            lambda f: (f / "preprocessor_config.json").write_text("{"), "cannot be read",
        ),
    }  # fmt: skip
    for name, (change, message) in cases.items():
        with pytest.raises(UserError, match=message):
            load_encoder(broken(name.replace(" ", "-"), change))
    without_mask = broken("no-mask-vector", without("masked_spec_embed"))
    assert load_encoder(without_mask).model.masked_spec_embed.abs().sum() == 0


def test_a_hub_name_without_network_says_what_to_do(monkeypatch, tmp_path):
    import huggingface_hub

    def no_network(*arguments, **named):
        raise OSError("Name or service not known")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", no_network)
    for spec in ("facebook/hubert-large-ls960-ft", "hf:facebook/hubert-large-ls960-ft"):
        with pytest.raises(UserError) as caught:
            encoder_files.find(spec)
        assert "hf download facebook/hubert-large-ls960-ft --local-dir DIR" in caught.value.remedy
        assert "Name or service not known" in caught.value.problem
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match="HF_HUB_OFFLINE is set"):
        encoder_files.find("hubert-large-ls960-ft")
    with pytest.raises(UserError, match="neither a folder nor a model"):
        encoder_files.find("egemap")
    assert encoder_files.find(str(tmp_path)) == tmp_path
    assert encoder_files.short_name("hf:facebook/wav2vec2-base-960h") == "wav2vec2-base-960h"


@pytest.mark.parametrize("family", ["wav2vec2-group", "data2vec-audio", "wavlm-layer"])
def test_what_was_convolved_before_gives_the_same(folders, family):
    encoder = load_encoder(str(folders[family]))
    padded, lengths = encoder.prepare(waves()[:3])
    with torch.no_grad():
        direct, counts = encoder(padded, lengths)
        parts = [encoder.convolve(*encoder.prepare([wave]))[0] for wave in waves()[:3]]
        stacked = torch.nn.utils.rnn.pad_sequence(parts, batch_first=True)
        again, same = encoder(stacked, lengths)
    assert counts == same
    for row, other, n in zip(direct, again, counts, strict=True):
        assert torch.allclose(row[:n], other[:n], atol=1e-5)


def test_of_weights_in_two_formats_one_is_fetched(monkeypatch, tmp_path):
    import fnmatch

    import huggingface_hub

    calls = []

    def hub_of(files):
        def snapshot(name, allow_patterns, local_files_only=False):
            if local_files_only:
                raise OSError("not in the cache")
            calls.append(list(allow_patterns))
            for file in files:
                if any(fnmatch.fnmatch(file, pattern) for pattern in allow_patterns):
                    (tmp_path / name / file).parent.mkdir(parents=True, exist_ok=True)
                    (tmp_path / name / file).touch()
            return str(tmp_path / name)

        monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)

    hub_of(["config.json", "model.safetensors", "pytorch_model.bin", "tf_model.h5"])
    folder = encoder_files.find("me/both")
    assert {p.name for p in folder.iterdir()} == {"config.json", "model.safetensors"}
    assert len(calls) == 1
    hub_of(["config.json", "pytorch_model.bin", "flax_model.msgpack"])
    folder = encoder_files.find("hf:me/old")
    assert {p.name for p in folder.iterdir()} == {"config.json", "pytorch_model.bin"}
