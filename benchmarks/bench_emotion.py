"""Emotion training against Hugging Face's Trainer, caching against computing again, two cores.

    python benchmarks/bench_emotion.py [--steps 16] [--rounds 2] [--only finetune] [--quick]

The Trainer needs the package `accelerate`; without it what it takes part in is left out, and
said. One random
wav2vec2 of 3.7 million parameters, the same head, the same clips in memory, the same batches of
4 with accumulation over 2; the Trainer has the encoder as Hugging Face ships it. Rounds
alternate, and the fastest of each counts. Prints ratios: above 1 is faster than the peer. With
`--threads 1` seconds are those of the processor, which other programs do not disturb.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from speechkit.emotion import encoder_network
from speechkit.emotion.config import EncoderConfig, encoder_config
from speechkit.emotion.data import Clips, Vectors
from speechkit.emotion.encoder_network import EncoderNet
from speechkit.emotion.encoders import load_encoder
from speechkit.emotion.heads import Classifier
from speechkit.emotion.hidden import Hidden
from speechkit.emotion.train_encoder import Finetuning, HeadTraining
from speechkit.training.batches import LengthBatches
from speechkit.training.config import FitConfig
from speechkit.training.devices import keep_memory, resolve_precision
from speechkit.training.loop import fit

RATE, CLASSES = 16_000, 8
clock = time.perf_counter
# cuda, where gpu.sh runs this
DEVICE = torch.device(os.environ.get("SPEECHKIT_BENCH_DEVICE", "cpu"))
LENGTHS = {  # seconds: those of RAVDESS's clips, and those of a corpus of free speech
    "acted, 3.0 to 5.3 s": lambda g: np.clip(g.normal(3.7, 0.34), 3.0, 5.3),
    "free, 1 to 10 s": lambda g: np.clip(g.lognormal(1.15, 0.55), 1.0, 10.0),
}


def write_encoder(folder: Path) -> Path:
    """A small wav2vec2 with the real convolutions' strides (group norm, as base models)."""
    from transformers import Wav2Vec2Config, Wav2Vec2Model

    torch.manual_seed(0)
    config = Wav2Vec2Config(
        hidden_size=256, num_hidden_layers=4, num_attention_heads=4, intermediate_size=1024,
        conv_dim=(128,) * 7, num_conv_pos_embeddings=64, num_conv_pos_embedding_groups=16,
        layerdrop=0.0, mask_time_prob=0.0, mask_feature_prob=0.0,
    )  # fmt: skip
    Wav2Vec2Model(config).save_pretrained(folder)
    return folder


class Memory(Clips):
    """Clips of noise that are in memory already."""

    def __init__(self, count: int, draw: Callable[[Any], float]) -> None:
        generator = np.random.default_rng(1)
        self.waves = [
            generator.standard_normal(int(RATE * draw(generator))).astype(np.float32)
            for _ in range(count)
        ]
        self.ids = [str(k) for k in range(count)]
        self.targets = np.arange(count) % CLASSES
        self.lengths = [len(wave) / RATE for wave in self.waves]
        self.rate, self.convolved = RATE, None


class Plain(nn.Module):
    """The same network for the Trainer: Hugging Face's encoder, masked mean, the paper's head."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        from transformers import AutoModel

        self.encoder = AutoModel.from_pretrained(folder)
        self.encoder.feature_extractor._freeze_parameters()
        self.classifier = Classifier(self.encoder.config.hidden_size, 0, CLASSES, dropout=0.1)

    def forward(self, input_values: Any, attention_mask: Any, labels: Any) -> dict[str, Any]:
        frames = self.encoder(input_values, attention_mask=attention_mask)[0]
        lengths = self.encoder._get_feat_extract_output_lengths(attention_mask.sum(1))
        logits = self.classifier(frames, lengths.tolist())
        return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}


def collate(items: list[Any]) -> dict[str, torch.Tensor]:
    """The Trainer's way: pad to the longest of the batch, with a mask."""
    longest = max(len(item["input_values"]) for item in items)
    values = torch.zeros(len(items), longest)
    mask = torch.zeros(len(items), longest, dtype=torch.long)
    for row, on, item in zip(values, mask, items, strict=True):
        row[: len(item["input_values"])] = torch.from_numpy(item["input_values"])
        on[: len(item["input_values"])] = 1
    labels = torch.tensor([item["labels"] for item in items])
    return {"input_values": values, "attention_mask": mask, "labels": labels}


