"""``speechkit train acoustic``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

from speechkit.acoustic.tdnn.config import AcousticConfig, preset
from speechkit.cli import options
from speechkit.cli.options import (
    OUTPUT,
    CheckpointMinutes,
    Continue,
    Device,
    Dir,
    Force,
    Jobs,
    Json,
    Option,
)


@dataclass(frozen=True)
class LayerFlags:
    """Size of the acoustic network, by name or layer by layer.

    Model:
        model: Size: tdnn-small (6 layers, 0.95 M parameters) or tdnn (11 layers, 8.2 M).
        widths: Outputs of each layer, one number for all; default of the model: 240 (tdnn: ten of
            540, one of 256).
        kernels: Taps of each layer; default of the model: 5,3,3,3,3,3 (tdnn:
            5,3,3,3,3,3,3,3,3,3,1).
        dilations: Frames between the taps of each layer; default of the model: 1,1,2,3,3,6 (tdnn:
            1,1,2,3,3,3,3,3,3,3,1).
    """

    model: str = "tdnn-small"
    widths: str = ""
    kernels: str = ""
    dilations: str = ""

    def apply(self, config: AcousticConfig) -> AcousticConfig:
        """The configuration with these layers."""
        size = preset(self.model)
        kernels = options.numbers("kernels", self.kernels or size.kernels, int)
        widths = options.numbers("widths", self.widths or size.widths, int)
        network = replace(
            config.network,
            n_mels=config.features.n_mels,
            widths=widths * len(kernels) if len(widths) == 1 else widths,
            kernels=kernels,
            dilations=options.numbers("dilations", self.dilations or size.dilations, int),
        )
        return replace(config, network=network)


ModelName = Annotated[
    str, Option("tdnn", "--name", panel=OUTPUT, help="Name of the model: exp/acoustic/NAME.")
]


def train_acoustic(
    acoustic: AcousticConfig,
    layers: LayerFlags,
    name: ModelName,
    directory: Dir,
    device: Device,
    jobs: Jobs,
    force: Force,
    continue_: Continue,
    as_json: Json,
    checkpoint_minutes: CheckpointMinutes = 5.0,
) -> None:
    """Train a TDNN to classify the states of an alignment, cross-fitted over speakers.

    Network k is not trained on the speakers of fold k, and later scores only them. Writes
    exp/acoustic/NAME/. A killed run is taken up by the same command. Several processes train
    one model under torchrun.
    """
    from speechkit.acoustic.tdnn.train import train
    from speechkit.cli.output import print_summary
    from speechkit.training.devices import ranks

    folder = train(
        directory,
        name,
        layers.apply(acoustic),
        device=device,
        jobs=jobs,
        checkpoint_minutes=checkpoint_minutes,
        force=force,
        other_batch_size=continue_,
    )
    if not ranks().rank:
        print_summary(folder, as_json)
