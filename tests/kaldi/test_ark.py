"""Archives against bytes of Kaldi's format written out by hand."""

from __future__ import annotations

import os
import pickle
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from speechkit.base.errors import DataError
from speechkit.kaldi.ark import ArkTable, ArkWriter, read_ark, read_scp

# 1.0 and -2.5 in IEEE 754: 0x3F800000, 0xC0200000 (little endian below).
ONE, MINUS = b"\x00\x00\x80\x3f", b"\x00\x00\x20\xc0"
ONE_D, MINUS_D = b"\0\0\0\0\0\0\xf0\x3f", b"\0\0\0\0\0\0\x04\xc0"
VECTOR = b"u1 \0BFV \x04\x02\0\0\0" + ONE + MINUS
MATRIX = b"u2 \0BFM \x04\x02\0\0\0\x04\x01\0\0\0" + ONE + MINUS
DOUBLE = b"u3 \0BDV \x04\x02\0\0\0" + ONE_D + MINUS_D
DOUBLE_MATRIX = b"u4 \0BDM \x04\x01\0\0\0\x04\x02\0\0\0" + ONE_D + MINUS_D
INTEGERS = b"u5 \0B\x04\x02\0\0\0\x04\x07\0\0\0\x04\xff\xff\xff\xff"
BYTES = {
    "u1": (VECTOR, np.array([1, -2.5], np.float32)),
    "u2": (MATRIX, np.array([[1], [-2.5]], np.float32)),
    "u3": (DOUBLE, np.array([1, -2.5])),
    "u4": (DOUBLE_MATRIX, np.array([[1, -2.5]])),
    "u5": (INTEGERS, np.array([7, -1], np.int32)),
}


def same(found: np.ndarray, wanted: np.ndarray) -> None:
    assert found.dtype == wanted.dtype and found.shape == wanted.shape
    np.testing.assert_array_equal(found, wanted)


def write(folder: Path, values: dict[str, np.ndarray], **options: str) -> Path:
    with ArkWriter(folder / "a.ark", folder / "a.scp", **options) as writer:
        for key, value in values.items():
            writer.write(key, value)
    return folder / "a.scp"


def raw(folder: Path, content: bytes, scp: str | None = None) -> Path:
    """An archive of given bytes, with an scp that points behind the first key."""
    (folder / "a.ark").write_bytes(content)
    offset = content.index(b" ") + 1
    (folder / "a.scp").write_text(scp or f"u {folder}/a.ark:{offset}\n")
    return folder / "a.scp"


def test_written_bytes_are_kaldis(tmp_path: Path) -> None:
    write(tmp_path, {key: value for key, (_, value) in BYTES.items()})
    content = b"".join(entry for entry, _ in BYTES.values())
    assert (tmp_path / "a.ark").read_bytes() == content
    lines = (tmp_path / "a.scp").read_text().splitlines()
    starts = [content.index(entry) + 3 for entry, _ in BYTES.values()]
    assert lines == [f"{k} {tmp_path}/a.ark:{at}" for k, at in zip(BYTES, starts, strict=True)]


def test_hand_written_bytes_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.ark"
    path.write_bytes(b"".join(entry for entry, _ in BYTES.values()))
    found = dict(read_ark(path))
    assert list(found) == list(BYTES)
    for key, (_, wanted) in BYTES.items():
        same(found[key], wanted)


def test_empty_values_round_trip(tmp_path: Path) -> None:
    values = {"v": np.empty(0, np.float32), "i": np.empty(0, np.int32)}
    table = ArkTable(write(tmp_path, values))
    for key, wanted in values.items():
        same(table[key], wanted)


def test_strided_and_big_endian_arrays(tmp_path: Path) -> None:
    matrix = np.arange(12, dtype=np.float32).reshape(3, 4)
    table = ArkTable(write(tmp_path, {"t": matrix.T[::2], "b": matrix.astype(">f4")}))
    same(table["t"], np.ascontiguousarray(matrix.T[::2]))
    same(table["b"], matrix)


@pytest.mark.parametrize("entry", [entry for entry, _ in BYTES.values()])
def test_every_cut_of_an_archive_is_an_error(tmp_path: Path, entry: bytes) -> None:
    for length in range(len(entry)):
        scp = raw(tmp_path, entry)
        (tmp_path / "a.ark").write_bytes(entry[:length])
        with pytest.raises(DataError):
            ArkTable(scp)["u"]
        if length:
            with pytest.raises(DataError):
                list(read_ark(tmp_path / "a.ark"))


