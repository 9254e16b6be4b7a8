"""What every corpus shares: its description in memory, ids, the search for audio, division."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from speechkit.base.audio import SUFFIXES
from speechkit.base.errors import ConfigError, UserError
from speechkit.base.log import counted, logger
from speechkit.base.tables import read_rows
from speechkit.base.text import composed, is_header, on_disk, spelled
from speechkit.kaldi.segments import Segment
from speechkit.labels.scores import RaterScores, Scores

GENDERS = {"m": "m", "male": "m", "f": "f", "female": "f"}
_SPLIT = "Example: `split` train=0.8,dev=0.1,test=0.1"
_NOT_IN_IDS = re.compile(r"[\s/]+")


@dataclass(frozen=True)
class Item:
    """One utterance of a corpus.

    Args:
        audio: its file, or the file that its audio is made of.
        text: transcript, or empty where there is none.
        make: writes its audio into the set, to the path that it is given, which it returns.
        ending: of the name of what is made.
        segment: the part of a recording that it is; None for a whole one, of its own id.
    """

    utterance: str
    audio: Path
    speaker: str
    text: str = ""
    make: Callable[[Path], Path] | None = None
    ending: str = ".wav"
    segment: Segment | None = None

    @property
    def recording(self) -> str:
        """The key of its audio in ``wav.scp``."""
        return self.utterance if self.segment is None else self.segment.recording


@dataclass
class CorpusSet:
    """One set to be written.

    Args:
        name: the folder under ``data/``.
        items: its utterances, in any order.
        gender: speaker -> ``m`` or ``f``; other speakers of the corpus may be in it too.
        age: speaker -> years.
        transcripts: further files that were read for it, too many for a manifest.
        scores: scores of pronunciation; other utterances may be in them too.
        raters: what each rater gave; other utterances may be in it too.
        tables: further Kaldi tables by file name, utterance -> value; others may be in them too.
        files: further files by name: their content.
        examine: (utterances, processes) -> what the manifest notes of them; called when the
            set is written.
        params: what determines this set, beside the parameters of the whole corpus.
        unread: recordings in formats that are not read; they are named and counted.
    """

    name: str
    items: list[Item]
    gender: dict[str, str] = field(default_factory=dict)
    age: dict[str, str] = field(default_factory=dict)
    transcripts: list[Path] = field(default_factory=list)
    scores: Scores | None = None
    raters: RaterScores = field(default_factory=dict)
    tables: dict[str, dict[str, str]] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    examine: Callable[[Sequence[Item], int], dict[str, Any]] | None = None
    params: dict[str, Any] = field(default_factory=dict)
    unread: list[Item] = field(default_factory=list)


@dataclass
class Corpus:
    """A corpus that was read.

    Args:
        command: what the manifest calls the stage.
        params: what determines the sets, beside the files.
        metadata: tables and transcripts that were read: their content decides what is up to date.
    """

    command: str
    params: dict[str, Any]
    sets: list[CorpusSet]
    metadata: list[Path] = field(default_factory=list)


def full_path(path: Path) -> Path:
    """Absolute path without ``..`` or ``~``, symbolic links kept, as the disk spells it."""
    return on_disk(Path(os.path.abspath(path.expanduser())))  # noqa: PTH100 - resolve() follows links


def require_folder(path: Path, layout: str) -> Path:
    """The absolute path of a corpus folder.

    Args:
        layout: what the folder should hold, for the message.

    Raises:
        UserError: it does not exist, is a file, is empty, or may not be read.
    """
    path = full_path(path)
    if not path.exists():
        raise UserError(f"{path} does not exist.", f"Expected: {layout}")
    if not path.is_dir():
        raise UserError(f"{path} is a file, not a folder.", f"Expected: {layout}")
    try:
        empty = next(path.iterdir(), None) is None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error
    if empty:
        raise UserError(f"{path} is an empty folder.", f"Expected: {layout}")
    return path


def find_audio(folder: Path, suffixes: Sequence[str] = SUFFIXES) -> list[Path]:
    """Audio files below a folder, sorted; links to folders are followed once.

    Hidden names are left out (among them the ``._x.wav`` shadows that macOS leaves on disks).

    Raises:
        UserError: a folder may not be read.
    """

    def refuse(error: OSError) -> None:
        raise UserError(f"{error.filename} cannot be read: {error.strerror}.")

    found: list[Path] = []
    seen: set[str] = set()
    for here, folders, names in os.walk(folder, onerror=refuse, followlinks=True):
        real = os.path.realpath(here)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if not name.startswith(".") and Path(name).suffix.lower() in suffixes:
                found.append(Path(here) / name)
    return sorted(found)


def subfolders(folder: Path) -> list[Path]:
    """Folders directly in a folder, sorted, without hidden ones."""
    try:
        return sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    except OSError as error:
        raise UserError(f"{folder} cannot be read: {error.strerror}.") from error


def utterance_id(speaker: str, *parts: str) -> str:
    """``<speaker>-<part>-<part>``; a last part that begins with ``<speaker>-`` is an id itself.

    Kaldi wants utterances sorted by id to be sorted by speaker too; the speaker in front of
    the id and a separator that sorts before letters and digits see to that.
    """
    if parts[-1].startswith(f"{speaker}-"):
        return parts[-1]
    return "-".join((speaker, *parts))


class Names:
    """Makes ids of names, in the composed form.

    Spaces and slashes become ``_``, which is said at the end.
    """

    def __init__(self) -> None:
        self._changed: dict[str, str] = {}

    def clean(self, name: str) -> str:
        """``name`` as it can stand in an id."""
        name = composed(name)
        cleaned = _NOT_IN_IDS.sub("_", name.strip())
        if cleaned != name:
            self._changed[name] = cleaned
        return cleaned

    def speakers(self, names: Iterable[str]) -> dict[str, str]:
        """Name -> speaker id; a name in two forms is one speaker, which is said.

        Raises:
            UserError: two names become one id.
        """
        ids: dict[str, str] = {}
        owner: dict[str, str] = {}
        for name in names:
            cleaned = self.clean(name)
            before = owner.setdefault(cleaned, name)
            if before != name and composed(before) == composed(name):
                logger.warning(f"'{spelled(before)}' and '{spelled(name)}' are one speaker.")
            elif before != name:
                raise UserError(
                    f"The speakers '{owner[cleaned]}' and '{name}' would both be '{cleaned}' "
                    "(ids cannot hold spaces or slashes).",
                    "Rename one of them.",
                )
            ids[name] = cleaned
        return ids

    def report(self) -> None:
        """Say which names were changed."""
        if self._changed:
            old, new = next(iter(self._changed.items()))
            logger.warning(
                f"Ids cannot hold spaces or slashes: {len(self._changed)} names are written "
                f"with '_' instead ('{old}' is '{new}')."
            )


def parse_gender(value: str, where: str) -> str:
    """``m`` or ``f`` from m, f, male, female in any case; UserError that names ``where``."""
    gender = GENDERS.get(value.strip().lower())
    if gender is None:
        raise UserError(f"{where}: the gender '{value}' is not known.", "Accepted: m, f.")
    return gender


def read_gender(path: Path) -> dict[str, str]:
    """Speaker name -> ``m`` or ``f`` from a table ``speaker<TAB>m|f`` (header line optional).

    Raises:
        UserError: unreadable, a line of another form, a speaker with two genders.
    """
    found: dict[str, str] = {}
    rows = read_rows(path)
    for place, (number, cells) in enumerate(rows.rows):
        fields = [composed(value) for value in cells]
        if place == 0 and is_header(fields, ("speaker", "gender")):
            continue
        if len(fields) != 2:
            raise rows.misfit(number, cells, ("speaker", "m|f"))
        gender = parse_gender(fields[1], f"{path}:{number}")
        if found.setdefault(fields[0], gender) != gender:
            raise UserError(f"{path}:{number}: '{fields[0]}' has two genders.")
    return found


def parse_split(text: str) -> dict[str, float]:
    """``train=0.8,dev=0.2`` -> shares that sum to one; UserError for anything else."""
    shares: dict[str, float] = {}
    for part in text.split(","):
        name, _, share = (value.strip() for value in part.partition("="))
        try:
            shares[name] = float(share) if name and name not in shares else -1.0
        except ValueError:
            shares[name] = -1.0
        if not 0 < shares[name] <= 1:
            problem = f"'{text}': '{part.strip()}' is not NAME=SHARE, or comes twice."
            raise ConfigError("split", problem, _SPLIT)
    if abs(sum(shares.values()) - 1) > 1e-6:
        problem = f"'{text}': the shares sum to {sum(shares.values()):g}, not to 1."
        raise ConfigError("split", problem, _SPLIT)
    return shares


def split_speakers(
    whole: CorpusSet,
    shares: Mapping[str, float],
    seed: int,
    group: Callable[[str], str] | None = None,
    label: str = "`split`",
) -> list[CorpusSet]:
    """Divide a set by speaker, with about the same genders (or other groups) in every part.

    Speakers of a group follow each other in the order of a hash of seed and name; each goes
    to the part that lacks most of its share so far. Of shares 0.8 and 0.2 the first two speakers
    go to the first part, the third to the second: it lacks 0.6 speakers, the first part 0.4.

    Args:
        shares: part -> its share of the speakers; they sum to one.
        group: speaker -> its group; by default its gender.
        label: how messages call the share.

    Raises:
        UserError: too few speakers for a part to get one.
    """
    if len(shares) == 1:
        whole.name = next(iter(shares))
        return [whole]
    group = group or (lambda name: whole.gender.get(name, ""))
    part_of: dict[str, str] = {}
    count = dict.fromkeys(shares, 0)
    known = {item.speaker for item in whole.items}
    order = sorted(known, key=lambda n: hashlib.sha256(f"{seed}:{n}".encode()).digest())
    for speaker in sorted(order, key=group):
        due = len(part_of) + 1
        part_of[speaker] = max(shares, key=lambda name: shares[name] * due - count[name])
        count[part_of[speaker]] += 1
    for name, speakers in count.items():
        if not speakers:
            raise UserError(
                f"{label}: {counted(len(part_of), 'speaker is', 'speakers are')} too few for a "
                f"share of {shares[name]:g}; '{name}' would have none.",
                "Give it a larger share, or use fewer sets.",
            )
    first = next(iter(shares))  # also of speakers of whom nothing can be read
    return [
        replace(
            whole,
            name=name,
            items=[i for i in whole.items if part_of[i.speaker] == name],
            unread=[i for i in whole.unread if part_of.get(i.speaker, first) == name],
        )
        for name in shares
    ]
