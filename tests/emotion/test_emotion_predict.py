"""predict emotion: windows of long recordings, silence, any rate, what is refused."""

import json
from importlib.metadata import version

import numpy as np
import pytest
import soundfile
from emotion_models import CLASSES, sound, write_encoder_model

from speechkit.base.errors import UserError
from speechkit.emotion.inference_config import WindowConfig
from speechkit.emotion.predict import load_predictor
from speechkit.emotion.windows import is_silent, windows


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    root = tmp_path_factory.mktemp("predict")
    write_encoder_model(root)
    write_encoder_model(root, seed=1)
    return root


def test_windows_cover_everything_and_end_at_the_end():
    cut = WindowConfig(window=4.0, hop=2.0, whole=10.0)
    assert cut.starts(160_000, 16000) == ([0], 160_000)
    starts, size = cut.starts(200_000, 16000)
    assert size == 64000
    assert starts == [0, 32000, 64000, 96000, 128000, 136000]
    wave = np.arange(200_000, dtype=np.float32)
    for block in (1000, 64000, 300_000, 7777):
        blocks = (wave[i : i + block] for i in range(0, len(wave), block))
        found = list(windows(blocks, starts, size))
        assert [start for start, _ in found] == starts
        for start, part in found:
            assert np.array_equal(part, wave[start : start + size])
    spaced = list(windows([wave[:50], wave[50:]], [10, 5000], 20))  # hops longer than windows
    assert [part[0] for _, part in spaced] == [10, 5000]
    short = list(windows([wave[:90]], [0, 40], 60))  # the signal is shorter than promised
    assert [len(part) for _, part in short] == [60, 50]
    assert is_silent(np.zeros(10)) and not is_silent(wave[:10])
    for bad in (
        WindowConfig(window=0.01),
        WindowConfig(hop=0.0),
        WindowConfig(hop=5.0),
        WindowConfig(whole=99.0),
        WindowConfig(window=40.0),
    ):
        with pytest.raises(UserError):
            bad.check(30.0)


def test_a_short_file_is_judged_whole_at_any_rate(place, run):
    wave = sound(3.0)
    soundfile.write(place / "a.wav", wave, 16000, subtype="FLOAT")
    stereo = np.stack([sound(3.0, 48000), sound(3.0, 48000, 1)], axis=1)
    soundfile.write(place / "b.wav", stereo, 48000)
    ran = run("predict", "emotion", place / "a.wav", place / "b.wav", "--model", "base",
              "-C", place, "--json")  # fmt: skip
    assert ran.code == 0, ran.err
    first, second = json.loads(ran.out)
    model = load_predictor(place / "exp/emotion/base/fold0/seed0")
    wanted = model.probabilities([wave])[0]
    assert list(first["probabilities"]) == list(CLASSES)
    assert np.allclose(list(first["probabilities"].values()), wanted, atol=1e-5)
    assert first["label"] == CLASSES[int(wanted.argmax())]
    assert len(first["windows"]) == 1
    assert second["seconds"] == pytest.approx(3.0)
    # `serve` and `load` say so too, which have no such flag
    assert "has 2 models" in ran.err and "`speechkit predict emotion --ensemble`" in ran.err
    together = run("predict", "emotion", place / "a.wav", "--model", "base", "--ensemble",
                   "-C", place, "--json")  # fmt: skip
    other = load_predictor(place / "exp/emotion/base/fold0/seed1").probabilities([wave])[0]
    mean = list(json.loads(together.out)[0]["probabilities"].values())
    assert np.allclose(mean, (wanted + other) / 2, atol=1e-5)
    table = run("predict", "emotion", place / "a.wav", "-C", place, "--model",
                place / "exp/emotion/base/fold0/seed0")  # fmt: skip
    assert first["label"] in table.out


def test_forty_minutes_and_a_pause(place, run):
    """A recording of 40 minutes at 8 kHz, a minute of it silent."""
    minutes = np.tile(sound(60.0, 8000), 40)
    minutes[8000 * 600 : 8000 * 660] = 0
    soundfile.write(place / "long.flac", minutes, 8000)
    ran = run("predict", "emotion", place / "long.flac", "--model", "base", "-C", place, "--json",
              "--timeline", "--window", 20, "--hop", 20, "--out", place / "out")  # fmt: skip
    assert ran.code == 0, ran.err
    (found,) = json.loads(ran.out)
    parts = found["windows"]
    assert len(parts) == 120
    assert parts[-1]["end"] == 2400.0
    assert [p["label"] for p in parts].count(None) == 3
    heard = [list(p["probabilities"].values()) for p in parts if p["label"]]
    assert np.allclose(list(found["probabilities"].values()), np.mean(heard, 0), atol=1e-5)
    figure, table = (place / "out" / f"long_emotion{s}" for s in (".png", ".tsv"))
    assert found["files"] == [str(figure), str(table)]
    assert figure.read_bytes()[:4] == b"\x89PNG"
    lines = table.read_text().splitlines()
    assert lines[0].split("\t") == ["start", "end", "label", *CLASSES]
    assert len(lines) == 121
    again = run("predict", "emotion", place / "long.flac", "--model", "base", "-C", place,
                "--timeline", "--out", place / "out")  # fmt: skip
    assert again.code == 2 and "exists" in again.err


