"""The demo corpus: generated English speech of many different voices, made on the spot.

It stands in for a corpus in the quick start, the tests and continuous integration. It is
not speech of people, and results on it say nothing about people.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from speechkit.base import audio
from speechkit.base.audio_container import write_wav
from speechkit.base.errors import ConfigError
from speechkit.base.log import counted, logger
from speechkit.base.parallel import map_items
from speechkit.corpora import espeak
from speechkit.corpora.common import CorpusSet, Item
from speechkit.corpora.config import DemoConfig
from speechkit.corpora.voices import Voice, make_sentences, make_voices, transcript
from speechkit.corpora.write import SetSummary, read_summary, write_tables
from speechkit.workdir import Output, WorkDir

NOTICE = (
    "Generated speech (espeak-ng), not recordings of people: "
    "for trying speechkit out, not for results."
)
SAMPLE_RATE = 16000
SETS = ("train", "dev", "test")
MIN_SPEAKERS, MAX_SPEAKERS, MAX_UTTERANCES = 6, 96, 20000
_RECIPE = 1  # raised when the sound changes, so that older sets are not taken for up to date

_SILENCE_DB = -40.0  # trimmed where quieter than this, relative to the loudest 10 ms
_MARGIN_S = 0.1  # kept around the speech
_LEVEL_DB = (-27.0, -23.0)  # RMS of an utterance relative to full scale, drawn per utterance
_NOISE_DB = -75.0  # background: log energies of digital silence would be infinite


@dataclass(frozen=True)
class SpeakerTask:
    """All sentences of one speaker.

    Args:
        data_folder: voices for espeak-ng.
    """

    voice: Voice
    requests: dict[str, espeak.Request]
    data_folder: Path
    wav_folder: Path


def prepare(
    work: WorkDir,
    config: DemoConfig | None = None,
    *,
    jobs: int = 1,
    force: bool = False,
) -> list[SetSummary]:
    """Write the sets ``train``, ``dev`` and ``test``, no speaker in two of them.

    Args:
        config: how much. Half of the speakers are female, a sixth each are in dev and test; the
            same seed gives the same voices, sentences and bytes.
        force: replace sets that other parameters made.

    Raises:
        UserError: too few or too many speakers or utterances.
    """
    config = config or DemoConfig()
    utterances, speakers, seed = config.utterances, config.speakers, config.seed
    _check_counts(utterances, speakers)
    logger.info(NOTICE)
    params = {
        **asdict(config),
        "espeak_ng": espeak.version(),
        "recipe": _RECIPE,
    }
    planned, requests = plan(utterances, speakers, seed)
    with ExitStack() as stack:
        pending: list[tuple[Output, CorpusSet]] = []
        for made in planned:
            key: dict[str, Any] = {**params, "set": made.name}
            out = Output(work.root / "data" / made.name, "prepare demo", key, force=force)
            if not stack.enter_context(out).up_to_date:
                out.notes["notice"] = NOTICE
                pending.append((out, made))
        if pending:
            _make(pending, make_voices(speakers, seed), requests, jobs)
    return [read_summary(work.root / "data" / name) for name in SETS]


def _make(
    pending: Sequence[tuple[Output, CorpusSet]],
    voices: Sequence[Voice],
    requests: dict[str, espeak.Request],
    jobs: int,
) -> None:
    """Speak and write sets, all in one parallel map over their speakers."""
    seconds: dict[str, float] = {}
    folder = pending[0][0].part("voices")  # removed with the unfinished output, also a dead run's
    folder.mkdir()
    espeak.make_data_folder(folder, {voice.speaker: voice.file() for voice in voices})
    by_speaker = {voice.speaker: voice for voice in voices}
    tasks = []
    for out, made in pending:
        wav_folder = out.path / "wav"
        wav_folder.mkdir()
        for speaker in made.gender:
            ids = [item.utterance for item in made.items if item.speaker == speaker]
            asked = {utterance: requests[utterance] for utterance in ids}
            tasks.append(SpeakerTask(by_speaker[speaker], asked, folder, wav_folder))
    for done in map_items(
        speak_all,
        tasks,
        jobs=jobs,
        name=lambda task: task.voice.speaker,
        size=lambda task: len(task.requests),
        label="prepare demo",
    ):
        seconds.update(done.value or {})
    for out, made in pending:
        own = {item.utterance: seconds[item.utterance] for item in made.items}
        summary = write_tables(out.path, made, own, {})
        out.counts.update({k: v for k, v in vars(summary).items() if k != "set"})


def _check_counts(utterances: int, speakers: int) -> None:
    if not MIN_SPEAKERS <= speakers <= MAX_SPEAKERS:
        raise ConfigError(
            "speakers",
            f"{speakers} is not possible.",
            f"Accepted: {MIN_SPEAKERS} to {MAX_SPEAKERS} (at least two in each of three sets).",
        )
    if not speakers <= utterances <= MAX_UTTERANCES:
        raise ConfigError(
            "utterances",
            f"{utterances} is not possible with {counted(speakers, 'speaker')}.",
            f"Accepted: {speakers} (one each) to {MAX_UTTERANCES}.",
        )


def plan(
    utterances: int, speakers: int, seed: int
) -> tuple[list[CorpusSet], dict[str, espeak.Request]]:
    """Who says what in which set: the sets, and what to ask of espeak-ng for each utterance."""
    voices = make_voices(speakers, seed)
    sentences = make_sentences(utterances, seed)
    small = max(2, round(speakers / 6))
    names = ["dev"] * small + ["test"] * small
    names = ["train"] * (speakers - len(names)) + names
    sets = {name: CorpusSet(name, []) for name in SETS}
    requests: dict[str, espeak.Request] = {}
    for index, (voice, name) in enumerate(zip(voices, names, strict=True)):
        sets[name].gender[voice.speaker] = voice.gender
        for number, sentence in enumerate(sentences[index::speakers], 1):
            utterance = f"{voice.speaker}-{number:04d}"
            path = Path("data") / name / "wav" / f"{utterance}.wav"
            sets[name].items.append(Item(utterance, path, voice.speaker, transcript(sentence)))
            requests[utterance] = _request(voice, sentence, f"{seed}/{utterance}")
    return list(sets.values()), requests


def _request(voice: Voice, sentence: str, key: str) -> espeak.Request:
    """A sentence as a speaker happens to say it this time."""
    rng = random.Random(f"manner/{key}")
    return espeak.Request(
        text=sentence,
        voice=f"{voice.accent}+{voice.speaker}",
        rate=round(voice.rate * rng.uniform(0.92, 1.08)),
        pitch=round(50 + rng.uniform(-6, 6)),
        pitch_range=round(voice.pitch_range * rng.uniform(0.85, 1.15)),
    )


def speak_all(task: SpeakerTask) -> dict[str, float]:
    """Speak and store all sentences of a speaker; utterance -> seconds."""
    spoken = espeak.speak(list(task.requests.values()), task.data_folder)
    seconds = {}
    for utterance, raw in zip(task.requests, spoken, strict=True):
        samples = finish(np.frombuffer(raw, "<i2").astype(np.float32) / 32768, utterance)
        write_wav(task.wav_folder / f"{utterance}.wav", samples, SAMPLE_RATE)
        seconds[utterance] = len(samples) / SAMPLE_RATE
    return seconds


def finish(samples: np.ndarray, key: str) -> np.ndarray:
    """From espeak-ng's samples ``[T]`` at 22050 Hz to the utterance at 16 kHz, int16.

    Trims silence, draws a level, adds faint noise; ``key`` fixes the draws.
    """
    sound = trim(audio.resample(samples, espeak.SAMPLE_RATE, SAMPLE_RATE), SAMPLE_RATE)
    level = random.Random(f"level/{key}").uniform(*_LEVEL_DB)
    noise = np.random.default_rng(list(key.encode())).standard_normal(len(sound))
    sound = sound * (10 ** (level / 20) / np.sqrt(np.mean(sound**2)))
    sound = sound * min(1.0, 0.9 / np.abs(sound).max()) + 10 ** (_NOISE_DB / 20) * noise
    return np.rint(sound * 32767).astype(np.int16)


def trim(samples: np.ndarray, rate: int) -> np.ndarray:
    """Cut silence off both ends of ``[T]``, but for a margin of a tenth of a second.

    Silence is what lies 40 dB below the loudest 10 ms. Where there is less of it than the
    margin, zeros are added.
    """
    step, margin = rate // 100, round(_MARGIN_S * rate)
    count = len(samples) // step
    power = (samples[: count * step].reshape(count, step) ** 2).mean(axis=1)
    loud = np.flatnonzero(power > power.max() * 10 ** (_SILENCE_DB / 10))
    first, last = int(loud[0]) * step, (int(loud[-1]) + 1) * step
    return np.pad(samples, margin)[first : last + 2 * margin]
