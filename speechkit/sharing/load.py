"""``speechkit.load``: a trained model that is loaded once and takes samples in memory.

    scorer = speechkit.load("pronunciation")
    result = scorer.score(samples, 16000, "we call it bear")

What comes out is what ``predict`` makes of a file with the same samples, to the bit, and what is
refused is refused with the same words. The objects may be shared by the threads of a server.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np

from speechkit.base import audio_array, hub
from speechkit.base.audio import Info, resample
from speechkit.base.errors import AudioError, ConfigError, UserError, require_choice
from speechkit.sharing import archive, publish
from speechkit.workdir import WorkDir

if TYPE_CHECKING:
    import torch

    from speechkit.acoustic.config import Policy
    from speechkit.acoustic.lexicon.dictionary import Lexicon
    from speechkit.emotion.inference_config import WindowConfig
    from speechkit.emotion.predictor import Predictor
    from speechkit.emotion.windows import Prediction
    from speechkit.separation.model_folder import Separator
    from speechkit.separation.recording import PredictConfig
    from speechkit.speaker.embedder import Embedder

Scored = TypeVar("Scored")
NAME = "recording"  # in messages and results, where the caller gives no name


@dataclass(frozen=True)
class Scorer(Generic[Scored]):
    """Scores recordings whose text is known (pronunciation, scoring).

    Args:
        ready: the model and what makes its features.
        predict_one: of its task.
        policy: for numbers and marks in the texts.
    """

    ready: Any
    predict_one: Callable[..., Scored]
    lexicon: Lexicon
    policy: Policy

    def score(self, samples: np.ndarray, sample_rate: int, text: str, name: str = NAME) -> Scored:
        """Score one recording.

        Args:
            samples: ``[N]`` or ``[channels, N]``: floats of full scale 1, int16, int32 or uint8.
            sample_rate: in Hz; any, as of files.
            name: of the recording, for the result and for messages.

        Raises:
            UserError: the recording is silent, too short for the text or no audio, or the text
                is empty or has words that cannot be pronounced.
        """
        from speechkit.phone_features.recordings import Recording

        if not isinstance(text, str):
            raise ConfigError("text", f"{text!r} is no string.", 'Give it as "we call it bear".')
        mono = audio_array.mono(samples, sample_rate, name)
        recording = Recording(name, text, mono, int(sample_rate))
        return self.predict_one(self.ready, recording, self.lexicon.fresh(), self.policy)


@dataclass(frozen=True)
class SpeechSeparator:
    """Separates the speakers of mixtures."""

    separator: Separator
    config: PredictConfig

    def separate(self, samples: np.ndarray, sample_rate: int, name: str = NAME) -> np.ndarray:
        """Sources float32 ``[speakers, N]`` at the rate, length and level of the mixture.

        The arguments are those of :meth:`Scorer.score`.

        Raises:
            UserError: the samples are no audio, or fewer than the network needs.
        """
        from speechkit.separation.recording import separate_samples

        mono = audio_array.mono(samples, sample_rate, name)
        return separate_samples(self.separator, mono, int(sample_rate), self.config)


@dataclass(frozen=True)
class EmotionRecogniser:
    """Recognises emotions; one recording at a time, also where several threads ask."""

    predictors: list[Predictor]
    windows: WindowConfig
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def emotions(self, samples: np.ndarray, sample_rate: int, name: str = NAME) -> Prediction:
        """The label and probabilities of a recording and of its windows.

        The arguments are those of :meth:`Scorer.score`.

        Raises:
            UserError: the samples are no audio.
        """
        from speechkit.emotion.predict import judge

        mono = audio_array.mono(samples, sample_rate, name)
        found = Info(int(sample_rate), len(mono), 1)
        blocks = audio_array.blocks(mono, found.sample_rate)
        with self._lock:  # openSMILE, and encoders that note a layer while they run
            return judge(self.predictors, Path(name), found, blocks, self.windows)


@dataclass(frozen=True)
class SpeakerEncoder:
    """Turns recordings into speaker vectors."""

    embedder: Embedder

    def embed(self, samples: np.ndarray, sample_rate: int, name: str = NAME) -> np.ndarray:
        """The speaker vector float32 ``[dim]`` of a recording.

        The arguments are those of :meth:`Scorer.score`.

        Raises:
            UserError: the samples are no audio, or fewer than the network needs.
        """
        rate = self.embedder.sample_rate
        wave = resample(audio_array.mono(samples, sample_rate, name), int(sample_rate), rate)
        try:
            self.embedder.check(wave)
        except AudioError as error:
            raise AudioError(f"{name}: {error.problem}", error.remedy) from error
        return self.embedder([wave])[0]


def load(
    task: str,
    model: str | Path = "",
    *,
    workdir: str | Path = ".",
    device: str | torch.device = "auto",
    **options: Any,
) -> Any:
    """Load a model of a task, ready for samples in memory.

    Its method takes ``samples`` (arrays, lists, tensors on the CPU; ``[N]`` or ``[channels, N]``;
    floats of full scale 1, int16, int32 or uint8) and their rate in Hz, where there is one a text.

    ======================  ===================================  ===================================
    task                    what is loaded                       options
    ======================  ===================================  ===================================
    pronunciation, scoring  :class:`Scorer`: ``score``           lexicon, guess, policy
    separation              :class:`SpeechSeparator`:            checkpoint, sample_rate,
                            ``separate``                         block_seconds, overlap_seconds
    emotion                 :class:`EmotionRecogniser`:          window, hop, whole, ensemble
                            ``emotions``
    xvector                 :class:`SpeakerEncoder`: ``embed``
    ======================  ===================================  ===================================

    Args:
        task: see there.
        model: a name under ``exp/``, a folder, a file that ``export`` wrote, or
            ``hf:OWNER/NAME``; empty for the model that comes with speechkit (pronunciation), the
            one of the name ``default`` (scoring), or the newest (xvector).
        workdir: where names are looked up.
        device: auto, cpu, cuda, or a ``torch.device``.
        options: what the flags of these names of ``speechkit predict`` take.

    Raises:
        UserError: no such task or model, or it cannot be used.
    """
    from speechkit.training.devices import resolve_device

    require_choice("task", str(task), tuple(_LOADERS))
    loader, accepted = _LOADERS[task]
    for name, value in options.items():
        require_choice("options", name, (*accepted, "workdir", "device"))
        if not isinstance(value, accepted[name]):
            raise ConfigError(name, f"{value!r} is no number.", "Give a number.")
    where = resolve_device(str(getattr(device, "type", device))).type  # also a torch.device
    with found_model(task, str(model)) as spec:
        return loader(spec, WorkDir(Path(workdir)), where, **options)


@contextmanager
def found_model(task: str, model: str) -> Iterator[str]:
    """A model that may be one file, or on the hub, by a name or folder that its task knows.

    Args:
        task: that it must be of.
        model: see :func:`load`; names and folders are passed on as they are.

    Raises:
        UserError: the file is damaged or of another task, or the hub cannot be reached.
    """
    fetched = model.startswith(hub.PREFIX) and task != "xvector"  # which asks the hub itself
    path = publish.fetch(model.partition(",map=")[0], task) if fetched else Path(model)
    if fetched and task == "pronunciation" and path.is_dir():  # CTC: its loader fetches the rest
        yield model
        return
    if not (path.is_file() and path.suffix == archive.SUFFIX):
        yield str(path) if fetched else model
        return
    contents = archive.read_list(path)
    if contents.task != task:
        raise UserError(
            f"{path} is a model of {contents.task}, not of {task}.", "Name a file of this task."
        )
    with TemporaryDirectory(prefix="speechkit-") as folder:
        archive.unpack(path, contents, Path(folder))
        yield folder


def _scorer(
    task: str, default: str, model: str, workdir: WorkDir, device: str, **options: Any
) -> Scorer[Any]:
    from speechkit.acoustic.config import TextConfig
    from speechkit.acoustic.lexicon.dictionary import Lexicon

    predict = importlib.import_module(f"speechkit.{task}.predict")
    ready = predict.load_model(model or default, workdir, device)
    texts = TextConfig(**options)
    lexicon = Lexicon(Path(texts.lexicon) if texts.lexicon else None, guess=texts.guess)
    return Scorer(ready, predict.predict_one, lexicon, texts.policy)


def _separation(model: str, workdir: WorkDir, device: str, **options: Any) -> SpeechSeparator:
    from speechkit.separation.inference import block_layout
    from speechkit.separation.model_folder import find_separator
    from speechkit.separation.recording import PredictConfig

    config = PredictConfig(device=device, **options)
    separator = find_separator(workdir, _named(model), config.checkpoint, config.sample_rate)
    block_layout(separator, config.block_seconds, config.overlap_seconds)  # refuses bad lengths
    separator.net.to(device)
    return SpeechSeparator(separator, config)


def _emotion(
    model: str, workdir: WorkDir, device: str, ensemble: bool = False, **options: Any
) -> EmotionRecogniser:
    from speechkit.emotion.inference_config import WindowConfig
    from speechkit.emotion.predict import find_folders, load_predictor

    folders = find_folders(workdir, _named(model), ensemble)
    predictors = [load_predictor(folder, device) for folder in folders]
    windows = WindowConfig(**options)
    windows.check(predictors[0].max_seconds)
    for predictor in predictors:
        predictor.open()
    return EmotionRecogniser(predictors, windows)


def _xvector(model: str, workdir: WorkDir, device: str) -> SpeakerEncoder:
    from speechkit.speaker import embedder

    return SpeakerEncoder(embedder.load(embedder.find_model(workdir, model).resolve(), device))


def _named(model: str) -> str:
    if not model:
        raise ConfigError("model", "is not given.", "Give a name under exp/, a folder or a file.")
    return model


_WINDOWS = dict.fromkeys(("window", "hop", "whole"), (int, float))
_BLOCKS = dict.fromkeys(("sample_rate", "block_seconds", "overlap_seconds"), (int, float))
_TEXTS = dict.fromkeys(("lexicon", "guess", "policy"), object)
_LOADERS: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "pronunciation": (partial(_scorer, "pronunciation", ""), _TEXTS),
    "scoring": (partial(_scorer, "scoring", "default"), _TEXTS),
    "separation": (_separation, {"checkpoint": object, **_BLOCKS}),
    "emotion": (_emotion, {"ensemble": object, **_WINDOWS}),
    "xvector": (_xvector, {}),
}
"""Task -> what loads it, and its options with their types."""
