"""NIST SPHERE files (``.wv1`` of the WSJ corpora) -> WAV."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from speechkit.base.audio_container import write_wav
from speechkit.base.errors import AudioError, cut_short

MAGIC = b"NIST_1A\n"
_CONVERTER = "sph2pipe"


def read_header(path: Path) -> dict[str, str]:
    """Fields of a SPHERE header: name -> value.

    Layout: the line ``NIST_1A``, a line with the header's length in bytes, then lines
    ``name -type value`` up to ``end_head``.

    Raises:
        AudioError: missing, empty, or not SPHERE.
    """
    try:
        with path.open("rb") as file:
            start = file.read(16)
            if not start:
                raise AudioError(f"{path}: is empty (0 bytes).", "Copy it again.")
            length = start[8:].strip()
            if not start.startswith(MAGIC) or not length.isdigit():
                raise AudioError(
                    f"{path}: is not a NIST SPHERE file.", "Copy it again from the corpus."
                )
            text = file.read(int(length) - 16).decode("ascii", "replace")
    except OSError as error:
        raise AudioError(f"{path}: {error.strerror or 'cannot be read'}.") from error
    fields: dict[str, str] = {}
    for line in text.split("\n"):
        if line.strip() == "end_head":
            break
        parts = line.split(maxsplit=2)
        if len(parts) == 3:
            fields[parts[0]] = parts[2].strip()
    return fields


def to_wav(source: Path, target: Path) -> Path:
    """Convert a SPHERE file to 16-bit WAV and return ``target``.

    Plain PCM is read by libsndfile; files that are compressed with Shorten need the program
    ``sph2pipe``.

    Raises:
        AudioError: not SPHERE, cut short, or compressed while ``sph2pipe`` is not there.
    """
    fields = read_header(source)
    coding = fields.get("sample_coding", "pcm")
    if "shorten" in coding or "shortpack" in coding or "wavpack" in coding:
        return _with_program(source, target, coding)
    import soundfile

    try:
        with soundfile.SoundFile(str(source)) as file:
            rate, samples = file.samplerate, file.read(dtype="int16", always_2d=True)
    except (soundfile.LibsndfileError, RuntimeError) as error:
        reason = str(error).rpartition(": ")[2].rstrip(".")
        raise AudioError(f"{source}: cannot be read ({reason}).", "Copy it again.") from error
    promised = fields.get("sample_count", "")
    if promised.isdigit() and int(promised) > len(samples):
        there = f"the header promises {promised} samples, there are {len(samples)}"
        raise cut_short(source, there)
    write_wav(target, samples, rate)
    return target


def _with_program(source: Path, target: Path, coding: str) -> Path:
    program = shutil.which(_CONVERTER)
    if program is None:
        raise AudioError(
            f"{source}: is compressed ({coding}), which needs the program {_CONVERTER}.",
            f"Put {_CONVERTER} (from the Linguistic Data Consortium) on your PATH and run this "
            "command again, or convert the corpus to WAV yourself.",
        )
    command = [program, "-p", "-f", "wav", str(source), str(target)]
    ran = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if ran.returncode != 0 or not target.is_file():
        last = (ran.stderr.strip().splitlines() or [f"exit code {ran.returncode}"])[-1]
        raise AudioError(f"{source}: {_CONVERTER} could not convert it ({last}).", "Copy it again.")
    return target
