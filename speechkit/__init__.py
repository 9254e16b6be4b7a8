"""Find the hard samples in speech data, train on them, measure the tail.

    import speechkit

    scorer = speechkit.load("pronunciation")  # also scoring, separation, emotion, xvector
    result = scorer.score(samples, 16000, "we call it bear")
    print(result.utterance["total"], [word.scores for word in result.words])

:func:`load` says what it takes; the commands of the shell are those of ``speechkit --help``.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from speechkit.sharing.load import load as load

__version__ = "0.1.0.dev0"
__all__ = ["load"]


def __getattr__(name: str) -> Any:
    """``load`` when it is asked for: the package itself imports nothing."""
    if name == "load":
        from speechkit.sharing.load import load

        return load
    raise AttributeError(f"module 'speechkit' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])  # so that help() and completion know it
