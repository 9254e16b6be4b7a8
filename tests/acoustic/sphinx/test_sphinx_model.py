"""SphinxModel: evidence, phones in context, and audio that is out of the ordinary."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import voice

from speechkit.acoustic.interface import PhoneInContext
from speechkit.acoustic.sphinx import files
from speechkit.acoustic.sphinx.model import SphinxModel
from speechkit.base.errors import UserError
from speechkit.labels.phones import ARPABET


@pytest.fixture(scope="module")
def model() -> SphinxModel:
    return SphinxModel()


def test_shapes_labels_and_rates(model) -> None:
    evidence = model.evidence(voice(120, 0.5))
    assert evidence.log_posteriors.shape == (evidence.frames, 42)
    assert evidence.state_scores.shape == (evidence.frames, 5126)
    assert evidence.frames == 49
    assert evidence.log_posteriors.dtype == evidence.state_scores.dtype == torch.float32
    assert {"SIL", "+NSN+", "+SPN+", *ARPABET} == set(model.labels)
    assert (model.frame_shift, model.sample_rate, model.topology) == (0.01, 16000, "hmm")


@pytest.mark.parametrize("posteriors", ["cd", "ci"])
def test_posteriors_are_made_of_the_senones_of_each_phone(posteriors: str) -> None:
    model = SphinxModel(posteriors=posteriors)
    evidence = model.evidence(voice(150, 0.3))
    scores = evidence.state_scores.double()
    plain = torch.tensor([model.plain_state(senone) for senone in range(5126)])
    phones = []
    for phone in range(42):
        states = []
        for state in range(3 * phone, 3 * phone + 3):
            own = torch.nonzero(plain == state)[:, 0]
            if posteriors == "ci":
                own = own[own < 126]
            states.append(scores[:, own].exp().mean(1))
        phones.append(torch.stack(states).mean(0).log())
    expected = torch.stack(phones, 1).log_softmax(1)
    assert torch.allclose(evidence.log_posteriors.double(), expected, atol=1e-3)
    assert torch.allclose(evidence.log_posteriors.exp().sum(1), torch.ones(evidence.frames))


def test_many_recordings_at_once_are_as_one_by_one(model) -> None:
    waves = [voice(100 + 30 * k, 0.2 + 0.3 * k, seed=k) for k in range(4)]
    for wave, together in zip(waves, model.evidence_many(waves), strict=True):
        alone = model.evidence(wave)
        assert torch.allclose(alone.log_posteriors, together.log_posteriors, atol=1e-4)
        assert torch.allclose(alone.state_scores, together.state_scores, atol=1e-4)
    assert model.evidence_many([]) == []


def test_a_long_recording_goes_through_in_blocks(model) -> None:
    """Frames of different blocks do not touch each other."""
    from speechkit.acoustic.sphinx.mfcc import streams

    (cepstra,) = model.cepstra([voice(110, 6.0)])
    features = streams(cepstra)
    whole = model._mixtures.likelihoods(features)
    for start in (0, 250, 500):
        part = model._mixtures.likelihoods(features[:, start : start + 20])
        for all_frames, some in zip(whole, part, strict=True):  # of senones, and of phones
            assert torch.allclose(all_frames[start : start + 20], some, atol=2e-3)


@pytest.mark.parametrize(
    "wave",
    [
        np.zeros(16000, np.float32),
        np.concatenate([np.zeros(8000), voice(100, 0.5), np.zeros(8000)]).astype(np.float32),
        np.sign(voice(100, 0.5)),
        np.full(4000, 1.0, np.float32),
        voice(100, 410 / 16000),
    ],
    ids=["zeros", "zeros around", "clipped", "constant", "one window"],
)
def test_odd_audio_has_finite_evidence(model, wave: np.ndarray) -> None:
    evidence = model.evidence(wave)
    assert evidence.frames >= 2
    assert evidence.state_scores.isfinite().all()
    assert evidence.log_posteriors.isfinite().all()


@pytest.mark.parametrize("samples", [0, 1, 409])
def test_too_short(model, samples: int) -> None:
    with pytest.raises(UserError, match="at least 410"):
        model.evidence(np.zeros(samples, np.float32))


def test_triphones_against_a_plain_reading_of_the_file(model) -> None:
    senones = plainly_read()
    names = list(model.labels)
    some = np.random.default_rng(0).choice(len(senones), 300, replace=False)
    rows = list(senones.items())
    for number in some:
        (position, base, left, right), states = rows[number]
        phone = PhoneInContext(names[base], names[left], names[right], "IBES"[position])
        assert model.state_ids(phone) == states
        assert [model.plain_state(s) for s in states] == [3 * base, 3 * base + 1, 3 * base + 2]


def plainly_read() -> dict[tuple[int, int, int, int], tuple[int, ...]]:
    """(position, base, left, right) -> senones, record by record with ``struct``."""
    import struct

    content = (files.FOLDER / "mdef").read_bytes()
    at = 12 + struct.unpack_from("<i", content, 8)[0]
    counts = struct.unpack_from("<10i", content, at)
    at += 40
    start = at
    for _ in range(counts[0]):
        at = content.index(b"\0", at) + 1
    at += -(at - start) % 4 + 8 * counts[8]
    phones = list(struct.iter_unpack("<iiBBBB", content[at : at + 12 * counts[1]]))
    at += 12 * counts[1] + 4
    sequences = list(struct.iter_unpack("<3H", content[at : at + 6 * counts[6]]))
    return {(p, b, le, r): sequences[s] for s, _, p, b, le, r in phones[counts[0] :]}


def test_backing_off(model) -> None:
    known = plainly_read()
    names = list(model.labels)
    number = names.index

    def row(position: str, base: str, left: str, right: str) -> tuple[int, int, int, int]:
        return "IBES".index(position), number(base), number(left), number(right)

    # A triphone that is there inside words only is taken at the end of a word too.
    position, base, left, right = next(
        k for k in known if k[0] == 0 and all((p, *k[1:]) not in known for p in (1, 2, 3))
    )
    inside = PhoneInContext(names[base], names[left], names[right], "I")
    last = PhoneInContext(names[base], names[left], names[right], "E")
    assert model.state_ids(last) == model.state_ids(inside) == known[position, base, left, right]
    # Noises as neighbours are silence.
    noise = PhoneInContext("AH", "+NSN+", "+SPN+", "S")
    assert model.state_ids(noise) == known[row("S", "AH", "SIL", "SIL")]
    # With no such triphone in any position, the context-independent states remain.
    missing = next(
        (b, le, r)
        for b in range(2, 42)
        for le in range(2, 42)
        for r in range(2, 42)
        if number("SIL") not in (b, le, r) and all((p, b, le, r) not in known for p in range(4))
    )
    phone = PhoneInContext(*(names[m] for m in missing), position="I")
    assert model.state_ids(phone) == tuple(3 * missing[0] + state for state in range(3))
    # In a word of one phone the neighbours belong to other words: silence comes first.
    alone = PhoneInContext(*(names[m] for m in missing), position="S")
    silent = (number("SIL"), number("SIL"))
    options = [known.get((p, missing[0], *silent)) for p in (3, 0, 1, 2)]
    expected = next((o for o in options if o), model.state_ids(phone))
    assert model.state_ids(alone) == expected
    assert model.state_ids(PhoneInContext("SIL")) == (96, 97, 98)


def test_unknown_phone(model) -> None:
    with pytest.raises(UserError, match="no phone 'QQ'") as raised:
        model.state_ids(PhoneInContext("QQ"))
    assert "SIL" in raised.value.remedy


def test_transitions_are_probabilities_without_skips(model) -> None:
    for phone in model.labels:
        costs = model.transition_costs(PhoneInContext(phone))
        assert len(costs) == 3
        assert np.exp(costs).sum(1) == pytest.approx(np.ones(3))


def test_every_senone_has_one_plain_state(model) -> None:
    plain = np.array([model.plain_state(senone) for senone in range(5126)])
    assert (plain[:126] == np.arange(126)).all()
    assert set(plain) == set(range(126))


def test_fingerprint_follows_the_files_and_the_posteriors(model, tmp_path: Path) -> None:
    copied = copy_of_the_model(tmp_path)
    assert SphinxModel(copied).fingerprint == model.fingerprint
    assert SphinxModel(copied, posteriors="ci").fingerprint != model.fingerprint
    transitions = bytearray((copied / "transition_matrices").read_bytes())
    transitions[-20] ^= 1
    (copied / "transition_matrices").write_bytes(transitions)
    assert SphinxModel(copied).fingerprint != model.fingerprint


def copy_of_the_model(folder: Path) -> Path:
    source = files.FOLDER
    for name in files.FILES:
        (folder / name).write_bytes((source / name).read_bytes())
    return folder


@pytest.mark.parametrize("name", files.FILES)
@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "text"])
def test_damaged_files_are_named(tmp_path: Path, name: str, damage: str) -> None:
    copied = copy_of_the_model(tmp_path)
    content = (copied / name).read_bytes()
    (copied / name).unlink()
    if damage != "missing":
        damaged = {"empty": b"", "cut": content[: len(content) // 2], "text": b"hello\n"}
        (copied / name).write_bytes(damaged[damage])
    with pytest.raises(UserError, match=name) as raised:
        SphinxModel(copied)
    assert "install speechkit again" in raised.value.remedy


def test_a_model_of_another_kind_is_refused(tmp_path: Path) -> None:
    copied = copy_of_the_model(tmp_path)
    text = (copied / "feat.params").read_text().replace("-cmn batch", "-cmn none")
    (copied / "feat.params").write_text(text)
    with pytest.raises(UserError, match="'cmn' is 'none', not 'batch'"):
        SphinxModel(copied)


def test_files_are_those_of_pocketsphinx() -> None:
    """Byte for byte, where that package is installed (it has no wheel for some Pythons)."""
    package = pytest.importorskip("pocketsphinx")
    theirs = Path(package.get_model_path("en-us"))
    for name in files.FILES:
        assert (files.FOLDER / name).read_bytes() == (theirs / "en-us" / name).read_bytes()
    assert files.DICTIONARY.read_bytes() == (theirs / "cmudict-en-us.dict").read_bytes()
    assert "Carnegie Mellon University" in (files.FOLDER / "LICENSE").read_text()


def test_posteriors_by_an_unknown_name() -> None:
    with pytest.raises(UserError, match="`posteriors` 'cx' is not known"):
        SphinxModel(posteriors="cx")
