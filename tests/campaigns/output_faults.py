"""Faults of the outputs of stages: tables, JSON, YAML, arrays, archives of Kaldi, weights."""

from __future__ import annotations

import contextlib
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from set_faults import mutate_table, nasty


def mutate_json(data: bytes, rng: random.Random) -> bytes:
    """JSON with one or two values replaced or removed."""
    try:
        content = json.loads(data)
    except ValueError:
        return data[: len(data) // 2]
    places: list[tuple[Any, Any]] = []

    def walk(node: Any) -> None:
        listed = enumerate(node) if isinstance(node, list) else ()
        for key, value in node.items() if isinstance(node, dict) else listed:
            places.append((node, key))
            walk(value)

    walk(content)
    values = [
        None,
        "x",
        "",
        -1,
        0,
        10**12,
        1e308,
        float("nan"),
        float("inf"),
        [],
        {},
        [1],
        ["a", "b"],
        {"a": 1},
        True,
        3.5,
        "../../x",
        nasty(rng),
    ]
    if not places or rng.random() < 0.08:
        return json.dumps(rng.choice(values), default=str).encode("utf-8", "surrogatepass")
    for _ in range(rng.choice([1, 1, 2])):
        node, key = rng.choice(places)
        with contextlib.suppress(KeyError, IndexError):
            if rng.random() < 0.3:
                del node[key]
            else:
                node[key] = rng.choice(values)
    return json.dumps(content).encode("utf-8", "surrogatepass")


def mutate_yaml(data: bytes, rng: random.Random) -> bytes:
    """YAML with one or two values replaced or removed."""
    try:
        plain = json.dumps(yaml.safe_load(data), default=str).encode()
        broken = json.loads(mutate_json(plain, rng))
        return yaml.safe_dump(broken).encode("utf-8", "replace")
    except (yaml.YAMLError, ValueError, TypeError, AttributeError):
        return data[: len(data) // 2]


def mutate_npy(path: Path, rng: random.Random) -> None:
    """An array of another size, kind, order or shape, or with an index that is out of range."""
    array = np.load(path)
    kind = rng.randrange(7)
    if kind == 0:
        array = array[: len(array) // 2]
    elif kind == 1:
        array = array.astype("f4")
    elif kind == 2 and array.size:
        array = array.copy()
        array.flat[rng.randrange(array.size)] = rng.choice(
            [-1, -(2**31), 2**31 - 1, array.size, 10**6]
        )
    elif kind == 3:
        array = array[::-1].copy()
    elif kind == 4:
        array = array.reshape(1, -1)
    elif kind == 5:
        array = np.zeros(0, array.dtype)
    else:
        array = np.array(["x", "y"])
    np.save(path, array)


def mutate(path: Path, rng: random.Random) -> str:
    """One fault in an output of a stage; returns its kind."""
    data = path.read_bytes()
    dice = rng.random()
    if dice < 0.06:
        path.unlink()
        if rng.random() < 0.4:
            path.mkdir()
            return "folder"
        return "removed"
    if dice < 0.10:
        path.write_bytes(b"")
        return "empty"
    if path.suffix == ".json" and dice < 0.85:
        path.write_bytes(mutate_json(data, rng))
        return "json"
    if path.suffix == ".yaml" and dice < 0.85:
        path.write_bytes(mutate_yaml(data, rng))
        return "yaml"
    if path.suffix == ".npy" and dice < 0.85:
        mutate_npy(path, rng)
        return "npy"
    if path.suffix in (".tsv", ".scp", ".ctm", ".txt", ".csv", "") and dice < 0.95:
        path.write_bytes(mutate_table(data, rng, [data]))
        return "table"
    if not data:
        return "as it was"
    kind = rng.randrange(4)
    broken = bytearray(data)
    if kind == 0:
        broken = broken[: rng.randrange(len(broken))]
    elif kind == 1:
        for _ in range(rng.randrange(1, 5)):
            broken[rng.randrange(len(broken))] ^= 1 << rng.randrange(8)
    elif kind == 2:
        for _ in range(rng.randrange(1, 5)):  # where headers are
            broken[rng.randrange(min(len(broken), 200))] = rng.randrange(256)
    else:
        at = rng.randrange(len(broken))
        broken[at : at + 64] = bytes(rng.randrange(256) for _ in range(64))
    path.write_bytes(bytes(broken))
    return f"bytes{kind}"
