"""Data to train the acoustic network and the scorer together: frames, and their phones.

Of an utterance only the frames are kept that the hidden features of its phones depend on; the
silence before and after costs nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from speechkit.acoustic.features import SHIFT_S, FeatureConfig, log_mel
from speechkit.base import audio, parallel
from speechkit.base.errors import UserError
from speechkit.kaldi import data
from speechkit.phone_features.gop import frames_at
from speechkit.workdir import WorkDir

if TYPE_CHECKING:
    from speechkit.scoring.data import ScoringSet

# Streams of a few lengths only: kernels and memory of a shape serve again (a tenth faster).
_ROUND = 512
MAX_FRAMES_OVER = 3  # by which an alignment may end after our last frame


@dataclass(frozen=True)
class Stream:
    """One utterance, or some one after another, as the network reads them (see ``run_stream``).

    Args:
        frames: features ``[1, W, M]``: of each utterance from the first frame of a phone to the
            last, with what the network sees to each side (at an end of the audio its end frame
            again).
        index: frames of each phone among the outputs, phone after phone: int64 ``[F]``.
        counts: frames of each phone: int64 ``[P]``, at least 1 each.
    """

    frames: Tensor
    index: Tensor
    counts: Tensor

    def to(self, device: torch.device) -> Stream:
        """The same on another device."""
        return Stream(*(t.to(device) for t in (self.frames, self.index, self.counts)))


@dataclass(frozen=True)
class JointData:
    """Frames of the utterances of a set.

    Args:
        clips: of each.
    """

    clips: list[Stream]

    @property
    def lengths(self) -> np.ndarray:
        """Frames of each utterance that the network reads, int64 ``[U]``."""
        return np.array([clip.frames.shape[1] for clip in self.clips], dtype=np.int64)

    @property
    def first(self) -> np.ndarray:
        """Row of the first phone of each utterance, and the number of phones: ``[U + 1]``."""
        return np.cumsum([0, *(len(clip.counts) for clip in self.clips)], dtype=np.int64)

    def stream(self, chosen: Sequence[int]) -> Stream:
        """Utterances as one stream: nothing is padded but its end, to a multiple of frames."""
        clips = [self.clips[number] for number in chosen]
        places = np.cumsum([0, *self.lengths[chosen]]).tolist()
        index = [clip.index + place for clip, place in zip(clips, places, strict=False)]
        filling = clips[0].frames.new_zeros(1, -places[-1] % _ROUND, clips[0].frames.shape[2])
        frames = torch.cat([*(clip.frames for clip in clips), filling], dim=1)
        return Stream(frames, torch.cat(index), torch.cat([clip.counts for clip in clips]))

    def subset(self, chosen: Sequence[int]) -> JointData:
        """Some of the utterances."""
        return JointData([self.clips[i] for i in chosen])


def load(
    work: WorkDir,
    found: ScoringSet,
    features: FeatureConfig,
    reach: int,
    *,
    jobs: int = 1,
    executor: str = "local",
) -> JointData:
    """Read the audio of a set.

    Args:
        work: the working directory.
        found: the set with the times of its phones, from a folder of features.
        features: what the acoustic network reads.
        reach: frames that it sees to each side.
        jobs: processes.
        executor: local or dask://HOST:PORT.

    Raises:
        UserError: an utterance is not in the set any more, its audio cannot be read, or the
            alignment does not fit it.
    """
    folder = work.data(found.name)
    sources = {u.id: u for u in data.load(folder, work.root).utterances}
    if missing := [name for name in found.utterances if name not in sources]:
        raise UserError(
            f"'{found.name}' lacks audio of {missing[0]} (in all of {len(missing)}).",
            f"Extract the features again with: speechkit extract-deep --set {found.name}",
        )
    rate = int(found.features_of[0].get("sample_rate") or 0)
    run = partial(_clip, features=features, reach=reach, sample_rate=rate)
    times = np.stack([found.starts, found.durations], axis=1)
    items = [
        (sources[name], times[first:last])
        for name, first, last in zip(
            found.utterances, found.first[:-1], found.first[1:], strict=True
        )
    ]
    how: dict[str, Any] = {"jobs": jobs, "executor": executor, "label": f"audio {found.name}"}
    arrays = parallel.map_items(run, items, chunk=8, name=lambda item: item[0].id, **how)
    # Plain arrays travel between processes: shared tensors would each hold a file open.
    clips = [Stream(*(torch.from_numpy(a) for a in done.value or ())) for done in arrays]
    return JointData(clips)


def _clip(
    item: tuple[data.Utterance, np.ndarray], features: FeatureConfig, reach: int, sample_rate: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The arrays of a :class:`Stream`."""
    source, times = item
    samples, rate = audio.read(
        source.wav, sample_rate or features.sample_rate, source.start, source.end
    )
    if rate != features.sample_rate:
        samples = audio.resample(samples, rate, features.sample_rate)
    frames, index, counts = cut(log_mel(samples, features).numpy(), times, reach)
    return frames[None], index, counts


def cut(
    frames: np.ndarray, times: np.ndarray, reach: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What the phones of an utterance depend on: the arrays of a :class:`Stream`.

    Args:
        frames: features ``[T, M]`` of the whole utterance.
        times: start and duration of each phone in seconds ``[P, 2]``.
        reach: frames that the network sees to each side.

    Raises:
        UserError: there are no times, or they go beyond the frames.
    """
    count = len(frames)
    if not len(times) or not np.isfinite(times).all():
        raise UserError(
            "its phones have no times, so the frames of a phone are not known.",
            "Align the set with an acoustic model: speechkit extract-deep",
        )
    if times.sum(1).max() > (count + MAX_FRAMES_OVER) * SHIFT_S:
        raise UserError(
            f"its alignment ends at {times.sum(1).max():.2f} s, its frames at "
            f"{count * SHIFT_S:.2f} s.",
            "The audio has changed: extract the features again with: speechkit extract-deep",
        )
    starts, ends = frames_at(times[:, 0], times.sum(1), SHIFT_S, count)
    begin, end = int(starts.min()), int(ends.max())
    kept = frames[np.clip(np.arange(begin - reach, end + reach), 0, count - 1)]
    index = np.concatenate([np.arange(a, b) - begin for a, b in zip(starts, ends, strict=True)])
    return kept, index, ends - starts
