"""Speech from espeak-ng (the library in the package ``espeakng_loader``), for the demo set.

espeak-ng keeps state between sentences that not even closing and opening it again clears,
so that the samples of a sentence depend on all before it. Each call of :func:`speak`
therefore works in a process of its own: this module run as a program. The same requests
then always give the same samples.
"""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from speechkit.base.errors import UserError

SAMPLE_RATE = 22050  # Hz, what espeak-ng's formant synthesiser makes
# Values of enums in espeak-ng's public header speak_lib.h.
_SYNCHRONOUS, _NO_EXIT, _CHARS_UTF8 = 2, 0x8000, 1
_RATE, _PITCH, _RANGE = 1, 3, 4


@dataclass(frozen=True)
class Request:
    """One sentence to be spoken.

    Args:
        text: with punctuation, which shapes the intonation.
        voice: ``<language>+<voice variant>``.
        rate: words per minute.
        pitch: 0 to 100, 50 for the voice's own.
        pitch_range: 0 to 100, 50 for the voice's own.
    """

    text: str
    voice: str
    rate: int
    pitch: int
    pitch_range: int


def make_data_folder(folder: Path, variants: dict[str, str]) -> None:
    """Fill a folder with links to espeak-ng's data and own voice variants.

    Args:
        variants: name -> voice file (https://github.com/espeak-ng/espeak-ng, docs/voices.md).
    """
    for entry in Path(_loader().get_data_path()).iterdir():
        if entry.name != "voices":
            (folder / entry.name).symlink_to(entry)
    voices = folder / "voices" / "!v"
    voices.mkdir(parents=True)
    for name, text in variants.items():
        (voices / name).write_text(text, encoding="utf-8")


def speak(requests: Sequence[Request], data_folder: Path) -> list[bytes]:
    """Speak sentences, one after the other, in a new process.

    Args:
        data_folder: made by :func:`make_data_folder`.

    Returns:
        For each request its samples: 16-bit integers at 22050 Hz.

    Raises:
        UserError: the library does not load or does not know a voice.
    """
    # It runs in the data folder: espeak-ng cuts long paths, and '.' is short.
    ran = subprocess.run(
        [sys.executable, "-m", __spec__.name if __spec__ else __name__],
        input=json.dumps([asdict(request) for request in requests]).encode(),
        capture_output=True,
        cwd=data_folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        check=False,
    )
    if ran.returncode != 0:
        reason = ran.stderr.decode(errors="replace").strip().splitlines()
        raise UserError(
            f"espeak-ng failed: {reason[-1] if reason else f'exit code {ran.returncode}'}.",
            "Install it again: pip install --force-reinstall espeakng-loader",
        )
    spoken, at = [], 0
    while at < len(ran.stdout):
        size = int.from_bytes(ran.stdout[at : at + 8], "little")
        spoken.append(ran.stdout[at + 8 : at + 8 + size])
        at += 8 + size
    return spoken


def version() -> str:
    """Version of the library, for the manifest."""
    library = _load()
    library.espeak_Info.restype = ctypes.c_char_p
    return (library.espeak_Info(None) or b"unknown").decode()


def _loader() -> Any:
    try:
        import espeakng_loader
    except ImportError as error:
        raise UserError(
            "Generated speech needs the package 'espeakng-loader', which is not installed.",
            "Install it with: pip install espeakng-loader",
        ) from error
    return espeakng_loader


def _load() -> ctypes.CDLL:
    try:
        return ctypes.CDLL(_loader().get_library_path())
    except OSError as error:
        raise UserError(
            f"The library of espeak-ng does not load: {error}.",
            "Install it again: pip install --force-reinstall espeakng-loader",
        ) from error


def _main() -> int:
    """Read requests as JSON from stdin; write each answer's size (8 bytes) and samples."""
    requests = [Request(**fields) for fields in json.load(sys.stdin.buffer)]
    library = _load()
    if library.espeak_Initialize(_SYNCHRONOUS, 0, b".", _NO_EXIT) != SAMPLE_RATE:
        print("its data does not load", file=sys.stderr)
        return 1
    library.espeak_ng_SetRandSeed(ctypes.c_long(1))  # it seeds itself by the clock
    heard = bytearray()

    def keep(samples: int | None, count: int, _events: int | None) -> int:
        if samples and count > 0:
            heard.extend(ctypes.string_at(samples, 2 * count))
        return 0

    callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)(keep)
    library.espeak_SetSynthCallback(callback)
    for request in requests:
        heard.clear()
        if library.espeak_SetVoiceByName(request.voice.encode()) != 0:
            print(f"it has no voice '{request.voice}'", file=sys.stderr)
            return 1
        for parameter, value in (
            (_RATE, request.rate),
            (_PITCH, request.pitch),
            (_RANGE, request.pitch_range),
        ):
            library.espeak_SetParameter(parameter, value, 0)
        text = request.text.encode() + b"\0"
        library.espeak_Synth(text, ctypes.c_size_t(len(text)), 0, 0, 0, _CHARS_UTF8, None, None)
        sys.stdout.buffer.write(len(heard).to_bytes(8, "little") + heard)
    return 0


if __name__ == "__main__":
    sys.exit(_main())
