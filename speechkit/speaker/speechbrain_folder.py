"""SpeechBrain's features, and its speaker encoders (x-vector, ECAPA-TDNN) of a folder or the hub.

``hyperparams.yaml`` of such a folder is HyperPyYAML, whose tags may call any function:
here it is read as plain data, and only the layers known below are built. Weights are
loaded with ``weights_only=True``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import msgspec
import torch
from msgspec import Meta
from torch import Tensor

from speechkit.base import hub
from speechkit.base.errors import UserError
from speechkit.base.schema import LAYERS, Rate, Share, Taps, Width, check
from speechkit.base.yaml_files import HYPERPARAMS, class_name, plain_settings, read_hyperpyyaml
from speechkit.speaker.tdnn import TDNN, TDNNConfig, reflect
from speechkit.training.weights import build, read_state

WEIGHTS = "embedding_model.ckpt"


@dataclass(frozen=True)
class FbankSettings:
    """Settings of ``speechbrain.lobes.features.Fbank`` that a model may have; None: its default.

    Args:
        n_fft: points of the spectrum.
        f_min: lower edge of the first filter in Hz.
        f_max: upper edge of the last filter in Hz.
        win_length: of a frame in ms.
        hop_length: from frame to frame in ms.
        deltas: differences beside the features.
    """

    n_mels: Annotated[int, Meta(ge=1, le=1 << 10)] = 40
    n_fft: Annotated[int, Meta(ge=16, le=1 << 16)] | None = None
    f_min: Annotated[float, Meta(ge=0, le=1e7)] | None = None
    f_max: Annotated[float, Meta(gt=0, le=1e7)] | None = None
    win_length: Annotated[float, Meta(ge=1, le=1000)] | None = None
    hop_length: Annotated[float, Meta(ge=1, le=1000)] | None = None
    deltas: bool | None = None

    def given(self) -> dict[str, Any]:
        """Those that are not left to the default."""
        return {name: value for name, value in asdict(self).items() if value is not None}


class LogMel(torch.nn.Module):
    """Log mel filterbank in dB, the mean of each utterance taken away.

    Frames are centred every ``hop_ms``; an utterance of n samples has 1 + n // hop of them,
    and the padding behind it changes none.

    Args:
        sample_rate: in Hz.
        options: further arguments of ``speechbrain.lobes.features.Fbank``.

    Shape:
        - Input: samples ``[B, N]``, optional B lengths in samples.
        - Output: features ``[B, T, n_mels]`` and B lengths in frames.
    """

    def __init__(self, sample_rate: int, n_mels: int, **options: Any) -> None:
        from speechbrain.lobes.features import Fbank

        super().__init__()
        window = round(sample_rate * options.get("win_length", 25) / 1000)
        options.setdefault("n_fft", max(400, window))  # SpeechBrain's 400 fits up to 16 kHz
        self.fbank = Fbank(sample_rate=sample_rate, n_mels=n_mels, **options)
        self.hop = round(sample_rate * options.get("hop_length", 10) / 1000)

    def forward(
        self, samples: Tensor, lengths: Sequence[int] | None = None
    ) -> tuple[Tensor, list[int]]:
        with torch.autocast(samples.device.type, enabled=False):
            features = self.fbank(samples.float())
        frames = [1 + n // self.hop for n in lengths or [samples.shape[1]] * len(samples)]
        for row, count in enumerate(frames):
            features[row] -= features[row, :count].mean(0)
            features[row, count:] = 0
        return features, frames


_FBANK = {field.name for field in fields(FbankSettings)}
_XVECTOR = {
    "in_channels": "n_mels", "tdnn_channels": "channels", "tdnn_kernel_sizes": "kernels",
    "tdnn_dilations": "dilations", "lin_neurons": "embedding",
}  # fmt: skip


class Ecapa(msgspec.Struct):
    """Settings of SpeechBrain's ECAPA-TDNN."""

    input_size: Width
    lin_neurons: Width = 192
    channels: Annotated[tuple[Width, ...], LAYERS] = (512, 512, 512, 512, 1536)
    kernel_sizes: Annotated[tuple[Taps, ...], LAYERS] = (5, 3, 3, 3, 1)
    dilations: Annotated[tuple[Taps, ...], LAYERS] = (1, 2, 3, 4, 1)
    attention_channels: Width = 128
    res2net_scale: Width = 8
    se_channels: Width = 128
    global_context: bool = True
    groups: Annotated[tuple[Width, ...], LAYERS] = (1, 1, 1, 1, 1)
    dropout: Share = 0.0


_ECAPA = set(Ecapa.__struct_fields__)

