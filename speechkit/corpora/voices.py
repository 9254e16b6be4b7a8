"""Invented speakers for espeak-ng, evenly spread over what tells voices apart; their sentences."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

# Median f0 in Hz and length of the vocal tract as a factor on all formants; the ranges of
# the two genders overlap a little, as they do in people.
_F0_HZ = {"m": (95.0, 165.0), "f": (150.0, 255.0)}
_FORMANTS = {"m": (0.84, 1.06), "f": (1.0, 1.24)}
_ACCENTS = (
    "en-us", "en", "en-us-nyc", "en-gb-scotland", "en-us",
    "en-gb-x-rp", "en-029", "en-gb-x-gbclan", "en-us", "en-gb-x-gbcwmd",
)  # fmt: skip

_WORDS = {
    "who": "my sister|the old sailor|our teacher|a young farmer|the tall doctor|his uncle|"
    "the baker|her neighbour|a quiet student|the captain|the painter|your cousin|the nurse|"
    "a tired driver|the gardener|their daughter|the judge|a famous singer|the mayor|my friend",
    "thing": "a wooden chair|the yellow kite|a heavy basket|the broken clock|a silver spoon|"
    "the blue bicycle|a small mirror|the paper map|a woollen jacket|the green bottle|"
    "a leather purse|the garden gate|a box of matches|the kitchen table|a jar of honey|"
    "the birthday cake|a bag of apples|the garage key|a cup of tea|the heavy hammer",
    "did": "carried|painted|found|borrowed|lost|cleaned|repaired|sold|noticed|brought|hid|"
    "measured|wanted|opened|dropped|bought|moved|chose|touched|forgot",
    "do": "carry|paint|find|borrow|lose|clean|repair|sell|notice|bring|hide|measure|want|"
    "open|drop|buy|move|choose|touch|forget",
    "where": "near the harbour|behind the school|in the village|under the bridge|by the river|"
    "at the market|across the street|beside the church|in the kitchen|on the hill|"
    "outside the library|along the beach|in the forest|at the station|below the window|"
    "inside the barn",
    "when": "last summer|before breakfast|on Thursday|after the storm|at noon|this morning|"
    "every evening|late at night|in October|during the winter|yesterday|before sunrise|"
    "after school|on Sunday|in the afternoon|at six o'clock",
    "animal": "the black dog|a grey horse|the little fox|a white goose|the hungry bear|"
    "a brown rabbit|the lazy cat|a small owl|the clever monkey|a wild goat|the spotted cow|"
    "an angry bee",
    "went": "jumped|ran|walked|slept|waited|hid|played|rested|wandered|stood|looked around|"
    "sat down",
    "weather": "cold|windy|warm|foggy|cloudy|bright|stormy|quiet|rainy|frosty",
    "number": "two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty",
    "things": "letters|oranges|candles|windows|pictures|boats|children|flowers|shoes|books|"
    "birds|eggs|pencils|travellers",
}
_CHOICES = {name: words.split("|") for name, words in _WORDS.items()}
_PATTERNS = (
    "{who} {did} {thing} {where}.",
    "{when}, {who} {did} {thing}.",
    "did {who} {do} {thing} {where}?",
    "{animal} {went} {where} {when}.",
    "it was {weather} {where}, and {who} {did} {thing}.",
    "please {do} {thing} before {who} comes home.",
    "there were {number} {things} {where} {when}.",
    "why did {animal} wait for {who} {where}?",
    "{who} {did} {number} {things} {when}.",
    "when it is {weather}, {who} and {who} stay at home.",
    "{who} said that {animal} {went} {where}.",
    "we saw {number} {things} and {thing} {when}.",
)


@dataclass(frozen=True)
class Voice:
    """One speaker.

    Args:
        speaker: id, which is also the name of the voice file.
        gender: ``m`` or ``f``.
        accent: language of espeak-ng (``en`` is its British English).
        rate: words per minute.
        pitch_range: liveliness, 0 to 100.
        f0: typical pitch in Hz.
        formants: factors on the frequencies of formants 0 to 8.
        strengths: percent of the usual amplitude of formants 0 to 8.
        widths: percent of the usual bandwidth of formants 0 to 8.
        tone: gain in percent at 0.6, 1.2, 2 and 3 kHz (spectral tilt).
        breath: noise in formants 1 to 8.
        flutter: slow unsteadiness of pitch.
        roughness: alternation of neighbouring periods, 0 to 7.
        stress: lengthening of unstressed and stressed syllables.
    """

    speaker: str
    gender: str
    accent: str
    rate: int
    pitch_range: int
    f0: float
    formants: tuple[float, ...]
    strengths: tuple[int, ...]
    widths: tuple[int, ...]
    tone: tuple[int, ...]
    breath: tuple[int, ...]
    flutter: int
    roughness: int
    stress: tuple[int, int]

    def file(self) -> str:
        """The voice as a voice variant of espeak-ng."""
        gains = " ".join(
            f"{hz} {gain}" for hz, gain in zip((600, 1200, 2000, 3000), self.tone, strict=True)
        )
        low, high = self.stress
        lines = [
            "language variant",
            f"name {self.speaker}",
            f"gender {'female' if self.gender == 'f' else 'male'}",
            f"pitch {round(0.73 * self.f0)} {round(1.08 * self.f0)}",
            f"flutter {self.flutter}",
            f"roughness {self.roughness}",
            f"tone {gains}",
            f"breath 0 {' '.join(map(str, self.breath))}",
            f"stressAdd {low} {low} {low} {low} 0 0 {high} {high}",
        ]
        for number, (scale, strength, width) in enumerate(
            zip(self.formants, self.strengths, self.widths, strict=True)
        ):
            lines.append(f"formant {number} {round(100 * scale)} {strength} {width}")
        return "\n".join(lines) + "\n"


def make_voices(count: int, seed: int) -> list[Voice]:
    """``count`` different speakers, female and male in turn (``f01``, ``m01``, ``f02``, ...).

    Pitch, vocal tract, rate and liveliness each step through their range evenly, each in an
    order of its own, so that no two speakers of a gender are alike in one of them.
    """
    voices = []
    rng = random.Random(f"voices/{seed}")
    sizes = {"f": (count + 1) // 2, "m": count // 2}
    ladders = {
        gender: [rng.sample(range(size), size) for _ in range(4)] for gender, size in sizes.items()
    }
    for index in range(count):
        gender = "fm"[index % 2]
        steps = [ladder[index // 2] / max(1, sizes[gender] - 1) for ladder in ladders[gender]]
        accent = _ACCENTS[(index // 2 + (gender == "m")) % len(_ACCENTS)]
        voices.append(_make_voice(f"{gender}{index // 2 + 1:02d}", gender, accent, steps, seed))
    return voices


def _make_voice(speaker: str, gender: str, accent: str, steps: list[float], seed: int) -> Voice:
    """One voice from its steps (0 to 1) of pitch, vocal tract, rate and liveliness."""
    rng = random.Random(f"voice/{seed}/{speaker}")
    f0_low, f0_high = _F0_HZ[gender]
    short, long = _FORMANTS[gender]
    tract = short + steps[1] * (long - short)
    airy = rng.choice((0, 0, 1, 2, 4))
    tilt = rng.uniform(-1, 1)
    return Voice(
        speaker=speaker,
        gender=gender,
        accent=accent,
        rate=round(140 + 45 * steps[2]),
        pitch_range=round(30 + 45 * steps[3]),
        f0=f0_low * math.exp(steps[0] * math.log(f0_high / f0_low)),
        formants=tuple(tract * rng.uniform(0.94, 1.06) for _ in range(9)),
        strengths=tuple(round(100 * rng.uniform(0.75, 1.15)) for _ in range(9)),
        widths=tuple(round(100 * rng.uniform(0.8, 1.6)) for _ in range(9)),
        tone=tuple(round(130 * math.exp(-0.25 * k + 0.35 * tilt * k)) for k in range(4)),
        breath=tuple(airy + rng.randint(0, 1) for _ in range(8)) if airy else (0,) * 8,
        flutter=rng.randint(1, 9),
        roughness=rng.randint(0, 3),
        stress=(rng.randint(-25, 10), rng.randint(0, 60)),
    )


def make_sentences(count: int, seed: int) -> list[str]:
    """``count`` different sentences, the same for the same seed.

    Returns:
        Sentences in lower case but for names of days and months, with punctuation.
    """
    rng = random.Random(f"sentences/{seed}")
    found: dict[str, None] = {}
    while len(found) < count:
        pattern = rng.choice(_PATTERNS)
        while "{" in pattern:
            slot = pattern[pattern.index("{") : pattern.index("}") + 1]
            pattern = pattern.replace(slot, rng.choice(_CHOICES[slot[1:-1]]), 1)
        found[pattern] = None
    return list(found)


def transcript(sentence: str) -> str:
    """The words of a sentence in capitals, without punctuation, as corpora print them."""
    return "".join(c for c in sentence.upper() if c.isalpha() or c in " '")
