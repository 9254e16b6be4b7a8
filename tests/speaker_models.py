"""Small x-vector networks with random weights, for tests."""

from pathlib import Path

import torch

from speechkit.speaker import embedder
from speechkit.speaker.config import XVectorConfig
from speechkit.speaker.tdnn import TDNN, TDNNConfig

SMALL = TDNNConfig(8, (16, 16, 16, 16, 24), embedding=12)


def random_network(config: TDNNConfig, seed: int = 0) -> TDNN:
    """A network in eval mode whose batch normalisation is not the identity."""
    torch.manual_seed(seed)
    network = TDNN(config)
    for name, buffer in network.named_buffers():
        if name.endswith("running_mean"):
            buffer.normal_()
        elif name.endswith("running_var"):
            buffer.uniform_(0.5, 2)
    for layer in network.layers:
        torch.nn.init.normal_(layer.norm.weight)
        torch.nn.init.normal_(layer.norm.bias)
    return network.eval()


def write_model(root: Path, name: str = "net", seed: int = 0) -> TDNN:
    """A random network as ``train xvector`` would write it."""
    folder = root / "exp/xvector_nnet" / name
    folder.mkdir(parents=True)
    config = XVectorConfig(
        sample_rate=16000, n_mels=8, channels=SMALL.channels, embedding=SMALL.embedding
    )
    network = random_network(SMALL, seed)
    weights = {f"tdnn.{k}": v for k, v in network.state_dict().items()}
    embedder.write_model(folder, config, ["s0"], weights, [{"loss": 1.0}])
    return network
