"""Which frames a phone has: of an alignment, and of the times in ``rows.tsv``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from speechkit.base.errors import DataError
from speechkit.phone_features.gop import segment_means
from speechkit.phone_features.gop_folder import GopFolder, Row

if TYPE_CHECKING:
    from speechkit.acoustic.align.alignment import Alignment

_TIE = 0.02  # of a frame: times between two frames round up, whatever their last digit is
_OVER = 3  # frames by which an alignment may end after the last frame


def frames_of(alignment: Alignment) -> tuple[np.ndarray, np.ndarray]:
    """First frames of the segments ``[P]``, and the frames after their last ``[P]``."""
    segments = alignment.segments
    starts = np.array([s.start_frame for s in segments], dtype=np.int64)
    return starts, np.array([s.end_frame for s in segments], dtype=np.int64)


def converted(alignment: Alignment, factor: float, frames: int) -> tuple[np.ndarray, np.ndarray]:
    """The same in the frames of another model: at least one frame each, inside 0..frames.

    Args:
        alignment: in frames of one model.
        factor: its frame shift divided by that of the other.
        frames: that the other has.
    """
    starts, ends = frames_of(alignment)
    first = np.clip(np.round(starts * factor).astype(np.int64), 0, frames - 1)
    return first, np.clip(np.round(ends * factor).astype(np.int64), first + 1, frames)


def frames_at(
    starts: np.ndarray, ends: np.ndarray, shift: float, frames: int
) -> tuple[np.ndarray, np.ndarray]:
    """Frames of phones by their times: at least one frame each, inside 0..frames.

    Args:
        starts: in seconds ``[P]``.
        ends: in seconds ``[P]``.
        shift: of the frames, in seconds.
        frames: how many there are.
    """
    first, last = (np.floor(t / shift + 0.5 + _TIE).astype(np.int64) for t in (starts, ends))
    first = np.clip(first, 0, frames - 1)
    return first, np.clip(last, first + 1, frames)


def frame_means(frames: np.ndarray, rows: Sequence[Row], shift: float) -> np.ndarray:
    """Mean over the frames of each phone, float32 ``[P, D]``, as level ``phone`` gives it.

    Args:
        frames: features of frames ``[T, D]``.
        rows: the P phones.
        shift: of the frames, in seconds.

    Raises:
        DataError: phones without times, or times that go beyond the frames.
    """
    starts = np.array([row.start for row in rows])
    ends = starts + np.array([row.duration for row in rows])
    if not np.isfinite(ends).all():
        raise DataError("The phones have no times, so their frames are not known.")
    if ends.max() > (len(frames) + _OVER) * shift:
        raise DataError(
            f"The alignment ends at {ends.max():.2f} s, the frames at {len(frames) * shift:.2f} s.",
            "The features and rows.tsv are of different recordings: extract them again.",
        )
    first, last = frames_at(starts, ends, shift, len(frames))
    return segment_means(frames, first, last).astype(np.float32)


def read_phone_features(folder: GopFolder, utterance: str) -> np.ndarray:
    """Features of the phones of an utterance ``[P, D]``; frames are averaged by its rows.

    Raises:
        DataError: its features and its rows do not fit together.
    """
    features, rows = folder.table[utterance], folder.rows[utterance]
    try:
        if is_of_frames(folder.config):
            return frame_means(features, rows, float(folder.config["frame_shift"]))
    except DataError as error:
        raise DataError(f"{utterance}: {error.problem}", error.remedy) from error
    if len(features) != len(rows):
        raise DataError(f"{utterance}: {len(features)} rows of features, {len(rows)} phones.")
    return features


def is_of_frames(config: Mapping[str, Any]) -> bool:
    """Whether the features of a ``features.json`` are of frames rather than of phones."""
    return config.get("level") == "frame"
