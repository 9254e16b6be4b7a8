"""Letters to ARPAbet through espeak-ng."""

import random
import subprocess
import sys

import pytest

from speechkit.acoustic.lexicon import dictionary as lexicon
from speechkit.acoustic.lexicon import g2p
from speechkit.base.errors import UserError
from speechkit.labels.phones import ARPABET, pure


@pytest.mark.parametrize(
    ("word", "phones"),
    [
        ("hello", "HH AH0 L OW1"),
        ("bird", "B ER1 D"),
        ("little", "L IH1 T AH0 L"),
        ("button", "B AH1 T AH0 N"),
        ("fire", "F AY1 ER0"),
        ("judge", "JH AH1 JH"),
        ("church", "CH ER1 CH"),
        ("vision", "V IH1 ZH AH0 N"),
        ("singing", "S IH1 NG IH0 NG"),
        ("car", "K AA1 R"),
        ("hurry", "HH ER1 IY0"),
        ("loch", "L AA1 K"),
        ("BBC", "B IY2 B IY2 S IY1"),
    ],
)
def test_words(word, phones):
    assert " ".join(g2p.pronounce(word)) == phones


def distance(a, b):
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        row, before = [i], row
        for j, y in enumerate(b, 1):
            row.append(min(before[j] + 1, row[-1] + 1, before[j - 1] + (x != y)))
    return row[-1]


def test_close_to_the_dictionary():
    """One phone in ten differs from the CMU dictionary's nearest pronunciation."""
    text = lexicon.DICTIONARY.read_text(encoding="utf-8").split("\n")
    words = sorted({line.split(" ")[0] for line in text if line.split(" ")[0].isalpha()})
    wrong = total = 0
    for word in random.Random(0).sample(words, 1500):
        guess = [pure(phone) for phone in g2p.pronounce(word)]
        assert set(guess) <= set(ARPABET)
        known = lexicon.cmu_pronunciations(word)
        nearest = min((distance(guess, k), len(k)) for k in known)
        wrong, total = wrong + nearest[0], total + nearest[1]
    assert wrong / total < 0.12


def test_order_does_not_matter():
    words = ["zyx", "hello", "nguyen", "tsk", "why", "uh-oh"]
    first = [g2p.ipa(word) for word in words]
    assert [g2p.ipa(word) for word in reversed(words)] == first[::-1]


@pytest.mark.parametrize(
    ("phonemes", "phones"),
    [
        ("n_ˈɪɹ", "N IH1 R"),
        ("k_ˈɔːɹ_ɹ", "K AO1 R"),
        ("ˌaʊ_ɚ", "AW2 ER0"),
        ("b_ˌiː__ˈoʊ", "B IY2 OW1"),
        ("ɪ_ ɪ", "IH0 IH0"),
        ("ˈaɪɚ", "AY1 ER0"),
        ("n̩", "AH0 N"),
    ],
)
def test_ipa(phonemes, phones):
    assert " ".join(g2p.to_arpabet(phonemes)) == phones


def test_sounds_that_english_has_not():
    with pytest.raises(UserError, match="'ʘ'") as error:
        g2p.to_arpabet("ʘ_a", "odd")
    assert "lexicon" in error.value.remedy
    with pytest.raises(UserError, match="nothing to say"):
        g2p.to_arpabet("", "--")


def test_a_long_path_to_the_data():
    """espeak-ng cuts long paths; a link stands in for them, and is removed at the end."""
    code = (
        "from speechkit.acoustic.lexicon import g2p; g2p._LONGEST_PATH = 10; "
        "print(g2p.pronounce('cat'), g2p._short(__import__('pathlib').Path('/' + 'x' * 20)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.startswith("('K', 'AE1', 'T')")
    assert not __import__("pathlib").Path(ran.stdout.split()[-1]).parent.exists()