def test_windows_are_judged_as_clips_of_their_own(place, run):
    wave = sound(12.0)
    soundfile.write(place / "w.wav", wave, 16000, subtype="FLOAT")
    ran = run("predict", "emotion", place / "w.wav", "--model", "base", "-C", place, "--json")
    parts = json.loads(ran.out)[0]["windows"]
    assert [p["start"] for p in parts] == [0, 2, 4, 6, 8]
    model = load_predictor(place / "exp/emotion/base/fold0/seed0")
    wanted = model.probabilities([wave[32000:96000]])[0]
    assert np.allclose(list(parts[1]["probabilities"].values()), wanted, atol=1e-4)


@pytest.mark.parametrize(("rate", "offset"), [(16000, 0.0), (16000, 0.1), (8000, 0.9)])
def test_a_silent_file_gets_no_label(place, run, rate, offset):
    soundfile.write(place / "silent.wav", np.full(14 * rate, offset), rate, subtype="FLOAT")
    ran = run("predict", "emotion", place / "silent.wav", "--model", "base", "-C", place, "--json")
    assert ran.code == 0
    (found,) = json.loads(ran.out)
    assert found["label"] is None and found["silent"] and found["probabilities"] is None
    assert "is silent" in ran.err
    table = run("predict", "emotion", place / "silent.wav", "--model", "base", "-C", place,
                "--timeline", "--force")  # fmt: skip
    assert "(silent)" in table.out
    assert (place / "silent_emotion.png").exists()


def test_a_saved_run_is_shown_again(place, run, tmp_path):
    files = [tmp_path / f"{k}.wav" for k in range(3)]
    for k, file in enumerate(files):
        soundfile.write(file, sound(1.0 + k) * (k != 1), 16000)
    base = ("predict", "emotion", *files, "-C", place, "--model", "base")
    save = ("--save", tmp_path / "found.jsonl", "--timeline")
    first = run(*base, *save)
    assert first.code == 0 and first.out.count("┃ file") == 1 and first.out.count("│ /") == 3
    lines = (tmp_path / "found.jsonl").read_bytes()
    (tmp_path / "found.jsonl").write_bytes(lines[:-9])
    (tmp_path / "2_emotion.png").unlink()
    (tmp_path / "2_emotion.tsv").unlink()
    again = run(*base, *save)
    assert again.code == 0 and again.out == first.out
    assert (tmp_path / "found.jsonl").read_bytes() == lines
    assert (tmp_path / "2_emotion.png").is_file() and not list(tmp_path.glob(".*"))


def test_what_cannot_be_judged_is_named(place, run, tmp_path):
    (place / "text.wav").write_text("hello")
    soundfile.write(place / "tiny.wav", sound(0.015), 16000)
    soundfile.write(place / "good.wav", sound(1.0), 16000)
    base = ("predict", "emotion", "-C", place, "--model", "base")
    for file, message in (("text.wav", "text.wav"), ("tiny.wav", "shorter than one frame"),
                          ("none.wav", "none.wav")):  # fmt: skip
        ran = run(*base, place / file)
        assert ran.code == 2 and message in ran.err, ran.err
        ran = run(*base, place / file, place / "good.wav", "--on-error", "skip", "--json")
        assert ran.code == 0 and len(json.loads(ran.out)) == 1
        assert "skipped" in ran.err
    ran = run("predict", "emotion", place / "good.wav", "--model", "bose", "-C", place)
    assert ran.code == 2 and "Models there: base" in ran.err
    (tmp_path / "good.wav").write_bytes((place / "good.wav").read_bytes())
    ran = run(*base, place / "good.wav", tmp_path / "good.wav", "--timeline", "--out", tmp_path)
    assert ran.code == 2 and "both be written" in ran.err


def test_prediction_imports_no_training_framework(place):
    import subprocess
    import sys

    code = (
        "import sys; from speechkit.cli.main import main; "
        f"main(['predict', 'emotion', {str(place / 'good.wav')!r}, '--model', 'base', '-C', "
        f"{str(place)!r}]); "
        "bad = [m for m in ('lightning', 'pandas', 'sklearn', 'speechbrain') if m in sys.modules]; "
        "print('imported', bad)"
    )
    soundfile.write(place / "good.wav", sound(1.0), 16000)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "error" not in done.stderr
    own = ["sklearn"] if version("transformers").startswith("4.") else []  # 4 imports it itself
    assert f"imported {own}" in done.stdout, done.stdout + done.stderr
