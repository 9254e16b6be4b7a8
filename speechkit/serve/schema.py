"""What the answers look like, for OpenAPI."""

from __future__ import annotations

from typing import NotRequired, Optional

from typing_extensions import TypedDict  # Pydantic asks for it below Python 3.12

Ends = list[float]
"""Lowest and highest value of a score."""


class Failure(TypedDict):
    """Why there is no answer: one sentence, and what to do."""

    error: str
    remedy: str


class Phone(TypedDict):
    """A phone: times in seconds; of a suspect one what was heard in its place (null: nothing)."""

    phone: str
    start: float
    end: float
    suspect: bool
    accuracy: NotRequired[float]
    likely: NotRequired[str]
    heard: NotRequired[Optional[str]]  # noqa: UP045
    advantage_nats: NotRequired[float]
    heard_probability: NotRequired[float]


class Word(TypedDict):
    """A word: its scores, whether it was said (status), and its phones."""

    word: str
    start: float
    end: float
    accuracy: NotRequired[float]
    stress: NotRequired[float]
    total: NotRequired[float]
    pronunciation: str
    said_llr_nats: NotRequired[float]
    status: NotRequired[str]
    p_said: NotRequired[float]
    p_substitution: NotRequired[float]
    p_omission: NotRequired[float]
    raw: NotRequired[dict[str, float]]
    phones: list[Phone]


class Insertion(TypedDict):
    """What was said and stands in no text."""

    start: float
    end: float
    phones: list[str]


class Curve(TypedDict):
    """Values from ``start``, every ``step`` seconds; null where there is none."""

    start: float
    step: float
    values: list[Optional[float]]  # noqa: UP045


class Pronunciation(TypedDict):
    """The scores of a recording, on the scales that it states."""

    text: str
    seconds: float
    matches: bool
    confidence: float
    scales: dict[str, dict[str, Ends]]
    utterance: dict[str, float]
    spread_over_seeds: dict[str, float]
    words: list[Word]
    readings: NotRequired[list[dict]]
    insertions: NotRequired[list[Insertion]]
    curves: dict[str, Curve]


class Source(TypedDict):
    """A speaker: a WAV file of 16 bits in base64."""

    name: str
    wav: str


class Separation(TypedDict):
    """The speakers of a mixture, at its rate and length."""

    seconds: float
    sample_rate: int
    sources: list[Source]


class Part(TypedDict):
    """What was heard from ``start`` to ``end`` in seconds; null where it is silent."""

    start: float
    end: float
    label: Optional[str]  # noqa: UP045
    probabilities: Optional[dict[str, float]]  # noqa: UP045


class Emotion(TypedDict):
    """The emotion of a recording and of its windows."""

    seconds: float
    label: Optional[str]  # noqa: UP045
    silent: bool
    probabilities: Optional[dict[str, float]]  # noqa: UP045
    windows: list[Part]


class Model(TypedDict):
    """Whether a task can be asked, and else the command after which it can."""

    ready: bool
    model: str
    command: str


class About(TypedDict):
    """What is served."""

    version: str
    models: dict[str, Model]
    max_megabytes: float
    max_seconds: float
