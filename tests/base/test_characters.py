"""What of a text can be seen, and how files are decoded."""

import re
import subprocess

import pytest

from speechkit.base.errors import UserError
from speechkit.base.text import read_lines, read_text, visible
from speechkit.kaldi.data import read_table
from speechkit.phone_features.recordings import read_trans

TABLE = "path\ttext\none.wav\tcafé au lait\ntwo.wav\tplain words\n"


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("plain", "plain"),
        ("soft\u00adhyphen", "softhyphen"),
        ("zero\u200bwidth \u200cnon\u200djoiner\u2060", "zerowidth nonjoiner"),
        ("\ufeffbyte\ufeff order", "byte order"),
        ("\u200eleft\u200f \u202aand\u202c \u2066right\u2069", "left and right"),
        ("no\u00a0break thin\u2009space narrow\u202fone ideo\u3000graphic", None),
        ("well\u2011known co\u2010op", "well-known co-op"),
        ("heart\u2764\ufe0f", "heart\u2764"),
        ("line\u2028para\u2029end", "line para end"),
        ("caf\u00e9 cafe\u0301 \u4f60\u597d \u2013", "caf\u00e9 cafe\u0301 \u4f60\u597d \u2013"),
        ("tab\tand\nline\r\n", "tab\tand\nline\r\n"),
        ("filler\u3164s\u115f", "fillers"),
    ],
)
def test_visible(text, seen):
    expected = "no break thin space narrow one ideo graphic" if seen is None else seen
    assert visible(text) == expected
    assert visible(visible(text)) == visible(text)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_unicode_is_read(tmp_path, encoding, ends):
    file = tmp_path / "table.tsv"
    file.write_bytes(TABLE.replace("\n", ends).encode(encoding))
    assert read_text(file) == TABLE
    assert read_lines(file) == TABLE.splitlines()
    assert dict(read_trans(file))[tmp_path / "one.wav"] == "café au lait"


@pytest.mark.parametrize("mark", ["utf-16-be", "utf-32-be"])
def test_the_other_byte_order(tmp_path, mark):
    (tmp_path / "text").write_bytes(f"\ufeff{TABLE}".encode(mark))
    assert read_text(tmp_path / "text") == TABLE


def test_byte_order_marks_of_joined_files(tmp_path):
    (tmp_path / "text").write_bytes("\ufeffa one\n\ufeffb two\u00a0three\n".encode())
    assert read_table(tmp_path / "text") == {"a": "one", "b": "two three"}


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "windows-1252"])
def test_the_advice_works(tmp_path, encoding):
    """What the message says is run, and the file that it makes is read."""
    file = tmp_path / "it's here.tsv"
    file.write_bytes(TABLE.encode(encoding))
    with pytest.raises(UserError) as error:
        read_lines(file)
    command = re.search(r"iconv .*? > NEW", error.value.remedy).group()
    subprocess.run(["sh", "-c", command], cwd=tmp_path, check=True)
    assert read_lines(tmp_path / "NEW") == TABLE.splitlines()


def test_cut_utf_16_is_told(tmp_path):
    (tmp_path / "x").write_bytes(TABLE.encode("utf-16")[:-1])
    with pytest.raises(UserError, match="not UTF-16 text") as error:
        read_text(tmp_path / "x")
    assert "iconv -f UTF-16 " in error.value.remedy
