"""Who speaks, where a corpus does not say: by a pattern in paths, or each recording for itself."""

from __future__ import annotations

import re
from pathlib import Path

from speechkit.base.errors import ConfigError, UserError
from speechkit.base.log import counted, logger
from speechkit.corpora.common import Names, utterance_id

FIELD = "speaker_pattern"


def compiled(pattern: str) -> re.Pattern[str] | None:
    """A pattern of speakers; None for an empty one, ConfigError for one that is none."""
    try:
        return re.compile(pattern) if pattern else None
    except re.error as error:
        raise ConfigError(FIELD, f"'{pattern}' is not a pattern: {error}.") from None


class Speakers:
    """Speakers and utterance ids of recordings.

    Args:
        pattern: regular expression whose group is the speaker in a path; empty: unknown.
        names: makes ids of names.

    Raises:
        ConfigError: it is no regular expression with one group.
    """

    def __init__(self, pattern: str, names: Names) -> None:
        self._pattern = compiled(pattern)
        if self._pattern is not None and self._pattern.groups != 1:
            raise ConfigError(
                FIELD,
                f"'{pattern}' has {counted(self._pattern.groups, 'group')}.",
                "Put the speaker, and nothing else, in brackets: 'Actor_([0-9]+)'.",
            )
        self._names, self._unknown = names, 0

    def place(self, path: Path, given: str = "", utterance: str = "") -> tuple[str, str]:
        """Utterance id and speaker of a recording.

        Args:
            path: of the recording, from the folder of the corpus on; of an absolute one the folders
                are no part of the id.
            given: the speaker as the corpus names it; empty where it does not.
            utterance: its id as the corpus names it; empty where it does not.

        Raises:
            UserError: the pattern finds no speaker in the path.
        """
        inside = (path.stem,) if path.is_absolute() else path.with_suffix("").parts
        parts = [self._names.clean(part) for part in inside if part != ".."]
        speaker = self._names.clean(given or self._find(path))
        own = self._names.clean(utterance)
        if not speaker:
            self._unknown += 1
            own = own or "-".join(parts)
            return own, own
        if len(parts) > 1:  # also where the file's name begins with the speaker: its folder counts
            return own or "-".join((speaker, *parts)), speaker
        return own or utterance_id(speaker, *parts), speaker

    def _find(self, path: Path) -> str:
        if self._pattern is None:
            return ""
        found = self._pattern.search(path.as_posix())
        if found is None or not found[1]:
            raise UserError(
                f"`{FIELD}` '{self._pattern.pattern}' finds no speaker in '{path.as_posix()}'.",
                "Give one that fits the paths of all recordings.",
            )
        return found[1]

    def report(self) -> None:
        """Say of how many recordings the speaker is not known."""
        if self._unknown:
            logger.warning(
                f"Who speaks is not known of {counted(self._unknown, 'recording')}: each counts "
                "as a speaker of its own, so a split by speakers does not keep people apart. "
                f"Where paths tell, give `{FIELD}`, as 'Actor_([0-9]+)'."
            )
