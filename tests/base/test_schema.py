"""Files that are not what they should be end in one message, whatever is wrong with them."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec
import pytest

from speechkit.base import schema
from speechkit.base.schema import Damaged, Object, check, parse_json, read_json
from speechkit.workdir.manifest import read_manifest


@dataclass
class Network:
    width: schema.Width
    taps: tuple[schema.Taps, ...] = (3,)
    dropout: schema.Share = 0.0


class Card(msgspec.Struct):
    rate: schema.Rate
    network: Network
    name: Annotated[str, msgspec.Meta(min_length=1)] = "x"


GOOD = {"rate": 8000, "network": {"width": 4, "taps": [3, 5]}, "newer": [1]}


def test_a_card_that_is_right():
    card = check(GOOD, Card, "here")
    assert card.network == Network(4, (3, 5)) and card.rate == 8000


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        (("rate",), None, "rate is None"),
        (("rate",), "8000", "rate is '8000'"),
        (("rate",), 10**9, "rate is 1000000000"),
        (("rate",), True, "bool"),
        (("rate",), 8000.5, "float"),
        (("rate",), float("inf"), "float"),
        (("network", "width"), 0, "network.width is 0"),
        (("network", "width"), 1_000_000_000, "<= 1048576"),
        (("network", "taps"), [3, "x"], "network.taps[1] is 'x'"),
        (("network", "dropout"), float("nan"), "network.dropout is nan"),
        (("network", "depth"), 3, "'network.depth' is not known"),
        (("network",), [], "network is []"),
        (("name",), "", "length >= 1"),
    ],
)
def test_wrong_values_are_named(field, value, said):
    data = json.loads(json.dumps(GOOD))
    node = data
    for key in field[:-1]:
        node = node[key]
    node[field[-1]] = value
    with pytest.raises(Damaged) as caught:
        check(data, Card, "card.yaml")
    assert caught.value.problem.startswith("card.yaml: ") and said in caught.value.problem


def test_a_missing_field_is_named():
    with pytest.raises(Damaged, match=r"network is {}; .*required field 'width'"):
        check({"rate": 1, "network": {}}, Card, "card.yaml")


@pytest.mark.parametrize(
    "text",
    ["[" * 200_000, '{"a":' * 100_000, "[" * 70 + "]" * 70, "9" * 5000, "9" * 30, "", "{", "[1]"],
)
def test_json_that_is_no_object(text):
    with pytest.raises(Damaged, match=r"^here"):
        parse_json(text, Object, "here")


def test_only_regular_files_are_read(tmp_path):
    (tmp_path / "zero").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "utf16").write_bytes('{"a": 1}'.encode("utf-16"))
    for name in ("zero", "pipe", ".", "none", "none\0", "x" * 300, "utf16"):
        with pytest.raises(Damaged):
            read_json(tmp_path / name, Object)


def test_a_manifest_of_wrong_kinds_is_none(tmp_path):
    good = {"command": "mix", "params": {"a": 1}, "inputs": {"x": {"size": 1}}, "outputs": {"y": 1}}
    path: Path = tmp_path / "manifest.json"
    path.write_text(json.dumps(good))
    assert read_manifest(tmp_path) == good
    for key in good:
        for value in (3, [1], {"a": []}, "x" if key != "command" else 4):
            path.write_text(json.dumps({**good, key: value}))
            found = read_manifest(tmp_path)
            assert found is None or (key == "params" and value == {"a": []}), (key, value)
