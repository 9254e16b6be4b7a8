"""A small grammar of English sentences, for generated speech."""

from __future__ import annotations

import random

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
