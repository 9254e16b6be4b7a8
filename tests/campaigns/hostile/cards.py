"""Cards of models, configurations and hyperparameters that are no plain YAML of ours."""

from __future__ import annotations

import copy
import random
import shutil
from collections.abc import Iterator
from typing import Any

import yaml
from campaign import fresh

from hostile.archives import entry, rezip
from hostile.watch import World

LAUGH = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(9)
)
CARDS = {
    "python tag": b"!!python/object/apply:os.system ['touch pwned']\n",
    "python tag inside": b"kind: !!python/object/apply:os.system ['touch pwned']\n",
    "python name": b"kind: !!python/name:os.system\n",
    "python module": b"kind: !!python/module:os\n",
    "new": b"kind: !new:os.system ['touch pwned']\n",
    "apply": b"kind: !apply:os.system ['touch pwned']\n",
    "laughs": ("kind: conv-tasnet\nsample_rate: 8000\n" + LAUGH).encode(),
    "laughs as kind": (LAUGH + "kind: *j\nsample_rate: *j\n").encode(),
    "laughs as rate": (LAUGH + "kind: separation\nsample_rate: *j\nnetwork: *j\n").encode(),
    "recursive": b"kind: &a [*a]\n",
    "recursive map": b"&a\nkind: separation\nnetwork: *a\n",
    "deep": b"kind: " + b"[" * 20000,
    "deep map": b"kind:\n" + b"".join(b" " * k + b"a:\n" for k in range(1, 1200)),
    "nul": b"kind: \x00\n",
    "utf-16": "kind: separation\n".encode("utf-16"),
    "date": b"kind: 2020-99-99\n",
    "huge int": b"kind: separation\nsample_rate: " + b"9" * 5000 + b"\n",
    "merge": b"kind: separation\n<<: [1,2]\n",
    "duplicate": b"kind: a\nkind: b\n",
    "many documents": b"kind: a\n---\nkind: b\n",
    "unhashable": b"? [a]\n: b\nkind: c\n",
    "sexagesimal": b"kind: separation\nsample_rate: 1:60:60\n",
    "set": b"kind: !!set {a, b}\n",
    "binary": b"kind: !!binary 'xx'\n",
    "omap": b"kind: !!omap [a: 1]\n",
}
READERS = {  # a card, and a command that reads it
    "exp/separation/sep/seed0": "predict separation WAV --model sep --force --out ROOT/o",
    "exp/xvector_nnet/small": "extract-xvector --model small --force -j 1",
    "exp/acoustic/tiny": "extract-deep --set so_test --am tiny --align-with sphinx --force -j 1",
    "exp/pronunciation/pron/seed0": "predict pronunciation WAV --text WE --model pron",
    "exp/scoring/sc/seed0": "predict scoring WAV --text WE --model sc",
    "exp/emotion/cnn/fold0/seed0": "predict emotion WAV --model cnn",
    "exp/emotion/ege/fold0/seed0": "predict emotion WAV --model ege",
}
VALUES = [
    None, "x", -1, 0, 10**9, 1e308, float("nan"), [], {}, [1], "../../pwned", True, 3.5, {"a": 1},
]  # fmt: skip
OPTIONS = [
    "set: [a, b]\n", "jobs: x\n", "jobs: null\n", "f0-min: nan\n", "f0-min: .inf\n", "dir: null\n",
    'dir: "\\0"\n', 'set: "\\0"\n', "help: true\n", "config: c.yaml\n", "json: 7\n", "jobs: -1\n",
    "jobs: 1e9\n", "f0_min: 1\nf0-min: 2\n", "1: 2\n", "null: 1\n", "set: &a [*a]\n",
    "set: &a [x,x,x,x,x,x,x,x,x]\n", "executor: 'dask://'\n", "name: 2020-01-01\n",
    "name: !!binary aGk=\n",
]  # fmt: skip
HYPERPARAMS = {
    "laughs by reference": "".join(
        f"k{i}: [{', '.join([f'!ref <k{i + 1}>'] * 9)}]\n" for i in range(9)
    )
    + "k9: x\n",
    "a reference to itself": "a: !ref <a>\n",
    "references in a circle": "a: [!ref <b>]\nb: [!ref <a>]\n",
    "apply": "a: !apply:os.system ['touch pwned']\nMaskNet: !apply:os.system ['touch pwned']\n",
    "include": "a: !include:/etc/passwd\n",
    "tuple": "a: !tuple (__import__('os').system('touch pwned'),)\n",
    "arithmetic": "a: !ref <b> * __import__('os').system('touch pwned')\nb: 2\n",
    "merge": "masknet: !new:x.MaskNet\n  <<: *nothing\n",
    "an alias of itself": "a: &x {b: *x}\nmasknet: *x\n",
}


