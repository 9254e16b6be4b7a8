"""Kaldi's compressed matrices (format: compressed-matrix.h of Kaldi)."""

from __future__ import annotations

import struct
from typing import BinaryIO

import numpy as np


def read_compressed(file: BinaryIO) -> np.ndarray:
    """Kaldi's CM (speech features), CM2 (16 bits) and CM3 (8 bits) matrices as float32."""
    token = bytearray(file.read(5)[2:])
    while not token.endswith(b" "):
        token += file.read(1) or b" "
    low, span, rows, cols = struct.unpack("<ffii", file.read(16))
    if rows == cols == 0:  # Kaldi stores an empty matrix as a bare header
        return np.empty((0, 0), np.float32)
    low, span = np.float32(low), np.float32(span)
    if bytes(token) == b"CM2 ":
        codes = np.frombuffer(file.read(2 * rows * cols), "<u2").reshape(rows, cols)
        return codes.astype(np.float32) * np.float32(span / 65535) + low
    if bytes(token) == b"CM3 ":
        codes = np.frombuffer(file.read(rows * cols), np.uint8).reshape(rows, cols)
        return codes.astype(np.float32) * np.float32(span / 255) + low
    if bytes(token) != b"CM ":
        raise ValueError(f"unknown token {bytes(token)!r}")
    header = np.frombuffer(file.read(8 * cols), "<u2").reshape(cols, 4).astype(np.float32)
    p0, p25, p75, p100 = (header * np.float32(span / 65535) + low).T[:, :, None]
    codes = np.frombuffer(file.read(rows * cols), np.uint8).reshape(cols, rows)
    code = codes.astype(np.float32)
    value = np.where(
        codes <= 64,
        p0 + (p25 - p0) * code / 64,
        np.where(
            codes <= 192,
            p25 + (p75 - p25) * (code - 64) / 128,
            p75 + (p100 - p75) * (code - 192) / 63,
        ),
    )
    return np.ascontiguousarray(value.T.astype(np.float32))
