"""Shell scripts that call ``speechkit``, with all its commands run in this process.

A dozen commands of a recipe would each load PyTorch anew, which takes far longer than their work
on a small corpus. The script itself runs as it is; only the program ``speechkit`` on its PATH is
another: it hands its arguments over a socket to this process.
"""

import contextlib
import io
import json
import os
import shlex
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from speechkit.base import config
from speechkit.cli.main import main

CLIENT = """
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as link:
    link.connect(sys.argv[1])
    link.sendall(json.dumps([os.getcwd(), *sys.argv[2:]]).encode())
    link.shutdown(socket.SHUT_WR)
    code, out, err = json.loads(link.makefile("rb").read())
sys.stdout.write(out)
sys.stderr.write(err)
sys.exit(code)
"""


def run_script(script, *arguments, monkeypatch):
    """Run a script; its exit code, what it printed, and the commands that it called.

    Args:
        script: the file.
        arguments: of it.
        monkeypatch: the fixture; commands use one process each.
    """
    monkeypatch.setattr(config, "processes", lambda jobs: 1)
    called = []
    with tempfile.TemporaryDirectory() as place, socket.socket(socket.AF_UNIX) as server:
        server.bind(f"{place}/s")
        server.listen()
        server.settimeout(0.05)
        client, program = Path(place, "client.py"), Path(place, "speechkit")
        client.write_text(CLIENT)
        words = [sys.executable, "-S", "-E", str(client), f"{place}/s"]
        program.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
        program.chmod(0o755)
        path = f"{place}:{os.environ['PATH']}"
        with Path(place, "out").open("w+") as out, Path(place, "err").open("w+") as err:
            process = subprocess.Popen(
                [str(script), *map(str, arguments)],
                stdout=out, stderr=err, env={**os.environ, "PATH": path},
            )  # fmt: skip
            while process.poll() is None:
                with contextlib.suppress(TimeoutError):
                    called.append(_serve(server.accept()[0]))
            out.seek(0), err.seek(0)
            return process.returncode, out.read(), err.read(), called


def _serve(link):
    """Run one command for the script; its arguments."""
    with link:
        folder, *arguments = json.loads(link.makefile("rb").read())
        out, err, here = io.StringIO(), io.StringIO(), Path.cwd()
        try:
            os.chdir(folder)
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                code = main(arguments)
        finally:
            os.chdir(here)
            link.sendall(json.dumps([code, out.getvalue(), err.getvalue()]).encode())
    return arguments
