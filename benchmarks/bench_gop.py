"""Sphinx likelihoods, alignment and GOP on one thread, against pocketsphinx's own alignment.

    python benchmarks/bench_gop.py [-C WORKDIR --set SET] [--count 100] [--rounds 3]

Real-time factors: processor seconds for a second of audio. Both sides have their models
loaded, get samples in memory, and pronounce words by pocketsphinx's dictionary. pocketsphinx
aligns twice, as its interface wants it: words first, then the phones and states of those words.
Rounds alternate, and the fastest of each counts. Without -C it generates demo speech.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import pocketsphinx
import torch

from speechkit.acoustic.align.alignment import align
from speechkit.acoustic.lexicon.dictionary import Lexicon
from speechkit.acoustic.sphinx.model import SphinxModel
from speechkit.base import audio
from speechkit.kaldi import data
from speechkit.phone_features.gop import frames_of, segment_block
from speechkit.workdir import WorkDir

OURS = ("likelihoods of all senones, phone posteriors", "alignment", "GOP, 84 dimensions")
TOTAL = "the three together"
WORDS, PHONES = "pocketsphinx: words", "pocketsphinx: words, then phones and states"


@dataclass
class Item:
    """One utterance."""

    samples: np.ndarray
    text: str

    @property
    def seconds(self) -> float:
        return len(self.samples) / 16000


def utterances(root: Path, name: str, count: int) -> list[Item]:
    """``count`` utterances, evenly over the set, whose words are all in the dictionary."""
    work = WorkDir(root)
    loaded = data.load(work.data(name), work.root)
    lexicon = Lexicon()
    step = max(1, len(loaded.utterances) // count)
    items = []
    for utterance in loaded.utterances[::step][:count]:
        text = loaded.text[utterance.id].lower()
        lexicon.words(text.split())
        if lexicon.guessed:
            lexicon.guessed.clear()
            continue
        samples, rate = audio.read(utterance.wav)
        items.append(Item(audio.resample(samples, rate, 16000), text))
    return items


def ours(items: list[Item], model: SphinxModel, lexicon: Lexicon) -> dict[str, float]:
    """Seconds of each stage."""
    spent: Counter[str] = Counter()
    for item in items:
        words = lexicon.words(item.text.split())
        times = [time.process_time()]
        evidence = model.evidence(item.samples)
        times.append(time.process_time())
        alignment = align(model, evidence, words)
        times.append(time.process_time())
        phones = [segment.phone for segment in alignment.segments]
        segment_block(model, evidence, phones, *frames_of(alignment))
        times.append(time.process_time())
        spent.update(dict(zip(OURS, np.diff(times).tolist(), strict=True)))
        spent[TOTAL] += times[-1] - times[0]
    return dict(spent)


def theirs(items: list[Item], failed: list[str]) -> dict[str, float]:
    """Seconds of pocketsphinx's alignment to words, and to words and then phones."""
    # With its best path search, which re-times the words, the second pass fails for many.
    decoder = pocketsphinx.Decoder(lm=None, bestpath=False, loglevel="FATAL")
    spent: Counter[str] = Counter()
    failed.clear()
    for item in items:
        pcm = np.rint(item.samples * 32767).astype(np.int16).tobytes()
        times = [time.process_time()]
        decoder.set_align_text(item.text)
        decode(decoder, pcm)
        times.append(time.process_time())
        try:
            decoder.set_alignment()
            decode(decoder, pcm)
            sum(1 for _ in decoder.get_alignment().phones())
        except (RuntimeError, AttributeError):
            failed.append(item.text)
        times.append(time.process_time())
        spent[WORDS] += times[1] - times[0]
        spent[PHONES] += times[2] - times[0]
    return dict(spent)


def decode(decoder: pocketsphinx.Decoder, pcm: bytes) -> None:
    decoder.start_utt()
    decoder.process_raw(pcm, full_utt=True)
    decoder.end_utt()


def load_times() -> tuple[float, float]:
    """Seconds to load the model once the files are in the cache: ours, pocketsphinx's."""
    times = []
    for load in (SphinxModel, lambda: pocketsphinx.Decoder(lm=None, loglevel="FATAL")):
        load()
        started = time.process_time()
        load()
        times.append(time.process_time() - started)
    return times[0], times[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-C", dest="dir", type=Path, help="working directory")
    parser.add_argument("--set", default="train")
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        root = args.dir or Path(scratch)
        if args.dir is None:
            words = ["prepare", "demo", "-C", scratch, "--utterances", str(2 * args.count)]
            subprocess.run([sys.executable, "-m", "speechkit", *words], check=True)
        items = utterances(root, args.set, args.count)
    model, lexicon = SphinxModel(), Lexicon()
    best: dict[str, float] = {}
    failed: list[str] = []
    for _ in range(args.rounds):
        for name, spent in {**ours(items, model, lexicon), **theirs(items, failed)}.items():
            best[name] = min(best.get(name, float("inf")), spent)
    seconds = sum(item.seconds for item in items)
    print(f"{len(items)} utterances, {seconds:.0f} s of audio, one thread\n")
    print("| | real-time factor | times pocketsphinx's phones |\n|---|---|---|")
    for name, spent in best.items():
        print(f"| {name} | {spent / seconds:.4f} | {best[PHONES] / spent:.2f} |")
    print(f"\npocketsphinx aligned no phones in {len(failed)} of {len(items)} utterances.")
    loading = load_times()
    print(f"Loading: {loading[0]:.3f} s; pocketsphinx with its dictionary {loading[1]:.3f} s.")


if __name__ == "__main__":
    main()
