"""``speechkit prepare CORPUS``: one command a corpus."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from speechkit.base.config import Flag
from speechkit.cli.flags import command
from speechkit.cli.options import (
    DATA,
    MISSING,
    Dir,
    Force,
    Group,
    Jobs,
    Json,
    OnError,
    Option,
    Seed,
)

if TYPE_CHECKING:
    from speechkit.corpora.common import Corpus
    from speechkit.corpora.write import SetSummary

app = typer.Typer(
    no_args_is_help=True,
    help="Make sets (data/SET/) of a published corpus, or of your own data.",
)
Published = Annotated[
    Path, Option(MISSING, metavar="PATH", help="The corpus as published.", show_default=False)
]
Gender = Annotated[
    Optional[Path],  # noqa: UP045 - Typer evaluates this at run time
    Option(None, "--gender", panel=DATA, help="Table 'speaker<TAB>m|f'.", show_default="none"),
]


class Writing(Group):
    """How sets are written."""

    on_error: OnError
    jobs: Jobs
    force: Force


def _write(corpus: Corpus, directory: Dir, writing: Writing, as_json: bool) -> None:
    """Write the sets of a corpus, and show them."""
    from speechkit.corpora.write import write_corpus

    _show(write_corpus(directory, corpus, **vars(writing)), directory, as_json)


def _show(summaries: list[SetSummary], directory: Dir, as_json: bool) -> None:
    from speechkit.cli.output import print_table
    from speechkit.corpora.write import COLUMNS

    rows = [[getattr(one, column) for column in COLUMNS] for one in summaries]
    print_table(f"Sets in {directory.root / 'data'}", COLUMNS, rows, as_json)


def _show_mixtures(rows: list[dict[str, Any]], directory: Dir, as_json: bool) -> None:
    from speechkit.cli.output import print_table
    from speechkit.corpora.mixture_sets import COLUMNS

    values = [[row[column] for column in COLUMNS] for row in rows]
    print_table(f"Sets of mixtures in {directory.root / 'data'}", COLUMNS, values, as_json)


@dataclass(frozen=True)
class FolderFlags:
    """What is known of own recordings.

    Data:
        set_name: Name of the set, where there is no `split`.
        split: Sets with different speakers, as shares: train=0.8,dev=0.1,test=0.1.
        scores: Scores of pronunciation: a folder of tables, one table, or a scores.json.
        scales: Lowest and highest scores: a JSON file, or utterance=0:10,word=0:10,phone=0:2.
        raters: Scores by rater: utt, rater, total ...; without `scores` their means count.
        labels: Emotions: a table 'utt<TAB>emotion' or 'path<TAB>emotion'.
        case: Emotions that differ in case only: stop, write all in lower case, or keep them.
    """

    set_name: Annotated[str, Flag("set")] = "train"
    split: Annotated[str, Flag(shown="one set")] = ""
    scores: Annotated[Path | None, Flag(shown="none", metavar="PATH")] = None
    scales: Annotated[
        str, Flag("score-scales", shown="those of speechocean762", metavar="SCALES")
    ] = ""
    raters: Annotated[Path | None, Flag(shown="none", metavar="TSV")] = None
    labels: Annotated[Path | None, Flag(shown="none", metavar="TSV")] = None
    case: Annotated[str, Flag("label-case")] = "stop"


OwnData = Annotated[
    Path,
    Option(
        MISSING,
        metavar="PATH",
        show_default=False,
        help="Folder with a subfolder per speaker, or table 'path<TAB>speaker[<TAB>text]'.",
    ),
]


@command(app, "folder")
def folder(
    path: OwnData,
    flags: FolderFlags,
    gender: Gender,
    seed: Seed,
    writing: Writing,
    directory: Dir,
    as_json: Json,
) -> None:
    """Your own data: audio in one subfolder per speaker, or listed in a table."""
    from speechkit.corpora.folder.corpus import read_corpus

    own = flags
    labels = (own.scores, own.scales, own.labels, own.raters, own.case)
    corpus = read_corpus(path, own.set_name, own.split, seed, gender, *labels)
    _write(corpus, directory, writing, as_json)


@command(app, "demo")
def demo(
    utterances: Annotated[
        int, Option(300, "--utterances", panel=DATA, help="Utterances in all three sets.")
    ],
    speakers: Annotated[
        int, Option(24, "--speakers", panel=DATA, help="Speakers in all three sets.")
    ],
    seed: Seed,
    directory: Dir,
    jobs: Jobs,
    force: Force,
    as_json: Json,
) -> None:
    """Generated English speech: sets train, dev and test with different speakers.

    It is made by espeak-ng on the spot, the same for the same --seed, to try speechkit
    out. It is not speech of people: results on it mean nothing.
    """
    from speechkit.corpora.demo import prepare

    summaries = prepare(
        directory, utterances=utterances, speakers=speakers, seed=seed, jobs=jobs, force=force
    )
    _show(summaries, directory, as_json)


@command(app, "librispeech")
def librispeech(
    path: Published,
    to: Annotated[
        Optional[list[str]],  # noqa: UP045 - Typer evaluates this at run time
        Option(
            None,
            "--to",
            panel=DATA,
            metavar="SET=SUBSET[,SUBSET]",
            help="A set and what it is made of; may be given again.",
            show_default="every subset found is a set",
        ),
    ],
    writing: Writing,
    directory: Dir,
    as_json: Json,
) -> None:
    """LibriSpeech or LibriTTS: SUBSET/SPEAKER/CHAPTER/*.flac, and SPEAKERS.TXT."""
    from speechkit.corpora.librispeech import read_corpus

    _write(read_corpus(path, to or ()), directory, writing, as_json)


@command(app, "wsj0")
def wsj0(path: Published, gender: Gender, writing: Writing, directory: Dir, as_json: Json) -> None:
    """WSJ0: si_tr_s, si_dt_05 and si_et_05 become the sets train, dev and test.

    Files that end in .wv1 are converted to WAV inside the set.
    """
    from speechkit.corpora.wsj0 import read_corpus

    _write(read_corpus(path, gender), directory, writing, as_json)


@dataclass(frozen=True)
class Wsj0MixFlags:
    """How the sets of WSJ0-2mix are called, and who speaks.

    Data:
        prefix: Sets are called PREFIX_FOLDER.
        speaker_pattern: Regular expression with a group per source: speakers in a file name.
        gender: Table 'speaker<TAB>m|f', or spkrinfo.txt of WSJ0.
    """

    prefix: Annotated[str, Flag(shown="wsj0_2mix or wsj0_3mix")] = ""
    speaker_pattern: Annotated[str, Flag(shown="names of WSJ0")] = ""
    gender: Annotated[Path | None, Flag(shown="none")] = None


@command(app, "wsj0-2mix")
def wsj0_2mix(
    path: Published, flags: Wsj0MixFlags, writing: Writing, directory: Dir, as_json: Json
) -> None:
    """WSJ0-2mix or WSJ0-3mix as generated: tr, cv and tt become sets of mixtures.

    Reads every folder at or below PATH that holds mix/, s1/ and s2/.
    """
    from speechkit.corpora.wsj0 import prepare_mixtures

    rows = prepare_mixtures(
        directory,
        path,
        prefix=flags.prefix,
        speaker_pattern=flags.speaker_pattern,
        gender_file=flags.gender,
        **vars(writing),
    )
    _show_mixtures(rows, directory, as_json)


@dataclass(frozen=True)
class LibriMixFlags:
    """What LibriMix is mixed of, and how.

    Data:
        librispeech_path: LibriSpeech as published.
        rate: Sample rate of the mixtures in Hz.
        mode: min: cut to the shortest source; max: as long as the longest.
    """

    librispeech_path: Annotated[Path, Flag("librispeech", shown=False)]
    rate: int = 8000
    mode: str = "min"


@command(app, "librimix")
def librimix(
    tables: Annotated[
        list[Path],
        Option(
            MISSING,
            metavar="METADATA.csv...",
            help="Tables of LibriMix, such as libri2mix_dev-clean.csv; each becomes a set.",
            show_default=False,
        ),
    ],
    flags: LibriMixFlags,
    writing: Writing,
    directory: Dir,
    as_json: Json,
) -> None:
    """LibriMix from its metadata tables and the original LibriSpeech, without noise.

    Audio is mixed when it is read: no generated mixtures are needed.
    """
    from speechkit.corpora.librimix import prepare

    how = {"rate": flags.rate, "mode": flags.mode, **vars(writing)}
    rows = prepare(directory, tables, flags.librispeech_path, **how)
    _show_mixtures(rows, directory, as_json)


@dataclass(frozen=True)
class SpeechoceanFlags:
    """Which sets speechocean762 becomes.

    Data:
        scores: auto: if scores.json is there; require: always; none: without.
        dev_share: Share of the training speakers in the set dev; 0: no dev.
    """

    scores: str = "auto"
    dev_share: float = 0.2


@command(app, "speechocean762")
def speechocean762(
    path: Published,
    flags: SpeechoceanFlags,
    seed: Seed,
    writing: Writing,
    directory: Dir,
    as_json: Json,
) -> None:
    """speechocean762: scored English of Mandarin speakers, sets train and test.

    The training speakers are also divided into the sets train_nodev and dev, to choose
    settings without the test set.
    """
    from speechkit.corpora.speechocean762 import read_corpus

    corpus = read_corpus(path, flags.scores, flags.dev_share, seed)
    _write(corpus, directory, writing, as_json)


@command(app, "ravdess")
def ravdess(
    path: Published,
    set_name: Annotated[str, Option("ravdess", "--set", panel=DATA, help="Name of the set.")],
    writing: Writing,
    directory: Dir,
    as_json: Json,
) -> None:
    """RAVDESS: acted emotions; its speech recordings become one labelled set.

    Divide it for training and testing with `speechkit split-folds`.
    """
    from speechkit.corpora.ravdess import read_corpus

    _write(read_corpus(path, set_name), directory, writing, as_json)
