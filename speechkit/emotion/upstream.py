"""What is put in front of a classifier: named feature sets, a network, or a speech encoder.

A spec is ``egemaps`` or ``compare16`` (a vector per clip), ``fbank-cnn`` (a network that is
trained from scratch), or anything else: a self-supervised encoder by hub name or folder.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np

from speechkit.base.errors import UserError

if TYPE_CHECKING:
    import torch

FUNCTIONALS = ("egemaps", "compare16")
CNN = "fbank-cnn"
KINDS = ("functionals", CNN, "encoder")


def kind_of(spec: str) -> str:
    """``functionals``, ``fbank-cnn`` or ``encoder``."""
    if spec in FUNCTIONALS:
        return "functionals"
    return CNN if spec == CNN else "encoder"


@runtime_checkable
class Upstream(Protocol):
    """What all upstreams have.

    Attributes:
        spec: the name that it was loaded by.
        sample_rate: in Hz, of the audio that it takes.
    """

    spec: str
    sample_rate: int


@runtime_checkable
class VectorUpstream(Upstream, Protocol):
    """One vector per clip.

    Attributes:
        names: of its D values.
    """

    names: tuple[str, ...]

    def vector(self, samples: np.ndarray) -> np.ndarray:
        """Float32 ``[D]`` of mono samples ``[T]`` at ``sample_rate``."""
        ...


def load_upstream(spec: str, device: torch.device | str = "cpu") -> Upstream:
    """Load an upstream model.

    Args:
        spec: see above.
        device: where an encoder computes.

    Raises:
        UserError: no such feature set, or an encoder that is not there.
    """
    kind = kind_of(spec)
    if kind == "functionals":
        from speechkit.emotion.functionals import Functionals

        return Functionals(spec)
    if kind == CNN:
        raise UserError(
            f"'{CNN}' is trained from scratch: there is nothing to load before.",
            f"Train it with: speechkit train emotion --upstream {CNN}",
        )
    from speechkit.emotion.encoders import load_encoder

    return load_encoder(spec, device)
