"""Phone inventories: ARPAbet, and the 42 pure phones of Kaldi's GOP features."""

from __future__ import annotations

import re

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

_MARKS = re.compile(r"(?:[012])?(?:_[BIES])?$")


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
