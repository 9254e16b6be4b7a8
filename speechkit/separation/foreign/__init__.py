"""Conv-TasNet checkpoints of Asteroid and SpeechBrain, as our configuration and weights.

Both are read without running anything of theirs: weights with ``weights_only=True``, and
SpeechBrain's ``hyperparams.yaml`` as plain data. The forward pass on the same weights is the
same up to rounding. Where a layer of ours has a parameter that theirs lacks, it gets the
value that changes nothing: SpeechBrain has no biases (zero) and no PReLU before the masks
(slope 1), and its causal convolution never sees the present frame (a last tap of zero).
Fine-tuning trains these like any other parameter.
"""

from __future__ import annotations

from pathlib import Path

from speechkit.base.errors import UserError
from speechkit.separation.foreign import asteroid, speechbrain
from speechkit.separation.foreign.checks import ACCEPTED, Loaded

__all__ = ["load_foreign"]


def load_foreign(path: Path) -> Loaded:
    """A pretrained Conv-TasNet of Asteroid or SpeechBrain.

    Args:
        path: Asteroid's file, or a folder with it (``best_model.pth``, ``pytorch_model.bin``);
            or SpeechBrain's folder: ``encoder.ckpt``, ``masknet.ckpt`` and ``decoder.ckpt``,
            with ``hyperparams.yaml`` there or up to two folders above (as in ``save/CKPT+...``).

    Returns:
        The configuration, the weights under the names of our :class:`ConvTasNet`, and the
        sample rate in Hz where the checkpoint states it.

    Raises:
        UserError: there is no such checkpoint, or it is of a model that ours cannot be.
    """
    if path.is_file():
        return asteroid.load(path)
    if not path.exists():
        raise UserError(f"There is no checkpoint at {path}.", ACCEPTED)
    for name in asteroid.FILES:
        if (path / name).is_file():
            return asteroid.load(path / name)
    missing = [name for name in speechbrain.FILES if not (path / name).is_file()]
    if not missing:
        return speechbrain.load(path)
    saved = sorted(path.glob("save/*/masknet.ckpt"))
    where = f"Checkpoints lie in folders below; give one: {saved[-1].parent}" if saved else ACCEPTED
    raise UserError(f"{path} has no {missing[0]}.", where)
