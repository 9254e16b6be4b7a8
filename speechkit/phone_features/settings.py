"""Settings of the features of phones, and their blocks of columns."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from speechkit.base.errors import UserError
from speechkit.phone_features import ctc_gop, gop
from speechkit.phone_features import prosody as prosody_features
from speechkit.phone_features import verification as verification_features
from speechkit.phone_features.config import DEEP, FeatureSettings

if TYPE_CHECKING:
    from speechkit.acoustic.interface import AcousticModel

STP, VERIFICATION = "stp", "verification"
IMPORTED = "imported"
FORMAT = 1  # of features.json and of the mathematics of its blocks


def settings_of(
    config: Mapping[str, Any], places: Mapping[str, str] | None = None
) -> FeatureSettings:
    """The settings in a ``features.json``.

    Args:
        places: where a model is now, by its name in the configuration.

    Raises:
        UserError: the features were imported, or the configuration is damaged.
    """
    if config.get("method") == IMPORTED:
        raise UserError(
            "These features were imported: they cannot be computed of a recording.",
            "Train on features of `speechkit extract-gop` without `import`.",
        )
    places = places or {}
    try:
        return FeatureSettings(
            am=tuple(places.get(spec, spec) for spec in config["am"]),
            method=config["method"],
            align_with=places.get(config["align_with"], config["align_with"]),
            prosody=bool(config["prosody"]),
            names=tuple(b["name"] for b in config["blocks"] if b["am"]),
            layer=int(config.get("layer", 0)),
            level=str(config.get("level", "phone")),
            stp=bool(config.get("stp", False)),
            verification=bool(config.get("verification", False)),
            pitch=bool(config.get("pitch", True)),
        )
    except (KeyError, TypeError) as error:
        raise UserError(f"The configuration of the features is damaged ({error!r}).") from error


def layout(
    settings: FeatureSettings, models: Sequence[AcousticModel]
) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
    """Blocks of columns, and the names of all columns.

    A block has ``name``, ``am`` (as given; empty for what is not of one model), ``fingerprint``,
    ``method``, and its ``first`` and ``last`` column (both included); deep ones have ``layer``.
    """
    own = {"segment": gop.COLUMNS, "ctc": ctc_gop.COLUMNS, "both": gop.COLUMNS + ctc_gop.COLUMNS}
    names = settings.names or block_names(settings.am)
    blocks: list[dict[str, Any]] = []
    columns: list[str] = []

    def add(name: str, spec: str, fingerprint: str, kind: str, of_block: Sequence[str]) -> None:
        first = len(columns)
        columns.extend(f"{name}:{column}" for column in of_block)
        block = {"name": name, "am": spec, "fingerprint": fingerprint, "method": kind}
        blocks.append({**block, "first": first, "last": len(columns) - 1})

    for name, spec, model in zip(names, settings.am, models, strict=True):
        if settings.deep:
            hidden = [f"deep_{number}" for number in range(model.hidden_width)]
            add(name, spec, model.fingerprint, DEEP, hidden)
            blocks[-1]["layer"] = model.hidden_layer
        else:
            add(name, spec, model.fingerprint, settings.method, own[settings.method])
    if settings.stp:
        for name, model in zip(names, models, strict=True):
            add(name, "", model.fingerprint, STP, (gop.STP_COLUMN,))
    if settings.prosody:
        add("prosody", "", "1", "prosody", prosody_features.columns(settings.pitch))
    if settings.verification:
        version = verification_features.fingerprint()
        add(VERIFICATION, "", version, VERIFICATION, verification_features.COLUMNS)
    return blocks, tuple(columns)


def fingerprint(blocks: Sequence[Mapping[str, Any]], columns: Sequence[str], aligner: str) -> str:
    """Changes whenever the features could: with models, methods, columns and mathematics.

    Args:
        aligner: fingerprint of the model whose segments all blocks take; empty if each its own.
    """
    # How a model was named on the command line does not matter.
    kept = [{key: value for key, value in block.items() if key != "am"} for block in blocks]
    print_of = {"format": FORMAT, "blocks": kept, "align_with": aligner, "columns": list(columns)}
    text = json.dumps(print_of, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def block_names(specs: Sequence[str]) -> tuple[str, ...]:
    """Short, distinct names of acoustic models."""
    names: list[str] = []
    for spec in specs:
        kind, _, rest = spec.partition(":")
        name = kind if kind == "posteriors" else Path(rest or kind).name or kind
        same = sum(other.partition("#")[0] == name for other in names)
        names.append(f"{name}#{same + 1}" if same else name)
    return tuple(names)


def differences(config: Mapping[str, Any], blocks: Sequence[Mapping[str, Any]]) -> str:
    """What differs between the blocks of a configuration and those that there are now."""
    changed = [
        f"'{now['name']}' is {now['fingerprint']} now, was {then.get('fingerprint')}"
        for then, now in zip(config["blocks"], blocks, strict=False)
        if then.get("fingerprint") != now["fingerprint"]
    ]
    return "; ".join(changed) or "the aligning model or the columns differ"
