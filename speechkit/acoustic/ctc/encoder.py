"""Hidden features of speech encoders that know no phones, self-supervised ones for example.

Where another model aligns, nothing but hidden features is asked of a model: then it may be a
bare wav2vec2, HuBERT or WavLM, or a CTC model that writes letters.
"""

from __future__ import annotations

import numpy as np

from speechkit.acoustic.base import AcousticModel, Evidence, PhoneInContext
from speechkit.acoustic.ctc import model as ctc
from speechkit.acoustic.ctc.networks import BundleNetwork, HuggingFaceNetwork
from speechkit.base.errors import UserError


class EncoderModel(AcousticModel):
    """Frames of hidden features, and neither labels nor posteriors.

    Args:
        name: of the model.
        network: samples to hidden features.
        sample_rate: in Hz.
        frame_shift: in seconds.
        fingerprint: of weights and preprocessing.
    """

    labels = ()

    def __init__(
        self,
        name: str,
        network: HuggingFaceNetwork | BundleNetwork,
        sample_rate: int,
        frame_shift: float,
        fingerprint: str,
    ) -> None:
        self.name, self._network = name, network
        self.sample_rate, self.frame_shift = sample_rate, frame_shift
        self.fingerprint = f"encoder-{fingerprint}"
        self.hidden_layer, self.hidden_width = network.hidden

    def evidence(self, samples: np.ndarray) -> Evidence:
        """Evidence of mono samples ``[N]``, its posteriors of no label ``[T, 0]``.

        Raises:
            UserError: the audio is too short for the network.
        """
        _, hidden = self._network(np.asarray(samples, dtype=np.float32))
        assert hidden is not None
        nothing = hidden.new_zeros(len(hidden), 0)
        return Evidence(nothing, nothing, hidden)

    def state_ids(self, phone: PhoneInContext) -> tuple[int, ...]:
        raise UserError(
            f"The encoder {self.name} knows no phones.",
            "Name a model that finds them with `align_with`, e.g. sphinx.",
        )


def load_encoder(spec: str, device: str = "cpu", hidden: bool | int = True) -> EncoderModel:
    """An encoder by folder, ``hf:OWNER/NAME`` (or ``hf:FOLDER``) or ``torchaudio:BUNDLE``.

    Args:
        spec: which; a map of labels behind it (``,map=FILE``) does not matter.
        device: cpu or cuda; evidence is on the CPU.
        hidden: the layer: True for the last, or its number from 1.

    Raises:
        UserError: it is not found or cannot be loaded, or has no such layer.
        MissingDependency: transformers is not installed.
    """
    name = spec.partition(",map=")[0]
    if name.startswith(ctc.TORCHAUDIO):
        return _load_bundle(name.removeprefix(ctc.TORCHAUDIO), device, hidden)
    folder = ctc.folder_of(name)
    front = ctc.read_json(folder / "preprocessor_config.json", optional=True)
    rate = int(front.get("sampling_rate", 16_000))
    network = HuggingFaceNetwork(folder, device, front, hidden, head=False)
    return EncoderModel(name, network, rate, network.ratio / rate, ctc.fingerprint(folder))


def _load_bundle(name: str, device: str, hidden: bool | int) -> EncoderModel:
    bundle = ctc.find_bundle(name, "Wav2Vec2Bundle")
    rate, spec = int(bundle.sample_rate), f"{ctc.TORCHAUDIO}{name}"
    model = ctc.bundle_model(bundle, name, device)
    network = BundleNetwork(model, spec, device, hidden, rate, head=False)
    return EncoderModel(f"torchaudio:{name}", network, rate, 320 / rate, f"torchaudio-{name}")
