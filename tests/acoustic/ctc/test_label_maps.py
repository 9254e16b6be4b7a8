"""Labels of other models as ARPAbet."""

from __future__ import annotations

import pytest

from speechkit.acoustic.ctc.model import to_arpabet
from speechkit.base.errors import UserError
from speechkit.labels.phones import ARPABET

ESPEAK = """
<s> <pad> </s> <unk> n s t ə l a i k d m ɛ ɾ e ɪ p o ɐ z ð f j v b ɹ ʁ iː r w ʌ u ɡ æ aɪ ʃ h
ɔ ɑː ŋ ɚ eɪ β uː y ɑ̃ oʊ ᵻ eː θ aʊ ts oː ɔ̃ ɣ ɜ ɑ dʒ əl x ɜː ç ʒ tʃ ɔː ɑːɹ ɛ̃ ʎ ɔːɹ ʋ aː ɕ œ
ø oːɹ ɲ yː ʔ iə i5 s. tɕ ɛɹ ʊ ɔɪ n̩ t͡ʃ
"""


def test_arpabet_with_stress_in_any_case():
    labels = ["<blk>", "|", *(p.lower() for p in ARPABET), "AH0", "aw1", "[UNK]", "sil", "spn"]
    found = to_arpabet(labels)
    assert found[:3] == ["SPN", "SIL", "AA"]
    assert found[2:41] == list(ARPABET)
    assert found[41:] == ["AH", "AW", "SPN", "SIL", "SPN"]


def test_ipa_as_espeak_writes_it():
    found = dict(zip(ESPEAK.split(), to_arpabet(ESPEAK.split()), strict=True))
    expected = {
        "iː": "IY", "ɪ": "IH", "ɹ": "R", "tʃ": "CH", "t͡ʃ": "CH", "dʒ": "JH", "ŋ": "NG", "ʊ": "UH",
        "ɔɪ": "OY", "oʊ": "OW", "ɜː": "ER", "ɚ": "ER", "eɪ": "EY", "θ": "TH", "ʒ": "ZH", "ə": "AH",
        "i5": "IY", "ɕ": "SH", "<pad>": "SPN", "ʁ": "SPN", "ɔːɹ": "SPN", "əl": "SPN",
    }  # fmt: skip
    assert {label: found[label] for label in expected} == expected
    assert set(ARPABET) <= set(found.values())


def test_letters_are_refused():
    letters = ["-", "|", *"ETAONIHSRDLUMWCFGYPBVKXJQZ", "'"]
    with pytest.raises(UserError, match="writes letters") as caught:
        to_arpabet(letters)
    assert "wav2vec2-lv-60-espeak" in caught.value.remedy
    with pytest.raises(UserError, match="only 0 are English phones"):
        to_arpabet(["ni3", "hao3", "<blk>"])


def test_a_map_goes_before_everything(tmp_path):
    file = tmp_path / "map.txt"
    file.write_text("ni3 N\n\nx9 iy1\nquiet SIL\n")
    assert to_arpabet(["ni3", "x9", "quiet", "other"], file) == ["N", "IY", "SIL", "SPN"]
    file.write_text("ni3 QQ\n")
    with pytest.raises(UserError, match=r"map.txt:1: expected 'LABEL PHONE'"):
        to_arpabet(["ni3"], file)
    file.write_text("ni4 N\n")
    with pytest.raises(UserError, match="no label 'ni4'"):
        to_arpabet(["ni3"], file)
    with pytest.raises(UserError, match="cannot be read"):
        to_arpabet(["ni3"], tmp_path / "none.txt")
