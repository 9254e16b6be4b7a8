"""speechkit: find the hard samples in speech data, train on them, measure the tail."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from speechkit.sharing.load import load as load

__version__ = "0.1.0.dev0"


def __getattr__(name: str) -> Any:
    """``load`` when it is asked for: the package itself imports nothing."""
    if name == "load":
        from speechkit.sharing.load import load

        return load
    raise AttributeError(f"module 'speechkit' has no attribute '{name}'")