# --- compressed matrices: codes and header written out, values by Kaldi's formulas ---
LOW, SPAN = -3.0, 10.0


def compressed(token: bytes, rows: int, cols: int, rest: bytes) -> bytes:
    return b"u \0B" + token + b" " + struct.pack("<ffii", LOW, SPAN, rows, cols) + rest


def cm2() -> tuple[bytes, np.ndarray]:
    codes = [[0, 1, 65535], [32768, 12345, 2]]
    wanted = [[LOW + SPAN * code / 65535 for code in row] for row in codes]
    return compressed(b"CM2", 2, 3, struct.pack("<6H", *codes[0], *codes[1])), np.array(wanted)


def cm3() -> tuple[bytes, np.ndarray]:
    codes = [[0, 1, 255], [128, 77, 2]]
    wanted = [[LOW + SPAN * code / 255 for code in row] for row in codes]
    return compressed(b"CM3", 2, 3, bytes(codes[0] + codes[1])), np.array(wanted)


def cm() -> tuple[bytes, np.ndarray]:
    """Two columns, each with its quartiles; every one of the 256 codes in both."""
    quartiles = [(0, 1000, 30000, 65535), (500, 600, 700, 800)]
    header = b"".join(struct.pack("<4H", *column) for column in quartiles)
    codes = bytes(range(256))
    wanted = np.empty((256, 2))
    for column, points in enumerate(quartiles):
        marks = [LOW + SPAN * point / 65535 for point in points]
        wanted[:, column] = np.interp(np.arange(256), [0, 64, 192, 255], marks)
    return compressed(b"CM", 256, 2, header + codes + codes), wanted


@pytest.mark.parametrize("make", [cm, cm2, cm3])
def test_compressed_matrices(tmp_path: Path, make) -> None:
    content, wanted = make()
    found = ArkTable(raw(tmp_path, content))["u"]
    assert found.dtype == np.float32 and found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5)
    for length in (len(content) - 1, len(content) // 2, 20, 8):
        (tmp_path / "a.ark").write_bytes(content[:length])
        with pytest.raises(DataError):
            ArkTable(tmp_path / "a.scp")["u"]


def test_empty_compressed_matrix(tmp_path: Path) -> None:
    content = b"u \0BCM " + struct.pack("<ffii", 0, 0, 0, 0)
    assert ArkTable(raw(tmp_path, content))["u"].shape == (0, 0)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (b"u  [ 1 -2.5 3e1 ]\n", np.array([1, -2.5, 30], np.float32)),
        (b"u  [\n  1 2\n  3 4 ]\n", np.array([[1, 2], [3, 4]], np.float32)),
        (b"u  [\n  1 2 ]\n", np.array([[1, 2]], np.float32)),
        (b"u  [ ]\n", np.empty(0, np.float32)),
        (b"u 3 -1 4 \n", np.array([3, -1, 4], np.int32)),
    ],
)
def test_text_forms(tmp_path: Path, text: bytes, wanted: np.ndarray) -> None:
    path = tmp_path / "t.ark"
    path.write_bytes(text + text.replace(b"u ", b"w "))
    found = dict(read_ark(path))
    assert list(found) == ["u", "w"]
    same(found["u"], wanted)
    same(found["w"], wanted)


@pytest.mark.parametrize(
    "content",
    [b"u [ 1 2\n", b"u  [\n 1 2\n 3 ]\n", b"u [ one ]\n", b"u 1 2", b"u \0BXM abc", b"u hello\n"],
)
def test_not_a_kaldi_object(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "t.ark").write_bytes(content)
    with pytest.raises(DataError, match="entry 'u'"):
        list(read_ark(tmp_path / "t.ark"))


def test_space_where_a_key_should_be(tmp_path: Path) -> None:
    (tmp_path / "t.ark").write_bytes(VECTOR + b" " + VECTOR)
    with pytest.raises(DataError, match=f"key at byte {len(VECTOR)}"):
        list(read_ark(tmp_path / "t.ark"))


def test_ranges_include_both_ends(tmp_path: Path) -> None:
    matrix = np.arange(20, dtype=np.float32).reshape(5, 4)
    scp = write(tmp_path, {"m": matrix})
    place = scp.read_text().split()[1]
    for text, wanted in (
        ("[1:3]", matrix[1:4]),
        ("[0:0]", matrix[:1]),
        ("[:,2:3]", matrix[:, 2:]),
        ("[1:1,0:3]", matrix[1:2]),
    ):
        scp.write_text(f"m {place}{text}\n")
        same(ArkTable(scp)["m"], wanted)
    for text in ("[3:1]", "[0:5]", "[a:b]", "[0:1,0:4]", "[0:1,0:1,0:1]"):
        scp.write_text(f"m {place}{text}\n")
        with pytest.raises(DataError, match="range"):
            ArkTable(scp)["m"]


