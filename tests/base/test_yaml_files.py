"""YAML that is not what a card may be, and what people may write."""

import pytest

from speechkit.base.schema import Damaged, Object
from speechkit.base.yaml_files import MOST_YAML, read_yaml


def laughs(levels=9, each=9):
    first = f"k0: &k0 [{','.join('x' * each)}]\n"
    more = (f"k{i}: &k{i} [{','.join([f'*k{i - 1}'] * each)}]\n" for i in range(1, levels))
    return first + "".join(more)


YAML = {
    "aliases": ("a: &a [1]\nb: *a\n", "alias"),
    "laughs": (laughs(), "alias"),
    "circle": ("a: &a [*a]\n", "alias"),
    "deep list": ("a: " + "[" * 20_000, "64 levels"),
    "deep map": ("".join(" " * k + "a:\n" for k in range(1200)), "64 levels"),
    "code": ("!!python/object/apply:os.system ['touch x']\n", "not YAML"),
    "tag": ("a: !new:os.system [x]\n", "not YAML"),
    "set": ("a: !!set {b}\n", "not YAML"),
    "binary": ("a: !!binary 'eA=='\n", "not YAML"),
    "odd truth": ("a: !!bool maybe\n", "not YAML"),
    "odd integer": ("a: !!int ''\n", "not YAML"),
    "integer": ("a: " + "9" * 5000 + "\n", "digits"),
    "65 bits": ("a: 99999999999999999999\n", "64 bits"),
    "documents": ("a: 1\n---\na: 2\n", "document"),
    "list as name": ("? [a]\n: b\n", "not YAML"),
    "number as name": ("1: b\n", "not text"),
    "nul": ("a: \0\n", "not YAML"),
    "no map": ("- 1\n", "'array'"),
    "empty": ("", "'null'"),
    "large": ("#" * (MOST_YAML + 1), "at most"),
}


@pytest.mark.parametrize("name", YAML)
def test_yaml_that_is_no_card(tmp_path, name):
    text, said = YAML[name]
    path = tmp_path / "card.yaml"
    path.write_text(text)
    with pytest.raises(Damaged) as caught:
        read_yaml(path, Object)
    assert str(path) in caught.value.problem and said in str(caught.value), caught.value


def test_yaml_of_people_may_have_aliases_that_do_not_multiply(tmp_path):
    path = tmp_path / "flags.yaml"
    path.write_text("a: &a [1, 2]\nb: *a\nday: 2020-01-02\n")
    wanted = {"a": [1, 2], "b": [1, 2], "day": "2020-01-02"}
    assert read_yaml(path, Object, aliases=True) == wanted
    for text in (laughs(), "a: &a [*a]\n"):
        path.write_text(text)
        with pytest.raises(Damaged, match=r"multiply|64 levels"):
            read_yaml(path, Object, aliases=True)
