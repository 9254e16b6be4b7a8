"""The x-vector network against SpeechBrain's, and its independence of the batch."""

import pytest
import torch
from speaker_models import SMALL, random_network

from speechkit.base.errors import UserError
from speechkit.speaker.tdnn import TDNN, FoldedTDNN, TDNNConfig, reflect, statistics


def speechbrain_twin(network: TDNN) -> torch.nn.Module:
    from speechbrain.lobes.models.Xvector import Xvector

    config = network.config
    twin = Xvector(
        tdnn_channels=list(config.channels),
        lin_neurons=config.embedding,
        in_channels=config.n_mels,
    ).eval()
    twin.load_state_dict(network.speechbrain_state())
    pooling = twin.blocks[3 * len(config.channels)]
    pooling._get_gauss_noise = lambda shape, device=None: torch.zeros(shape)
    return twin


@torch.no_grad()
def test_same_numbers_as_speechbrain():
    network = random_network(SMALL)
    features = torch.randn(3, 60, 8)
    expected = speechbrain_twin(network)(features).squeeze(1)
    torch.testing.assert_close(network(features), expected, atol=1e-5, rtol=1e-5)


def test_published_size():
    # 512 x 4 + 1500 with 24 features: the sum of its affine layers and batch norms by hand.
    layers = [(24, 512, 5), (512, 512, 3), (512, 512, 3), (512, 512, 1), (512, 1500, 1)]
    expected = sum(i * o * k + o + 2 * o for i, o, k in layers) + 3000 * 512 + 512
    assert sum(p.numel() for p in TDNN(TDNNConfig()).parameters()) == expected == 4_211_604


@torch.no_grad()
def test_padding_changes_nothing():
    network = random_network(SMALL)
    frames = [50, 31, 12]
    features = torch.randn(3, 50, 8)
    batch = network(features, frames)
    for row, length in enumerate(frames):
        alone = network(features[row : row + 1, :length])
        torch.testing.assert_close(batch[row], alone[0], atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_folded_equals_eval():
    network = random_network(SMALL)
    before = {k: v.clone() for k, v in network.state_dict().items()}
    frames = [40, 23]
    features = torch.randn(2, 40, 8)
    expected = network(features, frames)
    torch.testing.assert_close(
        FoldedTDNN(network)(features, frames), expected, atol=2e-5, rtol=1e-4
    )
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name]), name


@torch.no_grad()
def test_bfloat16_is_near():
    network = random_network(SMALL)
    features, frames = torch.randn(4, 60, 8), [60] * 4
    near = FoldedTDNN(network, torch.bfloat16)(features, frames)
    cosine = torch.nn.functional.cosine_similarity(near, network(features, frames))
    assert (cosine > 0.99).all()


def test_reflect_is_torchs_reflection():
    x = torch.randn(2, 9, 3)
    expected = torch.nn.functional.pad(x.transpose(1, 2), (3, 3), mode="reflect").transpose(1, 2)
    assert torch.equal(reflect(x, 3, None), expected)
    assert torch.equal(reflect(x, 3, [9, 9]), expected)


def test_statistics_by_hand():
    x = torch.tensor([[[1.0], [3.0], [99.0]]])
    mean, deviation = statistics(x, [2])[0]
    assert mean == 2
    assert deviation == pytest.approx(2**0.5 + 1e-5, rel=1e-6)


def test_foreign_weights_are_refused():
    network = TDNN(SMALL)
    with pytest.raises(UserError, match="missing"):
        network.of_speechbrain({"a": torch.zeros(1)})
    other = TDNN(TDNNConfig(8, (16, 16, 16, 16, 32), embedding=12)).speechbrain_state()
    with pytest.raises(UserError, match="shape"):
        network.of_speechbrain(other)


def test_lists_of_different_lengths_are_refused():
    with pytest.raises(UserError, match="one length"):
        TDNNConfig(channels=(8, 8))