class Times:
    """When steps of the optimizer began: the first is left out, so starting does not count."""

    def __init__(self, steps: int) -> None:
        self.steps, self.began, self.seconds = steps, 0.0, 0.0
        self.done = 0

    def step(self) -> None:
        """Called after each step."""
        self.done += 1
        if self.done == 1:
            self.began = clock()
        if self.done == self.steps:
            self.seconds = (clock() - self.began) * self.steps / (self.steps - 1)


def trainer_seconds(
    model: nn.Module, samples: list[Any], config: EncoderConfig, steps: int, collator: Any,
    folder: Path, **more: Any,
) -> float:  # fmt: skip
    """Seconds of so many steps under Hugging Face's Trainer."""
    from transformers import Trainer, TrainerCallback, TrainingArguments

    times = Times(steps)

    class Clock(TrainerCallback):
        def on_step_end(self, *arguments: Any, **named: Any) -> None:
            times.step()

    arguments = TrainingArguments(
        output_dir=str(folder), max_steps=steps, per_device_train_batch_size=config.batch_size,
        gradient_accumulation_steps=config.accumulate, learning_rate=config.learning_rate,
        weight_decay=config.weight_decay, max_grad_norm=config.clip, logging_steps=10**6,
        save_strategy="no", report_to=[], use_cpu=DEVICE.type == "cpu",
        disable_tqdm=True, log_level="error",
        remove_unused_columns=False, dataloader_pin_memory=False, **more,
    )  # fmt: skip
    Trainer(
        model=model, args=arguments, train_dataset=samples, data_collator=collator,
        callbacks=[Clock()],
    ).train()  # fmt: skip
    return times.seconds


class Quiet:
    """No validation: only steps are timed."""

    def measure(self) -> dict[str, float]:
        return {"valid_loss": 0.0, "valid_accuracy": 0.0, "valid_uar": 0.0}


class QuietFinetuning(Quiet, Finetuning):
    pass


class QuietHead(Quiet, HeadTraining):
    pass


def our_seconds(
    model: Any, loader: Any, config: EncoderConfig, steps: int, folder: Path, quiet: bool = False
) -> float:
    """Seconds of so many steps of ours."""
    batches = steps * config.accumulate
    how = {"precision": resolve_precision(config.precision, DEVICE), "checkpoint_minutes": 10.0}
    settings = FitConfig.of(
        config, **how, seed=0, batches=batches + 1, unit="step", find_unused=True, quiet=quiet
    )  # one batch more than is timed
    times = Times(steps)
    loss, number = model.loss, count()

    def timed(batch: Any) -> torch.Tensor:
        index = next(number)
        if index and index % config.accumulate == 0:  # a step has just ended
            times.step()
        return loss(batch)

    model.loss = timed
    (folder / "last.ckpt").unlink(missing_ok=True)
    fit(
        model, loader, settings, per_epoch=batches + 1, device=DEVICE,
        checkpoint=folder / "last.ckpt", tensorboard=folder / "tb", label="",
    )  # fmt: skip
    return times.seconds


