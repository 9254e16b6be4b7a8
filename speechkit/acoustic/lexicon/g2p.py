"""Pronunciation of words that no lexicon has: espeak-ng's phonemes, mapped to ARPAbet.

espeak-ng (the library in the package ``espeakng_loader``) turns letters into IPA by its rules
for American English. On words of the CMU dictionary one phone in ten differs from the dictionary,
most often an unstressed vowel, and six words in ten agree in every phone: good enough to align
and score a name, and worth saying so, which callers do.
"""

from __future__ import annotations

import atexit
import ctypes
import shutil
import tempfile
import threading
from functools import lru_cache
from pathlib import Path

from speechkit.base.errors import UserError

_PHONEMES_ONLY, _NO_EXIT, _CHARS_UTF8, _IPA = 2, 0x8000, 1, 2  # enums of speak_lib.h
_MODE = _IPA | ord("_") << 8  # IPA, with '_' between the phonemes
_LONGEST_PATH = 140  # espeak-ng cuts longer ones

# espeak-ng's American vowels come with what follows them ("ɑːɹ", "əl", "aɪɚ").
IPA_TO_ARPABET = {
    **{"ɑː": "AA", "ɑ": "AA", "æ": "AE", "a": "AE", "ʌ": "AH", "ə": "AH", "ɐ": "AH"},
    **{"ɔː": "AO", "ɔ": "AO", "ɒ": "AA", "o": "OW", "aʊ": "AW", "aɪ": "AY", "ɛ": "EH", "e": "EH"},
    **{"ɚ": "ER", "ɜː": "ER", "ɜ": "ER", "eɪ": "EY", "ɪ": "IH", "ᵻ": "IH", "iː": "IY", "i": "IY"},
    **{"oʊ": "OW", "ɔɪ": "OY", "ʊ": "UH", "uː": "UW", "u": "UW"},
    **{"əl": "AH L", "n̩": "AH N", "iə": "IY AH", "aɪɚ": "AY ER", "aɪə": "AY AH"},
    **{"b": "B", "tʃ": "CH", "d": "D", "ð": "DH", "f": "F", "ɡ": "G", "h": "HH", "dʒ": "JH"},
    **{"k": "K", "l": "L", "m": "M", "n": "N", "ŋ": "NG", "p": "P", "ɹ": "R", "s": "S"},
    **{"ʃ": "SH", "t": "T", "θ": "TH", "v": "V", "w": "W", "j": "Y", "z": "Z", "ʒ": "ZH"},
    # Sounds of other languages in borrowed words, flaps and glottal stops: the nearest.
    **{"ɾ": "T", "ʔ": "T", "x": "K", "r": "R", "ɬ": "L", "ɔ̃": "AO N", "ɑ̃": "AA N", "ɛ̃": "AE N"},
}
_VOWELS = {"AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW"}
_STRESS = {"ˈ": "1", "ˌ": "2"}
_lock = threading.Lock()  # the library keeps its state in global variables


@lru_cache(maxsize=10_000)
def pronounce(word: str) -> tuple[str, ...]:
    """ARPAbet phones of an English word, vowels with their stress (``AH0``, ``OW1``).

    Raises:
        UserError: espeak-ng is not there, or the word holds sounds that English has not.
    """
    return to_arpabet(ipa(word), word)


def ipa(word: str) -> str:
    """espeak-ng's American pronunciation in IPA, ``_`` between phonemes, stress marked."""
    text = ctypes.create_string_buffer(word.lower().encode())
    at = ctypes.c_void_p(ctypes.addressof(text))
    parts = []
    with _lock:
        library = _library()
        while at.value:  # one clause a call
            parts.append(library.espeak_TextToPhonemes(ctypes.byref(at), _CHARS_UTF8, _MODE))
    return "_".join(part.decode() for part in parts if part)


def to_arpabet(phonemes: str, word: str = "") -> tuple[str, ...]:
    """Map IPA as :func:`ipa` gives it to ARPAbet with stress.

    Args:
        phonemes: phonemes with ``_`` or spaces between.
        word: what is being said, for the message.
    """
    phones: list[str] = []
    for token in phonemes.replace(" ", "_").split("_"):
        stress = next((digit for mark, digit in _STRESS.items() if mark in token), "0")
        for symbol in _split(token.strip("ˈˌ"), word):
            for phone in IPA_TO_ARPABET[symbol].split():
                if phone == "R" and phones and phones[-1] in ("R", "ER0", "ER1", "ER2"):
                    continue  # "ɜː_ɹ" in "hurry": ARPAbet's ER holds its R
                phones.append(phone + stress if phone in _VOWELS else phone)
                stress = "0" if phone in _VOWELS else stress
    if not phones:
        raise UserError(f"espeak-ng finds nothing to say in '{word}'.", _REMEDY)
    return tuple(phones)


_REMEDY = "Give its pronunciation in a lexicon file (a line 'WORD PHONE PHONE ...')."


def _split(token: str, word: str) -> list[str]:
    """A token as known symbols, the longest first: ``ɑːɹ`` -> ``ɑː``, ``ɹ``."""
    symbols: list[str] = []
    while token:
        size = next((n for n in (3, 2, 1) if token[:n] in IPA_TO_ARPABET), 0)
        if not size and token[0] in "ːˑ̩̃ʲˈˌ":  # length and colour that ARPAbet does not write
            token = token[1:]
            continue
        if not size:
            raise UserError(
                f"espeak-ng says '{word}' with the sound '{token[0]}', which English has not.",
                _REMEDY,
            )
        symbols.append(token[:size])
        token = token[size:]
    return symbols


@lru_cache(maxsize=1)
def _library() -> ctypes.CDLL:
    try:
        import espeakng_loader

        library = ctypes.CDLL(espeakng_loader.get_library_path())
    except (ImportError, OSError) as error:
        raise UserError(
            f"espeak-ng, which pronounces words outside the lexicon, does not load: {error}.",
            "Install it with: pip install --force-reinstall espeakng-loader . Without it, "
            "`lexicon` takes a file of pronunciations.",
        ) from error
    folder = _short(Path(espeakng_loader.get_data_path()))
    started = library.espeak_Initialize(_PHONEMES_ONLY, 0, str(folder).encode(), _NO_EXIT)
    if started < 0 or library.espeak_SetVoiceByName(b"en-us") != 0:
        raise UserError(
            f"espeak-ng does not load its data in {folder}.",
            "Install it with: pip install --force-reinstall espeakng-loader",
        )
    library.espeak_TextToPhonemes.restype = ctypes.c_char_p
    return library


def _short(folder: Path) -> Path:
    """``folder``, or a link to it where its path is too long for espeak-ng."""
    if len(str(folder)) <= _LONGEST_PATH:
        return folder
    place = tempfile.mkdtemp(prefix="espeak")
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    link = Path(place) / "d"
    link.symlink_to(folder)
    return link
