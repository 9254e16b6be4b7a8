"""``speechkit train acoustic``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from speechkit.cli import options


def train_acoustic(
    name: Annotated[str, typer.Option(help="Of the model: exp/acoustic/NAME.")] = "tdnn",
    set_name: Annotated[
        str, typer.Option("--set", help="The set to train on, or several: A,B.")
    ] = "train",
    weights: Annotated[
        str, typer.Option(help="How often each set is drawn, relative to its size; default 1,1 ...")
    ] = "",
    align: Annotated[
        str,
        typer.Option(
            help="The alignment exp/align/SET-ALIGN (one name for all sets, or one for each); "
            "default exp/align/SET."
        ),
    ] = "",
    held_out: Annotated[
        str, typer.Option(help="Sets to measure in the end: A,B (aligned before).")
    ] = "",
    held_out_align: Annotated[
        Optional[str],  # noqa: UP045 - Typer evaluates this at run time
        typer.Option(help="Their alignments; default as --align of the first set."),
    ] = None,
    init: Annotated[
        str, typer.Option(help="Start from the networks of this acoustic model, fold by fold.")
    ] = "",
    folds: Annotated[
        int, typer.Option(min=0, help="Folds of speakers; 0: one network of all speakers only.")
    ] = 2,
    full: Annotated[bool, typer.Option(help="Also train a network on all speakers.")] = True,
    unseen: Annotated[
        str, typer.Option(help="Who scores new speakers: mean (of the folds) or full.")
    ] = "mean",
    min_score: Annotated[
        float, typer.Option(help="Do not learn from phones scored lower (sets with scores).")
    ] = 1.5,
    sample_rate: Annotated[int, typer.Option(help="In Hz.")] = 16_000,
    n_mels: Annotated[int, typer.Option(help="Log mel features per frame.")] = 40,
    normalise: Annotated[
        str, typer.Option(help="Of each utterance: mean, mean-variance or none.")
    ] = "mean",
    model: Annotated[
        str,
        typer.Option(
            help="Size: tdnn-small (6 layers, 0.95 M parameters) or tdnn (11 layers, 8.2 M)."
        ),
    ] = "tdnn-small",
    widths: Annotated[
        str,
        typer.Option(
            help="Outputs of each layer, one number for all; default of the model: 240 "
            "(tdnn: ten of 540, one of 256)."
        ),
    ] = "",
    kernels: Annotated[
        str,
        typer.Option(
            help="Taps of each layer; default of the model: 5,3,3,3,3,3 "
            "(tdnn: 5,3,3,3,3,3,3,3,3,3,1)."
        ),
    ] = "",
    dilations: Annotated[
        str,
        typer.Option(
            help="Frames between the taps of each layer; default of the model: 1,1,2,3,3,6 "
            "(tdnn: 1,1,2,3,3,3,3,3,3,3,1)."
        ),
    ] = "",
    dropout: Annotated[float, typer.Option(help="Share of channels left out.")] = 0.1,
    residual: Annotated[bool, typer.Option(help="Add a layer's input to its output.")] = True,
    epochs: Annotated[int, typer.Option(help="Passes over the data.")] = 10,
    batch_size: Annotated[int, typer.Option(help="Chunks per step.")] = 16,
    chunk: Annotated[int, typer.Option(help="Frames of a chunk.")] = 200,
    learning_rate: Annotated[
        float, typer.Option(help="Peak of warm-up and cosine decay (AdamW).")
    ] = 2e-3,
    weight_decay: Annotated[float, typer.Option(help="Of AdamW.")] = 0.01,
    clip: Annotated[float, typer.Option(help="Largest L2 norm of the gradient.")] = 5.0,
    speeds: Annotated[
        str, typer.Option(help="Speed perturbation; each chunk takes one; 1.0: none.")
    ] = "0.9,1.0,1.1",
    freq_masks: Annotated[int, typer.Option(help="Masks over filters in each chunk.")] = 2,
    freq_width: Annotated[int, typer.Option(help="Most filters of a mask.")] = 6,
    time_masks: Annotated[int, typer.Option(help="Masks over frames in each chunk.")] = 1,
    time_width: Annotated[int, typer.Option(help="Most frames of a mask.")] = 12,
    realign: Annotated[
        int, typer.Option(help="Align the sets by the networks and train on, so many times.")
    ] = 0,
    realign_epochs: Annotated[int, typer.Option(help="Epochs of each time.")] = 4,
    realign_learning_rate: Annotated[float, typer.Option(help="Peak rate of each time.")] = 1e-3,
    prior_scale: Annotated[
        float, typer.Option(help="Weight of the states' prior in their scores.")
    ] = 1.0,
    lm_scale: Annotated[
        float, typer.Option(help="Weight of the phone bigram in free phone decoding (measures).")
    ] = 4.0,
    insertion_penalty: Annotated[
        float, typer.Option(help="Of each phone in free phone decoding (measures), in nats.")
    ] = 2.0,
    precision: Annotated[
        str,
        typer.Option(help="auto (bf16 on CUDA and CPUs that have it), 32, bf16, 16 (CUDA only)."),
    ] = "auto",
    checkpoint_minutes: Annotated[
        float, typer.Option(help="Save the state this often, besides every epoch.")
    ] = 5.0,
    seed: options.Seed = 0,
    directory: options.Dir = Path("."),
    device: options.Device = "auto",
    jobs: options.Jobs = 0,
    force: options.Force = False,
    continue_: options.Continue = False,
    as_json: options.Json = False,
    config: options.Config = None,
) -> None:
    """Train a TDNN to tell the states of an alignment apart, cross-fitted over speakers.

    Network k never meets the speakers of fold k, whom it scores later. Writes
    exp/acoustic/NAME/. A killed run is taken up by the same command. Several processes train
    one model under torchrun.
    """
    from speechkit.acoustic.features import FeatureConfig
    from speechkit.acoustic.tdnn import train as tdnn_training
    from speechkit.acoustic.tdnn.batches import ChunkConfig
    from speechkit.acoustic.tdnn.network import TdnnConfig
    from speechkit.acoustic.tdnn.presets import preset
    from speechkit.acoustic.tdnn.settings import AcousticConfig
    from speechkit.cli.output import print_summary
    from speechkit.training.devices import ranks
    from speechkit.workdir import WorkDir

    size = preset(model)
    taps = options.numbers("kernels", kernels or size.kernels, int)
    wide = options.numbers("widths", widths or size.widths, int)
    wanted = AcousticConfig(
        set_name=set_name,
        align=align,
        weights=options.numbers("weights", weights, float) if weights else (),
        held_out=held_out,
        held_out_align=held_out_align,
        realign=realign,
        realign_epochs=realign_epochs,
        realign_learning_rate=realign_learning_rate,
        lm_scale=lm_scale,
        insertion_penalty=insertion_penalty,
        init=init,
        folds=folds,
        full=full,
        unseen=unseen,
        prior_scale=prior_scale,
        min_score=min_score,
        features=FeatureConfig(sample_rate, n_mels, normalise=normalise),
        network=TdnnConfig(
            n_mels=n_mels,
            widths=wide * len(taps) if len(wide) == 1 else wide,
            kernels=taps,
            dilations=options.numbers("dilations", dilations or size.dilations, int),
            dropout=dropout,
            residual=residual,
        ),
        chunks=ChunkConfig(chunk, batch_size, freq_masks, freq_width, time_masks, time_width),
        speeds=options.numbers("speeds", speeds, float),
        epochs=epochs,
        learning_rate=learning_rate,
        weight_decay=weight_decay,
        clip=clip,
        precision=precision,
        seed=seed,
    )
    folder = tdnn_training.train(
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