def run(world: World) -> None:
    """Cards in archives, beside weights, as --config, and as SpeechBrain's hyperparameters."""
    _imported(world)
    for name, line in READERS.items():
        _beside_weights(world, name, line)
    _configurations(world)
    _hyperparameters(world)


def _imported(world: World) -> None:
    good, bad = world.root / "sep.zip", world.root / "bad.zip"
    for what, card in CARDS.items():

        def change(told: dict[str, Any], card: bytes = card) -> None:
            cards = (name for name in told["files"] if name.endswith("config.yaml"))
            told["files"].update({name: entry(card) for name in cards})

        def members(content: dict[str, bytes], card: bytes = card) -> None:
            content.update({name: card for name in content if name.endswith("config.yaml")})

        rezip(good, bad, change, members)
        shutil.rmtree(world.root / "exp/separation/imp", ignore_errors=True)
        world.judge(f"import, card: {what}", "import ROOT/bad.zip --name imp", expected=(0, 2))
        if (world.root / "exp/separation/imp").exists():
            line = "predict separation WAV --model imp --out ROOT/o --force"
            world.judge(f"predict, card: {what}", line, expected=(0, 2))
            line = "export separation/imp ROOT/again.zip --force"
            world.judge(f"export, card: {what}", line, expected=(0, 2))


def _places(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where a value stands in a card."""
    items = node.items() if isinstance(node, dict) else ()
    if isinstance(node, list) and len(node) < 6:
        items = enumerate(node)
    for key, value in items:
        yield (*path, key)
        yield from _places(value, (*path, key))


def _beside_weights(world: World, name: str, line: str) -> None:
    path = world.root / name / "config.yaml"
    before = path.read_bytes()
    for what, card in CARDS.items():
        path.write_bytes(card)
        world.judge(f"{name}: {what}", line)
        path.write_bytes(before + b"\n" + card)
        world.judge(f"{name}, and {what}", line, expected=(0, 2))
    content, rng = yaml.safe_load(before), random.Random(name)
    places = list(_places(content))
    rng.shuffle(places)
    for place in places[:30]:
        shown = ".".join(map(str, place))
        for value in rng.sample(VALUES, 4):
            node = new = copy.deepcopy(content)
            for key in place[:-1]:
                node = node[key]
            node[place[-1]] = value
            path.write_text(yaml.safe_dump(new))
            world.judge(f"{name}: {shown}={value!r}", line, expected=(0, 2))
        node = new = copy.deepcopy(content)
        for key in place[:-1]:
            node = node[key]
        del node[place[-1]]
        path.write_text(yaml.safe_dump(new))
        world.judge(f"{name}: without {shown}", line, expected=(0, 2))
    path.write_bytes(before)


def _configurations(world: World) -> None:
    file = world.root / "c.yaml"
    for what, card in CARDS.items():
        file.write_bytes(card)
        world.judge(f"--config {what}", "validate --config ROOT/c.yaml", expected=(0, 2))
    for text in OPTIONS:
        file.write_text(text)
        line = "extract-prosody --config ROOT/c.yaml --set test"
        world.judge(f"--config {text!r:.40}", line, expected=(0, 2))


def _hyperparameters(world: World) -> None:
    folder = fresh(world.root / "sb")
    for name in ("encoder.ckpt", "masknet.ckpt", "decoder.ckpt", "embedding_model.ckpt"):
        (folder / name).write_bytes(b"x")
    plain = {what: card.decode("utf-8", "replace") for what, card in CARDS.items()}
    for what, text in {**plain, **HYPERPARAMS}.items():
        (folder / "hyperparams.yaml").write_text(text, errors="replace")
        line = "predict separation WAV --model ROOT/sb --out ROOT/o --force"
        world.judge(f"hyperparams {what}", line)
        world.judge(f"hyperparams {what}", "extract-xvector --model ROOT/sb --name z -j 1")
