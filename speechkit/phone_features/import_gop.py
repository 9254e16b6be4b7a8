"""``extract-gop --import``: features of phones that other programs computed.

- ``feat.scp`` of Kaldi's recipe gop_speechocean762: a vector a phone, with the key
  ``UTTERANCE.N`` and the pure phone's id as its first number; or a matrix an utterance
- GOPT's ``.csv`` (a row a phone, the id first) with its file of keys
- GOPT's ``.npy`` ``[utterances, phones, D]``, padded with zeros, in the order of the keys or,
  without a file of keys, of the set

The canonical phones are those of the set's ``phone_scores.tsv``. Old versions of Kaldi merged
two equal phones side by side: both then get the merged row.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from speechkit.base.arrays import read_array
from speechkit.base.errors import DataError, UserError, require_choice
from speechkit.base.log import counted, logger
from speechkit.base.text import read_lines
from speechkit.kaldi import data
from speechkit.kaldi.ark import ArkTable
from speechkit.labels import score_files as labels
from speechkit.labels.phones import KALDI_ID, pure
from speechkit.phone_features import gop, output
from speechkit.phone_features.config import ImportConfig
from speechkit.phone_features.feature_folder import PhoneRow
from speechkit.phone_features.output import UtteranceFeatures
from speechkit.phone_features.settings import IMPORTED
from speechkit.workdir import Output, WorkDir

KALDI_COLUMNS = len(gop.COLUMNS)
Rows = dict[int, np.ndarray]
"""Number of a phone in its utterance -> its row."""


def import_features(
    workdir: WorkDir,
    set_name: str,
    config: ImportConfig,
    *,
    name: str = "",
    on_error: str = "stop",
    force: bool = False,
) -> Path:
    """Write ``exp/gop/<set>/`` from features of another program and return it.

    Args:
        set_name: the set; it must have ``phone_scores.tsv``.
        name: suffix of the output folder.
        on_error: stop at utterances that lack features or do not fit, or skip them.
        force: replace other features.

    Raises:
        UserError: the source cannot be read, or does not fit the set.
    """
    require_choice("on_error", on_error, ("stop", "skip"))
    folder = workdir.data(set_name)
    dataset = data.load(folder, workdir.root, allow_pipes=True)
    source, keys = config.import_from, config.keys
    if source is None or not source.is_file():
        raise UserError(f"There are no features at {source}.", "Give `import` FILE.scp|csv|npy.")
    if source.suffix in (".csv", ".npy"):
        keys = keys or _find_keys(source)
    final = workdir.exp("gop", set_name, name=name)
    inputs = [*dataset.files(), *labels.score_files(folder), source, *([keys] if keys else [])]
    params = {"set": set_name, "import": source.name}
    with Output(final, "extract-gop", params, inputs, force=force) as out:
        if out.up_to_date:
            return final
        canonical = labels.canonical_phones(folder)
        if canonical is None:
            raise UserError(
                f"{folder} has no phone_scores.tsv, which says what the rows are rows of.",
                "Prepare the set with its scores.",
            )
        table = _read(source, keys, [u.id for u in dataset.utterances])
        found, skipped = _match(dataset, canonical, table, on_error)
        width = found[0].features.shape[1] if found else 0
        output.write(out, workdir, _config(source, width), found, skipped)
        output.summarise(out, folder, width, found, len(skipped))
    return final


def _config(source: Path, width: int) -> dict[str, Any]:
    names = gop.COLUMNS if width == KALDI_COLUMNS else [f"f{n}" for n in range(width)]
    columns = [f"{IMPORTED}:{column}" for column in names]
    # Train and test halves come in files of their own: their columns are what must agree.
    fingerprint = f"{IMPORTED}-{hashlib.sha256(' '.join(columns).encode()).hexdigest()[:32]}"
    block = {"name": IMPORTED, "am": "", "fingerprint": fingerprint, "method": IMPORTED}
    return {
        "format": 1,
        "am": [],
        "method": IMPORTED,
        "align_with": "",
        "prosody": False,
        "source": source.name,
        "fingerprint": fingerprint,
        "blocks": [{**block, "first": 0, "last": width - 1}],
        "columns": columns,
    }


def _find_keys(source: Path) -> Path | None:
    """The file of keys beside ``tr_feats.csv`` or ``tr_feat.npy``: ``tr_keys_phn.csv`` ..."""
    start = source.stem.lower().partition("feat")[0]
    beside = sorted(source.parent.glob("*key*"))
    alike = [p for p in beside if p.stem.lower().partition("key")[0] == start]
    return alike[0] if alike else None


def _read(source: Path, keys: Path | None, order: list[str]) -> dict[str, Rows]:
    """Utterance -> its rows, with the phone's id in front where the source has it."""
    if source.suffix == ".scp":
        return _read_scp(source)
    if source.suffix not in (".csv", ".npy"):
        raise UserError(f"{source} is not .scp, .csv or .npy.")
    given = (key for line in (read_lines(keys) if keys else ()) for key in line.split())
    names = [_split_key(key.strip('"'), keys or source) for key in given]
    if source.suffix == ".csv":
        if not names:
            raise UserError(
                f"There is no file of keys beside {source}.",
                "Give it: `keys` FILE with a line UTTERANCE.N for each row.",
            )
        return _read_csv(source, names)
    utterances = list(dict.fromkeys(utterance for utterance, _ in names)) or order
    return _read_npy(source, utterances)


