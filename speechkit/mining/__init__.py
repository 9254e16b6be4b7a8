"""Hard pairs: which utterances of other speakers are closest to an utterance, and drawing them.

``from speechkit.mining import HardPairSampler`` needs NumPy only.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from speechkit.mining.sampler import HardPairSampler

__all__ = ["HardPairSampler"]


def __getattr__(name: str) -> Any:  # the command line reads mining.config without NumPy
    if name == "HardPairSampler":
        from speechkit.mining.sampler import HardPairSampler

        return HardPairSampler
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
