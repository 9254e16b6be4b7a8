"""Which acoustic model a name means; only what is asked for is imported."""

from __future__ import annotations

from pathlib import Path

from speechkit.acoustic.interface import AcousticModel
from speechkit.base.errors import UserError, closest
from speechkit.base.schema import Object
from speechkit.base.yaml_files import read_yaml
from speechkit.task.trained import refuse_path
from speechkit.workdir import WorkDir

SPHINX = "sphinx"
ACCEPTED = (
    "sphinx; the NAME of a model in exp/acoustic; a FOLDER of `train acoustic` or of a Hugging "
    "Face CTC model; hf:OWNER/NAME; torchaudio:BUNDLE (CTC models may be followed by ,map=FILE); "
    "posteriors:SCP[,labels=FILE]"
)
_CTC, _POSTERIORS = ("hf:", "torchaudio:"), "posteriors:"
_MAP = ",map="  # a map of a CTC model's labels may follow
_CARD, _HUGGING_FACE_CARD = "config.yaml", "config.json"


def load_model(
    spec: str,
    workdir: WorkDir | None = None,
    device: str = "cpu",
    hidden: bool | int = False,
    phones: bool = True,
) -> AcousticModel:
    """The acoustic model of ``am``.

    Args:
        spec: ``sphinx`` (pocketsphinx's, comes with speechkit); a name under ``exp/acoustic`` or a
            folder (its ``config.yaml`` with ``kind: tdnn``, or Hugging Face's ``config.json``);
            ``hf:OWNER/NAME`` or ``torchaudio:BUNDLE``; after a CTC model ``,map=FILE``;
            ``posteriors:SCP[,labels=FILE]`` (Kaldi archives).
        workdir: where names are looked up; without it only folders are found.
        device: cpu or cuda; posteriors are read, not computed.
        hidden: evidence has hidden features where the model has them: True for those of the
            last layer, or the number of a layer from 1.
        phones: False where hidden features are all that is asked of it: then it may also be an
            encoder of Hugging Face or torchaudio that knows no phones.

    Raises:
        UserError: nothing is called so, or the model cannot be loaded.
    """
    if spec == SPHINX:
        from speechkit.acoustic.sphinx.model import SphinxModel

        return SphinxModel(device=device)
    if spec.startswith(_POSTERIORS):
        from speechkit.acoustic.posteriors import load_posteriors

        return load_posteriors(spec)
    if not spec.startswith(_CTC):
        name, comma, option = spec.partition(_MAP)
        folder = find_folder(name, workdir)
        if is_tdnn(folder):
            if comma:
                raise UserError(f"{folder} takes no 'map={option}': that is for CTC models.")
            from speechkit.acoustic.tdnn.model import load_tdnn

            return load_tdnn(folder, device, hidden=hidden)
        spec = f"{folder}{comma}{option}"
    from speechkit.acoustic.ctc.model import load_ctc, load_encoder

    return (load_ctc if phones else load_encoder)(spec, device, hidden=hidden)


def find_folder(spec: str, workdir: WorkDir | None) -> Path:
    """The folder of a trained model: a name under ``exp/acoustic``, or a path.

    Raises:
        UserError: there is neither.
    """
    trained = workdir.exp("acoustic") if workdir else None
    names = trained_models(workdir) if workdir else []
    # Names come first, so that a folder of the same name beside exp/ does not hide a model.
    if trained is not None and spec in names:
        return trained / spec
    if spec and Path(spec).is_dir():
        return Path(spec)
    refuse_path(spec, f"Accepted: {ACCEPTED}.")
    looked = f"a name in {trained} ({', '.join(names) or 'none there'})" if trained else "a name"
    raise UserError(
        f"The acoustic model '{spec}' is neither {looked} nor a folder."
        f"{closest(spec, [SPHINX, *names])}",
        f"Accepted: {ACCEPTED}.",
    )


def trained_models(workdir: WorkDir) -> list[str]:
    """Names under ``exp/acoustic``, sorted."""
    cards = workdir.exp("acoustic").glob(f"*/{_CARD}")
    return sorted(card.parent.name for card in cards if not card.parent.name.startswith("."))


def is_tdnn(folder: Path) -> bool:
    """Whether a folder is of `train acoustic`; else it is of a Hugging Face model.

    Raises:
        UserError: it is of neither.
    """
    card = folder / _CARD
    if not card.is_file():
        if (folder / _HUGGING_FACE_CARD).is_file():
            return False
        raise UserError(
            f"{folder} is no acoustic model: it has neither {_CARD} nor {_HUGGING_FACE_CARD}.",
            f"Accepted: {ACCEPTED}.",
        )
    kind = read_yaml(card, Object, "Train the model again.").get("kind")
    if kind != "tdnn":
        raise UserError(
            f"{card} is of the kind '{kind}', which is no acoustic model.", f"Accepted: {ACCEPTED}."
        )
    return True
