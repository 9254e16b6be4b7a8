"""Training the scorer: batched words against a loop over words, five seeds in one run.

    python benchmarks/bench_scoring.py [--utterances 1000] [--quick]

Made-up features in the shape of real ones: 1000 utterances of about 20 phones in 7 words, 256
columns; the paper's scorer, batches of 16. The loop has PyTorch's own layers (nn.Linear,
nn.LayerNorm, nn.MultiheadAttention) with the same weights, calls them once for every word, and
steps torch.optim.AdamW; its loss must agree to 1e-5. Both on one thread, in processor seconds.
Seeds: five one after another against five together, on one thread, in processor seconds.
And as whole commands: `train scoring --seeds 1` five times against
`--seeds 5` once, with the default settings, from starting the program to the finished folders.
"""

from __future__ import annotations

import argparse
import math
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from speechkit.kaldi import data
from speechkit.kaldi.ark import ArkWriter
from speechkit.labels.phones import ARPABET
from speechkit.labels.score_files import write_scores
from speechkit.labels.scores import Scores
from speechkit.phone_features.feature_folder import PhoneRow, write_config, write_rows
from speechkit.scoring.batches import Batches
from speechkit.scoring.config import ScoringConfig
from speechkit.scoring.data import ScoringSet
from speechkit.scoring.models import ScorerConfig
from speechkit.scoring.seeds import Group, begin, stacked, statistics
from speechkit.training.devices import keep_memory

COLUMNS, BATCH, SEEDS = 256, 16, 5
CPU = torch.device("cpu")


def make(utterances: int) -> ScoringSet:
    """A set whose words have as many phones as English ones: mostly two or three."""
    draw = np.random.default_rng(0)
    sizes = [draw.geometric(0.35, max(1, draw.poisson(7))).clip(1, 12) for _ in range(utterances)]
    count = int(sum(size.sum() for size in sizes))
    found = ScoringSet("made", [str(u) for u in range(utterances)], ["s"] * utterances)
    found.features = draw.standard_normal((count, COLUMNS)).astype(np.float32)
    found.phones = [str(phone) for phone in draw.choice(ARPABET, count)]
    found.first = np.cumsum([0, *(size.sum() for size in sizes)])
    found.first_word = np.cumsum([0, *(len(size) for size in sizes)])
    found.words = np.repeat(np.arange(found.first_word[-1]), np.concatenate(sizes))
    found.labels = draw.random(utterances).astype(np.float32)
    return found


class Loop(nn.Module):
    """The scorer with PyTorch's layers, one word at a time."""

    def __init__(self, of: nn.Module, width: int = 32, heads: int = 4) -> None:
        super().__init__()
        self.register_buffer("mean", of.mean[0])
        self.register_buffer("std", of.std[0])
        self.phone = nn.Parameter(of.phone[0].detach().clone())
        self.project = nn.Linear(COLUMNS, width)
        self.word, self.utterance = nn.Linear(width, width), nn.Linear(width, width)
        self.score = nn.Linear(width, 1)
        for name in ("norm_frame", "norm_phone", "norm_sentence"):
            setattr(self, name, nn.LayerNorm(width))
        for name in ("phone_attention", "word_attention"):
            setattr(self, name, nn.MultiheadAttention(width, heads, batch_first=True))
        theirs = dict(of.named_parameters())
        renamed = {"in_proj_": "qkv.", "out_proj": "out"}
        with torch.no_grad():
            for name, value in self.named_parameters():
                for own, other in renamed.items():
                    name = name.replace(own, other)
                value.copy_(theirs[name][0])

    def forward(self, features: Tensor, phones: Tensor, words: list[int]) -> Tensor:
        """Score of an utterance: features ``[P, D]``, phone ids, and phones of each word."""
        gelu = nn.functional.gelu
        x = gelu(self.norm_frame(self.project((features - self.mean) / self.std)))
        x, found = x + self.phone[phones], []
        for part in x.split(words):
            part = part[None]
            part = part + self.phone_attention(part, part, part, need_weights=False)[0]
            found.append(gelu(self.word(self.norm_phone(part).mean(1))))
        w = torch.cat(found)[None]
        w = w + self.word_attention(w, w, w, need_weights=False)[0]
        u = gelu(self.utterance(w.mean(1)))
        return self.score(self.norm_sentence(u)).sigmoid()[0, 0]


