"""``speechkit mine-hard``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from speechkit.cli.options import Config, Device, Dir, Force, Json, OutName, Seed, Set

Param = Annotated[
    str, typer.Option("--param", help="What makes pairs hard: pitch, energy or xvector.")
]
Pm = Annotated[
    Optional[float],  # noqa: UP045 - Typer evaluates this at run time
    typer.Option(
        "--pm",
        help="P_M, the proportion of each utterance's pairs that is hard, above 0 and at most 1.",
        show_default="0.02 for pitch and energy, 0.04 for xvector",
    ),
]
SameGender = Annotated[
    bool, typer.Option("--same-gender", help="Only partners of the same gender (spk2gender).")
]
Store = Annotated[
    str,
    typer.Option(
        "--store", help="pairs, thresholds (O(N) files), or auto: pairs if they take under 1 GiB."
    ),
]
Candidates = Annotated[
    int,
    typer.Option(
        "--candidates",
        min=0,
        help="Estimate thresholds from this many random partners (for millions); 0: exact.",
    ),
]
PitchUnit = Annotated[
    str, typer.Option("--pitch-unit", help="Unit of pitch differences: hz or semitones.")
]
Prosody = Annotated[
    str, typer.Option("--prosody", help="Read exp/prosody/SET-NAME (extract-prosody --name).")
]
Xvector = Annotated[
    str, typer.Option("--xvector", help="Read exp/xvector/SET-NAME (extract-xvector --name).")
]


def mine_hard(
    param: Param,
    pm: Pm = None,
    set_name: Set = "train",
    same_gender: SameGender = False,
    store: Store = "auto",
    candidates: Candidates = 0,
    pitch_unit: PitchUnit = "hz",
    prosody: Prosody = "",
    xvector: Xvector = "",
    name: OutName = "",
    seed: Seed = 0,
    device: Device = "auto",
    directory: Dir = Path(),
    force: Force = False,
    as_json: Json = False,
    config: Config = None,
) -> None:
    """Find the hard pairs of each utterance: the closest utterances of other speakers.

    Reads exp/prosody/SET or exp/xvector/SET and writes exp/hard/PARAM_pmP_M: thresholds,
    pairs, a summary and a figure, for HardPairSampler and `train separation`.
    """
    from speechkit.cli.output import print_json, print_table
    from speechkit.mining.mine import Settings, default_pm, mine, read_summary
    from speechkit.workdir import WorkDir

    settings = Settings(
        param=param,
        pm=default_pm(param) if pm is None else pm,
        set=set_name,
        same_gender=same_gender,
        store=store,
        candidates=candidates,
        pitch_unit=pitch_unit,
        prosody=prosody,
        xvector=xvector,
        seed=seed,
    )
    folder = mine(WorkDir(directory), settings, name, device, force)
    summary = read_summary(folder)
    if as_json:
        print_json({"output": str(folder), **summary})
        return
    rows = [list(row.values()) for row in summary["hardest_speaker_pairs"]]
    columns = ("speaker A", "speaker B", "genders", "hard %", "mean distance")
    print_table(f"Hardest speaker pairs ({summary['distance_unit']})", columns, rows)
