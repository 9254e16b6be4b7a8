"""IPA of ARPAbet: every phone, stress before the vowel, and the way back."""

from __future__ import annotations

import pytest

from speechkit.acoustic.lexicon.g2p import IPA_TO_ARPABET
from speechkit.labels.phones import ARPABET, ipa


def test_every_phone_has_another_symbol_that_means_it() -> None:
    found = {phone: ipa(phone) for phone in ARPABET}
    assert len(set(found.values())) == len(ARPABET) == 39
    back = {phone: IPA_TO_ARPABET.get(symbol) for phone, symbol in found.items()}
    assert {phone: given for phone, given in back.items() if given != phone} == {}


@pytest.mark.parametrize(
    ("phone", "wanted"),
    [("AH0", "ə"), ("AH1", "ˈʌ"), ("AH2", "ˌʌ"), ("AH", "ə"), ("ER0", "ɚ"), ("ER1", "ˈɝ"),
     ("OW1", "ˈoʊ"), ("ng", "ŋ"), ("IY0_E", "i"), ("IY1_E", "ˈi"), ("SIL", "SIL"), ("-", "-"),
     ("SPN", "SPN")],
)  # fmt: skip
def test_stress_and_what_is_no_phone(phone: str, wanted: str) -> None:
    assert ipa(phone) == wanted