def _read_scp(source: Path) -> dict[str, Rows]:
    found: dict[str, Rows] = {}
    table = ArkTable(source)
    for key in table:
        value = table[key]
        if value.ndim == 2:
            found[key] = dict(enumerate(value))
        else:
            utterance, number = _split_key(key, source)
            found.setdefault(utterance, {})[number] = value
    return found


def _split_key(key: str, source: Path) -> tuple[str, int]:
    utterance, _, number = key.rpartition(".")
    if not utterance or not number.isdecimal():
        raise DataError(f"{source}: '{key}' is not UTTERANCE.N, N being the number of the phone.")
    return utterance, int(number)


def _read_csv(source: Path, keys: list[tuple[str, int]]) -> dict[str, Rows]:
    try:
        values = np.loadtxt(source, delimiter=",", ndmin=2)
    except ValueError as error:
        raise DataError(f"{source} is not a table of numbers: {error}.") from error
    if len(values) != len(keys):
        raise DataError(f"{source} has {len(values)} rows, its file of keys {len(keys)}.")
    found: dict[str, Rows] = {}
    for (utterance, number), row in zip(keys, values, strict=True):
        found.setdefault(utterance, {})[number] = row
    return found


def _read_npy(source: Path, utterances: list[str]) -> dict[str, Rows]:
    values = read_array(source)
    if values.ndim != 3 or len(values) != len(utterances):
        raise DataError(
            f"{source} has the shape {values.shape}; expected (utterances, phones, columns) with "
            f"{len(utterances)} utterances.",
            "Give the file of keys with `keys`, so that its utterances are known.",
        )
    used = np.any(values != 0, axis=2)
    counts = [int(np.flatnonzero(row).max(initial=-1)) + 1 for row in used]
    return {
        utterance: dict(enumerate(rows[:count]))
        for utterance, rows, count in zip(utterances, values, counts, strict=True)
    }


def _match(
    dataset: data.DataDir,
    canonical: Mapping[str, list[list[str]]],
    table: Mapping[str, Rows],
    on_error: str,
) -> tuple[list[UtteranceFeatures], list[list[str]]]:
    """Rows of the set's phones, and (utterance, reason) of those that are left out."""
    found: list[UtteranceFeatures] = []
    skipped: list[list[str]] = []
    merged = 0
    for utterance in dataset.utterances:
        words = canonical.get(utterance.id, [])
        phones = [phone for word in words for phone in word]
        try:
            rows = table.get(utterance.id)
            if not rows or not phones:
                raise UserError("there are no features of it" if phones else "it has no phones")
            features = _strip_ids(_per_phone(rows, phones), phones)
            if found and features.shape[1] != found[0].features.shape[1]:
                widths = f"{features.shape[1]} columns, others {found[0].features.shape[1]}"
                raise UserError(f"it has {widths}")
        except UserError as error:
            problem = f"{error.problem}."
            if on_error == "stop":
                raise DataError(
                    f"{utterance.id}: {problem}",
                    "Check that the features are of this set, or give `on_error` skip.",
                ) from error
            skipped.append([utterance.id, problem])
            continue
        merged += len(rows) < len(phones)
        texts = dataset.text.get(utterance.id, "").split()
        lines = _rows(words, texts if len(texts) == len(words) else [""] * len(words), features)
        cells = [row.cells(utterance.id) for row in lines]
        found.append(UtteranceFeatures(utterance.id, features, cells))
    if merged:
        logger.info(f"Merged equal neighbouring phones in {counted(merged, 'utterance')}.")
    return found, skipped


def _per_phone(rows: Rows, phones: list[str]) -> np.ndarray:
    """Rows as ``[P, ...]``; those of merged equal neighbours are repeated."""
    groups = [0]
    for before, after in pairwise(phones):
        groups.append(groups[-1] + (pure(before) != pure(after)))
    for places in (list(range(len(phones))), groups):
        if len(rows) == places[-1] + 1 and set(rows) == set(places):
            values = [np.asarray(rows[place], dtype=np.float64) for place in places]
            if len({value.shape for value in values}) == 1:
                return np.stack(values)
    raise UserError(f"it has {len(rows)} rows, but {len(phones)} canonical phones")


def _strip_ids(values: np.ndarray, phones: list[str]) -> np.ndarray:
    """Without the ids in front, which must be those of the phones; finite, float32."""
    if values.shape[1] % 2:
        ids = [KALDI_ID.get(pure(phone)) for phone in phones]
        for place, (given, wanted) in enumerate(zip(values[:, 0], ids, strict=True)):
            if given != wanted:
                raise UserError(
                    f"phone {place} is {phones[place]} (pure phone {wanted}) in the set, but "
                    f"{given:g} in the features"
                )
        values = values[:, 1:]
    floor = -gop.LOG_FLOOR
    return np.nan_to_num(values, nan=0.0, posinf=floor, neginf=-floor).astype(np.float32)


def _rows(words: list[list[str]], texts: list[str], features: np.ndarray) -> Iterator[PhoneRow]:
    index = 0
    for number, phones in enumerate(words):
        for phone in phones:
            own = score = math.nan
            if features.shape[1] == KALDI_COLUMNS:
                at = np.array([KALDI_ID[pure(phone)]])
                lpp, best = gop.scalar_gop(features[index : index + 1], at)
                own, score = float(lpp[0]), float(best[0])
            yield PhoneRow(index, number, texts[number], phone, math.nan, math.nan, own, score)
            index += 1
