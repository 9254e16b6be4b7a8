"""Labels of other people's models to ARPAbet: by name, from IPA, or by a map of the user's."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from speechkit.acoustic.lexicon.g2p import IPA_TO_ARPABET
from speechkit.base.errors import UserError
from speechkit.base.text import read_text
from speechkit.labels.phones import ARPABET, NOISE, SILENCE, kaldi_name, pure

LEAST = 30
"""Of the 39 phones: a vocabulary with names for fewer is taken for another kind of labels."""

BOUNDARIES = {"|", " ", "▁", "<space>", "<wb>", "<unvoiced>"}
_SPECIAL = re.compile(r"<.*>|\[.*\]|")
_EXTRA = {
    **{"g": "G", "ɫ": "L", "ɑɹ": "AA", "oː": "AO", "eː": "EY", "ɪə": "IH", "ʉ": "UW", "ɝ": "ER"},
    **{"əʊ": "OW", "ɐ": "AH", "ʍ": "W", "t͡ʃ": "CH", "d͡ʒ": "JH", "ɻ": "R", "iːː": "IY"},
    **{"ɕ": "SH", "ʂ": "SH", "ʑ": "ZH", "ʐ": "ZH", "tɕ": "CH", "dʑ": "JH", "β": "V", "ç": "HH"},
}
_TIE = str.maketrans("", "", "͜͡")


def to_arpabet(labels: Sequence[str], file: Path | None = None) -> list[str]:
    """What each label of a model stands for: an ARPAbet phone, ``SIL`` or ``SPN``.

    Args:
        labels: the model's own; ARPAbet with or without stress in any case, or IPA as
            espeak-ng writes it.
        file: lines ``LABEL PHONE`` of the user's, which go before everything.

    Raises:
        UserError: the labels are letters or otherwise no phones, or the file is broken.
    """
    own = read_map(file, labels) if file else {}
    by_name = {label: _by_name(label) for label in labels}
    by_sound = {label: _by_sound(label) for label in labels}
    table = max((by_name, by_sound), key=lambda t: len(_phones(t.values())))
    found = [own.get(label) or table[label] for label in labels]
    count = len(_phones(found))
    if count < LEAST and not own:
        raise UserError(_not_phones(labels, count), _REMEDY)
    return found


_REMEDY = (
    "Phones are scored with a model of phones, e.g. hf:facebook/wav2vec2-lv-60-espeak-cv-ft, or "
    "give a file of lines 'LABEL PHONE' (ARPAbet) as ',map=FILE' after the model's name."
)


def _not_phones(labels: Sequence[str], count: int) -> str:
    letters = [label for label in labels if len(label) == 1 and label.isascii() and label.isalpha()]
    if len(letters) >= 20 and len(set(map(str.upper, letters))) >= 20:
        return (
            f"The model writes letters ({' '.join(letters[:6])} ...), not phones: a letter is "
            "said in many ways."
        )
    some = " ".join(label for label in labels if not _SPECIAL.fullmatch(label))[:60]
    return f"Of the model's {len(labels)} labels only {count} are English phones ({some} ...)."


def _phones(names: object) -> set[str]:
    return set(names) & set(ARPABET)  # type: ignore[call-overload]


def _by_name(label: str) -> str:
    if label.strip() in BOUNDARIES or label in BOUNDARIES:
        return SILENCE
    return NOISE if _SPECIAL.fullmatch(label) else kaldi_name(label)


def _by_sound(label: str) -> str:
    """An IPA symbol without stress, length, tone and ties; sounds English has not are SPN."""
    if label.strip() in BOUNDARIES or label in BOUNDARIES:
        return SILENCE
    plain = label.strip().strip("ˈˌ'").translate(_TIE)
    bare = "".join(
        c
        for c in unicodedata.normalize("NFD", plain)
        if not unicodedata.combining(c) and c not in "ːˑʰʲʷˠˤʼ0123456789"
    )
    for symbol in (label, plain, bare):
        phones = (_EXTRA.get(symbol) or IPA_TO_ARPABET.get(symbol) or "").split()
        if len(phones) == 1:
            return phones[0]
    return NOISE if kaldi_name(label) != SILENCE else SILENCE


def read_map(file: Path, labels: Sequence[str]) -> dict[str, str]:
    """Label -> phone of a file of lines ``LABEL PHONE``.

    Raises:
        UserError: it cannot be read, a line is broken, or names no label of the model.
    """
    try:
        lines = read_text(file).splitlines()
    except OSError as error:
        raise UserError(f"The map of labels {file} cannot be read: {error}.") from error
    table: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        fields = line.split()
        if not fields:
            continue
        phone = pure(fields[-1])
        if len(fields) != 2 or phone not in (*ARPABET, SILENCE, NOISE):
            raise UserError(
                f"{file}:{number}: expected 'LABEL PHONE', found '{line}'.",
                f"Phones: {', '.join(ARPABET)}, {SILENCE}, {NOISE}.",
            )
        if fields[0] not in labels:
            raise UserError(f"{file}:{number}: the model has no label '{fields[0]}'.")
        table[fields[0]] = phone
    return table
