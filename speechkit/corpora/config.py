"""What is said of a corpus that is prepared; the flags of ``speechkit prepare``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from speechkit.base.config import Flag, OneOf, Seed, Share, check_fields
from speechkit.base.errors import ConfigError, require_choice
from speechkit.labels.config import CASE_FIELD, CASE_MODES, STOP

SPEAKER, CLASS = "speaker", "class"  # what the subfolders of a folder are
SetName = Annotated[str, Flag("set")]
GenderFile = Annotated[Path | None, Flag("gender", shown="none")]


@dataclass(frozen=True)
class ValidationConfig:
    """List every problem of the sets in data/, with file, line and remedy.

    Checks all sets unless `set` names some. Exit code 2 if there are errors, 0 if there
    are none or only warnings.

    Data:
        sets: Set to check: a folder of data/; may be given again.
        fix: Mend what can be mended; originals go to .backup/.
        label_case: With `fix`, emotions that differ in case only: stop (leave them), lower or
            keep.
        with_audio: Read the header of every audio file.
        decode: Read every sample too: finds NaN and cut FLAC.
        limit: Number of problems shown for each kind and file; 0: all.
    """

    sets: Annotated[tuple[str, ...], Flag("set", several=True)] = ()
    fix: Annotated[bool, Flag("fix")] = False
    label_case: Annotated[str, OneOf(*CASE_MODES)] = STOP
    with_audio: Annotated[bool, Flag("audio/no-audio")] = True
    decode: Annotated[bool, Flag("decode")] = False
    limit: Annotated[int, Flag(least=0)] = 3

    def __post_init__(self) -> None:
        check_fields(self)
        if self.label_case != STOP and not self.fix:
            raise ConfigError(CASE_FIELD, f"{self.label_case} changes sets.", "Give `fix` with it.")


@dataclass(frozen=True)
class FolderConfig:
    """Your own data: folders of audio, tables, datasets of Hugging Face, lhotse manifests.

    Data:
        set_name: Name of the set, where there is no `split`.
        split: Sets with different speakers, as shares: train=0.8,dev=0.1,test=0.1.
        gender_file: Table 'speaker<TAB>m|f'.
        scores: Scores of pronunciation: a folder of tables, one table, or a scores.json.
        scales: Lowest and highest scores: a JSON file, or utterance=0:10,word=0:10,phone=0:2.
        raters: Scores by rater: utt, rater, total ...; without `scores` their means count.
        labels: Emotions: a table 'utt<TAB>emotion' or 'path<TAB>emotion'.
        case: Emotions that differ in case only: stop, write all in lower case, or keep them.
        layout: What subfolders are: speaker, or class (of emotion).
        speaker_pattern: Regular expression with a group: the speaker in a path, where unknown.
    Training:
        seed: Seed of every random draw.
    """

    set_name: SetName = "train"
    split: Annotated[str, Flag(shown="one set")] = ""
    gender_file: GenderFile = None
    scores: Annotated[Path | None, Flag(shown="none", metavar="PATH")] = None
    scales: Annotated[
        str, Flag("score-scales", shown="those of speechocean762", metavar="SCALES")
    ] = ""
    raters: Annotated[Path | None, Flag(shown="none", metavar="TSV")] = None
    labels: Annotated[Path | None, Flag(shown="none", metavar="TSV")] = None
    case: Annotated[str, Flag("label-case"), OneOf(*CASE_MODES)] = STOP
    layout: Annotated[str, Flag(shown="speaker", metavar="speaker|class")] = ""
    speaker_pattern: Annotated[str, Flag(shown="none", metavar="REGEX")] = ""
    seed: Seed = 0

    def __post_init__(self) -> None:
        check_fields(self)
        if self.layout:
            require_choice("layout", self.layout, (SPEAKER, CLASS))
        if self.layout == CLASS and self.labels is not None:
            raise ConfigError(
                "layout", "class takes emotions from the folders.", "Leave `labels` out."
            )


@dataclass(frozen=True)
class SpeechoceanConfig:
    """speechocean762: scored English of Mandarin speakers, sets train and test.

    The training speakers are also divided into the sets train_nodev and dev, to choose
    settings without the test set.

    Data:
        scores: auto: if scores.json is there; require: always; none: without.
        dev_share: Share of the training speakers in the set dev; 0: no dev.
    Training:
        seed: Seed of every random draw.
    """

    scores: Annotated[str, OneOf("auto", "require", "none")] = "auto"
    dev_share: Share = 0.2
    seed: Seed = 0

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True)
class Wsj0Config:
    """WSJ0: si_tr_s, si_dt_05 and si_et_05 become the sets train, dev and test.

    Files that end in .wv1 are converted to WAV inside the set.

    Data:
        gender_file: Table 'speaker<TAB>m|f'.
    """

    gender_file: GenderFile = None


@dataclass(frozen=True)
class Wsj0MixConfig:
    """WSJ0-2mix or WSJ0-3mix as generated: tr, cv and tt become sets of mixtures.

    Reads every folder at or below PATH that holds mix/, s1/ and s2/.

    Data:
        prefix: Sets are called PREFIX_FOLDER.
        speaker_pattern: Regular expression with a group per source: speakers in a file name.
        gender_file: Table 'speaker<TAB>m|f', or spkrinfo.txt of WSJ0.
    """

    prefix: Annotated[str, Flag(shown="wsj0_2mix or wsj0_3mix")] = ""
    speaker_pattern: Annotated[str, Flag(shown="names of WSJ0")] = ""
    gender_file: GenderFile = None


@dataclass(frozen=True)
class LibriMixConfig:
    """LibriMix from its metadata tables and the original LibriSpeech, without noise.

    Audio is mixed when it is read: no generated mixtures are needed.

    Data:
        librispeech: LibriSpeech as published.
        rate: Sample rate of the mixtures in Hz.
        mode: min: cut to the shortest source; max: as long as the longest.
    """

    librispeech: Annotated[Path, Flag(shown=False)]
    rate: Annotated[int, Meta(ge=1000, le=192_000)] = 8000
    mode: Annotated[str, OneOf("min", "max")] = "min"

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True)
class LibriSpeechConfig:
    """LibriSpeech or LibriTTS: SUBSET/SPEAKER/CHAPTER/*.flac, and SPEAKERS.TXT.

    Data:
        to: A set and what it is made of; may be given again. Without any each subset becomes a
            set of its name (train-clean-100: train_clean_100).
    """

    to: Annotated[
        tuple[str, ...],
        Flag(several=True, metavar="SET=SUBSET[,SUBSET]", shown="every subset found is a set"),
    ] = ()


@dataclass(frozen=True)
class ActedConfig:
    """How the set of a corpus of acted emotions is called.

    Data:
        set_name: Name of the set.
    """

    set_name: SetName


@dataclass(frozen=True)
class RavdessConfig(ActedConfig):
    """RAVDESS: acted emotions; its speech recordings become one labelled set.

    Divide it for training and testing with `speechkit split-folds`.
    """

    set_name: SetName = "ravdess"


@dataclass(frozen=True)
class CremaDConfig(ActedConfig):
    """CREMA-D: acted emotions of 91 actors; its recordings become one labelled set.

    Divide it for training and testing with `speechkit split-folds`.
    """

    set_name: SetName = "crema_d"


@dataclass(frozen=True)
class EmoDBConfig(ActedConfig):
    """EmoDB: acted German emotions of ten speakers; they become one labelled set.

    Divide it for training and testing with `speechkit split-folds`.
    """

    set_name: SetName = "emodb"


@dataclass(frozen=True)
class DemoConfig:
    """Generated English speech: sets train, dev and test with different speakers.

    It is made by espeak-ng on the spot, the same for the same `seed`, to try speechkit
    out. It is not speech of people: results on it mean nothing.

    Data:
        utterances: Utterances in all three sets.
        speakers: Speakers in all three sets.
    Training:
        seed: Seed of every random draw.
    """

    utterances: int = 300
    speakers: int = 24
    seed: Seed = 0
