"""Write the tensors that tests/separation compares our Conv-TasNet with.

    PEER_PYTHON benchmarks/export_parity.py [--out tests/separation/parity]

Runs in an environment with Asteroid 0.7.0 and SpeechBrain (docs/benchmarks.md says how to
make it). Each file holds a tiny model with random weights (`weights`, one after the other, in
the order of `names` with their `shapes`), its settings (`config`, text), a batch of mixtures and
what the model makes of it; `norms.npz` holds inputs and outputs of the normalisations.
"""

from __future__ import annotations

import argparse
import json
import warnings
from pathlib import Path

import numpy as np
import torch

warnings.filterwarnings("ignore")
SIZES = {"n_filters": 16, "kernel_size": 8, "stride": 4, "bn_chan": 8, "hid_chan": 12}
ASTEROID = {
    "asteroid_gln": {"mask_act": "relu", "skip_chan": 6},
    "asteroid_noskip_relu": {"skip_chan": 0, "encoder_activation": "relu", "n_src": 3},
    "asteroid_cln_causal": {"norm_type": "cLN", "causal": True, "skip_chan": 6},
    "asteroid_cgln_causal": {"norm_type": "cgLN", "causal": True, "skip_chan": 6},
    "asteroid_softmax": {"mask_act": "softmax", "norm_type": "cLN", "skip_chan": 6},
}
SPEECHBRAIN = {
    "speechbrain_gln": {"norm_type": "gLN", "causal": False},
    "speechbrain_gln_causal": {"norm_type": "gLN", "causal": True},
    "speechbrain_cln": {"norm_type": "cLN", "causal": False},
}
HYPERPARAMS = """\
# as in SpeechBrain's separation recipes, with small sizes
seed: 1234
__set_seed: !apply:torch.manual_seed [!ref <seed>]
data_folder: !PLACEHOLDER
output_folder: !ref results/convtasnet/<seed>
num_spks: 2
sample_rate: 8000
N_encoder_out: 16
kernel_size: 8
kernel_stride: 4
Encoder: !new:speechbrain.lobes.models.dual_path.Encoder
    kernel_size: !ref <kernel_size>
    out_channels: !ref <N_encoder_out>
MaskNet: !new:speechbrain.lobes.models.conv_tasnet.MaskNet
    N: 16
    B: 8
    H: 12
    P: 3
    X: 3
    R: 2
    C: !ref <num_spks>
    norm_type: '{norm_type}'
    causal: {causal}
    mask_nonlinear: 'relu'
Decoder: !new:speechbrain.lobes.models.dual_path.Decoder
    in_channels: !ref <N_encoder_out>
    out_channels: 1
    kernel_size: !ref <kernel_size>
    stride: !ref <kernel_stride>
    bias: False
optimizer: !name:torch.optim.Adam
    lr: 0.00015
modules:
    encoder: !ref <Encoder>
    decoder: !ref <Decoder>
    masknet: !ref <MaskNet>
"""


def shake(model: torch.nn.Module) -> None:
    """Move every parameter off its initial value (gains from 1, biases from 0)."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.2 * torch.randn_like(parameter)


def packed(state: dict[str, torch.Tensor]) -> dict[str, np.ndarray]:
    """One vector instead of a hundred small arrays, each of which costs a header."""
    return {
        "names": np.array(list(state)),
        "shapes": np.array([json.dumps(list(tensor.shape)) for tensor in state.values()]),
        "weights": torch.cat([tensor.flatten() for tensor in state.values()]).numpy(),
    }


def asteroid(mixture: torch.Tensor, options: dict) -> dict:
    from asteroid.models import ConvTasNet

    model = ConvTasNet(**{"n_src": 2, "n_blocks": 3, "n_repeats": 2, **SIZES, **options}).eval()
    shake(model)
    # What `model.serialize()` holds; the method itself would need pytorch_lightning.
    config = json.dumps({"model_name": "ConvTasNet", "model_args": model.get_model_args()})
    return {**packed(model.get_state_dict()), "config": config, "estimate": model(mixture)}


def speechbrain(mixture: torch.Tensor, options: dict) -> dict:
    from speechbrain.lobes.models.conv_tasnet import MaskNet
    from speechbrain.lobes.models.dual_path import Decoder, Encoder

    encoder, masknet = Encoder(8, 16), MaskNet(16, 8, 12, 3, 3, 2, 2, **options)
    decoder = Decoder(16, 1, 8, stride=4, bias=False)
    parts = {"encoder": encoder, "masknet": masknet.eval(), "decoder": decoder}
    state = {}
    for name, part in parts.items():
        shake(part)
        state.update({f"{name}/{key}": value for key, value in part.state_dict().items()})
    features = encoder(mixture)
    masked = features.unsqueeze(0) * masknet(features)
    estimate = torch.stack([decoder(source) for source in masked], dim=1)
    missing = mixture.shape[1] - estimate.shape[2]
    estimate = torch.nn.functional.pad(estimate, (0, missing))
    return {**packed(state), "config": HYPERPARAMS.format(**options), "estimate": estimate}


def norms() -> dict:
    """Small variances, so that the constant under the root shows."""
    from asteroid.masknn import norms as theirs

    x = 1e-3 * torch.randn(2, 5, 40) + 2e-3
    gamma, beta = torch.randn(5), torch.randn(5)
    found = {"x": x, "gamma": gamma, "beta": beta}
    for name in ("gLN", "cLN", "cgLN"):
        layer = theirs.get(name)(5)
        layer.load_state_dict({"gamma": gamma, "beta": beta})
        found[name] = layer(x)
    return found


def save(path: Path, found: dict) -> None:
    values = {k: v.numpy() if isinstance(v, torch.Tensor) else v for k, v in found.items()}
    np.savez_compressed(path, **values)
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("tests/separation/parity"))
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    mixture = torch.randn(2, 203)  # not a whole number of frames
    for name, options in ASTEROID.items():
        save(args.out / f"{name}.npz", {"mixture": mixture, **asteroid(mixture, options)})
    for name, options in SPEECHBRAIN.items():
        save(args.out / f"{name}.npz", {"mixture": mixture, **speechbrain(mixture, options)})
    save(args.out / "norms.npz", norms())


if __name__ == "__main__":
    main()
