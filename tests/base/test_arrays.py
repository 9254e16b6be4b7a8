"""Arrays of other kinds, other shapes, and files that are no arrays."""

import contextlib
import zipfile

import numpy as np
import pytest

from speechkit.base.arrays import read_array, read_arrays
from speechkit.base.schema import Damaged


def test_an_array_is_read_as_it_was_written(tmp_path):
    for values in (np.arange(6, dtype=np.int32), np.zeros((2, 0, 3), np.float32), np.ones((2, 3))):
        np.save(tmp_path / "a.npy", values)
        found = read_array(tmp_path / "a.npy", (None,) * values.ndim, (str(values.dtype),))
        assert np.array_equal(found, values) and found.dtype == values.dtype
    np.savez(tmp_path / "a.npz", a=np.arange(3), b=np.array("text"))
    found = read_arrays(tmp_path / "a.npz", ("a", "b"))
    assert found["a"].tolist() == [0, 1, 2] and str(found["b"]) == "text"


def huge(path):
    """A header that asks for a terabyte."""
    with path.open("wb") as file:
        header = {"descr": "<f8", "fortran_order": False, "shape": (10**12,)}
        np.lib.format.write_array_header_1_0(file, header)


def test_what_is_no_array(tmp_path):
    path = tmp_path / "a.npy"
    writers = {
        "npz in its place": lambda: np.savez(path.open("wb"), a=np.arange(3)),
        "objects": lambda: np.save(path, np.array([{}, []], dtype=object)),
        "text": lambda: np.save(path, np.array(["x", "y"])),
        "other type": lambda: np.save(path, np.arange(3)),
        "other shape": lambda: np.save(path, np.zeros((1, 3), np.float32)),
        "empty": lambda: path.write_bytes(b""),
        "header only": lambda: path.write_bytes(b"\x93NUMPY\x01\x00\xff\xff{"),
        "terabyte": lambda: huge(path),
        "nested header": lambda: path.write_bytes(
            b"\x93NUMPY\x01\x00" + (9000).to_bytes(2, "little") + b"[" * 8999 + b"\n"
        ),
    }
    for what, write in writers.items():
        write()
        with pytest.raises(Damaged, match=r"a\.npy"):
            read_array(path, (None,), ("float32",))
            pytest.fail(what)


def test_what_is_no_file_of_arrays(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, a=np.arange(50), b=np.ones(9))
    good = path.read_bytes()
    rng = np.random.default_rng(0)
    for case in range(60):
        broken = bytearray(good)
        if case % 3:
            for at in rng.integers(0, len(good), 3):
                broken[at] ^= 1 << int(rng.integers(8))
        else:
            broken = broken[: int(rng.integers(len(good)))]
        path.write_bytes(broken)
        with contextlib.suppress(Damaged):
            assert set(read_arrays(path, ("a",))) >= {"a"}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as packed:
        packed.writestr("a.npy", bytes(1 << 20))
    with path.open("r+b") as file:  # a size in the directory that the data cannot have
        data = bytearray(file.read())
        at = data.find(b"PK\x01\x02") + 24
        data[at : at + 4] = (3 << 30).to_bytes(4, "little")
        file.seek(0)
        file.write(data)
    np.save(tmp_path / "b.npy", np.arange(3))
    for name in ("a.npz", "b.npy", "none.npz"):
        with pytest.raises(Damaged):
            read_arrays(tmp_path / name, ("a",))
