"""Sizes of the acoustic network by name (no PyTorch here: the command line shows them)."""

from __future__ import annotations

from dataclasses import dataclass

from speechkit.base.errors import require_choice


@dataclass(frozen=True)
class Preset:
    """Layers of a network, as their flags say them.

    Args:
        widths: outputs of each layer; one number is for all layers.
        kernels: taps of each layer.
        dilations: frames between the taps of each layer.
    """

    widths: str
    kernels: str
    dilations: str


PRESETS = {
    "tdnn-small": Preset("240", "5,3,3,3,3,3", "1,1,2,3,3,6"),
    # The size of the acoustic model of Lin and Wang, Interspeech 2021 (11 layers, features of
    # 256; its shape is not published): 8,168,790 parameters with 126 states, 8,165,047 there.
    "tdnn": Preset(
        ",".join(["540"] * 10 + ["256"]), "5,3,3,3,3,3,3,3,3,3,1", "1,1,2,3,3,3,3,3,3,3,1"
    ),
}


def preset(name: str) -> Preset:
    """The layers of ``model``.

    Raises:
        UserError: there is no such model.
    """
    require_choice("model", name, tuple(PRESETS))
    return PRESETS[name]
