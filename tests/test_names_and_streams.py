"""Names cannot lead out of a working directory; odd streams and early Ctrl-C end well."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import make_set

from speechkit.base import files
from speechkit.base.errors import UserError
from speechkit.workdir import WorkDir, check_name

BAD = ["", ".", "..", "a/b", "/tmp/x", "../data/train", "a b", "-x", ".hidden", "x" * 101, "a\n"]


@pytest.mark.parametrize("name", BAD)
def test_bad_names(name):
    with pytest.raises(UserError, match="cannot be the name"):
        check_name("set", name)
    with pytest.raises(UserError, match="cannot be the name"):
        WorkDir(files.Path()).data(name)


@pytest.mark.parametrize("name", ["train", "train_clean_100", "xvector_pm0.04", "größe", "a+b-c"])
def test_good_names(name):
    assert check_name("set", name) == name


@pytest.mark.parametrize(
    "words",
    [
        ("extract-prosody", "--set", "{root}/data/train", "--force"),
        ("extract-prosody", "--set", "../data/train", "--force"),
        ("extract-prosody", "--name", "a/../../../data/train", "--force"),
        ("train", "xvector", "--name", ".", "--force"),
        ("train", "xvector", "--name", "", "--force"),
        ("train", "xvector", "--name", "..", "--force"),
        ("extract-xvector", "--set", "{root}/data/train", "--force"),
        ("mine-hard", "--param", "pitch", "--name", "/../../..", "--force"),
        ("mine-hard", "--param", "pitch", "--pm", "1e-300"),
    ],
)
def test_no_command_leaves_its_place(run, workdir, words):
    (workdir / "exp/xvector_nnet/kept").mkdir(parents=True)
    before = sorted(p for p in workdir.rglob("*") if p.is_file())
    done = run(*(word.format(root=workdir) for word in words), "-C", workdir)
    assert done.code == 2, done.err
    assert sorted(p for p in workdir.rglob("*") if p.is_file()) == before
    assert (workdir / "exp/xvector_nnet/kept").is_dir()


def test_skipped_utterances_are_said_again(run, workdir):
    (workdir / "data/train/wav/s1-u1.wav").unlink()
    assert run("extract-prosody", "-C", workdir, "-j", 1, "--on-error", "skip").code == 0
    again = run("extract-prosody", "-C", workdir, "-j", 1)
    assert again.code == 0
    assert "up to date" in again.err and "skipped.tsv" in again.err


def test_finished_results_on_a_read_only_share(run, workdir, monkeypatch):
    assert run("extract-prosody", "-C", workdir, "-j", 1).code == 0

    def refuse(self, what):
        raise files.NotWritable("Cannot write here.", "Use -C DIR.")

    monkeypatch.setattr(files.Lock, "acquire", refuse)
    again = run("extract-prosody", "-C", workdir, "-j", 1)
    assert again.code == 0 and "up to date" in again.err
    other = run("extract-prosody", "-C", workdir, "-j", 1, "--name", "new")
    assert other.code == 2 and "Cannot write" in other.err


def speechkit(*words: object, **how) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-m", "speechkit", *map(str, words)], **how)


def test_ascii_output_and_closed_stderr(tmp_path):
    make_set(tmp_path, name="größe", speakers=2, utterances=1, seconds=0.3)
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    words = ("extract-prosody", "-C", tmp_path, "--set", "größe", "-j", 1)
    done = speechkit(*words, env=environment, stdout=-1, stderr=-1)
    out, err = done.communicate()
    assert done.returncode == 0, err
    assert b"gr\\xf6\\xdfe" in out.replace(b"\n", b"")  # a long title is folded
    command = f"{sys.executable} -m speechkit extract-prosody -C {tmp_path} --set größe --name b"
    closed = subprocess.run(["sh", "-c", f"{command} 2>&-"], stdout=-1, check=False)
    assert closed.returncode == 0


# Says when it is up: what comes earlier hits Python itself, which answers in its own ways.
UP = """
import sys
from speechkit.base import signals
from speechkit.__main__ import entry
signals.listen_always()
try:
    print("up", flush=True)
    entry()
except KeyboardInterrupt:
    sys.exit(signals.exit_code())
"""

STOPS = [(signal.SIGINT, 130), (signal.SIGTERM, 143)]


@pytest.mark.parametrize(
    ("delay", "stop", "code"),
    [(delay, *STOPS[k % 2]) for k, delay in enumerate([0.0, 0.0, 0.03, 0.05, 0.1, 0.2])],
)
def test_a_stop_at_once(tmp_path, delay, stop, code):
    command = [sys.executable, "-c", UP, "prepare", "demo", "-C", str(tmp_path)]
    with subprocess.Popen(command, stdout=-1, stderr=-1) as process:
        assert process.stdout and process.stdout.readline() == b"up\n"
        time.sleep(delay)
        process.send_signal(stop)
        _, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert b"Traceback" not in err


LOST = """
import signal, sys, time
import speechkit.__main__, speechkit.cli.main

class Gone:
    def __del__(self):
        signal.raise_signal(int(sys.argv[1]))  # Python drops what is raised in here

def main():
    Gone()
    time.sleep(60)
    return 0

speechkit.cli.main.main = main
speechkit.__main__.entry()
"""


@pytest.mark.parametrize(("stop", "code"), STOPS)
def test_a_stop_inside_a_destructor_is_not_lost(stop, code):
    command = [sys.executable, "-c", LOST, str(int(stop))]
    done = subprocess.run(command, stderr=-1, timeout=30, check=False)
    assert done.returncode == code
    assert b"ignored" not in done.stderr


def test_output_that_nobody_reads(tmp_path):
    """As in ``speechkit ... | head``: one message, and no second one of Python as it ends."""
    read, write = os.pipe()
    os.close(read)
    process = speechkit("--help", stdout=write, stderr=-1)
    os.close(write)
    err = process.communicate(timeout=60)[1].decode()
    assert process.returncode == 2
    assert "Broken pipe" in err and "Traceback" not in err and "ignored" not in err


def test_output_that_cannot_be_written():
    with Path("/dev/full").open("w") as full:
        process = speechkit("--version", stdout=full, stderr=-1)
        err = process.communicate(timeout=60)[1].decode()
    assert process.returncode == 2
    assert "The disk is full" in err and "Traceback" not in err and "ignored" not in err
