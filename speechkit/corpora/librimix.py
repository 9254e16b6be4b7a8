"""LibriMix from its metadata and the original LibriSpeech: nothing needs to be generated.

Source: Cosentino et al., "LibriMix: an open-source dataset for generalizable speech
separation" (2020); tables at https://github.com/JorisCos/LibriMix (``metadata/``).
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from speechkit.base import audio
from speechkit.base.errors import UserError
from speechkit.base.log import logger
from speechkit.base.text import read_lines
from speechkit.corpora.common import full_path, require_folder
from speechkit.corpora.config import LibriMixConfig
from speechkit.corpora.librispeech import LAYOUT, read_speakers
from speechkit.corpora.mixture_sets import (
    CheckedMixture,
    MixtureCorpusSet,
    UncheckedMixture,
    write_sets,
)
from speechkit.kaldi.data import Utterance
from speechkit.labels.mixtures import Header, Mixture, Source
from speechkit.workdir import WorkDir

_SUBSETS = ("dev-clean", "dev-other", "test-clean", "test-other", "train-clean-100",
            "train-clean-360", "train-other-500")  # fmt: skip
_GENERATED = (
    "Give the tables of LibriMix's folder metadata/, or read the generated audio: speechkit "
    "prepare wsj0-2mix DIR --prefix libri2mix --speaker-pattern '^([^-]+)-[^_]*_([^-]+)-'"
)
_SOURCE = re.compile(r"source_(\d+)_path")


def prepare(
    work: WorkDir,
    tables: Sequence[Path],
    config: LibriMixConfig,
    **how: Any,
) -> list[dict[str, Any]]:
    """Write one set for each metadata table, named as the table; see ``mixture_sets``.

    The clean condition: the noise of the tables is not mixed. Mode ``min`` cuts all sources
    to the shortest from the start, ``max`` pads them at the end, as the published scripts do.

    Args:
        tables: such as ``libri2mix_dev-clean.csv``; their ``_info.csv`` are passed over.
        how: as for :func:`speechkit.corpora.mixture_sets.write_sets`.

    Raises:
        UserError: a table of another form, LibriSpeech is not where it was said to be.
    """
    files = [full_path(table) for table in tables]
    files = [file for file in files if not file.stem.endswith("_info")]
    if not files:
        raise UserError(
            "No metadata table was given.", "Example: metadata/Libri2Mix/libri2mix_dev-clean.csv"
        )
    root = require_folder(config.librispeech, LAYOUT)
    root = root / "LibriSpeech" if (root / "LibriSpeech").is_dir() else root
    speakers = next((p for p in sorted(root.iterdir()) if p.name.lower() == "speakers.txt"), None)
    gender = read_speakers(speakers) if speakers else {}
    sets = [_read_set(file, root, config.rate, config.mode, gender) for file in files]
    params = {"librispeech": str(root), "rate": config.rate, "mode": config.mode}
    for made, file in zip(sets, files, strict=True):
        made.params = {**params, "table": str(file)}
        made.metadata = [file, speakers] if speakers else [file]
    names = [made.name for made in sets]
    if len(set(names)) < len(names):
        raise UserError(f"Two tables would make one set ({', '.join(sorted(names))}).")
    if config.rate > 16_000:
        above = f"at {config.rate} Hz the upper band stays empty."
        logger.warning(f"LibriSpeech has 16000 Hz: {above}")
    logger.info("The clean condition: the noise of LibriMix is not mixed.")
    return write_sets(work, "prepare librimix", sets, partial(look, mode=config.mode), **how)


def _read_set(
    table: Path, root: Path, rate: int, mode: str, gender: dict[str, str]
) -> MixtureCorpusSet:
    if table.is_dir():
        raise UserError(f"{table} is a folder, not a table of LibriMix.", _GENERATED)
    rows = list(csv.reader(read_lines(table)))
    names = rows[0] if rows else []
    count = sum(bool(_SOURCE.fullmatch(name)) for name in names)
    wanted = [f"source_{k}_{what}" for k in range(1, count + 1) for what in ("path", "gain")]
    if "mixture_path" in names:
        raise UserError(f"{table}:1: lists the generated audio of LibriMix.", _GENERATED)
    if count < 2 or not {"mixture_ID", *wanted} <= set(names):
        raise UserError(
            f"{table}:1: is not a table of LibriMix.",
            "Expected the columns mixture_ID, source_1_path, source_1_gain, source_2_path, "
            "source_2_gain, ...",
        )
    planned = []
    for number, fields in enumerate(rows[1:], 2):
        if not fields:
            continue
        where = f"{table}:{number}"
        if len(fields) != len(names):
            raise UserError(f"{where}: expected {len(names)} columns, found {len(fields)}.")
        row = dict(zip(names, fields, strict=True))
        sources = tuple(_source(row, k, root, where) for k in range(1, count + 1))
        planned.append(UncheckedMixture(Mixture(row["mixture_ID"], 0, sources), where, rate))
    name = table.stem.lower().replace("-", "_")
    return MixtureCorpusSet(name, Header(rate, count, mode), planned, gender)


def _source(row: dict[str, str], k: int, root: Path, where: str) -> Source:
    """One source of a line; its linear gain becomes decibels."""
    path, text = row[f"source_{k}_path"], row[f"source_{k}_gain"]
    try:
        gain = float(text)
    except ValueError:
        gain = math.nan
    if not 0 < gain < math.inf:
        raise UserError(f"{where}: source_{k}_gain is '{text}', not a positive number.")
    name = Path(path.replace("\\", "/"))
    speaker = name.stem.partition("-")[0]
    if not speaker.isdigit():
        raise UserError(f"{where}: '{path}' is not a file of LibriSpeech (SPEAKER-CHAPTER-N.flac).")
    wav = _find(root, name)
    if name.is_absolute() and not wav.exists():
        raise UserError(
            f"{where}: there is no {path}, a path of another machine, and none in {root} from the "
            "subset's name on.",
            f"Give `librispeech` the folder that holds {', '.join(_SUBSETS[:2])} ...",
        )
    return Source(Utterance(name.stem, str(wav), speaker), 20 * math.log10(gain))


def _find(root: Path, name: Path) -> Path:
    """The file of a name in a table: as given, or from the subset's name on."""
    given = root / name
    inner = next((i for i, part in enumerate(name.parts) if part in _SUBSETS), 0)
    here = root.joinpath(*name.parts[inner:])
    return here if inner and not given.exists() and here.exists() else given


def look(planned: UncheckedMixture, mode: str) -> CheckedMixture:
    """Length of a mixture, from the headers of its sources.

    Raises:
        AudioError: a file is missing or broken.
    """
    headers = [audio.info(source.utterance.wav) for source in planned.mixture.sources]
    lengths = [-(-found.frames * planned.rate // found.sample_rate) for found in headers]
    samples = min(lengths) if mode == "min" else max(lengths)
    mixture = Mixture(planned.mixture.id, samples, planned.mixture.sources)
    return CheckedMixture(mixture, tuple(found.seconds for found in headers))
