"""Progress: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys

import pytest

from speechkit.base import log

COMMAND = """
import time
from speechkit.base import log
log.setup()
log.LOG_EVERY_S = 0.2
with log.progress("extract-prosody", 20, "utt") as advance:
    for i in range(20):
        time.sleep(0.05)
        if i == 9:
            log.logger.warning("a [bold]note[/bold] between")
        advance(1)
with log.progress("", 5) as advance:
    advance(5)
"""


def test_bar_on_a_terminal() -> None:
    leader, follower = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    process = subprocess.Popen([sys.executable, "-c", COMMAND], stderr=follower, env=environment)
    os.close(follower)
    shown = b""
    while True:
        try:
            block = os.read(leader, 4096)
        except OSError:  # the other end is closed
            break
        shown += block
    os.close(leader)
    assert process.wait() == 0
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown.decode())
    assert "━" in text and re.search(r"\d+/20", text)
    assert re.search(r"\d+\.\d utt/s", text) and re.search(r"0:00:0\d", text)  # rate, time left
    assert "a [bold]note[/bold] between" in text
    assert re.search(r"extract-prosody: 20 utt in \d s \(", text)


def test_plain_lines_elsewhere() -> None:
    done = subprocess.run(
        [sys.executable, "-c", COMMAND], capture_output=True, text=True, check=True
    )
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert all(re.match(r"\d\d:\d\d:\d\d ", line) for line in lines)
    assert "\x1b" not in done.stderr and "\r" not in done.stderr
    assert re.search(r"extract-prosody: \d+/20 utt, [\d.]+ utt/s, \d+ s left", done.stderr)
    assert lines[-1].endswith("utt/s)") and "extract-prosody: 20 utt in 1 s" in lines[-1]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59.4, "59 s"), (59.6, "1:00 min"), (185, "3:05 min"), (3723, "1:02:03 h")],
)
def test_format_seconds(seconds: float, text: str) -> None:
    assert log.format_seconds(seconds) == text


def test_advancing_by_nothing_is_harmless(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "LOG_EVERY_S", 0.0)
    with log.progress("x", 3) as advance:
        advance(0)
        advance(3)


def test_what_an_earlier_run_did_is_not_in_the_rate(monkeypatch, caplog):
    clock = iter([0.0, 20.0, 20.0, 40.0])
    monkeypatch.setattr(log.time, "monotonic", lambda: next(clock))
    with caplog.at_level("INFO"), log.progress("train", 100, "step", before=80) as more:
        more(10)
        monkeypatch.setattr(log.time, "monotonic", lambda: 40.0)
        more(10)
    assert "90/100 steps, 0.5 steps/s, 20 s left" in caplog.text


def test_counted() -> None:
    found = [log.counted(number, "clip") for number in (0, 1, 2, 2000)]
    assert found == ["0 clips", "1 clip", "2 clips", "2,000 clips"]
    found = [log.counted(number, "class is", "classes are") for number in (1, 2)]
    assert found == ["1 class is", "2 classes are"]


@pytest.mark.parametrize(("noun", "seconds", "shown"), [
    ("step", 32.0, "2 steps in 32 s (0.062 steps/s)"),
    ("batch", 0.5, "2 batches in 0 s (4.0 batches/s)"),
    ("epoch", 0.5, "2 epochs in 0 s (4.0 epochs/s)"),
    ("utt", 2.0, "2 utt in 2 s (1.0 utt/s)"),
])  # fmt: skip
def test_slow_rates_and_plurals(monkeypatch, caplog, noun: str, seconds: float, shown: str) -> None:
    clock = iter([0.0, seconds, seconds])
    monkeypatch.setattr(log.time, "monotonic", lambda: next(clock))
    with caplog.at_level("INFO"), log.progress("train", 2, noun) as more:
        more(2)
    assert shown in caplog.text
