"""Configurations of the features of phones, and of what scores recordings by them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from speechkit.acoustic.config import TextConfig
from speechkit.base.config import NO_FLAG, Flag
from speechkit.base.errors import ConfigError, UserError, require_choice

METHODS = ("segment", "ctc", "both")
DEEP = "deep"  # the method of hidden features
LEVELS = ("phone", "frame")


@dataclass(frozen=True)
class FeatureSettings:
    """Goodness of pronunciation: a row of features for every canonical phone of a set.

    Writes exp/gop/SET/gop.{ark,scp}, rows.tsv, phones.txt, features.json and summary.json.

    Model:
        am: Acoustic model: sphinx, a name in exp/acoustic, a folder, hf:OWNER/NAME,
            torchaudio:BUNDLE or posteriors:SCP[,labels=FILE]; of several the columns stand side by
            side, in this order.
        method: segment: Kaldi's 84 columns of aligned phones. ctc: scores of every substitution
            and deletion without an alignment (42 columns). both: 126 columns.
        align_with: Acoustic model that aligns for all of them; default: each aligns for itself.
        prosody: Add durations, pauses, energy and pitch (13 columns).
        pitch: With `prosody`, pitch too (4 of its columns), by Praat, which is under the GPL.
        stp: Add GOP with the transition probabilities of the HMM (1 column a model).
        verification: Add evidence that each word was said (24 columns).
        layer: Hidden layer, counted from 1 at the input; 0: the last.
        level: phone: means over the frames of each phone. frame: all frames.
        names: Names of the blocks, one a model; none: made of `am`.
    """

    am: Annotated[tuple[str, ...], Flag("am", several=True)] = ("sphinx",)
    method: str = "segment"
    align_with: str = ""
    prosody: bool = False
    names: Annotated[tuple[str, ...], NO_FLAG] = ()
    layer: Annotated[int, Flag(hidden=True, least=0)] = 0
    level: Annotated[str, NO_FLAG] = "phone"
    stp: Annotated[bool, Flag("stp")] = False
    verification: Annotated[bool, Flag("verification")] = False
    pitch: bool = True

    def __post_init__(self) -> None:
        require_choice("method", self.method, (*METHODS, DEEP))
        require_choice("level", self.level, LEVELS)
        if not (self.pitch or self.prosody):
            raise ConfigError("pitch", "is a part of prosody.", "Give `prosody` too.")
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

    def later(self) -> dict[str, bool]:
        """Settings that older files lack, where they are not at their default."""
        found = {"stp": self.stp, "verification": self.verification, "pitch": self.pitch}
        return {name: value for name, value in found.items() if value != (name == "pitch")}

    @property
    def deep(self) -> bool:
        """Whether the features are hidden features."""
        return self.method == DEEP


@dataclass(frozen=True)
class ImportConfig:
    """Features of phones that another program computed.

    Data:
        import_from: Import features computed elsewhere: feat.scp of Kaldi's gop_speechocean762, or
            GOPT's features as .csv or .npy.
        keys: With `import` of .csv or .npy: the file of keys (UTTERANCE.PHONE); default: the file
            beside it that is called alike (of tr_feats.csv tr_keys_phn.csv).
    """

    import_from: Annotated[Path | None, Flag("import")] = None
    keys: Path | None = None

    def refuse(self) -> None:
        """Raise ConfigError where features are computed, but something is said of imported ones."""
        if self.keys is not None:
            raise ConfigError("keys", "is for imported features.", "Add `import`, or leave it out.")


@dataclass(frozen=True)
class Setup(TextConfig):
    """What scores recordings, as every process finds it.

    Model:
        model: A name under exp/TASK, a folder, a file of export, or hf:OWNER/NAME; default comes
            with speechkit where it scores pronunciation.
    Machine:
        device: auto, cpu or cuda.
    Output:
        ipa: Phones in IPA in place of ARPAbet.
        root: The working directory, where names are looked up.
        name: Of the model, in results; default as it was given.
    """

    lexicon: Annotated[Path | None, Flag(shown="the CMU dictionary")] = None
    model: str = "default"
    device: str = "auto"
    ipa: Annotated[bool, NO_FLAG] = False
    root: Annotated[Path, NO_FLAG] = Path(".")
    name: Annotated[str, NO_FLAG] = ""


@dataclass(frozen=True)
class Texts:
    """What is said in recordings.

    Data:
        text: What is read in the recordings.
        trans: Table 'path<TAB>text' of many, or the folder of a set.
    """

    text: str = ""
    trans: Annotated[Path | None, Flag(shown="none")] = None
