"""Where pronunciations come from."""

import random
import subprocess
import sys

import pytest

from speechkit.acoustic.lexicon import dictionary as lexicon
from speechkit.acoustic.lexicon.dictionary import Lexicon, read_lexicon
from speechkit.base.errors import UserError
from speechkit.labels.phones import pure


def say(word, **how):
    return [" ".join(p) for p in Lexicon(**how).pronunciations(word)]


def test_dictionary_as_parsed_line_by_line():
    table = {}
    for line in lexicon.DICTIONARY.read_text(encoding="utf-8").splitlines():
        word, *phones = line.split()
        table.setdefault(word.split("(")[0], []).append(tuple(phones))
    words = [*random.Random(1).sample(sorted(table), 300), "'bout", "a", "a.", max(table)]
    for word in words:
        expected = list(dict.fromkeys(table[word]))
        assert lexicon.cmu_pronunciations(word.upper()) == expected, word
    for word in ("", "zzzzz", "a(2)", "cat dog", "\n", "b aa"):
        assert lexicon.cmu_pronunciations(word) == []


def test_variants_in_order():
    assert say("read") == ["R EH D", "R IY D"]
    assert say("Read") == say("READ")


def test_pocketsphinx_is_not_imported():
    code = (
        "import sys; from speechkit.acoustic.lexicon.dictionary import Lexicon; "
        "Lexicon().pronunciations('bear'); "
        "print(sorted({'pocketsphinx', 'torch', 'pandas'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_words_put_together_from_parts():
    assert say("snowball's")[0].endswith("L Z")
    assert say("bookcat's", guess=True)  # no part known: espeak-ng
    assert say("zebra's") == ["Z IY B R AH Z"]
    assert say("glass-cat") == ["G L AE S K AE T"]
    assert say("cat-") == ["K AE T"]
    table = Lexicon()
    for word, end in [
        ("GRAPH'S", "F S"),
        ("WISH'S", "SH IH Z"),
        ("FERN'D", "N D"),
        ("FLOAT'D", "T IH D"),
    ]:
        assert " ".join(table.pronunciations(word)[0]).endswith(end)
    assert not table.guessed


def test_guesses_are_recorded_and_reported(capsys):
    table = Lexicon()
    assert table.words(["BEAR", "BLORFIN", "blorfin"])[1] == [
        ("B", "L", "AO1", "R", "F", "IH0", "N")
    ]
    assert table.guessed == {"BLORFIN"}
    from speechkit.base import log

    log.setup()
    table.report()
    assert "BLORFIN B L AO1 R" in capsys.readouterr().err
    Lexicon().report()
    assert capsys.readouterr().err == ""


def test_without_guessing_all_unknown_words_are_named():
    with pytest.raises(UserError, match=r"2 words.*BLORFIN, ZNURK'X") as error:
        Lexicon(guess=False).words(["BEAR", "ZNURK'X", "BLORFIN", "BLORFIN"])
    assert "lexicon file" in error.value.remedy


def test_a_lexicon_of_the_users_goes_first(tmp_path):
    file = tmp_path / "lexicon.txt"
    file.write_text(
        "<unk> SPN\n!SIL SIL\nBEAR\tB IY1 R\nbear  B EH1 R\nBEAR B IY1 R\nBlorfin B L AO0\n\n"
        "O'X AA1 K S\r\n"
    )
    assert say("bear", file=file) == ["B IY1 R", "B EH1 R"]
    assert say("blorfin", file=file) == ["B L AO0"]
    assert say("o'x", file=file) == ["AA1 K S"]
    assert say("blorfin's", file=file) == ["B L AO0 Z"]
    assert say("cat", file=file) == ["K AE T"]


def test_probabilities_of_a_lexiconp_are_passed_over(tmp_path):
    file = tmp_path / "lexiconp.txt"
    file.write_text("A 1.0 AH0\nA 0.3 EY1\n")
    assert read_lexicon(file) == {"A": [("AH0",), ("EY1",)]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"BEAR B EH1 R\nCAT K AX T\n", r":2: 'CAT K AX T' has the phone 'AX'"),
        (b"BEAR B EH3 R\n", "'EH3'"),
        (b"BEAR\n", ":1: 'BEAR' has no phones"),
        (b"A 0.5\n", "no phones"),
        (b"\n<eps> SIL\n", "no words"),
        (b"A \xff", "not UTF-8"),
    ],
)
def test_a_broken_lexicon(tmp_path, content, message):
    file = tmp_path / "lexicon.txt"
    file.write_bytes(content)
    with pytest.raises(UserError, match=message):
        Lexicon(file)


def test_a_missing_lexicon(tmp_path):
    with pytest.raises(UserError, match="cannot be read: No such file"):
        Lexicon(tmp_path / "none")


def test_lexicon_of_the_corpus(real_data):
    """Its words with the built-in lexicon: three in four agree but for stress."""
    own = read_lexicon(real_data / "speechocean762/resource/lexicon.txt")
    table = Lexicon(guess=False)
    known = [(w, [tuple(map(pure, v)) for v in own[w]]) for w in sorted(own)[::5] if table._find(w)]
    assert len(known) > 0.98 * len(own) / 5
    same = sum(bool(set(v) & set(table.pronunciations(w))) for w, v in known)
    assert same > 0.75 * len(known)


@pytest.mark.parametrize(
    ("words", "said"),
    [(["SEE", "BLORP"], "1 word is in no lexicon: BLORP"), (["A", "FLIX", "BLORP"], "2 words are")],
)
def test_words_of_no_lexicon_are_counted(words: list[str], said: str) -> None:
    with pytest.raises(UserError, match=said):
        Lexicon(guess=False).words(words)
