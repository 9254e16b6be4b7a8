"""speechkit: find the hard samples in speech data, train on them, measure the tail."""

__version__ = "0.1.0.dev0"
