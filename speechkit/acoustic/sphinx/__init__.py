"""The English acoustic model inside the pocketsphinx package, computed by speechkit itself."""

from speechkit.acoustic.sphinx.model import SphinxModel

__all__ = ["SphinxModel"]