def finetune(folder: Path, steps: int, rounds: int) -> None:
    """Steps of fine-tuning: the Trainer, ours with the same batches, ours with buckets."""
    source = write_encoder(folder / "encoder")
    for name, draw in LENGTHS.items():
        clips = Memory(256, draw)
        samples = [
            {"input_values": wave, "input_ids": wave, "labels": int(target)}  # ids: for lengths
            for wave, target in zip(clips.waves or (), clips.targets, strict=True)
        ]
        config = encoder_config("paper", {})
        times: dict[str, list[float]] = {}
        for _ in range(rounds):
            for buckets in (False, True):
                encoder = load_encoder(str(source))
                net = EncoderNet(encoder, Classifier(encoder.size, 0, CLASSES, dropout=0.1))
                encoder_network.set_up(encoder, config)
                clips = Memory(256, draw)
                clips.convolve(encoder, DEVICE)  # once for all epochs, as training does
                model = QuietFinetuning(net, config, [1] * CLASSES, clips)

                batches = partial(LengthBatches, clips.lengths, 4, 10, 0, buckets)
                loader = clips.loader(batches, 0, DEVICE)
                key = "ours, buckets" if buckets else "ours, same batches"
                times.setdefault(key, []).append(our_seconds(model, loader, config, steps, folder))
            order = [
                i for batch in LengthBatches(clips.lengths, 4, 10, 0, False) for *_, i in batch
            ]
            same = [samples[i] for i in order]
            for key, given, how in (
                ("Trainer", same, "sequential"),
                ("Trainer, grouped", samples, "group_by_length"),
            ):
                seconds = trainer_seconds(
                    Plain(source), given, config, steps, collate, folder,
                    train_sampling_strategy=how,
                )  # fmt: skip
                times.setdefault(key, []).append(seconds)
        report(f"fine-tuning, {name}", times, "Trainer", steps)


def heads(folder: Path, rounds: int, steps: int) -> None:
    """Training a head on kept vectors: the Trainer against ours, 1152 clips of 768 numbers."""
    generator = np.random.default_rng(0)
    values = generator.standard_normal((1152, 768)).astype(np.float32)
    ids = [str(k) for k in range(len(values))]
    targets = np.arange(len(values)) % CLASSES
    cache = Hidden(folder, values, {u: k for k, u in enumerate(ids)}, dict.fromkeys(ids, 1),
                   "mean", {})  # fmt: skip
    config = encoder_config("frozen", {})
    vectors = Vectors(cache.clips(ids, "mean"), targets, DEVICE, pooled=True)
    labels = torch.from_numpy(targets)
    samples = [
        {"vectors": torch.from_numpy(v), "labels": int(t)}
        for v, t in zip(values, targets, strict=True)
    ]

    class Head(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.classifier = Classifier(768, 0, CLASSES, dropout=0.2)

        def forward(self, vectors: Any, labels: Any) -> dict[str, Any]:
            logits = self.classifier(vectors, None)
            return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}

    times: dict[str, list[float]] = {"Trainer": [], "ours": []}
    for _ in range(rounds):
        net = Classifier(768, 0, CLASSES, dropout=0.2)
        model = QuietHead(net, config, [1] * CLASSES, vectors)

        def loader(step: int) -> Any:
            for batch in LengthBatches(vectors.lengths, 32, 60, 0, False, start=step):
                indices = [index for _, _, index in batch]
                yield *vectors.batch(indices), labels[torch.as_tensor(indices)]

        times["ours"].append(our_seconds(model, loader, config, steps, folder, True))
        seconds = trainer_seconds(Head(), samples, config, steps, None, folder)
        times["Trainer"].append(seconds)
    report(f"a head on kept vectors, {steps} steps of 32", times, "Trainer", steps)