def test_offset_outside_and_missing_archive(tmp_path: Path) -> None:
    scp = raw(tmp_path, VECTOR, f"u {tmp_path}/a.ark:999\n")
    with pytest.raises(DataError, match="points outside its archive"):
        ArkTable(scp)["u"]
    scp.write_text("u gone.ark:3\n")
    with pytest.raises(DataError, match=r"gone\.ark, which does not exist"):
        ArkTable(scp)["u"]
    with pytest.raises(DataError, match="does not exist"):
        ArkTable(tmp_path / "gone.scp")


@pytest.mark.parametrize("value", ["copy-feats ark:a ark:- |", "| cat > stolen"])
def test_pipes_are_refused(tmp_path: Path, value: str) -> None:
    (tmp_path / "a.scp").write_text(f"u {value}\n")
    with pytest.raises(DataError, match=r"a\.scp:1: 'u' is read through a pipe"):
        read_scp(tmp_path / "a.scp")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"u a.ark:1\nu a.ark:2\n", ":2: the key 'u' comes twice"),
        (b"u a.ark:1\n\n", ":2: expected 'key value'"),
        (b"lonely\n", ":1: expected 'key value'"),
        (b"u \xe4.ark:1\n", "not UTF-8"),
    ],
)
def test_broken_scp(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a.scp").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_scp(tmp_path / "a.scp")


def test_scp_with_tabs_and_crlf(tmp_path: Path) -> None:
    (tmp_path / "a.scp").write_bytes(b"u\ta.ark:1\r\nv a b.ark:2\r\n")
    assert read_scp(tmp_path / "a.scp") == {"u": "a.ark:1", "v": "a b.ark:2"}


def test_archive_moved_beside_its_scp_and_relative_to_a_root(tmp_path: Path) -> None:
    value = BYTES["u1"][1]
    scp = write(tmp_path, {"u1": value}, named="exp/x/a.ark")
    assert scp.read_text() == "u1 exp/x/a.ark:3\n"
    same(ArkTable(scp)["u1"], value)
    (tmp_path / "root" / "exp" / "x").mkdir(parents=True)
    (tmp_path / "a.ark").rename(tmp_path / "root" / "exp" / "x" / "a.ark")
    same(ArkTable(scp, tmp_path / "root")["u1"], value)


def test_table_travels_and_survives_a_fork(tmp_path: Path) -> None:
    values = {f"u{i}": np.full(2000, i, np.float32) for i in range(20)}
    table = ArkTable(write(tmp_path, values))
    same(table["u3"], values["u3"])
    same(pickle.loads(pickle.dumps(table))["u4"], values["u4"])
    child = os.fork()
    good = all((table[key] == wanted).all() for _ in range(20) for key, wanted in values.items())
    if child == 0:
        os._exit(0 if good else 1)
    assert good and os.waitpid(child, 0)[1] == 0


def test_stack(tmp_path: Path) -> None:
    values = {"a": np.ones(3, np.float32), "b": np.zeros(3), "c": np.zeros(2, np.float32)}
    table = ArkTable(write(tmp_path, values))
    same(table.stack(["b", "a"]), np.array([[0, 0, 0], [1, 1, 1]], np.float32))
    with pytest.raises(DataError, match="one length"):
        table.stack()


@pytest.mark.parametrize(
    "value",
    [np.zeros((1, 1, 1), np.float32), np.zeros(2, np.int64), np.zeros((2, 2), np.int32)],
)
def test_what_kaldi_cannot_hold_is_refused(tmp_path: Path, value: np.ndarray) -> None:
    with pytest.raises(DataError, match="not a Kaldi object"):
        write(tmp_path, {"u": value})


@pytest.mark.parametrize("key", ["", "a b", "a\n"])
def test_bad_keys(tmp_path: Path, key: str) -> None:
    with pytest.raises(DataError, match="key of an archive"):
        write(tmp_path, {key: np.zeros(2, np.float32)})


def test_import_is_quiet_and_leaves_the_environment() -> None:
    code = (
        "import os; before = dict(os.environ)\n"
        "from speechkit.kaldi import ark; ark._kaldi_io()\n"
        "assert dict(os.environ) == before\n"
    )
    environment = {k: v for k, v in os.environ.items() if k != "KALDI_ROOT"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