def loop_epoch(net: Loop, optimizer: torch.optim.Optimizer, found: ScoringSet, count: int) -> float:
    """Processor seconds of ``count`` utterances, word by word; the first loss is kept."""
    ids = torch.from_numpy(found.phone_ids)
    features, labels = torch.from_numpy(found.features), torch.from_numpy(found.labels)
    spans = [slice(*found.first[u : u + 2]) for u in range(count)]
    words = [np.unique(found.words[s], return_counts=True)[1].tolist() for s in spans]
    begun = time.process_time()
    for start in range(0, count, BATCH):
        some = range(start, min(start + BATCH, count))
        scores = torch.stack([net(features[spans[u]], ids[spans[u]], words[u]) for u in some])
        loss = (scores - labels[start : start + len(scores)]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if not start:
            net.first_loss = loss.item()
    return time.process_time() - begun


def group(found: ScoringSet, batches: Batches, seeds: list[int], epochs: int) -> Group:
    """Seeds to be trained together."""
    config, count = ScorerConfig(COLUMNS), len(found.utterances)
    inputs = statistics(found.features)
    net = stacked(config, [begin(config, seed, inputs) for seed in seeds])
    plan = ScoringConfig(epochs=epochs, batch_size=BATCH, learning_rate=1e-3)
    pools = torch.arange(count).expand(len(seeds), -1)
    return Group(plan, net, batches, pools, {}, seeds, CPU, (1, 2))


def clocked(run: Callable[[], object], clock: Callable[[], float]) -> float:
    begun = clock()
    run()
    return clock() - begun


def words(found: ScoringSet, batches: Batches, rounds: int, loop_utterances: int) -> None:
    made = group(found, batches, [0], 10_000)
    loop = Loop(made.net)
    batch = batches.batch(torch.arange(BATCH)[None])
    loss = (made.net(batch) - batch.labels).square().mean().item()
    optimizer = torch.optim.AdamW(loop.parameters(), lr=1e-3)
    stop, batched, looped = threading.Event(), [], []
    loop_epoch(loop, optimizer, found, BATCH)
    assert abs(loss - loop.first_loss) < 1e-5, (loss, loop.first_loss)
    for _ in range(rounds):
        looped.append(loop_epoch(loop, optimizer, found, loop_utterances))
        batched.append(clocked(lambda: made.advance(1, stop), time.process_time))
    count = len(found.utterances)
    whole = min(looped) * count / loop_utterances
    said = "" if loop_utterances == count else f" (from {loop_utterances} utterances)"
    print(f"an epoch of {count} utterances, {found.first_word[-1]} words, one thread:")
    print(f"  word by word  {whole:7.2f} s{said}")
    print(f"  batched       {min(batched):7.2f} s   {whole / min(batched):.0f} times")


def seeds(found: ScoringSet, batches: Batches, epochs: int, rounds: int) -> None:
    stop, numbers = threading.Event(), list(range(SEEDS))
    best = {"alone": math.inf, "together": math.inf}
    for _ in range(rounds):
        for name, lists in (("alone", [[n] for n in numbers]), ("together", [numbers])):
            groups = [group(found, batches, some, epochs) for some in lists]
            begun = time.process_time()
            for one in groups:
                one.advance(epochs, stop)
            best[name] = min(best[name], (time.process_time() - begun) / epochs)
    print(f"an epoch of {SEEDS} seeds, one thread:")
    print(f"  one after another  {best['alone']:7.2f} s")
    ratio = best["alone"] / best["together"]
    print(f"  together           {best['together']:7.2f} s   {ratio:.1f} times")


def write(root: Path, found: ScoringSet) -> None:
    """The set as a working directory has it."""
    names = [f"s{u % 50:02d}-{u:05d}" for u in range(len(found.utterances))]
    folder, deep = root / "data/train", root / "exp/deep/train"
    folder.mkdir(parents=True)
    deep.mkdir(parents=True)
    data.write(folder, {n: f"{n}.wav" for n in names}, {n: n[:3] for n in names})
    scores = (10 * found.labels).round().tolist()
    write_scores(folder, Scores({n: {"total": v} for n, v in zip(names, scores, strict=True)}))
    rows = {}
    with ArkWriter(deep / "deep.ark", deep / "deep.scp") as writer:
        for u, name in enumerate(names):
            first, last = found.first[u : u + 2]
            writer.write(name, found.features[first:last])
            word = found.words[first:last] - found.first_word[u]
            phones = found.phones[first:last]
            rows[name] = [
                PhoneRow(k, int(w), f"W{w}", phone, 0.1 * k, 0.1, -1.0, -0.5)
                for k, (w, phone) in enumerate(zip(word, phones, strict=True))
            ]
    write_rows(deep / "rows.tsv", rows.items())
    columns = [f"made:deep_{k}" for k in range(COLUMNS)]
    write_config(
        deep, {"columns": columns, "blocks": [], "am": ["made"], "method": "deep",
               "level": "phone", "fingerprint": "made"}
    )  # fmt: skip


def commands(found: ScoringSet, rounds: int) -> None:
    with tempfile.TemporaryDirectory() as place:
        root, best = Path(place), {"alone": math.inf, "together": math.inf}
        write(root, found)
        for number in range(rounds):
            for name, calls in (
                ("alone", [("1", str(seed)) for seed in range(SEEDS)]),
                ("together", [(str(SEEDS), "0")]),
            ):
                begun = time.perf_counter()
                for count, first in calls:
                    subprocess.run(
                        [sys.executable, "-m", "speechkit", "train", "scoring", "-C", place,
                         "--name", f"{name}{number}", "--seeds", count, "--seed", first],
                        check=True, capture_output=True,
                    )  # fmt: skip
                best[name] = min(best[name], time.perf_counter() - begun)
    print(f"whole commands, {SEEDS} seeds, seconds of the clock:")
    print(f"  one after another  {best['alone']:7.1f} s")
    ratio = best["alone"] / best["together"]
    print(f"  together           {best['together']:7.1f} s   {ratio:.1f} times")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--utterances", type=int, default=1000)
    parser.add_argument("--epochs", type=int, default=3, help="of the seeds")
    parser.add_argument("--rounds", type=int, default=3, help="the fastest counts")
    parser.add_argument("--quick", action="store_true", help="the loop on a tenth, two rounds")
    args = parser.parse_args()
    torch.set_num_threads(1)
    keep_memory(CPU)
    found = make(args.utterances)
    batches = Batches(found)
    rounds = 2 if args.quick else args.rounds
    part = max(BATCH, args.utterances // 10) if args.quick else args.utterances
    words(found, batches, rounds, min(part, args.utterances))
    commands(found, 1 if args.quick else rounds)
    seeds(found, batches, 2 if args.quick else args.epochs, rounds)


if __name__ == "__main__":
    main()
