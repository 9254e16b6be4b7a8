"""Settings of the features of phones, and their blocks of columns."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from speechkit.base.errors import ConfigError, UserError, require_choice
from speechkit.phone_features import ctc_gop, gop
from speechkit.phone_features import prosody as prosody_features
from speechkit.phone_features import verification as verification_features

if TYPE_CHECKING:
    from speechkit.acoustic.interface import AcousticModel

METHODS = ("segment", "ctc", "both")
DEEP, STP, VERIFICATION = "deep", "stp", "verification"
LEVELS = ("phone", "frame")
IMPORTED = "imported"
FORMAT = 1  # of features.json and of the mathematics of its blocks
Pronunciation = Sequence[str]


@dataclass(frozen=True)
class FeatureSettings:
    """What is computed.

    Args:
        am: acoustic models (see :func:`speechkit.acoustic.models.load_model`), whose blocks of
            columns stand side by side in this order.
        method: ``segment`` (Kaldi's 84 columns a model), ``ctc`` (42, without segments),
            ``both`` (126), or ``deep`` (means of hidden features over the frames of a phone).
        align_with: the model whose segments all blocks take; empty: each model aligns itself.
        prosody: add the block of :mod:`speechkit.phone_features.prosody`.
        names: of the blocks, one a model; empty: made of ``am``.
        layer: of ``deep``: the hidden layer, counted from 1 at the input; 0: the last.
        level: of ``deep``: a row for each ``phone``, or for each ``frame``.
        stp: add a column of :func:`speechkit.phone_features.gop.stp_gop` for each model.
        verification: add the block of :mod:`speechkit.phone_features.verification`, of the model
            that aligns.
    """

    am: tuple[str, ...] = ("sphinx",)
    method: str = "segment"
    align_with: str = ""
    prosody: bool = False
    names: tuple[str, ...] = ()
    layer: int = 0
    level: str = "phone"
    stp: bool = False
    verification: bool = False

    def __post_init__(self) -> None:
        require_choice("method", self.method, (*METHODS, DEEP))
        require_choice("level", self.level, LEVELS)
        if not self.am:
            raise UserError("No acoustic model is given.", "Name one with `am`, e.g. `am` sphinx.")
        if len(set(self.am)) < len(self.am):
            raise ConfigError("am", f"names a model twice: {', '.join(self.am)}.")
        self._check_deep()

    def _check_deep(self) -> None:
        if self.layer < 0:
            raise ConfigError("layer", f"{self.layer} is no layer.", "They are counted from 1.")
        if not self.deep and (self.layer or self.level != "phone"):
            raise UserError("A layer and a level are those of deep features (method 'deep').")
        if self.deep and (len(self.am) > 1 or self.prosody or self.stp or self.verification):
            raise UserError("Deep features are of one acoustic model, without other columns.")
        if self.stp and self.align_with and self.am != (self.align_with,):
            raise ConfigError(
                "stp",
                "needs the states that a model passes through, so each aligns itself.",
                "Leave `align_with` out.",
            )

    @property
    def deep(self) -> bool:
        """Whether the features are hidden features."""
        return self.method == DEEP


def settings_of(
    config: Mapping[str, Any], places: Mapping[str, str] | None = None
) -> FeatureSettings:
    """The settings in a ``features.json``.

    Args:
        config: its content.
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
        )
    except (KeyError, TypeError) as error:
        raise UserError(f"The configuration of the features is damaged ({error!r}).") from error


def layout(
    settings: FeatureSettings, models: Sequence[AcousticModel]
) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
    """Blocks of columns, and the names of all columns.

    A block has ``name``, ``am`` (as given; empty for what is not of one model), ``fingerprint``,
    ``method``, and its ``first`` and ``last`` column (both included); deep ones have ``layer``.

    Args:
        settings: what is computed.
        models: those of ``settings.am``.
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
            add(name, spec, model.fingerprint, DEEP, deep_columns(model.hidden_width))
            blocks[-1]["layer"] = model.hidden_layer
        else:
            add(name, spec, model.fingerprint, settings.method, own[settings.method])
    if settings.stp:
        for name, model in zip(names, models, strict=True):
            add(name, "", model.fingerprint, STP, (gop.STP_COLUMN,))
    if settings.prosody:
        add("prosody", "", "1", "prosody", prosody_features.COLUMNS)
    if settings.verification:
        version = verification_features.fingerprint()
        add(VERIFICATION, "", version, VERIFICATION, verification_features.COLUMNS)
    return blocks, tuple(columns)


def deep_columns(width: int) -> tuple[str, ...]:
    """Names of hidden features."""
    return tuple(f"deep_{number}" for number in range(width))


def fingerprint(blocks: Sequence[Mapping[str, Any]], columns: Sequence[str], aligner: str) -> str:
    """Changes whenever the features could: with models, methods, columns and mathematics.

    Args:
        blocks: of :func:`layout`.
        columns: names of all columns.
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
