"""Checks of the machine: what is there, what is missing, and the command that mends it."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shlex
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from speechkit.base import distribution
from speechkit.base.errors import one_line

OK, MISSING, BROKEN, OPTIONAL = "ok", "missing", "broken", "optional"
COLUMNS = ("check", "status", "detail", "remedy")
OLDEST_PYTHON = (3, 11)
LOW_DISK_GIB = 1.0
_PIP = distribution.PIP_INSTALL
_AGAIN = "Install speechkit again from its clone or wheel (docs/index.md)."
_OWN_EXTRAS = ("dev", "docs")  # for working on speechkit itself


@dataclass(frozen=True)
class Check:
    """One row.

    Args:
        status: ``ok``; ``missing`` or ``broken`` (something required); ``optional``
            (not there, and only some features need it).
        remedy: the command or step that mends it.
    """

    name: str
    status: str
    detail: str
    remedy: str = ""

    @property
    def row(self) -> tuple[str, str, str, str]:
        """As ``COLUMNS``."""
        return self.name, self.status, self.detail, self.remedy


def _result(name: str, problem: str, detail: str, remedy: str, bad: str = BROKEN) -> Check:
    """What was found where there is no problem; else the problem and its remedy."""
    return Check(name, bad, problem, remedy) if problem else Check(name, OK, detail)


def examine(root: Path) -> list[Check]:
    """Run all checks; one that fails is reported and does not stop the others."""
    checks: list[tuple[str, Callable[[], Iterator[Check]]]] = [
        ("python", _python),
        ("packages", _packages),
        ("another speechkit", _namesake),
        ("torch and torchaudio", _torch_pair),
        ("device", _device),
        ("audio", _audio),
        ("resampling", _resampling),
        ("espeak-ng", _espeak),
        ("working directory", lambda: _directory(root)),
        ("extras", _extras),
    ]
    found: list[Check] = []
    for name, check in checks:
        try:
            found.extend(check())
        except Exception as error:  # a doctor must survive every illness
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            found.append(Check(name, BROKEN, reason[:300], _AGAIN))
    return found


def healthy(checks: list[Check]) -> bool:
    """Whether nothing that is required is missing or broken."""
    return not any(check.status in (MISSING, BROKEN) for check in checks)


def _python() -> Iterator[Check]:
    version = platform.python_version()
    old = sys.version_info[:2] < OLDEST_PYTHON
    tested = "" if sys.version_info[:2] == (3, 11) else "; tested with 3.11"
    well = f"{version} ({sys.executable}){tested}"
    mend = "Install Python 3.11 or newer (tested: 3.11)."
    yield _result("python", version if old else "", well, mend)


def _packages() -> Iterator[Check]:
    try:
        wanted = distribution.requirements()
    except importlib.metadata.PackageNotFoundError:
        yield Check("speechkit", BROKEN, "runs from a folder, not installed", f"{_PIP} -e .")
        return
    yield from map(package, wanted)


def _namesake() -> Iterator[Check]:
    """The index's package ``speechkit`` is somebody else's, with files in the same folder."""
    try:
        version = importlib.metadata.version("speechkit")
    except importlib.metadata.PackageNotFoundError:
        return
    detail = f"version {version} is installed, another project that writes into the same folder"
    mend = f"python -m pip uninstall speechkit. {_AGAIN}"
    yield Check("package 'speechkit'", BROKEN, detail, mend)


def package(requirement: str) -> Check:
    """Whether a package is installed in the version that a requirement asks for.

    Args:
        requirement: as ``torch>=2.8,<2.16`` or ``dask[distributed]>=2024.8``.
    """
    from packaging.requirements import Requirement

    wanted = Requirement(requirement)
    name, mend = wanted.name, f"{_PIP} {shlex.quote(requirement)}"
    try:
        version = importlib.metadata.version(name)
        lacking = [
            inner for extra in wanted.extras for inner in distribution.requirements(extra, name)
            if package(inner).status != OK
        ]  # fmt: skip
    except importlib.metadata.PackageNotFoundError:
        detail = f"not installed; wanted {wanted.specifier or 'any'}"
        return Check(name, MISSING, detail, mend)
    if not wanted.specifier.contains(version, prereleases=True):
        return Check(name, BROKEN, f"{version}; wanted {wanted.specifier}", mend)
    if lacking:
        return Check(name, MISSING, f"{version} without {', '.join(lacking)}", mend)
    return Check(name, OK, version)


def _torch_pair() -> Iterator[Check]:
    """Up to 2.11 each torchaudio is of one torch; later ones go with 2.11.1 and after."""
    from packaging.requirements import Requirement

    torch, torchaudio = (importlib.metadata.version(n) for n in ("torch", "torchaudio"))
    minor = ".".join(torch.split("+")[0].split(".")[:2])
    later = Requirement("torch>=2.12").specifier.contains(torch, prereleases=True)
    wanted = Requirement("torchaudio>=2.11.1" if later else f"torchaudio=={minor}.*")
    problem = ""
    if not wanted.specifier.contains(torchaudio, prereleases=True):
        problem = f"torch {torch} does not fit torchaudio {torchaudio}"
    else:
        try:
            import torchaudio as _  # noqa: F401
        except (ImportError, OSError) as error:
            reason = one_line(error, 200)
            problem = f"torchaudio {torchaudio} cannot be imported: {reason}"
    mend = f"{_PIP} 'torch=={minor}.*' '{wanted}'"
    yield _result("torch and torchaudio", problem, f"{torch} with {torchaudio}", mend)


def _device() -> Iterator[Check]:
    import torch

    from speechkit.base.parallel import cpu_count

    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            properties = torch.cuda.get_device_properties(index)
            memory = properties.total_memory / 2**30
            yield Check(f"cuda:{index}", OK, f"{properties.name}, {memory:.0f} GiB")
    elif shutil.which("nvidia-smi"):
        detail = f"there is an NVIDIA driver, but torch {torch.__version__} does not see a GPU"
        yield Check("device", OPTIONAL, detail, f"{_PIP} --force-reinstall torch torchaudio")
    else:
        yield Check("device", OK, f"CPU only (cores: {cpu_count()})")


def _audio() -> Iterator[Check]:
    """Write and read back each format; no FFmpeg is involved."""
    import soundfile

    mend = f"{_PIP} --upgrade --force-reinstall soundfile"
    library = f"libsndfile {soundfile.__libsndfile_version__}"
    for suffix, form, subtype, required in (
        ("wav", "WAV", "PCM_16", True),
        ("flac", "FLAC", "PCM_16", True),
        ("ogg", "OGG", "VORBIS", True),
        ("opus", "OGG", "OPUS", False),
        ("mp3", "MP3", "MPEG_LAYER_III", False),
    ):
        there = subtype in soundfile.available_subtypes(form)
        problem = _round_trip(suffix, form, subtype) if there else f"{library} cannot read it"
        bad = BROKEN if required else OPTIONAL
        yield _result(f"audio {suffix}", problem, f"written and read by {library}", mend, bad)


def _round_trip(suffix: str, form: str, subtype: str) -> str:
    """What is wrong with a second of a 440 Hz tone after writing and reading; '' if nothing."""
    import numpy as np
    import soundfile

    from speechkit.base import audio
    from speechkit.base.errors import AudioError

    tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"tone.{suffix}"
        try:
            soundfile.write(path, tone, 16000, format=form, subtype=subtype)
            samples, rate = audio.read(path)
        except (AudioError, RuntimeError) as error:
            return " ".join(str(error).split())
    spectrum = np.abs(np.fft.rfft(samples))
    loudest = float(np.argmax(spectrum)) * rate / len(samples)
    if rate != 16000 or abs(loudest - 440) > 5:
        return f"a tone of 440 Hz came back as {loudest:.0f} Hz at a rate of {rate} Hz"
    return ""


def _resampling() -> Iterator[Check]:
    import numpy as np

    from speechkit.base import audio

    bad = []
    for rate, library in ((48000, "torchaudio"), (47999, "soxr")):
        samples = audio.resample(np.ones(rate // 10, np.float32), rate, 16000)
        if len(samples) != 1600 or not abs(float(samples[800]) - 1) < 0.01:
            bad.append(library)
    problem = f"{' and '.join(bad)} resamples wrongly" if bad else ""
    mend = f"{_PIP} --force-reinstall torch torchaudio soxr"
    well = "48000 and 47999 to 16000 Hz by torchaudio and soxr"
    yield _result("resampling", problem, well, mend)


def _espeak() -> Iterator[Check]:
    mend = f"{_PIP} --force-reinstall espeakng-loader"
    try:
        import ctypes

        import espeakng_loader

        library = ctypes.CDLL(espeakng_loader.get_library_path())
        library.espeak_Info.restype = ctypes.c_char_p
        version = library.espeak_Info(None).decode()
        voices = Path(espeakng_loader.get_data_path()).is_dir()
    except (ImportError, OSError, AttributeError) as error:
        yield Check("espeak-ng", BROKEN, f"cannot be loaded: {error}", mend)
        return
    problem = "" if voices else "its data folder is missing"
    yield _result("espeak-ng", problem, f"version {version}", mend)


def _directory(root: Path) -> Iterator[Check]:
    """Write access, free space, and locks in the working directory."""
    name, path = "working directory", root.absolute()
    elsewhere = "Choose another one with -C DIR."
    if not path.is_dir():
        yield Check(name, MISSING, f"{path} is not a folder", f"mkdir -p '{path}'")
        return
    try:
        with tempfile.TemporaryDirectory(prefix=".speechkit-doctor-", dir=path) as folder:
            (Path(folder) / "probe").write_bytes(os.urandom(4096))
            locks = _locks(Path(folder) / "lock")
    except OSError as error:
        yield Check(name, BROKEN, f"{path}: {error.strerror}", f"chmod u+rwx '{path}'")
        return
    yield Check(name, OK, f"{path} can be written")
    free = shutil.disk_usage(path).free / 2**30
    status, mend = (OK, "") if free >= LOW_DISK_GIB else (BROKEN, f"Free some space. {elsewhere}")
    yield Check("disk space", status, f"{free:.1f} GiB free", mend)
    problem = "" if locks else "two runs could write one output at the same time"
    yield _result("file locks", problem, "work here", f"Use a local disk. {elsewhere}")


def _locks(path: Path) -> bool:
    """Whether a file that is locked cannot be locked again."""
    from speechkit.base.errors import UserError
    from speechkit.base.files import Lock

    first, second = Lock(path), Lock(path)
    try:
        first.acquire("the first")
    except UserError:
        return False
    try:
        second.acquire("the second")
    except UserError:
        return True
    finally:
        second.release()
        first.release()
    return False


def _extras() -> Iterator[Check]:
    for extra in distribution.extras():
        if extra in _OWN_EXTRAS:
            continue
        checks = [package(requirement) for requirement in distribution.requirements(extra)]
        lacking = [f"{check.name}: {check.detail}" for check in checks if check.status != OK]
        there = ", ".join(f"{check.name} {check.detail}" for check in checks)
        mend = distribution.install_command(extra)
        yield _result(f"extra [{extra}]", "; ".join(lacking), there, mend, OPTIONAL)
