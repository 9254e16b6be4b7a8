"""`predict separation`: anyone's files in, one WAV per speaker out, nothing overwritten."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from conftest import voice

from speechkit.base import audio
from speechkit.separation import model_folder
from speechkit.separation.conv_tasnet import ConvTasNet, ConvTasNetConfig
from speechkit.separation.inference import separate_long
from speechkit.separation.recording import _Level

CONFIG = ConvTasNetConfig(filters=16, bottleneck=8, skip=8, hidden=8, blocks=2, repeats=1)


def write_model(folder: Path, seed: int = 0, rate: int = 8000, **changes) -> Path:
    """A random model whose plain and weighted weights differ."""
    folder.mkdir(parents=True)
    config = ConvTasNetConfig(**{**CONFIG.__dict__, **changes})
    weights = {}
    for k, name in enumerate(("plain", "weighted")):
        torch.manual_seed(10 * seed + k)
        weights[name] = ConvTasNet(config).state_dict()
    model_folder.write(folder, config, rate, "plain", {}, weights, [])
    return folder


@pytest.fixture
def model(workdir: Path) -> Path:
    return write_model(workdir / "exp" / "separation" / "base" / "seed0")


def recording(path: Path, rate: int = 8000, seconds: float = 2.0, channels: int = 1) -> Path:
    sound = voice(110, seconds, rate) + voice(190, seconds, rate, seed=1)
    soundfile.write(path, np.stack([0.7 * sound] * channels, axis=1), rate)
    return path


def separate(run, workdir: Path, *arguments):
    return run("predict", "separation", "-C", workdir, "--device", "cpu", *arguments)


def test_outputs_are_the_networks_at_one_gain(run, workdir: Path, model: Path) -> None:
    path = recording(workdir / "talk.wav", seconds=5.0)
    done = separate(run, workdir, path, "--model", "base", "--block-seconds", 4,
                    "--overlap-seconds", 1, "--json")  # fmt: skip
    assert done.code == 0, done.err
    (found,) = json.loads(done.out)
    assert found["outputs"] == [str(workdir / f"talk_s{k}.wav") for k in (1, 2)]
    written = np.stack([soundfile.read(p)[0] for p in found["outputs"]])
    mixture = audio.read(path)[0]
    expected = separate_long(model_folder.load(model), mixture, block_seconds=4, overlap_seconds=1)
    total = expected.sum(0)
    gain = mixture @ total / (total @ total)
    assert np.abs(gain * expected).max() < 1
    np.testing.assert_allclose(written, gain * expected, atol=1.01 / 32768)
    assert found["gain_db"] == pytest.approx(20 * np.log10(abs(gain)), abs=0.01)
    assert soundfile.info(found["outputs"][0]).subtype == "PCM_16"


@pytest.mark.parametrize(
    ("name", "rate", "channels"),
    [("a.wav", 44100, 2), ("a.flac", 16000, 1), ("a.mp3", 48000, 2), ("a.wav", 8000, 3)],
)
def test_any_format_rate_and_channels(
    run, workdir: Path, model: Path, name: str, rate: int, channels: int
) -> None:
    path = recording(workdir / name, rate, 1.37, channels)
    done = separate(run, workdir, path, "--model", model, "--out", workdir / "new" / "folder")
    assert done.code == 0, done.err
    before = audio.info(path)
    for k in (1, 2):
        after = audio.info(workdir / "new" / "folder" / f"a_s{k}.wav")
        assert (after.sample_rate, after.frames, after.channels) == (rate, before.frames, 1)
    samples = soundfile.read(workdir / "new" / "folder" / "a_s1.wav")[0]
    spectrum = np.abs(np.fft.rfft(samples)) ** 2
    above = np.arange(len(spectrum)) / len(samples) * rate > 5500
    assert spectrum[above].sum() < 1e-3 * spectrum.sum()  # the band of a model of 8 kHz


def test_peaks_beyond_full_scale_take_one_gain(run, workdir: Path, model: Path) -> None:
    loud = 40 * voice(120, 1.5, 8000)
    soundfile.write(workdir / "loud.wav", loud, 8000, subtype="FLOAT")
    assert separate(run, workdir, workdir / "loud.wav", "--model", "base").code == 0
    written = np.stack([soundfile.read(workdir / f"loud_s{k}.wav")[0] for k in (1, 2)])
    expected = separate_long(model_folder.load(model), loud)
    assert np.abs(written).max() == 32767 / 32768
    ratio = (written * expected).sum() / (expected**2).sum()
    np.testing.assert_allclose(written, ratio * expected, atol=2 / 32768)


def test_nothing_is_overwritten_silently(run, workdir: Path, model: Path) -> None:
    path = recording(workdir / "talk.wav")
    (workdir / "talk_s2.wav").write_text("mine")
    refused = separate(run, workdir, path, "--model", "base")
    assert refused.code == 2
    assert "talk_s2.wav exists" in refused.err
    assert not (workdir / "talk_s1.wav").exists()
    assert (workdir / "talk_s2.wav").read_text() == "mine"
    assert separate(run, workdir, path, "--model", "base", "--force").code == 0
    assert audio.info(workdir / "talk_s2.wav").frames == 16000
    again = separate(run, workdir, path, workdir / "talk_s1.wav", "--model", "base", "--force")
    assert again.code == 2
    assert "is a recording that is given" in again.err


def test_a_saved_run_goes_on_without_separating_again(run, workdir: Path, model: Path) -> None:
    files = [recording(workdir / f"{k}.wav", seconds=1.0 + k) for k in range(3)]
    base = (*files, "--model", "base", "--out", workdir / "out")
    save = ("--save", workdir / "done.jsonl")
    done = separate(run, workdir, *base, *save)
    assert done.code == 0, done.err
    lines = (workdir / "done.jsonl").read_text().splitlines(keepends=True)
    made = {path: path.read_bytes() for path in (workdir / "out").iterdir()}
    assert len(made) == 6
    (workdir / "done.jsonl").write_text("".join(lines[:2]) + lines[2][:20])  # as when killed
    (workdir / "out" / "2_s1.wav").unlink()
    (workdir / "out" / "2_s2.wav").unlink()
    before = (workdir / "out" / "0_s1.wav").stat().st_mtime_ns
    again = separate(run, workdir, *base, *save)
    assert again.code == 0 and again.out == done.out
    assert {path: path.read_bytes() for path in (workdir / "out").iterdir()} == made
    assert (workdir / "out" / "0_s1.wav").stat().st_mtime_ns == before
    assert (workdir / "done.jsonl").read_text() == "".join(lines)
    other = separate(run, workdir, *base, *save, "--block-seconds", 10)
    assert other.code == 2 and "block_seconds: 20.0 there, 10.0 now" in other.err
    unsaved = separate(run, workdir, *base)
    assert unsaved.code == 2 and "--save" in unsaved.err


def test_identical_stems_are_refused_before_anything_is_done(
    run, workdir: Path, model: Path
) -> None:
    (workdir / "other").mkdir()
    first, second = recording(workdir / "a.wav"), recording(workdir / "other" / "a.flac")
    out = workdir / "out"
    refused = separate(run, workdir, first, second, "--model", "base", "--out", out)
    assert refused.code == 2
    assert "would both be written" in refused.err
    assert not out.exists()


def test_broken_recordings_are_named(run, workdir: Path, model: Path) -> None:
    good = recording(workdir / "good.wav")
    (workdir / "empty.wav").write_bytes(b"")
    recording(workdir / "cut.flac", seconds=30)
    whole = (workdir / "cut.flac").read_bytes()
    (workdir / "cut.flac").write_bytes(whole[: len(whole) // 3])
    soundfile.write(workdir / "short.wav", np.ones(5), 8000)
    bad = [workdir / name for name in ("empty.wav", "cut.flac", "short.wav", "gone.wav")]
    for path in bad:
        stopped = separate(run, workdir, path, "--model", "base")
        assert stopped.code == 2
        assert str(path) in stopped.err.replace("\n", "")
    done = separate(run, workdir, *bad, good, "--model", "base", "--on-error", "skip", "--json")
    assert done.code == 0
    assert [Path(each["input"]).name for each in json.loads(done.out)] == ["good.wav"]
    assert all(path.name in done.err for path in bad)
    names = {path.name for path in workdir.iterdir() if path.is_file()}
    assert names == {"good.wav", "good_s1.wav", "good_s2.wav", "empty.wav", "cut.flac", "short.wav"}
    (workdir / "good_s1.wav").unlink()
    nothing = separate(run, workdir, bad[0], "--model", "base", "--on-error", "skip")
    assert nothing.code == 2


def test_which_model_is_taken(run, workdir: Path, model: Path) -> None:
    write_model(workdir / "exp" / "separation" / "base" / "seed3", seed=3, speakers=3)
    path = recording(workdir / "a.wav")

    def outputs(*arguments) -> np.ndarray:
        done = separate(run, workdir, path, "--force", "--json", *arguments)
        assert done.code == 0, done.err
        files = json.loads(done.out)[0]["outputs"]
        return np.stack([soundfile.read(p)[0] for p in files])

    by_name = outputs("--model", "base")
    np.testing.assert_array_equal(outputs("--model", model), by_name)
    np.testing.assert_array_equal(outputs("--model", model.parent), by_name)
    np.testing.assert_array_equal(outputs("--model", "exp/separation/base/seed0"), by_name)
    np.testing.assert_array_equal(outputs("--model", model, "--checkpoint", "plain"), by_name)
    assert not np.array_equal(outputs("--model", model, "--checkpoint", "weighted"), by_name)
    assert len(outputs("--model", model.parent / "seed3")) == 3
    missing = separate(run, workdir, path, "--model", "none", "--force")
    assert missing.code == 2
    assert "base" in missing.err
    wrong = separate(run, workdir, path, "--model", "base", "--checkpoint", "best", "--force")
    assert wrong.code == 2


def test_a_checkpoint_of_asteroid(run, workdir: Path) -> None:
    from test_foreign import write_asteroid

    path = recording(workdir / "a.wav")
    file = write_asteroid(workdir / "best_model.pth", sample_rate=None)
    refused = separate(run, workdir, path, "--model", file)
    assert refused.code == 2
    assert "--sample-rate" in refused.err
    done = separate(run, workdir, path, "--model", file, "--sample-rate", 16000)
    assert done.code == 0, done.err
    assert audio.info(workdir / "a_s1.wav").frames == 16000
    stated = write_asteroid(workdir / "stated.pth", sample_rate=8000)
    for flags, said in (
        (("--sample-rate", 16000), "8000 Hz, not"),
        (("--checkpoint", "plain"), "not a model of speechkit"),
    ):
        other = separate(run, workdir, path, "--model", stated, "--force", *flags)
        assert other.code == 2
        assert said in other.err


_CHILD = """
import resource, sys
from speechkit.cli.main import main
code = main(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, file=sys.stderr)
print(sorted({'lightning', 'pytorch_lightning'} & set(sys.modules)), file=sys.stderr)
sys.exit(code)
"""


def child(*arguments) -> tuple[float, str, str]:
    """Peak memory in GiB, imported training frameworks, and what was printed."""
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, "predict", "separation", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stderr.strip().splitlines()
    return float(lines[-2]), lines[-1], done.stdout


def test_no_training_framework_is_imported(workdir: Path, model: Path) -> None:
    path = recording(workdir / "a.wav", 16000)
    _, imported, _ = child(path, "--model", model, "--device", "cpu")
    assert imported == "[]"


@pytest.mark.slow
def test_an_hour_in_under_two_gib(workdir: Path) -> None:
    tiny = write_model(
        workdir / "exp" / "separation" / "tiny" / "seed0",
        filters=128, bottleneck=64, skip=64, hidden=128, blocks=6, repeats=2, kernel=32,
    )  # fmt: skip
    minute = voice(110, 60, 8000) + voice(190, 60, 8000, seed=1)
    with soundfile.SoundFile(workdir / "hour.wav", "w", 8000, 1) as file:
        for _ in range(60):
            file.write(minute)
        file.write(minute[:12345])
    gib, _, _ = child(workdir / "hour.wav", "--model", tiny, "--device", "cpu")
    assert gib < 2
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20 < 2
    for k in (1, 2):
        assert audio.info(workdir / f"hour_s{k}.wav").frames == 3600 * 8000 + 12345


def test_offsets_do_not_change_the_gain() -> None:
    sources = np.random.default_rng(0).standard_normal((2, 8000)).astype(np.float32)
    gains = []
    for mixed_offset, offset in ((0.0, 0.0), (3.0, 0.0), (0.0, 3.0), (3.0, -2.0)):
        level = _Level()
        for _ in level.listen(np.split(0.25 * sources.sum(0) + np.float32(mixed_offset), 5)):
            pass
        for block in np.split(sources + np.float32(offset), 4, axis=1):
            level.add(block)
        gains.append(level.gain())
    assert gains == pytest.approx([0.25] * 4, rel=1e-6)
    level = _Level()
    list(level.listen([np.full(100, 0.1, np.float32)]))
    level.add(np.full((2, 100), 0.1, np.float32))
    assert level.gain() == 1
