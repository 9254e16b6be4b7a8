"""What corpora of acted emotions share: a label in each file name, one set of all recordings.

Beside a file that a name says nothing of, what is left out is counted; recordings with the same
audio, and with several channels, are named.
"""

from __future__ import annotations

import filecmp
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from speechkit.base import audio
from speechkit.base.audio import SUFFIXES
from speechkit.base.errors import AudioError, UserError
from speechkit.base.log import logger
from speechkit.corpora.common import Corpus, CorpusSet, Item, find_audio, require_folder
from speechkit.kaldi.data import Utterance, same_audio

LABELS = ("emotion", "intensity", "statement")
_NAMED = 5  # files named in a message


@dataclass(frozen=True)
class Recording:
    """What the name of a file says.

    Args:
        speaker: its id.
        labels: emotion, and where the corpus has them intensity and statement.
    """

    speaker: str
    text: str
    labels: Mapping[str, str]


@dataclass(frozen=True)
class ActedCorpus:
    """A corpus whose file names hold the labels.

    Args:
        layout: what a folder of it looks like, for messages.
        pattern: of the names of its files, without the ending; a group for each field.
        fields: what each group says, in order -> its codes -> what they mean. Among them are
            ``speaker`` (an id), ``emotion``, ``statement`` and where it is known ``intensity``.
        texts: statement -> what is said.
        other: kind of a file with such a name that is left out, or empty for one that is taken.
        suffixes: endings of files that are looked at.
    """

    name: str
    command: str
    layout: str
    pattern: re.Pattern[str]
    fields: Mapping[str, Mapping[str, str]]
    texts: Mapping[str, str]
    other: Callable[[Path], str] = field(default=lambda path: "")
    suffixes: Sequence[str] = SUFFIXES

    def parse(self, path: Path) -> Recording:
        """What the name of a recording says.

        Raises:
            UserError: another name, or a code that the corpus does not have.
        """
        match = self.pattern.fullmatch(path.stem)
        if match is None:
            raise UserError(
                f"{path} does not have a name of {self.name}.", f"Expected: {self.layout}"
            )
        said = {}
        for (what, known), code in zip(self.fields.items(), match.groups(), strict=True):
            if code not in known:
                raise UserError(
                    f"{path}: the {what} code '{code}' is not of {self.name}.",
                    f"Accepted: {_range(known)}. Rename or remove the file.",
                )
            said[what] = known[code]
        labels = {name: said[name] for name in LABELS if name in said}
        return Recording(said["speaker"], self.texts[said["statement"]], labels)


def _range(codes: Collection[str]) -> str:
    """``01 to 08`` for numbers without a gap, else all codes."""
    first, last = min(codes), max(codes)
    row = first.isdecimal() and last.isdecimal() and int(last) - int(first) == len(codes) - 1
    return f"{first} to {last}" if row else ", ".join(codes)


def read_acted(
    corpus: ActedCorpus,
    path: Path,
    set_name: str,
    gender: Mapping[str, str],
    age: Mapping[str, str] | None = None,
    metadata: Sequence[Path] = (),
) -> Corpus:
    """Read the recordings of a folder (at any depth) into one set.

    Args:
        gender: speaker -> ``m`` or ``f``; other speakers may be in it too.
        age: speaker -> years, likewise.
        metadata: tables that were read for it.

    Raises:
        UserError: no such recordings, a name with an unknown code, or two files of one name.
    """
    path = require_folder(path, corpus.layout)
    files, left_out = _recordings(corpus, path)
    if not files:
        seen = ", ".join(f"{what}: {count}" for what, count in sorted(left_out.items()))
        raise UserError(
            f"No speech recording of {corpus.name} was found in {path} "
            f"({seen or 'no audio at all'}).",
            f"Expected: {corpus.layout}",
        )
    for what, count in sorted(left_out.items()):
        logger.info(f"{set_name}: left out: {what} ({count}).")
    made = CorpusSet(set_name, [], dict(gender), dict(age or {}))
    for file in files:
        said = corpus.parse(file)
        utterance = f"{said.speaker}-{file.stem}"
        made.items.append(Item(utterance, file, said.speaker, said.text))
        for label, value in said.labels.items():
            made.tables.setdefault(f"utt2{label}", {})[utterance] = value
    made.examine = lambda items, jobs: {"left_out": dict(left_out), **_odd(items, jobs)}
    return Corpus(corpus.command, {"path": str(path)}, [made], list(metadata))


def _recordings(corpus: ActedCorpus, path: Path) -> tuple[list[Path], Counter[str]]:
    """Recordings, one per name, and how many files of which kind are left out."""
    left_out: Counter[str] = Counter()
    chosen: dict[str, Path] = {}
    for file in find_audio(path, corpus.suffixes):
        if corpus.pattern.fullmatch(file.stem) is None:
            left_out[f"files without a name of {corpus.name}"] += 1
        elif what := corpus.other(file):
            left_out[what] += 1
        elif file.stem not in chosen:
            chosen[file.stem] = file
        elif filecmp.cmp(chosen[file.stem], file, shallow=False):
            left_out["second copies of a file"] += 1
        else:
            raise UserError(
                f"{chosen[file.stem]} and {file} have one name, but are not the same.",
                "Remove one of them.",
            )
    return list(chosen.values()), left_out


def _odd(items: Sequence[Item], jobs: int) -> dict[str, list[str]]:
    """Recordings with the same audio or several channels, said and noted."""
    utterances = [Utterance(i.utterance, str(i.audio), i.speaker) for i in items]
    same = [" = ".join(ids) for ids in same_audio(utterances, jobs, "compare audio")]
    if same:
        logger.warning(
            f"Recordings with the same audio ({len(same)}): {_listed(same)}. A split that does "
            "not part speakers may train and test on it."
        )
    stereo = [item.utterance for item in _stereo(items)]
    if stereo:
        logger.warning(
            f"Recordings with several channels ({len(stereo)}), which are averaged: "
            f"{_listed(stereo)}"
        )
    return {"identical_audio": same, "several_channels": stereo}


def _stereo(items: Sequence[Item]) -> Iterator[Item]:
    for item in items:
        try:
            if audio.info(item.audio).channels > 1:
                yield item
        except AudioError:  # named when the set is written
            continue


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED]) + (" ..." if len(names) > _NAMED else "")