Network = Callable[[Tensor, Sequence[int]], Tensor]


def download(name: str) -> Path:
    """Fetch OWNER/NAME from the Hugging Face hub into its cache.

    Raises:
        UserError: the hub cannot be reached or has no such model.
    """
    return hub.fetch(name, [HYPERPARAMS, WEIGHTS], "model", check=WEIGHTS)


def load(folder: Path) -> tuple[LogMel, torch.nn.Module | Network, int, int]:
    """Features, network, sample rate in Hz and fewest frames of a SpeechBrain folder.

    The network is a :class:`TDNN`, or for ECAPA a function of features ``[B, T, n_mels]``
    and B lengths.

    Raises:
        UserError: a file is missing, or the model is of another kind.
    """
    for name in (HYPERPARAMS, WEIGHTS):
        if not (folder / name).is_file():
            raise UserError(
                f"{folder} has no {name}: it is not a SpeechBrain speaker encoder.",
                "Accepted: a folder of `train xvector`, or one with hyperparams.yaml and "
                "embedding_model.ckpt of a SpeechBrain x-vector or ECAPA-TDNN.",
            )
    hyper = read_hyperpyyaml(folder / HYPERPARAMS)
    path = str(folder / HYPERPARAMS)
    rate = check(hyper.get("sample_rate", 16000), Rate, f"{path}: sample_rate")
    fbank = check(plain_settings(hyper.get("compute_features"), _FBANK), FbankSettings, path)
    norm = plain_settings(hyper.get("mean_var_norm"), {"norm_type", "std_norm"})
    if norm.get("norm_type") != "sentence" or norm.get("std_norm", True):
        raise UserError(
            f"{folder}: features are normalised with {norm}, which is not supported.",
            "Supported: InputNormalization with norm_type: sentence and std_norm: False.",
        )
    features = LogMel(rate, **fbank.given())
    state = read_state(folder / WEIGHTS, "Download it again.")
    network, frames = _network(folder, hyper.get("embedding_model"), state)
    return features, network, rate, frames


def _network(folder: Path, node: Any, state: dict[str, Tensor]) -> tuple[Any, int]:
    kind = class_name(node)
    if kind == "Xvector":
        given = {ours: node[theirs] for theirs, ours in _XVECTOR.items() if theirs in node}
        config = check({"n_mels": 40, **given}, TDNNConfig, str(folder / HYPERPARAMS))
        with torch.device("meta"):  # the shapes are compared before any memory is taken
            TDNN(config).of_speechbrain(state)
        network = TDNN(config)
        network.load_state_dict(network.of_speechbrain(state))
        return network.eval(), config.min_frames
    if kind == "ECAPA_TDNN":
        from speechbrain.lobes.models.ECAPA_TDNN import ECAPA_TDNN

        options = plain_settings(node, _ECAPA)
        check(options, Ecapa, str(folder / HYPERPARAMS))
        ecapa = build(lambda: ECAPA_TDNN(**options), state, folder / WEIGHTS)
        return ExactECAPA(ecapa.eval()), 5
    raise UserError(
        f"{folder}: the embedding model is '{kind or node}'.", "Supported: Xvector, ECAPA_TDNN."
    )


class ExactECAPA(torch.nn.Module):
    """SpeechBrain's ECAPA-TDNN with every utterance reflected at its own end.

    As published, convolutions reflect at the end of the batch, so that a vector depends on
    what it is batched with.
    """

    def __init__(self, ecapa: torch.nn.Module) -> None:
        super().__init__()
        self.ecapa = ecapa
        self.frames: Sequence[int] = ()
        convolutions: list[Any] = [m for m in ecapa.modules() if hasattr(m, "_manage_padding")]
        for module in convolutions:
            module._manage_padding = partial(self._pad, module.padding_mode)

    def forward(self, features: Tensor, frames: Sequence[int]) -> Tensor:
        self.frames = frames
        # Half a frame less: exactly `frames` positions lie below it, whatever the rounding.
        relative = (torch.tensor(frames) - 0.5) / features.shape[1]
        return self.ecapa(features, relative.to(features.device)).squeeze(1)

    def _pad(self, mode: str, x: Tensor, kernel_size: int, dilation: int, stride: int) -> Tensor:
        """Pad ``[B, C, T]`` so that the convolution keeps T, at each utterance's own end."""
        reach = dilation * (kernel_size - 1) // 2
        if not reach:
            return x
        if mode != "reflect":
            raise UserError(f"ECAPA with padding '{mode}' is not supported.", "Expected: reflect.")
        return reflect(x.transpose(1, 2), reach, self.frames).transpose(1, 2)
