"""``speechkit extract-hidden``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from speechkit.base.config import Flag
from speechkit.cli.options import Device, Dir, Force, Jobs, Json, OnError


@dataclass(frozen=True)
class HiddenFlags:
    """Which hidden states.

    Data:
        set_name: Labelled set.
        max_seconds: Longest clip in seconds; of a longer one only the middle is taken.
    Model:
        upstream: Encoder of Hugging Face, by hub name or folder.
        layers: last, weighted (all of them), or the number of a layer.
        pooling: Pooling of the heads to come: mean and sum need less than max, attentive.
    """

    upstream: str
    set_name: Annotated[str, Flag("set")] = "ravdess"
    layers: str = "last"
    pooling: str = "mean"
    max_seconds: float = 30.0


def extract_hidden(
    flags: HiddenFlags,
    on_error: OnError,
    directory: Dir,
    device: Device,
    force: Force,
    as_json: Json,
    jobs: Jobs = 1,
) -> None:
    """Keep the hidden states of a frozen encoder, so that heads train in seconds.

    Writes exp/hidden/SET-ENCODER.../. `train emotion --freeze encoder` does it by itself.
    """
    from speechkit.base.errors import require_choice
    from speechkit.cli.output import print_pairs
    from speechkit.emotion import hidden
    from speechkit.emotion.config import encoder_config
    from speechkit.emotion.data import form_of
    from speechkit.labels.emotions import load
    from speechkit.training.devices import resolve_device

    require_choice("on_error", on_error, ("stop", "skip"))
    # refuses what no head can use
    encoder_config("frozen", {"layers": flags.layers, "pooling": flags.pooling})
    found = hidden.extract(
        directory,
        load(directory, flags.set_name),
        hidden.HiddenConfig(
            flags.upstream, flags.layers, form_of(flags.pooling), flags.max_seconds
        ),
        device=resolve_device(device).type,
        jobs=jobs,
        on_error=on_error,
        force=force,
    )
    told = {
        "folder": str(found.folder),
        "clips": len(found.first),
        "skipped": len(found.skipped),
        "shape": list(found.values.shape),
        "megabytes": round(found.values.nbytes / 1e6, 1),
    }
    print_pairs("Hidden states", told, as_json)
