"""Hard pairs: which utterances of other speakers are closest to an utterance, and drawing them.

``from speechkit.mining import HardPairSampler`` needs NumPy only.
"""

from speechkit.mining.sampler import HardPairSampler

__all__ = ["HardPairSampler"]
