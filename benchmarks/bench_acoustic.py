"""Acoustic training against the same layers run plainly: frames per second, on CPU and CUDA.

    python benchmarks/bench_acoustic.py [--quick] [--rounds 2] [--device cpu] [--threads 2]

The same random features and targets in memory, utterances of 1.5 to 12 s. `train acoustic`:
its own loop (Lightning, checkpoint, chunks of one stream, SpecAugment), in the precision that
`auto` takes here and in float32. Its peers have the same layers as Conv1d and BatchNorm1d in
float32 in a plain loop without augmentation: `batches` pads 16 utterances in random order to
the longest, `one by one` takes a step for each. Only frames of utterances count, not padding.
Rounds alternate, and the fastest of each counts. Prints ratios: above 1 is faster than the peer.
With one thread seconds are those of the processor, which other programs do not disturb.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from speechkit.acoustic.tdnn.batches import ChunkConfig, MixedChunks
from speechkit.acoustic.tdnn.config import PRESETS, LayersConfig
from speechkit.acoustic.tdnn.data import IGNORED, Stream
from speechkit.acoustic.tdnn.fit import AcousticNet
from speechkit.acoustic.tdnn.network import Tdnn, TdnnConfig, padded, resolve_acoustic_precision
from speechkit.training.batches import ResumableBatches
from speechkit.training.config import FitConfig
from speechkit.training.devices import keep_memory
from speechkit.training.loop import fit

STATES, MELS, BATCH = 126, 40, 16
WARM = 3  # steps before the clock starts
Utterances = list[tuple[Tensor, Tensor]]


def config_of(preset: LayersConfig) -> TdnnConfig:
    """The network of a size."""
    wide, taps, steps = (
        [int(part) for part in text.split(",")]
        for text in (preset.widths, preset.kernels, preset.dilations)
    )
    wide = wide * len(taps) if len(wide) == 1 else wide
    return TdnnConfig(MELS, tuple(wide), tuple(taps), tuple(steps), STATES)


def utterances(count: int) -> Utterances:
    """Features ``[T, M]`` and targets ``[T]`` whose lengths vary as in read speech."""
    rng = np.random.default_rng(0)
    lengths = (100 * np.clip(rng.lognormal(1.3, 0.45, count), 1.5, 12)).astype(int)
    draws = torch.Generator().manual_seed(0)
    return [
        (
            torch.randn(int(n), MELS, generator=draws),
            torch.randint(0, STATES, (int(n),), generator=draws),
        )
        for n in lengths
    ]


class Peer(nn.Module):
    """The layers of :class:`Tdnn`, as one would write them: "same" convolutions over time."""

    def __init__(self, config: TdnnConfig) -> None:
        super().__init__()
        inputs = (config.n_mels, *config.widths[:-1])
        shapes = zip(inputs, config.widths, config.kernels, config.dilations, strict=True)
        self.convs = nn.ModuleList(
            nn.Conv1d(a, b, k, dilation=d, padding=(k - 1) * d // 2) for a, b, k, d in shapes
        )
        self.norms = nn.ModuleList(nn.BatchNorm1d(width) for width in config.widths)
        self.dropout = nn.Dropout1d(config.dropout)
        self.output = nn.Linear(config.widths[-1], config.outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = x.transpose(1, 2)
        for conv, norm in zip(self.convs, self.norms, strict=True):
            y = torch.relu(norm(conv(x)))
            x = self.dropout(y + x if x.shape == y.shape else y)
        return self.output(x.transpose(1, 2))


def clock(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    # One thread's own time: other programs do not disturb it.
    alone = device.type == "cpu" and torch.get_num_threads() == 1
    return time.process_time() if alone else time.perf_counter()


def plain_loop(
    config: TdnnConfig, data: Utterances, steps: int, device: torch.device, size: int
) -> float:
    """Frames a second of a peer that takes ``size`` utterances a step."""
    model = Peer(config).to(device).train()
    adam = torch.optim.AdamW(model.parameters(), lr=1e-3)
    order = np.random.default_rng(1).permutation(len(data))
    frames, start = 0, 0.0
    for step in range(steps + WARM):
        if step == WARM:
            frames, start = 0, clock(device)
        own = [data[order[(step * size + k) % len(data)]] for k in range(size)]
        x = nn.utils.rnn.pad_sequence([features for features, _ in own], batch_first=True)
        y = nn.utils.rnn.pad_sequence(
            [targets for _, targets in own], batch_first=True, padding_value=IGNORED
        )
        logits = model(x.to(device)).flatten(0, 1)
        loss = nn.functional.cross_entropy(logits, y.to(device).flatten(), ignore_index=IGNORED)
        adam.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        adam.step()
        frames += sum(len(targets) for _, targets in own)
    return frames / (clock(device) - start)


def stream_of(data: Utterances, reach: int) -> Stream:
    """The utterances as `train acoustic` keeps them."""
    features = torch.cat([padded(x, reach) for x, _ in data]).half()
    targets = [nn.functional.pad(y, (reach, reach), value=IGNORED) for _, y in data]
    return Stream(features, torch.cat(targets).short(), [], {})


def own_loop(
    config: TdnnConfig, data: Utterances, steps: int, device: torch.device, precision: str
) -> float:
    """Frames a second of `train acoustic`."""
    chunks = MixedChunks([[stream_of(data, config.reach)]], [1.0], None, ChunkConfig(200, BATCH),
                         config.reach, 0)  # fmt: skip
    per_epoch = len(chunks) // BATCH
    epochs = -(-(steps + WARM) // per_epoch)
    times, frames = [], []

    def watched(step: int) -> Iterator[Any]:
        order = ResumableBatches(len(chunks), BATCH, epochs, 0, step)
        for x, y in chunks.batches(order):
            times.append(clock(device))
            frames.append(int((y >= 0).sum()))
            yield x, y

    net = AcousticNet(Tdnn(config), 0.01, [], [True] * (STATES // 3))
    net.measure = lambda: {"loss": 0.0}  # type: ignore[method-assign]
    settings = FitConfig(epochs, 1e-3, 5.0, 0, "loss", precision, 1e6, 0, batches=steps + WARM)
    with tempfile.TemporaryDirectory() as folder:
        where = Path(folder)
        fit(net, watched, settings, per_epoch=10**9, device=device, label="",
            checkpoint=where / "x.ckpt", tensorboard=where / "tb")  # fmt: skip
    # The batch of the last recorded time has only begun by then (Lightning asks one ahead).
    last = min(len(times), steps + WARM) - 1
    return sum(frames[WARM:last]) / (times[last] - times[WARM])


def compare(name: str, device: torch.device, steps: int, rounds: int) -> None:
    config = config_of(PRESETS[name])
    data = utterances(600)
    auto = resolve_acoustic_precision("auto", device)
    runs: dict[str, Callable[[], float]] = {
        f"train acoustic, {auto}": lambda: own_loop(config, data, steps, device, auto),
        "train acoustic, 32-true": lambda: own_loop(config, data, steps, device, "32-true"),
        "peer, batches": lambda: plain_loop(config, data, steps, device, BATCH),
        "peer, one by one": lambda: plain_loop(config, data, 4 * steps, device, 1),
    }
    best = dict.fromkeys(runs, 0.0)
    for _ in range(rounds):
        for kind, run in runs.items():
            best[kind] = max(best[kind], run())
    print(f"{name} on {device} ({torch.get_num_threads()} threads): frames a second")
    for kind, value in best.items():
        print(f"  {kind:28} {value:12,.0f}")
    for own in list(best)[:-2]:
        for peer in list(best)[-2:]:
            print(f"  {own} / {peer}: {best[own] / best[peer]:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a few steps: only whether it runs")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=0, help="of each run; default by size")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto",
                        help="auto: the CPU, and CUDA where there is one")  # fmt: skip
    parser.add_argument("--only", choices=tuple(PRESETS))
    parser.add_argument("--threads", type=int, default=0)
    given = parser.parse_args()
    if given.threads:
        torch.set_num_threads(given.threads)
    devices = ["cpu"] if given.device != "cuda" else []
    if given.device != "cpu" and torch.cuda.is_available():
        devices.append("cuda")
    for device in map(torch.device, devices):
        keep_memory(device)
        for name in [given.only] if given.only else PRESETS:
            many = 200 if device.type == "cuda" else 60 if name == "tdnn-small" else 12
            steps = given.steps or (3 if given.quick else many)
            compare(name, device, steps, 1 if given.quick else given.rounds)


if __name__ == "__main__":
    main()
