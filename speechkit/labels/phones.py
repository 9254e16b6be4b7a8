"""Phone inventories: ARPAbet, and the 42 pure phones of Kaldi's GOP features."""

from __future__ import annotations

import re
from functools import lru_cache

# fmt: off
ARPABET = (
    "AA", "AE", "AH", "AO", "AW", "AY", "B", "CH", "D", "DH", "EH", "ER", "EY", "F", "G", "HH",
    "IH", "IY", "JH", "K", "L", "M", "N", "NG", "OW", "OY", "P", "R", "S", "SH", "T", "TH", "UH",
    "UW", "V", "W", "Y", "Z", "ZH",
)
# fmt: on
"""The 39 phones of English, without stress."""

SILENCE, NOISE = "SIL", "SPN"
KALDI_PHONES = ("<eps>", SILENCE, NOISE, *ARPABET)
"""Kaldi's pure phones in the order of their ids (0 to 41): a GOP block has a column for each."""

KALDI_ID = {phone: number for number, phone in enumerate(KALDI_PHONES)}

# fmt: off
_IPA = {
    "AA": "ɑ", "AE": "æ", "AH": "ʌ", "AO": "ɔ", "AW": "aʊ", "AY": "aɪ", "B": "b", "CH": "tʃ",
    "D": "d", "DH": "ð", "EH": "ɛ", "ER": "ɝ", "EY": "eɪ", "F": "f", "G": "ɡ", "HH": "h",
    "IH": "ɪ", "IY": "i", "JH": "dʒ", "K": "k", "L": "l", "M": "m", "N": "n", "NG": "ŋ",
    "OW": "oʊ", "OY": "ɔɪ", "P": "p", "R": "ɹ", "S": "s", "SH": "ʃ", "T": "t", "TH": "θ",
    "UH": "ʊ", "UW": "u", "V": "v", "W": "w", "Y": "j", "Z": "z", "ZH": "ʒ",
}
# fmt: on
_REDUCED = {"AH": "ə", "ER": "ɚ"}
_STRESS = {"1": "ˈ", "2": "ˌ"}

_MARKS = re.compile(r"(?:[012])?(?:_[BIES])?$")


@lru_cache(4096)  # asked for every phone of every graph
def pure(phone: str) -> str:
    """A phone without stress digit and word position: ``IY0_E`` -> ``IY``."""
    return _MARKS.sub("", phone.strip().upper())


def kaldi_name(label: str) -> str:
    """The pure phone of an acoustic model's label; silences are SIL, other noises SPN.

    Anything that is neither ARPAbet (with or without stress and position) nor a silence is
    noise: ``+NSN+``, ``NSN``, ``LAU``, ``<unk>`` ...
    """
    name = pure(label)
    if name in KALDI_ID:
        return name
    return SILENCE if name in {"<SIL>", "SILENCE", "SP", "PAU", "<S>", "</S>", "H#"} else NOISE


def ipa(phone: str) -> str:
    """An ARPAbet phone in IPA, the stress before the vowel: ``AH1`` -> ``ˈʌ``, ``NG`` -> ``ŋ``.

    AH and ER are the reduced ə and ɚ unless they are stressed, also where stress is not marked.
    What is no phone of English stays as it is.
    """
    name = pure(phone)
    if name not in _IPA:
        return phone
    stress = _STRESS.get(phone.strip()[len(name) : len(name) + 1], "")
    return stress + (_IPA[name] if stress else _REDUCED.get(name, _IPA[name]))
