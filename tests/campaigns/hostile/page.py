"""Markup in ids, labels, texts, parameters and results: the report must show it as text."""

from __future__ import annotations

import html.parser
import json
import re
from pathlib import Path
from typing import Any

import yaml

from hostile.watch import World

PAYLOADS = [
    "<script>alert('pwn')</script></script></style></title>{{7*7}}pwn\"'><img/src=x/onerror="
    "alert('pwn')><x-pwn>",
    "<script>alert('pwn')</script>",
    "\"><img/src=x/onerror=alert('pwn')>",
    "'><x-pwn>",
    "</script><x-pwn>",
    "</style><x-pwn>",
    "</title><x-pwn>",
    "{{7*7}}pwn",
    "{%x%}pwn",
    "javascript:alert('pwn')",
    "&lt;x-pwn&gt;",
    "<!--pwn",
    "]]><x-pwn>",
    "\\u003cx-pwn\\u003e",
    "\u2028<x-pwn>",
]
SETS = ("train", "test", "so_test", "so_train", "ravdess", "test_2mix", "dev_2mix")
EMOTIONS = ("happy", "sad", "calm", "neutral", "happiness")


class Reader(html.parser.HTMLParser):
    """Finds elements and attributes that only a payload can have made."""

    def __init__(self) -> None:
        super().__init__()
        self.bad: list[str] = []
        self._inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = tag
        for key, value in attrs:
            target = (value or "").strip().lower()
            if key.startswith("on") or target.startswith(("javascript:", "data:text/html")):
                self.bad.append(f"<{tag} {key}={value!r:.80}>")
        outside = tag in ("iframe", "object", "embed", "base", "form", "meta")
        if tag in ("x-pwn", "pwn") or (outside and any("pwn" in str(v) for _, v in attrs)):
            self.bad.append(f"<{tag} {attrs}>")

    def handle_data(self, data: str) -> None:
        if self._inside in ("script", "style") and "pwn" in data:
            at = data.find("pwn")
            self.bad.append(f"in <{self._inside}>: {data[max(0, at - 60) : at + 60]!r}")


def run(world: World, payloads: list[str] | None = None) -> None:
    """A report of a working directory in which a payload stands wherever text may stand."""
    for payload in payloads or PAYLOADS:
        world.renew()
        _place(world.root, payload)
        for line in (
            "extract-prosody --set test --name pw -j 1",
            "mine-hard --param pitch --set train --pm 0.2 --name pw --force",
        ):
            world.judge(f"before a report of {payload!r}", line, expected=(0, 2))
        words = ["report", "--title", payload]
        code, said = world.judge(f"report of {payload!r}", words, expected=(0,), seconds=420)
        page = world.root / "report/index.html"
        text, reader = page.read_text() if page.exists() else "", Reader()
        reader.feed(text)
        world.tally.add(f"INJECTED {reader.bad[:3]}" if reader.bad else "", code, payload, said)
        if "{{7*7}}" in payload and "49pwn" in text:
            world.tally.add("INJECTED into the template", code, payload, said)
        if "pwn" not in text:
            world.tally.add("the payload is not in the page", code, payload, said)


def _place(root: Path, payload: str) -> None:
    renames = _renames(root, payload.replace(" ", ""))
    words = sorted(renames, key=len, reverse=True)
    pattern = re.compile(rf"(?<![\w/.-])({'|'.join(map(re.escape, words))})(?![\w.-])")
    for path in [*root.glob("data/*/*"), *root.glob("exp/**/*")]:
        if not path.is_file():
            continue
        if path.name == "config.yaml":
            card = yaml.safe_load(path.read_text())
            path.write_text(yaml.safe_dump({**card, "note": payload}))
        elif path.suffix == ".json":
            _place_in_json(path, renames, payload)
        elif path.suffix in ("", ".tsv", ".scp", ".ctm", ".txt") and path.stat().st_size < 3e6:
            text = path.read_bytes().decode("utf-8", "surrogateescape")
            new = pattern.sub(lambda match: renames[match[1]], text)
            path.write_bytes(new.encode("utf-8", "surrogateescape"))
    for path in root.glob("data/*/text"):
        rows = path.read_text().splitlines()
        path.write_text("".join(f"{row} {payload}\n" for row in rows))


def _renames(root: Path, payload: str) -> dict[str, str]:
    """Some ids, speakers and labels -> the same with the payload behind."""
    found = {label: label + payload for label in EMOTIONS}
    for name in SETS:
        rows = [row.split() for row in (root / "data" / name / "utt2spk").read_text().splitlines()]
        speakers = sorted({row[1] for row in rows})
        found.update({old: old + payload for old in [rows[0][0], rows[1][0], *speakers[:2]]})
    return found


def _place_in_json(path: Path, renames: dict[str, str], payload: str) -> None:
    content = json.loads(path.read_text())

    def walk(node: Any) -> Any:
        if isinstance(node, dict):
            return {renames.get(key, key): walk(value) for key, value in node.items()}
        if isinstance(node, list):
            return [walk(value) for value in node]
        return node + payload if isinstance(node, str) and node != "total" else node

    if path.name == "manifest.json":
        for name in ("params", "versions"):
            content[name] = {
                key: value + payload if isinstance(value, str) else value
                for key, value in content[name].items()
            }
        content["finished"] += payload
    else:
        content = walk(content)
    path.write_text(json.dumps(content))
