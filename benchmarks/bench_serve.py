"""`speechkit serve` on loopback: latencies of clients that score one recording after the other,
then what is refused, and what is left in the temporary folder.

python benchmarks/bench_serve.py [WORKDIR SET]     # without: generated speech
"""

from __future__ import annotations

import json
import os
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

from speechkit.corpora import demo
from speechkit.corpora.config import DemoConfig
from speechkit.kaldi import data
from speechkit.workdir import WorkDir

CLIENTS, REQUESTS, PER_MINUTE, MEGABYTES = 8, 200, 240, 2


def recordings(root: Path, name: str) -> list[tuple[Path, str]]:
    """Each recording of a set with its text."""
    found = data.load(root / "data" / name, root)
    return [(Path(str(one.wav)), found.text[one.id]) for one in found.utterances]


def body_of(sound: bytes, text: str, name: str = "audio") -> bytes:
    head = 'Content-Disposition: form-data; name="{}"'
    parts = [f"--x\r\n{head.format('text')}\r\n\r\n{text}\r\n".encode()]
    parts.append(f'--x\r\n{head.format(name)}; filename="a.wav"\r\n\r\n'.encode())
    return b"".join([*parts, sound, b"\r\n--x--\r\n"])


def ask(
    address: str, body: bytes, kind: str = "multipart/form-data; boundary=x"
) -> tuple[int, float, dict]:
    """Status, seconds, and the answer."""
    request = urllib.request.Request(f"{address}v1/pronunciation", body, {"Content-Type": kind})
    begin = time.monotonic()
    try:
        with urllib.request.urlopen(request, timeout=300) as answer:
            return answer.status, time.monotonic() - begin, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, time.monotonic() - begin, json.load(error)


def used(pid: int) -> float:
    """CPU seconds of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def load(address: str, pid: int, bodies: list[bytes], words: list[int]) -> None:
    """Each client sends the next recording when its last one is answered."""
    alone = sorted(ask(address, body)[1] for body in bodies[:10])
    print(f"one client, median: {np.median(alone):.3f} s")
    begin, before = time.monotonic(), used(pid)
    with ThreadPoolExecutor(CLIENTS) as clients:
        found = list(clients.map(lambda body: ask(address, body), bodies))
    taken, cpu = time.monotonic() - begin, used(pid) - before
    print(f"{CLIENTS} clients, {len(found)} requests: {dict(Counter(code for code, *_ in found))}")
    assert [len(answer["words"]) for *_, answer in found] == words
    seconds = np.array([one for _, one, _ in found])
    shown = ", ".join(f"p{p} {np.percentile(seconds, p):.2f} s" for p in (50, 90, 95, 99, 100))
    print(f"{shown}; {len(found) / taken:.1f} requests a second")
    print(f"server: {cpu / len(found):.3f} CPU seconds a request")


def refusals(address: str, sound: bytes) -> None:
    """What cannot be used; then 9 uploads at once after those that one client may send."""
    form = "multipart/form-data; boundary=x"
    for told, body, kind in [
        ("too large", body_of(b"\0" * (MEGABYTES * 1_000_000 + 20_000), "a"), form),
        ("not audio", body_of(os.urandom(100_000), "a"), form),
        ("cut short", body_of(sound[: len(sound) // 2], "a"), form),
        ("no upload", body_of(b"", "a"), form),
        ("empty text", body_of(sound, ""), form),
        ("text without words", body_of(sound, "..."), form),
        ("very long text", body_of(sound, "bear " * 20_000), form),
        ("another field", body_of(sound, "a", "sound"), form),
        ("wrong content type", body_of(sound, "a"), "audio/wav"),
        ("no boundary", body_of(sound, "a"), "multipart/form-data"),
    ]:
        status, _, answer = ask(address, body, kind)
        print(f"{told}: {status} {answer['error']}")
        assert 400 <= status < 500 and set(answer) == {"error", "remedy"}
    while ask(address, body_of(b"", "a"))[0] != 429:
        pass
    with ThreadPoolExecutor(9) as clients:
        found = list(clients.map(lambda _: ask(address, body_of(sound, "a")), range(9)))
    print(f"9 at once beyond the limit: {dict(Counter(code for code, *_ in found))}")
    print(found[0][2]["error"])


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        if len(sys.argv) < 3:
            demo.prepare(WorkDir(Path(folder)), DemoConfig(utterances=24, speakers=6))
        spoken = recordings(
            *((Path(sys.argv[1]), sys.argv[2]) if sys.argv[2:] else (Path(folder), "test"))
        )
        spoken = [spoken[k % len(spoken)] for k in range(REQUESTS)]
        (left := Path(folder) / "left").mkdir()
        command = [sys.executable, "-m", "speechkit", "serve", "--port", "0"]
        command += ["--per-minute", str(PER_MINUTE), "--max-megabytes", str(MEGABYTES)]
        begin = time.monotonic()
        server = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env={**os.environ, "TMPDIR": str(left)}
        )
        assert server.stdout is not None
        address = server.stdout.readline().strip()
        print(f"address after {time.monotonic() - begin:.1f} s")
        bodies = [body_of(file.read_bytes(), text) for file, text in spoken]
        print(f"first score: {ask(address, bodies[0])[1]:.2f} s")
        load(address, server.pid, bodies, [len(text.split()) for _, text in spoken])
        refusals(address, spoken[0][0].read_bytes())
        while_it_runs = sorted(left.iterdir())
        server.send_signal(signal.SIGINT)
        print(f"ended with {server.wait()}; left: {while_it_runs}, {sorted(left.iterdir())}")


if __name__ == "__main__":
    main()
