"""Speech for gpu.sh: sets of at most so many seconds at 8 kHz, with made-up scores and emotions.

    python benchmarks/gpu_pack.py FOLDER --from WORKDIR --set train=fit --set test=test

Utterances are taken from all speakers in turn. Scores and emotions are made up from the order of
the durations, because any numbers do to see whether a training computes the same on two devices.
"""

from __future__ import annotations

import argparse
from itertools import zip_longest
from pathlib import Path

import soundfile

from speechkit.base import audio
from speechkit.kaldi import data
from speechkit.labels.score_files import write_scores
from speechkit.labels.scores import Scores
from speechkit.workdir import WorkDir

RATE = 8000
EMOTIONS = ("calm", "happy", "sad")


def choose(found: data.DataDir, seconds: float) -> list[data.Utterance]:
    """Utterances of all speakers in turn, until there are so many seconds."""
    by_speaker: dict[str, list[data.Utterance]] = {}
    for one in found.utterances:
        by_speaker.setdefault(one.speaker, []).append(one)
    chosen, total = [], 0.0
    for turn in zip_longest(*by_speaker.values()):
        for one in filter(None, turn):
            if total < seconds:
                chosen.append(one)
                total += (audio.info(one.wav).seconds if one.end is None else one.end) - one.start
    return sorted(chosen, key=lambda one: one.id)


def pack(root: Path, name: str, found: data.DataDir, seconds: float) -> None:
    """Write the set ``name``: audio as FLAC, tables, scores and emotions."""
    folder, sound = root / "data" / name, root / "audio" / name
    folder.mkdir(parents=True)
    sound.mkdir(parents=True)
    chosen, lengths = choose(found, seconds), {}
    for one in chosen:
        samples, _ = audio.read(one.wav, RATE, one.start, one.end)
        soundfile.write(sound / f"{one.id}.flac", samples, RATE)
        lengths[one.id] = len(samples)
    order = sorted(lengths, key=lambda key: lengths[key])
    speakers = {one.id: one.speaker for one in chosen}
    data.write(
        folder,
        {key: f"audio/{name}/{key}.flac" for key in lengths},
        speakers,
        text={key: found.text[key] for key in lengths if key in found.text},
        spk2gender={s: g for s, g in found.gender.items() if s in speakers.values()},
        utt2emotion={key: EMOTIONS[place % len(EMOTIONS)] for place, key in enumerate(order)},
    )
    totals = {key: {"total": round(10 * place / len(order))} for place, key in enumerate(order)}
    write_scores(folder, Scores(utterances=totals))
    print(f"{name}: {len(chosen)} utterances, {sum(lengths.values()) / RATE:.0f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--from", dest="source", type=Path, required=True, help="working directory")
    parser.add_argument("--set", action="append", required=True, help="NAME=SET of the directory")
    parser.add_argument("--seconds", type=float, default=900, help="of each set")
    args = parser.parse_args()
    work = WorkDir(args.source)
    for each in args.set:
        name, _, taken = each.partition("=")
        pack(args.folder, name, data.load(work.data(taken), work.root), args.seconds)


if __name__ == "__main__":
    main()
