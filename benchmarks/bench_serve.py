"""Latencies of `speechkit serve` on loopback: clients that score one recording after the other.

python benchmarks/bench_serve.py [FILE.wav TEXT]
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from speechkit.kaldi import data
from speechkit.workdir import WorkDir

CLIENTS, REQUESTS = 8, 200


def generated(root: Path) -> tuple[Path, str]:
    """A sentence of the demo corpus."""
    from speechkit.corpora import demo

    demo.prepare(WorkDir(root), utterances=24, speakers=6)
    first = data.load(root / "data" / "test", root).utterances[0]
    texts = (root / "data" / "test" / "text").read_text().splitlines()
    return Path(str(first.wav)), dict(line.split(" ", 1) for line in texts)[first.id]


def body_of(file: Path, text: str) -> bytes:
    head = 'Content-Disposition: form-data; name="{}"'
    parts = [f"--x\r\n{head.format('text')}\r\n\r\n{text}\r\n".encode()]
    parts.append(f'--x\r\n{head.format("audio")}; filename="a.wav"\r\n\r\n'.encode())
    return b"".join([*parts, file.read_bytes(), b"\r\n--x--\r\n"])


def ask(address: str, body: bytes) -> tuple[int, float, int]:
    """Status, seconds, and number of words of an answer."""
    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    request = urllib.request.Request(f"{address}v1/pronunciation", body, kind)
    begin = time.monotonic()
    try:
        with urllib.request.urlopen(request, timeout=300) as answer:
            found = json.load(answer)
            return answer.status, time.monotonic() - begin, len(found["words"])
    except urllib.error.HTTPError as error:
        return error.code, time.monotonic() - begin, 0


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        file, text = (
            generated(Path(folder)) if len(sys.argv) < 3 else (Path(sys.argv[1]), sys.argv[2])
        )
        words = [sys.executable, "-m", "speechkit", "serve", "--port", "0", "--per-minute", "0"]
        begin = time.monotonic()
        server = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        assert server.stdout is not None
        address = server.stdout.readline().strip()
        print(f"address after {time.monotonic() - begin:.1f} s")
        body = body_of(file, text)
        print(f"first score: {ask(address, body)[1]:.2f} s")
        alone = sorted(ask(address, body)[1] for _ in range(10))
        print(f"one client, median: {alone[5]:.3f} s")
        begin = time.monotonic()
        with ThreadPoolExecutor(CLIENTS) as clients:
            found = list(clients.map(lambda _: ask(address, body), range(REQUESTS)))
        taken = time.monotonic() - begin
        server.send_signal(signal.SIGINT)
        server.wait()
    assert {words for _, _, words in found} == {len(text.split())}
    seconds = np.array([one for _, one, _ in found])
    print(f"{CLIENTS} clients, {REQUESTS} requests: {dict(Counter(code for code, _, _ in found))}")
    shown = ", ".join(f"p{p} {np.percentile(seconds, p):.2f} s" for p in (50, 90, 95, 99, 100))
    print(f"{shown}; {REQUESTS / taken:.1f} requests a second")


if __name__ == "__main__":
    main()
