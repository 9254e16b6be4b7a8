"""``speechkit train separation``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from speechkit.cli import options

Size = Annotated[
    Optional[str],  # noqa: UP045 - Typer evaluates this at run time
    typer.Option("--model", help="full, light or tiny.", show_default="light, or as --init"),
]


def _number(letter: str, text: str) -> typer.models.OptionInfo:
    return typer.Option(help=f"{letter}: {text}.", show_default="of --model")


def _word(text: str) -> typer.models.OptionInfo:
    return typer.Option(help=text, show_default="of --model")


Int = Optional[int]  # noqa: UP045
Str = Optional[str]  # noqa: UP045


def train_separation(
    name: Annotated[str, typer.Option(help="Of the experiment: exp/separation/NAME.")] = "default",
    set_name: Annotated[
        str, typer.Option("--set", help="Utterances to mix, or (static) a set of mixtures.")
    ] = "train",
    valid_set: Annotated[
        str, typer.Option(help="Mixtures that select the epoch; they fix rate and speakers.")
    ] = "dev_2mix",
    dynamic_mixing: Annotated[
        bool, typer.Option("--dynamic-mixing/--static", help="New mixtures in every epoch.")
    ] = True,
    hard: Annotated[
        str, typer.Option(help="Hard pairs to mix with probability --ps: a folder of exp/hard.")
    ] = "",
    ps: Annotated[float, typer.Option(help="P_S: share of pairs replaced by hard ones.")] = 0.3,
    loss: Annotated[
        str, typer.Option(help="si-snr, or wsi-snr: the worst of a batch weigh most (WTL).")
    ] = "si-snr",
    weighted_validation: Annotated[
        bool,
        typer.Option(
            "--weighted-validation/--plain-validation",
            help="Select the epoch by the rank-weighted loss (WVL); both best are kept.",
        ),
    ] = False,
    init: Annotated[
        str, typer.Option(help="Start from a model: of ours, Asteroid or SpeechBrain.")
    ] = "",
    size: Size = None,
    filters: Annotated[Int, _number("N", "functions of the basis")] = None,
    kernel: Annotated[Int, _number("L", "samples of a basis function")] = None,
    stride: Annotated[Int, _number("Hop", "samples between frames, 0 for L / 2")] = None,
    bottleneck: Annotated[Int, _number("B", "channels between blocks")] = None,
    skip: Annotated[Int, _number("Sc", "channels of the skip path, 0 for none")] = None,
    hidden: Annotated[Int, _number("H", "channels in a block")] = None,
    conv_kernel: Annotated[Int, _number("P", "taps of the depthwise convolution")] = None,
    blocks: Annotated[Int, _number("X", "blocks of a repeat")] = None,
    repeats: Annotated[Int, _number("R", "repeats")] = None,
    norm: Annotated[Str, _word("gLN, cLN or chLN.")] = None,
    input_norm: Annotated[Str, _word("Norm before the bottleneck, if another.")] = None,
    padding: Annotated[Str, _word("Of the depthwise convolutions: zeros or reflect.")] = None,
    encoder_relu: Annotated[
        Optional[bool],  # noqa: UP045
        typer.Option(
            "--encoder-relu/--encoder-linear", help="Rectify the basis.", show_default="linear"
        ),
    ] = None,
    mask: Annotated[Str, _word("relu, sigmoid, softmax or linear.")] = None,
    causal: Annotated[
        Optional[bool],  # noqa: UP045
        typer.Option("--causal/--non-causal", help="See no future frames.", show_default="no"),
    ] = None,
    segment: Annotated[float, typer.Option(help="Seconds of a training mixture.")] = 4.0,
    gain_mode: Annotated[
        str, typer.Option(help="each: a gain for every audio; pair: one SNR for the pair.")
    ] = "each",
    gain_min: Annotated[float, typer.Option(help="Lowest gain in dB.")] = -5.0,
    gain_max: Annotated[float, typer.Option(help="Highest gain in dB.")] = 5.0,
    normalize: Annotated[
        bool,
        typer.Option("--normalize/--stored-levels", help="Equal levels before the gains."),
    ] = True,
    speeds: Annotated[
        str, typer.Option(help="Speed perturbation: factors to draw from, as 0.95,1.0,1.05.")
    ] = "1.0",
    epochs: Annotated[int, typer.Option(help="Most epochs.")] = 100,
    epoch_size: Annotated[
        int, typer.Option(min=0, help="Mixtures of an epoch; 0: as many as utterances.")
    ] = 0,
    batch_size: Annotated[int, typer.Option(help="Mixtures of a step (all processes).")] = 8,
    learning_rate: Annotated[float, typer.Option(help="Of Adam.")] = 1e-3,
    clip: Annotated[float, typer.Option(help="Largest L2 norm of the gradient.")] = 5.0,
    halve_after: Annotated[
        int, typer.Option(min=0, help="Halve the rate after so many epochs without gain; 0: never.")
    ] = 5,
    patience: Annotated[
        int, typer.Option(min=0, help="Stop after so many epochs without gain; 0: never.")
    ] = 30,
    precision: Annotated[
        str, typer.Option(help="auto (bf16 on CUDA, 32 on CPU), 32, bf16, or 16 (CUDA only).")
    ] = "auto",
    compiled: Annotated[
        bool,
        typer.Option("--compile", help="torch.compile (CUDA): minutes at the start, faster steps."),
    ] = False,
    checkpoint_minutes: Annotated[
        float, typer.Option(help="Save the state this often, besides every epoch.")
    ] = 10.0,
    seed: options.Seed = 0,
    directory: options.Dir = Path("."),
    device: options.Device = "auto",
    jobs: options.Jobs = 2,
    force: options.Force = False,
    continue_: options.Continue = False,
    as_json: options.Json = False,
    config: options.Config = None,
) -> None:
    """Train Conv-TasNet on mixtures of a set, hard pairs among them.

    Writes exp/separation/NAME/seedN/ with the plain-best and the weighted-best checkpoint. A
    killed run is taken up by the same command; torchrun trains on several devices.
    """
    from speechkit.cli.output import print_summary
    from speechkit.separation import training
    from speechkit.separation.settings import plan
    from speechkit.training.devices import ranks
    from speechkit.workdir import WorkDir

    network = {
        "filters": filters,
        "kernel": kernel,
        "stride": stride,
        "bottleneck": bottleneck,
        "skip": skip,
        "hidden": hidden,
        "conv_kernel": conv_kernel,
        "blocks": blocks,
        "repeats": repeats,
        "norm": norm,
        "input_norm": input_norm,
        "padding": padding,
        "encoder_relu": encoder_relu,
        "mask": mask,
        "causal": causal,
    }
    wanted = plan(
        WorkDir(directory),
        size=size,
        network=network,
        mixing={
            "segment": segment,
            "gain_mode": gain_mode,
            "gain_min": gain_min,
            "gain_max": gain_max,
            "normalize": normalize,
            "speeds": options.numbers("speeds", speeds, float),
            "ps": ps if hard else 0.0,
        },
        set_name=set_name,
        valid_set=valid_set,
        dynamic=dynamic_mixing,
        epochs=epochs,
        epoch_size=epoch_size,
        batch_size=batch_size,
        learning_rate=learning_rate,
        clip=clip,
        halve_after=halve_after,
        patience=patience,
        loss=loss,
        weighted_validation=weighted_validation,
        hard=hard,
        init=init,
        precision=precision,
        compiled=compiled,
        seed=seed,
    )
    folder = training.train(
        WorkDir(directory),
        name,
        wanted,
        device=device,
        jobs=options.resolve_jobs(jobs),
        checkpoint_minutes=checkpoint_minutes,
        force=force,
        other_batch_size=continue_,
    )
    if not ranks().rank:
        print_summary(folder, as_json)
