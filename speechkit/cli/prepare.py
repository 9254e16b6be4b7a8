"""``speechkit prepare CORPUS``: one command per corpus."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from speechkit.cli import options
from speechkit.cli.prepare_folder import folder
from speechkit.cli.prepare_sets import Corpora, Gender, show, write

app = typer.Typer(
    no_args_is_help=True, help="Make sets (data/SET/) of a corpus as published, or of own data."
)
app.command("folder")(folder)


def _show_mixtures(rows: list[dict[str, Any]], directory: Path, as_json: bool) -> None:
    from speechkit.cli.output import print_table
    from speechkit.corpora.mixture_sets import COLUMNS

    values = [[row[column] for column in COLUMNS] for row in rows]
    print_table(f"Sets of mixtures in {directory / 'data'}", COLUMNS, values, as_json)


@app.command("demo")
def demo(
    utterances: Annotated[int, typer.Option(help="Utterances in all three sets.")] = 300,
    speakers: Annotated[int, typer.Option(help="Speakers in all three sets.")] = 24,
    seed: options.Seed = 0,
    directory: options.Dir = Path(),
    jobs: options.Jobs = 0,
    force: options.Force = False,
    as_json: options.Json = False,
    config: options.Config = None,
) -> None:
    """Generated English speech: sets train, dev and test with different speakers.

    It is made by espeak-ng on the spot, the same for the same --seed, to try speechkit
    out. It is not speech of people: results on it mean nothing.
    """
    from speechkit.corpora import demo
    from speechkit.workdir import WorkDir

    summaries = demo.prepare(
        WorkDir(directory),
        utterances=utterances,
        speakers=speakers,
        seed=seed,
        jobs=options.resolve_jobs(jobs),
        force=force,
    )
    show(summaries, directory, as_json)


@app.command("librispeech")
def librispeech(
    path: Corpora,
    to: Annotated[
        Optional[list[str]],  # noqa: UP045 - Typer evaluates this at run time
        typer.Option(
            "--to",
            metavar="SET=SUBSET[,SUBSET]",
            help="A set and what it is made of; may be given again.",
            show_default="every subset found is a set",
        ),
    ] = None,
    on_error: options.OnError = "stop",
    directory: options.Dir = Path(),
    jobs: options.Jobs = 0,
    force: options.Force = False,
    as_json: options.Json = False,
    config: options.Config = None,
) -> None:
    """LibriSpeech or LibriTTS: SUBSET/SPEAKER/CHAPTER/*.flac, and SPEAKERS.TXT."""
    from speechkit.corpora.librispeech import read_corpus

    write(read_corpus(path, to or ()), directory, on_error, jobs, force, as_json)


@app.command("wsj0")
def wsj0(
    path: Corpora,
    gender: Gender = None,
    on_error: options.OnError = "stop",
    directory: options.Dir = Path(),
    jobs: options.Jobs = 0,
    force: options.Force = False,
    as_json: options.Json = False,
    config: options.Config = None,
) -> None:
    """WSJ0: si_tr_s, si_dt_05 and si_et_05 become the sets train, dev and test.

    Files that end in .wv1 are converted to WAV inside the set.
    """
    from speechkit.corpora.wsj0 import read_corpus

    write(read_corpus(path, gender), directory, on_error, jobs, force, as_json)


@app.command("wsj0-2mix")
def wsj0_2mix(
    path: Corpora,
    prefix: Annotated[
        str,
        typer.Option(help="Sets are called PREFIX_FOLDER.", show_default="wsj0_2mix or wsj0_3mix"),
    ] = "",
    speaker_pattern: Annotated[
        str,
        typer.Option(
            help="Regular expression with a group per source: speakers in a file name.",
            show_default="names of WSJ0",
        ),
    ] = "",
    gender: Annotated[
        Optional[Path],  # noqa: UP045 - Typer evaluates this at run time
        typer.Option(
            "--gender",
            help="Table 'speaker<TAB>m|f', or spkrinfo.txt of WSJ0.",
            show_default="none",
        ),
    ] = None,
    on_error: options.OnError = "stop",
    directory: options.Dir = Path(),
    jobs: options.Jobs = 0,
    force: options.Force = False,
    as_json: options.Json = False,
    config: options.Config = None,
) -> None:
    """WSJ0-2mix or WSJ0-3mix as generated: tr, cv and tt become sets of mixtures.

    Reads every folder at or below PATH that holds mix/, s1/ and s2/.
    """
    from speechkit.corpora.wsj0 import prepare_mixtures
    from speechkit.workdir import WorkDir

    rows = prepare_mixtures(
        WorkDir(directory),
        path,
        prefix=prefix,
        speaker_pattern=speaker_pattern,
        gender_file=gender,
        on_error=on_error,
        jobs=options.resolve_jobs(jobs),
        force=force,
    )
    _show_mixtures(rows, directory, as_json)


@app.command("librimix")
def librimix(
    tables: Annotated[
        list[Path],
        typer.Argument(
            metavar="METADATA.csv...",
            help="Tables of LibriMix, such as libri2mix_dev-clean.csv; each becomes a set.",
            show_default=False,
        ),
    ],
    librispeech_path: Annotated[
        Path,
        typer.Option("--librispeech", help="LibriSpeech as published.", show_default=False),
    ],
    rate: Annotated[int, typer.Option(help="Sample rate of the mixtures in Hz.")] = 8000,
    mode: Annotated[
        str, typer.Option(help="min: cut to the shortest source; max: as long as the longest.")
    ] = "min",
    on_error: options.OnError = "stop",
    directory: options.Dir = Path(),
    jobs: options.Jobs = 0,
    force: options.Force = False,
    as_json: options.Json = False,
    config: options.Config = None,
) -> None:
    """LibriMix from its metadata tables and the original LibriSpeech, without noise.

    Audio is mixed when it is read: no generated mixtures are needed.
    """
    from speechkit.corpora import librimix
    from speechkit.workdir import WorkDir

    rows = librimix.prepare(
        WorkDir(directory),
        tables,
        librispeech_path,
        rate=rate,
        mode=mode,
        on_error=on_error,
        jobs=options.resolve_jobs(jobs),
        force=force,
    )
    _show_mixtures(rows, directory, as_json)


@app.command("speechocean762")
def speechocean762(
    path: Corpora,
    scores: Annotated[
        str, typer.Option(help="auto: if scores.json is there; require: always; none: without.")
    ] = "auto",
    dev_share: Annotated[
        float, typer.Option(help="Share of the training speakers in the set dev; 0: no dev.")
    ] = 0.2,
    seed: options.Seed = 0,
    on_error: options.OnError = "stop",
    directory: options.Dir = Path(),
    jobs: options.Jobs = 0,
    force: options.Force = False,
    as_json: options.Json = False,
    config: options.Config = None,
) -> None:
    """speechocean762: scored English of Mandarin speakers, sets train and test.

    The training speakers are also divided into the sets train_nodev and dev, to choose
    settings without the test set.
    """
    from speechkit.corpora.speechocean762 import read_corpus

    corpus = read_corpus(path, scores, dev_share, seed)
    write(corpus, directory, on_error, jobs, force, as_json)


@app.command("ravdess")
def ravdess(
    path: Corpora,
    set_name: Annotated[str, typer.Option("--set", help="Name of the set.")] = "ravdess",
    on_error: options.OnError = "stop",
    directory: options.Dir = Path(),
    jobs: options.Jobs = 0,
    force: options.Force = False,
    as_json: options.Json = False,
    config: options.Config = None,
) -> None:
    """RAVDESS: acted emotions; its speech recordings become one labelled set.

    Divide it for training and testing with `speechkit split-folds`.
    """
    from speechkit.corpora.ravdess import read_corpus

    write(read_corpus(path, set_name), directory, on_error, jobs, force, as_json)
