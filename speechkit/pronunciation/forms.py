"""Assessments as lines of a CSV and as tiers of a TextGrid, from the rows of ``--json``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from speechkit.base.textgrid import Interval, Tier
from speechkit.labels.phones import ipa
from speechkit.pronunciation.result import Result
from speechkit.task.prediction.saved import Row
from speechkit.task.prediction.written import Forms

_COLUMNS = (
    *("file", "text", "level", "word_index", "word", "phone", "start", "end"),
    *("accuracy", "completeness", "fluency", "prosodic", "stress", "total"),
    *("seconds", "matches", "confidence", "pronunciation"),
    *("suspect", "likely", "heard", "advantage_nats"),
    *("status", "p_said", "p_substitution", "p_omission", "said_llr_nats"),
)


def lines(row: Row) -> list[Mapping[str, Any]]:
    """A line for the recording, one for each word, followed by those of its phones, and one for
    each insertion."""
    of = {"file": row["file"], "text": row["text"]}
    about = ("seconds", "matches", "confidence")
    whole = {name: row[name] for name in about if name in row}
    found: list[Mapping[str, Any]] = [{**of, "level": "utterance", **row["utterance"], **whole}]
    for number, word in enumerate(row["words"]):
        of_word = {**of, "word_index": number, "word": word["word"]}
        found.append({**of_word, "level": "word", **_plain(word)})
        found += [{**of_word, "level": "phone", **_plain(phone)} for phone in word["phones"]]
    for each in row.get("insertions", ()):
        said = " ".join(each["phones"])
        found.append({**of, "level": "insertion", **_plain(each), "phone": said})
    return found


def _plain(part: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in part.items() if not isinstance(value, list | dict)}


def tiers(row: Row) -> list[Tier]:
    """Words, phones, and the main score of each (of words the total, else the accuracy).

    Where a result has them, the status of the words and what was inserted too.
    """
    words = [_interval(word, "word", row) for word in row["words"]]
    phones = [_interval(phone, "phone", row) for word in row["words"] for phone in word["phones"]]
    status = [Interval(word["start"], word["end"], word.get("status", "")) for word in row["words"]]
    inserted = [
        Interval(each["start"], each["end"], " ".join(each["phones"]))
        for each in row.get("insertions", ())
    ]
    return [
        Tier("words", [part for part, _ in words]),
        Tier("phones", [part for part, _ in phones]),
        Tier("scores", [score for _, score in words if score.label]),
        Tier("phone scores", [score for _, score in phones if score.label]),
        *([Tier("status", status)] if any(each.label for each in status) else []),
        *([Tier("insertions", inserted)] if inserted else []),
    ]


def _interval(part: Mapping[str, Any], level: str, row: Row) -> tuple[Interval, Interval]:
    """A word or phone, and the same with its score in place of its name."""
    ends: Mapping[str, tuple[float, float]] = row["scales"].get(level, {})
    main = next(
        (name for name in ("total", "accuracy", *ends) if name in part and name in ends), ""
    )
    share, label = None, ""
    if main and part[main] is not None:
        low, high = ends[main]
        share = (part[main] - low) / (high - low) if high > low else 1.0
        label = f"{part[main]:g}"
    one = Interval(part["start"], part["end"], part[level], share)
    return one, one._replace(label=label)


FORMS = Forms(_COLUMNS, lines, tiers, ctm=("words", "phones"))


def in_ipa(result: Result) -> Result:
    """The same with its phones, and those that were heard, in IPA."""
    return Result.from_dict(_ipa_below(result.as_dict()))


def _ipa_below(value: Any, key: str = "") -> Any:
    if isinstance(value, dict):
        return {name: _ipa_below(inner, name) for name, inner in value.items()}
    if isinstance(value, list):
        return [_ipa_below(inner, key) for inner in value]
    is_phone = key in ("phone", "phones", "heard") and isinstance(value, str)
    return ipa(value) if is_phone else value
