"""The page of `speechkit serve` in Chromium, with a microphone that hears a recording."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import voice
from devtools import Tab, browser
from emotion_models import write_encoder_model
from separation_models import make_model

from speechkit.corpora import demo
from speechkit.corpora.config import DemoConfig
from speechkit.kaldi import data
from speechkit.workdir import WorkDir

pytest.importorskip("fastapi", reason="the extra [serve] is not installed")
pytestmark = pytest.mark.slow

SENTENCE = "We call it bear"
WORDS = (  # without what is added: the microphone begins again while the key is pressed
    "[...document.querySelectorAll('#pronunciation .say .name')].map(e => e.textContent)"
    ".filter(name => name !== '+')"
)
LABEL = "document.querySelector('#pronunciation .record').textContent"
RESULT = "document.querySelector('#{} .result').dataset.ready === 'true'"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of a server in a process of its own, which Ctrl-C ends."""
    root = tmp_path_factory.mktemp("served")
    make_model(root, "dm")
    write_encoder_model(root, "tuned")
    words = ["serve", "-C", str(root), "--port", "0", "--separation", "dm", "--emotion", "tuned"]
    before = sorted(root.rglob("*"))
    process = subprocess.Popen(
        [sys.executable, "-m", "speechkit", *words],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path_factory.mktemp("left"))},
    )
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
    assert sorted(root.rglob("*")) == before


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Generated speech with its text."""
    work = WorkDir(tmp_path_factory.mktemp("spoken"))
    demo.prepare(work, DemoConfig(24, 6))
    name, words = (work.data("test") / "text").read_text().splitlines()[0].split(" ", 1)
    wavs = {u.id: u.wav for u in data.load(work.data("test"), work.root).utterances}
    return Path(str(wavs[name])), words


@pytest.fixture(scope="module")
def tab(spoken: tuple[Path, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with browser(tmp_path_factory.mktemp("browser"), spoken[0]) as opened:
        yield opened


def opened(tab: Tab, address: str, task: str) -> None:
    tab.open("about:blank")
    tab.open(f"{address}#{task}")
    tab.wait("document.body?.dataset.ready === 'true'")


def test_what_is_spoken_is_scored(tab: Tab, address: str, spoken: tuple[Path, str]) -> None:
    opened(tab, address, "pronunciation")
    tab.run(f"document.getElementById('text').value = {spoken[1]!r}")
    seconds = soundfile.info(spoken[0]).duration
    tab.run("document.querySelector('#pronunciation .record').focus()")
    tab.press("Enter", 13)  # with the keyboard
    tab.wait(f"/[1-9]/.test(({LABEL}.match(/[.0-9]+/) ?? ['0'])[0]) && "
             f"parseFloat({LABEL}.match(/[.0-9]+/)[0]) > {seconds + 0.3}")  # fmt: skip
    tab.press("Enter", 13)
    taken = tab.wait(RESULT.format("pronunciation"))
    assert tab.run(WORDS) == spoken[1].lower().split()
    shown = tab.run("document.querySelector('#pronunciation .result').innerText")
    assert "poor" in shown and "fluency" in shown.lower() and "stress" in shown  # not colour alone
    assert tab.run("document.querySelectorAll('#pronunciation .curves .pitch').length") == 1
    tab.run("document.querySelector('#pronunciation .say').click()")  # listens
    assert tab.failures == [] and taken < 20


def test_a_file_is_scored_and_a_bad_one_told(
    tab: Tab, address: str, spoken: tuple[Path, str], tmp_path: Path
) -> None:
    opened(tab, address, "pronunciation")
    tab.run(f"document.getElementById('text').value = {spoken[1]!r}")
    tab.give_file("#file-pronunciation", spoken[0])
    tab.wait(RESULT.format("pronunciation"))
    (tmp_path / "bad.wav").write_bytes(b"RIFF\0\0\0\0WAVE no audio")
    tab.give_file("#file-pronunciation", tmp_path / "bad.wav")
    tab.wait("document.querySelector('#pronunciation .status').classList.contains('bad')")
    assert "decoded" in tab.run("document.querySelector('#pronunciation .status').textContent")
    assert tab.run("document.querySelectorAll('#pronunciation .say').length") == 0
    assert [one for one in tab.failures if "422" not in one] == []
    tab.failures.clear()


def test_a_mixture_and_emotions(tab: Tab, address: str, tmp_path: Path) -> None:
    mixture = np.concatenate([voice(110, 7.0) + voice(190, 7.0, seed=1), voice(150, 7.0)]) / 2
    soundfile.write(tmp_path / "m.flac", mixture, 16000)
    opened(tab, address, "separation")
    tab.give_file("#file-separation", tmp_path / "m.flac")
    tab.wait(RESULT.format("separation"))
    tab.wait("[...document.querySelectorAll('.source audio')].every(a => a.duration > 13)")
    assert tab.run("document.querySelectorAll('.source audio').length") == 2
    tab.run("document.getElementById('tab-separation').focus()")
    tab.press("ArrowRight", 39)
    assert tab.run("document.activeElement.id") == "tab-emotion"
    assert tab.run("document.getElementById('separation').hidden") is True
    tab.give_file("#file-emotion", tmp_path / "m.flac")
    tab.wait(RESULT.format("emotion"))
    assert "Most likely" in tab.run("document.querySelector('#emotion .result').innerText")
    assert tab.run("document.querySelectorAll('.timeline .best').length") == 6
    assert tab.failures == []


@pytest.mark.parametrize("task", ["pronunciation", "separation", "emotion"])
@pytest.mark.parametrize("width", [390, 1400])
def test_the_page_fits_and_fetches_only_its_own(
    tab: Tab, address: str, spoken: tuple[Path, str], task: str, width: int
) -> None:
    tab.look(width, width == 390)
    opened(tab, address, task)
    tab.run(f"document.getElementById('text').value = {spoken[1]!r}")
    tab.give_file(f"#file-{task}", spoken[0])
    tab.wait(RESULT.format(task))
    wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert tab.run(wide) <= 0
    names = "performance.getEntriesByType('resource').map(e => e.name)"
    assert all(name.startswith((address, "blob:", "data:")) for name in tab.run(names))
    named = (
        "[...document.querySelectorAll('button, input, select, textarea, audio')].filter(e => "
        "!e.textContent.trim() && !e.labels?.length && !e.getAttribute('aria-label')).length"
    )
    assert tab.run(named) == 0
    assert tab.failures == []
