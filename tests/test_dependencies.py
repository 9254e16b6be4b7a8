"""docs/dependencies.md: which commands load code under the GPL, seen in ``sys.modules``."""

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile
from conftest import voice

from speechkit.serve import answers

PARSELMOUTH, ESPEAK = "parselmouth", "espeakng_loader"


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    """Command -> its exit code and the GPL modules that it has loaded."""
    root = tmp_path_factory.mktemp("gpl")
    commands = {
        "prepare demo": "prepare demo --utterances 24 --speakers 6",
        "doctor": "doctor",
        "extract-prosody": "extract-prosody --set train",
        "align": "align --set train --am sphinx",
        "extract-gop": "extract-gop --set train --am sphinx",
        "extract-gop --prosody": "extract-gop --set train --am sphinx --prosody --name p",
        "extract-gop --no-pitch": "extract-gop --set train --prosody --no-pitch --name q",
        "predict pronunciation": "predict pronunciation WAV --text 'we see it'",
        "--model no-gpl": "predict pronunciation WAV --text 'we see it' --model no-gpl --no-g2p",
        "an unknown word": "predict pronunciation WAV --text 'we see blorptangle'",
        "an unknown word, --no-g2p": "predict pronunciation WAV --text 'see blorptangle' --no-g2p",
    }
    found = {}
    for names in (["prepare demo"], [name for name in commands if name != "prepare demo"]):
        wav = next((root / "data/train").rglob("*.wav"), "") if len(names) > 1 else ""
        lines = [_words(commands[name], str(wav), root) for name in names]
        ran = subprocess.run(
            [sys.executable, str(Path(__file__).with_name("loaded_modules.py")),
             f"{PARSELMOUTH},{ESPEAK}"],
            input=json.dumps(lines), capture_output=True, text=True, check=True,
        )  # fmt: skip
        seen = [json.loads(line) for line in ran.stderr.splitlines() if line.startswith("[")]
        assert len(seen) == len(names), ran.stderr
        found.update(zip(names, seen, strict=True))
    return found


def _words(command: str, wav: str, root: Path) -> list[str]:
    words = [wav if word == "WAV" else word for word in shlex.split(command)]
    many = words[0] in ("prepare", "extract-prosody", "align", "extract-gop")
    here = [] if words[0] == "predict" else ["-C", str(root)]
    return [*words, *here, *(["-j", "1"] if many else [])]


@pytest.mark.parametrize(
    ("command", "modules"),
    [
        ("prepare demo", [ESPEAK]),
        ("doctor", [ESPEAK]),
        ("extract-prosody", [PARSELMOUTH]),
        ("align", []),
        ("extract-gop", []),
        ("extract-gop --prosody", [PARSELMOUTH]),
        ("extract-gop --no-pitch", []),
        ("predict pronunciation", [PARSELMOUTH]),
        ("--model no-gpl", []),
        ("an unknown word", [ESPEAK, PARSELMOUTH]),
    ],
)
def test_gpl_code_is_loaded_where_the_docs_say_so(loaded, command: str, modules: list[str]) -> None:
    assert loaded[command] == [0, modules]


def test_no_g2p_does_without_espeak(loaded) -> None:
    assert loaded["an unknown word, --no-g2p"] == [2, []]


def test_without_praat_a_model_with_prosody_is_refused(monkeypatch, tmp_path: Path, run) -> None:
    monkeypatch.setitem(sys.modules, PARSELMOUTH, None)  # as where it is not installed
    soundfile.write(tmp_path / "a.wav", voice(150, 2.0), 16000)
    ran = run("predict", "pronunciation", tmp_path / "a.wav", "--text", "we see it", "-j", "1")
    assert ran.code == 2 and "'praat-parselmouth', which is not installed" in ran.err, ran.err
    found = answers.curves(voice(150, 1.0), 16000)
    assert found["pitch_hz"]["values"] == [] and len(found["energy_db"]["values"]) > 10