def caching(folder: Path, rounds: int, count: int) -> None:
    """An epoch of a head with a frozen encoder: computing again against kept vectors."""
    source = write_encoder(folder / "encoder-2")
    clips = Memory(count, LENGTHS["acted, 3.0 to 5.3 s"])
    encoder = load_encoder(str(source))
    net = EncoderNet(encoder, Classifier(encoder.size, 0, CLASSES))
    order = np.argsort(clips.lengths).tolist()
    parts = [order[i : i + 8] for i in range(0, len(order), 8)]
    times: dict[str, list[float]] = {}
    for _ in range(rounds):
        began = clock()
        vectors = []
        for part in parts:
            waves, lengths, labels = clips.batch(part)
            with torch.no_grad():
                frames, counts = encoder(waves, lengths)
            vectors.append((net.classifier.pool(frames, counts), labels))
            nn.functional.cross_entropy(net.classifier(frames, counts), labels).backward()
        times.setdefault("computed again", []).append(clock() - began)
        began = clock()
        for pooled, labels in vectors:
            nn.functional.cross_entropy(net.classifier(pooled, None), labels).backward()
        times.setdefault("kept", []).append(clock() - began)
    report("an epoch of a head, frozen encoder", times, "computed again", len(parts))


def functionals(folder: Path, rounds: int, count: int) -> None:
    """eGeMAPS of many clips: two processes against one (with the time that they take to start)."""
    import shutil

    import soundfile

    from speechkit.emotion import features
    from speechkit.kaldi import data as kaldi
    from speechkit.labels import emotions as data
    from speechkit.workdir import WorkDir

    place = folder / "data" / "set"
    (place / "wav").mkdir(parents=True)
    clips = Memory(count, LENGTHS["acted, 3.0 to 5.3 s"])
    wavs, speakers, labels = {}, {}, {}
    for k, wave in enumerate(clips.waves or ()):
        name = f"s{k % 4}-{k:03d}"
        soundfile.write(place / "wav" / f"{name}.wav", 0.1 * wave, RATE)
        wavs[name], speakers[name] = f"data/set/wav/{name}.wav", f"s{k % 4}"
        labels[name] = f"class{k % 3}"
    kaldi.write(place, wavs, speakers, utt2emotion=labels)
    workdir = WorkDir(folder)
    dataset = data.load(workdir, "set")
    times: dict[str, list[float]] = {}
    for _ in range(rounds):
        for jobs, name in ((1, "one process"), (2, "two processes")):
            shutil.rmtree(folder / "exp", ignore_errors=True)
            began = time.perf_counter()
            features.extract(workdir, dataset, "egemaps", jobs=jobs)
            times.setdefault(name, []).append(time.perf_counter() - began)
    report(f"eGeMAPS of {count} clips", times, "one process", count)


def report(what: str, times: dict[str, list[float]], peer: str, units: int) -> None:
    """Fastest round of each, and how many times the peer's speed it is."""
    print(f"\n{what}")
    for name, seconds in times.items():
        best = min(seconds)
        print(
            f"  {name:20s} {best:8.2f} s {units / best:9.2f} /s   x {min(times[peer]) / best:.2f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--steps", type=int, default=16, help="of fine-tuning")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=0, help="of PyTorch; 0: all")
    parser.add_argument("--only", default="finetune,heads,caching,functionals")
    parser.add_argument("--quick", action="store_true", help="a few steps: only whether it runs")
    arguments = parser.parse_args()
    quick = arguments.quick
    rounds, steps = (1, 3) if quick else (arguments.rounds, arguments.steps)
    if arguments.threads == 1:
        global clock
        clock = time.process_time
    torch.set_num_threads(arguments.threads or len(os.sched_getaffinity(0)))
    keep_memory(DEVICE)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for name in arguments.only.split(","):
            if name in ("finetune", "heads") and find_spec("accelerate") is None:
                print(f"\n{name}: left out, it needs: pip install accelerate")
            elif name == "finetune":
                finetune(folder, steps, rounds)
            elif name == "heads":
                heads(folder, rounds, 60 if quick else 1080)
            elif name == "caching":
                caching(folder, rounds, 16 if quick else 96)
            else:
                functionals(folder, rounds, 32 if quick else 960)


if __name__ == "__main__":
    main()
